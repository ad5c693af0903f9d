"""What a schema cannot say about a driver's section: keys that need or exclude each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msrctl.storage import regions
from msrctl.storage.document import joined

if TYPE_CHECKING:
    from collections.abc import Callable

    from msrctl.storage.document import Part


def apply(part: Part, version: str) -> None:
    """Notes problems and warnings of a section that its schema accepts.

    Arguments:
        part: changed in place.
        version: of the registry, ``2.8`` or ``3``.
    """
    rule = RULES.get(part.kind)
    if rule:
        rule(part, part.section, version)
    insecure = part.section.get("skipverify") is True or part.section.get("insecureskipverify") is True
    if insecure and part.section.get("rootca"):
        _warn(part, "rootca", "of no use while the certificate is not verified")


def _s3(part: Part, s: dict[str, Any], version: str) -> None:
    for one, other in (("accesskey", "secretkey"), ("secretkey", "accesskey")):
        if s.get(one) and not s.get(other):
            _bad(
                part,
                other,
                f"missing; {one} is of no use alone (give both, or neither for an instance's role)",
            )
    if s.get("keyid") and s.get("encrypt") is not True:
        _bad(part, "keyid", "the registry ignores it without encrypt: true")
    endpoint = s.get("regionendpoint")
    if s.get("v4auth") is False and (not isinstance(endpoint, str) or regions.is_amazon(endpoint)):
        _bad(part, "v4auth", "Amazon takes version 4 only; false needs a regionendpoint of your own")
    if version == "2.8" and s.get("forcepathstyle") is True:
        if endpoint:
            _warn(part, "forcepathstyle", "registry 2.8 does so by itself with a regionendpoint")
        else:
            _bad(part, "forcepathstyle", "only registry 3 knows it; 2.8 ignores it")
    if isinstance(endpoint, str):
        _endpoint(part, s, endpoint)
    region = s.get("region")
    if (
        isinstance(region, str)
        and region not in regions.DOCUMENTED
        and (not endpoint or regions.is_amazon(str(endpoint)))
    ):
        _region(part, region, version, named=bool(endpoint))


def _endpoint(part: Part, s: dict[str, Any], endpoint: str) -> None:
    plain = endpoint.startswith("http://")
    if plain and s.get("secure") is True:
        _warn(part, "secure", "the endpoint says http://, which counts: nothing is encrypted")
    if endpoint.startswith("https://") and s.get("secure") is False:
        _warn(part, "secure", "the endpoint says https://, which counts")
    if plain and (s.get("rootca") or s.get("skipverify") is True):
        _warn(part, "regionendpoint", "says http://, where there is no certificate to verify")


def _region(part: Part, region: str, version: str, *, named: bool) -> None:
    if not regions.is_region(region):
        _bad(part, "region", "not a region of Amazon; a store of your own needs a regionendpoint")
        return
    words = "newer than the regions that the original documents"
    if version == "2.8" and region not in regions.KNOWN_TO_2_8 and not named:
        part.section["regionendpoint"] = regions.endpoint(region)
        words += f"; registry 2.8 takes it with regionendpoint {part.section['regionendpoint']}, which is set"
    _warn(part, "region", words)


def _azure(part: Part, s: dict[str, Any], version: str) -> None:
    credentials = s.get("credentials")
    if version == "2.8":
        if not s.get("accountkey"):
            _bad(part, "accountkey", "missing")
        return
    if not isinstance(credentials, dict):
        _bad(part, "credentials.type", "missing; registry 3 needs it: shared_key if you have an accountkey")
        return
    kind = credentials.get("type")
    if kind == "shared_key" and not s.get("accountkey"):
        _bad(part, "accountkey", "missing; credentials.type is shared_key")
    if kind == "client_secret":
        for key in ("clientid", "tenantid", "secret"):
            if not credentials.get(key):
                _bad(part, f"credentials.{key}", "missing; credentials.type is client_secret")


def _gcs(part: Part, s: dict[str, Any], version: str) -> None:  # noqa: ARG001 - the same in both versions
    if "keyfile" in s and "credentials" in s:
        _bad(part, "credentials", "keyfile is given too; one of them is enough")


def _swift(part: Part, s: dict[str, Any], version: str) -> None:  # noqa: ARG001 - 2.8 only
    url = s.get("authurl")
    if not isinstance(url, str):
        return
    if auth_version(url, s.get("authversion")) == 3 and not any(
        s.get(key) for key in ("tenant", "tenantid", "trustid", "domain", "domainid")
    ):
        _bad(part, "tenant", "missing; with version 3 of the authentication the registry gets no storage URL")
    elif auth_version(url, s.get("authversion")) == 3 and not any(
        s.get(key) for key in ("tenant", "tenantid", "trustid")
    ):
        _warn(part, "tenant", "not given: the user needs a default project")


def auth_version(url: str, given: int | None = None) -> int:
    """The version of Swift's authentication, told by its address as the registry does."""
    if given:
        return given
    return 3 if "v3" in url else 2 if "v2" in url else 1


def _bad(part: Part, key: str, what: str) -> None:
    part.problems.append(f"{joined(part.path, key)}: {what}")


def _warn(part: Part, key: str, what: str) -> None:
    part.warnings.append(f"{joined(part.path, key)}: {what}")


RULES: dict[str, Callable[[Part, dict[str, Any], str], None]] = {
    "s3": _s3,
    "azure": _azure,
    "gcs": _gcs,
    "swift": _swift,
}

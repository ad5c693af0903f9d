"""A token and the storage URL of OpenStack Swift, asked for as the registry's driver does.

By hand, because python-swiftclient takes Keystone's client and all that needs for version 3, and because its
errors do not tell a wrong password from a wrong tenant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from msrctl.storage.rules import auth_version
from msrctl.transfer.web import network_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msrctl.secret import Secret

JSON = dict[str, Any]
KIND = "object-store"


class AuthFault(Exception):
    """No token, or none that is of use.

    Arguments:
        code: PRE-SWIFT-...
        detail: what was seen.
        hint: what to do.
        store_code: as of a StoreError.
    """

    def __init__(self, code: str, detail: str, hint: str, store_code: str = "STORE-DENIED") -> None:
        super().__init__(detail)
        self.store_code = store_code
        self.code = code
        self.detail = detail
        self.hint = hint


@dataclass(frozen=True)
class Access:
    """What Swift asks for.

    Arguments:
        url: of the account, without a slash at the end.
        token: for the header X-Auth-Token; a secret.
    """

    url: str
    token: Secret


class Login:
    """A user who can ask for tokens.

    Arguments:
        parameters: as in schemas/storage-swift.json.
        password: theirs.
        session: see `web.session`.
    """

    def __init__(self, parameters: Mapping[str, Any], password: Secret, session: requests.Session) -> None:
        self._given = parameters
        self._password = password
        self._session = session
        self.url = str(parameters["authurl"])
        self.version = auth_version(self.url, parameters.get("authversion"))
        self.user = str(parameters["username"])
        self.tenant = str(parameters.get("tenant") or parameters.get("tenantid") or "")

    def access(self) -> Access:
        """A new token and the storage URL.

        Raises:
            AuthFault: with the reason and a remedy.
        """
        return {1: self._first, 2: self._second, 3: self._third}[self.version]()

    # Version 1: headers only.

    def _first(self) -> Access:
        headers = {"X-Auth-User": self.user, "X-Auth-Key": self._password.reveal_text()}
        answer = self._send("GET", self.url, headers=headers)
        if answer.status_code in {401, 403}:
            raise self._refused()
        self._must_be_answer(answer)
        url, token = answer.headers.get("X-Storage-Url", ""), answer.headers.get("X-Auth-Token", "")
        if not url or not token:
            raise self._no_service()
        if self._given.get("endpointtype") == "internal":
            parts = urlsplit(url)
            url = parts._replace(netloc=f"snet-{parts.netloc}").geturl()
        return _access(url, token)

    # Version 2: a catalogue with an address for each interface.

    def _second(self) -> Access:
        scope = {"tenantName": self._given.get("tenant"), "tenantId": self._given.get("tenantid")}
        answer = self._ask_second({key: value for key, value in scope.items() if value})
        if answer.status_code in {400, 401, 403}:
            if self.tenant and self._ask_second({}).ok:
                raise self._wrong_tenant()
            raise self._refused()
        self._must_be_answer(answer)
        access = _json(answer).get("access", {})
        interface = f"{self._given.get('endpointtype', 'public')}URL"
        found = [
            (str(endpoint.get("region")), str(endpoint.get(interface) or ""))
            for service in access.get("serviceCatalog", [])
            if service.get("type") == KIND
            for endpoint in service.get("endpoints", [])
        ]
        return _access(self._chosen(found), str(access.get("token", {}).get("id", "")))

    def _ask_second(self, scope: JSON) -> requests.Response:
        credentials = {"username": self.user, "password": self._password.reveal_text()}
        body = {"auth": {"passwordCredentials": credentials, **scope}}
        return self._send("POST", f"{self.url.rstrip('/')}/tokens", json=body)

    # Version 3: domains, projects, trusts.

    def _third(self) -> Access:
        scope = self._scope()
        answer = self._ask_third(scope)
        if answer.status_code == 400:
            raise AuthFault(
                "PRE-SWIFT-DOMAIN",
                f"{self.url} does not understand the request: {_said(answer)}",
                "Give the user's domain by domain or domainid; version 3 of the authentication needs it.",
            )
        if answer.status_code in {401, 403}:
            # Keystone does not say what is wrong: without the project the same password may be right.
            if scope and self._ask_third({}).ok:
                raise self._wrong_tenant()
            raise self._refused()
        self._must_be_answer(answer)
        wanted = self._given.get("endpointtype", "public")
        found = [
            (str(endpoint.get("region") or endpoint.get("region_id")), str(endpoint.get("url") or ""))
            for service in _json(answer).get("token", {}).get("catalog", [])
            if service.get("type") == KIND
            for endpoint in service.get("endpoints", [])
            if endpoint.get("interface") == wanted
        ]
        return _access(self._chosen(found), answer.headers.get("X-Subject-Token", ""))

    def _scope(self) -> JSON:
        given = self._given
        if given.get("trustid"):
            return {"OS-TRUST:trust": {"id": given["trustid"]}}
        if given.get("tenantid"):
            return {"project": {"id": given["tenantid"]}}
        if not given.get("tenant"):
            return {}
        domain = self._domain("tenantdomain") or self._domain("domain") or {"name": "Default"}
        return {"project": {"name": given["tenant"], "domain": domain}}

    def _domain(self, key: str) -> JSON:
        if self._given.get(key):
            return {"name": self._given[key]}
        return {"id": self._given[f"{key}id"]} if self._given.get(f"{key}id") else {}

    def _ask_third(self, scope: JSON) -> requests.Response:
        user: JSON = {"name": self.user, "password": self._password.reveal_text()}
        if domain := self._domain("domain"):
            user["domain"] = domain
        auth: JSON = {"identity": {"methods": ["password"], "password": {"user": user}}}
        if scope:
            auth["scope"] = scope
        return self._send("POST", f"{self.url.rstrip('/')}/auth/tokens", json={"auth": auth})

    # All versions.

    def _send(self, method: str, url: str, **more: Any) -> requests.Response:
        try:
            return self._session.request(method, url, **more)
        except requests.RequestException as error:
            code, reason = network_fault(error)
            hint = "See whether the store's authentication is up, and what is between that node and it."
            raise AuthFault("PRE-SWIFT-NETWORK", f"{self.url}: {reason}", hint, code) from None

    def _must_be_answer(self, answer: requests.Response) -> None:
        if answer.status_code < 300:
            return
        if answer.status_code in {300, 301, 302, 400, 404, 405, 412}:
            raise AuthFault(
                "PRE-SWIFT-VERSION",
                f"{self.url} has no authentication of version {self.version} ({answer.status_code})",
                "Write the address with its version into authurl, such as https://host:5000/v3 or "
                "https://host/auth/v1.0, or set authversion.",
            )
        raise AuthFault(
            "PRE-SWIFT-AUTH-OTHER",
            f"{self.url}: {_said(answer)}",
            "See what the log of the store's authentication says.",
            "STORE-ANSWER",
        )

    def _refused(self) -> AuthFault:
        domain = self._given.get("domain") or self._given.get("domainid")
        where = f" of the domain {domain}" if domain and self.version == 3 else ""
        keys = "username and password" + (" and domain" if self.version == 3 else "")
        if self.version == 1:
            keys += " (in version 1 of the authentication the user is tenant:user)"
        return AuthFault(
            "PRE-SWIFT-PASSWORD",
            f"{self.url} refuses the user {self.user}{where} with this password",
            f"Correct {keys}.",
        )

    def _wrong_tenant(self) -> AuthFault:
        scope = self._given.get("trustid") or self.tenant
        kind = "trust" if self._given.get("trustid") else "tenant"
        return AuthFault(
            "PRE-SWIFT-TENANT",
            f"{self.url} knows the user {self.user}, but does not let them into the {kind} {scope}",
            "Correct trustid, or have the trust renewed."
            if kind == "trust"
            else "Correct tenant (with tenantdomain, if it is not the user's) or tenantid, or give the user "
            "a role there.",
        )

    def _chosen(self, found: list[tuple[str, str]]) -> str:
        """The storage URL of the wanted region, the first if none is wanted."""
        region = self._given.get("region")
        for name, url in found:
            if url and region in {None, "", name}:
                return url
        if not any(url for _, url in found):
            raise self._no_service()
        names = ", ".join(sorted({name for name, _ in found}))
        raise AuthFault(
            "PRE-SWIFT-REGION",
            f"the object store is not in the region {region}, but in {names}",
            "Correct region, or leave it out to use the first one.",
        )

    def _no_service(self) -> AuthFault:
        interface = self._given.get("endpointtype", "public")
        hint = "Check that the catalogue has an object-store"
        if self.version > 1:
            hint += f" with an address of the kind {interface} (endpointtype)"
            hint += "" if self.tenant else ", and give a tenant: without one there is no catalogue"
        return AuthFault(
            "PRE-SWIFT-STORAGE-URL",
            f"{self.url} takes user and password, but names no address of an object store",
            f"{hint}.",
        )


def _access(url: str, token: str) -> Access:
    from msrctl.secret import Secret

    return Access(url.rstrip("/"), Secret(token))


def _json(answer: requests.Response) -> JSON:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _said(answer: requests.Response) -> str:
    error = _json(answer).get("error")
    said = error.get("message") if isinstance(error, dict) else None
    return f"{answer.status_code} {said or answer.reason}"[:300]

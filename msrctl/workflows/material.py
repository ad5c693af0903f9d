"""Makes what must be secret, and the parts of the cluster document that name it."""

from __future__ import annotations

import secrets as random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msrctl.errors import UsageFault
from msrctl.model import names
from msrctl.model.cluster import PROBE_USER, Accounts, Tls
from msrctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msrctl.model.requests import SettingsRequest


@dataclass
class Material:
    """Secrets that a plan will create, by the name of the swarm secret.

    Arguments:
        cluster_id: for their labels.
        version: of msrctl, for their labels.
    """

    cluster_id: str
    version: str
    secrets: dict[str, tuple[Secret, dict[str, str]]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, value: Secret, words: str) -> str:
        """Keeps a secret under a new name. The name is random: a hash of a password would help guess it."""
        name = f"dtr-{what}-{random.token_hex(5)}"
        self.secrets[name] = (value, names.labels(self.cluster_id, self.version, component="secret"))
        self.words[name] = words
        return name


def new_http_secret(material: Material) -> str:
    """The registry's http.secret: hex, so that it needs no quoting where the template puts it."""
    return material.add(
        "http-secret", Secret(random.token_hex(32)), "signs upload states, the same everywhere"
    )


def new_accounts(material: Material, admin: str, password: Secret | None) -> tuple[Accounts, Secret | None]:
    """The administrator and msrctl's own probe account; also the password if it was generated here.

    Arguments:
        material: takes the secrets.
        admin: the administrator's name.
        password: theirs, checked already; None: generate one.
    """
    from msrctl import accounts

    chosen = password or accounts.generate_password()
    probe = accounts.generate_password()
    lines = [
        accounts.htpasswd_line(
            admin,
            chosen,
            rounds=accounts.CHOSEN_ROUNDS if password else accounts.GENERATED_ROUNDS,
        ),
        accounts.htpasswd_line(PROBE_USER, probe, rounds=accounts.GENERATED_ROUNDS),
    ]
    htpasswd = Secret(b"\n".join(line.reveal().strip() for line in lines) + b"\n")
    made = Accounts(
        admin=admin,
        htpasswd_secret=material.add("htpasswd", htpasswd, f"accounts {admin} and {PROBE_USER}"),
        probe_secret=material.add("probe", probe, "msrctl's own password, to probe with"),
    )
    return made, None if password else chosen


def provided_tls(
    material: Material, settings: SettingsRequest, host: str | None
) -> tuple[Tls, tuple[str, ...]]:
    """TLS from --dtr-ca, --dtr-cert and --dtr-key, and warnings about it.

    Raises:
        UsageFault: everything that is wrong with the files, in one error.
    """
    from msrctl.tls.check import check_pair

    assert settings.certificate is not None
    assert settings.key is not None
    report = check_pair(settings.certificate, settings.key, ca_pem=settings.ca, host=host)
    if report.errors:
        raise UsageFault(
            "the TLS files cannot be used",
            code="TLS-FILES",
            state="Nothing was changed.",
            hint="Mend what is listed, then run this again.",
            details=report.errors,
        )
    key_secret = material.add("tls-key", settings.key, "private key of --dtr-cert")
    tls = Tls(
        source="provided", certificate=settings.certificate, ca=settings.ca or None, key_secret=key_secret
    )
    return tls, report.warnings


def generated_tls(material: Material, hosts: Sequence[str]) -> Tls:
    """A new CA, and a certificate of it for all the hosts."""
    from msrctl.tls import authority

    ca = authority.create_authority(f"msrctl CA of cluster {material.cluster_id}")
    key = authority.new_key()
    certificate = authority.sign(ca.certificate, ca.key, authority.signing_request(key, hosts))
    words = "for " + ", ".join(hosts[:4]) + (" ..." if len(hosts) > 4 else "")
    return Tls(
        source="generated",
        certificate=certificate,
        ca=ca.certificate,
        key_secret=material.add("tls-key", key, f"private key {words}"),
        ca_key_secret=material.add("ca-key", ca.key, "private key of msrctl's CA"),
    )

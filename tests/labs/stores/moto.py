"""S3 by moto's server with authentication: for quick tests, and for users that lack permissions.

It answers a presigned address with an error (it looks for a signature in the headers only), so a registry on
it must not redirect its clients.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from labs.stores.certificates import server_files
from labs.stores.installed import python_environment
from labs.stores.ports import free_ports, listens
from labs.stores.running import store_machine
from labs.stores.s3 import BUCKET, S3Store
from labs.stores.sigv4 import Signer
from msrctl.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

# Its extra `server` brings all of Amazon's services along, 300 MB; the server itself needs only these.
REQUIREMENTS = ("moto[s3]>=5.2,<6", "flask", "flask-cors")
# Requests that are served before authentication sets in: those that make the administrator.
SETUP_REQUESTS = 3
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@dataclass(frozen=True, kw_only=True)
class MotoStore(S3Store):
    """moto with its administrator's credentials."""

    _users: Iterator[int] = field(default_factory=itertools.count, repr=False, compare=False)

    def restricted(self, *lacking: str) -> S3Store:
        """The store as seen by a new user that may do everything but some S3 actions.

        Arguments:
            lacking: such as ``PutObject``.

        Raises:
            RuntimeError: moto refused.
        """
        denied = {"Effect": "Deny", "Action": [f"s3:{name}" for name in lacking], "Resource": "*"}
        return self.with_policy([EVERYTHING, denied])

    def with_policy(self, statements: Sequence[Mapping[str, object]]) -> S3Store:
        """The store as seen by a new user with a policy.

        Arguments:
            statements: of the policy.

        Raises:
            RuntimeError: moto refused.
        """
        signer = dataclasses.replace(self.signer, service="iam")
        key, secret = _make_user(signer, self.endpoint, f"user{next(self._users)}", statements)
        return dataclasses.replace(self, access_key=key, secret_key=secret)


def requirements() -> Path:
    """The virtual environment with moto's server; made when it is not in the cache, in 15 s."""
    return python_environment("moto", *REQUIREMENTS)


@contextlib.contextmanager
def moto(address: str, *, tls: bool = False) -> Iterator[MotoStore]:
    """An S3 store with one bucket; measured: up in 1.5 s, 0.1 GB of memory.

    Arguments:
        address: the address of this machine to listen on.
        tls: https with a private CA instead of plain http.

    Raises:
        RuntimeError: it did not start; the text has the end of its log.
    """
    environment = requirements()
    with store_machine("moto") as machine:
        (port,) = free_ports(address, 1)
        files = server_files(machine.directory, address) if tls else None
        secured = ("-c", str(files.certificate), "-k", str(files.key)) if files else ()
        machine.start(
            *("moto", str(environment / "bin" / "moto_server"), "-H", address, "-p", str(port), *secured),
            env={"INITIAL_NO_AUTH_ACTION_COUNT": str(SETUP_REQUESTS)},
        )
        machine.wait_for(lambda: listens(address, port), 30, "moto answers")
        endpoint = f"{'https' if tls else 'http'}://{address}:{port}"
        ca_file = machine.directory / "ca.crt" if files else None
        if files and ca_file:
            ca_file.write_text(files.ca)
        first = Signer("nobody", Secret("nothing"), "iam", ca=ca_file)
        key, secret = _make_user(first, endpoint, "administrator", [EVERYTHING])
        store = MotoStore(
            endpoint=endpoint,
            container=BUCKET,
            ca=files.ca if files else "",
            machine=machine,
            access_key=key,
            secret_key=secret,
            ca_file=ca_file,
        )
        store.bucket(BUCKET)
        yield store


def _make_user(
    signer: Signer, endpoint: str, name: str, statements: Sequence[Mapping[str, object]]
) -> tuple[str, Secret]:
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    _iam(signer, endpoint, Action="CreateUser", UserName=name)
    answer = _iam(signer, endpoint, Action="CreateAccessKey", UserName=name)
    _iam(signer, endpoint, Action="PutUserPolicy", UserName=name, PolicyName="rights", PolicyDocument=policy)
    return _element(answer, "AccessKeyId"), Secret(_element(answer, "SecretAccessKey"))


def _iam(signer: Signer, endpoint: str, **parameters: str) -> str:
    answer = signer.send("POST", f"{endpoint}/", {"Version": "2010-05-08"} | parameters)
    if not answer.ok:
        raise RuntimeError(f"moto: {parameters['Action']}: {answer.status_code} {answer.text}")
    return answer.text


def _element(xml: str, name: str) -> str:
    found = re.search(f"<{name}>([^<]+)</{name}>", xml)
    if found is None:
        raise RuntimeError(f"moto: no {name} in its answer: {xml}")
    return found[1]

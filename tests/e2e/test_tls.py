"""Certificates: our own CA, an operator's chain, and the ways from one to the other."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from support import look, run
from support.certificates import Made, make
from support.use import client, pull, push

from labs.cleaning import clean as clean_lab
from labs.deployment import Deployment, install
from labs.system import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from labs.engines import Lab


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> Deployment:
    clean_lab(lab, leave_swarm=True)
    deployment = install(lab[1])
    with client(deployment) as registry:
        push(registry, "stays/here")
    return deployment


def files(directory: Path, leaf: Made, middle: Made, root: Made) -> list[str]:
    for name, text in (("cert", leaf.pem + middle.pem), ("key", leaf.key), ("ca", root.pem)):
        (directory / name).write_text(text)
    return [part for n in ("cert", "key", "ca") for part in (f"--dtr-{n}", str(directory / n))]


def served(deployment: Deployment) -> str:
    """The certificate that is served, PEM."""
    return ssl.get_server_certificate((deployment.host.ip, 443))


def test_the_generated_certificate_is_for_all_the_names(deployed: Deployment) -> None:
    for url in (deployed.url, f"https://{deployed.host.name}", "https://localhost"):
        with client(deployed, url) as registry:
            assert pull(registry, "stays/here")
    assert deployed.ca.strip() == look.document(deployed.host)["tls"]["ca"].strip()


def test_from_generated_to_an_operators_chain_and_back(deployed: Deployment, tmp_path: Path) -> None:
    host = deployed.host
    root = make("Root", ca=True)
    middle = make("Middle", ca=True, issuer=root)
    leaf = make("registry", host.ip, issuer=middle)
    registry_task = look.task(host, "registry", deployed.replica_id)
    given = files(tmp_path, leaf, middle, root)
    assert run.data(host, "reconfigure", *given)["changed"]
    assert served(deployed).strip() == leaf.pem.strip()
    with client(deployed, ca=root.pem) as registry:
        assert pull(registry, "stays/here")
    assert look.task(host, "registry", deployed.replica_id) == registry_task
    assert look.leaks(look.everything_readable(host), [("the key", leaf.key)]) == []
    # The same files again are no change.
    assert run.data(host, "reconfigure", *given)["outcome"] == "nothing to do"
    # A name that they are not for is a warning, not a new certificate.
    found = run.document(host, "reconfigure", "--dtr-external-url", "https://other.test", check=0)
    assert any("other.test" in text for text in found["warnings"]), found["warnings"]
    assert served(deployed).strip() == leaf.pem.strip()
    # Taken away, msrctl makes its own again.
    empty = [part for n in ("cert", "key", "ca") for part in (f"--dtr-{n}", "")]
    run.data(host, "reconfigure", "--dtr-external-url", deployed.url, *empty)
    ca = look.document(host)["tls"]["ca"]
    with client(deployed, ca=ca) as registry:
        assert pull(registry, "stays/here")
    assert run.data(host, "status")["healthy"]
    assert look.tidy(host)


def test_wrong_files_change_nothing(deployed: Deployment, tmp_path: Path) -> None:
    root = make("Root", ca=True)
    leaf = make("registry", deployed.host.ip, issuer=root, days=-1)
    eventually(lambda: look.quiet(deployed.host), 20)
    before = look.objects(deployed.host), served(deployed)
    told = run.refused(
        deployed.host, 2, "TLS-FILES", "reconfigure", *files(tmp_path, leaf, root, make("Other", ca=True))
    )
    assert "expired" in told
    assert (look.objects(deployed.host), served(deployed)) == before

"""What an error says besides where msrctl runs from its own image."""

from __future__ import annotations

import pytest

from msrctl import bootstrapper
from msrctl.cli import pem
from msrctl.engine.faults import from_exception
from msrctl.images.context import dockerfile


def test_the_image_tells_msrctl_that_it_is_one() -> None:
    assert f"{bootstrapper.VARIABLE}=1".encode() in dockerfile()


def test_a_container_without_the_socket_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def hint() -> str:
        fault = from_exception(FileNotFoundError(2, "No such file"), doing="connect", endpoint="unix:///x")
        return fault.hint or ""

    monkeypatch.delenv(bootstrapper.VARIABLE, raising=False)
    assert "docker run" not in hint()
    monkeypatch.setenv(bootstrapper.VARIABLE, "1")
    assert "-v /var/run/docker.sock:/var/run/docker.sock" in hint()


def test_a_file_that_is_not_in_the_container_has_to_be_mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(bootstrapper.VARIABLE, raising=False)
    with pytest.raises(ValueError, match=r"that exists$"):
        pem.certificates("/no/such/file.pem")
    monkeypatch.setenv(bootstrapper.VARIABLE, "1")
    with pytest.raises(ValueError, match="mount it"):
        pem.certificates("/no/such/file.pem")

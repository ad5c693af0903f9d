"""An engine that may be behind a load balancer: what gets cut there is asked again, or looked for first."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from msrctl.engine import patience
from msrctl.engine.docker import DockerEngine

if TYPE_CHECKING:
    import requests

    from msrctl.errors import MsrctlError


class BalancedEngine(DockerEngine):
    """As `DockerEngine`, but no answer that gets lost on the way leaves anything half known."""

    def _tries(self) -> patience.Tries:
        return patience.Tries(balanced=True, led=self._led)

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        return patience.asked(partial(super()._send, method, url, **options), again=method == "GET")

    def _fault(self, status: int, text: str, *, doing: str) -> MsrctlError:
        if status in patience.GATEWAY:
            return patience.gateway_fault(status, doing=doing, endpoint=self.endpoint)
        return super()._fault(status, text, doing=doing)

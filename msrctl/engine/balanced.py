"""An engine that may be behind a load balancer: what gets cut there is asked again, or looked for first."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from msrctl.engine import patience
from msrctl.engine.docker import DockerEngine

if TYPE_CHECKING:
    import requests

    from msrctl.engine.protocol import JSON, Kind
    from msrctl.errors import MsrctlError


class BalancedEngine(DockerEngine):
    """As `DockerEngine`, but no answer that gets lost on the way leaves anything half known."""

    def create(self, kind: Kind, spec: JSON) -> str:
        """Creates an object; see `DockerEngine.create`."""
        return patience.create(self, partial(super().create, kind, spec), kind, spec)

    def update(self, kind: Kind, ident: str, version: int, spec: JSON, *, back: bool = False) -> None:
        """Updates an object; see `DockerEngine.update`."""
        sent = partial(self._with_ids, spec) if kind == "services" else partial(dict, spec)
        patience.update(
            self, partial(super().update, kind, ident, version, spec, back=back), kind, version, sent
        )

    def remove(self, kind: Kind, ident: str) -> bool:
        """Removes an object; see `DockerEngine.remove`."""
        return patience.remove(partial(super().remove, kind, ident))

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        return patience.asked(partial(super()._send, method, url, **options), again=method == "GET")

    def _fault(self, status: int, text: str, *, doing: str) -> MsrctlError:
        if status in patience.GATEWAY:
            return patience.gateway_fault(status, doing=doing, endpoint=self.endpoint)
        return super()._fault(status, text, doing=doing)

"""Whether an image has the same msrctl in it as the one that runs: a one-shot runs the image's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msrctl import __version__
from msrctl.errors import WrongState
from msrctl.model import names

if TYPE_CHECKING:
    from msrctl.engine.protocol import Engine


def require_same_version(engine: Engine, image_id: str) -> None:
    """Refuses an image that has another msrctl in it, as its label says.

    An image without that label, or one that only other nodes have, is not judged.

    Raises:
        WrongState: IMAGE-SKEW.
    """
    found = engine.image(image_id) or {}
    labels = (found.get("Config") or {}).get("Labels") or {}
    version = labels.get(names.LABEL_VERSION, __version__)
    if version == __version__:
        return
    name = next(iter(found.get("RepoTags") or []), image_id)
    raise WrongState(
        f"image {name} has msrctl {version} in it, and this is msrctl {__version__}: one would not "
        "understand the other",
        code="IMAGE-SKEW",
        hint=f"Use msrctl {version}, for example the one in the image: docker run --rm -it "
        f"-v /var/run/docker.sock:/var/run/docker.sock {name} ... For an install, --image takes "
        f"an image of msrctl {__version__} (msrctl images build makes it).",
    )

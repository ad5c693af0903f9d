"""The owner marker of a store: whose it is, and which store it is whatever name leads to it.

Two registries of two clusters on one store damage each other (users-pains.md, 24), and one store under two
names must not be mistaken for two.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from msrctl.transfer.store import OWNER, StoreError

if TYPE_CHECKING:
    from msrctl.transfer.store import Store


@dataclass(frozen=True)
class Owner:
    """What a marker says.

    Arguments:
        store: random id of the store itself.
        cluster: id of the cluster that uses it.
        url: that cluster's URL, for people.
        since: when it was written, RFC 3339.
    """

    store: str
    cluster: str
    url: str
    since: str


def read_owner(store: Store) -> Owner | None:
    """The marker, or None if the store has none.

    Raises:
        StoreError: there is one and it cannot be read.
    """
    try:
        data = json.loads(store.read(OWNER))
        return Owner(**{k: str(data[k]) for k in ("store", "cluster", "url", "since")})
    except KeyError as error:
        if error.args == (OWNER,):
            return None
        raise StoreError(f"{store.words}: {OWNER} lacks {error}", "STORE-OWNER") from None
    except (ValueError, TypeError):
        raise StoreError(f"{store.words}: {OWNER} is damaged", "STORE-OWNER") from None


def write_owner(store: Store, owner: Owner) -> None:
    """Writes the marker; what was there is replaced."""
    data = json.dumps(asdict(owner), sort_keys=True).encode()
    store.write(OWNER, (data,), len(data))

"""A type for secrets: its text never shows in a repr, a log, a plan or a traceback."""

from __future__ import annotations

import hmac


class Secret:
    """Holds secret bytes; ask for them with `reveal`.

    Arguments:
        value: the secret, text (kept as UTF-8) or bytes.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | bytes) -> None:
        self._value = value.encode() if isinstance(value, str) else value

    def reveal(self) -> bytes:
        """The secret's bytes. Give them only to what stores or uses the secret."""
        return self._value

    def reveal_text(self) -> str:
        """The secret as text. Give it only to what stores or uses the secret."""
        return self._value.decode()

    def __repr__(self) -> str:
        return "****"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not written anywhere")

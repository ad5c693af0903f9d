"""What obstore raises, as `StoreError` with a code and one line of words."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from msrctl.transfer.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

# The server's own words in its answers of XML (S3, Azure, GCS).
_CODE = re.compile(r"<Code>([^<]{1,100})</Code>|\(code: (\w+)\)")
_MESSAGE = re.compile(r"<Message>([^<\n]{1,300})")
_STATUS = re.compile(r"non-2xx status code: (\d{3})")
# Parts of what its HTTP library tells, in the order of trying.
_CAUSES = (
    (r"certificate|UnknownIssuer|InvalidContentType|tls|CaUsedAsEndEntity", "STORE-TLS", "TLS failed"),
    (r"dns error|failed to lookup", "STORE-NAME", "its name cannot be resolved"),
    (r"Connection refused|ConnectionRefused", "STORE-REFUSED", "connection refused"),
    (r"kind: Timeout|TimedOut|timed out", "STORE-TIMEOUT", "no answer in time"),
    (r"ConnectionReset|Connection reset|IncompleteMessage|kind: Connect", "STORE-NETWORK", "connection lost"),
)
# Where clouds serve an instance's credentials; asked for if none are given.
_INSTANCE = re.compile(r"http://169\.254\.(169\.254|170\.2)/|metadata\.google\.internal")
_DENIED = frozenset({"401", "403"})


@contextlib.contextmanager
def as_store_errors(words: str, key: str, *, missing_is_error: bool = False) -> Iterator[None]:
    """Turns the errors of obstore within into `StoreError`, and a missing object into KeyError.

    Arguments:
        words: the store.
        key: the object, as the caller knows it.
        missing_is_error: take "not found" for an error too: of a list, for example.

    Raises:
        KeyError: there is no such object.
        StoreError: anything else that the library raises.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError as error:
        translated = translate(error, words, key)
        if missing_is_error or translated.code == "STORE-BUCKET":
            raise translated from None
        raise KeyError(key) from None
    except BaseError as error:
        raise translate(error, words, key) from None


def translate(error: Exception, words: str, key: str) -> StoreError:
    """The error in words of ours.

    Arguments:
        error: of obstore, whose text goes on with pages of its inner state.
        words: the store.
        key: the object.
    """
    text = str(error)
    about = f"{words}: {key}" if key else words
    if _INSTANCE.search(text):
        return StoreError(f"{words}: no keys are given, and the instance offers none", "STORE-CREDENTIALS")
    code = server_code(text)
    if code in {"NoSuchBucket", "ContainerNotFound"}:
        return StoreError(f"{words}: the bucket does not exist", "STORE-BUCKET")
    status = _STATUS.search(text)
    if code or status:
        said = _MESSAGE.search(text)
        reason = " ".join(filter(None, [status and status[1], code, said and said[1].strip()]))
        denied = (status and status[1] in _DENIED) or code == "AccessDenied"
        return StoreError(f"{about}: {reason}", "STORE-DENIED" if denied else "STORE-ANSWER")
    for pattern, cause, reason in _CAUSES:
        if re.search(pattern, text):
            return StoreError(f"{about}: {reason}", cause)
    return StoreError(f"{about}: {text.splitlines()[0] if text else type(error).__name__}", "STORE")


def server_code(text: str) -> str:
    """The code in a server's answer, such as ``AccessDenied``, or ""."""
    found = _CODE.search(text)
    return (found[1] or found[2]) if found else ""

"""What is tried in an Azure store before anything changes, and what each failure means.

The registry itself ends with a panic, or is silent for minutes (object-stores.md, section 2).
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from azure.core.exceptions import AzureError, HttpResponseError

from msrctl.transfer.azure import AzureStore
from msrctl.transfer.azure_answers import code_of, reason_of
from msrctl.transfer.endpoint_check import Setting, check_endpoint
from msrctl.transfer.store import ROOT, StoreError
from msrctl.transfer.web import network_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from msrctl.secret import Secret

JSON = dict[str, Any]
SECONDS = 3.0
"""Limit of one request."""
BYTES = 4096
# Azure's codes, with ours and the remedy.
MEANING: dict[str, tuple[str, str]] = {
    "AuthenticationFailed": (
        "PRE-AZURE-KEY",
        "Write one of the account's two keys into accountkey: Azure portal, storage account, Access keys.",
    ),
    "KeyBasedAuthenticationNotPermitted": (
        "PRE-AZURE-KEY-DISABLED",
        "Allow access by account key in the storage account's configuration (allowSharedKeyAccess).",
    ),
    "AccountIsDisabled": ("PRE-AZURE-ACCOUNT-DISABLED", "Enable the storage account again."),
    "AuthorizationFailure": (
        "PRE-AZURE-FIREWALL",
        "Let that node's address through in the storage account's networking settings.",
    ),
    "ContainerNotFound": ("PRE-AZURE-CONTAINER", "Create the container, or correct its name."),
    "InvalidResourceName": (
        "PRE-AZURE-CONTAINER-NAME",
        "Use 3 to 63 lower-case letters, digits and single dashes for container.",
    ),
    "OutOfRangeInput": (
        "PRE-AZURE-CONTAINER-NAME",
        "Use 3 to 63 lower-case letters, digits and single dashes for container.",
    ),
    "ContainerBeingDeleted": (
        "PRE-AZURE-CONTAINER-DELETED",
        "Wait until Azure has deleted the container of that name (30 s and more), or take another name.",
    ),
    "BlobImmutableDueToPolicy": (
        "PRE-AZURE-IMMUTABLE",
        "Take the immutability policy off the container: a registry must replace and delete.",
    ),
}
CLOCK = "Request date header too old"


def probe(
    parameters: Mapping[str, Any],
    secrets: Mapping[str, Secret],
    root_ca: str | None = None,
    words: str = "",
    *,
    leading_slash: bool | None = None,
    seconds: float = SECONDS,
) -> Iterator[JSON]:
    """Reaches the account, lists, writes, reads and deletes a blob under the root; the first failure ends it.

    A container that is not there is no failure, and is not made here: registry and copy make it when they
    first write, which whoever has the account's key may do.

    Arguments:
        parameters: as in schemas/storage-azure.json, nested keys with dots.
        secrets: values of the secret parameters.
        root_ca: a CA to trust beside the system's, PEM.
        words: the store in words.
        leading_slash: see `AzureStore`.
        seconds: limit of each step.

    Returns:
        As `Store.probe`; codes PRE-AZURE-* and those of `check_endpoint`.
    """
    limits: JSON = {"retries": 0, "connect": seconds, "read": seconds}
    store = AzureStore(parameters, secrets, root_ca, words, leading_slash=leading_slash, **limits)
    try:
        store.account_key()
    except StoreError as error:
        yield _credentials(str(error).removeprefix(f"{store.words}: "))
        return
    setting = Setting(address="serviceurl" if "serviceurl" in parameters else "realm")
    for check in check_endpoint(
        store.endpoint, root_ca=store.root_ca, skip_verify=store.skip_verify, setting=setting, seconds=seconds
    ):
        yield _account(check, store)
        if not check["ok"]:
            return
    yield from _steps(store)


def _steps(store: AzureStore) -> Iterator[JSON]:
    title = f"list the container {store.container}"
    failure = _try(store, title, lambda: next(iter(store.client.list_blobs(results_per_page=1)), None))
    if failure and failure["code"] == "PRE-AZURE-CONTAINER":
        yield {"title": title, "ok": True, "detail": "it is not there yet: the first write makes it"}
        return
    if failure:
        yield failure
        return
    yield {"title": title, "ok": True, "detail": _unseen(store)}
    yield _write_read_delete(store)


def _unseen(store: AzureStore) -> str:
    """Says so if there are images that this registry does not see, as when other tools copied them there.

    Registry 2.8 puts a slash in front of all names; hardly anything else does (distribution issue 1247).
    """
    ours = store.name(f"{ROOT}/")
    other = ours[1:] if ours.startswith("/") else f"/{ours}"

    def has(prefix: str) -> bool:
        return any(store.client.list_blob_names(name_starts_with=prefix, results_per_page=1))

    found: list[bool] = []
    failure = _try(store, "", lambda: found.append(has(other) and not has(ours)))
    if failure or not any(found):
        return ""
    return f"images are there below {other}, but this registry looks below {ours} and sees none of them"


def _write_read_delete(store: AzureStore) -> JSON:
    title = "write, read back, delete"
    blob = store.client.get_blob_client(store.name(f"msrctl-probe-{uuid4().hex}"))
    data = os.urandom(BYTES)
    began = time.monotonic()

    def read_back() -> None:
        if blob.download_blob().readall() != data:
            raise StoreError("what was written is not what is read")

    steps: list[tuple[str, Callable[[], Any]]] = [
        ("write", lambda: blob.upload_blob(data, overwrite=True, length=BYTES)),
        ("read", read_back),
        ("delete", blob.delete_blob),
    ]
    for verb, step in steps:
        if failure := _try(store, title, step, verb):
            if verb == "delete":
                failure["detail"] += f"; {blob.blob_name} is left in the container"
            return failure
    return {"title": title, "ok": True, "detail": f"{(time.monotonic() - began) * 1000:.0f} ms"}


def _try(store: AzureStore, title: str, step: Callable[[], Any], verb: str = "list") -> JSON | None:
    """One step; what is wrong with it, or None."""
    try:
        step()
    except HttpResponseError as error:
        return _refusal(store, title, error, verb)
    except AzureError as error:
        return {
            "title": title,
            "ok": False,
            "detail": f"{store.endpoint}: {network_fault(error)[1]}",
            "code": "PRE-AZURE-NO-ANSWER",
            "hint": "See whether the store is up and not overloaded, and what is between that node and it.",
        }
    except StoreError as error:
        hint = "See whether a proxy or a gateway in between changes what is stored."
        return {"title": title, "ok": False, "detail": str(error), "code": "PRE-AZURE-DATA", "hint": hint}
    return None


def _refusal(store: AzureStore, title: str, error: Any, verb: str) -> JSON:
    theirs, said = code_of(error), reason_of(error)
    if theirs == "AuthorizationFailure" and "failed to authenticate" in said:
        theirs = "AuthenticationFailed"  # Azurite's word for a wrong key
    code, hint = MEANING.get(theirs, ("PRE-AZURE-OTHER", "See what Azure's documentation says of that code."))
    if theirs not in MEANING and error.status_code in {401, 403}:
        code, hint = "PRE-AZURE-DENIED", f"Allow {verb} to whoever has the account's key."
    if theirs == "AuthenticationFailed" and CLOCK in str(error):
        code, hint = "PRE-AZURE-CLOCK", "Set that node's clock right: Azure takes 15 minutes of difference."
    return {
        "title": title,
        "ok": False,
        "detail": f"account {store.account}, container {store.container}: {said}",
        "code": code,
        "hint": hint,
    }


def _account(check: JSON, store: AzureStore) -> JSON:
    """A name that does not resolve means an account that does not exist: each has a name of its own."""
    if check.get("code") != "PRE-STORE-NAME" or "serviceurl" in store.parameters:
        return check
    hint = (
        "Check accountname and realm, and the name servers of that node: an account that exists has a name."
    )
    detail = f"no account {store.account}: {check['detail']}"
    return check | {"code": "PRE-AZURE-ACCOUNT", "detail": detail, "hint": hint}


def _credentials(said: str) -> JSON:
    malformed = "base64" in said
    return {
        "title": "credentials",
        "ok": False,
        "detail": said,
        "code": "PRE-AZURE-KEY-FORMAT" if malformed else "PRE-AZURE-CREDENTIALS",
        "hint": "Write the account's key into accountkey as the portal shows it"
        + (", with the = at its end." if malformed else "."),
    }

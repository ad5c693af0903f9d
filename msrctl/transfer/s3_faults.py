"""What an S3 store refuses, as a check with its code, words and remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msrctl.storage.regions import is_amazon

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from msrctl.transfer.s3_settings import S3Settings

JSON = dict[str, Any]
ON_THE_BUCKET = frozenset({"ListBucket", "GetBucketLocation", "ListBucketMultipartUploads"})
DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "Forbidden"})

# Codes of S3 (and of urllib3's errors) to: our code, what happened, what to do. Source of S3's codes: its API
# reference, "List of error codes"; `{}` are filled from the settings and the answer.
FAULTS: dict[str, tuple[str, str, str]] = {
    "InvalidAccessKeyId": (
        "PRE-S3-KEY-ID",
        "the store does not know the access key",
        "Correct accesskey: it is the id of the key, not its secret.",
    ),
    "SignatureDoesNotMatch": (
        "PRE-S3-SECRET",
        "the secret key is not the one of this access key",
        "Correct secretkey; if it is right, v4auth or region may be what the store does not expect.",
    ),
    "NoSuchBucket": (
        "PRE-S3-BUCKET",
        "there is no bucket {bucket}",
        "Create the bucket, or correct bucket: the registry does not make it.",
    ),
    "PermanentRedirect": (
        "PRE-S3-REGION",
        "the bucket is not in region {region}{other}",
        "Set region to {where}{endpoint}.",
    ),
    "RequestTimeTooSkewed": (
        "PRE-S3-CLOCK",
        "the clocks of that node and of the store are too far apart{date}",
        "Set that node's clock right (timedatectl set-ntp true), or the store's.",
    ),
    "STORE-CREDENTIALS": (
        "PRE-S3-CREDENTIALS",
        "no keys are given, and the instance offers none",
        "Give accesskey and secretkey; or a role to the instance, with hop limit 2 for containers.",
    ),
    "InvalidToken": (
        "PRE-S3-TOKEN",
        "the session token is not valid any more",
        "Give keys that last: the registry cannot renew temporary ones.",
    ),
    "AccessControlListNotSupported": (
        "PRE-S3-ACL",
        "the bucket takes no ACL like this",
        "Set objectacl to bucket-owner-full-control.",
    ),
    "InvalidStorageClass": (
        "PRE-S3-CLASS",
        "the store does not know this storage class",
        "Set storageclass to STANDARD, or to NONE for stores that know no classes.",
    ),
    "KMS": (
        "PRE-S3-KMS",
        "the KMS key {kms} cannot be used",
        "Correct keyid, and allow this access key to use it (kms:GenerateDataKey, kms:Decrypt).",
    ),
    "InvalidBucketName": (
        "PRE-S3-BUCKET-NAME",
        "the store takes no bucket of this name",
        "Correct bucket.",
    ),
    "TooSlow": (
        "PRE-STORE-TIMEOUT",
        "the store answers too slowly: the probe was given up",
        "See whether the store is overloaded, and how long requests from that node take.",
    ),
    "Timeout": (
        "PRE-STORE-TIMEOUT",
        "the store accepts the request, but gives no answer in time",
        "See whether the store is up and not overloaded.",
    ),
    "OtherBytes": (
        "PRE-S3-OTHER-BYTES",
        "what was written is not what is read",
        "Look for a cache or a proxy between that node and the store.",
    ),
    "NotS3": (
        "PRE-S3-NOT-S3",
        "the answer is not that of an S3 store: {status}",
        "Correct regionendpoint: something else serves there.",
    ),
}
ALIKE = {
    "AuthorizationHeaderMalformed": "PermanentRedirect",
    "IllegalLocationConstraintException": "PermanentRedirect",
    "TemporaryRedirect": "PermanentRedirect",
    "InvalidRegion": "PermanentRedirect",
    "ExpiredToken": "InvalidToken",
    "TokenRefreshRequired": "InvalidToken",
    "RequestExpired": "RequestTimeTooSkewed",
}


@dataclass(frozen=True)
class Refusal:
    """A request that failed.

    Arguments:
        title: what was tried.
        permission: what it needs, such as ``PutObject``; "" if that is not the point.
        status: of the answer; 0: none.
        code: the server's.
        message: the server's.
        region: where the server says that the bucket is.
        date: the server's clock.
    """

    title: str
    permission: str
    status: int
    code: str
    message: str = ""
    region: str = ""
    date: str = ""

    @classmethod
    def of(cls, title: str, permission: str, answer: BaseHTTPResponse, text: str, code: str) -> Refusal:
        """From an answer and its text."""
        said = re.search(r"<Message>([^<]{1,300})", text)
        region = re.search(r"<Region>([\w-]+)<", text) or re.search(r"expecting '([\w-]+)'", text)
        where = answer.headers.get("x-amz-bucket-region") or (region[1] if region else "")
        if answer.status == 301 and not code:
            code = "PermanentRedirect"
        message, date = said[1].strip() if said else "", answer.headers.get("Date", "")
        return cls(title, permission, answer.status, code, message, where, date)

    @classmethod
    def on_the_way(cls, title: str, error: Exception) -> Refusal:
        """From an error of urllib3."""
        from urllib3.exceptions import MaxRetryError
        from urllib3.exceptions import TimeoutError as NoAnswer

        cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
        timed_out = isinstance(cause, NoAnswer)
        words = str(cause).rpartition(": ")[2] or type(cause).__name__
        return cls(title, "", 0, "Timeout" if timed_out else "", words)

    @property
    def is_denied(self) -> bool:
        """Whether only a permission is missing."""
        return (
            self.status == 403
            and (self.code in DENIED or not self.code)
            and "kms" not in self.message.lower()
        )


def explain(settings: S3Settings, refusal: Refusal) -> JSON:
    """The check.

    Arguments:
        settings: the store.
        refusal: what failed.
    """
    if refusal.permission and refusal.is_denied:
        return _denied(settings, refusal)
    name = ALIKE.get(refusal.code, refusal.code)
    if name.startswith("KMS") or "kms" in refusal.message.lower():
        name = "KMS"
    # A store of one's own does not call a wrong region so, and Amazon only where it says which is right.
    if name == "PermanentRedirect" and not refusal.region and refusal.code == "AuthorizationHeaderMalformed":
        name = "SignatureDoesNotMatch"
    if name not in FAULTS and not refusal.code and refusal.status:
        name = "NotS3"
    if name not in FAULTS:
        words = " ".join(filter(None, [str(refusal.status or ""), refusal.code, refusal.message]))
        hint = "See what the store's own log says of it, and correct the storage configuration."
        return _check(refusal.title, "PRE-S3-OTHER", f"the store failed: {words}", hint)
    code, detail, hint = FAULTS[name]
    filled = {
        "bucket": settings.bucket,
        "region": settings.region,
        "other": f" but in {refusal.region}" if refusal.region else "",
        "where": refusal.region or "the region of the bucket",
        "endpoint": ", and leave regionendpoint out"
        if settings.parameters.get("regionendpoint") and is_amazon(settings.endpoint)
        else "",
        "date": f": there it is {refusal.date}" if refusal.date else "",
        "kms": settings.parameters.get("keyid", ""),
        "status": refusal.status,
    }
    return _check(refusal.title, code, detail.format_map(filled), hint.format_map(filled))


def _denied(settings: S3Settings, refusal: Refusal) -> JSON:
    name = refusal.permission
    target = f"arn:aws:s3:::{settings.bucket}"
    if name not in ON_THE_BUCKET:
        target += f"/{settings.root}*"
    return _check(
        refusal.title,
        f"PRE-S3-DENIED-{name.upper()}",
        f"the permission {name} is missing",
        f"Allow s3:{name} on {target} in the policy of the access key.",
    )


def _check(title: str, code: str, detail: str, hint: str) -> JSON:
    return {"title": title, "ok": False, "detail": detail, "code": code, "hint": hint}

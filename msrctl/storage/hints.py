"""What to say about keys that people get wrong (reference: distribution-storage.md, sections 5 and 6)."""

from __future__ import annotations

HINTS: dict[tuple[str, ...], str] = {
    ("swift", "rootdirectory"): "unknown; the registry would ignore it: on swift it is prefix",
    ("swift", "skipverify"): "unknown; the registry would ignore it: on swift it is insecureskipverify",
    ("swift", "credentials"): "unknown; on swift username and password stand by themselves",
    ("s3", "prefix"): "unknown; the registry would ignore it: on s3 it is rootdirectory",
    ("s3", "endpoint"): "unknown; the registry would ignore it: it is regionendpoint",
    ("s3", "pathstyle"): "unknown; with a regionendpoint 2.8 uses path style, 3 with forcepathstyle: true",
    ("s3", "multipartcopy"): "unknown; write multipartcopychunksize, multipartcopymaxconcurrency and "
    "multipartcopythresholdsize beside the other keys",
    ("s3", "bucketname"): "unknown; the registry would ignore it; did you mean bucket?",
    ("s3", "redirectendpoint"): "unknown to every released registry",
    ("s3", "insecureskipverify"): "unknown; the registry would ignore it: on s3 it is skipverify",
    ("azure", "prefix"): "unknown; registry 2.8 has no prefix on azure, 3 calls it rootdirectory",
    ("azure", "connectionstring"): "the registry reads it and never uses it: give accountname and accountkey",
    ("gcs", "prefix"): "unknown; the registry would ignore it: on gcs it is rootdirectory",
    ("filesystem", "maxthreads", "minimum"): "; the registry would raise it silently",
    ("gcs", "maxconcurrency", "minimum"): "; the registry would raise it silently",
}
"""By driver and key, or by driver, key and the rule of the schema that is broken."""

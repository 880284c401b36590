"""What people type of a bucket -> its name, and the folder or file that is meant in it."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from ckptscan.errors import UsageError
from ckptscan.index import is_index
from ckptscan.paths import is_inside

KINDS = {"s3": "s3", "gs": "gs", "az": "az", "abfs": "az", "abfss": "az"}
_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9$._-]*")
# container@account.dfs.core.windows.net, or a container alone
_ABFS = re.compile(_BUCKET.pattern + r"(@[A-Za-z0-9][A-Za-z0-9.-]*)?")
_ENDPOINTS = {  # variables of the environment; the first that is set counts
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}


class Address(NamedTuple):
    """A bucket as it is opened, `s3://bucket`, and what is meant in it."""

    kind: str
    root: str
    bucket: str
    path: str
    named: str | None

    @property
    def folder(self) -> str:
        """The folder below which files are looked for, "" for the bucket itself."""
        return self.path.rpartition("/")[0] if self.named else self.path

    @property
    def name(self) -> str:
        """The file that was named, below the folder."""
        return self.path.rpartition("/")[2]

    @property
    def title(self) -> str:
        """Bucket and path."""
        return f"{self.bucket}/{self.path}" if self.path else self.bucket


def parse(spec: str, shown: str) -> Address:
    """`s3://bucket/folder/` -> what it names; raises UsageError."""
    scheme, _, rest = spec.partition("://")
    bucket, _, path = rest.partition("/")
    is_folder = path.endswith("/")
    path = path.removesuffix("/")
    shape = _ABFS if scheme in ("abfs", "abfss") else _BUCKET
    if scheme not in KINDS or not shape.fullmatch(bucket):
        raise UsageError(
            f"{shown}: no name of a bucket",
            f"write {scheme}://bucket/folder; credentials stand in the environment",
        )
    if path and not is_inside(path):
        raise UsageError(f"{shown}: no path in a bucket", f"write {scheme}://bucket/folder")
    named = None if is_folder else _named(path)
    return Address(KINDS[scheme], f"{scheme}://{bucket}", bucket.partition("@")[0], path, named)


def _named(path: str) -> str | None:
    if path.endswith(".safetensors"):
        return "file"
    return "index" if is_index(path) else None


def endpoint(kind: str) -> str:
    """Where the environment says that buckets of a kind lie; "" for the provider's own place."""
    return next((os.environ[name] for name in _ENDPOINTS[kind] if os.environ.get(name)), "")

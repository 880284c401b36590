"""Buckets of S3, Google Cloud Storage and Azure, read through obstore by ranges.

    s3://bucket/folder/      gs://bucket/model.safetensors      az://container/folder
    abfss://container@account.dfs.core.windows.net/folder

Credentials, region and endpoint are those that obstore finds in the environment: AWS_*, GOOGLE_*,
AZURE_* (az:// takes its account from AZURE_STORAGE_ACCOUNT_NAME), and the identity of the machine.
Profiles in ~/.aws are not read; `aws configure export-credentials --format env` tells what they
hold. Only S3 was tried against a server; gs and az go the same way through obstore.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

from ckptscan.errors import SourceNotFound, SourceUnreachable, SourceUnreadable
from ckptscan.paths import is_inside
from ckptscan.sources.access import Access, Deadline
from ckptscan.sources.base import UNSAFE, FileEntry, Origin, is_told
from ckptscan.sources.cache import Kept, Shelf
from ckptscan.sources.cloud.address import Address, endpoint, parse
from ckptscan.sources.cloud.bucket import Bucket, Meta
from ckptscan.sources.cloud.refusals import NotAllowed
from ckptscan.sources.crew import alone
from ckptscan.sources.pieces import Pieces
from ckptscan.sources.ranged import Beginning, RangedSource
from ckptscan.sources.unlisted import open_unlisted


def open_cloud(spec: str, shown: str, access: Access) -> RangedSource:
    """The source that a bucket, a folder in it, a file or an index is.

    Raises SourceError, UsageError.
    """
    address = parse(spec, shown)
    if access.offline:
        raise SourceUnreachable(f"{shown}: requests are forbidden", "leave --offline out")
    return _Visit(address, shown, access).open()


class _Visit:
    """One opening of an address: what is listed there, and how its files are read."""

    def __init__(self, address: Address, shown: str, access: Access) -> None:
        self._bucket = Bucket(address, shown, access)
        self._address = address
        self._shown = shown
        self._watch = access.watch
        self._deadline = Deadline(access.timeout)
        self._place = Pieces(self._fetch, access.watch)

    def open(self) -> RangedSource:
        one = self._address
        if one.named == "file":
            meta = alone(lambda: self._bucket.head(one.path), self._deadline)
            return self._listed([meta])
        try:
            metas = alone(lambda: self._bucket.metas(one.folder), self._deadline)
        except (NotAllowed, SourceUnreadable) as error:
            if one.named:
                return open_unlisted(self._origin(), self._place, self._deadline, self._watch)
            if isinstance(error, NotAllowed):
                error.hint = f"where only lists are refused, name an index or a file; {error.hint}"
            raise
        return self._listed(metas)

    def _listed(self, metas: list[Meta]) -> RangedSource:
        """The files as they are told of, whose beginnings are kept for as long as they stay so."""
        one = self._address
        entries = {entry.path: entry for entry in self._entries(metas)}
        if not entries:
            raise SourceNotFound(f"{self._shown}: nothing lies below it", "check the name")
        if one.named and one.name not in entries:
            raise SourceNotFound(f"{self._shown}: is not in its bucket", "check the name")
        state = sha256(repr(sorted(metas)).encode("utf-8", "surrogatepass")).hexdigest()
        shelf = Shelf(f"{one.root}@{endpoint(one.kind)}", one.folder)
        return RangedSource(
            self._origin(),
            entries.values(),
            self._place,
            self._deadline,
            self._watch,
            (Kept(shelf, state, one.folder),),
        )

    def _entries(self, metas: Iterable[Meta]) -> Iterator[FileEntry]:
        """Files with paths below the folder; one that two keys come to is told, and not read."""
        skip, seen = len(self._key("")), set[str]()
        for meta in metas:
            path, problem = meta.key[skip:].rstrip("/"), None
            if not path:  # a marker of the folder itself
                continue
            if not is_inside(path):
                problem = UNSAFE
            elif meta.key.endswith("/"):
                problem = "holds keys that are no paths"
            elif path in seen:
                problem = "is the name of two objects"
            seen.add(path)
            if is_told(path):
                yield FileEntry(path, meta.size, problem=problem)

    def _origin(self) -> Origin:
        one = self._address
        return Origin(self._shown, one.kind, one.title, named=one.named)

    def _fetch(self, path: str, start: int, length: int) -> Beginning:
        return Beginning(*self._bucket.get(path, self._key(path), start, length))

    def _key(self, path: str) -> str:
        folder = self._address.folder
        return f"{folder}/{path}" if folder else path

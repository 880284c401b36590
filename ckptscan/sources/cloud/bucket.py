"""One bucket through obstore: lists, sizes and ranges, with failures in words of ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from ckptscan.errors import SourceError, SourceUnreadable, UsageError
from ckptscan.sources.access import Access
from ckptscan.sources.base import MAX_FILES, is_listed
from ckptscan.sources.cloud.address import Address, endpoint
from ckptscan.sources.cloud.refusals import explained, is_misnamed, status_of

ONE_REQUEST = 30.0  # seconds for one request, and for all of its repetitions to begin
CONNECT = 10.0  # seconds to a connection
RETRIES = 4
PIECE = 4 << 20  # bytes of one request: 140 kB/s will do
NO_AUTHORITIES = "No CA certificates"  # of reqwest, when it can't build a client
MAX_FOLDERS = 1000  # listed one by one, where a key that is no path spoils the list of all


class Meta(NamedTuple):
    """What a bucket tells of one object; `seal` changes when it is written.

    A `key` that ends in a slash is a folder that can't be listed.
    """

    key: str
    size: int
    seal: str


class Bucket:
    """The bucket of an address. Opening it sends nothing; all else raises SourceError."""

    def __init__(self, address: Address, shown: str, access: Access) -> None:
        self._obstore = _imported(shown)
        self._failures: tuple[type[Exception], ...] = (
            OSError,
            ValueError,
            self._obstore.exceptions.BaseError,
        )
        self._store = self._opened(address, shown, access)
        self._shown = shown
        self._anonymous = access.anonymous

    def metas(self, folder: str) -> list[Meta]:
        """All objects below a folder.

        A key that is no path makes obstore give up the list; then folders are listed one by one,
        and only the one that holds the key is lost.
        """
        try:
            listed = self._obstore.list(self._store, folder or None, chunk_size=1000)
            return [*self._bounded(listed)]
        except self._failures as error:
            if not is_misnamed(error):
                raise self._explained(self._shown, error) from error
        return [*self._bounded(self._one_by_one(folder))]

    def head(self, key: str) -> Meta:
        """What is told of one object."""
        try:
            return _meta(self._obstore.head(self._store, key))
        except self._failures as error:
            raise self._explained(self._shown, error) from error

    def get(self, path: str, key: str, start: int, length: int) -> tuple[bytes, int]:
        """Bytes of an object, PIECE at most, and its size; `path` is how it is called in errors."""
        span = (start, start + min(length, PIECE))
        try:
            found = self._obstore.get(self._store, key, options={"range": span})
            return bytes(found.bytes()), int(found.meta["size"])
        except self._failures as error:
            if status_of(error) == 416:  # right for an empty object, and at the end
                return b"", self.head(key).size
            raise self._explained(path, error) from error

    def _opened(self, address: Address, shown: str, access: Access) -> Any:
        options = _options(address, access)
        try:
            return self._trusting(address.root, options)
        except self._failures as error:
            if NO_AUTHORITIES in str(error):
                raise UsageError(
                    f"{shown}: no certificate authorities are known here",
                    "install ca-certificates, or name a file of them in SSL_CERT_FILE",
                ) from error
            if "Account must be specified" in str(error):
                raise UsageError(
                    f"{shown}: of which account?", "set AZURE_STORAGE_ACCOUNT_NAME"
                ) from error
            prefix = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}[address.kind]
            raise UsageError(
                f"{shown}: can't be opened as it is set up",
                f"check its name, and the variables of the environment that begin with {prefix}",
            ) from error

    def _trusting(self, root: str, options: dict[str, Any]) -> Any:
        """A store, with authorities lent where the system has none.

        obstore makes no client without any, be it for plain http; certifi brings Mozilla's.
        """
        try:
            return self._obstore.store.from_url(root, **options)
        except self._failures as error:
            if NO_AUTHORITIES not in str(error) or not (lent := _authorities()):
                raise
        client = {**options["client_options"], "root_certificate": lent}
        return self._obstore.store.from_url(root, **{**options, "client_options": client})

    def _one_by_one(self, top: str) -> Iterator[Iterable[Mapping[str, Any]]]:
        waiting = [top]
        for turn, folder in enumerate(waiting):
            if turn >= MAX_FOLDERS:
                raise SourceUnreadable(
                    f"{self._shown}: more than {MAX_FOLDERS:,} folders, listed one by one "
                    "as one holds a key that is no path",
                    "name one of them",
                )
            try:
                found = self._obstore.list_with_delimiter(self._store, folder or None)
            except self._failures as error:
                if not is_misnamed(error) or folder == top:
                    raise self._explained(self._shown, error) from error
                yield [{"path": f"{folder}/", "size": 0}]
                continue
            yield found["objects"]
            skip = len(top) + 1 if top else 0
            waiting += [
                path for path in found["common_prefixes"] if is_listed(f"{path[skip:]}/file")
            ]

    def _bounded(self, chunks: Iterable[Iterable[Mapping[str, Any]]]) -> Iterator[Meta]:
        count = 0
        for chunk in chunks:
            for one in chunk:
                count += 1
                if count > MAX_FILES:
                    raise SourceUnreadable(
                        f"{self._shown}: more than {MAX_FILES:,} files", "name a folder of it"
                    )
                yield _meta(one)

    def _explained(self, about: str, error: Exception) -> SourceError:
        return explained(about, error, is_anonymous=self._anonymous)


def _imported(shown: str) -> Any:
    try:
        import obstore.store  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise UsageError(
            f"{shown}: needs obstore",
            "pip install 'ckptscan[cloud]', with Python 3.11 or newer",
        ) from None
    return obstore


def _authorities() -> bytes:
    """The authorities that Mozilla trusts, PEM; empty where certifi is not installed."""
    try:
        import certifi  # type: ignore[import-not-found, unused-ignore]

        return Path(certifi.where()).read_bytes()
    except (ImportError, OSError):
        return b""


def _options(address: Address, access: Access) -> dict[str, Any]:
    """Limits of time, and what of the environment obstore does not take by itself."""
    url = endpoint(address.kind)
    seconds = timedelta(seconds=min(ONE_REQUEST, access.timeout))
    client: dict[str, Any] = {
        "timeout": seconds,
        "connect_timeout": timedelta(seconds=min(CONNECT, access.timeout)),
    }
    if url.lower().startswith("http://"):
        client["allow_http"] = True
    options: dict[str, Any] = {
        "client_options": client,
        "retry_config": {"max_retries": RETRIES, "retry_timeout": seconds},
    }
    if url and address.kind == "s3":
        options["endpoint"] = url
    if access.anonymous:
        options["skip_signature"] = True
    return options


def _meta(told: Mapping[str, Any]) -> Meta:
    seal = f"{told.get('e_tag')} {told.get('version')} {told.get('last_modified')}"
    return Meta(str(told["path"]), int(told["size"]), seal)

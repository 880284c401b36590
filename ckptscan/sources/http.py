"""Plain http and https: one weight file, or an index and the files it names.

Such a server lists nothing, so what stands beside the weights is asked for by its usual name, and
sizes are what the answers to the first ranges tell. The query of an address, a signature perhaps,
goes with every file of the same folder and to no other origin.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from ckptscan.errors import (
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
    UsageError,
)
from ckptscan.index import MAX_INDEX, is_index, read_index
from ckptscan.paths import is_inside
from ckptscan.sources.access import Access, Deadline
from ckptscan.sources.answers import Refused
from ckptscan.sources.base import FileEntry, Origin
from ckptscan.sources.crew import alone
from ckptscan.sources.hub import settings
from ckptscan.sources.links import Unpinned
from ckptscan.sources.ranged import UNKNOWN, RangedSource
from ckptscan.sources.unlisted import if_there, open_unlisted
from ckptscan.sources.web import Connection, Web, origin_of, without_user

USUAL = ("model.safetensors.index.json", "model.safetensors")  # in a folder, in this order
_PAGE = re.compile(r"(?:/(?:datasets|spaces))?/[^/]+/[^/]+/(?:tree|blob)/")


def open_http(url: str, shown: str, access: Access) -> RangedSource:
    """The source behind an address of a weight file, an index, or a folder that ends in a slash.

    Raises SourceError, UsageError.
    """
    if access.offline or settings.is_offline():
        raise SourceUnreachable(f"{shown}: requests are forbidden", "leave --offline out")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise UsageError(f"{shown}: no http address", "write https://host/path") from None
    if _PAGE.match(parts.path):
        raise UsageError(
            f"{shown}: a page to look at, no file",
            f"for a mirror of the Hub set HF_ENDPOINT={parts.scheme}://{parts.hostname}",
        )
    visit = _Visit(url, shown, access)
    name = unquote(parts.path.rpartition("/")[2])
    if is_index(name):
        return visit.open_index(name)
    return visit.open_file(name) if name else visit.open_folder()


class _Visit:
    """One opening of an address; `base` is the folder that its file lies in."""

    def __init__(self, url: str, shown: str, access: Access) -> None:
        try:
            plain, credential = without_user(url.partition("#")[0])
            origin = origin_of(plain)
        except ValueError:
            raise UsageError(f"{shown}: no http address", "write https://host/path") from None
        parts = urlsplit(plain)
        self._base = urlunsplit(parts._replace(path=parts.path.rpartition("/")[0], query=""))
        self._query = f"?{parts.query}" if parts.query else ""
        self._file = parts.path.rpartition("/")[2]
        self._shown = shown
        self._host = parts.netloc
        self._access = access
        self._deadline = Deadline(access.timeout)
        self._credential = {origin: "" if access.anonymous else credential}
        self._place = Unpinned(
            Web(self._connect, self._deadline, access.watch), self._address, self._explain
        )

    def open_file(self, name: str) -> RangedSource:
        """One weight file, whatever it is called."""
        if not is_inside(name):
            raise UsageError(f"{self._shown}: no file name", "write https://host/model.safetensors")
        entry = FileEntry(name, UNKNOWN)
        return RangedSource(
            self._origin("file", name), [entry], self._place, self._deadline, self._access.watch
        )

    def open_index(self, name: str) -> RangedSource:
        """The files that an index names, and the configs beside it."""
        origin = self._origin("index", name)
        return open_unlisted(origin, self._place, self._deadline, self._access.watch)

    def open_folder(self) -> RangedSource:
        """What loaders look for in a folder: an index, else the one weight file."""
        index, single = USUAL
        raw = alone(lambda: if_there(self._place, index, MAX_INDEX), self._deadline)
        if raw is None or read_index(raw).problem:  # some answer 200 and a page for anything
            return self.open_file(single)
        return self.open_index(index)

    def _origin(self, named: str, name: str) -> Origin:
        return Origin(self._shown, "http", name, named=named)

    def _address(self, path: str) -> str:
        # what was typed is taken as it is: it may be quoted in its own way
        quoted = self._file if path == unquote(self._file) else quote(path)
        return f"{self._base}/{quoted}{self._query}"

    def _connect(self) -> Connection:
        from ckptscan.sources.hub import session

        return session.connect(self._credential)

    def _explain(self, path: str, refused: Refused) -> SourceError:
        if refused.status in (404, 410):
            return SourceNotFound(
                f"{path}: {self._host} has no such file ({refused.status})", "check the address"
            )
        if 400 <= refused.status < 500:
            return SourceRefused(
                f"{path}: {self._host} refuses it ({refused.status})",
                "it wants a login, or its signature has run out",
            )
        if not refused.status:
            return SourceUnreachable(f"{path}: {self._host}: {refused.message}", "ask its owner")
        return SourceUnreachable(
            f"{path}: {self._host} answers {refused.status}", "it serves no such file, or not so"
        )

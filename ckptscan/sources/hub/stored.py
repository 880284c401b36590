"""Sources of the Hub that may tell where their files are stored; `xet` asks, once it is wanted.

What asks is not imported before: few readings want it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ckptscan.errors import SourceError
from ckptscan.sources.access import Deadline, Watch
from ckptscan.sources.base import FileEntry, Origin
from ckptscan.sources.local import LocalSource
from ckptscan.sources.ranged import Nearer, Place, RangedSource
from ckptscan.sources.terms import Doubt, Terms

if TYPE_CHECKING:
    from ckptscan.sources.hub.xet import Xet


class HubSource(RangedSource):
    """A repository of the Hub, which may also tell where its files are stored."""

    def __init__(
        self,
        origin: Origin,
        entries: Iterable[FileEntry],
        place: Place,
        deadline: Deadline,
        watch: Watch,
        nearer: Sequence[Nearer],
        xet: Callable[[], Xet],
        folder: str,
    ) -> None:
        super().__init__(origin, entries, place, deadline, watch, nearer)
        self._open_xet = xet
        self._above = f"{folder}/" if folder else ""

    @cached_property
    def _xet(self) -> Xet:
        return self._open_xet()

    def terms(self, paths: Sequence[str]) -> Iterator[tuple[str, Terms]]:
        """Files with their terms, as they come in. Raises no SourceError."""
        return _below(self._xet, self._above, self._entries, paths)

    def link(self, doubts: Sequence[Doubt]) -> Iterator[tuple[str, Terms]]:
        """Terms with further borders, one request for each offset. Raises no SourceError."""
        return _linked_below(self._xet, self._above, self._entries, doubts)


class SnapshotSource(LocalSource):
    """What huggingface_hub has of a repository; the Hub may tell where its files are stored."""

    def __init__(
        self,
        root: str,
        origin: Origin,
        only: Sequence[str] | None,
        watch: Watch,
        xet: Callable[[], Xet],
        folder: str,
    ) -> None:
        super().__init__(root, origin, only, watch)
        self._open_xet = xet
        self._above = f"{folder}/" if folder else ""

    @cached_property
    def _xet(self) -> Xet:
        return self._open_xet()

    def terms(self, paths: Sequence[str]) -> Iterator[tuple[str, Terms]]:
        """Files with their terms, as they come in. Raises no SourceError."""
        return _below(self._xet, self._above, self._listed(), paths)

    def link(self, doubts: Sequence[Doubt]) -> Iterator[tuple[str, Terms]]:
        """Terms with further borders, one request for each offset. Raises no SourceError."""
        return _linked_below(self._xet, self._above, self._listed(), doubts)

    def _listed(self) -> dict[str, FileEntry]:
        try:
            return {entry.path: entry for entry in self.files()}
        except SourceError:  # the folder has gone meanwhile
            return {}


def _below(
    xet: Xet, above: str, entries: Mapping[str, FileEntry], paths: Sequence[str]
) -> Iterator[tuple[str, Terms]]:
    """Files with their terms; paths are from a folder."""
    wanted = []
    for path in dict.fromkeys(paths):
        entry = entries.get(path)
        if entry is None or entry.problem or entry.size < 0:
            yield path, Terms(0, problem="it is not listed, or its size is not known")
        else:
            wanted.append(entry._replace(path=above + path))
    for entry, terms in xet.terms(wanted):
        yield entry.path.removeprefix(above), terms


def _linked_below(
    xet: Xet, above: str, entries: Mapping[str, FileEntry], doubts: Sequence[Doubt]
) -> Iterator[tuple[str, Terms]]:
    """Terms with further borders; paths are from a folder."""
    wanted = [
        (entries[one.path]._replace(path=above + one.path), one)
        for one in doubts
        if one.path in entries
    ]
    for entry, terms in xet.link(wanted):
        yield entry.path.removeprefix(above), terms

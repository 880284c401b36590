"""Where the files of a repository are stored: their ids, and then the terms of each.

A file's id is told by the tree of the Hub, one request for a folder, or by the list that
huggingface_hub keeps of a commit; the terms by the server that the content lies on, one request for
8 GiB. Both are kept for the next time, as neither changes. Nothing here is an error: what can't be
had is told as a problem of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

from ckptscan.errors import SourceError
from ckptscan.sources.access import Deadline, Watch
from ckptscan.sources.answers import Refused
from ckptscan.sources.base import FileEntry
from ckptscan.sources.cache import Shelf
from ckptscan.sources.crew import together
from ckptscan.sources.hub.address import Repository
from ckptscan.sources.hub.cas import Cas, reason_of
from ckptscan.sources.hub.listing import tree_of
from ckptscan.sources.hub.reconstruction import (
    HASH,
    Answer,
    Unsound,
    from_document,
    linked,
    to_document,
)
from ckptscan.sources.hub.snapshot import Snapshot
from ckptscan.sources.terms import Doubt, Terms
from ckptscan.sources.web import Web

MAX_TOLD = 500_000  # terms of all files of one source
NO_ID = "the Hub does not store it by Xet, or does not say so"
FORBIDDEN = "where it is stored is in no cache, and requests are forbidden"
TOO_MANY = f"with it there are more than {MAX_TOLD:,} terms"


class Xet:
    """Terms of a repository's files at one commit. `web` is None where requests are forbidden."""

    def __init__(
        self,
        web: Web | None,
        endpoint: str,
        repository: Repository,
        cas: Cas,
        shelf: Shelf,
        deadline: Deadline,
        watch: Watch,
    ) -> None:
        self._web = web
        self._endpoint = endpoint
        self._repository = repository
        self._commit = repository.revision or ""
        self._cas = cas
        self._shelf = shelf
        self._deadline = deadline
        self._watch = watch
        self._unreachable = ""  # why the server is not asked again
        self._told = 0
        self._known: dict[str, str | None] = {}  # ids by path; None where there is none
        self._lock = Lock()

    def terms(self, entries: Sequence[FileEntry]) -> Iterator[tuple[FileEntry, Terms]]:
        """Files of the repository with their terms, as they come in; paths are from its root."""
        ids, problem = self._ids(entries)
        unknown = [entry for entry in entries if entry.path not in ids]
        yield from ((entry, Terms(entry.size, problem=problem or NO_ID)) for entry in unknown)
        waiting = {entry: None for entry in entries if entry.path in ids}
        self._watch.begin(len(waiting))
        try:
            done = together(lambda entry: self._of(ids[entry.path], entry), waiting, self._deadline)
            for entry, terms in done:
                self._watch.finished()
                del waiting[entry]
                yield entry, terms
        except SourceError as error:  # the time is over
            problem = error.message
        finally:
            self._watch.end()
            self._shelf.settle()
        yield from ((entry, Terms(entry.size, problem=problem)) for entry in waiting)

    def _of(self, file_id: str, entry: FileEntry) -> Terms:
        """A file's terms, by a thread of the crew."""
        kept = self._shelf.terms(file_id)
        found = from_document(kept, entry.size) if kept else None
        if found is None:
            if self._web is None or self._unreachable:
                return Terms(entry.size, problem=self._unreachable or FORBIDDEN)
            try:
                found = self._cas.terms(file_id, entry.size)
            except (Unsound, Refused, SourceError) as error:
                problem = reason_of(error, "where it is stored")
                if isinstance(error, SourceError):
                    self._unreachable = problem
                return Terms(entry.size, problem=problem)
            self._shelf.keep_terms(file_id, to_document(found))
        with self._lock:
            self._told += len(found.segments)
            is_bounded = self._told <= MAX_TOLD
        return found if is_bounded else Terms(entry.size, problem=TOO_MANY)

    def link(self, doubts: Sequence[tuple[FileEntry, Doubt]]) -> Iterator[tuple[FileEntry, Terms]]:
        """Terms of files with the borders of chunks around some offsets, as far as they are told.

        Only of files whose terms were asked for before.
        """
        known = {entry: doubt for entry, doubt in doubts if self._known.get(entry.path)}
        wanted = [(entry, offset) for entry, doubt in known.items() for offset in doubt.offsets]
        answers: dict[FileEntry, list[Answer]] = {}
        try:
            for (entry, _), answer in together(self._located, wanted, self._deadline):
                if answer:
                    answers.setdefault(entry, []).append(answer)
        except SourceError:  # the time is over
            pass
        for entry, told in answers.items():
            found = linked(known[entry].terms, told)
            self._shelf.keep_terms(str(self._known[entry.path]), to_document(found))
            yield entry, found
        self._shelf.settle()

    def _located(self, wanted: tuple[FileEntry, int]) -> Answer | None:
        """The chunk around an offset of a file, by a thread of the crew."""
        entry, offset = wanted
        if self._web is None or self._unreachable:
            return None
        try:
            return self._cas.locate(str(self._known[entry.path]), offset, entry.size)
        except (Unsound, Refused):
            return None
        except SourceError as error:
            self._unreachable = error.message
            return None

    def _ids(self, entries: Sequence[FileEntry]) -> tuple[Mapping[str, str], str | None]:
        """Ids of files by path, and why others are not known where nothing tells of them."""
        place = f"{self._commit}/xet"
        known = dict(self._known)
        kept = self._shelf.manifest(place) or {}
        known |= {path: str(told) for path, told in kept.items() if _is_id(told)}
        missing = [entry for entry in entries if entry.path not in known]
        listed = _listed(Snapshot(self._repository, self._commit), missing) if missing else {}
        known |= listed
        missing = [entry for entry in missing if entry.path not in listed]
        problem = None
        if missing and self._web is None:
            problem = FORBIDDEN
        elif missing and self._web:
            try:
                known |= self._asked(self._web, missing)
                # not those without: files are moved to Xet in place
                told = {path: file_id for path, file_id in known.items() if file_id}
                self._shelf.keep_manifest(place, dict(told))
            except (Refused, SourceError) as error:
                problem = reason_of(error, "the Hub's list of files")
        self._known = known
        return {path: file_id for path, file_id in known.items() if file_id}, problem

    def _asked(self, web: Web, missing: Sequence[FileEntry]) -> dict[str, str | None]:
        """What the Hub tells of files; None for those that it tells no id of."""
        entries = {entry.path: entry for entry in missing}
        folders = {path.rpartition("/")[0] for path in entries}
        folder = folders.pop() if len(folders) == 1 else None
        found: dict[str, str | None] = dict.fromkeys(entries)
        for told in tree_of(web, self._endpoint, self._repository, folder):
            entry = entries.get(told["path"])
            if entry and _is_same(told, entry) and _is_id(told.get("xetHash")):
                found[entry.path] = told["xetHash"]
        return found


def _listed(snapshot: Snapshot, entries: Sequence[FileEntry]) -> dict[str, str | None]:
    """Ids that huggingface_hub's list of a commit tells, of files that are the same there."""
    found: dict[str, str | None] = {}
    for entry in entries:
        told = snapshot.listed(entry.path)
        if told.get("size") == entry.size and _is_id(told.get("xet_hash")):
            found[entry.path] = str(told["xet_hash"])
    return found


def _is_same(told: Mapping[str, Any], entry: FileEntry) -> bool:
    """Whether the tree tells of the file that is listed, as far as both say."""
    lfs = told.get("lfs")
    digest = lfs.get("oid") if isinstance(lfs, dict) else None
    return told.get("size") == entry.size and (not entry.digest or digest in (None, entry.digest))


def _is_id(value: object) -> bool:
    return isinstance(value, str) and HASH.fullmatch(value) is not None

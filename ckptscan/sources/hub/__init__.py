"""Repositories of the Hugging Face Hub, or of a mirror, by ranges; nothing is downloaded whole.

huggingface_hub is imported by `session` alone, and only once a request is to be sent: what the
cache holds is read without it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from ckptscan.errors import (
    SourceError,
    SourceNotFound,
    SourceUnreachable,
    SourceUnreadable,
    UsageError,
)
from ckptscan.sources.access import Access, Deadline
from ckptscan.sources.answers import Refused
from ckptscan.sources.base import MAX_FILES, Origin
from ckptscan.sources.cache import Kept, Shelf
from ckptscan.sources.crew import alone
from ckptscan.sources.hub import settings
from ckptscan.sources.hub.address import Repository
from ckptscan.sources.hub.listing import (
    COMMIT,
    Listing,
    below,
    fetch_listing,
    from_document,
    to_document,
)
from ckptscan.sources.hub.refusals import Refusals
from ckptscan.sources.hub.snapshot import Snapshot, cached_commit
from ckptscan.sources.hub.stored import HubSource, SnapshotSource
from ckptscan.sources.links import Linked
from ckptscan.sources.local import LocalSource
from ckptscan.sources.ranged import UNKNOWN, Absent, Place, RangedSource
from ckptscan.sources.web import Connection, Web, origin_of, without_user

if TYPE_CHECKING:
    from ckptscan.sources.hub.xet import Xet


def open_hub(spec: str, repository: Repository, access: Access) -> RangedSource | LocalSource:
    """The source that a repository is, at the commit that its revision has now.

    One request, or none where a full commit is named that the cache knows, or with `offline`.
    Raises SourceError, UsageError.
    """
    return _Visit(spec, repository, access).open()


class _Visit:
    """One opening of a repository: where it is looked for, in which order."""

    def __init__(self, spec: str, repository: Repository, access: Access) -> None:
        self._spec = spec
        self._repository = repository
        self._access = access
        self._deadline = Deadline(access.timeout)
        try:
            self._endpoint, self._basic = without_user(settings.endpoint())
            self._home = origin_of(self._endpoint)
        except ValueError:
            raise UsageError(
                "HF_ENDPOINT is no http address", "set it as https://huggingface.co, or unset it"
            ) from None
        self._shelf = Shelf(self._endpoint, f"{repository.kind}/{repository.name}")
        self._web = Web(self._connect, self._deadline, access.watch, settings.silence_seconds())

    def open(self) -> RangedSource | LocalSource:
        is_offline = self._access.offline or settings.is_offline()
        revision = self._repository.revision or "main"
        commit = revision.lower() if COMMIT.fullmatch(revision.lower()) else None
        if is_offline and not commit:
            commit = self._shelf.commit(revision) or cached_commit(self._repository)
        if commit:
            listing = from_document(self._shelf.manifest(commit) or {}, commit)
            if listing:
                return self._ranged(listing, Absent(self._repository.name) if is_offline else None)
            snapshot = Snapshot(self._repository, commit)
            if snapshot.is_there and (is_offline or snapshot.is_whole):
                return self._local(snapshot)
        if is_offline:
            raise SourceUnreachable(
                f"{self._repository.name}: {revision} is in no cache, and requests are forbidden",
                "read it once without --offline and HF_HUB_OFFLINE",
            )
        return self._listed(revision)

    def _connect(self) -> Connection:
        from ckptscan.sources.hub import session

        token = None if self._access.anonymous or self._basic else session.token()
        credential = self._basic or (f"Bearer {token}" if token else "")
        return session.connect({self._home: credential})

    def _listed(self, revision: str) -> RangedSource:
        """Ask the Hub what there is, and keep it for the next time."""
        refusals = Refusals(self._endpoint, self._repository, self._is_known)
        try:
            listing = alone(
                lambda: fetch_listing(self._web, self._endpoint, self._repository), self._deadline
            )
        except Refused as refused:
            raise refusals.of_repository(refused) from refused
        except SourceError as error:
            name = self._repository.name
            raise type(error)(f"{name}: {error.message}", error.hint) from error
        if listing.name.lower() != self._repository.name.lower():
            self._access.watch.say(f"{self._repository.name} is now called {listing.name}")
        source = self._ranged(listing)
        self._shelf.keep_manifest(listing.commit, to_document(self._with_sizes(listing, source)))
        self._shelf.keep_commit(revision, listing.commit)
        return source

    def _with_sizes(self, listing: Listing, source: RangedSource) -> Listing:
        """The listing with the sizes that had to be asked for."""
        if all(entry.size != UNKNOWN for entry in listing.entries):
            return listing
        known = {self._inside(entry.path): entry for entry in source.files() if not entry.problem}
        entries = (
            known[one.path]._replace(path=one.path) if one.path in known else one
            for one in listing.entries
        )
        return listing._replace(entries=tuple(entries))

    def _ranged(self, listing: Listing, place: Place | None = None) -> RangedSource:
        repository = self._repository._replace(name=listing.name, revision=listing.commit)
        snapshot = Snapshot(self._repository, listing.commit, repository.folder)
        kept = Kept(self._shelf, listing.commit, repository.folder)
        refusals = Refusals(self._endpoint, repository, self._is_known)
        kind = "" if repository.kind == "model" else f"{repository.kind}s/"
        base = f"{self._endpoint}/{kind}{repository.name}/resolve/{listing.commit}/"
        entries = list(below(listing, repository))
        target = repository.path[len(self._inside("")) :]
        if len(entries) > MAX_FILES:
            raise SourceUnreadable(
                f"{repository.name}: more than {MAX_FILES:,} files", "name a folder of it"
            )
        is_there = target in (entry.path for entry in entries) if repository.named else entries
        if not is_there and repository.path:
            raise SourceNotFound(
                f"{repository.name}: {repository.path} is not in it at {listing.commit[:12]}",
                "its files are listed on its page, under Files and versions",
            )
        return HubSource(
            self._origin(listing.commit, "hub", listing),
            entries,
            place
            or Linked(
                self._web,
                lambda path: base + quote(self._inside(path)),
                refusals.of_file,
            ),
            self._deadline,
            self._access.watch,
            (snapshot, kept) if snapshot.is_there else (kept,),
            lambda: self._xet(repository),
            repository.folder,
        )

    def _xet(self, repository: Repository) -> Xet:
        """Where files of the repository are stored; made once somebody wants to know it."""
        from ckptscan.sources.hub.cas import Cas
        from ckptscan.sources.hub.xet import Xet

        from_hub = None if self._access.offline or settings.is_offline() else self._web
        deadline, watch = self._deadline, self._access.watch
        cas = Cas(
            self._web,
            self._endpoint,
            repository,
            _session,
            deadline,
            watch,
            settings.silence_seconds(),
        )
        return Xet(from_hub, self._endpoint, repository, cas, self._shelf, deadline, watch)

    def _local(self, snapshot: Snapshot) -> LocalSource:
        """What huggingface_hub has downloaded before, read as files on disk."""
        folder, path = self._repository.folder, self._repository.path
        root = os.path.join(snapshot.root, *folder.split("/")) if folder else snapshot.root
        only = [path.rpartition("/")[2]] if self._repository.named == "file" else None
        repository = self._repository._replace(revision=snapshot.commit)
        return SnapshotSource(
            root,
            self._origin(snapshot.commit, "hf-cache"),
            only,
            self._access.watch,
            lambda: self._xet(repository),
            folder,
        )

    def _origin(self, commit: str, kind: str, listing: Listing | None = None) -> Origin:
        name = listing.name if listing else self._repository.name
        return Origin(
            self._spec,
            kind,
            f"{name}/{self._repository.path}" if self._repository.path else name,
            self._repository.revision or "main",
            commit,
            named=self._repository.named,
            claims=listing.claims if listing and not self._repository.path else (),
        )

    def _inside(self, path: str) -> str:
        folder = self._repository.folder
        return f"{folder}/{path}" if folder else path

    def _is_known(self) -> bool:
        return self._web.has_credential(self._endpoint)


def _session(credentials: Mapping[str, str]) -> Connection:
    """The session of huggingface_hub, with these credentials and no other."""
    from ckptscan.sources.hub import session

    return session.connect(credentials)

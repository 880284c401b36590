"""Models of modelscope.cn, or of another ModelScope, by ranges; nothing is downloaded whole.

    ms://org/name      ms://org/name@revision/folder      ms://org/name/model.safetensors

The live service was not tried: requests and answers follow its public client and what others have
published of it, see `listing`. A token is taken from MODELSCOPE_API_TOKEN alone, for what
`modelscope login` keeps on disk is a pickle, which would run what it holds.
"""

from __future__ import annotations

import os
from urllib.parse import urlencode

from ckptscan.errors import SourceError, SourceNotFound, SourceUnreachable, UsageError
from ckptscan.sources.access import Access, Deadline
from ckptscan.sources.answers import Refused
from ckptscan.sources.base import Origin
from ckptscan.sources.cache import Kept, Shelf
from ckptscan.sources.crew import alone
from ckptscan.sources.hub import address, settings
from ckptscan.sources.hub.address import Repository
from ckptscan.sources.hub.listing import Listing, below, from_document, to_document
from ckptscan.sources.links import Linked
from ckptscan.sources.modelscope.listing import COMMIT, MASTER, commit_of, fetch_listing, models
from ckptscan.sources.modelscope.refusals import Refusals
from ckptscan.sources.ranged import Absent, Place, RangedSource
from ckptscan.sources.web import Connection, Web, origin_of, without_user

DEFAULT_ENDPOINT = "https://modelscope.cn"  # modelscope_hub 0.5.1, constants.py


def open_modelscope(spec: str, shown: str, access: Access) -> RangedSource:
    """The source that a model is, at the commit that its revision has now.

    One request, or none where a full commit is named that the cache knows, or where requests are
    forbidden. Raises SourceError, UsageError.
    """
    return _Visit(shown, parse(spec, shown, access), access).open()


def parse(spec: str, shown: str, access: Access) -> Repository:
    """`ms://org/name@revision/folder`, and --revision -> what is named; raises UsageError."""
    if access.repo_type not in (None, "model"):
        raise UsageError(f"{shown}: is a model, no {access.repo_type}", "leave --repo-type out")
    text = spec.removeprefix("ms://")
    if ":" in text.partition("@")[0]:
        raise UsageError(f"{shown}: no name of a model", "one is written ms://org/name")
    found = address.with_options(address.parse(text), access.revision, None)
    if "/" not in found.name:
        raise UsageError(f"{shown}: no name of a model", "one is written ms://org/name")
    return found


def endpoint() -> str:
    """Where ModelScope is: MODELSCOPE_ENDPOINT, or MODELSCOPE_DOMAIN, as its client reads them."""
    names = ("MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN")
    stated = next(filter(None, (os.environ.get(name, "").strip() for name in names)), "")
    if stated and not stated.lower().startswith(("http://", "https://")):
        stated = f"https://{stated}"
    return stated.rstrip("/") or DEFAULT_ENDPOINT


class _Visit:
    """One opening of a model: where it is looked for, in which order."""

    def __init__(self, shown: str, repository: Repository, access: Access) -> None:
        self._shown = shown
        self._repository = repository
        self._access = access
        self._deadline = Deadline(access.timeout)
        try:
            self._endpoint, self._basic = without_user(endpoint())
            self._home = origin_of(self._endpoint)
        except ValueError:
            raise UsageError(
                "MODELSCOPE_ENDPOINT is no http address",
                f"set it as {DEFAULT_ENDPOINT}, or unset it",
            ) from None
        self._shelf = Shelf(self._endpoint, f"modelscope/{repository.name}")
        self._web = Web(self._connect, self._deadline, access.watch)

    def open(self) -> RangedSource:
        is_offline = self._access.offline or settings.is_offline()
        revision = self._repository.revision or MASTER
        commit = revision.lower() if COMMIT.fullmatch(revision.lower()) else None
        if is_offline and not commit:
            commit = self._shelf.commit(revision)
        listing = self._known(commit) if commit else None
        if listing:
            return self._ranged(listing, Absent(self._repository.name) if is_offline else None)
        if is_offline:
            raise SourceUnreachable(
                f"{self._repository.name}: {revision} is in no cache, and requests are forbidden",
                "read it once without --offline and HF_HUB_OFFLINE",
            )
        return self._listed(revision)

    def _known(self, commit: str) -> Listing | None:
        """The files of a commit, as the cache has them."""
        return from_document(self._shelf.manifest(self._placed(commit)) or {}, commit)

    def _placed(self, commit: str) -> str:
        # where there are very many files, only those of the folder are listed
        return f"{commit}/{self._repository.folder}"

    def _connect(self) -> Connection:
        from ckptscan.sources.hub import session

        token = os.environ.get("MODELSCOPE_API_TOKEN", "").strip()
        credential = self._basic or (f"Bearer {token}" if token else "")
        if self._access.anonymous:
            credential = ""
        return session.connect({self._home: credential})

    def _listed(self, revision: str) -> RangedSource:
        """Ask what there is, and keep it for the next time."""
        name = self._repository.name
        try:
            listing = alone(
                lambda: fetch_listing(self._web, self._endpoint, self._repository), self._deadline
            )
        except Refused as refused:
            refusals = Refusals(self._endpoint, self._repository, self._is_known)
            raise refusals.of_repository(refused) from refused
        except SourceError as error:
            raise type(error)(f"{name}: {error.message}", error.hint) from error
        self._shelf.keep_manifest(self._placed(listing.commit), to_document(listing))
        self._shelf.keep_commit(revision, listing.commit)
        return self._ranged(listing)

    def _ranged(self, listing: Listing, place: Place | None = None) -> RangedSource:
        one = self._repository
        entries = list(below(listing, one))
        target = one.path.rpartition("/")[2]
        is_there = target in (entry.path for entry in entries) if one.named else entries
        if one.path and not is_there:
            raise SourceNotFound(
                f"{one.name}: {one.path} is not in it at {one.revision or MASTER}",
                "its files are listed on its page, under Model Files",
            )
        return RangedSource(
            self._origin(listing),
            entries,
            place or self._place(listing),
            self._deadline,
            self._access.watch,
            (Kept(self._shelf, listing.commit, one.folder),),
        )

    def _place(self, listing: Listing) -> Linked:
        one = self._repository
        revision = commit_of(listing) or one.revision or MASTER
        above = f"{one.folder}/" if one.folder else ""

        def url(path: str) -> str:
            query = urlencode({"Revision": revision, "FilePath": above + path})
            return f"{models(self._endpoint, one.name)}/repo?{query}"

        return Linked(self._web, url, Refusals(self._endpoint, one, self._is_known).of_file)

    def _origin(self, listing: Listing) -> Origin:
        one = self._repository
        return Origin(
            self._shown,
            "modelscope",
            f"{one.name}/{one.path}" if one.path else one.name,
            one.revision or MASTER,
            commit_of(listing),
            named=one.named,
        )

    def _is_known(self) -> bool:
        return self._web.has_credential(self._endpoint)

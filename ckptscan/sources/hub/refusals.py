"""What the Hub means when it refuses: absent, private, gated, renamed away; and what to do."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from ckptscan.errors import SourceError, SourceNotFound, SourceRefused, SourceUnreachable
from ckptscan.sources.answers import Refused
from ckptscan.sources.hub.address import Repository


class Refusals:
    """Turns refusals about one repository into errors; `is_known` says whether a token is sent."""

    def __init__(self, endpoint: str, repository: Repository, is_known: Callable[[], bool]) -> None:
        parts = urlsplit(endpoint)
        self._page = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._host = parts.netloc.rpartition("@")[2]
        self._repository = repository
        self._is_known = is_known

    def of_repository(self, refused: Refused) -> SourceError:
        """The error where the repository itself is refused."""
        name, status, code = self._repository.name, refused.status, refused.code
        if code == "RevisionNotFound":
            revision = self._repository.revision or "main"
            return SourceNotFound(
                f"{name}: no revision is called {revision}",
                f"its branches and commits are listed at {self._page_of()}/tree/main",
            )
        if code == "GatedRepo":
            return self._gated()
        if "Invalid credentials" in refused.message or b"Invalid credentials" in refused.body:
            return SourceRefused(
                f"{name}: {self._host} does not take the token that it is sent",
                "make a new one and log in with hf auth login, or unset HF_TOKEN",
            )
        if "disabled" in refused.message:
            return SourceRefused(f"{name}: is disabled on {self._host}", refused.message)
        if code == "RepoNotFound" or status in (401, 404):
            return self._absent()
        return self._other(name, refused)

    def of_file(self, path: str, refused: Refused) -> SourceError:
        """The error where one file is refused."""
        if refused.code == "EntryNotFound" or (refused.status == 404 and not refused.code):
            return SourceNotFound(
                f"{path}: {self._host} lists it and has it not (404)",
                "the upload may be broken; look at its page, or name another revision",
            )
        if refused.code in ("GatedRepo", "RepoNotFound", "RevisionNotFound"):
            return self.of_repository(refused)
        return self._other(path, refused)

    def _absent(self) -> SourceNotFound:
        kind, name = self._repository.kind, self._repository.name
        login = (
            "the token that is sent may not see it" if self._is_known() else "log in: hf auth login"
        )
        others = "" if kind != "model" else "; for a dataset or space give --repo-type"
        return SourceNotFound(
            f"{name}: {self._host} has no {kind} of this name, or it is private",
            f"check the name; if it is private, {login}{others}",
        )

    def _gated(self) -> SourceRefused:
        name, page = self._repository.name, self._page_of()
        way = (
            f"ask for access at {page} with the account of the token"
            if self._is_known()
            else f"accept its terms at {page}, then hf auth login"
        )
        return SourceRefused(f"{name}: is gated, its terms must be accepted first", way)

    def _other(self, about: str, refused: Refused) -> SourceError:
        said = f": {refused.message}" if refused.message else ""
        if not refused.status:
            return SourceUnreachable(
                f"{about}: {refused.message}", f"{self._host} or a proxy before it is set up wrong"
            )
        if refused.status in (401, 403):
            return SourceRefused(
                f"{about}: {self._host} refuses it ({refused.status}){said}",
                "the token may lack the permission to read it"
                if self._is_known()
                else "log in: hf auth login",
            )
        return SourceUnreachable(
            f"{about}: {self._host} answers {refused.status}{said}", "is HF_ENDPOINT a Hub?"
        )

    def _page_of(self) -> str:
        kind, name = self._repository.kind, self._repository.name
        return f"{self._page}/{'' if kind == 'model' else f'{kind}s/'}{name}"

"""What ModelScope means when it refuses; it says 404 to nearly all, and the meaning in a code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from ckptscan.errors import SourceError, SourceNotFound, SourceRefused, SourceUnreachable
from ckptscan.sources.answers import Refused
from ckptscan.sources.hub.address import Repository
from ckptscan.sources.modelscope.listing import MASTER

# codes that public programs have met: absent, private or gated, and no such revision
ABSENT, CLOSED, NO_REVISION = 10010205001, 10010200001, 10990101004
# "Error 1461: Can't create more than max_prepared_stmt_count statements", said with ABSENT
_OVERLOADED = re.compile(r"\bError \d{4}\b")


class Refusals:
    """Turns refusals about one model into errors; `is_known` says whether a token is sent."""

    def __init__(self, endpoint: str, repository: Repository, is_known: Callable[[], bool]) -> None:
        self._endpoint = endpoint
        self._host = urlsplit(endpoint).netloc
        self._repository = repository
        self._is_known = is_known

    def of_repository(self, refused: Refused) -> SourceError:
        """The error where the model itself is refused."""
        name, (code, said) = self._repository.name, _told(refused.body)
        if _OVERLOADED.search(said):
            return SourceUnreachable(f"{name}: {self._host} is overloaded", "try again later")
        if code == NO_REVISION:
            revision = self._repository.revision or MASTER
            return SourceNotFound(
                f"{name}: no revision is called {revision}",
                f"its branches and tags are listed at {self._page()}/files",
            )
        if code == CLOSED or refused.status in (401, 403):
            return self._closed(name)
        if code == ABSENT or refused.status == 404:
            return SourceNotFound(
                f"{name}: {self._host} has no model of this name, or it is private",
                f"check the name; if it is private, {self._way_in()}",
            )
        return self._other(name, refused, code)

    def of_file(self, path: str, refused: Refused) -> SourceError:
        """The error where one file is refused."""
        code, _ = _told(refused.body)
        if code == CLOSED or refused.status in (401, 403):
            return self._closed(path)
        if refused.status == 404:
            return SourceNotFound(
                f"{path}: {self._host} lists it and has it not (404)",
                "the upload may be broken; look at its page, or name another revision",
            )
        return self._other(path, refused, code)

    def _closed(self, about: str) -> SourceRefused:
        return SourceRefused(f"{about}: is private, or its terms are not accepted", self._way_in())

    def _other(self, about: str, refused: Refused, code: int) -> SourceError:
        if not refused.status:
            return SourceUnreachable(
                f"{about}: {refused.message}", f"{self._host} or a proxy before it is set up wrong"
            )
        said = f"{refused.status}, code {code}" if code else f"{refused.status}"
        return SourceUnreachable(
            f"{about}: {self._host} answers {said}", "is MODELSCOPE_ENDPOINT a ModelScope?"
        )

    def _way_in(self) -> str:
        if self._is_known():
            return f"ask for access at {self._page()} with the account of the token"
        return f"set MODELSCOPE_API_TOKEN to a token of {self._endpoint}"

    def _page(self) -> str:
        return f"{self._endpoint}/models/{self._repository.name}"


def _told(body: bytes) -> tuple[int, str]:
    """Code and message of a refusal, 0 and "" where it has none."""
    try:
        document = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return 0, ""
    if not isinstance(document, dict):
        return 0, ""
    code, said = document.get("Code"), document.get("Message")
    return code if type(code) is int else 0, said if isinstance(said, str) else ""

"""The server that Xet's content lies on: the way there, and what it tells of one file.

The Hub names the server and gives a token for it. Neither is trusted with more than is needed: the
server is asked over https, with that token and no other, and only for terms.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from ckptscan.errors import SourceError
from ckptscan.sources.access import Deadline, Watch
from ckptscan.sources.answers import Refused, TooLong, Wanted
from ckptscan.sources.hub.address import Repository
from ckptscan.sources.hub.listing import api_of
from ckptscan.sources.hub.reconstruction import Answer, Unsound, answer_of, terms_of
from ckptscan.sources.terms import Terms
from ckptscan.sources.web import SHORT, Connection, Web, origin_of

BATCH = 8 << 30  # bytes of a file that one question is about; 10 GB are recommended
LEAST = 64 << 20  # bytes that such a range is halved down to where an answer is too long
MAX_ANSWER = 16 << 20  # bytes; a term takes about 140, and up to 1,000 for where its bytes lie
MAX_GRANTS = 3  # tokens that one reading asks for; each lasts for many minutes
_LONGEST_URL = 2048  # characters of an address that we believe
_LONGEST_TOKEN = 64_000  # characters, as the protocol has it
_VERSIONS = ("v1", "v2")  # the terms are the same in both
_UNKNOWN = (404, 405, 410, 501)  # of a version that a server does not have


class Grant(NamedTuple):
    """A server, a token for it, and how many were granted before."""

    url: str
    token: str
    turn: int


class Cas:
    """Asks for terms; may be used by many threads. `credentials` makes the session for a server."""

    def __init__(
        self,
        hub: Web,
        endpoint: str,
        repository: Repository,
        credentials: Callable[[Mapping[str, str]], Connection],
        deadline: Deadline,
        watch: Watch,
        silence: float,
    ) -> None:
        self._hub = hub
        self._endpoint = endpoint
        self._repository = repository
        self._credentials = credentials
        self._deadline = deadline
        self._watch = watch
        self._silence = silence
        self._granted: tuple[Grant, Web] | None = None
        self._failed: Exception | None = None  # why there is no other grant
        self._version = ""  # the one that answered before
        self._grants = Lock()
        self._parsing = Lock()

    def terms(self, file_id: str, size: int) -> Terms:
        """A file's terms; raises Unsound, Refused, SourceError."""
        answers: list[Answer] = []
        reached, step = 0, BATCH
        while reached < size:
            end = min(size, reached + step)
            try:
                answer = self._answer(file_id, reached, end, size)
            except TooLong:
                if end - reached <= LEAST:
                    raise
                step = (end - reached) // 2
                continue
            if not reached and answer.nbytes == size:  # all of it, whatever was asked for
                return terms_of(size, [answer._replace(end=size)])
            answers.append(answer)
            reached = end
        return terms_of(size, answers)

    def locate(self, file_id: str, offset: int, size: int) -> Answer:
        """The chunk that one byte of a file lies in; raises Unsound, Refused, SourceError."""
        return self._answer(file_id, offset, offset + 1, size)

    def _answer(self, file_id: str, start: int, end: int, size: int) -> Answer:
        about = None if (start, end) == (0, size) else (start, end)
        grant, web = self._grant(-1)
        try:
            raw = self._asked(grant, web, file_id, about)
        except Refused as refused:
            if refused.status not in (401, 403):
                raise
            grant, web = self._grant(grant.turn)  # the token has run out
            raw = self._asked(grant, web, file_id, about)
        with self._parsing:  # what JSON becomes takes many times its bytes
            return answer_of(raw, start, end)

    def _asked(self, grant: Grant, web: Web, file_id: str, about: tuple[int, int] | None) -> bytes:
        """The answer of the version that this server has."""
        version = self._version or _VERSIONS[0]
        try:
            raw = self._of_version(version, grant, web, file_id, about)
        except Refused as refused:
            if self._version or refused.status not in _UNKNOWN:
                raise
            version = _VERSIONS[1]
            raw = self._of_version(version, grant, web, file_id, about)
        self._version = version
        return raw

    def _of_version(
        self, version: str, grant: Grant, web: Web, file_id: str, about: tuple[int, int] | None
    ) -> bytes:
        url = f"{grant.url}/{version}/reconstructions/{quote(file_id, safe='')}"
        return web.get(url, Wanted(most=MAX_ANSWER, about=about)).data

    def _grant(self, refused_turn: int) -> tuple[Grant, Web]:
        """The server and the token for it; another one where that of this turn is refused."""
        with self._grants:
            if self._granted and self._granted[0].turn != refused_turn:
                return self._granted
            if self._failed:
                raise self._failed
            try:
                grant = self._new_grant(refused_turn + 1)
            except (Unsound, Refused, SourceError) as error:
                self._failed = error
                raise
            self._granted = grant, self._web(grant)
            return self._granted

    def _web(self, grant: Grant) -> Web:
        """Requests to the server; no credential is known there but its own."""
        credentials = {origin_of(grant.url): f"Bearer {grant.token}"}
        return Web(
            lambda: self._credentials(credentials), self._deadline, self._watch, self._silence
        )

    def _new_grant(self, turn: int) -> Grant:
        if turn >= MAX_GRANTS:
            raise Unsound("the tokens that the Hub gives are refused")
        revision = quote(self._repository.revision or "main", safe="")
        url = f"{api_of(self._endpoint, self._repository)}/xet-read-token/{revision}"
        try:
            told = json.loads(self._hub.get(url, Wanted(most=SHORT * 4)).data)
        except (ValueError, RecursionError):
            raise Unsound("what the Hub gives as a token is no JSON") from None
        if not isinstance(told, dict):
            raise Unsound("the Hub gives no token")
        return Grant(_checked_url(told.get("casUrl"), self._endpoint), _checked_token(told), turn)


def reason_of(error: Unsound | Refused | SourceError, whose: str) -> str:
    """Why nothing is known, in a few words; `whose` says who was asked."""
    if isinstance(error, Unsound):
        return f"{whose}: {error}"
    if isinstance(error, SourceError):
        return f"{whose}: {error.message}"
    if not error.status:
        return f"{whose}: {error.message}"
    meaning = {401: "refuses it", 403: "refuses it", 404: "does not know it"}
    return f"{whose}: {meaning.get(error.status, 'answers')} ({error.status})"


def _checked_url(url: object, endpoint: str) -> str:
    """The address of a server; raises Unsound for one that is not asked."""
    is_text = isinstance(url, str) and url.isascii() and url.isprintable()
    if not isinstance(url, str) or not is_text or len(url) > _LONGEST_URL:
        raise Unsound("the Hub names no server")
    try:
        parts = urlsplit(url)
        origin_of(url)
    except ValueError:
        raise Unsound("what the Hub names as a server is no http address") from None
    if "@" in parts.netloc or "?" in url or "#" in url or "\\" in url or " " in url:
        raise Unsound("the address of the server holds more than a server")
    if parts.scheme != "https" and not (_is_here(url) and _is_here(endpoint)):
        raise Unsound("the server is not asked over https, and nothing else will do")
    return url.rstrip("/")


def _is_here(url: str) -> bool:
    """Whether an address is plain http on this machine, as where something is tried out."""
    import ipaddress

    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        return parts.scheme == "http" and (
            host == "localhost" or ipaddress.ip_address(host).is_loopback
        )
    except ValueError:
        return False


def _checked_token(told: Mapping[str, Any]) -> str:
    """The token, if it is one; raises Unsound. When it runs out is learnt when it is refused."""
    token = told.get("accessToken")
    is_text = isinstance(token, str) and token.isascii() and token.isprintable()
    if not isinstance(token, str) or not is_text or not 0 < len(token) <= _LONGEST_TOKEN:
        raise Unsound("the Hub gives no token")
    return token.strip()

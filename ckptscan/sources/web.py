"""HTTP by our rules: ranges, redirects, retries, a deadline, and credentials for one origin only.

The session is that of huggingface_hub, so that proxies, certificates and what a program has set up
there hold here too; nothing else of it is used. It is handed in, for only sources/hub may know it.
"""

from __future__ import annotations

import email.utils
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit, urlunsplit

from ckptscan.errors import SourceUnreachable
from ckptscan.sources.access import Deadline, Watch
from ckptscan.sources.answers import Again, Piece, Refused, Wanted, decoded, take
from ckptscan.sources.failures import TRIES, failures_of, in_our_words

FIRST_PAUSE = 0.5  # seconds; doubled at each further try, with up to as much again by chance
CONNECT = 10.0  # seconds to a connection, as huggingface_hub's HF_HUB_DOWNLOAD_TIMEOUT
SILENT = 10.0  # seconds without a byte
ONE_REQUEST = 30.0  # seconds for one request, and as many as its bytes take at SLOWEST
SLOWEST = 100_000  # bytes a second
SAID = 200  # characters of what a server says that are shown
SHORT = 1 << 16  # bytes of the body of a redirect or a refusal
MAX_REDIRECTS = 8
NOTED = 3.0  # seconds; pauses that a server asks for and that are longer are told
_REDIRECTS = (301, 302, 303, 307, 308)
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
_STALE = (400, 401, 403, 404, 410)  # of the place a redirect led to: its signature has run out
_SCHEMES = ("http", "https")
_PORTS = {"http": 80, "https": 443}
# "resolvers";r=0;t=172, of draft-ietf-httpapi-ratelimit-headers-09
_RATE = re.compile(r";\s*r\s*=\s*0*\s*;\s*t\s*=\s*(\d{1,9})")


class Moved(NamedTuple):
    """Where a redirect leads, for whoever asked not to follow it."""

    url: str


def origin_of(url: str) -> str:
    """Scheme, host and port, as `https://host:443`; raises ValueError for no http address."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError("no http address")
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"


class Connection(NamedTuple):
    """An httpx client, what we call ourselves, and Authorization headers by origin."""

    session: Any
    agent: str
    credentials: Mapping[str, str]


class Web:
    """Requests of one reading; may be used by many threads.

    `connect` is called at the first request. Each credential is sent to exactly the scheme, host
    and port that it is for. `silence` is how many seconds may pass without a byte.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        deadline: Deadline,
        watch: Watch,
        silence: float = SILENT,
    ) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._failures: tuple[type[Exception], ...] = ()
        self._deadline = deadline
        self._watch = watch
        self._silence = silence
        self._resume = 0.0  # no request before this time, by the monotonic clock
        self._lock = threading.Lock()

    def has_credential(self, url: str) -> bool:
        """Whether a credential is sent to the origin of this address."""
        return bool(self._connected().credentials.get(origin_of(url)))

    def get(self, url: str, wanted: Wanted) -> Piece:
        """The bytes that are wanted, after redirects; raises Refused or SourceUnreachable."""
        found = self._tried(url, wanted, follow=True)
        assert isinstance(found, Piece)
        return found

    def try_once(self, url: str, wanted: Wanted) -> Piece:
        """The same without a second try; raises Again and Refused."""
        self._wait_for_resumption()
        found = self._redirected(url, wanted, follow=True)
        assert isinstance(found, Piece)
        return found

    def look(self, url: str, wanted: Wanted) -> Piece | Moved:
        """The same, without following a redirect: the bytes, or where they lie."""
        return self._tried(url, wanted, follow=False)

    def _tried(self, url: str, wanted: Wanted, *, follow: bool) -> Piece | Moved:
        turn = 0
        while True:
            self._wait_for_resumption()
            try:
                return self._redirected(url, wanted, follow=follow)
            except Again as again:
                turn += again.wait is None  # a wait that is asked for is no failure
                reason = f"{urlsplit(url).netloc.rpartition('@')[2]}: {again.reason}"
                if turn >= again.tries:
                    raise SourceUnreachable(
                        f"{reason}, {turn} times" if turn > 1 else reason,
                        again.hint or "try again later",
                    ) from again
                self._pause(again, reason, FIRST_PAUSE * 2 ** (turn - 1) * (1 + random.random()))

    def _pause(self, again: Again, reason: str, pause: float) -> None:
        """Wait before another try; where the server says how long, nobody else asks it meanwhile.

        Raises SourceUnreachable where there is not so much time.
        """
        try:
            left = self._deadline.left()
        except SourceUnreachable:
            raise self._deadline.over(reason) from None
        if again.wait is None:
            if pause >= left:
                raise self._deadline.over(reason)
            time.sleep(pause)
            return
        if again.wait >= left:
            raise SourceUnreachable(
                f"{reason}: the server asks to wait {again.wait:,.0f} s, {left:,.0f} s are left",
                again.hint or "give it longer with --timeout SECONDS, or try again later",
            )
        wait = max(again.wait, FIRST_PAUSE)
        with self._lock:
            resume = time.monotonic() + wait
            if wait > NOTED and resume > self._resume + 1:
                self._watch.say(f"{reason}: waiting {wait:,.0f} s, as the server asks")
            self._resume = max(self._resume, resume)

    def _wait_for_resumption(self) -> None:
        wait = self._resume - time.monotonic()
        if wait > 0:  # not all at once, when it is over
            time.sleep(min(wait + random.random(), self._deadline.left()))

    def _redirected(self, url: str, wanted: Wanted, *, follow: bool) -> Piece | Moved:
        """One try: the request, and those that redirects ask for."""
        seen = []
        for _ in range(MAX_REDIRECTS):
            seen.append(url)
            found = self._once(url, wanted, is_first=len(seen) == 1)
            if isinstance(found, Piece) or not follow:
                return found
            url = found.url
            if url in seen:
                break
        raise Refused(0, "it redirects in a circle, or without end", url=seen[0])

    def _once(self, url: str, wanted: Wanted, *, is_first: bool) -> Piece | Moved:
        connection = self._connected()
        session = connection.session
        left = self._deadline.left()
        try:
            request = session.build_request(
                "GET",
                url,
                headers=_headers(connection, url, wanted),
                timeout=_timeout(session, self._silence, left),
            )
            self._watch.asked()
            response = session.send(request, stream=True, follow_redirects=False)
            try:
                return self._answer(url, response, wanted, is_first=is_first)
            finally:
                response.close()
        except self._failures as error:
            raise in_our_words(error) from error

    def _answer(self, url: str, response: Any, wanted: Wanted, *, is_first: bool) -> Piece | Moved:
        status = response.status_code
        if status in _REDIRECTS:
            self._drained(response)
            return Moved(_next(url, response.headers.get("location", "")))
        if status in (200, 206, 416):
            nbytes = wanted.length or wanted.size or 0
            return take(url, response, wanted, self._chunks(response, nbytes))
        wait = _asked_wait(response.headers)
        if status in _TRANSIENT:
            limit = "too many requests (429)" if status == 429 else f"the server fails ({status})"
            is_login = status != 429 or self.has_credential(url)
            hint = "" if is_login else "with a login more may be allowed"
            self._drained(response)
            raise Again(limit, wait, hint, TRIES)
        body = self._drained(response)
        if status in _STALE and not is_first:
            raise Again(f"what it redirects to is refused ({status})")
        raise Refused(
            status,
            self._scrubbed(response.headers.get("x-error-message", "")),
            response.headers.get("x-error-code", ""),
            url,
            body,
        )

    def _chunks(self, response: Any, nbytes: int) -> Iterator[bytes]:
        """The body as it comes in, decoded; raises where so many bytes take too long."""
        until = time.monotonic() + ONE_REQUEST + nbytes / SLOWEST
        for chunk in decoded(response):
            self._watch.received(len(chunk))
            self._deadline.left()
            if time.monotonic() > until:
                raise Again("the answer trickles in")
            yield chunk

    def _drained(self, response: Any) -> bytes:
        """A body that should be short, read to its end if it is, so that the connection is kept.

        What it says is of little use: a status tells more than a body that is packed wrongly.
        """
        body = b""
        with suppress(Again, Refused):
            for chunk in self._chunks(response, 0):
                body += chunk
                if len(body) > SHORT:
                    break
        return body

    def _scrubbed(self, text: str) -> str:
        """What a server says, cut short and without a credential that it may repeat."""
        for credential in self._connected().credentials.values():
            secret = credential.rpartition(" ")[2]
            text = text.replace(secret, "...") if secret else text
        return text[:SAID]

    def _connected(self) -> Connection:
        with self._lock:
            if self._connection is None:
                self._connection = self._connect()
                self._failures = failures_of(self._connection.session)
        return self._connection


def _headers(connection: Connection, url: str, wanted: Wanted) -> dict[str, str]:
    headers = {
        "user-agent": connection.agent,
        "accept": "*/*",
        "accept-encoding": "gzip, deflate" if wanted.length is None else "identity",
    }
    if wanted.about:
        headers["range"] = f"bytes={wanted.about[0]}-{wanted.about[1] - 1}"
    if wanted.length is not None:
        headers["range"] = f"bytes={wanted.start}-{wanted.start + wanted.length - 1}"
    credential = connection.credentials.get(origin_of(url))
    if credential:
        headers["authorization"] = credential
    return headers


def without_user(url: str) -> tuple[str, str]:
    """An address without `user:password@`, and the Authorization header that says the same."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return urlunsplit(parts), ""
    from base64 import b64encode
    from urllib.parse import unquote

    plain = urlunsplit(parts._replace(netloc=host))
    user += "" if ":" in user else ":"
    return plain, "Basic " + b64encode(unquote(user).encode()).decode()


def _timeout(session: Any, silence: float, left: float) -> Any:
    """The limits of one request, none longer than what is left of all."""
    return type(session.timeout)(min(silence, left), connect=min(CONNECT, left))


def _next(url: str, location: str) -> str:
    """Where a redirect leads, without user and fragment; raises Refused where we don't go."""
    try:
        target = without_user(urljoin(url, location))[0].partition("#")[0]
        origin_of(target)
    except ValueError:
        raise Refused(0, "it redirects to no http address", url=url) from None
    if not location:
        raise Refused(0, "it redirects to nowhere", url=url)
    if urlsplit(url).scheme == "https" != urlsplit(target).scheme:
        raise Refused(0, "it redirects from https to http, which is not followed", url=url)
    return target


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait, None where it does not."""
    rate = _RATE.search(headers.get("ratelimit", ""))
    if rate:
        return float(rate[1]) + 1
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, when - time.time())

"""Whether the Hub answers, and whether there is a token for it: one request, never the token."""

from __future__ import annotations

import time
from typing import NamedTuple

from ckptscan.errors import CkptscanError, SourceError, SourceUnreachable, UsageError
from ckptscan.sources.access import NOBODY, Deadline
from ckptscan.sources.answers import Again, Refused, TooLong, Wanted
from ckptscan.sources.hub import session, settings
from ckptscan.sources.redaction import redacted
from ckptscan.sources.web import Connection, Web, origin_of, without_user

_ASKED = "/api/models?limit=1"
_MOST = 1 << 16  # bytes of an answer that are read
_REFUSALS = (401, 403)


class Reached(NamedTuple):
    """What came of asking `endpoint`; `status` is None where nobody answered.

    Any answer will do: a mirror need not know what was asked.
    """

    endpoint: str
    status: int | None
    seconds: float
    problem: str = ""


def has_token() -> bool:
    """Whether there is a token that may be sent; what it is, nobody is told."""
    try:
        return session.token() is not None
    except SourceError:
        return False


def reach(timeout: float) -> Reached:
    """Ask the endpoint once, as a reading would."""
    endpoint = redacted(settings.endpoint())
    start = time.monotonic()
    try:
        status, problem = _asked(timeout), ""
    except Again as again:
        status, problem = None, again.reason
    except CkptscanError as error:
        status, problem = None, error.message
    if status in _REFUSALS and has_token():
        problem = f"the token is refused ({status})"
    problem = f"{endpoint}: {problem}" if problem else ""
    return Reached(endpoint, status, time.monotonic() - start, problem)


def _asked(timeout: float) -> int:
    """The status of the answer. Raises Again, SourceError and UsageError."""
    try:
        plain, basic = without_user(settings.endpoint())
        home = origin_of(plain)
    except ValueError:
        raise UsageError("HF_ENDPOINT is no http address") from None

    def connect() -> Connection:
        token = None if basic else session.token()
        return session.connect({home: basic or (f"Bearer {token}" if token else "")})

    web = Web(connect, Deadline(timeout), NOBODY, timeout)
    try:
        web.try_once(plain + _ASKED, Wanted(most=_MOST))
    except Refused as refused:
        if refused.status or isinstance(refused, TooLong):
            return refused.status or 200
        raise SourceUnreachable(refused.message) from refused
    return 200

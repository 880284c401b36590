"""Requests by our rules: where redirects may lead, which credential goes where, when to wait."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from ckptscan.errors import SourceUnreachable, UsageError
from ckptscan.sources.access import Deadline, Silence
from ckptscan.sources.answers import Refused, Wanted
from ckptscan.sources.web import (
    Connection,
    Web,
    _asked_wait,
    _next,
    origin_of,
    without_user,
)
from tests.standin import Standin


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Host.example/a", "https://host.example:443"),
        ("http://host:8080/a?b#c", "http://host:8080"),
        ("https://user:pw@host/a", "https://host:443"),
        ("http://[::1]/a", "http://::1:80"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, expected: str) -> None:
    assert expected == origin_of(url)


@pytest.mark.parametrize(
    "url", ["ftp://host/a", "file:///etc/passwd", "//host/a", "", "https://", "http://h:x/"]
)
def test_what_is_no_http_address_has_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        origin_of(url)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/b", "https://host/b"),
        ("c?d", "https://host/a/c?d"),
        ("https://other/x#top", "https://other/x"),
        ("https://u:p@other/x", "https://other/x"),
        ("//other/x", "https://other/x"),
    ],
)
def test_a_redirect_leads_where_it_says_and_brings_no_credential(
    location: str, expected: str
) -> None:
    assert expected == _next("https://host/a/b", location)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://host/a/b", "from https to http"),
        ("http://other/", "from https to http"),
        ("ftp://other/", "no http address"),
        ("file:///etc/passwd", "no http address"),
        ("javascript:alert(1)", "no http address"),
        ("", "to nowhere"),
        ("https://[bad", "no http address"),
        ("https://host:99999999/", "no http address"),
    ],
)
def test_a_redirect_that_is_not_followed_says_why(location: str, reason: str) -> None:
    for scheme in ("https", "HTTPS"):
        with pytest.raises(Refused, match=reason):
            _next(f"{scheme}://host/a/b", location)


def test_a_user_in_an_address_becomes_a_header() -> None:
    assert ("https://host/a", "") == without_user("https://host/a")
    assert ("https://host/a?b", "Basic dTpwQDE=") == without_user("https://u:p%401@host/a?b")
    assert ("https://host/", "Basic dG9rOg==") == without_user("HTTPS://tok@host/")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"ratelimit": '"resolvers";r=0;t=172'}, 173),
        ({"ratelimit": '"resolvers";r=12;t=172'}, None),
        ({"ratelimit": '"api";r=0;t=5', "retry-after": "90"}, 6),
        ({"retry-after": "90"}, 90),
        ({"retry-after": " 7 "}, 7),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], expected: float | None) -> None:
    assert expected == _asked_wait(headers)


def test_a_date_to_wait_until_is_seconds_from_now() -> None:
    wait = _asked_wait({"retry-after": formatdate(time.time() + 60, usegmt=True)})

    assert wait is not None
    assert 57 < wait < 61


def web(standin: Standin, credential: str, seconds: float = 10) -> Web:
    def connect() -> Connection:
        from ckptscan.sources.hub import session

        return session.connect({origin_of(standin.endpoint): credential})

    return Web(connect, Deadline(seconds), Silence())


def test_a_credential_goes_to_its_scheme_host_and_port_alone(standin: Standin) -> None:
    url = standin.put("x", b"0123456789")
    reader = web(standin, "Bearer hf_standin")

    assert b"2345" == reader.get(url, Wanted(2, 4)).data
    assert "authorization" not in standin.requests[-1].headers
    reader.get(f"{standin.endpoint}/api/models/org/x", Wanted())
    assert "Bearer hf_standin" == standin.requests[-1].headers["authorization"]
    assert reader.has_credential(standin.endpoint)
    assert not reader.has_credential(standin.cdn)


@pytest.mark.parametrize("encoding", ["br", "gzip", "gzip, gzip"])
def test_a_refusal_is_what_its_status_says_however_its_body_is_packed(
    encoding: str, standin: Standin
) -> None:
    standin.faults.on("status", (404, {"Content-Encoding": encoding}), stage="plain")

    with pytest.raises(Refused) as caught:
        web(standin, "").get(standin.put("x", b"0"), Wanted(0, 1))
    assert 404 == caught.value.status


def test_a_whole_that_is_larger_than_wanted_is_refused(standin: Standin) -> None:
    url = standin.put("x", b"0" * 1000)

    with pytest.raises(Refused, match="more than 10 bytes come"):
        web(standin, "").get(url, Wanted(most=10))


@pytest.mark.parametrize("seconds", [float("nan"), 0.0, -1.0])
def test_what_is_no_time_is_a_usage_error(seconds: float) -> None:
    with pytest.raises(UsageError, match="no time"):
        Deadline(seconds)


@pytest.mark.parametrize("seconds", [float("inf"), 1e300])
def test_a_deadline_may_be_far(seconds: float) -> None:
    assert 1e7 < Deadline(seconds).left() < 1e9


def test_past_the_deadline_nothing_is_asked(standin: Standin) -> None:
    reader = web(standin, "", seconds=0.001)
    time.sleep(0.01)

    with pytest.raises(SourceUnreachable, match="not done within"):
        reader.get(standin.put("x", b"0"), Wanted())
    assert [] == standin.requests

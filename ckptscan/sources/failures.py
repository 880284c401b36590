"""Failures of the net, in our words: what a library raises, and whether another try may help."""

from __future__ import annotations

import sys
from typing import Any

from ckptscan.sources.answers import Again

TRIES = 5  # of what fails by chance
_NO_TRUST = "SSL_CERT_FILE names further authorities to trust, as that of a company's proxy"
_NO_CONNECTION = (
    "is the net there, and HTTPS_PROXY right? a mirror of the Hub is set as HF_ENDPOINT"
)
_FAILURES = (
    ("Timeout", "no answer in time"),
    ("RemoteProtocolError", "the answer breaks off"),
    ("ReadError", "the connection is cut"),
    ("DecodingError", "the answer's compression is damaged"),
    ("OfflineMode", "huggingface_hub is set to be offline"),
    ("InvalidURL", "the address is none"),
    ("UnsupportedProtocol", "the address is none"),
    ("Unicode", "the address or a header is none"),
    ("LocalProtocol", "the request can't be sent"),
)
_LASTING = ("OfflineMode", "InvalidURL", "UnsupportedProtocol", "Unicode", "LocalProtocol")


def failures_of(session: Any) -> tuple[type[Exception], ...]:
    """What a session raises: huggingface_hub 1 comes with httpx, 2 with httpx2."""
    roots = [kind.__module__.partition(".")[0] for kind in type(session).__mro__]
    library = next(sys.modules[root] for root in roots if root in ("httpx", "httpx2"))
    return (library.HTTPError, library.StreamError, library.InvalidURL, OSError, ValueError)


def in_our_words(error: Exception) -> Again:
    """A failure of the net in our words, without what a message of the library may tell."""
    name = type(error).__name__
    if _is_of_certificates(error):
        return Again("its certificate is not trusted", hint=_NO_TRUST, tries=1)
    if "location header" in str(error):  # httpx 0.28 reads it, though it is told not to follow
        return Again("it redirects to no http address", tries=1)
    if "Connect" in name:  # ConnectError, ConnectTimeout: nobody is there
        return Again("no connection", hint=_NO_CONNECTION)
    for part, words in _FAILURES:
        if part in name:
            return Again(words, tries=1 if part in _LASTING else TRIES)
    return Again(f"the connection fails ({name})", tries=TRIES)


def _is_of_certificates(error: BaseException | None) -> bool:
    """Whether TLS refused the other side, however the library has wrapped that."""
    for _ in range(8):
        if error is None:
            return False
        if type(error).__name__ == "SSLCertVerificationError":
            return True
        error = error.__cause__ or error.__context__
    return False

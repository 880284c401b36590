"""Failures of the net are told in our words."""

from __future__ import annotations

import ssl

from ckptscan.sources.failures import in_our_words


def test_a_certificate_that_is_not_trusted_is_told_as_that() -> None:
    wrapped = OSError("x")
    wrapped.__cause__ = ssl.SSLCertVerificationError("y")

    assert "its certificate is not trusted" == in_our_words(wrapped).reason
    assert "SSL_CERT_FILE" in in_our_words(wrapped).hint

"""The one file that imports huggingface_hub: its session and its token."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from ckptscan.errors import SourceRefused, SourceUnreachable
from ckptscan.sources.web import Connection
from ckptscan.version import VERSION


def connect(credentials: Mapping[str, str]) -> Connection:
    """The client that huggingface_hub shares in this process, with what a program has set there.

    `credentials` are Authorization headers by origin. Raises SourceError.
    """
    if not all(value.isascii() and value.isprintable() for value in credentials.values()):
        raise SourceRefused(
            "the token holds characters that no token has",
            "look at HF_TOKEN, or log in anew with hf auth login",
        )
    try:
        from huggingface_hub import __version__, get_session

        session = get_session()
    except (ImportError, OSError, ValueError) as error:
        raise _unusable(error) from error
    # huggingface_hub's own words for itself would cost a request a day to make
    agent = f"ckptscan/{VERSION}; hf_hub/{__version__}; python/{platform.python_version()}"
    return Connection(session, agent, credentials)


def token() -> str | None:
    """The user's token: HF_TOKEN, or that of `hf auth login`; None where it may not be sent.

    Raises SourceUnreachable where there is one that can't be read.
    """
    try:
        from huggingface_hub import constants, get_token

        return None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    except (ImportError, OSError, ValueError) as error:
        raise _unusable(error) from error


def _unusable(error: Exception) -> SourceUnreachable:
    return SourceUnreachable(
        f"huggingface_hub, or its token, can't be used: {type(error).__name__}",
        "look at HTTPS_PROXY, SSL_CERT_FILE, HF_TOKEN, HF_HOME and their like",
    )

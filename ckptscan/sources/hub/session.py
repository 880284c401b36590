"""The one file that imports huggingface_hub: its session and its token."""

from __future__ import annotations

import platform
from typing import Any

from ckptscan.version import VERSION


def open_session() -> Any:
    """The client that huggingface_hub shares in this process, with what a program has set there."""
    from huggingface_hub import get_session

    return get_session()


def agent() -> str:
    """What we call ourselves. huggingface_hub's own words would cost a request a day to make."""
    from huggingface_hub import __version__

    return f"ckptscan/{VERSION}; hf_hub/{__version__}; python/{platform.python_version()}"


def token() -> str | None:
    """The user's token: HF_TOKEN, or that of `hf auth login`; None where it may not be sent."""
    from huggingface_hub import constants, get_token

    return None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()

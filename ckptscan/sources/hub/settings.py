"""What the user's environment says of the Hub, as huggingface_hub reads it, without importing it.

The names and their precedence: huggingface_hub/constants.py, 1.33 and 2.4.
"""

from __future__ import annotations

import os

DEFAULT_ENDPOINT = "https://huggingface.co"
HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")  # whose pages people paste
_TRUE = ("1", "ON", "YES", "TRUE")


def endpoint() -> str:
    """Where the Hub is: HF_ENDPOINT, a mirror perhaps, without a slash at its end."""
    stated = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    return stated or DEFAULT_ENDPOINT


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE, or TRANSFORMERS_OFFLINE, forbids requests."""
    stated = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return stated.upper() in _TRUE


def cache_folder() -> str:
    """Where huggingface_hub keeps what it downloads."""
    home = os.environ.get("HF_HOME")
    if not home:
        above = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
        home = os.path.join(above, "huggingface")
    stated = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return os.path.expandvars(os.path.expanduser(stated or os.path.join(home, "hub")))


def silence_seconds() -> float:
    """Seconds without a byte that a request may take: HF_HUB_DOWNLOAD_TIMEOUT, 10 by default."""
    stated = os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT", "")
    is_number = stated.isascii() and stated.isdigit() and len(stated) < 7
    return float(stated) if is_number and int(stated) else 10.0

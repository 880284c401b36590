"""Addresses as they may be shown: without user information, query and fragment."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(\s*([A-Za-z][A-Za-z0-9+.-]*):/+)(.*)", re.DOTALL)
_WITH_REVISIONS = ("hf", "ms")  # org/name@revision: what stands before an @ is no user


def redacted(spec: str) -> str:
    """A spec as it may be shown; what is no address is shown as it is."""
    match = _ADDRESS.fullmatch(spec)
    if not match:
        return spec
    start, scheme, rest = match[1], match[2].lower(), re.split(r"[?#]", match[3], maxsplit=1)[0]
    if scheme in _WITH_REVISIONS:
        return start + rest
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        authority = authority.rpartition("@")[2]
    elif "@" in path and not re.fullmatch(r"[^:]*(:\d*)?", authority):
        return start + rest.rpartition("@")[2]  # a password with a slash in it
    return start + authority + slash + path

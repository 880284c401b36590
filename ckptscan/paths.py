"""Paths that come out of files: whether they may be joined to a folder at all."""

from __future__ import annotations

import re

from ckptscan.names import is_visible

# a drive or a scheme at the start of a path
_DRIVE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
LONGEST = 1024  # characters; file systems take 255 a segment


def is_inside(path: str) -> bool:
    """Whether a path names a file below its folder, and plainly.

    No absolute path, drive, scheme, backslash, `.` or `..` or empty segment, and no character that
    a terminal would obey.
    """
    segments = path.split("/")
    return (
        len(path) <= LONGEST
        and is_visible(path)
        and "\\" not in path
        and not _DRIVE.match(path)
        and all(segment not in ("", ".", "..") for segment in segments)
    )

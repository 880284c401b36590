"""Where bytes come from; the only rooms that touch disk or net."""

from ckptscan.sources.access import Access
from ckptscan.sources.base import (
    DANGLING,
    UNSAFE,
    Fetching,
    FileEntry,
    Filling,
    Job,
    Located,
    Opened,
    Origin,
    Range,
    Source,
    Timed,
    read_head,
    read_ranges,
    read_small,
)
from ckptscan.sources.redaction import redacted
from ckptscan.sources.spec import expand, open_source

__all__ = [
    "DANGLING",
    "UNSAFE",
    "Access",
    "Fetching",
    "FileEntry",
    "Filling",
    "Job",
    "Located",
    "Opened",
    "Origin",
    "Range",
    "Source",
    "Timed",
    "expand",
    "open_source",
    "read_head",
    "read_ranges",
    "read_small",
    "redacted",
]

"""How commands write: the width to fit, the marks of bars, lines in blocks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from itertools import islice

from ckptscan.report.bars import FINE, NONE, PLAIN

_PLAIN_TERMINALS = ("dumb", "linux")  # their fonts lack the blocks
_LINES_AT_ONCE = 2000


def columns() -> int | None:
    """The width to write for: COLUMNS, or the terminal's; None where the output is piped."""
    stated = os.environ.get("COLUMNS", "")
    if stated.isascii() and stated.isdigit() and len(stated) < 5 and int(stated):
        return int(stated)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):
        return None


def marks() -> str:
    """What bars are drawn with: blocks or, on a plain terminal, `#`; nothing where it is piped."""
    if not sys.stdout.isatty():
        return NONE
    encoding = (sys.stdout.encoding or "").lower()
    is_fine = encoding.startswith("utf") and os.environ.get("TERM") not in _PLAIN_TERMINALS
    return FINE if is_fine else PLAIN


def write(lines: Iterable[str]) -> None:
    """Lines to stdout, in blocks: 200,000 lines take 0.1 s instead of 1."""
    waiting = iter(lines)
    while block := list(islice(waiting, _LINES_AT_ONCE)):
        sys.stdout.write("\n".join(block) + "\n")
    sys.stdout.flush()

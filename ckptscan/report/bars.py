"""Bars of characters for a terminal: blocks where it shows them, else `#`; none if piped."""

from __future__ import annotations

# the marks of a bar, from the least to a full character
NONE, PLAIN, FINE = "", "#", "▏▎▍▌▋▊▉█"
_REFINED = str.maketrans("#=", "█░")  # marks of a waterfall


def bar(part: int, whole: int, width: int, marks: str) -> str:
    """A bar that shows a part of a whole, as wide as it is told; computed in integers."""
    if not marks or whole <= 0 or part <= 0:
        return " " * width
    steps = width * len(marks)
    full, rest = divmod(min(steps, (part * steps + whole // 2) // whole), len(marks))
    return (marks[-1] * full + marks[rest - 1 : rest]).ljust(width)


def refined(drawn: str, marks: str) -> str:
    """A bar of plain characters as the terminal can show it."""
    return drawn.translate(_REFINED) if marks == FINE else drawn

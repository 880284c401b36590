"""Bars for a terminal: blocks where it shows them, plain ASCII elsewhere, none where it is piped."""

from __future__ import annotations

import sys

import pytest

from ckptscan.commands.output import marks
from ckptscan.report import Layout, report
from ckptscan.report.bars import FINE, NONE, PLAIN, bar, refined
from ckptscan.report.plans.waterfall import TERM, TOTAL
from tests.conftest import structure_of

TENSORS = {"a": ("U8", [75]), "b": ("U8", [24]), "c": ("U8", [1])}


@pytest.mark.parametrize(
    ("part", "whole", "marks", "expected"),
    [
        (0, 8, FINE, "    "),
        (8, 8, FINE, "████"),
        (8, 8, PLAIN, "####"),
        (5, 8, PLAIN, "### "),
        (5, 8, FINE, "██▌ "),
        (1, 32, FINE, "▏   "),
        (1, 32, PLAIN, "    "),
        (9, 8, FINE, "████"),
        (1, 0, FINE, "    "),
        (4, 8, NONE, "    "),
    ],
)
def test_a_bar_is_a_share_of_its_width(part: int, whole: int, marks: str, expected: str) -> None:
    assert expected == bar(part, whole, 4, marks)


def test_a_waterfall_is_refined_where_the_terminal_shows_blocks() -> None:
    drawn = f" {TOTAL}{TERM}"

    assert " ░█" == refined(drawn, FINE)
    assert drawn == refined(drawn, PLAIN) == refined(drawn, NONE)


def tree(width: int, bars: str) -> list[str]:
    """The lines of the tree, its head left out."""
    lines = list(report(structure_of(TENSORS), "text", Layout(width=width, bars=bars)))
    return lines[lines.index("") + 2 :]


@pytest.mark.parametrize(
    ("bars", "expected"),
    [
        (FINE, ["75.0 % ███████▌", "24.0 % ██▍", " 1.0 % ▏"]),
        (PLAIN, ["75.0 % ########", "24.0 % ##", " 1.0 %"]),
        (NONE, ["75.0 %", "24.0 %", " 1.0 %"]),
    ],
    ids=["fine", "plain", "none"],
)
def test_the_tree_has_a_bar_behind_each_share(bars: str, expected: list[str]) -> None:
    for line, end in zip(tree(100, bars), expected, strict=True):
        assert line.endswith(end)


def test_bars_go_first_where_room_is_short() -> None:
    longest = max(map(len, tree(100, NONE)))

    assert tree(longest - 2, NONE) == tree(longest - 2, PLAIN)


class Terminal:
    """A standard output of some encoding, on a terminal or not."""

    def __init__(self, encoding: str | None, is_terminal: bool) -> None:
        self.encoding, self.is_terminal = encoding, is_terminal

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize(
    ("encoding", "is_terminal", "term", "expected"),
    [
        ("utf-8", True, "xterm", FINE),
        ("UTF-8", True, "xterm-256color", FINE),
        ("utf-8", True, "dumb", PLAIN),
        ("utf-8", True, "linux", PLAIN),
        ("ascii", True, "xterm", PLAIN),
        ("cp1252", True, "xterm", PLAIN),
        (None, True, "xterm", PLAIN),
        ("utf-8", False, "xterm", NONE),
    ],
)
def test_marks_are_what_the_terminal_can_show(
    encoding: str | None,
    is_terminal: bool,
    term: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stdout", Terminal(encoding, is_terminal))

    assert expected == marks()

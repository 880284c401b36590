"""A meter of bytes: silent where nobody looks on."""

from __future__ import annotations

import io
import sys

import pytest

from ckptscan.sources import progress
from ckptscan.sources.access import Deadline
from ckptscan.sources.progress import Meter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "pipe"])
def test_a_bar_of_bytes(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    meter = Meter("tensors")
    meter.begin(1000)
    meter.advance(400)
    meter.begin(24)
    meter.advance(600)
    meter.end()
    seen = stream.getvalue()

    assert stream.isatty() == ("tensors" in seen)


def test_nothing_is_drawn_of_what_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    meter = Meter("tensors")
    meter.begin(1000)
    meter.advance(1000)
    meter.end()

    assert "" == stream.getvalue()


def test_a_deadline_begins_anew() -> None:
    deadline = Deadline(1000)
    before = deadline.left()
    deadline.renew()

    assert deadline.left() >= before

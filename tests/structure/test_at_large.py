"""Checkpoints whose tensors have nothing in common: what they cost grows with their number alone."""

from __future__ import annotations

import time
from collections import deque

import pytest

from ckptscan.report import report
from ckptscan.report.options import Layout
from tests.conftest import Tensors, structure_of

FEW = 3_000


@pytest.mark.slow
def test_twice_as_many_unlike_tensors_take_twice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told as unlike, so that no guard makes the larger one cheaper."""
    monkeypatch.setattr("ckptscan.structure.describing.MAX_FAMILIES", 0)
    _seconds(FEW)

    assert 4 * _seconds(FEW) > _seconds(2 * FEW)


def _seconds(count: int) -> float:
    """CPU seconds to describe and report so many tensors without a common pattern, deep and not."""
    tensors: Tensors = {
        ".".join(f"{word}{row:x}z" for word in "abcdefgh"[: 1 + row % 8]): ("F32", [1 + row % 99])
        for row in range(count)
    }
    begun = time.process_time()
    deque(report(structure_of(tensors), "json", Layout()), maxlen=0)
    return time.process_time() - begun

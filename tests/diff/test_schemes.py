"""Every scheme that is dequantized is compared, by the same formulas."""

from __future__ import annotations

import numpy as np
import pytest

from ckptscan.content.pairs.values import CHANGED, CONSISTENT, Found, Wish
from ckptscan.diff.contents import compare_tensors
from tests.content.dequantize.cases import CASES
from tests.content.dequantize.test_schemes import opened
from tests.content.dequantize.writing import NAME, Written


def compared(written: Written, weights: np.ndarray[object, np.dtype[np.float64]]) -> Found:
    """What is found of a weight, once as plain numbers and once as it was written."""
    plain = Written({f"{NAME}weight": ("F32", weights.astype("<f4"))}, weights)
    a, b = opened(plain), opened(written)
    diff = compare_tensors(a, b, None, Wish())
    (found,) = (one.evidence.found for one in diff.changes if one.fact("requantized"))

    assert found is not None
    return found


@pytest.mark.parametrize("case", [case for case in CASES if case != "aqlm"])
def test_codes_stand_for_the_numbers_that_were_written(case: str) -> None:
    written = CASES[case]()
    found = compared(written, written.weights)

    assert CONSISTENT == found.state
    assert found.fit is not None
    assert 0 == found.fit.inexact


@pytest.mark.parametrize(
    "case", ["gptq-4", "awq", "mlx-3", "int8-asymmetric", "nf4-nested", "hqq-4"]
)
def test_codes_of_other_numbers_are_told(case: str) -> None:
    written = CASES[case]()
    found = compared(written, np.roll(written.weights, 1, axis=0))

    assert CHANGED == found.state


def test_sums_of_entries_are_not_judged() -> None:
    found = compared(CASES["aqlm"](), CASES["aqlm"]().weights)

    assert "how far its codes reach is not known" == found.reason

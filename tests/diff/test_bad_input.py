"""What is odd in the data of either side is told, and nothing is told that was not proved."""

from __future__ import annotations

import numpy as np
import pytest

from ckptscan.checkpoint import load
from ckptscan.content.pairs.values import Wish
from ckptscan.diff import compare
from ckptscan.report.diff import FORMATS, Look, report
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import describe
from tests.content.making import Arrays, raw_file
from tests.diff.contents import FULL, diff_of, edited, floats, model, source, stored

A = model()
COUNT = len(A)
NAN = 0x7FC0


def with_nan(array: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    array[0, :3] = NAN
    return array


def changed(b: Arrays, a: Arrays = A, wish: Wish = FULL) -> int:
    diff = diff_of(source(a), source(b), wish)
    return sum(one.tensors for one in diff.changes if one.evidence.content == "changed")


def test_the_same_nan_is_no_change_and_another_is() -> None:
    """NaN is unequal to itself as a number; as bytes it is not."""
    nan = edited(A, "up_proj", with_nan)

    assert 0 == changed(nan, nan)
    assert 4 == changed(nan)
    assert 4 == changed(A, nan)


def test_nan_survives_a_cast() -> None:
    nan = edited(A, "up_proj", with_nan)
    wide = {name: ("F32", stored("F32", floats(one))) for name, (_, one) in nan.items()}

    assert 0 == changed(wide, nan)
    assert 4 == changed(wide)


def test_figures_of_nan_are_finite_or_null() -> None:
    """JSON has no NaN."""
    diff = diff_of(source(A), source(edited(A, "up_proj", with_nan)), FULL)
    text = "\n".join(report(diff, "json", Look()))

    assert "NaN" not in text
    assert "Infinity" not in text


@pytest.mark.parametrize("wish", [Wish(), FULL], ids=["sampled", "full"])
def test_tensors_without_elements_are_equal_by_their_shape(wish: Wish) -> None:
    empty: Arrays = {
        "lora.weight": ("BF16", np.empty((0, 8), "<u2")),
        "scalar.weight": ("BF16", np.array(0x3F80, "<u2")),
        **A,
    }
    same = diff_of(source(empty), source(dict(empty)), wish)
    longer = {**empty, "lora.weight": ("BF16", np.empty((0, 9), "<u2"))}
    other = diff_of(source(empty), source(longer), wish)

    assert 0 == same.summary["removed"] + same.summary["reshaped"] + same.summary["content"]
    assert 1 == other.summary["reshaped"]


def test_nothing_in_common_is_one_verdict_that_reads_nothing_in_vain() -> None:
    one, two = {"x.weight": A["lm_head.weight"]}, {"y.bias": ("I64", np.arange(3))}
    diff = diff_of(source(one), source(two))

    assert ["unrelated"] == [one.code for one in diff.verdicts]
    assert 0 == diff.bytes_read


def test_a_budget_that_is_too_small_says_what_would_settle_it() -> None:
    small = diff_of(source(A), source(dict(A)), Wish(most=4096))
    enough = small.bytes_wanted + (small.bytes_read or 0)
    settled = diff_of(source(A), source(dict(A)), Wish(full=True, most=enough))
    text = "\n".join(report(small, "text", Look(width=200)))

    assert {"more than was to be read"} <= {
        one.evidence.found.reason for one in small.changes if one.evidence.found
    }
    assert "would settle the rest" in text
    assert {"identical": COUNT} == {kind: n for kind, n in settled.summary.items() if n}


HOSTILE = ("\x1b[31mred", "a|b<script>", "\u202eevil", "=cmd()", "x\n::error::", "*\\*", "n" * 5000)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("format_name", FORMATS)
def test_hostile_names_of_one_side_stay_inert(name: str, format_name: str) -> None:
    b = {**A, f"{name}.weight": A["model.norm.weight"]}
    text = "\n".join(report(diff_of(source(A), source(b)), format_name, Look(width=80)))

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n::error::" not in text
    assert "<script>" not in text or format_name != "markdown"


def test_a_file_that_ends_early_is_not_half_compared() -> None:
    """What lies past the end of its file stays open, with the reason."""
    raw = raw_file(A)
    cut = MemorySource({"model.safetensors": raw[: len(raw) // 2]})
    diff = diff_of(source(A), cut)
    reasons = {one.evidence.found.reason for one in diff.changes if one.evidence.found}

    assert "it lies past the end of its file" in reasons
    assert not diff.is_identical
    assert not {"identical", "same-weights"} & {one.code for one in diff.verdicts}
    assert compare(describe(load(cut)), describe(load(cut))).changes

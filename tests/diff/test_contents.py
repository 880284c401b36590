"""What reading tensors of two checkpoints tells, by samples and by every byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray

from ckptscan.checkpoint import load
from ckptscan.content.pairs.values import Reach, Wish
from ckptscan.diff import Diff, compare_tensors
from ckptscan.errors import SourceError
from ckptscan.sources import open_source
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import describe
from tests.conftest import Tensors
from tests.conftest import source_of as zeros
from tests.content.making import Arrays, raw_file
from tests.diff import contents as making
from tests.diff.contents import FULL, diff_of, edited, model, source, states
from tests.diff.making import told
from tests.diff.test_transformations import sums
from tests.structure.match.test_matching import MODELS

A = model()
COUNT = len(A)
UP = "layers.2.mlp.up_proj"


def compared(b: Arrays, wish: Wish | None = None, a: Arrays = A) -> Diff:
    return diff_of(source(a), source(b), wish)


def one_element(array: NDArray[Any]) -> NDArray[Any]:
    array[100, 7] ^= 1
    return array


def last_row(array: NDArray[Any]) -> NDArray[Any]:
    array[-1] ^= 1
    return array


def one_row(array: NDArray[Any]) -> NDArray[Any]:
    array[456] ^= 1
    return array


def not_a_number(array: NDArray[Any]) -> NDArray[Any]:
    array.reshape(-1)[:3] = 0x7FC0
    return array


HEADS = edited(A, r"[qk]_proj", making.permuted)
CASES = [
    pytest.param(A, {"identical"}, "", id="same"),
    pytest.param(making.cast(A, "F32"), {"cast"}, "B is A cast to F32", id="cast-up"),
    pytest.param(
        making.renamed(A, "^model", "model.language_model"),
        {"identical", "renamed"},
        "tensors have other names",
        id="prefix",
    ),
    pytest.param(
        making.fused(A, ("q_proj", "k_proj", "v_proj"), "qkv_proj"),
        {"identical", "restructured"},
        "q + k + v -> qkv",
        id="fused",
    ),
    pytest.param(
        making.fused(A, ("gate_proj", "up_proj"), "gate_up_proj"),
        {"identical", "restructured"},
        "gate + up -> gate_up",
        id="gate-up",
    ),
    pytest.param(
        edited(A, "_proj", making.turned), {"identical", "restructured"}, "transposed", id="turned"
    ),
    pytest.param(HEADS, {"identical", "restructured"}, "rows permuted", id="permuted"),
    pytest.param(dict(reversed(list(A.items()))), {"identical"}, "", id="order"),
]


@pytest.mark.parametrize(("b", "kinds", "words"), CASES)
def test_the_same_weights_stored_otherwise_are_proved_by_every_byte(
    b: Arrays, kinds: set[str], words: str
) -> None:
    diff = compared(b, FULL)

    assert {"identical": sum(states(diff).values())} == states(diff)
    assert kinds >= told(diff).keys()
    assert words in "; ".join(one.text for one in diff.verdicts)
    assert {"proved"} == {one.proof for one in diff.verdicts}


@pytest.mark.parametrize(("b", "kinds", "words"), CASES)
def test_the_same_weights_show_no_difference_in_samples(
    b: Arrays, kinds: set[str], words: str
) -> None:
    diff = compared(b)

    assert {"identical", "sampled"} == states(diff).keys()
    assert words in "; ".join(one.text for one in diff.verdicts)
    assert {"sampled"} == {one.proof for one in diff.verdicts}


@pytest.mark.parametrize(
    ("pattern", "change", "count"),
    [
        pytest.param(UP, one_element, 1, id="one-element"),
        pytest.param("embed_tokens", one_row, 1, id="one-row"),
        pytest.param("", making.noisy, COUNT, id="noise"),
        pytest.param(r"2\..*norm", not_a_number, 2, id="nan"),
    ],
)
def test_every_change_is_found_in_every_byte(pattern: str, change: Any, count: int) -> None:
    diff = compared(edited(A, pattern, change), FULL)

    assert {"content": count} == {k: v for k, v in told(diff).items() if k != "identical"}
    assert {"tuned"} == {one.code for one in diff.verdicts}


def test_samples_find_what_is_everywhere_and_the_last_rows_of_tables() -> None:
    assert {"content": COUNT} == told(compared(edited(A, "", making.noisy)))
    assert {"changed": 1} == {
        state: count
        for state, count in states(compared(edited(A, "embed", last_row))).items()
        if state == "changed"
    }


def test_a_change_in_one_place_may_be_missed_and_the_chance_is_told() -> None:
    diff = compared(edited(A, UP, one_element))
    (one,) = (
        one for one in diff.changes if one.a[0].unit.family.pattern.endswith("mlp.up_proj.weight")
    )

    assert "sampled" == one.evidence.content
    assert one.evidence.found
    assert one.evidence.found.missed
    spread, together = one.evidence.found.missed
    assert spread < 1e-9
    assert 0.8 < together < 1


def test_nan_that_are_the_same_are_no_difference() -> None:
    a = edited(A, "norm", not_a_number)

    assert {"identical": COUNT} == told(compared(dict(a), FULL, a))
    assert {"cast": COUNT} == told(compared(making.cast(a, "F32"), FULL, a))
    assert {"identical": COUNT} == states(compared(making.cast(a, "F32"), FULL, a))


def test_a_cast_of_other_weights_is_told_as_changed() -> None:
    diff = compared(making.cast(edited(A, "", making.noisy), "F32"), FULL)

    assert {"cast": COUNT} == told(diff)
    assert {"changed": COUNT} == states(diff)
    assert "B is A cast" not in diff.verdicts[0].text


def test_rounding_to_a_narrower_dtype_is_a_cast() -> None:
    numbers = {name: making.floats(one) * np.float32(1.0001) for name, (_, one) in A.items()}
    a: Arrays = {name: ("F32", one) for name, one in numbers.items()}
    b: Arrays = {name: ("BF16", making.nearest(one)) for name, one in numbers.items()}

    assert {"identical": COUNT} == states(compared(b, FULL, a))


def test_a_merged_adapter_is_told_by_its_rank() -> None:
    diff = compared(edited(A, "[qv]_proj", making.merged), FULL)

    assert ["merged-adapter"] == [one.code for one in diff.verdicts]
    assert "q_proj, v_proj" in diff.verdicts[0].text
    ranks = [one.evidence.found.rank for one in diff.changes if one.evidence.found]
    assert 4 == max(rank or 0 for rank in ranks)


def test_a_dense_change_has_no_low_rank() -> None:
    diff = compared(edited(A, "[qv]_proj", making.noisy), FULL)

    assert ["tuned"] == [one.code for one in diff.verdicts]


def test_a_layer_that_was_cut_out_is_found_by_its_norms() -> None:
    diff = compared(making.without_layer(A, 1), FULL)

    assert ("1 of A cut out, by their norms", "sampled") == (
        diff.verdicts[0].text.partition(": ")[2],
        diff.verdicts[0].proof,
    )
    assert {"identical"} == states(diff).keys()
    assert {"identical": 12, "renamed": 18, "removed": 9} == told(diff)


def test_differences_within_tolerance_are_told_as_such() -> None:
    b = edited(A, "up_proj", making.noisy)

    assert "within-tolerance" == compared(b, FULL._replace(tolerance=(0, 0.1))).verdicts[0].code
    assert "tuned" == compared(b, FULL._replace(tolerance=(0, 1e-9))).verdicts[0].code


def test_tensors_without_elements_are_the_same() -> None:
    empty: Arrays = {"empty.weight": ("BF16", np.empty((0, 4), "<u2")), **A}

    assert {"identical": COUNT + 1} == told(compared(dict(empty), FULL, empty))


@pytest.mark.parametrize("most", [0, 1000, 20_000, 200_000, 1 << 20])
def test_no_more_is_read_than_is_allowed(most: int) -> None:
    a, b = source(A), source(dict(A))
    diff = diff_of(a, b, Wish(most=most))
    nbytes = sum(length for _, _, length in a.ranges + b.ranges)

    assert most >= nbytes == diff.bytes_read
    assert diff.bytes_wanted
    assert most > 20_000 or "unproved" in states(diff)


def test_where_all_would_be_too_many_some_tensors_are_looked_at() -> None:
    diff = compared(dict(A), Wish(reach=Reach(10, 0)))
    seen = states(diff)

    assert COUNT == sum(seen.values()) == sum(diff.summary.values())
    assert COUNT - 10 == seen["unproved"]
    assert diff.bytes_read
    assert diff.bytes_wanted


def test_the_same_seed_reads_the_same() -> None:
    def ranges(seed: int) -> list[tuple[str, int, int]]:
        a = source(A)
        diff_of(a, source(dict(A)), Wish(seed=seed))
        return a.ranges

    assert ranges(1) == ranges(1)
    assert ranges(1) != ranges(2)


def test_the_way_back_mirrors() -> None:
    b = edited(making.cast(A, "F32"), "up_proj", lambda array: array + 1)

    assert states(compared(b, FULL)) == states(compared(A, FULL, b))


MIXTURE = making.mixture()
STACKED = making.stacked(MIXTURE)
FUSED = making.fused(A, ("q_proj", "k_proj", "v_proj"), "qkv_proj")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        pytest.param(MIXTURE, STACKED, id="stacked"),
        pytest.param(STACKED, MIXTURE, id="unstacked"),
        pytest.param(FUSED, A, id="split"),
    ],
)
@pytest.mark.parametrize("wish", [Wish(), FULL])
def test_joined_and_split_weights_are_compared_by_their_parts(
    a: Arrays, b: Arrays, wish: Wish
) -> None:
    diff = compared(b, wish, a)

    assert {"identical", "sampled"} >= states(diff).keys()
    assert (wish == FULL) == ("sampled" not in states(diff))


def test_a_change_in_one_expert_is_found_in_its_stack() -> None:
    b = edited(MIXTURE, r"layers\.2\.mlp\.experts\.3\.up", lambda array: array ^ 1)
    diff = compared(making.stacked(b), FULL, MIXTURE)

    assert {"identical", "changed"} == states(diff).keys()


def test_rows_in_another_order_are_not_told_as_changed() -> None:
    """Rows of q, k and v by groups: which is which no header tells."""
    b = edited(FUSED, "qkv_proj", lambda array: np.ascontiguousarray(array[::-1]))
    diff = compared(b, FULL, A)
    reasons = {one.evidence.found.reason for one in diff.changes if one.evidence.found}

    assert {"", "its elements may lie in another order"} == reasons


def test_a_second_reading_knows_what_the_first_has_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "cache"))
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").write_bytes(raw_file(A))

    def read() -> int | None:
        sources = [open_source(str(tmp_path / f"{name}.safetensors")) for name in ("a", "b")]
        one, two = ((source, describe(load(source))) for source in sources)
        diff = compare_tensors(one, two, wish=FULL)
        assert diff.is_identical
        return diff.bytes_read

    assert 0 < (read() or 0)
    assert 0 == read()


def test_no_sample_reads_no_tensor() -> None:
    a, b = source(A), source(dict(A))
    diff_of(a, b, Wish(samples=0))

    assert [] == a.ranges + b.ranges


class Failing(MemorySource):
    """A source that fails once tensors are read."""

    def read(self, path: str, start: int, length: int) -> bytes:
        if path.endswith(".safetensors") and start > 20_000:
            raise SourceError(f"{path}: gone", "look again")
        return super().read(path, start, length)


@pytest.mark.parametrize("wish", [Wish(), FULL])
def test_a_side_that_fails_is_named(wish: Wish) -> None:
    raw = raw_file(A)

    with pytest.raises(SourceError, match=r"^B: model.safetensors: gone"):
        diff_of(source(A), Failing({"model.safetensors": raw}), wish)
    with pytest.raises(SourceError, match=r"^A: model.safetensors: gone"):
        diff_of(Failing({"model.safetensors": raw}), source(A), wish)


@pytest.mark.slow
@given(MODELS, MODELS)
def test_any_two_checkpoints_are_compared(one: Tensors, two: Tensors) -> None:
    for wish in (Wish(), FULL, Wish(most=100)):
        a, b = (zeros({"model.safetensors": tensors}) for tensors in (one, two))
        diff = diff_of(a, b, wish)

        assert sums(diff)
        assert "changed" not in states(diff)


def test_a_dtype_that_nobody_knows_is_not_compared() -> None:
    a = {"x.weight": ("F99", np.zeros(16, "u1"))}

    assert {"unproved": 1} == states(compared(dict(a), FULL, a))

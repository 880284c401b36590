"""Recall: every kind of damage to whole checkpoints is told by the right code.

`python -m tests.checks.matrix 100 101` prints the whole table for other seeds.
"""

from __future__ import annotations

import random

import pytest

from ckptscan.checks import audit
from tests.checks.matrix.kinds import KINDS
from tests.checks.matrix.running import Trial, share, table, trials
from tests.checks.matrix.subjects import LARGE, SMALL, of_packs, of_types
from tests.checks.matrix.values import FILES, VALUES, told_of, value_trials
from tests.checks.matrix.whole import whole_of
from tests.conftest import checkpoint_of, pack

WHOLLY = ("headers", "index", "security", "values")  # families of which nothing may be missed


def judge(found: list[Trial], capsys: pytest.CaptureFixture[str], least: float = 0.97) -> None:
    """Print the table, and hold the shares against what is promised."""
    with capsys.disabled():
        print(f"\n{table(found)}")
    for family in WHOLLY:
        own = [one for one in found if one.family == family and not one.found]

        assert [] == own
    assert share(found) >= least, table(found)


def test_there_are_many_kinds_of_damage() -> None:
    assert sum(map(len, KINDS.values())) >= 150
    assert len(SMALL) + len(LARGE) >= 25


@pytest.mark.parametrize("model", ["mistralai--Mixtral-8x7B-v0.1", "google-t5--t5-base"])
def test_a_checkpoint_is_written_as_it_was_read(model: str) -> None:
    source, whole = pack(model), whole_of(model)
    again = whole.source(whole)

    assert {one.path: one.size for one in source.files()} == {
        one.path: one.size for one in again.files() if not one.path.endswith(".json")
    } | {one.path: one.size for one in source.files() if one.path.endswith(".json")}


@pytest.mark.parametrize("name", VALUES)
def test_damage_to_values_leaves_the_headers_sound(name: str) -> None:
    held = FILES["BF16"]
    damaged, codes = VALUES[name](held, random.Random(name))
    done = audit(checkpoint_of({"model.safetensors": damaged}))

    assert codes <= {"V001", "V002", "V005"}
    assert len(held.raw) == len(damaged)
    assert held.raw != damaged
    assert done.checkpoint.is_sound


@pytest.mark.parametrize("dtype", FILES)
def test_of_sound_values_nothing_is_told(dtype: str) -> None:
    told = told_of(FILES[dtype].raw, FILES[dtype].raw)

    assert set() == {code for code, *_ in told if code[0] == "V"}


def test_some_damage_to_some_checkpoints_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    models = ["Qwen--Qwen2-7B", "google-t5--t5-base", "meta-llama--Llama-3.2-1B"]
    found = [*trials(of_packs(models), KINDS, [5], some=0.3), *value_trials([5])]

    with capsys.disabled():
        print(f"\nmatrix: {sum(one.found for one in found)} of {len(found)} found")
    assert share(found) >= 0.97, table(found)
    assert share(found, "values") == 1, table(found)


@pytest.mark.slow
@pytest.mark.long
def test_all_damage_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    judge([*trials(of_packs(SMALL), KINDS, [1, 2]), *value_trials([1, 2])], capsys)


@pytest.mark.slow
@pytest.mark.long
def test_damage_to_large_mixtures_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    judge(trials(of_packs(LARGE), KINDS, [1], some=0.3), capsys)


@pytest.mark.slow
@pytest.mark.long
def test_damage_to_language_models_of_many_types_is_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    kinds = {"structure": KINDS["structure"]}
    judge(trials(of_types(30, 1), kinds, [1], some=0.5), capsys, least=0.9)

"""A few tensors stand for all: which, and how much of them."""

from __future__ import annotations

import json
import re

import pytest

from ckptscan.errors import UsageError
from ckptscan.names import IndexSet
from ckptscan.structure import Structure
from ckptscan.verify.choosing import choose
from ckptscan.verify.values import Choice, Wish
from tests.checks.looking import llama, mixture
from tests.conftest import pack, structure_of, unheld
from tests.content.dequantize.cases import CASES
from tests.content.making import raw_file, source_of
from tests.content.making import structure_of as structure_of_source

LLAMA = structure_of(llama())
MIXTURE = structure_of(mixture(experts=16))
MIB = 1 << 20


def names(structure: Structure, choice: Choice) -> list[str]:
    return [structure.checkpoint.table.names[pick.row] for pick in choice.picks]


def layers(structure: Structure, choice: Choice) -> set[int]:
    found = (re.search(r"layers\.(\d+)\.", name) for name in names(structure, choice))
    return {int(match[1]) for match in found if match}


def test_the_ends_and_a_middle_of_a_run_of_layers() -> None:
    choice = choose(LLAMA, Wish())

    assert {0, 4, 7} == layers(LLAMA, choice)
    assert 3 + 3 * 9 == choice.tensors


def test_every_run_has_its_own() -> None:
    assert {0, 1, 4, 5, 7} >= layers(MIXTURE, choose(MIXTURE, Wish())) >= {0, 1, 7}


def test_of_experts_the_first_the_last_and_another() -> None:
    chosen = names(MIXTURE, choose(MIXTURE, Wish(seed=3)))
    experts = {int(name.split(".")[5]) for name in chosen if ".experts." in name}

    assert 3 == len(experts)
    assert {0, 15} < experts
    assert chosen == names(MIXTURE, choose(MIXTURE, Wish(seed=3)))


def test_of_experts_in_one_tensor_their_slices() -> None:
    tensors = {"model.layers.0.mlp.experts.gate_up_proj": ("BF16", [8, 64, 128])}
    structure = structure_of(llama([0]) | tensors)
    picks = [pick for pick in choose(structure, Wish(seed=1)).picks if len(pick.shape) == 3]

    assert 3 == len(picks)
    assert {(1, 64, 128)} == {pick.shape for pick in picks}
    assert ["0-0", "7-7"] == [picks[0].rows, picks[-1].rows]
    assert [0, 7 * 64 * 128 * 2] == [picks[0].start, picks[-1].start]


def test_of_a_table_its_first_and_last_rows() -> None:
    structure = unheld({"model.embed_tokens.weight": ("BF16", [100_000, 1024])})
    first, last = choose(structure, Wish()).picks

    assert ("0-511", MIB) == (first.rows, first.nbytes)
    assert (100_000 - 512, MIB) == (last.first, last.nbytes)


def test_layers_that_are_asked_for() -> None:
    choice = choose(LLAMA, Wish(layers=IndexSet.parse("2,6")))

    assert {2, 6} == layers(LLAMA, choice)
    assert 2 * 9 == choice.tensors


def test_a_layer_that_is_not_there() -> None:
    with pytest.raises(UsageError) as caught:
        choose(LLAMA, Wish(layers=IndexSet.parse("0,8")))

    assert ("there is no layer 8", "there are 0-7 in model.layers") == (
        caught.value.message,
        caught.value.hint,
    )


def test_names_that_match() -> None:
    choice = choose(LLAMA, Wish(match=lambda name: "up_proj" in name))

    assert 8 == choice.tensors


def test_a_sample_is_the_same_each_time() -> None:
    one, two = (choose(LLAMA, Wish(sample=5, seed=7)) for _ in range(2))

    assert one == two
    assert 5 == one.tensors
    assert names(LLAMA, one) != names(LLAMA, choose(LLAMA, Wish(sample=5, seed=8)))


def test_all_is_all() -> None:
    choice = choose(MIXTURE, Wish(everything=True))

    assert (MIXTURE.tensors, MIXTURE.nbytes) == (choice.tensors, choice.nbytes)
    assert all(pick.is_whole for pick in choice.picks)


def test_what_is_odd_is_chosen_as_a_whole() -> None:
    row = list(LLAMA.checkpoint.table.names).index("model.layers.2.mlp.up_proj.weight")
    without, with_it = choose(LLAMA, Wish()), choose(LLAMA, Wish(odd=(row,)))

    assert row not in {pick.row for pick in without.picks}
    assert row in {pick.row for pick in with_it.picks}


@pytest.mark.parametrize("case", ["gptq-4", "fp8-block", "nf4", "packed-4"])
def test_books_of_what_is_chosen_are_chosen(case: str) -> None:
    source = source_of(raw_file(CASES[case]().tensors), config={"hidden_size": 256})
    structure = structure_of_source(source)
    weight = max(structure.families, key=lambda one: one.nbytes).pattern.replace("*", "0")
    choice = choose(structure, Wish(match=lambda name: name == weight))

    assert structure.tensors == choice.tensors > 1


@pytest.mark.parametrize("limit", [16 << 10, 64 << 10, 256 << 10])
def test_large_tensors_are_cut_to_stay_within_the_limit(limit: int) -> None:
    whole, choice = choose(LLAMA, Wish()), choose(LLAMA, Wish(most=limit))

    assert limit // 2 < choice.nbytes <= limit < whole.nbytes
    assert whole.tensors == choice.tensors + len(choice.left_out)


def test_what_can_not_be_read_is_told() -> None:
    structure = unheld({"a": ("F32", [4]), "b": ("F32", [4])})
    table = structure.checkpoint.table
    table.ends[1] += 100

    assert {1: "it lies past the end of its file"} == dict(choose(structure, Wish()).faulty)


def test_empty_tensors_are_no_fault() -> None:
    choice = choose(structure_of({"a": ("F32", [0, 4]), "b": ("F32", [4])}), Wish())

    assert (1, {}) == (choice.tensors, dict(choice.faulty))


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        "deepseek-ai--DeepSeek-V3",
        "openai--gpt-oss-120b",
        "Qwen--Qwen3-Next-80B-A3B-Instruct",
        "meta-llama--Llama-3.1-70B-original-mp8",
        "google-t5--t5-base",
    ],
)
def test_real_models_are_within_the_limit_and_every_family_is_seen(model: str) -> None:
    from ckptscan.checkpoint import load
    from ckptscan.structure import describe

    structure = describe(load(pack(model)))
    choice = choose(structure, Wish())
    seen = {pick.row for pick in choice.picks}
    unseen = [family.pattern for family in structure.families if seen.isdisjoint(family.rows)]

    assert choice.nbytes <= 2 << 30
    assert [] == unseen
    assert {} == dict(choice.left_out)


def test_a_match_of_no_name_is_said() -> None:
    for layers in (None, IndexSet.parse("0")):
        with pytest.raises(UsageError, match="no name matches"):
            choose(LLAMA, Wish(layers=layers, match=lambda name: False))


def test_too_few_bytes_for_a_row_of_anything_are_said() -> None:
    with pytest.raises(UsageError, match="no row fits into 1 bytes") as caught:
        choose(LLAMA, Wish(most=1))

    assert "--max-bytes" in caught.value.hint


def test_tensors_of_no_elements_are_left_out_and_told() -> None:
    structure = structure_of({"a": ("F32", [2]), "b": ("F32", [0, 4]), "c": ("F32", [4, 0])})
    choice = choose(structure, Wish(everything=True))

    assert ["a"] == names(structure, choice)
    assert {1: "no elements", 2: "no elements"} == choice.left_out


def test_rows_of_an_unknown_dtype_are_not_counted() -> None:
    entry = {"dtype": "Q1", "shape": [10**15, 1], "data_offsets": [0, 4096]}
    other = {"dtype": "Q1", "shape": [0, 4], "data_offsets": [4096, 8192]}
    head = json.dumps({"lm_head.weight": entry, "model.embed_tokens.weight": other}).encode()
    source = source_of(len(head).to_bytes(8, "little") + head + bytes(8192))
    structure = structure_of_source(source)

    assert {4096} == {pick.nbytes for pick in choose(structure, Wish()).picks}
    with pytest.raises(UsageError, match="no row fits"):
        choose(structure, Wish(most=3000))

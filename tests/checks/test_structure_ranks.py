"""One rank's part that was saved as the whole."""

from __future__ import annotations

import re
import time

import pytest

from ckptscan.checks.structure_ranks import CHECKS
from tests.checks.damages import held
from tests.checks.looking import CONFIG, codes, found_in, llama
from tests.conftest import Tensors, unheld

Held = dict[str, tuple[str, list[int]]]
OUT = ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "embed_tokens", "lm_head")
IN = ("o_proj", "down_proj")


def cut(tensors: Tensors, ranks: int, *names: str) -> Held:
    """One rank's part of these modules, cut where tensor parallelism cuts them."""
    found: Held = {}
    for name, (dtype, shape) in tensors.items():
        own = name.split(".")[-2]
        axis = 1 if own in IN else 0
        is_cut = own in names and len(shape) == 2
        found[name] = (
            dtype,
            [size // ranks if is_cut and at == axis else size for at, size in enumerate(shape)],
        )
    return found


CASES = [
        pytest.param(llama(), [], id="S011-whole"),
        pytest.param({"mp_rank_00.h.0.weight": ("F32", [4])}, ["S011 warning"], id="S011-rank-in-names"),
        pytest.param({"frank_1.h.0.weight": ("F32", [4])}, [], id="S011-a-name-that-ends-so"),
        pytest.param({"model.layers.0-of-8.w": ("F32", [4])}, ["S011 warning"], id="S011-of-eight"),
        pytest.param(cut(llama(), 4, *OUT, *IN), ["S011 warning"], id="S011-a-quarter"),
        pytest.param(cut(llama(), 2, "q_proj", "o_proj"), ["S011 warning"], id="S011-attention"),
    pytest.param(
        cut(llama(), 4, "q_proj", "o_proj"), ["S011 warning"], id="S011-a-quarter-of-the-heads"
    ),
        pytest.param(cut(llama(), 2, "q_proj"), ["S011 warning"], id="S011-queries"),
        pytest.param(cut(llama(), 2, "k_proj", "v_proj"), ["S011 warning"], id="S011-keys-and-values"),
        pytest.param(cut(llama(), 2, "gate_proj", "up_proj", "down_proj"), [], id="S011-a-narrower-one"),
        pytest.param(cut(llama(), 2, "embed_tokens", "lm_head"), [], id="S011-a-smaller-vocabulary"),
    ]  # fmt: skip


@pytest.mark.parametrize(("tensors", "expected"), CASES)
def test_parts(tensors: Tensors, expected: list[str]) -> None:
    assert expected == codes(CHECKS, tensors, config=CONFIG)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("q_proj", "o_proj"), {"true_hidden_size": 32}),
        (("o_proj",), {"o_groups": 4, "o_lora_rank": 8}),
    ],
)
def test_a_part_that_config_declares_is_none(
    names: tuple[str, ...], said: dict[str, object]
) -> None:
    tensors = cut(llama(), 2, *names)

    assert ["S011 warning"] == codes(CHECKS, tensors, config=CONFIG)
    assert [] == codes(CHECKS, tensors, config=CONFIG | said)


@pytest.mark.parametrize(
    "model", ["Qwen--Qwen3-8B", "deepseek-ai--DeepSeek-V2-Lite", "Qwen--Qwen2.5-VL-7B-Instruct"]
)
@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_parts_of_real_models(model: str, ranks: int) -> None:
    tensors, documents = held(model)
    names = (*OUT, *IN, "kv_b_proj")
    part = {
        name: kind if re.search("visual", name) else cut({name: kind}, ranks, *names)[name]
        for name, kind in tensors.items()
    }

    assert ["S011"] == [one.code for one in found_in(CHECKS, unheld(part, **documents))]
    assert [] == found_in(CHECKS, unheld(tensors, **documents))


@pytest.mark.slow
def test_many_layers_that_are_all_unlike_take_no_long() -> None:
    tensors = {f"model.layers.{n}.mlp.up_proj.weight": ("F32", [n + 1, 2]) for n in range(2000)}
    structure = unheld(tensors, config=CONFIG)
    start = time.process_time()
    found = found_in(CHECKS, structure)

    assert [] == found
    assert 1 > time.process_time() - start

"""Adapters by themselves."""

from __future__ import annotations

import time

import pytest

from ckptscan.checks.adapter_parts import CHECKS
from tests.checks.looking import ADAPTER, codes, found_in, llama, lora, without
from tests.conftest import unheld

Q3 = "layers.3.self_attn.q_proj"
Q3_B = "base_model.model.model.layers.3.self_attn.q_proj.lora_B.weight"
CHOSEN = {"layers_to_transform": [0, 1]}


EXPERTS = "base_model.model.model.layers.1.mlp.experts"
STACK: dict[str, tuple[str, list[int]]] = {
    f"{EXPERTS}.lora_A.weight": ("F32", [8, 4, 64]),
    f"{EXPERTS}.lora_B.weight": ("F32", [8, 48, 4]),
}
WIDE: dict[str, tuple[str, list[int]]] = {
    f"{EXPERTS}.lora_A.weight": ("F32", [32, 64]),
    f"{EXPERTS}.lora_B.weight": ("F32", [48, 32]),
}


CASES = [
    pytest.param(llama(), {}, [], id="A007-no-adapter"),
    pytest.param(lora(), {}, ["A007 info"], id="A002-whole"),
    pytest.param(lora(range(3, 5)), {}, ["A007 info"], id="A005-some-layers"),
    pytest.param(lora(), {"r": 2, "rank_pattern": {"q": 4}}, ["A007 info"], id="A001-by-pattern"),
    pytest.param(lora(), {"r": 2, "rank_pattern": {"q": [4]}}, ["A001 error", "A007 info"],
                 id="A001-a-pattern-that-says-nothing"),
    pytest.param({**lora(), "x.lora_A.weight": ("F32", [4])}, {}, ["A007 info"], id="A002-a-row"),
    pytest.param(lora(), {"r": 8, "peft_type": "ADALORA"}, ["A007 info"], id="A001-AdaLoRA"),
    pytest.param(STACK, {}, ["A007 info"], id="A001-a-pair-for-each-expert"),
    pytest.param(WIDE, {"target_parameters": ["experts.down_proj"]}, ["A007 info"],
                 id="A001-a-pair-for-all-experts"),
    pytest.param(WIDE, {}, ["A001 error", "A007 info"], id="A001-a-pair-for-all-not-said"),
    pytest.param(lora(), {"r": 8}, ["A001 error", "A007 info"], id="A001-rank"),
    pytest.param(lora(), {"lora_alpha": 1024}, ["A007 warning"], id="A007-far-too-strong"),
    pytest.param(without(lora(), Q3_B), {}, ["A002 error", "A007 info"], id="A002-no-B"),
    pytest.param({**lora(), Q3_B: ("F32", [64, 8])}, {}, ["A002 error", "A007 info"],
                 id="A002-other-ranks"),
    pytest.param(without(lora(), Q3), {}, ["A005 warning", "A007 info"], id="A005-a-hole"),
    pytest.param({name.replace("layers.0", "a*b"): one for name, one in lora(range(1)).items()},
                 {}, ["A007 info"], id="A005-a-star-in-a-name"),
    pytest.param(without(lora(), Q3), CHOSEN, ["A007 info"], id="A005-chosen-layers"),
]  # fmt: skip


@pytest.mark.parametrize(("tensors", "said", "expected"), CASES)
def test_adapters(
    tensors: dict[str, tuple[str, list[int]]], said: dict[str, object], expected: list[str]
) -> None:
    assert expected == codes(CHECKS, tensors, adapter_config=ADAPTER | said)


@pytest.mark.slow
def test_many_modules_in_a_layer_of_their_own_take_no_long() -> None:
    tensors = {
        f"base_model.model.model.layers.{n}.m{n}.lora_{half}.weight": ("F32", shape)
        for n in range(20_000)
        for half, shape in (("A", [2, 4]), ("B", [4, 2]))
    }
    structure = unheld(tensors, adapter_config=ADAPTER)
    coverage = [check for check in CHECKS if check.code == "A005"]
    start = time.process_time()
    found = found_in(coverage, structure)

    assert [] == found
    assert 4 > time.process_time() - start

"""NVFP4 as kernels pad it: worked by hand from the layouts in vLLM's and SGLang's source."""

from __future__ import annotations

import pytest

from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, MemoryPlan, Parallel, Term, WhatIf, plan
from ckptscan.plan.inventory import Leaf, Module
from ckptscan.plan.nvfp4 import CUTLASS, MARLIN, Kernels, Matrix, matrix_of, on_card
from tests.plan.measured import structure_of

QWEN = "pack:Qwen--Qwen3-30B-A3B"
GPT_OSS = "pack:openai--gpt-oss-120b"
STORED = "Qwen3.6-35B-A3B-NVFP4"
NEWEST = Kernels("cutlass-aligned", "trtllm")


def planned(
    model: str, gpu: str, engine: str, tp: int = 1, recipe: str | None = None
) -> MemoryPlan:
    what_if = WhatIf(recipe)
    ask = Ask(parse_devices(gpu), Parallel(tp), engine=engine, max_len=4096, what_if=what_if)
    return plan(structure_of(model), ask)


def padding(one: MemoryPlan) -> Term | None:
    return next((term for term in one.first.terms if term.name == "kernel padding"), None)


@pytest.mark.parametrize(
    ("matrix", "kernels", "added", "most"),
    [
        pytest.param(Matrix("o", "scales", 1, 128, 4), NEWEST, 0, 0, id="whole-tiles"),
        pytest.param(Matrix("o", "scales", 1, 96, 6), CUTLASS, 448, 448, id="scales"),
        pytest.param(Matrix("o", "values", 1, 33, 24), CUTLASS, 0, 1256, id="values-left"),
        pytest.param(Matrix("o", "values", 1, 33, 24), NEWEST, 1256, 1256, id="values-aligned"),
        pytest.param(Matrix("o", "scales", 1, 96, 6), MARLIN, 0, 448, id="marlin"),
        pytest.param(
            Matrix("expert.gate_up", "scales", 2, 192, 8), CUTLASS, 1024, 3072, id="experts"
        ),
        pytest.param(Matrix("expert.down", "values", 1, 100, 8), NEWEST, 1248, 1248, id="stream"),
    ],
)
def test_what_a_kernel_adds(matrix: Matrix, kernels: Kernels, added: int, most: int) -> None:
    assert (added, most) == matrix.padding(kernels)


@pytest.mark.parametrize(
    ("capability", "expected"),
    [(90, MARLIN), (100, NEWEST), (103, NEWEST), (120, Kernels("cutlass-aligned", "cutlass"))],
)
def test_the_card_decides(capability: int, expected: Kernels) -> None:
    assert expected == on_card(NEWEST, capability)


# a rank has 96 of 768 inner values: 192 rows of 128 scales become 256, 6 scales of 2,048 rows 8
SCALES = 48 * 128 * (64 * 128 + 2 * 2048)


@pytest.mark.parametrize(
    ("engine", "gpu", "added"),
    [
        ("vllm-0.11", "8xb200", SCALES),
        ("vllm-0.21", "8xrtx5090", SCALES),
        ("sglang-0.5", "8xb200", SCALES),
        ("vllm-0.21", "8xb200", 0),
        ("vllm-0.11", "8xh100", 0),
    ],
)
def test_what_if_counts_padding_of_experts_on_a_rank(engine: str, gpu: str, added: int) -> None:
    one = planned(QWEN, gpu, engine, 8, "nvfp4")
    found = padding(one)
    assert found is None if not added else found is not None

    if found is not None:
        assert (added, 0, SCALES, "engine") == (found.nbytes, found.low, found.high, found.label)
    assert (padding(planned(QWEN, gpu, engine, 1, "nvfp4"))) is None


def test_where_no_kernel_pads_there_is_no_such_term() -> None:
    assert (
        padding(planned("pack:meta-llama--Llama-3.1-8B", "b200", "vllm-0.21", 1, "nvfp4")) is None
    )
    assert padding(planned(STORED, "rtx5090", "vllm-0.21")) is None


def test_a_stream_of_2880_is_padded_to_3072() -> None:
    """TensorRT-LLM's experts: three matrices of 2880 x 2880, on the side of the stream."""
    found = padding(planned(GPT_OSS, "b200", "vllm-0.21", 1, "nvfp4"))
    experts = 36 * 128 * 3 * 2880 * 192 * 9 // 16
    scales_of_o = 36 * 64 * 4096 // 16  # 2880 rows become 2944

    assert found is not None
    assert experts + scales_of_o == found.nbytes == found.high


def test_sglang_keeps_the_scales_of_modelopt_beside_the_copy_of_the_kernel() -> None:
    told = {term.name for term in planned(STORED, "rtx5090", "sglang-0.5").left_out}
    plain = {term.name for term in planned(STORED, "rtx5090", "vllm-0.21").left_out}

    assert {"scales once more, as the kernel reads them"} == told - plain


def test_a_turned_weight_is_left_as_it_is() -> None:
    leaf = Leaf("weight", "o", "U8", (4, 8), 32)
    module = Module("a.o", "o", (4, 16), (leaf,))

    assert Matrix("o", "values", 1, 4, 8) == matrix_of(module, leaf, leaf.shape)
    assert matrix_of(module._replace(is_transposed=True), leaf, leaf.shape) is None

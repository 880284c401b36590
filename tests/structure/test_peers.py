"""One model in the forms that other tools count wrongly: each is 8,030,261,248 parameters.

Measured on published tools: they printed the stored elements, or unpacked by a rule of thumb (10
weights in a word of 3-bit ones), or counted scales as weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conftest import unheld

HIDDEN, WIDTH, KV, LAYERS, VOCABULARY = 4096, 14336, 1024, 32, 128256
LINEARS = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (KV, HIDDEN),
    "self_attn.v_proj": (KV, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (WIDTH, HIDDEN),
    "mlp.up_proj": (WIDTH, HIDDEN),
    "mlp.down_proj": (HIDDEN, WIDTH),
}
LLAMA = 8_030_261_248
Form = Callable[[int, int], dict[str, tuple[str, list[int]]]]


def gptq(bits: int) -> Form:
    def of(out: int, inner: int) -> dict[str, tuple[str, list[int]]]:
        return {
            "qweight": ("I32", [inner * bits // 32, out]),
            "qzeros": ("I32", [inner // 128, out * bits // 32]),
            "scales": ("F16", [inner // 128, out]),
            "g_idx": ("I32", [inner]),
        }

    return of


def awq(out: int, inner: int) -> dict[str, tuple[str, list[int]]]:
    return {
        "qweight": ("I32", [inner, out // 8]),
        "qzeros": ("I32", [inner // 128, out // 8]),
        "scales": ("F16", [inner // 128, out]),
    }


def nf4(out: int, inner: int) -> dict[str, tuple[str, list[int]]]:
    blocks = out * inner // 64
    return {
        "weight": ("U8", [out * inner // 2, 1]),
        "weight.absmax": ("U8", [blocks]),
        "weight.nested_absmax": ("F32", [blocks // 256]),
        "weight.nested_quant_map": ("F32", [256]),
        "weight.quant_map": ("F32", [16]),
        "weight.quant_state.bitsandbytes__nf4": ("U8", [82]),
    }


def fp8(out: int, inner: int) -> dict[str, tuple[str, list[int]]]:
    return {"weight": ("F8_E4M3", [out, inner]), "weight_scale": ("BF16", [out, 1])}


def w4a16(out: int, inner: int) -> dict[str, tuple[str, list[int]]]:
    return {
        "weight_packed": ("I32", [out, inner // 8]),
        "weight_scale": ("BF16", [out, inner // 128]),
        "weight_shape": ("I64", [2]),
    }


def nvfp4(out: int, inner: int) -> dict[str, tuple[str, list[int]]]:
    return {
        "weight": ("U8", [out, inner // 2]),
        "weight_scale": ("F8_E4M3", [out, inner // 16]),
        "weight_scale_2": ("F32", []),
        "input_scale": ("F32", []),
    }


def int8(out: int, inner: int) -> dict[str, tuple[str, list[int]]]:
    return {
        "weight": ("I8", [out, inner]),
        "SCB": ("F32", [out]),
        "weight_format": ("U8", []),
    }


def hqq(out: int, inner: int) -> dict[str, tuple[str, list[int]]]:
    groups = out * inner // 64
    return {
        "W_q": ("U8", [groups // 2, 64]),
        "scale": ("F16", [groups, 1]),
        "zero": ("F16", [groups, 1]),
    }


def llama(form: Form) -> Iterator[tuple[str, tuple[str, list[int]]]]:
    """The tensors of Llama-3.1-8B with its linears in a form."""
    yield "model.embed_tokens.weight", ("BF16", [VOCABULARY, HIDDEN])
    yield "lm_head.weight", ("BF16", [VOCABULARY, HIDDEN])
    yield "model.norm.weight", ("BF16", [HIDDEN])
    for layer in range(LAYERS):
        path = f"model.layers.{layer}"
        yield f"{path}.input_layernorm.weight", ("BF16", [HIDDEN])
        yield f"{path}.post_attention_layernorm.weight", ("BF16", [HIDDEN])
        for name, (out, inner) in LINEARS.items():
            for leaf, stored in form(out, inner).items():
                yield f"{path}.{name}.{leaf}", stored


FORMS = [
    pytest.param(gptq(4), 1_985_941_504, ("gptq", 4, 128), {}, id="GPTQ-4"),
    pytest.param(gptq(3), 1_766_133_760, ("gptq", 3, 128), {}, id="GPTQ-3"),
    pytest.param(awq, 1_984_696_320, ("awq", 4, 128), {}, id="AWQ-4"),
    pytest.param(nf4, 4_650_157_504, ("bnb-nf4", 4, 64), {}, id="nf4"),
    pytest.param(fp8, 8_031_637_504, ("fp8", 8, None), {}, id="FP8"),
    pytest.param(w4a16, 1_977_881_024, ("pack-quantized", 4, 128), {}, id="W4A16"),
    pytest.param(nvfp4, 4_976_808_384, ("nvfp4", 4, 16), {}, id="NVFP4"),
    pytest.param(int8, 8_031_637_728, ("bnb-int8", 8, None), {}, id="bnb-int8"),
    pytest.param(hqq, 4_758_704_128, ("hqq", 4, 64), {}, id="HQQ-4"),
]


@pytest.mark.parametrize(("form", "stored", "scheme", "said"), FORMS)
def test_every_form_of_a_model_counts_the_same(
    form: Form,
    stored: int,
    scheme: tuple[str, int, int | None],
    said: dict[str, object],
) -> None:
    structure = unheld(dict(llama(form)), config={"model_type": "llama", **said})
    found = structure.quantization

    assert found is not None
    assert (LLAMA, stored, scheme, ()) == (
        structure.parameters.logical,
        structure.parameters.stored_elements,
        (found.main.scheme, found.main.bits, found.main.group),
        structure.problems,
    )


def test_stacked_experts_in_mxfp4_are_unpacked() -> None:
    """gpt-oss-20b: 24 layers of 32 experts, 2,880 wide, four bits in groups of 32."""
    tensors: dict[str, tuple[str, list[int]]] = {
        "model.embed_tokens.weight": ("BF16", [201_088, 2_880]),
        "lm_head.weight": ("BF16", [201_088, 2_880]),
        "model.norm.weight": ("BF16", [2_880]),
    }
    for layer in range(24):
        path = f"model.layers.{layer}"
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{path}.{norm}.weight"] = ("BF16", [2_880])
        for name, out, inner in (("q", 4_096, 2_880), ("k", 512, 2_880), ("v", 512, 2_880)):
            tensors[f"{path}.self_attn.{name}_proj.weight"] = ("BF16", [out, inner])
            tensors[f"{path}.self_attn.{name}_proj.bias"] = ("BF16", [out])
        tensors[f"{path}.self_attn.o_proj.weight"] = ("BF16", [2_880, 4_096])
        tensors[f"{path}.self_attn.o_proj.bias"] = ("BF16", [2_880])
        tensors[f"{path}.self_attn.sinks"] = ("BF16", [64])
        tensors[f"{path}.mlp.router.weight"] = ("BF16", [32, 2_880])
        tensors[f"{path}.mlp.router.bias"] = ("BF16", [32])
        for stack, rows in (("gate_up_proj", 5_760), ("down_proj", 2_880)):
            tensors[f"{path}.mlp.experts.{stack}_blocks"] = ("U8", [32, rows, 90, 16])
            tensors[f"{path}.mlp.experts.{stack}_scales"] = ("U8", [32, rows, 90])
            tensors[f"{path}.mlp.experts.{stack}_bias"] = ("BF16", [32, rows])

    structure = unheld(tensors, config={"num_experts_per_tok": 4})
    active = structure.parameters.active

    assert (20_914_757_184, 11_956_805_184) == (
        structure.parameters.logical,
        structure.parameters.stored_elements,
    )
    assert active is not None
    assert (4_187_440_704, 3_608_307_264, 3_029_173_824, "config") == active

"""What tools do to a checkpoint, done to header sets by code, and told for what it is."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ckptscan.diff import Diff
from tests.diff import making
from tests.diff.making import Model, codes, diff_of, real, told

LLAMA = "meta-llama--Llama-3.2-1B"  # 16 layers, tied
BIG = "meta-llama--Llama-3.1-8B"  # 32 layers
MOE = "Qwen--Qwen1.5-MoE-A2.7B"  # 24 layers, 60 experts
HYBRID = "Qwen--Qwen3-Next-80B-A3B-Instruct"
Change = Callable[[Model], Model]
QKV = ("q_proj", "k_proj", "v_proj")
GATE_UP = ("gate_proj", "up_proj")


def nonsense(model: Model) -> Model:
    """Names that nobody has used before."""
    words: dict[str, str] = {}

    def rename(name: str) -> str:
        return ".".join(
            part if part.isdigit() or part == "weight" else words.setdefault(part, f"z{len(words)}")
            for part in name.split(".")
        )

    return making.renamed(model, rename)


def wrapped_in_lora(model: Model) -> Model:
    """An adapter kept beside its base: base_layer, lora_A, lora_B."""
    tensors, documents = making.replaced(model, r"\.q_proj\.weight$", ".q_proj.base_layer.weight")
    for name, (_, shape) in list(tensors.items()):
        if name.endswith("base_layer.weight"):
            module = name.removesuffix("base_layer.weight")
            tensors[f"{module}lora_A.weight"] = "F32", (16, shape[1])
            tensors[f"{module}lora_B.weight"] = "F32", (shape[0], 16)
    return tensors, documents


def with_biases(model: Model) -> Model:
    tensors, documents = model
    biases = {
        name.replace("weight", "bias"): (dtype, shape[:1])
        for name, (dtype, shape) in tensors.items()
        if re.search(r"[qkv]_proj", name)
    }
    return {**tensors, **biases}, documents


def with_head(model: Model) -> Model:
    tensors, documents = model
    head = {"lm_head.weight": tensors["model.embed_tokens.weight"]}
    return making.saying(({**tensors, **head}, documents), tie_word_embeddings=False)


def reversed_names(model: Model) -> Model:
    tensors, documents = model
    return dict(reversed(tensors.items())), documents


N = 146  # tensors of LLAMA
TABLE: dict[str, tuple[str, Change, dict[str, int], list[str], set[str]]] = {
    "nothing": (LLAMA, lambda m: m, {"unproved": N}, ["same-structure"], {"name"}),
    "other order": (LLAMA, reversed_names, {"unproved": N}, ["same-structure"], {"name"}),
    "prefix added": (
        LLAMA,
        lambda m: making.replaced(m, r"^model\.", "model.language_model."),
        {"renamed": N},
        ["renamed"],
        {"rule"},
    ),
    "prefix dropped": (
        LLAMA,
        lambda m: making.replaced(m, r"^model\.", ""),
        {"renamed": N},
        ["renamed"],
        {"rule"},
    ),
    "wrapper": (
        LLAMA,
        lambda m: making.replaced(m, r"^", "module._orig_mod."),
        {"renamed": N},
        ["renamed"],
        {"name"},
    ),
    "segment renamed": (
        LLAMA,
        lambda m: making.replaced(m, "self_attn", "attention"),
        {"renamed": 64, "unproved": N - 64},
        ["part-renamed"],
        {"rule", "name"},
    ),
    "Meta's names": (LLAMA, making.in_meta_names, {"renamed": N}, ["renamed"], {"role"}),
    "GPT's names": (LLAMA, making.in_gpt_names, {"renamed": N}, ["renamed"], {"role", "rule"}),
    "cast": (LLAMA, lambda m: making.cast(m, "F32"), {"cast": N}, ["cast"], {"name"}),
    "norms cast": (
        LLAMA,
        lambda m: making.cast(m, "F32", "norm"),
        {"cast": 33, "unproved": N - 33},
        [],
        {"name"},
    ),
    "renamed and cast": (
        LLAMA,
        lambda m: making.cast(making.in_meta_names(m), "F16"),
        {"cast": N},
        ["cast", "renamed"],
        {"role"},
    ),
    "q, k, v joined": (
        LLAMA,
        lambda m: making.joined(m, QKV, "qkv_proj"),
        {"restructured": 48, "unproved": N - 48},
        ["restructured"],
        {"role", "name"},
    ),
    "gate and up joined": (
        LLAMA,
        lambda m: making.joined(m, GATE_UP, "gate_up_proj"),
        {"restructured": 32, "unproved": N - 32},
        ["restructured"],
        {"role", "name"},
    ),
    "turned": (
        LLAMA,
        making.transposed,
        {"restructured": 80, "unproved": N - 80},
        ["restructured"],
        {"name"},
    ),
    "vocabulary grown": (
        LLAMA,
        lambda m: making.resized(m, 128_320),
        {"reshaped": 1, "unproved": N - 1},
        ["vocabulary"],
        {"name"},
    ),
    "layers cut, numbers kept": (
        LLAMA,
        lambda m: making.without(m, r"layers\.(?:6|7|8)\."),
        {"removed": 27, "unproved": N - 27},
        ["layers"],
        {"name"},
    ),
    "last layers cut": (
        LLAMA,
        lambda m: making.without(m, r"layers\.1[2-5]\."),
        {"removed": 36, "unproved": N - 36},
        ["layers"],
        {"name"},
    ),
    "layers doubled": (
        LLAMA,
        lambda m: making.with_layers(m, [*range(12), *range(4, 16)]),
        {"added": 72, "unproved": N},
        ["layers"],
        {"name"},
    ),
    "renamed and cut": (
        LLAMA,
        lambda m: making.in_meta_names(making.without(m, r"layers\.1[2-5]\.")),
        {"removed": 36, "renamed": N - 36},
        ["part-renamed", "layers"],
        {"role"},
    ),
    "layer cut from a hybrid": (
        HYBRID,
        lambda m: making.numbered(m, lambda n: n if n < 10 else None if n == 10 else n - 1),
        {"removed": 1550, "renamed": 57_340, "unproved": 17_054},
        ["layers"],
        {"name", "layers"},
    ),
    "experts pruned": (
        MOE,
        lambda m: making.without(m, r"experts\.(?:4[8-9]|5\d)\."),
        {"removed": 864, "unproved": 4659 - 864},
        ["experts"],
        {"name"},
    ),
    "experts stacked": (
        MOE,
        making.stacked,
        {"restructured": 4320, "unproved": 339},
        ["restructured"],
        {"role", "name"},
    ),
    "experts stacked and turned": (
        MOE,
        lambda m: making.stacked(m, is_turned=True),
        {"restructured": 4320, "unproved": 339},
        ["restructured"],
        {"role", "name"},
    ),
    "experts stacked, gate and up joined": (
        MOE,
        lambda m: making.stacked(making.joined(m, GATE_UP, "gate_up_proj")),
        {"restructured": 4320 + 48, "unproved": 339 - 48},
        ["restructured"],
        {"role", "name"},
    ),
    "GPTQ": (
        BIG,
        lambda m: making.quantized(m, making.gptq),
        {"requantized": 224, "auxiliary": 672, "unproved": 67},
        ["quantized"],
        {"name"},
    ),
    "AWQ": (
        BIG,
        lambda m: making.quantized(m, making.awq),
        {"requantized": 224, "auxiliary": 448, "unproved": 67},
        ["quantized"],
        {"name"},
    ),
    "bitsandbytes": (
        BIG,
        lambda m: making.quantized(m, making.nf4),
        {"requantized": 224, "auxiliary": 672, "unproved": 67},
        ["quantized"],
        {"name"},
    ),
    "FP8": (
        BIG,
        lambda m: making.quantized(m, making.fp8),
        {"requantized": 224, "auxiliary": 224, "unproved": 67},
        ["quantized"],
        {"name"},
    ),
    "FP8 in blocks": (
        BIG,
        lambda m: making.quantized(m, making.fp8_block),
        {"requantized": 224, "auxiliary": 224, "unproved": 67},
        ["quantized"],
        {"name"},
    ),
    "compressed-tensors": (
        BIG,
        lambda m: making.quantized(m, making.packed_int4),
        {"requantized": 224, "auxiliary": 448, "unproved": 67},
        ["quantized"],
        {"name"},
    ),
    "8-bit integers": (
        BIG,
        lambda m: making.quantized(m, making.int8_rows),
        {"requantized": 224, "auxiliary": 224, "unproved": 67},
        ["quantized"],
        {"name"},
    ),
    "quantized under other names": (
        BIG,
        lambda m: making.replaced(
            making.quantized(m, making.gptq), r"^model\.", "model.language_model."
        ),
        {"requantized": 224, "auxiliary": 672, "renamed": 66, "unproved": 1},
        ["quantized", "part-renamed"],
        {"name", "rule"},
    ),
    "joined and quantized": (
        BIG,
        lambda m: making.quantized(making.joined(m, QKV, "qkv_proj"), making.fp8),
        {"restructured": 96, "requantized": 128, "auxiliary": 160, "unproved": 67},
        ["quantized", "restructured"],
        {"name", "role"},
    ),
    "joined and packed without a shape": (
        BIG,
        lambda m: making.quantized(making.joined(m, QKV, "qkv_proj"), making.nf4),
        {"restructured": 96, "requantized": 128, "auxiliary": 480, "unproved": 67},
        ["quantized", "restructured"],
        {"name", "role"},
    ),
    "head dropped": (
        BIG,
        lambda m: making.saying(making.without(m, "lm_head"), tie_word_embeddings=True),
        {"removed": 1, "unproved": 290},
        ["tied"],
        {"name"},
    ),
    "head untied": (LLAMA, with_head, {"added": 1, "unproved": N}, ["untied"], {"name"}),
    "MTP dropped": (
        "deepseek-ai--DeepSeek-V3",
        lambda m: making.without(m, r"layers\.61\."),
        {"removed": 1564, "unproved": 91991 - 1564},
        ["mtp-dropped"],
        {"name"},
    ),
    "plain again": (
        "deepseek-ai--DeepSeek-V3",
        making.dequantized,
        {"requantized": 45_808, "auxiliary": 45_808, "unproved": 375},
        ["dequantized"],
        {"name"},
    ),
    "tower dropped": (
        "Qwen--Qwen2-VL-7B-Instruct",
        lambda m: making.without(m, "^visual"),
        {"removed": 391, "unproved": 339},
        ["part"],
        {"name"},
    ),
    "adapter beside its base": (
        LLAMA,
        wrapped_in_lora,
        {"renamed": 16, "added": 32, "unproved": N - 16},
        ["part-renamed", "added-adapter"],
        {"role", "name"},
    ),
    "biases added": (
        LLAMA,
        with_biases,
        {"added": 48, "unproved": N},
        ["added"],
        {"name"},
    ),
    "parts of unknown role joined": (
        "deepseek-ai--DeepSeek-V2-Lite",
        lambda m: making.joined(m, ("q_proj", "kv_a_proj_with_mqa"), "fused_qkv_a_proj_with_mqa"),
        {"restructured": 54, "unproved": 5237},
        ["restructured"],
        {"shapes", "name"},
    ),
    "two prefixes": (
        "Qwen--Qwen2-VL-7B-Instruct",
        lambda m: making.replaced(
            making.replaced(m, r"^model\.", "model.language_model."), r"^visual", "model.visual"
        ),
        {"renamed": 729, "unproved": 1},
        ["part-renamed"],
        {"rule", "name"},
    ),
    "experts of another naming stacked": (
        "mistralai--Mixtral-8x7B-v0.1",
        lambda m: making.stacked(
            making.replaced(
                making.joined(
                    making.replaced(m, r"block_sparse_moe\.", "mlp."), ("w1", "w3"), "gate_up_proj"
                ),
                r"\.w2\.",
                ".down_proj.",
            )
        ),
        {"restructured": 768, "renamed": 32, "unproved": 195},
        ["restructured"],
        {"role", "name", "rule"},
    ),
    "plain and turned": (
        "openai--gpt-oss-120b",
        making.plain_mxfp4,
        {"restructured": 36, "requantized": 36, "auxiliary": 72, "unproved": 543},
        ["dequantized", "restructured"],
        {"name"},
    ),
    "nonsense names": (LLAMA, nonsense, {"renamed": N}, ["renamed"], {"shapes", "role"}),
}


def changed(name: str) -> Diff:
    model, change, *_ = TABLE[name]
    return diff_of(real(model), change(real(model)))


# models of tens of thousands of tensors
LARGE = ("MTP dropped", "plain again", "layer cut from a hybrid")
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in TABLE]


@pytest.mark.parametrize("name", NAMES)
def test_a_transformation_is_told_for_what_it_is(name: str) -> None:
    _, _, summary, verdicts, how = TABLE[name]
    diff = changed(name)
    found = {one.evidence.how for one in diff.changes if one.a and one.b}

    if summary:
        assert summary == told(diff)
    if verdicts:
        assert verdicts == codes(diff)[: len(verdicts)]
    assert how >= found - {"module", "books"}
    assert sums(diff)


@pytest.mark.parametrize("name", NAMES)
def test_the_way_back_mirrors_the_way_there(name: str) -> None:
    model, change, *_ = TABLE[name]
    one, two = making.structure(real(model)), making.structure(change(real(model)))
    there, back = making.compare(one, two), making.compare(two, one)

    assert sums(there)
    assert sums(back)
    assert sided(there, "b") == sided(back, "a")
    assert sided(there, "a") == sided(back, "b")


def sums(diff: Diff) -> bool:
    """Whether every tensor of both sides is in exactly one change."""
    of_a = sum(part.tensors for one in diff.changes for part in one.a)
    of_b = sum(part.tensors for one in diff.changes for part in one.b)
    counts = diff.summary
    told_of_a = sum(counts.values()) - counts["added"] - diff.new_auxiliary
    return (of_a, of_b, told_of_a) == (diff.a.tensors, diff.b.tensors, diff.a.tensors)


def sided(diff: Diff, side: str) -> dict[str, int]:
    """Tensors of one side by kind; new and gone are one."""
    counts: dict[str, int] = {}
    for one in diff.changes:
        kind = {"added": "alone", "removed": "alone"}.get(one.kind, one.kind)
        parts = one.a if side == "a" else one.b
        counts[kind] = counts.get(kind, 0) + sum(part.tensors for part in parts)
    return {kind: count for kind, count in counts.items() if count}


def test_stacks_of_fewer_experts_are_told_as_such() -> None:
    model = making.stacked(real(MOE))
    pruned = {
        name: (dtype, (48, *shape[1:]) if shape[0] == 60 else shape)
        for name, (dtype, shape) in model[0].items()
    }
    diff = diff_of(model, (pruned, model[1]))

    assert {"reshaped": 96, "unproved": 315} == told(diff)
    assert ["experts"] == codes(diff)
    assert "60 -> 48 experts" in diff.verdicts[0].text

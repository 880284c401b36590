"""Adapters held against the model that they belong to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from ckptscan.checks import Finding, Given, Subject, audit
from ckptscan.checks.adapter_base import CHECKS
from ckptscan.checks.evidence.base import base_of
from ckptscan.structure import Structure, describe
from tests.checks import looking
from tests.checks.looking import ADAPTER, CONFIG, gptq, llama, mixture, without
from tests.conftest import Tensors, checkpoint_of, index_of, packed, unheld

Held = dict[str, tuple[str, list[int]]]
Q3 = "layers.3.self_attn.q_proj"
WHOLE = ["A008 info"]
NO_MODULE = ["A004 error"]
SIZES = ["A003 error", "A008 info"]
FEATURES = {"task_type": "FEATURE_EXTRACTION"}


def lora(layers: Iterable[int] = range(8)) -> Held:
    """An adapter of the small Llama, whose v_proj has 16 rows."""
    return {
        name: (dtype, [16, 4] if name.endswith("v_proj.lora_B.weight") else shape)
        for name, (dtype, shape) in looking.lora(layers).items()
    }


def found(adapter: Structure, base: Structure) -> list[Finding]:
    subject = Subject(adapter.checkpoint, adapter, Given(base=base))
    return [finding for check in CHECKS for finding in check.look(subject)]


def codes(adapter: Tensors, base: Tensors, said: Mapping[str, object]) -> list[str]:
    told = found(unheld(adapter, adapter_config=ADAPTER | dict(said)), unheld(base, config=CONFIG))
    return sorted({f"{one.code} {one.severity}" for one in told})


def renamed(tensors: Tensors, old: str, new: str) -> Held:
    return {
        name.replace(old, new, 1): (dtype, list(shape)) for name, (dtype, shape) in tensors.items()
    }


def pair(path: str, out: int, inner: int, rank: int = 4) -> Held:
    """A and B as PEFT names them."""
    return {
        f"base_model.model.{path}.lora_A.weight": ("F32", [rank, inner]),
        f"base_model.model.{path}.lora_B.weight": ("F32", [out, rank]),
    }


def at(path: str, **parts: list[int]) -> Held:
    """Parts of an update of another kind."""
    return {f"base_model.model.{path}.{name}": ("F32", shape) for name, shape in parts.items()}


def kohya(tensors: Tensors) -> Held:
    """The same adapter as kohya names it."""
    found: Held = {}
    for name, (dtype, shape) in tensors.items():
        path, _, half = name.removeprefix("base_model.model.").partition(".lora_")
        word = "lora_down" if half[0] == "A" else "lora_up"
        found[f"lora_te_{path.replace('.', '_')}.{word}.weight"] = dtype, list(shape)
    return found


def vision(tensors: Tensors, tower: str = "model.visual") -> Held:
    """The same with a small tower."""
    found = {name: (dtype, list(shape)) for name, (dtype, shape) in tensors.items()}
    for block in range(4):
        found[f"{tower}.blocks.{block}.attn.qkv.weight"] = "BF16", [96, 32]
    return found


def gpt2() -> Held:
    """Conv1D's weights, without the library's prefix, as GPT-2 is stored."""
    found: Held = {"wte.weight": ("F32", [512, 64]), "ln_f.weight": ("F32", [64])}
    for layer in range(4):
        found |= {
            f"h.{layer}.attn.c_attn.weight": ("F32", [64, 192]),
            f"h.{layer}.attn.c_attn.bias": ("F32", [192]),
            f"h.{layer}.mlp.c_fc.weight": ("F32", [64, 256]),
            f"h.{layer}.mlp.c_fc.bias": ("F32", [256]),
        }
    return found


def stacked() -> Held:
    """A mixture whose experts are stacks, in and out as gpt-oss has them."""
    found = without(mixture(), ".experts.")
    for layer in range(1, 8):
        found[f"model.layers.{layer}.mlp.experts.gate_up_proj"] = "BF16", [8, 64, 48]
        found[f"model.layers.{layer}.mlp.experts.down_proj"] = "BF16", [8, 24, 64]
    return found


def of_experts(out: int = 48) -> Held:
    """Both stacks of a layer changed, as PEFT wraps them twice."""
    path = "model.layers.1.mlp.experts"
    return pair(f"{path}.base_layer", out, 64, 32) | pair(path, 64, 24, 32)


NEW = renamed(lora(), "model.layers", "model.language_model.layers")
VLM = vision(renamed(llama(), "model.layers", "model.language_model.layers"))
Q, V, UP = (
    f"model.layers.0.{name}" for name in ("self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj")
)
HEAD: Held = {"base_model.model.lm_head.weight": ("F32", [1024, 64])}
LONGER: Held = {"base_model.model.lm_head.weight": ("F32", [1032, 64])}
WIDER: Held = {"base_model.model.lm_head.weight": ("F32", [1024, 128])}
TIED = without(llama(), "lm_head")
TABLE = "base_model.model.model.embed_tokens"


CASES = [
        pytest.param(lora(), llama(), {}, WHOLE, id="A008-whole"),
        pytest.param(lora(), gptq(llama()), {}, WHOLE, id="A004-quantized-base"),
        pytest.param(lora(), llama(range(4)), {}, ["A004 warning", "A008 info"], id="A004-few-layers"),
        pytest.param(lora(), renamed(llama(), "", "module."), {}, WHOLE, id="A004-DDP"),
        pytest.param(lora(), gpt2(), {}, NO_MODULE, id="A004-another-model"),
        # prefixes
        pytest.param(lora(), VLM, {}, NO_MODULE, id="A004-text-adapter-of-a-VLM"),
        pytest.param(NEW, VLM, {}, WHOLE, id="A004-VLM"),
        pytest.param(NEW, vision(llama(), "visual"), {}, WHOLE, id="A004-files-have-the-old-names"),
        pytest.param(NEW, llama(), {}, NO_MODULE, id="A004-VLM's-adapter-of-a-text-model"),
        pytest.param(renamed(lora(), "model.layers", "layers"), llama(), {}, NO_MODULE,
                     id="A004-a-prefix-too-few"),
        pytest.param(renamed(lora(), "base_model.model.model.", "base_model.model."), llama(),
                     FEATURES, WHOLE, id="A004-trained-on-the-bare-model"),
        pytest.param(renamed(lora(), "model.layers", "model.model.layers"), llama(), {}, NO_MODULE,
                     id="A004-a-prefix-too-many"),
        pytest.param(pair("transformer.h.0.attn.c_attn", 192, 64), gpt2(), {}, WHOLE,
                     id="A004-files-of-the-bare-model"),
        pytest.param(kohya(lora()), llama(), {}, WHOLE, id="A004-kohya"),
        pytest.param(renamed(lora(), "base_model.model.", ""), llama(), {}, WHOLE, id="A004-no-wrapper"),
        # sizes
        pytest.param(pair(Q, 64, 32), llama(), {}, SIZES, id="A003-other-input"),
        pytest.param(pair(V, 64, 64), llama(), {}, SIZES, id="A003-other-output"),
        pytest.param(pair("h.0.attn.c_attn", 64, 192), gpt2(), {}, SIZES, id="A003-not-turned"),
        pytest.param(pair(V, 64, 64), gptq(llama()), {}, SIZES, id="A003-packed"),
        pytest.param(of_experts(), stacked(), {}, WHOLE, id="A003-stacks"),
        pytest.param(of_experts(40), stacked(), {}, SIZES, id="A003-other-stacks"),
        pytest.param(of_experts(), mixture(), {}, WHOLE, id="A003-stacked-while-loading"),
        pytest.param(pair(Q, 64, 64) | at(Q, lora_magnitude_vector=[64]), llama(), {}, WHOLE,
                     id="A003-DoRA"),
        pytest.param(pair(V, 16, 64) | at(V, lora_magnitude_vector=[32]), llama(), {}, SIZES,
                     id="A003-other-magnitude"),
        pytest.param(at(V, hada_w1_a=[16, 4], hada_w1_b=[4, 64], hada_w2_a=[16, 4],
                        hada_w2_b=[4, 64]), llama(), {}, WHOLE, id="A003-LoHa"),
        pytest.param(at(V, hada_w1_a=[32, 4], hada_w1_b=[4, 64]), llama(), {}, SIZES,
                     id="A003-other-LoHa"),
        pytest.param(at(V, lokr_w1=[4, 4], lokr_w2_a=[4, 2], lokr_w2_b=[2, 16]), llama(), {}, WHOLE,
                     id="A003-LoKr"),
        pytest.param(at(V, lokr_w1=[8, 4], lokr_w2=[4, 16]), llama(), {}, SIZES, id="A003-other-LoKr"),
        pytest.param(at(V, ia3_l=[16, 1]), llama(), {}, WHOLE, id="A003-IA3"),
        pytest.param(at(V, ia3_l=[17, 1]), llama(), {}, SIZES, id="A003-other-IA3"),
        pytest.param(at(V, vera_lambda_b=[16], vera_lambda_d=[4]), llama(), {}, WHOLE, id="A003-VeRA"),
        pytest.param(at(V, vera_lambda_b=[64], vera_lambda_d=[4]), llama(), {}, SIZES,
                     id="A003-other-VeRA"),
        pytest.param({f"{V}.lora_a": ("F32", [64, 4]), f"{V}.lora_b": ("F32", [4, 16])}, llama(),
                     {}, WHOLE, id="A003-MLX"),
        # fused
        pytest.param(pair("model.layers.0.self_attn.qkv_proj", 96, 64), llama(), {}, NO_MODULE,
                     id="A004-fused"),
        # vocabulary
        pytest.param(lora() | HEAD, llama(), {}, WHOLE, id="A006-head-saved"),
        pytest.param(lora() | LONGER, llama(), {}, ["A006 warning", "A008 info"], id="A006-more-rows"),
        pytest.param(lora() | LONGER, TIED, {}, ["A006 warning", "A008 info"], id="A006-tied"),
        pytest.param(lora() | WIDER, llama(), {}, SIZES, id="A003-wider-head"),
        pytest.param({f"{TABLE}.lora_embedding_A": ("F32", [4, 1024]),
                      f"{TABLE}.lora_embedding_B": ("F32", [64, 4])}, llama(), {}, WHOLE,
                     id="A006-table"),
        pytest.param({f"{TABLE}.lora_embedding_A": ("F32", [4, 1032]),
                      f"{TABLE}.lora_embedding_B": ("F32", [64, 4])}, llama(), {},
                     ["A006 warning", "A008 info"], id="A006-longer-table"),
        pytest.param(pair("lm_head", 1024, 64), TIED, {}, WHOLE, id="A006-tied-head"),
        pytest.param(lora() | {"base_model.model.score.weight": ("F32", [3, 64])}, llama(), {},
                     WHOLE, id="A006-a-head-of-its-own"),
        # what is no adapter, or no model
        pytest.param(llama(), llama(), {}, ["A004 warning"], id="A004-no-adapter"),
        pytest.param(lora(), lora(), {}, NO_MODULE, id="A004-the-base-is-an-adapter"),
        pytest.param({}, llama(), {}, [], id="A008-nothing"),
    ]  # fmt: skip


@pytest.mark.parametrize(("adapter", "base", "said", "expected"), CASES)
def test_adapters_against_their_base(
    adapter: Tensors, base: Tensors, said: dict[str, object], expected: list[str]
) -> None:
    assert expected == codes(adapter, base, said)


def told(adapter: Tensors, base: Tensors, code: str = "A004") -> Finding:
    (finding,) = [
        one for one in found(unheld(adapter), unheld(base, config=CONFIG)) if one.code == code
    ]
    return finding


@pytest.mark.parametrize(
    ("adapter", "base", "message"),
    [
        (lora(), VLM, "; with the prefix `model.language_model.` for `model.` 16 do"),
        (renamed(lora(), "model.layers", "layers"), llama(), "; with the prefix `model.` 16 do"),
        (renamed(lora(), "model.model.layers", "model.foo.model.layers"), llama(),
         "; without the prefix `foo.` 16 do"),
        (lora(), gpt2(), ""),
    ],
)  # fmt: skip
def test_the_prefix_that_would_match_is_told(adapter: Tensors, base: Tensors, message: str) -> None:
    adapter = renamed(adapter, "base_model.model.layers", "base_model.model.layers")

    assert f"0 of 16 modules match the base{message}" == told(adapter, base).message


def test_several_prefixes_are_told_apart() -> None:
    adapter = renamed(lora(range(4)), "model.layers", "text.layers") | pair(
        "tower.blocks.0.attn.qkv", 96, 32
    )

    finding = told(adapter, vision(llama()))

    assert [
        {"adapter": "text.", "base": "model.", "modules": 8},
        {"adapter": "tower.", "base": "model.visual.", "modules": 1},
    ] == finding.evidence["prefixes"]


def test_what_is_fused_is_told() -> None:
    fused = told(pair("model.layers.0.self_attn.qkv_proj", 96, 64), llama())

    assert (
        "the base has q_proj and its kin in the place of qkv_proj: split the updates" == fused.hint
    )


def test_what_is_to_be_joined_is_told() -> None:
    base: Held = {"model.layers.0.self_attn.qkv_proj.weight": ("BF16", [96, 64])}

    assert "the base has qkv_proj in the place of q_proj: join the updates" == (
        told(pair("model.layers.0.self_attn.q_proj", 64, 64), base).hint
    )


@pytest.mark.parametrize(
    ("name", "prefix", "expected"),
    [
        ("MistralModel", "model.", WHOLE),
        ("MistralModel", "mistral.", WHOLE),
        ("MistralModel", "foo.", NO_MODULE),
        ("MistralForCausalLM", "model.", NO_MODULE),
    ],
)
def test_a_base_without_its_head(name: str, prefix: str, expected: list[str]) -> None:
    bare = {key.removeprefix("model."): kind for key, kind in without(llama(), "lm_head").items()}
    base = unheld(bare, config={"model_type": "mistral", "architectures": [name]})
    adapter = renamed(lora(), "model.layers", f"{prefix}layers")

    assert expected == [f"{one.code} {one.severity}" for one in found(unheld(adapter), base)]


def test_a_convolution_in_tucker_form_is_not_measured() -> None:
    base: Held = {"conv.weight": ("F16", [32, 16, 3, 3])}
    adapter = at("conv", hada_w1_a=[4, 32], hada_w1_b=[4, 16], hada_t1=[4, 4, 3, 3])

    assert WHOLE == codes(adapter, base, {})


def test_convolutions() -> None:
    base: Held = {"conv.weight": ("F16", [32, 16, 3, 3])}
    for inner, expected in (([4, 16, 3, 3], WHOLE), ([4, 8, 3, 3], SIZES)):
        adapter = at("conv", **{"lora_A.weight": inner, "lora_B.weight": [32, 4, 1, 1]})

        assert expected == codes(adapter, base, {})


def test_names_of_two_dialects_are_a_warning() -> None:
    base = {"input_blocks.1.1.attn.to_q.weight": ("F16", [64, 64])}
    adapter = {
        "lora_unet_down_blocks_0_attn_to_q.lora_down.weight": ("F16", [4, 64]),
        "lora_unet_down_blocks_0_attn_to_q.lora_up.weight": ("F16", [64, 4]),
    }

    assert "warning" == told(adapter, base).severity


def test_of_an_incomplete_base_nothing_is_sure() -> None:

    index = index_of({"model.norm.weight": "a.safetensors", "lm_head.weight": "b.safetensors"})
    base = describe(
        checkpoint_of(
            {
                "model.safetensors.index.json": index,
                "a.safetensors": {"model.norm.weight": ("F32", [4])},
            }
        )
    )
    (finding,) = found(unheld(lora()), base)

    assert ("A004", "warning", True) == (
        finding.code, finding.severity, finding.hint.startswith("the base is incomplete; ")
    )  # fmt: skip


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("meta-llama--Llama-3.1-8B", ["A008 info"]),
        ("unsloth--Meta-Llama-3.1-8B-bnb-4bit", ["A008 info"]),
        ("hugging-quants--Meta-Llama-3.1-8B-Instruct-AWQ-INT4", ["A008 info"]),
        ("RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8", ["A008 info"]),
        ("Qwen--Qwen2-7B", ["A003 error", "A004 warning", "A008 info"]),
        ("openai-community--gpt2", ["A004 error"]),
    ],
)
def test_a_real_adapter(base: str, expected: list[str]) -> None:
    adapter = packed("example--Llama-3.1-8B-lora-r16")
    told = found(adapter, packed(base))

    assert expected == sorted({f"{one.code} {one.severity}" for one in told})


def test_without_a_base_they_are_skipped() -> None:
    done = audit(unheld(lora()), ["A"])

    assert {"A003", "A004", "A006", "A008"} == {
        one.code for one in done.skipped if "--base" in one.reason
    }


@pytest.mark.slow
def test_hostile_names_and_shapes_raise_nothing() -> None:
    odd: list[Any] = [[], [0], [4], [4, 0], [1, 2, 3], [1, 2, 3, 4], [1, 1, 1, 1, 1]]
    for shape in odd:
        for part in ("lora_A", "lora_B", "lokr_w1", "hada_w1_a", "ia3_l", "lora_embedding_A"):
            names = (
                f"{V}.{part}",
                f"a*.{part}.0",
                f"\\*.3.{part}.weight",
                f".{part}",
                f"x_0_.{part}",
            )
            tensors: Held = dict.fromkeys(names, ("F32", shape))
            for base in (llama(), tensors, {}):
                assert found(unheld(tensors), unheld(base)) is not None


def everywhere(base: Structure) -> Held:
    """An adapter that changes every matrix of a model, tables and most experts apart."""
    found: Held = {}
    for path, weights in base_of(base).modules.items():
        held = [one for one in weights if len(one.shape or ()) == 2 and one.role != "embedding"]
        if held and held[0].shape and not re.search(r"experts\.[1-9]", path):
            out, inner = held[0].shape[::-1] if held[0].is_turned else held[0].shape
            found |= pair(path, out, inner)
    return found


@pytest.mark.parametrize(
    "model",
    """
    openai-community--gpt2 google-t5--t5-base google-bert--bert-base-uncased tiiuae--falcon-7b
    Qwen--Qwen2.5-VL-7B-Instruct openai--whisper-large-v3 openai--gpt-oss-120b
    Qwen--Qwen1.5-MoE-A2.7B unsloth--Meta-Llama-3.1-8B-bnb-4bit meta-llama--Llama-2-7b-original
    hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4 microsoft--Phi-3-mini-4k-instruct
    """.split(),
)
def test_adapters_of_real_models(model: str) -> None:
    base = packed(model)
    adapter = everywhere(base)
    wrong = renamed(adapter, "base_model.model.", "base_model.model.foo.bar.")
    expected = len(adapter) // 2

    for sound in (adapter, kohya(adapter)):
        assert [f"{expected} of {expected} modules match the base"] == [
            one.message for one in found(unheld(sound), base)
        ]
    (finding,) = found(unheld(wrong), base)
    assert f"; without the prefix `foo.bar.` {expected} do" in finding.message
    assert "error" == finding.severity


def pipeline() -> Structure:
    """A small pipeline with two text encoders, alike but for their width."""
    to_q, q = "mid_block.attentions.0.attn1.to_q.weight", "text_model.layers.0.q_proj.weight"
    index = {"_class_name": "P"} | {
        name: ["diffusers", "C"] for name in ("unet", "text_encoder", "text_encoder_2")
    }
    files: dict[str, Any] = {
        "model_index.json": json.dumps(index).encode(),
        "unet/diffusion_pytorch_model.safetensors": {to_q: ("F16", [32, 32])},
        "text_encoder/model.safetensors": {q: ("F16", [16, 16])},
        "text_encoder_2/model.safetensors": {q: ("F16", [24, 24])},
    }
    return describe(checkpoint_of(files))


@pytest.mark.parametrize(
    ("path", "wide", "expected"),
    [
        ("lora_unet_mid_block_attentions_0_attn1_to_q", 32, WHOLE),
        ("unet.mid_block.attentions.0.attn1.to_q", 32, WHOLE),
        ("mid_block.attentions.0.attn1.to_q", 32, WHOLE),
        ("base_model.model.unet.mid_block.attentions.0.attn1.to_q", 32, WHOLE),
        ("lora_te1_text_model_layers_0_q_proj", 16, WHOLE),
        ("lora_te2_text_model_layers_0_q_proj", 24, WHOLE),
        ("lora_te2_text_model_layers_0_q_proj", 16, SIZES),
        ("text_encoder_2.text_model.layers.0.q_proj", 24, WHOLE),
        ("lora_unet_mid_block_attentions_9_attn1_to_q", 32, NO_MODULE),
    ],
)
def test_adapters_of_a_pipeline(path: str, wide: int, expected: list[str]) -> None:
    adapter: Held = {
        f"{path}.lora_down.weight": ("F16", [4, wide]),
        f"{path}.lora_up.weight": ("F16", [wide, 4]),
        f"{path}.alpha": ("F16", []),
    }

    assert expected == [f"{one.code} {one.severity}" for one in found(unheld(adapter), pipeline())]


def test_the_names_of_processors_are_known() -> None:
    own = "unet.mid_block.attentions.0.attn1.processor.to_q_lora"
    adapter: Held = {f"{own}.down.weight": ("F16", [4, 32]), f"{own}.up.weight": ("F16", [32, 4])}

    assert WHOLE == [f"{one.code} {one.severity}" for one in found(unheld(adapter), pipeline())]

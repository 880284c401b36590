"""Towers that config.json promises, and the prefixes that they stand under."""

from __future__ import annotations

import pytest

from ckptscan.checks.config_towers import CHECKS
from tests.checks.damages import held
from tests.checks.looking import CONFIG, codes, found_in, llama
from tests.conftest import Tensors, unheld

Held = dict[str, tuple[str, list[int]]]
VISION: Held = {"visual.blocks.0.attn.qkv.weight": ("BF16", [192, 64])}
MERGER: Held = {"visual.merger.mlp.0.weight": ("BF16", [64, 64])}
SIGHT: Held = {**VISION, **MERGER}
DEPTH = {"vision_config": {"depth": 1}}
VLM = {"architectures": ["XForConditionalGeneration"], **DEPTH}
QWEN = {"model_type": "qwen2_5_vl", **VLM}
NEW = {"model_type": "qwen3_vl", **VLM}
SIDES = {"is_encoder_decoder": True, "architectures": ["XForConditionalGeneration"]}
ENCODER: Held = {"model.encoder.layers.0.fc1.weight": ("F32", [8, 8])}
DECODER: Held = {"model.decoder.layers.0.fc1.weight": ("F32", [8, 8])}


def under(prefix: str, tensors: Tensors) -> Held:
    """The model under another prefix than `model.`."""
    return {
        name.replace("model.", prefix, 1) if name.startswith("model.") else name: (dtype, [*shape])
        for name, (dtype, shape) in tensors.items()
    }


MOVED = under("model.language_model.", llama())
BEFORE = under("language_model.model.", llama())


CASES = [
        pytest.param(llama(), {}, [], id="C012-text"),
        pytest.param(llama() | SIGHT, DEPTH, [], id="C012-sees"),
        pytest.param(llama() | SIGHT, VLM, [], id="C012-sees-and-is-joined"),
        pytest.param(llama(), {"vision_config": {}}, [], id="C012-an-empty-section"),
        pytest.param(llama(), DEPTH, ["C012 warning"], id="C012-blind"),
        pytest.param(llama(), {"audio_config": {"depth": 1}}, ["C012 warning"], id="C012-deaf"),
        pytest.param(SIGHT, VLM, ["C012 warning"], id="C012-mute"),
        pytest.param(SIGHT, DEPTH | {"architectures": ["XVisionModel"]}, [], id="C012-a-tower-alone"),
        pytest.param(llama() | VISION, VLM, ["C012 warning"], id="C012-not-joined"),
        pytest.param(llama() | SIGHT, {}, ["C012 warning"], id="C012-sees-unasked"),
        pytest.param(llama() | SIGHT, {"auto_map": {}}, [], id="C012-code-of-its-own"),
        pytest.param(llama() | SIGHT, {"visual": {}}, [], id="C012-another-key"),
    pytest.param(llama() | SIGHT, {"vlm": {"vision_config": {}}}, [], id="C012-a-nested-section"),
        pytest.param(ENCODER | DECODER, SIDES, [], id="C012-both-sides"),
        pytest.param(ENCODER, SIDES, ["C012 warning"], id="C012-no-decoder"),
        pytest.param(DECODER, SIDES, ["C012 warning"], id="C012-no-encoder"),
        pytest.param(DECODER, {"is_encoder_decoder": True}, [], id="C012-no-such-class"),
        # prefixes
        pytest.param(llama() | SIGHT, QWEN, [], id="C013-as-files-have-them"),
        pytest.param(MOVED | under("model.", {f"model.{n}": h for n, h in SIGHT.items()}), QWEN,
                     ["C013 warning"], id="C013-as-memory-has-them"),
        pytest.param(MOVED | {f"model.{name}": held for name, held in SIGHT.items()}, NEW, [],
                     id="C013-born-with-them"),
        pytest.param(llama() | {f"model.{name}": held for name, held in SIGHT.items()}, NEW,
                     ["C013 warning"], id="C013-not-as-born"),
        pytest.param(BEFORE | SIGHT, {"model_type": "llava", **VLM}, [], id="C013-an-old-one"),
        pytest.param(MOVED | SIGHT, {"model_type": "llava", **VLM}, ["C013 warning"],
                     id="C013-moved"),
        pytest.param(llama() | SIGHT | {f"model.{name}": held for name, held in SIGHT.items()}, DEPTH,
                     ["C013 warning"], id="C013-two-generations"),
    pytest.param(VISION | {f"model.{name}": held for name, held in VISION.items()}, {},
                 ["C013 warning"], id="C013-two-generations-and-no-text"),
    pytest.param(VISION, {}, [], id="C013-one-generation"),
        pytest.param(MOVED, {}, ["C013 warning"], id="C013-a-text-model-under-a-multimodal-name"),
        pytest.param(MOVED, {"text_config": {"a": 1}}, [], id="C013-nested-by-design"),
    ]  # fmt: skip


@pytest.mark.parametrize(("tensors", "said", "expected"), CASES)
def test_towers(tensors: Held, said: dict[str, object], expected: list[str]) -> None:
    assert expected == codes(CHECKS, tensors, config=CONFIG | said)


@pytest.mark.parametrize(
    ("model", "old", "new", "expected"),
    [
        ("Qwen--Qwen2-VL-7B-Instruct", "visual.", "model.visual.", {"C013"}),
        ("Qwen--Qwen2-VL-7B-Instruct", "model.", "model.language_model.", {"C013"}),
        ("Qwen--Qwen2.5-VL-7B-Instruct", "model.", "language_model.model.", {"C013"}),
        ("Qwen--Qwen2.5-VL-7B-Instruct", "visual.", "", {"C012"}),
        ("Qwen--Qwen2.5-VL-7B-Instruct", "visual.merger.", "", {"C012"}),
        ("Qwen--Qwen3-8B", "model.", "model.language_model.", {"C013"}),
        ("google-t5--t5-base", "encoder.", "", {"C012"}),
        ("openai--whisper-large-v3", "model.decoder.", "", {"C012"}),
    ],
)
def test_real_models_renamed_or_cut(model: str, old: str, new: str, expected: set[str]) -> None:
    tensors, documents = held(model)
    changed = {
        new + name.removeprefix(old) if name.startswith(old) else name: kind
        for name, kind in tensors.items()
        if new or not name.startswith(old)
    }

    assert expected == {one.code for one in found_in(CHECKS, unheld(changed, **documents))}

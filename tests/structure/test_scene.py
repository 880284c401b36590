"""What a module can know around it: widths, experts, what config says of its weights."""

from __future__ import annotations

import pytest

from ckptscan.config import Config
from ckptscan.structure.scene import (
    Scene,
    expert_counts,
    hidden_size,
    quantization_of,
    tower_of,
)
from tests.conftest import Tensors, structure_of

WIDTHS = {
    "nothing": ({}, None),
    "the commonest": (
        {"l.0.input_layernorm.weight": ("F32", [8]), "l.1.input_layernorm.weight": ("F32", [8]),
         "norm.weight": ("F32", [9])}, 8,
    ),
    "the larger of two as common": (
        {"a.norm.weight": ("F32", [8]), "b.norm.weight": ("F32", [9])}, 9,
    ),
    "norms of queries and latents are narrower": (
        {f"l.0.self_attn.{name}.weight": ("F32", [4]) for name in ("q_norm", "kv_a_layernorm")}
        | {"norm.weight": ("F32", [8])}, 8,
    ),
    "numbered norms": ({f"l.0.norms.{n}.weight": ("F32", [8]) for n in range(2)}, 8),
    "matrices are no norms": ({"norm.weight": ("F32", [8, 8])}, None),
}  # fmt: skip


@pytest.mark.parametrize(("tensors", "expected"), WIDTHS.values(), ids=WIDTHS)
def test_the_width_of_the_residual_stream(tensors: Tensors, expected: int | None) -> None:
    assert expected == hidden_size(structure_of(tensors).tree)


EXPERTS = {
    "none": ({"l.0.w": ("F32", [2])}, set()),
    "apart": ({f"l.0.experts.{e}.w": ("F32", [2]) for e in range(4)}, {4}),
    "stacked": ({"l.0.experts.down_proj": ("F32", [4, 2, 2])}, {4}),
    "stacked, of other names": ({"l.0.x.down_proj": ("F32", [4, 2, 2])}, set()),
    "of other numbers": (
        {f"l.{n}.experts.{e}.w": ("F32", [2]) for n in range(2) for e in range(4 + n)},
        {4, 5},
    ),
}


@pytest.mark.parametrize(("tensors", "expected"), EXPERTS.values(), ids=EXPERTS)
def test_how_many_experts_there_are(tensors: Tensors, expected: set[int]) -> None:
    assert expected == expert_counts(structure_of(tensors).tree)


@pytest.mark.parametrize(
    ("path", "tower"),
    [
        ("model.layers", "text"),
        ("model.visual.blocks", "vision"),
        ("vision_tower.x", "vision"),
        ("audio_tower.layers", "audio"),
        ("provit.x", "text"),
    ],
)
def test_the_tower_of_a_path(path: str, tower: str) -> None:
    assert tower == tower_of(path)


def scene(**quantization: object) -> Scene:
    return Scene(Config({"config.json": {"quantization_config": quantization}}), hidden=8)


HINTS = {
    "nothing": ({}, (None, None, None)),
    "AutoGPTQ": (
        {"quant_method": "GPTQ", "bits": 4, "group_size": 128}, ("gptq", 4, 128),
    ),
    "AWQ": ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, ("awq", 4, 64)),
    "MLX": ({"bits": 4, "group_size": 64}, ("mlx", 4, 64)),
    "a method that is no text": (
        {"bits": 4, "group_size": 64, "quant_method": None}, (None, 4, 64),
    ),
    "one group of modules": (
        {"quant_method": "compressed-tensors",
         "config_groups": {"g": {"weights": {"num_bits": 8, "group_size": -1}}}},
        ("compressed-tensors", 8, None),
    ),
    "two groups of modules": (
        {"quant_method": "x",
         "config_groups": {"g": {"weights": {"num_bits": 8}}, "h": {"weights": {"num_bits": 4}}}},
        ("x", None, None),
    ),
    "its own entry": (
        {"bits": 4, "group_size": 64, "l.q_proj": {"bits": 8}}, ("mlx", 8, 64),
    ),
    "beyond reason": ({"bits": 1 << 31, "group_size": 0}, ("mlx", None, None)),
}  # fmt: skip


@pytest.mark.parametrize(("said", "expected"), HINTS.values(), ids=HINTS)
def test_what_config_says_of_a_packed_weight(
    said: dict[str, object], expected: tuple[object, ...]
) -> None:
    hints = scene(**said).hints("l.q_proj", "q")

    assert expected == (hints.method, hints.bits, hints.group)


@pytest.mark.parametrize(
    ("role", "faces_out"),
    [("o", True), ("expert.down", True), ("q", False), ("embedding", False), ("other", None)],
)
def test_on_which_side_the_residual_stream_lies(role: str, faces_out: bool | None) -> None:
    hints = scene().hints("l.x", role)

    assert (8, faces_out) == (hints.hidden, hints.faces_out)


def test_the_norm_is_named_by_its_constant() -> None:
    named, plain = ({"rms_norm_eps": 1e-6}, {"layer_norm_eps": 1e-6})

    assert "RMSNorm" == Scene(Config({"config.json": named})).norm
    assert Scene(Config({"config.json": plain})).norm is None


def test_what_is_said_of_one_module_goes_before_what_is_said_of_all() -> None:
    config = scene(bits=4, mode="a", q={"bits": 8}).config

    assert (8, "a") == tuple(quantization_of(config, "q")[key] for key in ("bits", "mode"))
    assert 4 == quantization_of(config, "k")["bits"]


def test_inside_a_layer_its_own_norms_and_experts_count() -> None:
    tensors: Tensors = {"l.0.norm.weight": ("F32", [4]), "l.0.experts.w": ("F32", [3, 2, 2])}
    node = structure_of(tensors).tree
    outer = Scene(Config(), hidden=8)

    assert (4, frozenset({3})) == outer.within(node)[1::2]
    assert 8 == outer.within(structure_of({}).tree).hidden

"""The parts of a model: towers stand for themselves, brackets around them are opened."""

from __future__ import annotations

import pytest

from ckptscan.structure.towers import towers
from tests.conftest import Tensors, structure_of

W = ("BF16", [2, 2])
PARTS = {
    "nothing": ({}, []),
    "a model and its head": ({"lm_head.weight": W, "model.l.0.w": W}, ["model", "lm_head"]),
    "a bracket": (
        {"model.language_model.l.0.w": W, "model.visual.l.0.w": W, "lm_head.weight": W},
        ["model.visual", "model.language_model", "lm_head"],
    ),
    "one tower is no bracket": ({"model.visual.l.0.w": W, "model.x.w": W}, ["model"]),
    "encoder and decoder": (
        {"model.decoder.l.0.w": W, "model.encoder.l.0.w": W, "model.shared.weight": W},
        ["model.shared", "model.encoder", "model.decoder"],
    ),
    "layers are no bracket": ({f"0.{side}.w": W for side in ("encoder", "decoder")}, ["(0)"]),
    "tensors are no towers": ({"model.encoder": W, "model.decoder": W}, ["model"]),
    "a bracket too deep": (
        {f"a_vision.{'vision.' * 3}{side}.w": W for side in ("vision", "text_model")}
        | {f"{'x.' * depth}audio.w": W for depth in range(3)},
        ["a_vision", "audio", "x"],
    ),
    "no parameters": ({"masks.position_ids": ("I64", [2]), "model.w": W}, ["model"]),
    "parameters unknown": (
        {"a.l.weight_packed": ("I32", [2, 3]), "b.w": W},
        ["a", "b"],
    ),
}


@pytest.mark.parametrize(("tensors", "expected"), PARTS.values(), ids=PARTS)
def test_the_parts_of_a_model(tensors: Tensors, expected: list[str]) -> None:
    assert expected == [tower.label for tower in towers(structure_of(tensors).tree)]


def test_the_parts_hold_all_that_the_model_holds() -> None:
    root = structure_of(PARTS["a bracket"][0]).tree

    assert root.parameters == sum(tower.parameters for tower in towers(root))
    assert "model.visual" == towers(root)[0].path

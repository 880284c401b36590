"""Lists of modules that are not quantized."""

from __future__ import annotations

import pytest

from ckptscan.checks.evidence.listed import find_lists
from ckptscan.config import Config
from ckptscan.names import IndexSet

PATH = "model.layers.*.mlp.experts.*.up_proj"
AXES = (IndexSet.of(range(4)), IndexSet.of(range(8)))


def lists_of(said: dict[str, object]) -> tuple[bool, bool]:
    """Whether the lists name the module, and whether all of them was understood."""
    lists = find_lists(Config({"config.json": {"quantization_config": said}}))
    return any(entry.names(PATH, AXES) for entry in lists.entries), lists.is_complete


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param({"x": 1}, (False, True), id="none"),
        pytest.param({"ignore": "lm_head"}, (False, True), id="no list"),
        pytest.param({"ignore": [1]}, (False, False), id="no name"),
        pytest.param({"ignore": [""]}, (False, False), id="an empty name"),
        pytest.param({"ignore": ["up_proj"]}, (True, True), id="last segment"),
        pytest.param({"ignore": ["experts.7"]}, (True, True), id="an expert"),
        pytest.param({"ignore": ["experts.8"]}, (False, True), id="no such expert"),
        pytest.param({"ignore": ["experts.7"], "quant_method": "compressed-tensors"},
                     (False, True), id="whole names only"),
        pytest.param({"ignore": ["model.layers.3.mlp.experts.7.up_proj"],
                      "quant_method": "compressed-tensors"}, (True, True), id="a whole name"),
        pytest.param({"ignore": ["re:.*experts\\.[07]\\.up"]}, (True, True), id="expression"),
        pytest.param({"ignore": ["re:(?<=x)"]}, (False, False), id="not understood"),
        pytest.param({"ignore": [f"re:x{n}" for n in range(70)]}, (False, False), id="too many"),
        pytest.param({"dynamic": {"-:.*up_proj": {}, "+:.*down": {}}}, (True, True), id="GPTQ"),
        pytest.param({"dynamic": ["-:.*up_proj"]}, (False, True), id="odd GPTQ"),
        pytest.param({"model.layers.0.mlp.experts.0.up_proj": False, "bits": 4}, (True, True),
                     id="MLX"),
    ],
)  # fmt: skip
def test_lists(said: dict[str, object], expected: tuple[bool, bool]) -> None:
    assert expected == lists_of(said)


def test_a_path_that_is_cut_is_not_tried() -> None:
    lists = find_lists(Config({"config.json": {"quantization_config": {"ignore": ["re:.*"]}}}))

    assert not lists.entries[0].names("a." * 600 + "*", (IndexSet.of([0]),))

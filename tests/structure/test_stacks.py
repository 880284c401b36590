"""Experts that lie in one tensor."""

from __future__ import annotations

import pytest

from ckptscan.structure.classes import Around, classify
from tests.structure.measure_classes import Shapes

STACKS: list[tuple[str, Shapes, dict[str, Shapes], str | None]] = [
    (
        "mlp.experts",
        {"gate_up_proj": (16, 2816, 2048), "down_proj": (16, 2048, 1408)},
        {},
        "16, 2048, 1408",
    ),
    (
        "mlp.experts",
        {"gate_up_proj": (16, 2048, 2816), "down_proj": (16, 1408, 2048)},
        {},
        "16, 2048, 1408",
    ),
    (
        "mlp.experts",
        {"gate_up_proj": (16, 64, 128), "gate_up_proj_bias": (16, 128), "down_proj": (16, 64, 64)},
        {},
        "16, 64, 64",
    ),
    ("mlp.experts", {"up_proj": (16, 768, 2048), "down_proj": (16, 2048, 768)}, {}, "16"),
    (
        "mlp.experts",
        {"up_proj": (16, 768, 2048), "down_proj": (16, 2048, 768)},
        {"gate": {"weight": (16, 2048)}},
        "16, 2048, 768",
    ),
    ("mlp.experts", {"odd": (16, 768, 2048)}, {}, "16"),
    (
        "moe.input_linear",
        {"weight": (8, 22016, 4096)},
        {"output_linear": {"weight": (8, 4096, 11008)}},
        "8, 4096, 22016",
    ),
    (
        "moe.output_linear",
        {"weight": (8, 4096, 11008)},
        {"input_linear": {"weight": (8, 22016, 4096)}},
        "8, 11008, 4096",
    ),
    ("moe.input_linear", {"weight": (8, 22016, 4096)}, {"norm": {"weight": (4096,)}}, "8"),
    ("experts.w1", {"weight": (8, 4096, 2048)}, {}, "8"),
    ("mlp.experts", {"up_proj": (16, 768, 2048), "down_proj": (8, 2048, 768)}, {}, None),
    ("mixer", {"up_proj": (16, 768, 2048)}, {}, None),
]


@pytest.mark.parametrize(("path", "leaves", "beside", "expected"), STACKS)
def test_stacked_experts_tell_their_number_and_sizes(
    path: str, leaves: Shapes, beside: dict[str, Shapes], expected: str | None
) -> None:
    found = classify(path.split("."), leaves, Around(beside))

    assert expected == (found and found.arguments)
    assert found is None or found.name == "Experts"

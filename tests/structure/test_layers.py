"""Containers and the pattern of their children."""

from __future__ import annotations

import pytest

from ckptscan.structure import Layers
from tests.conftest import Tensors, packed, structure_of

W = ("F32", [2, 2])


def found(tensors: Tensors) -> list[tuple[str, str, int, str]]:
    return [shown(layers) for layers in structure_of(tensors).layers]


def shown(layers: Layers) -> tuple[str, str, int, str]:
    return layers.container, layers.within, layers.count, ", ".join(map(str, layers.layout))


def test_a_container_tells_its_kinds_in_the_order_of_their_first_index() -> None:
    tensors = {f"l.{n}.{'attn' if n % 4 == 3 else 'conv'}.w": W for n in range(12)}
    (layers,) = structure_of(tensors).layers

    assert ("l", "", 12, "(A A A B) x 3") == shown(layers)
    assert [
        ("A", "0-2,4-6,8-10"),
        ("B", "3,7,11"),
    ] == [(kind.name, str(kind.indices)) for kind in layers.kinds]


def test_a_container_inside_tells_the_blocks_it_lies_in() -> None:
    tensors = {f"l.{n}.e.{e}.w": W for n in range(1, 4) for e in range(8)} | {"l.0.n": W}

    assert [("l", "", 4, "A, B x 3"), ("l.*.e", "1-3", 8, "A x 8")] == found(tensors)


def test_indices_at_the_root_and_in_segments_have_containers() -> None:
    assert [("", "", 2, "A x 2")] == found({"0.w": W, "1.w": W})
    assert [("e.expert_*", "", 4, "A x 4")] == found({f"e.expert_{n}.w": W for n in range(4)})


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("Qwen--Qwen2-57B-A14B-Instruct", ("model.layers", "", 28, "A x 28")),
        ("deepseek-ai--DeepSeek-V3", ("model.layers", "", 61, "A x 3, B x 58")),
        ("Qwen--Qwen3-Next-80B-A3B-Instruct", ("model.layers", "", 48, "(A A A B) x 12")),
        ("google-t5--t5-base", ("decoder.block", "", 12, "A, B x 11")),
        ("deepseek-ai--DeepSeek-V2-Lite", ("model.layers", "", 27, "A, B x 26")),
        ("openai-community--gpt2", ("h", "", 12, "A x 12")),
    ],
)
def test_real_models_have_their_known_layouts(
    model: str, expected: tuple[str, str, int, str]
) -> None:
    assert expected == shown(packed(model).layers[0])

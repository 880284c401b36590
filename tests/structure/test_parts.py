"""Tensor-parallel parts: the shapes of the joined model, told by the width of the norms."""

from __future__ import annotations

import pytest

from ckptscan.structure import describe
from ckptscan.structure.parts import Shape, joined_shapes
from ckptscan.structure.roles import Role
from tests.conftest import checkpoint_of

H = 8
JOINED = {
    "one copy": (1, "q", {"weight": (2, H)}, {"weight": (2, H)}),
    "cut in its output": (4, "q", {"weight": (2, H)}, {"weight": (8, H)}),
    "cut in its input": (4, "o", {"weight": (H, 2)}, {"weight": (H, 8)}),
    "a bias is cut with its output": (
        2, "q", {"weight": (2, H), "bias": (2,)}, {"weight": (4, H), "bias": (4,)},
    ),
    "a bias is whole where the input is cut": (
        2, "down", {"weight": (H, 3), "bias": (H,)}, {"weight": (H, 6), "bias": (H,)},
    ),
    "a vector alone": (2, "q", {"bias": (4,)}, {"bias": (4,)}),
    "square, by its role": (2, "down", {"weight": (H, H)}, {"weight": (H, 16)}),
    "square, its output": (2, "up", {"weight": (H, H)}, {"weight": (16, H)}),
    "neither is known": (2, "q", {"weight": (2, 3)}, {"weight": (4, 3)}),
    "a norm is whole": (2, "norm", {"weight": (H,)}, {"weight": (H,)}),
    "a router is whole": (2, "router", {"weight": (4, H)}, {"weight": (4, H)}),
    "a stack": (2, "expert.down", {"weight": (5, H, 3)}, {"weight": (5, H, 6)}),
    "a number": (2, "q", {"scale": ()}, {"scale": ()}),
}  # fmt: skip


@pytest.mark.parametrize(("copies", "role", "stored", "joined"), JOINED.values(), ids=JOINED)
def test_the_dimension_that_norms_do_not_have_is_joined(
    copies: int, role: str, stored: dict[str, Shape], joined: dict[str, Shape]
) -> None:
    roles = dict.fromkeys(stored, Role(role, ""))

    assert joined == joined_shapes(stored, roles, copies, H)


def test_parts_count_once_what_each_holds_whole() -> None:
    part = {
        "layers.0.attention.wq.weight": ("BF16", [2, H]),
        "layers.0.attention.wo.weight": ("BF16", [H, 2]),
        "layers.0.attention_norm.weight": ("BF16", [H]),
        "norm.weight": ("BF16", [H]),
    }
    structure = describe(
        checkpoint_of({f"consolidated.{n:02d}.safetensors": part for n in range(4)})
    )

    assert 2 * H * H + 2 * H == structure.parameters.logical
    assert 4 * (4 * H + 2 * H) == structure.parameters.stored_elements

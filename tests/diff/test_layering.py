"""Layers of A beside those of B."""

from __future__ import annotations

import pytest

from ckptscan.diff import compare
from ckptscan.diff.layering import CHANGED, CUT, INSERTED, KEPT, Beside, layers_beside
from tests.conftest import structure_of

Tensors = dict[str, tuple[str, list[int]]]


def stack(widths: list[int], dtype: str = "BF16", container: str = "model.layers") -> Tensors:
    """A layer for each width, so that each can be told from the others."""
    return {
        f"{container}.{n}.{leaf}": (dtype, [width, 4])
        for n, width in enumerate(widths)
        for leaf in ("q.weight", "o.weight")
    }


def found(before: Tensors, after: Tensors) -> list[Beside]:
    return layers_beside(compare(structure_of(before), structure_of(after)))


def told(one: Beside) -> list[tuple[int | None, int | None, str]]:
    return [(pair.a, pair.b, pair.state) for pair in one.pairs]


def test_the_same_layers_are_kept() -> None:
    (one,) = found(stack([8, 8, 8]), stack([8, 8, 8]))

    assert [(n, n, KEPT) for n in range(3)] == told(one)
    assert all(sum(pair.changes.values()) == 2 for pair in one.pairs)


def test_a_layer_that_is_cast_is_changed() -> None:
    after = stack([8, 8, 8]) | {"model.layers.1.q.weight": ("F32", [8, 4])}
    (one,) = found(stack([8, 8, 8]), after)

    assert [(0, 0, KEPT), (1, 1, CHANGED), (2, 2, KEPT)] == told(one)
    assert 1 == one.pairs[1].changes["cast"]


def test_a_layer_that_lost_a_tensor_is_changed() -> None:
    after = stack([8, 8, 8])
    del after["model.layers.2.o.weight"]
    (one,) = found(stack([8, 8, 8]), after)

    assert (2, 2, CHANGED) == told(one)[2]
    assert 1 == one.pairs[2].changes["removed"]


def test_layers_that_are_cut_out_leave_a_gap() -> None:
    (one,) = found(stack([8, 8, 16, 24, 32]), stack([8, 8, 32]))

    assert [(0, 0, KEPT), (1, 1, KEPT), (2, None, CUT), (3, None, CUT), (4, 2, KEPT)] == told(one)


def test_layers_that_are_inserted_stand_before_those_that_follow_them() -> None:
    (one,) = found(stack([8, 16, 32]), stack([8, 24, 40, 16, 32]))

    assert [(0, 0), (None, 1), (None, 2), (1, 3), (2, 4)] == [(p.a, p.b) for p in one.pairs]
    assert [INSERTED, INSERTED] == [pair.state for pair in one.pairs[1:3]]


def test_a_container_that_one_side_lacks() -> None:
    ours, theirs = stack([8, 8]), stack([24, 24], container="vision.blocks")
    one, other = found(ours, ours | theirs)

    assert [KEPT, KEPT] == [pair.state for pair in one.pairs]
    assert other.a is None
    assert [(None, 0, INSERTED), (None, 1, INSERTED)] == told(other)


@pytest.mark.parametrize("widths", [[8, 16, 24, 32], [8, 8, 16, 16, 8]])
def test_every_layer_of_both_sides_stands_once(widths: list[int]) -> None:
    (one,) = found(stack(widths), stack([*widths[1:], 40]))

    assert list(range(len(widths))) == sorted(p.a for p in one.pairs if p.a is not None)
    assert list(range(len(widths))) == sorted(p.b for p in one.pairs if p.b is not None)

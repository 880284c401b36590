"""Odd layers, and how they differ from the usual ones."""

from __future__ import annotations

import pytest

from ckptscan.structure import unlike
from ckptscan.structure.unlike import Otherwise, Unlike
from tests.conftest import Tensors, structure_of

W, B = ("BF16", [4, 4]), ("BF16", [4])


def stack(count: int, **odd: Tensors) -> dict[str, tuple[str, list[int]]]:
    """Layers of a weight and a bias; `l3` says what the third is made of instead."""
    tensors = {}
    for number in range(count):
        for leaf, form in odd.get(f"l{number}", {"q.weight": W, "q.bias": B}).items():
            tensors[f"layers.{number}.{leaf}"] = (form[0], list(form[1]))
    return tensors


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        pytest.param({"q.weight": W}, Unlike(("q.bias",), (), ()), id="lost bias"),
        pytest.param(
            {"q.weight": W, "q.bias": B, "k.weight": W},
            Unlike((), ("k.weight",), ()),
            id="one more",
        ),
        pytest.param(
            {"q.weight": ("F32", [4, 4]), "q.bias": B},
            Unlike((), (), (Otherwise("q.weight", (("F32", (4, 4)),), (("BF16", (4, 4)),)),)),
            id="other dtype",
        ),
        pytest.param(
            {"q.weight": ("BF16", [4, 8]), "q.bias": B},
            Unlike((), (), (Otherwise("q.weight", (("BF16", (4, 8)),), (("BF16", (4, 4)),)),)),
            id="other shape",
        ),
    ],
)
def test_an_odd_layer_is_found_and_told_apart(odd: Tensors, expected: Unlike) -> None:
    (layers,) = structure_of(stack(9, l3=odd)).layers
    (kind,) = layers.odd

    assert "3" == str(kind.indices)
    assert expected == unlike(kind, layers.usual)


def test_what_is_of_another_form_within_a_layer_is_told_by_its_path() -> None:
    tensors = {
        f"layers.{n}.experts.{e}.w": ("F32" if (n, e) == (2, 1) else "BF16", [2])
        for n in range(6)
        for e in range(3)
    }
    layers = next(one for one in structure_of(tensors).layers if not one.within)
    found = unlike(layers.odd[0], layers.usual)

    assert "2" == str(layers.odd[0].indices)
    assert found.lacks or found.otherwise


def test_kinds_that_take_turns_are_not_odd() -> None:
    turns = {f"l{n}": {"conv.weight": W} for n in range(3, 12, 4)}
    (layers,) = structure_of(stack(12, **turns)).layers

    assert 2 == len(layers.kinds)
    assert () == layers.odd


def test_where_all_differ_none_is_odd() -> None:
    all_unlike = {f"l{n}": {"w": ("BF16", [n + 1])} for n in range(6)}
    (layers,) = structure_of(stack(6, **all_unlike)).layers

    assert () == layers.odd

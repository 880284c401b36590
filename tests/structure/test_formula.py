"""The count of parameters as a sum: terms that add up, written as a person would."""

from __future__ import annotations

import pytest
from hypothesis import given

from ckptscan.structure.formula import Product, formula
from ckptscan.structure.towers import towers
from ckptscan.structure.tree import Node
from tests.conftest import Tensors, structure_of, unheld
from tests.structure.drawing import tensors_of


def written(term: Product) -> str:
    factors = ["+".join(map(str, factor)) for factor in term.factors]
    inner = [f"({' + '.join(map(written, term.inner))})"] if term.inner else []
    return " * ".join([str(term.times), *factors, *inner])


def sums(tensors: Tensors) -> list[tuple[str, str]]:
    return [(written(term), term.label) for term in formula(structure_of(tensors).tree)]


def grid(name: str, *shape: int, layers: int = 2) -> Tensors:
    return {name.replace("*", str(n)): ("BF16", list(shape)) for n in range(layers)}


SUMS = {
    "a weight": ({"fc.weight": ("F32", [3, 5])}, [("1 * 3 * 5", "fc")]),
    "a weight and its bias": (
        {"fc.weight": ("F32", [3, 5]), "fc.bias": ("F32", [3])},
        [("1 * 5+1 * 3", "fc")],
    ),
    "stored the other way": (
        {"fc.weight": ("F32", [3, 5]), "fc.bias": ("F32", [5])},
        [("1 * 3+1 * 5", "fc")],
    ),
    "a kernel": (
        {"conv.weight": ("F32", [8, 3, 4, 4]), "conv.bias": ("F32", [8])},
        [("1 * 48+1 * 8", "conv")],
    ),
    "a norm": ({"n.weight": ("F32", [7]), "n.bias": ("F32", [7])}, [("2 * 7", "n")]),
    "a bias of no known kind": (
        {"n.weight": ("F32", [7]), "n.bias": ("F32", [2])},
        [("1 * 7", "n"), ("1 * 2", "n.bias")],
    ),
    "a bias alone": ({"n.bias": ("F32", [2])}, [("1 * 2", "n.bias")]),
    "a top-level tensor": ({"scale": ("F32", [2])}, [("1 * 2", "scale")]),
    "a number": ({"a.scale": ("F32", [])}, [("1", "a.scale")]),
    "nothing": ({"a.scale": ("F32", [0])}, []),
    "a buffer": ({"a.position_ids": ("I64", [1, 5])}, []),
    "alike terms are one": (
        {"a.weight": ("F32", [3, 5]), "b.weight": ("F32", [5, 3]), "c.weight": ("F32", [5, 3])},
        [("3 * 3 * 5", "a, b, c")],
    ),
    "layers": (
        {**grid("l.*.a.weight", 3, 5), **grid("l.*.n.weight", 3)},
        [("2 * (1 * 3 + 1 * 3 * 5)", "l.*")],
    ),
    "layers of one tensor": (grid("l.*.a.weight", 3, 5), [("2 * 3 * 5", "l.*")]),
    "one layer": ({"l.7.a.weight": ("F32", [3])}, [("1 * 3", "l.7.a")]),
    "layers of nothing": (grid("l.*.a.weight", 0), []),
    "lists of parameters": (grid("l.*.scale.0", 4), [("2 * 4", "l.*")]),
    "a list of parameters": (
        {"scale.0": ("F32", [4]), "scale.1": ("F32", [4])},
        [("2 * 4", "scale.(0-1)")],
    ),
    "a further layer that drafts": (
        {f"l.3.{part}.weight": ("F32", [2, 4]) for part in ("eh_proj", "enorm")},
        [("2 * 2 * 4", "l.3.eh_proj, l.3.enorm")],
    ),
    "numbers inside segments": (
        {
            f"expert_{e}.{part}.weight": ("F32", [n])
            for e in range(8)
            for n, part in ((2, "a"), (3, "b"))
        },
        [("8 * (1 * 2 + 1 * 3)", "expert_*")],
    ),
    "two numbers in a segment": (
        {f"x_{a}_y_{b}.w": ("F32", [2]) for a in range(4) for b in range(4)},
        [("16 * 2", "x_(0-3)_y_(0-3).w")],
    ),
    "other shapes under one name": (
        {f"x_{a}_y_{b}.w": ("F32", [2 + a // 2]) for a in range(4) for b in range(4)},
        [("8 * 2", "x_(0-1)_y_(0-3).w"), ("8 * 3", "x_(2-3)_y_(0-3).w")],
    ),
    "drafts": (
        {f"mtp.{part}.weight": ("F32", [2, 4]) for part in ("eh_proj", "enorm")},
        [("2 * 2 * 4", "mtp.eh_proj, mtp.enorm")],
    ),
}


@pytest.mark.parametrize(("tensors", "expected"), SUMS.values(), ids=SUMS)
def test_a_sum_as_people_write_it(tensors: Tensors, expected: list[tuple[str, str]]) -> None:
    assert sorted(expected) == sorted(sums(tensors))


def test_a_packed_weight_counts_what_it_unpacks_to() -> None:
    structure = unheld(
        {
            "a.q_proj.qweight": ("I32", [8, 16]),
            "a.q_proj.scales": ("F16", [1, 16]),
            "a.q_proj.qzeros": ("I32", [1, 2]),
        },
        config={"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 64}},
    )

    assert ["1 * 16 * 64"] == [written(term) for term in formula(structure.tree)]


def test_the_sum_of_nothing_is_empty() -> None:
    assert () == formula(Node.of("")) == formula(structure_of({}).tree)


@given(tensors_of("F32", "BF16", "I64", "U8", "F8_E4M3"))
def test_the_terms_add_up(tensors: Tensors) -> None:
    tree = structure_of(tensors).tree

    assert tree.parameters == sum(term.value for term in formula(tree))
    assert tree.parameters == sum(tower.parameters for tower in towers(tree))
    assert [tower.parameters for tower in towers(tree)] == [
        sum(term.value for term in formula(tower)) for tower in towers(tree)
    ]

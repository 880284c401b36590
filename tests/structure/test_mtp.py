"""Multi-token prediction stands apart from the model, wherever it is stored."""

from __future__ import annotations

import pytest

from ckptscan.structure.tree import MTP
from tests.conftest import Tensors, structure_of

W = ("BF16", [2, 2])
JOINTS = {f"{part}.weight": W for part in ("eh_proj", "enorm", "hnorm")}
MAIN = {f"model.layers.{n}.w": W for n in range(2)}


def drafting(*layers: str) -> Tensors:
    return {f"{layer}.{name}": spec for layer in layers for name, spec in JOINTS.items()}


STORED = {
    "none": (MAIN, None, []),
    "a further layer": (
        MAIN | drafting("model.layers.2"), MTP, ["model.layers.(2)"],
    ),
    "two further layers": (
        MAIN | drafting("model.layers.2", "model.layers.3"), MTP, ["model.layers.(2-3)"],
    ),
    "a module of its own": (MAIN | {"mtp.fc.weight": W}, "mtp", ["fc"]),
    "a module within the model": (MAIN | {"model.mtp.fc.weight": W}, MTP, ["model.mtp"]),
    "two places": (
        MAIN | {"mtp.fc.weight": W, "model.mtp.fc.weight": W}, MTP, ["model.mtp", "mtp"],
    ),
    "nothing else": ({"mtp.fc.weight": W}, "mtp", ["fc"]),
    "one joint alone": (MAIN | {"model.layers.2.eh_proj.weight": W}, None, []),
    "a tensor of that name": (MAIN | {"mtp": W}, None, []),
    "another word": (MAIN | {"mtpx.fc.weight": W}, None, []),
    "a part of every layer": (
        {f"model.layers.{n}.mtp.fc.weight": W for n in range(2)}, None, [],
    ),
    "too deep to be one": (MAIN | {"a.b.c.d.e.f.mtp.fc.weight": W}, None, []),
    "what is left is a tensor": ({"a": W, "a.mtp.w": W}, MTP, ["a.mtp"]),
}  # fmt: skip


@pytest.mark.parametrize(("tensors", "label", "held"), STORED.values(), ids=STORED)
def test_what_drafts_tokens_is_a_part_of_its_own(
    tensors: Tensors, label: str | None, held: list[str]
) -> None:
    structure = structure_of(tensors)
    mtp = structure.mtp

    assert label == (mtp.label if mtp else None)
    assert held == [child.label for child in (mtp.children if mtp else ())]
    assert (
        len(tensors)
        == structure.tree.tensors
        == structure.main.tensors + (mtp.tensors if mtp else 0)
    )


def test_it_is_counted_apart() -> None:
    structure = structure_of(MAIN | drafting("model.layers.2"))

    assert (12, 20) == (structure.parameters.mtp, structure.parameters.logical)
    assert ["model.layers", "model.layers"] == [one.container for one in structure.layers]
    assert ["0-1", "2"] == [str(one.kinds[0].indices) for one in structure.layers]

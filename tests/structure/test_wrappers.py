"""Prefixes of training wrappers are left out, and told with the number of tensors."""

from __future__ import annotations

import pytest

from ckptscan.structure import describe
from ckptscan.structure.wrappers import Wrapper
from tests.conftest import Tensors, checkpoint_of, structure_of

W = ("BF16", [2, 2])
WRAPPED = {
    "none": (["a.w", "b.w"], [], ["a", "b"]),
    "no tensors": ([], [], []),
    "DDP": (["module.a.w", "module.b.w"], [("module.", 2)], ["a", "b"]),
    "two": (["module.model_ema.a.w"], [("module.model_ema.", 1)], ["a"]),
    "PEFT": (["base_model.model.a.w"], [("base_model.model.", 1)], ["a"]),
    "compiled": (["_orig_mod.a.w", "_orig_mod.b"], [("_orig_mod.", 2)], ["a", "b"]),
    "compiled inside": (
        ["a._orig_mod.w", "a._orig_mod.v", "b.w"], [("_orig_mod.", 2)], ["a", "b"],
    ),
    "both": (
        ["module.a._checkpoint_wrapped_module._orig_mod.w", "module.b"],
        [("module.", 2), ("_checkpoint_wrapped_module.", 1), ("_orig_mod.", 1)],
        ["a", "b"],
    ),
    "a compiled model in a wrapper": (
        ["module._orig_mod.a.w"], [("module._orig_mod.", 1)], ["a"],
    ),
    "not of all": (["module.a.w", "b.w"], [], ["b", "module"]),
    "nothing but a wrapper": (["module", "module.a"], [], ["module"]),
    "a tensor of that name": (["a._orig_mod"], [], ["a"]),
    "a wrapper that ends a name": (["module.a"], [("module.", 1)], ["a"]),
}  # fmt: skip


@pytest.mark.parametrize(("names", "wrappers", "shown"), WRAPPED.values(), ids=WRAPPED)
def test_wrappers_are_left_out(
    names: list[str], wrappers: list[tuple[str, int]], shown: list[str]
) -> None:
    tensors: Tensors = dict.fromkeys(names, W)
    structure = structure_of(tensors)

    assert tuple(Wrapper(*one) for one in wrappers) == structure.wrappers
    assert shown == [child.label for child in structure.tree.children]
    assert sorted(names) == sorted(structure.checkpoint.table.names)


def test_a_component_has_wrappers_of_its_own() -> None:
    structure = describe(
        checkpoint_of(
            {
                "model_index.json": b'{"a":["x","A"],"b":["x","B"]}',
                "a/model.safetensors": {"module.x.w": W, "module.y.w": W},
                "b/model.safetensors": {"module.x.w": W, "z.w": W},
            }
        )
    )
    one, other = structure.tree.children

    assert ["x", "y"] == [child.label for child in one.children]
    assert ["module", "z"] == [child.label for child in other.children]
    assert (Wrapper("module.", 2),) == structure.wrappers

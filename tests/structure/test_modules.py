"""The annotated tree: classes, roles, logical shapes and counts of modules."""

from __future__ import annotations

import pytest

from ckptscan.structure.modules import _Others
from ckptscan.structure.tree import Node
from tests.conftest import Tensors, structure_of, unheld


def kind_of(tensors: Tensors, path: str, **config: object) -> str:
    """The class of the module at a path, as it is printed."""
    waiting: list[Node] = [unheld(tensors, config=config).tree]
    while waiting:
        node = waiting.pop()
        if node.path == path:
            return f"{node.kind.name}({node.kind.arguments})" if node.kind else ""
        waiting += node.children
    raise KeyError(path)


def gptq(name: str, inward: int = 128, outward: int = 64) -> Tensors:
    return {
        f"{name}.qweight": ("I32", [inward // 8, outward]),
        f"{name}.scales": ("F16", [inward // 64, outward]),
        f"{name}.qzeros": ("I32", [inward // 64, outward // 8]),
    }


KINDS = {
    "plain": (
        {"a.q_proj.weight": ("BF16", [8, 4])}, "a.q_proj",
        "Linear(in_features=4, out_features=8, bias=False)",
    ),
    "packed": (gptq("a.q_proj"), "a.q_proj", "QuantLinear(128, 64, bits=4, group=64, gptq)"),
    "of unknown shape": (
        {"a.q_proj.qweight": ("I32", [8, 64])}, "a.q_proj", "QuantLinear(?, ?, packed)",
    ),
    "scaled by blocks": (
        {"a.q_proj.weight": ("F8_E4M3", [256, 384]), "a.q_proj.weight_scale_inv": ("F32", [2, 3])},
        "a.q_proj", "QuantLinear(384, 256, bits=8, block=128x128, fp8-block)",
    ),
    "a packed table": (
        {"a.embed_tokens.weight": ("U32", [64, 16]), "a.embed_tokens.scales": ("BF16", [64, 2]),
         "a.embed_tokens.biases": ("BF16", [64, 2])},
        "a.embed_tokens", "QuantEmbedding(64, 128, bits=4, group=64, mlx)",
    ),
    "a stack among others": (
        {"a.experts.gate_up_proj_blocks": ("U8", [4, 64, 2, 16]),
         "a.experts.gate_up_proj_scales": ("U8", [4, 64, 2]),
         "a.experts.gate_up_proj_bias": ("BF16", [4, 64])},
        "a.experts", "QuantExperts(4, 64, 64, bits=4, group=32, mxfp4)",
    ),
    "a stack by itself": (
        {"a.experts.weight": ("F8_E4M3", [4, 256, 384]),
         "a.experts.weight_scale_inv": ("F32", [4, 2, 3])},
        "a.experts", "QuantExperts(4, 256, 384, bits=8, block=128x128, fp8-block)",
    ),
    "integers alone": ({"a.q_proj.weight": ("I8", [8, 4])}, "a.q_proj", None),
    "nothing": ({"a.b.weight": ("BF16", [2, 2])}, "a", ""),
}  # fmt: skip


@pytest.mark.parametrize(("tensors", "path", "expected"), KINDS.values(), ids=KINDS)
def test_the_class_of_a_module(tensors: Tensors, path: str, expected: str | None) -> None:
    actual = kind_of(tensors, path, quantization={"bits": 4, "group_size": 64})

    assert actual == (actual if expected is None else expected)


def meaning(tensors: Tensors, pattern: str) -> tuple[str, object, object]:
    structure = structure_of(tensors)
    (family,) = (one for one in structure.families if one.pattern == pattern)
    end = structure.meaning(family)
    assert end is not None
    return end.role.name, end.shape, end.each


def test_a_packed_weight_means_what_it_unpacks_to() -> None:
    tensors = gptq("l.0.q_proj") | gptq("l.1.q_proj")

    assert ("q", (64, 128), 64 * 128) == meaning(tensors, "l.*.q_proj.qweight")
    assert ("quantization", (2, 64), 0) == meaning(tensors, "l.*.q_proj.scales")


def test_buffers_and_empty_tensors_count_nothing() -> None:
    tensors: Tensors = {"a.position_ids": ("I64", [1, 7]), "a.weight": ("F32", [0, 4])}

    assert ("buffer", (1, 7), 0) == meaning(tensors, "a.position_ids")
    assert 0 == meaning(tensors, "a.weight")[2]


def test_a_tensor_may_hold_others_below_its_name() -> None:
    tensors: Tensors = {
        "a.q_proj.weight": ("U8", [64 * 128 // 2, 1]),
        "a.q_proj.weight.absmax": ("F32", [64 * 128 // 64]),
        "a.q_proj.weight.quant_map": ("F32", [16]),
        "a.q_proj.weight.quant_state.bitsandbytes__nf4": ("U8", [100]),
    }
    structure = structure_of(tensors)

    assert "quantization" == meaning(tensors, "a.q_proj.weight.absmax")[0]
    assert 64 * 128 == structure.parameters.logical
    assert 128 + 16 + 100 == structure.parameters.quantization


def test_several_kinds_under_one_name_each_have_their_meaning() -> None:
    tensors: Tensors = {
        f"x_{a}_y_{b}.weight": ("F32", [2 + a // 2]) for a in range(4) for b in range(4)
    }
    structure = structure_of(tensors)

    assert 8 * 2 + 8 * 3 == structure.parameters.logical


def test_a_module_in_a_parametrization_is_no_module_of_its_own() -> None:
    tensors: Tensors = {
        "conv.parametrizations.weight.original0": ("F32", [8, 1, 1]),
        "conv.parametrizations.weight.original1": ("F32", [8, 4, 3]),
        "conv.bias": ("F32", [8]),
    }

    assert "Conv1d" == kind_of(tensors, "conv").partition("(")[0]


def test_the_other_modules_are_all_but_one() -> None:
    others = _Others({"a": {"weight": (1,)}, "b": {"weight": (2,)}}, "a")

    assert (["b"], 1, (2,)) == (list(others), len(others), others["b"]["weight"])
    with pytest.raises(KeyError):
        others["a"]
    assert 2 == len(_Others({"a": {}, "b": {}}, "c"))


def mlx(name: str, outward: int = 64, words: int = 16, groups: int = 2) -> Tensors:
    return {
        f"{name}.weight": ("U32", [outward, words]),
        f"{name}.scales": ("BF16", [outward, groups]),
        f"{name}.biases": ("BF16", [outward, groups]),
    }


def test_weights_that_tell_nothing_are_read_as_those_that_do() -> None:
    norm: Tensors = {"l.0.input_layernorm.weight": ("BF16", [128])}
    structure = structure_of(norm | mlx("l.0.q_proj") | mlx("l.0.zzz", words=24, groups=3))

    assert 128 + 64 * 128 + 64 * 192 == structure.parameters.logical
    assert "inferred" == structure.parameters.labels["logical"]


def test_weights_of_which_none_tells_stay_unknown() -> None:
    assert structure_of(mlx("l.0.zzz", words=24, groups=3)).parameters.logical is None


def test_weights_that_disagree_tell_nothing_to_others() -> None:
    norm: Tensors = {"l.0.input_layernorm.weight": ("BF16", [128])}
    others = mlx("l.0.k_proj", words=32)
    structure = structure_of(norm | mlx("l.0.q_proj") | others | mlx("l.0.zzz", words=24, groups=3))

    assert structure.parameters.logical is None

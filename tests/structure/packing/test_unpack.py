"""Whole models: logical totals to the last digit, whatever the scheme; and hostile leaves."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckptscan.structure.packing as package
from ckptscan.dtypes import DTYPES, dtype
from ckptscan.header import Kind
from ckptscan.structure.packing import Hints, Packing, unpack
from ckptscan.structure.packing.guesses import GROUPS, group_of, settle, widths
from tests.conftest import WRITABLE
from tests.structure.packing.making import kind

Module = Mapping[str, Kind]

LLAMA = 8_030_261_248
HIDDEN, WIDE, KEYS, LAYERS, VOCABULARY = 4096, 14336, 1024, 32, 128256
# out, in, whether out is the hidden size's side
LINEARS = (
    (HIDDEN, HIDDEN, False),
    (KEYS, HIDDEN, False),
    (KEYS, HIDDEN, False),
    (HIDDEN, HIDDEN, True),
    (WIDE, HIDDEN, False),
    (WIDE, HIDDEN, False),
    (HIDDEN, WIDE, True),
)
UNQUANTIZED = 2 * VOCABULARY * HIDDEN + (2 * LAYERS + 1) * HIDDEN


def gptq(bits: int) -> Callable[[int, int], Module]:
    return lambda out, wide: {
        "qweight": kind("I32", wide * bits // 32, out),
        "qzeros": kind("I32", wide // 128, out * bits // 32),
        "scales": kind("F16", wide // 128, out),
        "g_idx": kind("I32", wide),
    }


def awq(out: int, wide: int) -> Module:
    return {
        "qweight": kind("I32", wide, out // 8),
        "qzeros": kind("I32", wide // 128, out // 8),
        "scales": kind("F16", wide // 128, out),
    }


def nf4(out: int, wide: int) -> Module:
    count = out * wide
    return {
        "weight": kind("U8", count // 2, 1),
        "weight.absmax": kind("U8", count // 64),
        "weight.quant_map": kind("F32", 16),
        "weight.nested_absmax": kind("F32", count // 64 // 256),
        "weight.nested_quant_map": kind("F32", 256),
        # JSON, as long as its writer makes it
        "weight.quant_state.bitsandbytes__nf4": kind("U8", 82),
    }


def fp8(out: int, wide: int) -> Module:
    return {"weight": kind("F8_E4M3", out, wide), "weight_scale": kind("BF16", out, 1)}


def w4a16(out: int, wide: int) -> Module:
    return {
        "weight_packed": kind("I32", out, wide // 8),
        "weight_scale": kind("BF16", out, wide // 128),
        "weight_shape": kind("I64", 2),
    }


def nvfp4(out: int, wide: int) -> Module:
    return {
        "weight": kind("U8", out, wide // 2),
        "weight_scale": kind("F8_E4M3", out, wide // 16),
        "weight_scale_2": kind("F32"),
        "input_scale": kind("F32"),
    }


def bnb_int8(out: int, wide: int) -> Module:
    return {
        "weight": kind("I8", out, wide),
        "SCB": kind("F32", out),
        "weight_format": kind("U8"),
    }


def hqq(out: int, wide: int) -> Module:
    groups = out * wide // 64
    return {
        "W_q": kind("U8", groups // 2, 64),
        "scale": kind("F16", groups, 1),
        "zero": kind("F16", groups, 1),
    }


def mlx(out: int, wide: int) -> Module:
    return {
        "weight": kind("U32", out, wide // 8),
        "scales": kind("BF16", out, wide // 64),
        "biases": kind("BF16", out, wide // 64),
    }


# stored elements as measured with other tools on the published layouts
MODELS: dict[str, tuple[Callable[[int, int], Module], Hints, int]] = {
    "GPTQ 4 bits": (gptq(4), Hints(), 1_985_941_504),
    "GPTQ 3 bits": (gptq(3), Hints(), 1_766_133_760),
    "AWQ": (awq, Hints(), 1_984_696_320),
    "bnb nf4": (nf4, Hints(hidden=HIDDEN), 4_650_157_504),
    "FP8 per channel": (fp8, Hints(), 8_031_637_504),
    "W4A16": (w4a16, Hints(bits=4, group=128), 1_977_881_024),
    "NVFP4 of ModelOpt": (nvfp4, Hints(), 4_976_808_384),
    "bnb int8": (bnb_int8, Hints(), 8_031_637_728),
    "HQQ 4 bits": (hqq, Hints(hidden=HIDDEN), 4_758_704_128),
}


def packings(make: Callable[[int, int], Module], hints: Hints) -> Iterator[tuple[Module, Packing]]:
    """The seven linears of a layer, each with what its tensors say."""
    for out, wide, faces_out in LINEARS:
        leaves = make(out, wide)
        sided = Hints(hints.method, hints.bits, hints.group, hints.hidden, faces_out)
        (found,) = unpack(leaves, sided)
        yield leaves, found


@pytest.mark.parametrize(("make", "hints", "stored"), MODELS.values(), ids=MODELS)
def test_llama_has_as_many_weights_in_every_form(
    make: Callable[[int, int], Module], hints: Hints, stored: int
) -> None:
    layer = list(packings(make, hints))

    assert stored == UNQUANTIZED + LAYERS * sum(
        each.numel for leaves, _ in layer for each in leaves.values()
    )
    assert LLAMA == UNQUANTIZED + LAYERS * sum(found.numel or 0 for _, found in layer)
    assert [(out, wide) for out, wide, _ in LINEARS] == [found.shape for _, found in layer]
    assert [()] * 7 == [found.problems for _, found in layer]
    assert all({found.weight, *found.auxiliary} == leaves.keys() for leaves, found in layer)


def test_llama_of_mlx_has_as_many_weights_by_its_config() -> None:
    layer = list(packings(mlx, Hints(bits=4, group=64)))

    assert LLAMA == UNQUANTIZED + LAYERS * sum(found.numel or 0 for _, found in layer)
    assert {"config"} == {found.label for _, found in layer}


def test_gpt_oss_20b_has_its_experts_unpacked() -> None:
    hidden, layers, experts, vocabulary = 2880, 24, 32, 201088
    leaves = {
        "gate_up_proj_blocks": kind("U8", experts, 2 * hidden, 90, 16),
        "gate_up_proj_scales": kind("U8", experts, 2 * hidden, 90),
        "gate_up_proj_bias": kind("BF16", experts, 2 * hidden),
        "down_proj_blocks": kind("U8", experts, hidden, 90, 16),
        "down_proj_scales": kind("U8", experts, hidden, 90),
        "down_proj_bias": kind("BF16", experts, hidden),
    }
    biases = 3 * experts * hidden
    attention = 2 * hidden * (4096 + 512) + 4096 + 512 + 512 + hidden + 64
    router, norms = experts * hidden + experts, 2 * hidden
    others = layers * (biases + attention + router + norms) + 2 * vocabulary * hidden + hidden

    unpacked = sum(found.numel or 0 for found in unpack(leaves))

    assert 20_914_757_184 == others + layers * unpacked


def test_every_reader_is_in_the_list() -> None:
    folder = Path(package.__file__).parent
    readers = {
        node.name
        for path in folder.glob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("read_")
    }

    # read_fp4 is for bytes that another reader knows
    assert readers - {"read_fp4"} == {scheme.read.__name__ for scheme in package.SCHEMES}


@pytest.mark.parametrize(
    ("count", "groups", "expected"),
    [
        (4096, 32, 128),
        (4096, 1, None),
        (4096, 0, None),
        (4096, None, None),
        (4096, 5000, None),
        (768, 4, 192),
        (2880, 23, 128),
        (150, 2, 128),
        (7, 5, None),
    ],
)
def test_a_group_is_the_usual_one_that_fits(
    count: int, groups: int | None, expected: int | None
) -> None:
    assert expected == group_of(count, groups)


@given(st.integers(1, 8), st.integers(1, 1 << 20), st.sampled_from([8, 16, 32, 64]))
def test_a_width_is_among_those_of_its_words(bits: int, count: int, word: int) -> None:
    assert bits in widths(-(-count * bits // word), count, word)


def test_nothing_is_settled_without_guesses() -> None:
    assert (None, "inferred") == settle([], Hints(bits=4))


@given(
    st.sampled_from((2, 3, 4, 8)),
    st.sampled_from([size for size in GROUPS if size >= 32]),
    st.integers(1, 100),
    st.integers(1, 64),
)
def test_gptq_is_unpacked_whatever_its_size(
    bits: int, group: int, groups: int, eights: int
) -> None:
    out, wide = 32 * eights, group * groups
    leaves = {
        "qweight": kind("I32", wide * bits // 32, out),
        "qzeros": kind("I32", groups, out * bits // 32),
        "scales": kind("F16", groups, out),
        "g_idx": kind("I32", wide),
    }

    (found,) = unpack(leaves)
    (blind,) = unpack({name: each for name, each in leaves.items() if name != "g_idx"})

    assert ("gptq", bits, (out, wide), "exact") == (
        found.scheme,
        found.bits,
        found.shape,
        found.label,
    )
    assert (out, wide) == blind.shape


DIMS = st.one_of(st.integers(0, 9), st.sampled_from([16, 32, 64, 128, 4096, 2**31, 2**62, 2**63]))
SHAPES = st.lists(DIMS, max_size=9).map(tuple)
NAMES = sorted({*package._PLAIN, "x", "x_blocks", "x_scale", "x.absmax", "x_weight", "_x_qdata"})
LEAF_NAMES = st.one_of(
    st.sampled_from(NAMES),
    st.builds("{}_{}".format, st.sampled_from("xy"), st.sampled_from(NAMES)),
    st.text(WRITABLE, max_size=9),
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(WRITABLE, max_size=3), st.floats()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["shape", "x"]), inner)
    ),
    max_leaves=5,
)
OPTIONAL = st.one_of(st.none(), st.integers(-4, 1 << 62), st.sampled_from([2, 3, 4, 8, 64, 128]))
HINTS = st.builds(
    Hints,
    st.sampled_from([None, "gptq", "awq", "bitnet", "hqq", ""]),
    OPTIONAL,
    OPTIONAL,
    OPTIONAL,
    st.sampled_from([None, True, False]),
    st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=3),
)


@st.composite
def kinds(draw: st.DrawFn) -> Kind:
    name = draw(st.sampled_from([*DTYPES, "I4", ""]))
    shape = draw(SHAPES)
    numel = prod(shape) if prod(shape) < 2**64 else 0
    return Kind(dtype(name), shape, numel, numel * (dtype(name).bits or 0) // 8)


@given(st.dictionaries(LEAF_NAMES, kinds(), max_size=8), HINTS)
def test_hostile_leaves_give_a_sane_packing_or_none(leaves: Module, hints: Hints) -> None:
    found = unpack(leaves, hints)

    assert len(found) == len({each.weight for each in found})
    for each in found:
        assert each.weight in leaves
        assert each.weight not in each.auxiliary
        assert each.auxiliary <= leaves.keys()
        assert each.label in ("exact", "inferred", "config", "peeked")
        assert each.numel_label in ("exact", "inferred", "config", "peeked")
        assert each.shape is None or prod(each.shape) == each.numel
        assert each.shape is None or all(size >= 0 for size in each.shape)
        assert each.numel is None or each.numel >= 0
        assert each.bits is None or each.bits > 0
        assert each.formula
    assert found == unpack(leaves, hints)


SMALL = st.lists(st.sampled_from([0, 1, 2, 3, 4, 8, 16, 32, 64, 128]), max_size=4).map(tuple)


@given(
    st.sampled_from(package.SCHEMES),
    st.data(),
    st.sampled_from(["", "x_", "x."]),
    HINTS,
)
def test_hostile_shapes_under_the_names_of_one_scheme(
    scheme: Any, data: st.DataObject, prefix: str, hints: Hints
) -> None:
    names = sorted({"weight", "bias", *scheme.leaves})
    types = st.sampled_from("U8 I8 I16 I32 U32 I64 F4 F6_E2M3 F8_E4M3 F8_E8M0 F16".split())
    leaves = {
        prefix + name: kind(data.draw(types), *data.draw(SMALL))
        for name in data.draw(st.lists(st.sampled_from(names), unique=True, max_size=6))
    }

    for each in unpack(leaves, hints):
        assert each.weight in leaves
        assert each.shape is None or prod(each.shape) == each.numel
        assert each.bits is None or each.bits > 0


def test_a_long_name_takes_no_long_time() -> None:
    name = "_weight" * 150_000

    assert () == unpack({name: kind("F32", 2), f"{name}_scale": kind("F32", 2)})

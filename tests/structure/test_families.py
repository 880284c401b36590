"""Families: pattern x dtype x shape, and the names that they give back."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.checkpoint import Checkpoint
from ckptscan.names import fill
from ckptscan.structure import Family, find_families
from tests.conftest import Tensors, checkpoint_of, packed

W = ("F32", [2, 2])


def families(tensors: Tensors) -> list[Family]:
    return find_families(checkpoint_of({"model.safetensors": tensors}).table)


def shown(tensors: Tensors) -> dict[str, str]:
    return {
        family.pattern: " x ".join(map(str, family.axes)) + "!" * (family.instances is not None)
        for family in families(tensors)
    }


def names_of(checkpoint: Checkpoint) -> Counter[str]:
    """All names that the families give back."""
    return Counter(
        fill(family.pattern, indices, family.axes)
        for family in find_families(checkpoint.table)
        for indices in family.indices()
        for _ in range(family.copies)
    )


CASES = {
    "experts": (
        {f"model.layers.{n}.mlp.experts.{e}.up.weight": W for n in range(12) for e in range(11)},
        {"model.layers.*.mlp.experts.*.up.weight": "0-11 x 0-10"},
    ),
    "at the start and end": (
        {"0.weight": W, "1.weight": W, "blocks.3": W},
        {"*.weight": "0-1", "blocks.*": "3"},
    ),
    "digits alone": ({"7": W, "12": W}, {"*": "7,12"}),
    "names with digits stay": (
        {"fc1.w": W, "fc2.w": W, "conv2.w13": W, "layer_norm1.w": W, "wi_0.w": W, "k3": W},
        dict.fromkeys(("conv2.w13", "fc1.w", "fc2.w", "k3", "layer_norm1.w", "wi_0.w"), ""),
    ),
    "names with digits and indices": (
        {f"h.{n}.{w}": W for n in (1, 11) for w in ("w1", "w2", "w")},
        {"h.*.w": "1,11", "h.*.w1": "1,11", "h.*.w2": "1,11"},
    ),
    "same skeleton, other places": ({"a.1.w2": W, "a.12.w": W}, {"a.*.w2": "1", "a.*.w": "12"}),
    "not the full product": (
        {"l.0.e.0": W, "l.0.e.1": W, "l.1.e.0": W},
        {"l.*.e.*": "0-1 x 0-1!"},
    ),
    "gaps": ({f"l.{n}": W for n in (0, 1, 5)}, {"l.*": "0-1,5"}),
    "zero padded": ({f"l.{n:03d}.w": W for n in range(12)}, {"l.*.w": "000-011"}),
    "padded and not": (
        {"l.7.w": W, "l.07.w": W, "l.8.w": W},
        {"l.*.w": "7-8", "l.07.w": ""},
    ),
    "absurdly long": ({f"l.{'9' * 40}.w": W}, {f"l.{'9' * 40}.w": ""}),
    "other digits": ({"l.٣.w": W, "l.².w": W}, {"l.².w": "", "l.٣.w": ""}),
    "stars": ({"a.*.1": W, "a\\b.2": W}, {"a.\\*.*": "1", "a\\\\b.*": "2"}),
    "line breaks": ({"a\n.1": W, "b.2\n": W}, {"a\n.*": "1", "b.2\n": ""}),
    "not ascii": ({f"schicht.{n}.größe": W for n in range(3)}, {"schicht.*.größe": "0-2"}),
    "empty segments": ({"a..1": W, ".2": W, "": W}, {"": "", ".*": "2", "a..*": "1"}),
}


@pytest.mark.parametrize(("tensors", "expected"), CASES.values(), ids=CASES)
def test_names_fall_into_patterns(tensors: Tensors, expected: dict[str, str]) -> None:
    assert expected == shown(tensors)
    assert Counter([*tensors]) == names_of(checkpoint_of({"model.safetensors": tensors}))


def test_shape_and_dtype_tell_families_apart() -> None:
    found = families({"l.0": ("F32", [2]), "l.1": ("BF16", [2]), "l.2": ("F32", [3])})

    assert [
        ("F32", (2,)),
        ("BF16", (2,)),
        ("F32", (3,)),
    ] == [(family.dtype.name, family.shape) for family in found]


def test_families_stand_in_natural_order() -> None:
    tensors = {f"l.{n}.w": ("F32", [n]) for n in (10, 9, 1)} | {"a": W, "l.2.b": W}

    assert [
        ("a", ""),
        ("l.*.b", "2"),
        ("l.*.w", "1"),
        ("l.*.w", "9"),
        ("l.*.w", "10"),
    ] == [(family.pattern, " ".join(map(str, family.axes))) for family in families(tensors)]


SEGMENTS = st.sampled_from(
    ["a", "b", "0", "1", "2", "10", "03", "w1", "w2", "e_0", "e_1", "*", "é"]
)


@given(st.sets(st.lists(SEGMENTS, min_size=1, max_size=4).map(".".join), max_size=25))
def test_pattern_and_axes_always_give_the_names_back(names: set[str]) -> None:
    checkpoint = checkpoint_of({"model.safetensors": dict.fromkeys(sorted(names), W)})

    assert Counter(names) == names_of(checkpoint)
    assert [*range(len(names))] == sorted(
        row for family in find_families(checkpoint.table) for row in family.rows
    )


def test_parts_repeat_their_names() -> None:
    part = {f"layers.{n}.wq": ("BF16", [2, 8]) for n in range(3)}
    checkpoint = checkpoint_of({f"consolidated.{n:02d}.safetensors": part for n in range(4)})
    (family,) = find_families(checkpoint.table)

    assert (
        str(family.axes[0]),
        family.copies,
        family.count,
        family.instances,
    ) == ("0-2", 4, 12, None)


def test_a_name_that_repeats_alone_keeps_its_count() -> None:
    one, two = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    checkpoint = checkpoint_of({one: {"l.0": W, "l.1": W}, two: {"l.1": W, "l.2": W}})
    (family,) = find_families(checkpoint.table)

    assert 4 == family.count
    assert ((0,), (1,), (1,), (2,)) == family.instances


def test_components_have_families_of_their_own() -> None:
    checkpoint = checkpoint_of(
        {"model.safetensors": {"l.0": W}, "model.fp16.safetensors": {"l.0": W}}, all_sets=True
    )

    assert [
        "model",
        "model.fp16",
    ] == [family.component for family in find_families(checkpoint.table)]


def test_some_rows_have_families_too() -> None:
    table = checkpoint_of({"model.safetensors": {f"l.{n}": W for n in range(9)}}).table
    (family,) = find_families(table, [2, 3, 7])

    assert (str(family.axes[0]), sorted(family.rows)) == ("2-3,7", [2, 3, 7])


def test_deepseek_v3_is_43_families() -> None:
    found = find_families(packed("deepseek-ai--DeepSeek-V3").checkpoint.table)

    assert 43 == len(found)
    assert all(family.instances is None for family in found)
    experts = [f for f in found if f.pattern == "model.layers.*.mlp.experts.*.up_proj.weight"]
    assert ["3-61", "0-255"] == [str(axis) for axis in experts[0].axes]
    assert 15_104 == experts[0].count


def test_parts_of_what_is_no_product_repeat_too() -> None:
    part = dict.fromkeys(("l.0.e.0", "l.0.e.1", "l.1.e.0"), W)
    checkpoint = checkpoint_of({f"consolidated.{n:02d}.safetensors": part for n in range(2)})
    (family,) = find_families(checkpoint.table)

    assert (6, 2, ((0, 0), (0, 1), (1, 0))) == (family.count, family.copies, family.instances)

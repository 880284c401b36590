"""The tree: nested names, repeated blocks folded, sums that hold."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.structure import Node, build_tree, find_families
from ckptscan.structure.tree import MAX_DEPTH
from tests.conftest import Tensors, checkpoint_of, structure_of

W = ("F32", [2, 2])


def tree(tensors: Tensors) -> Node:
    return structure_of(tensors).tree


def drawn(node: Node, depth: int = 0) -> list[str]:
    """The tree as indented labels, for comparison."""
    lines = []
    for child in node.children:
        repeat = "" if child.repeat is None else f" {len(child.repeat)} x"
        lines += ["  " * depth + child.label + repeat, *drawn(child, depth + 1)]
    return lines


def test_equal_layers_are_one_node() -> None:
    node = tree({f"model.layers.{n}.{w}": W for n in range(12) for w in ("b", "a")})

    assert ["model", "  layers", "    (0-11) 12 x", "      a", "      b"] == drawn(node)
    assert (node.tensors, node.numel, node.nbytes) == (24, 96, 384)


def test_layers_that_differ_in_names_shapes_or_dtypes_are_runs() -> None:
    layers: dict[str, tuple[str, list[int]]] = {f"l.{n}.w": W for n in range(8)}
    layers["l.3.extra"] = W
    layers["l.5.w"] = ("BF16", [2, 2])
    layers["l.6.w"] = ("F32", [2, 3])

    assert [
        "(0-2,4,7) 5 x",
        "(3) 1 x",
        "(5) 1 x",
        "(6) 1 x",
    ] == [line.strip() for line in drawn(tree(layers)) if "x" in line and "(" in line]


def test_experts_nest_in_layers() -> None:
    tensors = {f"l.{n}.e.{e}.w": W for n in range(3) for e in range(8)} | {"l.0.n": W}

    assert [
        "l",
        "  (0) 1 x",
        "    e",
        "      (0-7) 8 x",
        "        w",
        "    n",
        "  (1-2) 2 x",
        "    e",
        "      (0-7) 8 x",
        "        w",
    ] == drawn(tree(tensors))


def test_layers_with_other_numbers_of_experts_are_told_apart() -> None:
    tensors = {f"l.{n}.e.{e}.w": W for n in range(4) for e in range(8 if n != 2 else 5)}
    node = tree(tensors)

    assert 29 == node.tensors
    assert [
        "(0-1,3) 3 x",
        "(0-7) 8 x",
        "(2) 1 x",
        "(0-4) 5 x",
    ] == [line.strip() for line in drawn(node) if "(" in line]


def test_a_name_may_be_a_tensor_and_a_module() -> None:
    node = tree({"a": W, "a.b": W, "a.b.c": W})

    assert ["a", "  b", "    c"] == drawn(node)
    assert 3 == node.tensors == node.children[0].tensors


def test_numbers_inside_segments_fold_under_the_guard() -> None:
    node = tree({f"experts.expert_{n}.w": W for n in range(8)})

    assert ["experts", "  expert_(0-7) 8 x", "    w"] == drawn(node)


def test_a_segment_of_several_numbers_is_one_node() -> None:
    node = tree({f"x_{a}_y_{b}.w": W for a in range(4) for b in range(4)})

    assert ["x_(0-3)_y_(0-3)", "  w"] == drawn(node)
    assert 16 == node.tensors


def test_children_stand_in_natural_order() -> None:
    names = [f"l.{n}.w" for n in (0, 10, 2)] + ["b", "a10", "a9"]
    node = tree({name: ("F32", [number + 1]) for number, name in enumerate(names)})

    assert [
        "a9",
        "a10",
        "b",
        "l",
        "  (0) 1 x",
        "    w",
        "  (2) 1 x",
        "    w",
        "  (10) 1 x",
        "    w",
    ] == drawn(node)


def test_a_name_of_50_000_segments_ends_in_one_label() -> None:
    node = tree({".".join("x" * 50_000): W, "x.y": W})
    depth, deepest = 0, node
    while deepest.children:
        deepest, depth = deepest.children[0], depth + 1

    assert depth == MAX_DEPTH
    assert 2 == node.tensors


def test_nested_names_of_every_depth_do_not_recurse_further() -> None:
    node = tree({"x" + ".x" * depth: W for depth in range(300)})

    assert 300 == node.tensors


def test_where_there_are_too_many_nodes_the_rest_is_nested_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ckptscan.structure.tree.MOST_NODES", 4)
    node = tree({f"{first}.x{n}.c.d": W for first in "ab" for n in range(3)})

    first = ["a", "  x0", "    c", "      d", "  x1", "    c.d", "  x2", "    c.d"]
    assert [*first, "b", "  x0.c.d", "  x1.c.d", "  x2.c.d"] == drawn(node)
    assert (6, 24) == (node.tensors, node.numel)


def test_parts_are_counted_as_stored() -> None:
    part = {f"layers.{n}.wq": W for n in range(3)}
    checkpoint = checkpoint_of({f"consolidated.{n:02d}.safetensors": part for n in range(4)})
    node = build_tree(find_families(checkpoint.table))

    assert (node.tensors, node.numel) == (12, 48)


def test_components_are_the_root_s_children() -> None:
    checkpoint = checkpoint_of(
        {"model.safetensors": {"l.0.w": W}, "model.fp16.safetensors": {"l.0.w": W}}, all_sets=True
    )
    node = build_tree(find_families(checkpoint.table))

    assert ["model", "model.fp16"] == [child.label for child in node.children]
    assert "model.fp16/l.*" == node.children[1].children[0].children[0].path


SEGMENTS = st.sampled_from(["a", "b", "0", "1", "2", "10", "w1", "e_0", "e_1", "e_2", "e_3"])
SHAPES = st.lists(st.integers(0, 3), max_size=2)


@given(
    st.dictionaries(
        st.lists(SEGMENTS, min_size=1, max_size=5).map(".".join),
        st.tuples(st.sampled_from(["F32", "BF16"]), SHAPES),
        max_size=40,
    )
)
def test_every_node_is_the_sum_of_what_it_holds(tensors: Tensors) -> None:
    root = tree(tensors)
    waiting = [root]
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if node.children and not node.ends:
            assert node.tensors == sum(child.tensors for child in node.children)
            assert node.nbytes == sum(child.nbytes for child in node.children)

    assert len(tensors) == root.tensors
    assert sum(math.prod(shape) for _, shape in tensors.values()) == root.numel


def test_several_numbers_in_a_segment_that_are_no_product_keep_their_count() -> None:
    names = [f"l.{n}.x_{a}_y_{b}.w" for n in range(2) for a in range(4) for b in range(4)]
    node = tree(dict.fromkeys(names[:-1], W))

    assert 31 == node.tensors


def test_padded_indices_are_other_indices() -> None:
    structure = structure_of({f"l.{name}": ("U8", [1]) for name in ("00.a", "01.a", "0.b", "1.b")})
    (folded,) = structure.tree.children

    assert [("(0-1)", 2), ("(00-01)", 2)] == [
        (child.label, child.tensors) for child in folded.children
    ]
    assert [4] == [layers.count for layers in structure.layers]

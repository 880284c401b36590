"""The JSON contract ckptscan.inspect/1: fields, types, names that come back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any

from ckptscan.checkpoint import load
from ckptscan.names import IndexSet, fill
from ckptscan.report import Layout, report
from ckptscan.structure import Structure, describe
from tests.conftest import packed, source_of, structure_of


def document(structure: Structure, **layout: object) -> dict[str, Any]:
    text = "\n".join(report(structure, "json", Layout(**layout)))  # type: ignore[arg-type]
    loaded = json.loads(text)
    assert isinstance(loaded, dict)
    return loaded


def test_a_report_as_json(golden: Callable[[str], None]) -> None:
    structure = packed("meta-llama--Llama-3.2-1B")

    golden("\n".join(report(structure, "json", Layout())) + "\n")


def test_totals_are_integers() -> None:
    found = document(packed("Qwen--Qwen2-57B-A14B-Instruct"))

    assert "ckptscan.inspect/1" == found["schema"]
    assert {"count": 5771, "elements": 57_408_658_944, "bytes": 114_817_317_888} == found["tensors"]
    assert {"spec", "kind", "title", "revision", "commit", "packed"} == found["source"].keys()
    assert {"path", "size", "header_bytes", "tensors", "data_bytes", "digest"} == (
        found["files"][0].keys()
    )
    assert found["files"][0]["size"] == 8 + sum(
        found["files"][0][key] for key in ("header_bytes", "data_bytes")
    )


def test_pattern_and_axes_give_the_names_back() -> None:
    checkpoint = packed("Qwen--Qwen3-Next-80B-A3B-Instruct").checkpoint
    names: Counter[str] = Counter()
    for family in document(describe(checkpoint))["families"]:
        axes = [IndexSet.parse(axis) for axis in family["axes"]]
        instances = family.get("instances") or product(*axes)
        names.update(fill(family["pattern"], indices, axes) for indices in instances)

    assert Counter(checkpoint.table.names) == names


def test_a_family_that_is_no_product_carries_its_instances() -> None:
    found = document(structure_of({n: ("U8", [1]) for n in ("l.0.e.0", "l.0.e.1", "l.1.e.0")}))

    assert [[0, 0], [0, 1], [1, 0]] == found["families"][0]["instances"]


def test_faults_carry_the_reference_s_variant_or_null() -> None:
    source = source_of({"model.safetensors": b"<html>" + bytes(20)})
    (fault,) = document(describe(load(source)))["faults"]

    assert (
        fault["file"],
        fault["error"],
        fault["kind"],
        fault["severity"],
    ) == ("model.safetensors", "HeaderTooLarge", "not-safetensors", "error")


def test_the_view_of_tensors_adds_rows() -> None:
    found = document(structure_of({"b": ("F32", [2]), "a": ("U8", [])}), view="tensors")

    assert [
        ("a", 8, 9),
        ("b", 0, 8),
    ] == [(row["name"], row["start"], row["end"]) for row in found["rows"]]
    assert [] == document(structure_of({}), view="tensors")["rows"]


def test_the_view_of_metadata_adds_it_to_the_files() -> None:
    found = document(packed("meta-llama--Llama-3.2-1B"), view="metadata")

    assert {"format": "pt"} == found["files"][0]["metadata"]


BRANCHES = {
    "a.b.x.one.weight": ("U8", [1]),
    "a.b.x.two.weight": ("U8", [1]),
    "a.b.y.weight": ("U8", [1]),
    "a.b.y.bias": ("U8", [1]),
}


def labels(node: dict[str, Any]) -> dict[str, Any]:
    return {child["label"]: labels(child) for child in node["children"]}


def test_depth_counts_modules_that_branch() -> None:
    y: dict[str, Any] = {"bias": {}, "weight": {}}
    one: dict[str, Any] = {"weight": {}}

    assert {"a": {"b": {}}} == labels(document(structure_of(BRANCHES), depth=1)["tree"])
    assert {"a": {"b": {"x": {"one": one, "two": one}, "y": y}}} == labels(
        document(structure_of(BRANCHES), depth=2)["tree"]
    )
    assert 4 == document(structure_of(BRANCHES), depth=1)["tree"]["children"][0]["tensors"]


def test_top_cuts_the_rows_of_the_view_alone() -> None:
    structure = structure_of({f"m{n}.weight": ("U8", [n + 1]) for n in range(3)})
    tree = document(structure, top=1)
    families = document(structure, view="families", top=1)

    assert (1, 3) == (len(tree["tree"]["children"]), len(tree["families"]))
    assert (3, 1) == (len(families["tree"]["children"]), len(families["families"]))
    assert {"view": "tree", "depth": None, "sort": "name", "top": 1} == tree["layout"]


def test_the_tree_sums_up() -> None:
    def check(node: dict[str, Any]) -> None:
        if node["children"] and "shape" not in node:
            for field in ("tensors", "elements", "bytes"):
                assert node[field] == sum(child[field] for child in node["children"])
        for child in node["children"]:
            check(child)

    check(document(packed("google-t5--t5-base"))["tree"])

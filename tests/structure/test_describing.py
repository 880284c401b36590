"""The whole structure of a checkpoint, or of the tensors that match."""

from __future__ import annotations

import json

import pytest

from ckptscan.structure import describe
from ckptscan.structure.tree import Node
from tests.conftest import Tensors, checkpoint_of, packed, structure_of, unheld

FILES = {"model.safetensors": {"a.0": ("F32", [4]), "a.1": ("F32", [4]), "b": ("BF16", [2])}}


def test_dtypes_are_summed_the_largest_first() -> None:
    structure = describe(checkpoint_of(FILES))

    assert [("F32", 2, 8, 32), ("BF16", 1, 2, 4)] == [tuple(use) for use in structure.dtypes]
    assert (structure.tensors, structure.numel, structure.nbytes) == (3, 10, 36)
    assert structure.rows is None


def test_a_match_limits_everything() -> None:
    structure = describe(checkpoint_of(FILES), lambda name: name.startswith("a"))

    assert (0, 1) == structure.rows
    assert ["a.*"] == [family.pattern for family in structure.families]
    assert (structure.tensors, structure.numel) == (2, 8)


def test_nothing_that_matches_is_an_empty_structure() -> None:
    structure = describe(checkpoint_of(FILES), lambda name: False)

    assert (structure.tensors, structure.numel, structure.nbytes) == (0, 0, 0)
    assert () == structure.families == structure.layers == structure.dtypes


def gptq(name: str, layers: int) -> Tensors:
    return {
        f"{name}.{n}.q_proj.{leaf}": spec
        for n in range(layers)
        for leaf, spec in {
            "qweight": ("I32", [16, 64]),
            "scales": ("F16", [2, 64]),
            "qzeros": ("I32", [2, 8]),
        }.items()
    }


def test_a_match_keeps_what_all_tensors_tell() -> None:
    checkpoint = checkpoint_of({"model.safetensors": gptq("l", 3) | gptq("m", 2)})
    structure = describe(checkpoint, lambda name: name.startswith("l.") and "qweight" in name)

    (family,) = structure.families
    assert "q" == structure.role(family)
    assert 3 * 64 * 128 == structure.parameters.logical
    assert structure.quantization is not None
    assert (("gptq", 3),) == tuple(
        (one.scheme, one.weights) for one in structure.quantization.schemes
    )
    assert [(48, 3 * 16 * 64 * 4)] == [(one.tensors * 16, one.nbytes) for one in structure.files]


def test_a_match_of_no_packed_weight_has_no_quantization() -> None:
    checkpoint = checkpoint_of({"model.safetensors": gptq("l", 3) | {"a.w": ("F32", [2])}})

    assert describe(checkpoint, lambda name: name == "a.w").quantization is None


def test_a_match_has_the_files_that_hold_it() -> None:
    files = {f"model-0000{n}-of-00002.safetensors": {f"a.{n}": ("F32", [n])} for n in (1, 2)}
    checkpoint = checkpoint_of(files)

    assert 2 == len(describe(checkpoint).files)
    assert ["model-00002-of-00002.safetensors"] == [
        use.path for use in describe(checkpoint, lambda name: name == "a.2").files
    ]


def test_classes_that_a_match_leaves_are_those_of_the_whole() -> None:
    tensors: Tensors = {
        "l.0.norm.weight": ("F32", [8]),
        "l.0.norm.bias": ("F32", [8]),
        "l.1.norm.weight": ("F32", [8]),
        "l.0.fc.weight": ("F32", [8, 4]),
    }
    checkpoint = checkpoint_of({"model.safetensors": tensors})
    tree = describe(checkpoint, lambda name: name.endswith("weight")).tree
    kinds: dict[str, str | None] = {}
    waiting: list[Node] = [tree]
    while waiting:
        node = waiting.pop()
        kinds[node.path] = node.kind.name if node.kind else None
        waiting += node.children

    assert ("Linear", None) == (kinds["l.*.fc"], kinds["l.*.norm"])


def test_components_are_told_by_their_own_configs() -> None:
    norm = {"norm.weight": ("F32", [8])}
    structure = describe(
        checkpoint_of(
            {
                "model_index.json": b'{"a":["x","A"],"b":["x","B"]}',
                "a/model.safetensors": norm,
                "a/config.json": json.dumps({"rms_norm_eps": 1e-6}).encode(),
                "b/model.safetensors": norm,
                "b/config.json": json.dumps({"architectures": ["BModel"]}).encode(),
            }
        )
    )
    one, other = structure.tree.children

    assert (None, "BModel") == tuple(part.kind and part.kind.name for part in (one, other))
    assert ["RMSNorm", "Norm"] == [
        part.children[0].kind.name for part in (one, other) if part.children[0].kind
    ]
    assert 1e-6 == structure.checkpoint.config_of("a").said("rms_norm_eps")
    assert structure.checkpoint.config == structure.checkpoint.config_of("absent")


def test_what_a_family_means_and_what_is_unknown() -> None:
    structure = unheld({"a.q_proj.weight": ("F32", [2, 2])}, config={})
    (family,) = structure.families
    (other,) = structure_of({"b.weight": ("F32", [2, 2])}).families

    assert ("q", "other") == (structure.role(family), structure.role(other))
    assert structure.meaning(other) is None


def test_the_method_that_config_names_is_kept() -> None:
    found = unheld(gptq("l", 1), config={"quantization_config": {"quant_method": "GPTQ"}})

    assert found.quantization is not None
    assert "GPTQ" == found.quantization.declared


def test_a_real_model_has_each_of_its_facts() -> None:
    structure = packed("meta-llama--Llama-3.2-1B")

    assert "Llama-3.2-1B" == structure.fingerprint.nearest
    assert structure.main.parameters == structure.parameters.logical == 1_235_814_400
    assert (None, ()) == (structure.adapter, structure.problems)


def test_a_family_whose_places_do_not_agree_has_no_shape() -> None:
    tensors = {
        name: spec for name, spec in gptq("l", 2).items() if ".1." not in name or "qweight" in name
    }
    structure = structure_of(tensors)
    (family,) = (one for one in structure.families if "qweight" in one.pattern)
    end = structure.meaning(family)

    assert end is not None
    assert ("q", None, None) == (end.role.name, end.shape, end.each)
    assert structure.parameters.logical is None


def test_a_checkpoint_like_no_model_is_counted_and_not_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half a million names that have nothing in common would take minutes to tell roles of."""
    monkeypatch.setattr("ckptscan.structure.describing.MAX_FAMILIES", 2)
    tensors: Tensors = {f"a.{letter}_proj.weight": ("F32", [2, 3]) for letter in "qkv"}

    found = unheld(tensors)

    assert ({"other"}, 18, 18) == (
        {found.role(family) for family in found.families},
        found.parameters.logical,
        found.parameters.stored_elements,
    )
    assert "assumed" == found.parameters.labels["logical"]
    assert ("3 families, more than any model has; not told what tensors are for",) == found.problems


def test_a_family_whose_instances_have_nothing_in_common_is_counted_and_not_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`a.7.b.3.c.9 ...`: one family, and a node of the tree for each number of each name."""
    monkeypatch.setattr("ckptscan.structure.describing.MAX_PLACES", 2)
    tensors: Tensors = {f"a.{n}.b.{n * n}.c": ("F32", [2, 3]) for n in range(3)}

    found = unheld(tensors)

    assert (1, 18) == (len(found.families), found.parameters.logical)
    assert "3 places of tensors, more than any model has" in found.problems[0]

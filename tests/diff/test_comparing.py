"""What is proved equal, what moved, what differs in settings and files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckptscan
from ckptscan.checkpoint import load
from ckptscan.diff import BESIDE, Diff, compare
from ckptscan.diff.settings import MOST_CHARACTERS
from ckptscan.sources import open_source
from ckptscan.sources.base import FileEntry
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import Structure, describe
from tests.conftest import Tensors, file_of, pack, packed, source_of, structure_of
from tests.diff.making import codes, diff_of, real, structure, told
from tests.diff.test_transformations import sided, sums
from tests.structure.match.test_matching import MODELS

ONE: Tensors = {"a.weight": ("F32", [2, 2]), "b.weight": ("F32", [2])}
TWO: Tensors = {"c.weight": ("F32", [3, 2])}


def described(source: MemorySource) -> Structure:
    return describe(load(source, beside=BESIDE))


def files_of(files: dict[str, bytes | Tensors], digests: dict[str, str]) -> MemorySource:
    """A source that tells digests of some of its files."""
    held = {
        path: data if isinstance(data, bytes) else file_of(data) for path, data in files.items()
    }
    entries = [FileEntry(path, len(held[path]), digest) for path, digest in digests.items()]
    return MemorySource(held, entries)


def test_a_checkpoint_is_itself_and_no_tensor_is_read() -> None:
    source = source_of({"model.safetensors": ONE})
    one = described(source)
    header = max(start + length for _, start, length in source.ranges)
    diff = compare(one, one)

    assert diff.is_identical
    assert {"identical": 2} == told(diff)
    assert ["identical"] == codes(diff)
    assert not diff.differs
    assert len(file_of(ONE)) - 24 == header


def test_nothing_is_read_while_comparing() -> None:
    sources = [source_of({"model.safetensors": tensors}) for tensors in (ONE, TWO)]
    one, two = map(described, sources)
    before = [list(source.ranges) for source in sources]
    compare(one, two)

    assert before == [source.ranges for source in sources]


@given(MODELS, MODELS)
def test_the_counts_sum_and_the_way_back_mirrors(one: Tensors, two: Tensors) -> None:
    a, b = structure_of(one), structure_of(two)
    there, back = compare(a, b), compare(b, a)

    assert sums(there)
    assert sums(back)
    assert sided(there, "a").get("alone", 0) == sided(back, "b").get("alone", 0)
    assert there.summary["added"] >= 0


@given(MODELS, st.randoms(use_true_random=False))
def test_neither_order_nor_shards_matter(one: Tensors, rng: object) -> None:
    names = list(one)
    rng.shuffle(names)  # type: ignore[attr-defined]
    cut = len(names) // 2
    files = {
        f"model-0000{number}-of-00002.safetensors": {name: one[name] for name in some}
        for number, some in ((1, names[:cut]), (2, names[cut:]))
    }
    diff = compare(structure_of(one), described(source_of(files)))

    assert {"unproved", "moved"} >= told(diff).keys()


def test_equal_digests_prove_all_tensors_of_a_file() -> None:
    paths = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    files = {paths[0]: ONE, paths[1]: TWO}
    one = described(files_of(files, {paths[0]: "1" * 64, paths[1]: "2" * 64}))
    two = described(files_of(files, {paths[0]: "1" * 64, paths[1]: "3" * 64}))
    diff = compare(one, two)

    assert {"identical": 2, "unproved": 1} == told(diff)
    assert ["same", "changed"] == [file.status for file in diff.files]
    assert "2 of 3 tensors proved equal" in diff.verdicts[0].text


def test_a_file_may_have_another_name() -> None:
    one = described(files_of({"model.safetensors": ONE}, {"model.safetensors": "1" * 64}))
    two = described(files_of({"other.safetensors": ONE}, {"other.safetensors": "1" * 64}))
    diff = compare(one, two)

    assert {"moved": 2} == told(diff)
    assert ["same-weights"] == codes(diff)
    assert diff.is_identical
    assert diff.differs


def test_a_family_is_cut_where_its_proof_ends() -> None:
    """Layers of one family lie in files that are proved equal and in others."""
    files: dict[str, bytes | Tensors] = {}
    for number in range(1, 4):
        names = [f"model.layers.{3 * number + step}.mlp.up_proj.weight" for step in range(3)]
        files[f"model-0000{number}-of-00003.safetensors"] = {
            name: ("F32", [2, 2]) for name in names
        }
    digests = {path: str(number) * 64 for number, path in enumerate(files)}
    changed = {**digests, "model-00002-of-00003.safetensors": "f" * 64}
    diff = compare(described(files_of(files, digests)), described(files_of(files, changed)))

    found = {one.kind: [str(axis) for axis in one.a[0].axes] for one in diff.changes}
    assert {"identical": ["3-5,9-11"], "unproved": ["6-8"]} == found


def test_one_stored_file_is_equal_to_itself(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "model.safetensors").write_bytes(file_of(ONE))
    os.link(tmp_path / "one" / "model.safetensors", tmp_path / "two" / "model.safetensors")
    one, two = (describe(load(open_source(str(tmp_path / name)))) for name in ("one", "two"))

    assert {"identical": 2} == told(compare(one, two))
    (tmp_path / "two" / "model.safetensors").unlink()
    (tmp_path / "two" / "model.safetensors").write_bytes(file_of(ONE))
    two = describe(load(open_source(str(tmp_path / "two"))))
    assert {"unproved": 2} == told(compare(one, two))


def test_one_pack_is_equal_to_itself() -> None:
    one, two = packed("Qwen--Qwen2-7B"), describe(load(pack("Qwen--Qwen2-7B")))

    assert {"identical": 339} == told(compare(one, two))


def test_resharding_is_told_as_such() -> None:
    tensors, _ = real("meta-llama--Llama-3.2-1B")
    names = list(tensors)
    one = structure((tensors, {}))
    two = structure(
        (tensors, {}),
        **{
            "model-00001-of-00002": {name: tensors[name] for name in names[:80]},
            "model-00002-of-00002": {name: tensors[name] for name in names[80:]},
        },
    )
    diff = compare(one, two)

    assert {"moved": 146} == told(diff)
    assert ["resharded"] == codes(diff)


def test_keys_that_differ_are_dotted_paths() -> None:
    one, two = real("Qwen--Qwen2-7B"), real("Qwen--Qwen2-7B")
    one[1]["config"] |= {"rope_scaling": {"factor": 2, "kind": "x"}, "same": 1, "nan": float("nan")}
    two[1]["config"] |= {
        "rope_scaling": {"factor": 4, "kind": "x"},
        "same": 1.0,
        "more": [{"a": 1}],
    }
    two[1]["config"]["nan"] = float("nan")
    one[1]["generation_config"] = {"top_k": 1, "do_sample": 1}
    two[1]["generation_config"] = {"top_k": 2, "do_sample": True}
    diff = compare(structure(one), structure(two))

    assert [
        ("config.json", "more[0].a", None, 1, False, True),
        ("config.json", "rope_scaling.factor", 2, 4, True, True),
        ("generation_config.json", "do_sample", 1, True, True, True),
        ("generation_config.json", "top_k", 1, 2, True, True),
    ] == list(map(tuple, diff.config))
    assert diff.differs


@pytest.mark.parametrize("depth", [10, 400, 900])
def test_a_deep_config_is_compared(depth: int) -> None:
    def nested(value: int) -> bytes:
        return b'{"a":' * depth + str(value).encode() + b"}" * depth

    one, two = (
        described(source_of({"model.safetensors": ONE, "config.json": nested(value)}))
        for value in (1, 2)
    )
    diff = compare(one, two)

    assert len(diff.config) <= 1


def test_a_long_key_does_not_grow_with_what_it_holds() -> None:
    """3,000 paths of a million characters each were 3 GB."""
    one, two = (
        described(
            source_of(
                {
                    "model.safetensors": ONE,
                    "config.json": json.dumps({"k" * 1_000_000: [{"a": value}] * 3000}).encode(),
                }
            )
        )
        for value in (1, 2)
    )
    diff = compare(one, two)

    assert 0 < sum(len(each.key) for each in diff.config) < MOST_CHARACTERS + 2_000_000


def test_tensors_are_chosen_by_a_name_on_either_side() -> None:
    from tests.diff.making import in_meta_names

    one = structure(real("meta-llama--Llama-3.2-1B"))
    two = structure(in_meta_names(real("meta-llama--Llama-3.2-1B")))

    assert {"renamed": 16} == told(compare(one, two, lambda name: ".wq." in name))
    assert {"renamed": 16} == told(compare(one, two, lambda name: ".q_proj." in name))
    assert {"renamed": 9} == told(compare(one, two, lambda name: name.startswith("layers.7.")))
    assert {} == told(compare(one, two, lambda name: False))


def test_the_package_is_called_as_a_function() -> None:
    one = structure_of(ONE)

    assert isinstance(ckptscan.diff(one, one), Diff)
    assert ckptscan.diff(one, one).is_identical
    assert ckptscan.Diff is Diff


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("Qwen--Qwen2-7B", "Qwen--Qwen2-VL-7B-Instruct", ["whole"]),
        ("meta-llama--Llama-3.1-8B", "example--Llama-3.1-8B-lora-r16", ["adapter"]),
        ("google-t5--t5-base", "openai--whisper-large-v3", ["unrelated"]),
        ("Qwen--Qwen2-7B", "meta-llama--Llama-3.1-8B", ["other-sizes"]),
        ("deepseek-ai--DeepSeek-V3", "moonshotai--Kimi-K2-Instruct", ["other-sizes"]),
        ("openai-community--gpt2", "google-bert--bert-base-uncased", ["alike"]),
        ("deepseek-ai--DeepSeek-V3", "microsoft--MAI-DS-R1", ["dequantized", "mtp-dropped"]),
        ("meta-llama--Llama-3.1-8B", "meta-llama--Llama-3.1-8B-original", ["renamed"]),
        (
            "meta-llama--Llama-3.1-70B-original-mp8",
            "meta-llama--Llama-3.1-70B",
            ["renamed", "restructured"],
        ),
        (
            "RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8-dynamic",
            "RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8",
            ["added-books"],
        ),
        ("NousResearch--Llama-2-7b-hf", "Qwen--Qwen1.5-7B", ["cast", "vocabulary", "added"]),
    ],
)
def test_a_verdict_on_real_models(a: str, b: str, expected: list[str]) -> None:
    diff = compare(packed(a), packed(b))

    assert expected == codes(diff)[: len(expected)]
    assert sums(diff)


def test_scalars_and_empty_tensors_are_compared() -> None:
    one = {"a": ("F32", []), "b": ("F32", [0, 4]), "c.weight": ("F32", [1])}
    two = {"a": ("F32", [1]), "b": ("F32", [0, 8]), "c.weight": ("F32", [])}
    diff = compare(structure_of(one), structure_of(two))  # type: ignore[arg-type]

    assert sums(diff)
    assert {"reshaped": 3} == told(diff)


def test_nothing_differs_between_nothing() -> None:
    diff = diff_of(({}, {}), ({}, {}))

    assert ["empty"] == codes(diff)


def test_a_file_of_another_component_proves_nothing() -> None:
    """Two encoders with the same names: that one's file is the other's says nothing of its own."""
    index = b'{"_class_name": "P", "one": ["x", "Y"], "two": ["x", "Y"]}'

    def pipeline(one: str, two: str) -> Structure:
        digests = {"one/model.safetensors": one * 64, "two/model.safetensors": two * 64}
        files: dict[str, bytes | Tensors] = {
            "model_index.json": index,
            **dict.fromkeys(digests, ONE),
        }
        return described(files_of(files, digests))

    assert {"unproved": 4} == told(compare(pipeline("1", "2"), pipeline("2", "3")))
    assert {"identical": 2, "unproved": 2} == told(compare(pipeline("1", "2"), pipeline("1", "3")))
    assert {"identical": 4} == told(compare(pipeline("1", "1"), pipeline("1", "1")))


def test_two_equal_files_do_not_stand_for_a_third() -> None:
    paths = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    one = described(files_of({paths[0]: ONE, paths[1]: TWO}, {paths[0]: "1" * 64}))
    two = described(files_of({paths[0]: ONE, paths[1]: TWO}, {paths[1]: "1" * 64}))

    assert not compare(one, two).is_identical
    assert not compare(two, one).is_identical

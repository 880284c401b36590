"""Facts, families, strips and findings as they stand in the panes."""

from __future__ import annotations

from ckptscan.browse.entries import Entry, below, root_of
from ckptscan.browse.facts import facts, families_of
from ckptscan.browse.findings import told_findings
from ckptscan.browse.outline import Outline
from ckptscan.browse.places import Atlas
from ckptscan.browse.strip import containers_at, strip_lines
from ckptscan.checks import audit
from ckptscan.structure import Layers, Structure
from tests.conftest import Tensors, packed, structure_of

MODEL = "deepseek-ai--DeepSeek-V3"


def entry_of(structure: Structure, name: str) -> Entry:
    outline = Outline(root_of(structure), lambda entry: below(structure, entry))
    row = list(structure.checkpoint.table.names).index(name)
    return outline.lines[outline.reveal(Atlas(structure).of_row(row))].entry


def told(structure: Structure, entry: Entry) -> dict[str, str]:
    return {one.name: one.value for one in facts(structure, entry, families_of(entry))}


def drawn(layers: Layers, width: int = 80) -> list[str]:
    return ["".join(part.text for part in line) for line in strip_lines(layers, width)]


def test_the_facts_of_a_tensor() -> None:
    structure = packed(MODEL)
    entry = entry_of(structure, "model.layers.17.mlp.experts.99.up_proj.weight")
    tensor = structure.checkpoint.table[entry.row or 0]
    shard = structure.checkpoint.table.shards[tensor.shard]
    begin = 8 + shard.header_size

    assert {
        "name": "model.layers.17.mlp.experts.99.up_proj.weight",
        "shape": "[2048, 7168]",
        "dtype": "F8_E4M3",
        "elements": "14,680,064 (14.68 M)",
        "bytes": "14.00 MiB (14,680,064), <0.1 % of all",
        "role": "expert.up [name]",
        "file": shard.path,
        "in file": f"bytes {begin + tensor.start:,} to {begin + tensor.end:,}",
    } == told(structure, entry)


def test_the_facts_of_the_root_are_those_of_the_checkpoint() -> None:
    structure = packed(MODEL)
    found = told(structure, root_of(structure))

    assert "91,991 in 43 families" == found["tensors"]
    assert "684,489,845,504 (684.49 B)" == found["parameters"]
    assert "641.29 GiB (688,574,839,360), 100.0 % of all" == found["bytes"]
    assert "F8_E4M3 98.8 %, BF16 1.1 %, F32 <0.1 %" == found["dtypes"]


def test_families_of_a_run_count_its_own_tensors() -> None:
    structure = packed(MODEL)
    entry = entry_of(structure, "model.layers.2.input_layernorm.weight")
    (held,) = families_of(Entry("", entry.chain))

    assert (3, 62) == (held.tensors, held.family.count)


def test_the_strip_shows_what_is_odd_by_its_letter() -> None:
    structure = packed(MODEL)
    main = containers_at(structure.layers, (structure.tree,))[0]

    assert [
        "model.layers: A x 3, B x 58",
        "0         10        20        30        40        50        60",
        "AAA" + 58 * ".",
        "A A 0-2: 20 tensors, 556.60 MiB each, BF16, F8_E4M3, F32",
        ". B 3-60: 1,558 tensors, 10.72 GiB each, BF16, F8_E4M3, F32",
    ] == drawn(main)


def test_a_strip_that_is_too_wide_goes_on_below() -> None:
    tensors: Tensors = {f"h.{n}.w": ("F32", [3 if n == 31 else 2]) for n in range(45)}

    assert [
        "h: A x 31, B, A x 13",
        "0         10",
        "....................",
        "20        30",
        "...........B........",
        "40",
        ".....",
        ". A 0-30,32-44: 1 tensor, 8 B each, F32",
        "B B 31: 1 tensor, 12 B, F32",
    ] == drawn(structure_of(tensors).layers[0], width=25)


def test_containers_are_those_that_meet_the_chosen_node() -> None:
    structure = packed(MODEL)
    gate = entry_of(structure, "model.layers.7.mlp.gate.weight")
    head = entry_of(structure, "lm_head.weight")

    assert {"model.layers"} == {
        one.container for one in containers_at(structure.layers, gate.chain)
    }
    assert [] == containers_at(structure.layers, head.chain)


def test_findings_are_told_with_their_places() -> None:
    structure = structure_of({"a.0.w\x1b": ("F32", [2]), "a.1.w": ("F32", [0])})
    found = list(told_findings(audit(structure), Atlas(structure)))

    assert found
    assert any(one.place is not None for one in found)
    assert not any("\x1b" in line for one in found for line in (one.head, *one.more))

"""The tree as lines: what stands on each, what opens, how places are reached."""

from __future__ import annotations

import pytest

from ckptscan.browse.entries import PAGE, below, root_of
from ckptscan.browse.outline import Outline
from ckptscan.browse.places import Atlas
from ckptscan.checks import Where
from ckptscan.structure import Structure
from tests.conftest import Tensors, packed, structure_of

LAYER: Tensors = {
    f"model.layers.{layer}.{name}": ("BF16", [4, 4] if "proj" in name else [4])
    for layer in range(3)
    for name in ("self_attn.q_proj.weight", "self_attn.q_proj.bias", "norm.weight")
}
SMALL: Tensors = {"lm_head.weight": ("BF16", [8, 4]), **LAYER}


def outline_of(structure: Structure) -> Outline:
    return Outline(root_of(structure), lambda entry: below(structure, entry))


def drawn(outline: Outline) -> list[str]:
    marks = (
        ("+" if line.entry.opens else " ") if not line.is_open else "-" for line in outline.lines
    )
    return [
        f"{'  ' * line.depth}{mark} {line.entry.label}"
        for mark, line in zip(marks, outline.lines, strict=True)
    ]


def names_of(structure: Structure) -> list[str]:
    return list(structure.checkpoint.table.names)


def test_the_first_level_is_open_and_only_children_share_a_line() -> None:
    assert ["- memory", "    lm_head.weight", "  + model.layers.(0-2): 3 x"] == drawn(
        outline_of(structure_of(SMALL))
    )


def test_a_line_opens_into_modules_then_families_then_tensors() -> None:
    outline = outline_of(structure_of(SMALL))
    for number in (2, 3, 3 + 1 + 1):
        outline.open(number)

    assert [
        "- memory",
        "    lm_head.weight",
        "  - model.layers.(0-2): 3 x",
        "    - norm.weight",
        "        layers.0",
        "        layers.1",
        "        layers.2",
        "    + self_attn.q_proj",
    ] == drawn(outline)


def test_what_is_closed_is_as_it_was() -> None:
    outline = outline_of(structure_of(SMALL))
    before = list(outline.lines)
    outline.open(2)
    outline.open(3)
    outline.close(2)

    assert before == outline.lines


def test_the_parent_of_a_line_is_the_one_that_it_lies_below() -> None:
    outline = outline_of(structure_of(SMALL))
    outline.open(2)

    assert [0, 0, 0, 2, 2] == [outline.parent(number) for number in range(5)]


def test_the_lines_below_a_line_hold_all_its_tensors_and_bytes() -> None:
    structure = packed("Qwen--Qwen2-57B-A14B-Instruct")
    waiting = [root_of(structure)]
    while waiting:
        entry = waiting.pop()
        if entry.opens and entry.tensors > 300:
            inner = below(structure, entry)
            waiting += inner

            assert entry.tensors == sum(one.tensors for one in inner)
            assert entry.nbytes == sum(one.nbytes for one in inner)
            assert len(inner) <= PAGE


@pytest.mark.parametrize(
    "name",
    [
        "lm_head.weight",
        "model.layers.2.mlp.up_proj.weight",
        "model.layers.17.mlp.experts.99.up_proj.weight_scale_inv",
        "model.layers.61.shared_head.norm.weight",
    ],
)
def test_every_tensor_is_reached(name: str) -> None:
    structure = packed("deepseek-ai--DeepSeek-V3")
    outline, row = outline_of(structure), names_of(structure).index(name)
    entry = outline.lines[outline.reveal(Atlas(structure).of_row(row))].entry
    rows = entry.rows if entry.rows is not None else entry.end and entry.end.family.rows

    assert [row] == list(rows or ())


def test_many_children_open_in_blocks() -> None:
    """No line mounts 200,000 others."""
    names = {f"part_{chr(97 + n % 26)}{n}x": ("U8", [1]) for n in range(2 * PAGE + 1)}
    structure = structure_of(names)
    outline = outline_of(structure)

    assert 4 == len(outline.lines)
    assert sum(line.entry.tensors for line in outline.lines[1:]) == 2 * PAGE + 1
    for row in (0, PAGE, 2 * PAGE):
        number = outline.reveal(Atlas(structure).of_row(row))
        assert names_of(structure)[row] == outline.lines[number].entry.label


def test_tensors_of_one_name_in_several_shapes_have_a_line_each() -> None:
    tensors: Tensors = {"a.0.w": ("F32", [2]), "a.1.w": ("F32", [3]), "a.0": ("F32", [1])}
    structure = structure_of(tensors)
    outline = outline_of(structure)
    for row, name in enumerate(names_of(structure)):
        number = outline.reveal(Atlas(structure).of_row(row))
        end = outline.lines[number].entry.end

        assert end is not None
        assert list(tensors[name][1]) == list(end.family.shape)


@pytest.mark.parametrize(
    ("where", "label"),
    [
        pytest.param(Where(tensor="lm_head.weight"), "lm_head.weight", id="a tensor"),
        pytest.param(
            Where(pattern="model.layers.*.norm.weight", indices=("0-2",), count=3),
            "norm.weight",
            id="a pattern",
        ),
        pytest.param(
            Where(tensor="model.layers.1.self_attn.q_proj.scale"),
            "self_attn.q_proj",
            id="a tensor that is not there",
        ),
        pytest.param(
            Where(pattern="model.layers.*.x", indices=("7-9",)), "layers", id="no such layer"
        ),
        pytest.param(Where(pattern="model.*", indices=("odd",)), "model", id="odd indices"),
        pytest.param(Where(tensor="elsewhere"), "memory", id="nothing alike"),
    ],
)
def test_findings_lead_to_what_they_speak_of(where: Where, label: str) -> None:
    structure = structure_of({**SMALL, "model.norm.weight": ("BF16", [4])})
    place = Atlas(structure).of_where(where)
    outline = outline_of(structure)

    assert place is not None
    assert outline.lines[outline.reveal(place)].entry.label.startswith(label)


def test_a_finding_about_a_file_leads_nowhere() -> None:
    assert None is Atlas(structure_of(SMALL)).of_where(Where("model.safetensors"))


def test_names_of_the_tree_are_printable() -> None:
    names: Tensors = {"a\x1b[31m.\u202eb.weight": ("F32", [1]), "[red]c[/]": ("F32", [1])}
    outline = outline_of(structure_of(names))

    assert ["- memory", r"    [red]c[/]", r"    a\x1b[31m.\u202eb.weight"] == drawn(outline)

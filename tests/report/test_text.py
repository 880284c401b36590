"""The text report, whole: what people see at 80, 100 and 200 columns, and piped."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ckptscan.checkpoint import load
from ckptscan.report import FORMATS, SORTS, VIEWS, Layout, report
from ckptscan.sources import Origin
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import Structure, describe
from fixtures.make import attacks
from tests.conftest import checkpoint_of, file_of, index_of, packed, source_of, structure_of

Golden = Callable[[str], None]


def text(structure: Structure, **layout: object) -> str:
    return "\n".join(report(structure, "text", Layout(**layout))) + "\n"  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("model", ["Qwen--Qwen2-57B-A14B-Instruct", "deepseek-ai--DeepSeek-V3"])
def test_the_tree_at_a_width(model: str, width: int, golden: Golden) -> None:
    shown = text(packed(model), width=width)

    assert max(map(len, shown.split("\n"))) <= width
    golden(shown)


@pytest.mark.parametrize("view", ["families", "layers", "files"])
@pytest.mark.parametrize("width", [80, 100])
def test_a_view_fits_the_terminal(view: str, width: int, golden: Golden) -> None:
    shown = text(packed("Qwen--Qwen3-Next-80B-A3B-Instruct"), width=width, view=view)

    assert max(map(len, shown.split("\n"))) <= width
    golden(shown)


@pytest.mark.parametrize(
    "model",
    [
        "Qwen--Qwen2-VL-7B-Instruct",
        "Qwen--Qwen3-Next-80B-A3B-Instruct",
        "google-t5--t5-base",
        "meta-llama--Llama-3.1-70B-original-mp8",
        "mistralai--Mistral-7B-Instruct-v0.3",
        "openai--gpt-oss-120b",
        "openai-community--gpt2",
        "example--Llama-3.1-8B-lora-r16",
        "unsloth--Meta-Llama-3.1-8B-bnb-4bit",
    ],
)
def test_the_tree_of_a_model(model: str, golden: Golden) -> None:
    golden(text(packed(model)))


@pytest.mark.parametrize("view", [view for view in VIEWS if view not in ("tree", "tensors")])
def test_a_view_of_deepseek_v3(view: str, golden: Golden) -> None:
    golden(text(packed("deepseek-ai--DeepSeek-V3"), view=view))


def test_the_tensors_of_a_model(golden: Golden) -> None:
    golden(text(packed("openai-community--gpt2"), view="tensors"))


@pytest.mark.parametrize("sort", SORTS)
def test_rows_are_sorted_and_cut(sort: str, golden: Golden) -> None:
    structure = packed("Qwen--Qwen2-57B-A14B-Instruct")

    golden("\n".join(text(structure, view=v, sort=sort, top=3) for v in VIEWS if v != "metadata"))


def test_depth_cuts_the_tree(golden: Golden) -> None:
    golden(text(packed("Qwen--Qwen2-VL-7B-Instruct"), depth=2))


BRANCHES = {
    f"a.{n}.{name}": ("U8", [1])
    for n in range(2)
    for name in ("x.weight", "x.bias", "x.norm.deep.weight", "x.norm.flat.weight")
}


@pytest.mark.parametrize(("depth", "has_norm", "has_deep"), [(1, 0, 0), (2, 0, 0), (3, 1, 1)])
@pytest.mark.parametrize("width", [None, 60])
def test_depth_is_the_same_at_every_width(
    depth: int, width: int | None, has_norm: bool, has_deep: bool
) -> None:
    structure = structure_of(BRANCHES | {"b" * 60 + ".weight": ("U8", [1])})
    shown = text(structure, depth=depth, width=width)

    assert (has_norm, has_deep) == ("norm" in shown, "deep" in shown)


def test_depth_leaves_the_totals_of_what_it_cuts() -> None:
    lines = text(structure_of(BRANCHES), depth=2).split("\n")

    assert ["x", "8", "8", "8", "B", "100.0", "%"] == lines[-2].split()


def test_what_top_cuts_from_a_module_is_one_row() -> None:
    structure = structure_of({f"m{n}.weight": ("U8", [n + 1]) for n in range(5)})
    last = text(structure, sort="size", top=2).split("\n")[-2]

    assert ["...", "3", "more", "3", "6", "6", "B", "40.0", "%"] == last.split()
    for view in ("tensors", "families", "dtypes", "files", "metadata"):
        shown = text(structure, view=view, top=2).split("\n")[-2]
        assert ("... and 3 more" in shown) == (view in ("tensors", "families"))


def test_tensors_of_parts_tell_their_file() -> None:
    part = {"wq": ("BF16", [2, 8]), "norm": ("BF16", [8])}
    files = {f"consolidated.{n:02d}.safetensors": part for n in range(2)}
    shown = text(describe(checkpoint_of(files)), view="tensors").split("\n")

    assert "consolidated.01.safetensors: wq" == " ".join(shown[3].split()[:2])


def test_a_match_lists_the_files_that_hold_it() -> None:
    checkpoint = packed("Qwen--Qwen2-57B-A14B-Instruct").checkpoint
    structure = describe(checkpoint, lambda name: name == "lm_head.weight")

    assert ["model-00029-of-00029.safetensors"] == [use.path for use in structure.files]
    assert "1 in 1 file" in text(structure)
    assert 2 == len(text(structure, view="files").strip().split("\n"))


def test_a_match_tells_how_much_matched(golden: Golden) -> None:
    checkpoint = packed("Qwen--Qwen2-57B-A14B-Instruct").checkpoint

    golden(text(describe(checkpoint, lambda name: ".0.self_attn." in name)))


def test_a_pipeline_shows_its_components(golden: Golden) -> None:
    checkpoint = checkpoint_of(
        {
            "model_index.json": b'{"unet":["d","U"],"vae":["d","V"]}',
            "unet/diffusion_pytorch_model.safetensors": {
                f"down_blocks.{n}.conv.weight": ("F16", [8, 4, 3, 3]) for n in range(3)
            },
            "vae/diffusion_pytorch_model.safetensors": {"decoder.conv_in.bias": ("F16", [8])},
        }
    )

    golden("\n".join(text(describe(checkpoint), view=view) for view in VIEWS))


def test_faults_stand_below_errors_first(golden: Golden) -> None:
    one, two = "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"
    checkpoint = checkpoint_of(
        {
            one: attacks()["hostile-names"],
            two: attacks()["truncated"],
            "model.safetensors.index.json": index_of(
                {
                    "a": one,
                    "b": two,
                    "c": "model-00003-of-00003.safetensors",
                    "d": "../x.safetensors",
                }
            ),
        }
    )

    golden(text(describe(checkpoint)))


def test_a_file_without_tensors_says_so(golden: Golden) -> None:
    golden(text(describe(checkpoint_of({"model.safetensors": attacks()["lfs-pointer"]}))))


def test_more_faults_than_fit_are_counted() -> None:
    files = {f"model-{n:05d}-of-00040.safetensors": b"<html>" for n in range(1, 41)}
    shown = text(describe(checkpoint_of(files)))

    assert 20 == shown.count("error: model-")
    assert "... and 20 more; --format json lists all" in shown


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("format_name", FORMATS)
def test_no_view_lets_a_control_character_through(format_name: str, view: str) -> None:
    names = ["\x1b]0;owned\x07", "a\nb", "\u202egnp.exe", "x\x9b31m", "=1+1", "<b>|`", "\u2028"]
    tensors = {name: ("F32", [number + 1]) for number, name in enumerate(names)}
    source = source_of({"model.safetensors": tensors}, title="\x1b[2Jtitle\u202e")
    lines = [
        part
        for line in report(describe(load(source)), format_name, Layout(view=view))
        for part in line.split("\n")
    ]

    assert all(line.isprintable() for line in lines)


def test_nothing_that_a_source_says_of_itself_is_obeyed() -> None:
    part = file_of({"wq": ("U8", [1]), "norm": ("U8", [1])})
    origin = Origin("\x1bs", "pack", "\x1bt", "\x1br", "\x1bc\x07", "directory")
    held = {f"\x1b[31mevil{n}-mp2.safetensors": part for n in range(2)} | {"b.safetensors": part}
    structure = describe(load(MemorySource(held, origin=origin), all_sets=True))

    assert structure.checkpoint.parts
    assert all(line.isprintable() for line in report(structure, "text", Layout()))


def test_an_empty_checkpoint_has_every_view() -> None:
    structure = structure_of({})

    for view in VIEWS:
        for format_name in FORMATS:
            lines = [*report(structure, format_name, Layout(view=view))]

            assert all(isinstance(line, str) for line in lines)


def test_a_million_characters_of_name_stay_on_one_line() -> None:
    shown = text(structure_of({"a" * 1_000_000: ("U8", [1])}), width=80)

    assert len(shown) < 3000

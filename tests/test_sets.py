"""File names -> sets of weight files: the layouts found on real disks."""

from __future__ import annotations

import pytest

from ckptscan.index import Index
from ckptscan.sets import (
    MAX_SHARDS,
    FileSet,
    Member,
    find_sets,
    index_paths,
    join_components,
    other_weights,
    preferred,
)

ST = ".safetensors"


def sets(paths: list[str], **indexes: list[str]) -> dict[str, FileSet]:
    """The sets of these files by name; an index is given as stem=[shards]."""
    read = {
        f"{stem.replace('__', '/')}.safetensors.index.json": Index(tuple(shards), len(shards))
        for stem, shards in indexes.items()
    }
    return {one.name: one for one in find_sets([*paths, *read], read)}


def shards(
    stem: str, count: int, width: int = 5, first: int = 1, of: int | None = None
) -> list[str]:
    total = f"{count if of is None else of:0{width}d}"
    return [f"{stem}-{number:0{width}d}-of-{total}{ST}" for number in range(first, first + count)]


LAYOUTS = {
    "single": ([f"model{ST}"], {"model": 1}),
    "shards without an index": (shards("model", 29), {"model": 29}),
    "six digits": (shards("model", 163, width=6), {"model": 163}),
    "no padding": (shards("model", 61, width=1), {"model": 61}),
    "from zero": (shards("model", 3, first=0), {"model": 3}),
    "from zero to n": (shards("model", 3, first=0, of=2), {"model": 3}),
    "variant beside": ([f"model{ST}", f"model.fp16{ST}"], {"model": 1, "model.fp16": 1}),
    "variant shards": (
        [f"model.fp16-00001-of-00002{ST}", f"model.fp16-00002-of-00002{ST}"],
        {"model.fp16": 2},
    ),
    "variant after the number": (
        [f"model-00001-of-00002.fp16{ST}", f"model-00002-of-00002.fp16{ST}"],
        {"model.fp16": 2},
    ),
    "mistral": (
        [*shards("model", 3), f"consolidated{ST}"],
        {"consolidated": 1, "model": 3},
    ),
    "original": ([f"model{ST}", f"original/model{ST}"], {"model": 1, "original/model": 1}),
    "meta parts": ([f"consolidated.{n:02d}{ST}" for n in range(8)], {"consolidated": 8}),
    "deepseek parts": ([f"model{n}-mp8{ST}" for n in range(8)], {"model": 8}),
    "megatron parts": ([f"mp_rank_{n:02d}_model_states{ST}" for n in range(4)], {"mp_rank": 4}),
    "adapter": ([f"adapter_model{ST}"], {"adapter_model": 1}),
    "numbered": ([f"layer_{n}{ST}" for n in range(3)], {"layer_*": 3}),
    "one number": ([f"llama-3.1-8b{ST}"], {"llama-3.1-8b": 1}),
    "two lengths": (
        [*shards("model", 2), *shards("model", 3)],
        {"model-sharded": 2, "model-sharded-2": 3},
    ),
    "unrelated": ([f"unet{ST}", f"vae{ST}"], {"unet": 1, "vae": 1}),
    "no weights": (["config.json"], {}),
}


@pytest.mark.parametrize(("paths", "expected"), LAYOUTS.values(), ids=LAYOUTS)
def test_files_fall_into_sets(paths: list[str], expected: dict[str, int]) -> None:
    found = sets(paths)

    assert expected == {name: len(one.members) for name, one in found.items()}
    assert () == tuple(path for one in found.values() for path in one.missing)


def test_an_index_names_its_files_and_the_rest_stands_apart() -> None:
    paths = [*shards("model", 2), f"extra{ST}"]
    found = sets(paths, model=paths[:2])

    assert [*found] == ["extra", "model"]
    assert tuple(map(Member, paths[:2])) == found["model"].members


def test_an_index_of_one_whole_file_is_that_file_s_set() -> None:
    found = sets([f"model{ST}"], model=[f"model{ST}"])

    assert [*found] == ["model"]


def test_one_file_and_an_index_are_two_sets() -> None:
    paths = [f"model{ST}", *shards("model", 2)]
    found = sets(paths, model=paths[1:])

    assert {
        "model": 1,
        "model-sharded": 2,
    } == {name: len(one.members) for name, one in found.items()}


def test_what_an_index_names_and_is_not_there_is_missing() -> None:
    paths = shards("model", 3)
    found = sets(paths[:1], model=paths)

    assert tuple(paths[1:]) == found["model"].missing


def test_an_index_never_leads_out_of_its_folder() -> None:
    found = sets([f"unet/a{ST}"], unet__model=[f"a{ST}", f"../b{ST}", "/etc/passwd", "C:\\x"])

    assert (Member(f"unet/a{ST}"),) == found["unet/model"].members
    assert (f"../b{ST}", "/etc/passwd", "C:\\x") == found["unet/model"].strays


def test_a_variant_index_has_its_variant() -> None:
    found = find_sets([], {"u/model.safetensors.index.fp16.json": Index(("x.safetensors",), 1)})

    assert ["u/model.fp16"] == [one.name for one in found]
    assert "model" == found[0].stem


@pytest.mark.parametrize(
    ("paths", "missing"),
    [
        (shards("model", 3)[:2], ["model-00003-of-00003.safetensors"]),
        (shards("model", 3)[1:], ["model-00001-of-00003.safetensors"]),
        (shards("model", 3, first=0)[:2], ["model-00002-of-00003.safetensors"]),
        (
            [f"consolidated.{n:02d}{ST}" for n in (1, 3)],
            ["consolidated.00.safetensors", "consolidated.02.safetensors"],
        ),
        ([f"model0-mp2{ST}"], ["model1-mp2.safetensors"]),
    ],
)
def test_holes_in_the_numbering_are_missing_files(paths: list[str], missing: list[str]) -> None:
    (one,) = sets(paths).values()

    assert missing == list(one.missing)


def test_an_absurd_count_promises_no_more_files_than_a_numbering_may_have() -> None:
    (one,) = sets([f"model-00001-of-99999999{ST}"]).values()

    assert MAX_SHARDS - 1 == len(one.missing)


def test_names_of_indexes_are_known() -> None:
    paths = [
        "model.safetensors.index.json",
        "a/b.fp16.safetensors.index.json",
        "index.json",
        "x.bin.index.json",
    ]

    assert paths[:2] == index_paths(paths)


@pytest.mark.parametrize(
    ("paths", "best", "reason"),
    [
        ([f"x{ST}"], "x", "the only one"),
        ([f"model{ST}", f"consolidated{ST}"], "model", "loaders look for model.safetensors"),
        ([f"model{ST}", f"model.fp16{ST}"], "model", "no variant unless asked"),
        ([f"model.fp16{ST}", f"zzz{ST}"], "model.fp16", "loaders look for"),
        ([f"model{ST}", *shards("model", 2)], "model", "one file before shards"),
        ([f"a{ST}", f"b{ST}"], "b", "the largest of 2"),
        ([f"model{ST}", f"original/model{ST}"], "model", "in folders of their own"),
        ([f"adapter_model{ST}", f"model{ST}"], "model", "loaders look for"),
        ([f"a/model{ST}", f"b/model{ST}"], "b/model", "the largest of 2"),
        ([f"model{ST}", *shards("x", 2)], "model", "loaders look for"),
    ],
)
def test_the_default_is_what_a_loader_takes(paths: list[str], best: str, reason: str) -> None:
    sizes = {path: number for number, path in enumerate(paths)}
    chosen, why = preferred([*sets(paths).values()], sizes)

    assert best == chosen.name
    assert reason in why


def test_of_equal_sets_the_last_is_taken() -> None:
    found = sets([f"checkpoint-{number}/model{ST}" for number in (200, 1000, 500)])
    chosen, why = preferred([*found.values()], {})

    assert "checkpoint-1000/model" == chosen.name
    assert "the last of those of its size, of 3" == why


def test_a_set_without_files_is_the_last_choice() -> None:
    found = sets([f"consolidated{ST}"], model=shards("model", 2))

    assert ("consolidated", "no file of the others is there") == (
        preferred([*found.values()], {})[0].name,
        preferred([*found.values()], {})[1],
    )


def test_components_join_into_one_set() -> None:
    found = sets(
        [
            f"unet/diffusion_pytorch_model{ST}",
            f"unet/diffusion_pytorch_model.fp16{ST}",
            f"vae/diffusion_pytorch_model.fp16{ST}",
        ]
    )
    parts = {
        folder: [one for one in found.values() if one.folder == folder]
        for folder in ("unet", "vae")
    }
    joined = join_components("pipeline", parts, ["text_encoder"], {})

    assert (
        Member(f"unet/diffusion_pytorch_model{ST}", "unet"),
        Member(f"vae/diffusion_pytorch_model.fp16{ST}", "vae"),
    ) == joined.members
    assert ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model.fp16") == joined.parts
    assert ("text_encoder",) == joined.weightless


def test_weights_of_other_formats_are_counted() -> None:
    paths = ["a.bin", "b.BIN", "c/model.gguf", "readme.md", "noending"]

    assert (
        [
            "2 .bin files (PyTorch pickles)",
            "1 .gguf file (llama.cpp models)",
        ]
    ) == other_weights(paths)

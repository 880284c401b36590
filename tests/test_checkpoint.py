"""Source -> Checkpoint: which set, which files, which faults, and what is read for it."""

from __future__ import annotations

import gc
import json
import time

import pytest

from ckptscan.checkpoint import Checkpoint, load, open_checkpoint
from ckptscan.errors import SourceNotFound, SourceUnreadable, UsageError
from ckptscan.sources.base import FileEntry, Origin
from ckptscan.sources.memory import MemorySource
from tests.conftest import Tensors, checkpoint_of, file_of, index_of, source_of

ONE = "model-00001-of-00002.safetensors"
TWO = "model-00002-of-00002.safetensors"
A, B = {"a": ("F32", [4])}, {"b": ("F32", [2])}


def kinds(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    return [(fault.kind, fault.severity) for _, fault in checkpoint.faults]


def test_a_shard_that_holds_what_another_should_is_told() -> None:
    one: Tensors = {"model.a.weight": ("F32", [2])}
    two: Tensors = {"model.long.weight": ("F32", [2])}
    index = index_of({"model.a.weight": "1.safetensors", "model.long.weight": "2.safetensors"})

    def odd(first: Tensors, second: Tensors) -> list[str]:
        files = {"1.safetensors": first, "2.safetensors": second}
        found = checkpoint_of({**files, "model.safetensors.index.json": index})
        return [file for file, fault in found.faults if fault.kind == "index-shard"]

    assert [] == odd(one, two)
    assert ["1.safetensors", "2.safetensors"] == odd(two, one)
    assert ["2.safetensors"] == odd(one, one)


def test_shards_join_in_the_order_of_their_names() -> None:
    checkpoint = checkpoint_of({TWO: B, ONE: A, "config.json": b'{"architectures":["X"]}'})

    assert ["a", "b"] == list(checkpoint.table.names)
    assert (checkpoint.numel, checkpoint.nbytes) == (6, 24)
    assert "X" == checkpoint.config.architecture
    assert checkpoint.is_sound
    assert not checkpoint.incomplete


def test_nothing_past_a_header_is_read_and_each_file_is_read_twice_at_most() -> None:
    source = source_of(
        {ONE: A, TWO: B, "model.safetensors.index.json": index_of({"a": ONE, "b": TWO})}
    )
    load(source)

    sizes = {path: 8 + int.from_bytes(source.held(path)[:8], "little") for path in (ONE, TWO)}
    reads = [span for span in source.ranges if span[0] in sizes]
    assert 4 == len(reads)
    assert all(start + length <= sizes[path] for path, start, length in reads)


def test_an_index_names_the_set_and_its_entries_are_counted() -> None:
    files = {ONE: A, TWO: B, "model.safetensors.index.json": index_of({"a": ONE, "b": TWO})}
    sound = checkpoint_of(files)
    files["model.safetensors.index.json"] = index_of({"a": ONE, "b": TWO, "c": TWO})
    off = checkpoint_of(files)

    assert [] == kinds(sound)
    assert [("index-count", "warning")] == kinds(off)
    assert "lists 3 tensors, its shards hold 2" in off.faults[0].fault.message
    assert sound.index is not None
    assert (ONE, TWO) == sound.index.shards


def test_an_absent_shard_makes_the_totals_incomplete() -> None:
    checkpoint = checkpoint_of(
        {ONE: A, "model.safetensors.index.json": index_of({"a": ONE, "b": TWO})}
    )

    assert (TWO,) == checkpoint.missing
    assert checkpoint.incomplete
    assert ("1 file missing",) == checkpoint.gaps
    assert not checkpoint.is_sound
    assert [("missing-file", "error")] == kinds(checkpoint)
    assert 4 == checkpoint.numel


def test_an_index_that_leads_outside_is_not_followed() -> None:
    checkpoint = checkpoint_of(
        {
            ONE: A,
            "model.safetensors.index.json": index_of({"a": ONE, "b": "../secret.safetensors"}),
        }
    )

    assert [("index-path-escapes", "error")] == kinds(checkpoint)
    assert ("an index names files outside its folder",) == checkpoint.gaps


def test_a_named_index_that_can_t_be_used_is_an_error() -> None:
    origin = Origin("x/a.safetensors.index.json", "index", "a.safetensors.index.json")
    held = {"a.safetensors.index.json": b"{broken", "sub/model.safetensors": file_of(A)}
    with pytest.raises(SourceUnreadable, match="the index is not JSON"):
        load(MemorySource(held, origin=origin))


def test_sets_that_share_files_are_counted_once() -> None:
    files = {
        ONE: A,
        TWO: B,
        "model.safetensors.index.json": index_of({"a": ONE, "b": TWO}),
        "model.fp16.safetensors.index.json": index_of({"a": ONE, "b": TWO}),
    }

    assert 2 == len(checkpoint_of(files, all_sets=True).table)


def test_files_that_can_t_be_read_and_are_not_chosen_do_not_matter() -> None:
    entries = [FileEntry(f"extra{n}.safetensors", 0, None, "is a FIFO") for n in range(2)]
    source = MemorySource({"model.safetensors": file_of(A)}, entries)

    assert ["a"] == list(load(source).table.names)


@pytest.mark.slow
def test_many_sets_take_linear_time() -> None:
    def seconds(count: int) -> float:
        files = {f"f{n}/part{n}.safetensors": A for n in range(count)}
        start = time.process_time()
        checkpoint_of(files, all_sets=True)
        return time.process_time() - start

    assert seconds(16_000) < 16 * seconds(2_000)


def test_many_absent_shards_are_told_in_few_lines() -> None:
    checkpoint = checkpoint_of({"model-00001-of-00099.safetensors": A})

    assert 98 == len(checkpoint.missing)
    assert ("98 files missing",) == checkpoint.gaps
    assert 11 == len(checkpoint.faults)
    assert "88 more files up to this one" in checkpoint.faults[-1].fault.message


def test_an_index_of_files_that_are_gone_is_stale() -> None:
    checkpoint = checkpoint_of(
        {"model.safetensors": A, "model.safetensors.index.json": index_of({"a": ONE, "b": TWO})}
    )

    assert ["a"] == list(checkpoint.table.names)
    assert [("index-stale", "warning")] == kinds(checkpoint)
    assert not checkpoint.incomplete


def test_two_indexes_of_a_pipeline_are_compared_each_with_its_own_shards() -> None:
    checkpoint = checkpoint_of(
        {
            "model_index.json": b'{"te": ["t", "T"], "tr": ["d", "D"]}',
            f"te/{ONE}": A,
            "te/model.safetensors.index.json": index_of({"a": ONE}),
            f"tr/{ONE}": A | B,
            "tr/model.safetensors.index.json": index_of({"a": ONE}),
        }
    )

    assert [("tr/model.safetensors.index.json", "index-count")] == [
        (file, fault.kind) for file, fault in checkpoint.faults
    ]


def test_an_unusable_index_is_told_and_the_files_are_read_without_it() -> None:
    checkpoint = checkpoint_of({ONE: A, TWO: B, "model.safetensors.index.json": b"{"})

    assert ["a", "b"] == list(checkpoint.table.names)
    assert [("index-unusable", "error")] == kinds(checkpoint)


def test_the_default_reads_one_set_and_counts_nothing_twice() -> None:
    files = {"model.safetensors": A, "consolidated.safetensors": A | B, "original/x.safetensors": B}
    checkpoint = checkpoint_of(files)

    assert [
        ("consolidated", 2, False),
        ("model", 1, True),
        ("original/x", 1, False),
    ] == [(one.name, one.tensors, one.chosen) for one in checkpoint.sets]
    assert ["a"] == list(checkpoint.table.names)
    assert "loaders look for" in checkpoint.choice


def test_another_set_is_asked_for_by_name() -> None:
    files = {"model.safetensors": A, "consolidated.safetensors": B}

    assert ["b"] == list(checkpoint_of(files, set_name="consolidated").table.names)
    with pytest.raises(UsageError, match="no set is called 'consolidate'") as caught:
        checkpoint_of(files, set_name="consolidate")
    assert "did you mean consolidated?" == caught.value.hint
    with pytest.raises(UsageError) as caught:
        checkpoint_of(files, set_name="zzz")
    assert "the sets are: consolidated, model" == caught.value.hint


def test_all_sets_stand_side_by_side() -> None:
    checkpoint = checkpoint_of({"model.safetensors": A, "model.fp16.safetensors": A}, all_sets=True)

    assert ["a", "a"] == list(checkpoint.table.names)
    assert {"model", "model.fp16"} == {shard.component for shard in checkpoint.table.shards}
    assert all(one.chosen for one in checkpoint.sets)
    assert {} == checkpoint.parts


PIPELINE = {
    "model_index.json": json.dumps(
        {"_class_name": "P", "unet": ["d", "U"], "vae": ["d", "V"], "scheduler": ["d", "S"]}
    ).encode(),
    "unet/diffusion_pytorch_model.safetensors": A,
    "vae/diffusion_pytorch_model.safetensors": A,
    "scheduler/scheduler_config.json": b"{}",
    "sd_xl.safetensors": B,
}


def test_a_pipeline_is_one_set_of_components() -> None:
    checkpoint = checkpoint_of(PIPELINE)

    assert [("a", "unet"), ("a", "vae")] == [
        (tensor.name, checkpoint.table.shards[tensor.shard].component)
        for tensor in checkpoint.table
    ]
    assert "pipeline" == next(one.name for one in checkpoint.sets if one.chosen)
    assert "model_index.json names its components" == checkpoint.choice
    assert {
        "pipeline": "",
        "sd_xl": "",
        "unet/diffusion_pytorch_model": "pipeline",
        "vae/diffusion_pytorch_model": "pipeline",
    } == {one.name: one.within for one in checkpoint.sets}
    assert [] == kinds(checkpoint)


@pytest.mark.parametrize("weights", ["vae/config.json", "vae/diffusion_pytorch_model.bin"])
def test_a_model_of_a_pipeline_without_weights_is_an_error(weights: str) -> None:
    files = {path: held for path, held in PIPELINE.items() if not path.startswith("vae/")}
    checkpoint = checkpoint_of(files | {weights: b"{}"})

    assert [("component-without-weights", "error")] == kinds(checkpoint)
    assert ("vae has no safetensors weights",) == checkpoint.gaps


def test_all_sets_of_a_pipeline_count_nothing_twice() -> None:
    checkpoint = checkpoint_of(PIPELINE, all_sets=True)

    assert ["a", "a", "b"] == list(checkpoint.table.names)


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"unet":1}'])
def test_a_broken_pipeline_description_is_no_pipeline(raw: bytes) -> None:
    checkpoint = checkpoint_of(PIPELINE | {"model_index.json": raw})

    assert "pipeline" not in [one.name for one in checkpoint.sets]


def test_a_config_that_is_no_json_is_told() -> None:
    checkpoint = checkpoint_of({"model.safetensors": A, "config.json": b"{not json"})

    assert [("config-unusable", "warning")] == kinds(checkpoint)
    assert checkpoint.is_sound


def test_sentence_transformers_modules_join() -> None:
    checkpoint = checkpoint_of(
        {
            "modules.json": b'[{"path":""},{"path":"1_Pooling"},{"path":"2_Dense"}]',
            "model.safetensors": A,
            "2_Dense/model.safetensors": {"linear.weight": ("F32", [2, 2])},
        }
    )

    assert ["a", "linear.weight"] == list(checkpoint.table.names)
    assert ["", "2_Dense"] == [shard.component for shard in checkpoint.table.shards]


def test_pooling_has_a_config_and_no_weights() -> None:
    modules = [
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"path": "2_Dense", "type": "sentence_transformers.models.Dense"},
        {"path": "3_Dense", "type": "sentence_transformers.models.Dense"},
    ]
    files: dict[str, bytes | Tensors] = {
        "modules.json": json.dumps(modules).encode(),
        "model.safetensors": A,
        "1_Pooling/config.json": b"{}",
        "2_Dense/config.json": b"{}",
        "2_Dense/model.safetensors": {"linear.weight": ("F32", [2, 2])},
    }

    assert [] == kinds(checkpoint_of(files))
    lost = checkpoint_of({**files, "3_Dense/config.json": b"{}"})
    assert [("component-without-weights", "error")] == kinds(lost)


def test_a_sentence_transformer_of_one_module_is_an_ordinary_folder() -> None:
    checkpoint = checkpoint_of({"modules.json": b'[{"path":""}]', "model.safetensors": A})

    assert ["model"] == [one.name for one in checkpoint.sets]


def test_files_that_repeat_all_names_are_parts() -> None:
    part = {"wq": ("BF16", [2, 8]), "norm": ("BF16", [8])}
    checkpoint = checkpoint_of({f"consolidated.{n:02d}.safetensors": part for n in range(4)})

    assert {"": 4} == checkpoint.parts
    assert 8 == len(checkpoint.table)
    assert [] == kinds(checkpoint)


def test_files_named_as_parts_may_hold_experts_of_their_own() -> None:
    checkpoint = checkpoint_of(
        {
            f"model{part}-mp2.safetensors": {
                "wq.weight": ("BF16", [2, 8]),
                f"experts.{part}.w1.weight": ("BF16", [4, 8]),
            }
            for part in range(2)
        }
    )

    assert {"": 2} == checkpoint.parts
    assert [] == kinds(checkpoint)


def test_a_tensor_in_two_shards_is_told() -> None:
    checkpoint = checkpoint_of({ONE: A, TWO: A | B})

    assert [("duplicate-tensor", "warning")] == kinds(checkpoint)
    assert "as 'a'" in checkpoint.faults[0].fault.message
    assert {} == checkpoint.parts


def test_numbered_files_with_other_names_are_shards() -> None:
    checkpoint = checkpoint_of({"layer_0.safetensors": A, "layer_1.safetensors": B})

    assert ["layer_*"] == [one.name for one in checkpoint.sets]
    assert ["a", "b"] == list(checkpoint.table.names)


def test_numbered_files_with_the_same_names_are_checkpoints_of_their_own() -> None:
    checkpoint = checkpoint_of({"epoch_1.safetensors": A, "epoch_2.safetensors": A})

    assert ["epoch_1", "epoch_2"] == [one.name for one in checkpoint.sets]
    assert 1 == len(checkpoint.table)


def test_a_fault_in_a_file_is_reported_and_the_rest_counted() -> None:
    checkpoint = checkpoint_of({ONE: A, TWO: b"version https://git-lfs.github.com/spec/v1\n"})

    assert ["a"] == list(checkpoint.table.names)
    assert checkpoint.faults[0].file == TWO
    assert "HeaderTooLarge" == checkpoint.faults[0].fault.error
    assert checkpoint.incomplete
    assert not checkpoint.is_sound


def test_a_cut_file_s_tensors_are_all_known() -> None:
    data = file_of(A)
    entry = FileEntry("model.safetensors", len(data) - 4)
    checkpoint = load(MemorySource({"model.safetensors": data[:-4]}, [entry]))

    assert ["truncated"] == [fault.kind for _, fault in checkpoint.faults]
    assert not checkpoint.incomplete
    assert 4 == checkpoint.numel


def test_a_file_that_can_t_be_read_is_an_error_never_a_smaller_total() -> None:
    entries = [FileEntry(TWO, 0, None, "is a FIFO")]
    source = MemorySource({ONE: file_of(A)}, entries)

    with pytest.raises(SourceUnreadable, match="is a FIFO"):
        load(source)


def test_an_unreadable_set_that_is_not_chosen_is_listed_without_totals() -> None:
    source = MemorySource(
        {"model.safetensors": file_of(A)}, [FileEntry("vae.safetensors", 0, None, "is a FIFO")]
    )
    checkpoint = load(source)

    assert (checkpoint.sets[1].name, checkpoint.sets[1].tensors) == ("vae", None)


def test_one_named_file_is_read_whatever_it_is_called() -> None:
    origin = Origin("x.bin", "file", "x.bin")
    checkpoint = load(MemorySource({"x.bin": b"PK\x03\x04" + bytes(60)}, origin=origin))

    assert "zip archive" in checkpoint.faults[0].fault.message


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ({}, "nothing is there, down to three folders deep"),
        ({"readme.md": b"x"}, "found 1 file, none with weights that ckptscan knows"),
        ({"a.bin": b"x", "b.gguf": b"x"}, "1 .bin file (PyTorch pickles), 1 .gguf file"),
    ],
)
def test_a_source_without_weights_says_what_is_there(files: dict[str, bytes], hint: str) -> None:
    with pytest.raises(SourceNotFound, match=r"no \.safetensors file") as caught:
        checkpoint_of(files)

    assert hint in caught.value.hint


def test_the_order_of_the_files_does_not_matter() -> None:
    files = {ONE: A, TWO: B, "original/model.safetensors": A}
    one = load(source_of(files))
    other = load(source_of(dict(reversed(files.items()))))

    assert list(one.table.names) == list(other.table.names)
    assert one.sets == other.sets
    assert one.files == other.files


def test_a_thousand_files_are_a_thousand_sets_or_one() -> None:
    alike = {f"lora_{number}.safetensors": A for number in range(1000)}
    shards = {f"part_{n}.safetensors": {f"t{n}": ("U8", [1])} for n in range(1000)}

    assert 1000 == len(checkpoint_of(alike).sets)
    assert 1000 == len(checkpoint_of(shards).table)


def test_a_source_is_opened_by_path_or_value(tmp_path: object) -> None:
    (tmp_path / "model.safetensors").write_bytes(file_of(A))  # type: ignore[operator]

    assert 4 == open_checkpoint(str(tmp_path)).numel
    assert 4 == open_checkpoint(tmp_path).numel  # type: ignore[arg-type]
    assert 4 == open_checkpoint(source_of({"model.safetensors": A})).numel


def test_the_garbage_collector_is_left_as_it_was() -> None:
    for was_on in (True, False):
        (gc.enable if was_on else gc.disable)()
        checkpoint_of({ONE: A})

        assert was_on == gc.isenabled()
    gc.enable()

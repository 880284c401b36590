"""Reading: what is read, once, in bounds; interrupted and taken up again; damage on the way."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
from pathlib import Path

import numpy as np
import pytest

from ckptscan.checkpoint import load
from ckptscan.content import Sample, Wish, read_content, reading, streams
from ckptscan.content.blocks import Sizes
from ckptscan.errors import Interrupted, SourceUnreachable, SourceUnreadable, UsageError
from ckptscan.sources import open_source
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import Structure, describe
from tests.checks.looking import llama
from tests.checks.making import entry, raw
from tests.conftest import pack
from tests.content.making import FILE, Arrays, raw_file, source_of, structure_of, weights

DIGEST = "ab" * 32


@pytest.fixture(autouse=True)
def _kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "kept"))


@pytest.fixture
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Sizes(3 * 64 << 10)
    monkeypatch.setattr(streams, "REMOTE", small)
    monkeypatch.setattr(streams, "LOCAL", small)


def big() -> Arrays:
    """Three tensors of several blocks and some small ones."""
    draw = np.random.default_rng(0)
    found = {f"model.layers.{n}.mlp.up_proj.weight": draw.random((512, 512)) for n in range(3)}
    arrays: Arrays = {name: ("F32", array.astype("<f4")) for name, array in found.items()}
    return arrays | weights(llama(range(2)))


def table_size(structure: Structure) -> int:
    return sum(shard.data_size for shard in structure.checkpoint.table.shards)


def test_every_byte_is_read_once_and_no_other() -> None:
    source = source_of(raw_file(big()))
    structure = structure_of(source)
    source.ranges.clear()
    content = read_content(source, structure)
    spans = sorted((start, start + length) for _, start, length in source.ranges)
    data = 8 + structure.checkpoint.table.shards[0].header_size

    assert len(structure.checkpoint.table) == content.tensors_read
    assert table_size(structure) == content.bytes_read
    assert data == spans[0][0]
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(spans))


def test_a_file_on_disk_gives_the_same_as_one_in_memory(tmp_path: Path) -> None:
    data = raw_file(big())
    (tmp_path / FILE).write_bytes(data)
    memory = source_of(data)
    disk = open_source(str(tmp_path))
    expected = read_content(memory, structure_of(memory))
    seen = read_content(disk, describe(load(disk)))

    assert expected.statistics.keys() == seen.statistics.keys()
    for row, one in expected.statistics.items():
        other = seen.statistics[row]
        assert one._replace(total=0, squares=0) == other._replace(total=0, squares=0)
        assert one.std == pytest.approx(other.std, rel=1e-4)
    assert expected.tables == seen.tables


class Failing(MemorySource):
    """Answers so many times, and then no more."""

    left = 1 << 30
    error: BaseException = SourceUnreachable("the net is gone")

    def read(self, path: str, start: int, length: int) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().read(path, start, length)


def failing(data: bytes, digest: str | None = DIGEST) -> Failing:
    whole = source_of(data, digest)
    return Failing({FILE: data}, whole.files())


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SourceUnreachable("the net is gone")])
@pytest.mark.parametrize("blocks", [1, 4, 8])
def test_what_was_read_is_not_read_again(error: BaseException, blocks: int) -> None:
    data = raw_file(big())
    first, second, whole = failing(data), failing(data), failing(data)
    structure = structure_of(first)
    first.ranges.clear()
    first.left, first.error = blocks, error
    with pytest.raises((Interrupted, SourceUnreachable)):
        read_content(first, structure)
    second.ranges.clear()
    content = read_content(second, structure)
    expected = read_content(whole, structure)

    assert blocks == len(first.ranges)
    assert set() == set(first.ranges) & set(second.ranges)
    assert table_size(structure) == content.bytes_read + content.bytes_resumed
    assert content.bytes_resumed == sum(length for _, _, length in first.ranges)
    assert expected.statistics == content.statistics
    assert expected.tables == content.tables


@pytest.mark.usefixtures("_small_blocks")
def test_an_interrupt_says_how_far_it_came() -> None:
    source = failing(raw_file(big()))
    structure = structure_of(source)
    source.left, source.error = 3, KeyboardInterrupt()

    with pytest.raises(Interrupted, match=r"after [\d,]+ of [\d,]+ bytes; the same command"):
        read_content(source, structure)


@pytest.mark.usefixtures("_small_blocks")
def test_a_changed_file_is_read_anew() -> None:
    data = raw_file(big())
    first, second = failing(data), failing(data, "cd" * 32)
    structure = structure_of(first)
    first.left = 4
    with pytest.raises(SourceUnreachable):
        read_content(first, structure)
    content = read_content(second, structure_of(second))

    assert 0 == content.bytes_resumed


@pytest.mark.usefixtures("_small_blocks")
def test_nothing_is_kept_where_nothing_tells_a_change() -> None:
    data = raw_file(big())
    first, second = failing(data, None), failing(data, None)
    structure = structure_of(first)
    first.left, first.error = 4, KeyboardInterrupt()
    with pytest.raises(Interrupted, match="nothing is kept"):
        read_content(first, structure)

    assert 0 == read_content(second, structure).bytes_resumed


@pytest.mark.usefixtures("_small_blocks")
def test_a_damaged_state_is_no_state(tmp_path: Path) -> None:
    data = raw_file(big())
    first, second = failing(data), failing(data)
    structure = structure_of(first)
    first.left = 4
    with pytest.raises(SourceUnreachable):
        read_content(first, structure)
    (state,) = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    state.write_bytes(state.read_bytes()[:-30])

    assert 0 == read_content(second, structure).bytes_resumed


def test_a_reading_that_came_to_its_end_leaves_nothing(tmp_path: Path) -> None:
    source = failing(raw_file(big()))
    read_content(source, structure_of(source))

    assert [] == [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]


def test_names_limit_what_is_read() -> None:
    source = source_of(raw_file(big()))
    structure = structure_of(source)
    content = read_content(source, structure, Wish(match=lambda name: ".1.mlp.up" in name))

    assert content.limited
    assert ["model.layers.1.mlp.up_proj.weight"] == [
        structure.checkpoint.table.names[row] for row in content.statistics
    ]


@pytest.mark.parametrize(
    ("sample", "most"),
    [(Sample(share=25.0), 5), (Sample(nbytes=100_000), 2), (Sample(nbytes=100_000, seed=1), 2)],
)
def test_a_sample_reads_head_tail_and_some_pages(sample: Sample, most: int) -> None:
    draw = random.Random(0)
    array = np.frombuffer(draw.randbytes(16 << 16), "<f4").reshape(512, 512)
    source = source_of(raw_file({"model.a.weight": ("I32", array.view("<i4"))}))
    structure = structure_of(source)
    source.ranges.clear()
    content = read_content(source, structure, Wish(sample=sample))
    data = 8 + structure.checkpoint.table.shards[0].header_size
    places = {(start - data) >> 16 for _, start, _ in source.ranges}

    assert content.sampled is not None
    assert str(sample.seed) in content.sampled
    assert {0, 15} <= {*places, max(s + n - data for _, s, n in source.ranges) - 1 >> 16}
    assert content.bytes_read <= most << 16
    again = source_of(raw_file({"model.a.weight": ("I32", array.view("<i4"))}))
    read_content(again, structure, Wish(sample=sample))
    assert source.ranges == again.ranges


def test_a_whole_sample_is_all() -> None:
    source = source_of(raw_file(big()))
    structure = structure_of(source)
    whole = read_content(source, structure)
    sampled = read_content(source, structure, Wish(sample=Sample(share=100.0)))

    assert whole.bytes_read == sampled.bytes_read
    assert whole.statistics == sampled.statistics


def hostile(entries: dict[str, object], size: int) -> MemorySource:
    return MemorySource({FILE: raw(entries, size)})


@pytest.mark.parametrize(
    ("entries", "reasons"),
    [
        pytest.param({"a": entry("F32", [4], 0, 16)}, [], id="sound"),
        pytest.param({"a": entry("F32", [400], 0, 1600)}, ["past the end"], id="past the end"),
        pytest.param(
            {"a": entry("F32", [4], 0, 16), "b": entry("F32", [3], 4, 16)},
            ["overlaps"],
            id="overlap",
        ),
        pytest.param({"a": entry("F32", [4], 8, 4)}, ["ends before"], id="reversed"),
        pytest.param({"a": entry("F32", [3], 0, 16)}, ["not those of its shape"], id="other size"),
        pytest.param({"a": entry("F32", [0], 0, 0)}, ["no elements"], id="empty"),
    ],
)
def test_what_can_not_be_read_is_skipped_with_a_reason(
    entries: dict[str, object], reasons: list[str]
) -> None:
    source = hostile(entries, 16)
    structure = structure_of(source)
    content = read_content(source, structure)

    assert len(reasons) == len(content.unread)
    for reason, told in zip(reasons, content.unread.values(), strict=True):
        assert reason in told
    assert all(start + length <= len(raw(entries, 16)) for _, start, length in source.ranges)


def test_a_file_that_shrinks_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_bytes(raw_file(big()))
    source = open_source(str(tmp_path))
    structure = describe(load(source))
    os.truncate(path, 1 << 20)

    with pytest.raises(SourceUnreadable, match="written while it was read") as caught:
        _shrink_later(source, structure, path)
    assert caught.value.hint


def _shrink_later(source: object, structure: Structure, path: Path) -> None:
    """Read a file that is cut once reading has begun."""

    class Cut:
        def begin(self, total: int) -> None:
            os.truncate(path, 1 << 19)

        def advance(self, nbytes: int) -> None: ...

        def end(self) -> None: ...

    read_content(source, structure, progress=Cut())  # type: ignore[arg-type]


class Short(MemorySource):
    """Holds less than it lists."""

    def read(self, path: str, start: int, length: int) -> bytes:
        return super().read(path, start, length)[:-1]


def test_bytes_that_do_not_come_are_told_of() -> None:
    data = raw_file({"a.weight": ("F32", np.ones((4, 4), "<f4"))})
    content = read_content(Short({FILE: data}), structure_of(source_of(data)))

    assert {0: "its file ended while it was read"} == content.unread
    assert {} == content.statistics


def test_a_pack_holds_no_tensors() -> None:
    source = pack("Qwen--Qwen2-7B")

    with pytest.raises(UsageError, match="holds no tensors"):
        read_content(source, describe(load(source)))


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("tensors", [True, False])
def test_hashes_are_those_of_whole_files(tensors: bool, tmp_path: Path) -> None:
    data = raw_file(big()) + b"something more"
    source = source_of(data, DIGEST)
    structure = structure_of(source)
    source.ranges.clear()
    content = read_content(source, structure, Wish(tensors=tensors, hashes=True))

    assert {FILE: hashlib.sha256(data).hexdigest()} == content.hashes
    assert tensors == bool(content.statistics)
    assert len(data) == content.bytes_read


@pytest.mark.usefixtures("_small_blocks")
def test_hashing_on_disk_by_many_threads(tmp_path: Path) -> None:
    data = raw_file(big())
    digest = hashlib.sha256(data).hexdigest()
    snapshot = tmp_path / "models--a--b" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    blob = tmp_path / "models--a--b" / "blobs" / digest
    blob.parent.mkdir()
    blob.write_bytes(data)
    (snapshot / FILE).symlink_to(Path("../../blobs") / digest)
    source = open_source(str(snapshot))
    content = read_content(source, describe(load(source)), Wish(hashes=True))

    assert {FILE: digest} == content.hashes
    assert len(data) == content.bytes_read


def test_the_same_bytes_are_proved_by_a_second_reading() -> None:
    arrays = big()
    one, two = "model.layers.0.mlp.up_proj.weight", "model.layers.2.mlp.up_proj.weight"
    arrays[two] = arrays[one]
    source = source_of(raw_file(arrays))
    structure = structure_of(source)
    content = read_content(source, structure)
    names = structure.checkpoint.table.names

    assert [{one, two}] == [{names[row] for row in rows} for rows in content.alike]
    assert table_size(structure) + 2 * arrays[one][1].nbytes == content.bytes_read


def test_words_that_change_places_are_not_the_same() -> None:
    array = np.random.default_rng(0).random((64, 64)).astype("<f8")
    turned = array.reshape(-1)[::-1].reshape(64, 64).copy()
    source = source_of(raw_file({"a.weight": ("F64", array), "b.weight": ("F64", turned)}))
    content = read_content(source, structure_of(source))

    assert () == content.alike


class Patient(MemorySource):
    """Counts how often its time limit is begun anew."""

    renewed = 0

    def renew(self) -> None:
        self.renewed += 1


@pytest.mark.usefixtures("_small_blocks")
def test_the_time_limit_of_a_source_is_not_that_of_all_bytes() -> None:
    data = raw_file(big())
    source = Patient({FILE: data})
    read_content(source, structure_of(source))

    assert source.renewed > 5


def test_progress_comes_to_its_total() -> None:
    class Seen:
        total = done = ends = 0

        def begin(self, total: int) -> None:
            self.total += total

        def advance(self, nbytes: int) -> None:
            self.done += nbytes

        def end(self) -> None:
            self.ends += 1

    source, seen = source_of(raw_file(big())), Seen()
    read_content(source, structure_of(source), progress=seen)

    assert (seen.total, 1) == (seen.done, seen.ends)
    assert seen.total > 0


def test_rows_of_a_table() -> None:
    tensors = llama(range(2))
    arrays = weights(tensors)
    table = arrays["model.embed_tokens.weight"][1].copy()
    table[1000:1010] = 0
    table[1011:1024] = table[5]
    arrays["model.embed_tokens.weight"] = "BF16", table
    source = source_of(raw_file(arrays))
    structure = structure_of(source)
    content = read_content(source, structure)
    (use,) = [
        use
        for row, use in content.tables.items()
        if structure.checkpoint.table.names[row] == "model.embed_tokens.weight"
    ]

    assert (1024, "1000-1009", 10) == (use.rows, use.small, use.small_count)
    assert ("5,1011-1023", 14) == (use.same, use.same_count)


@pytest.mark.usefixtures("_small_blocks")
def test_rows_that_blocks_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    table = draw.standard_normal((1000, 332)).astype("<f4")
    table[300] = table[700]
    table[500] = 0
    arrays: Arrays = {"model.embed_tokens.weight": ("F32", table), **weights(llama(range(1)))}
    arrays["model.embed_tokens.weight"] = "F32", table
    source = source_of(raw_file(arrays))
    content = read_content(source, structure_of(source))
    use = next(iter(content.tables.values()))

    assert ("500", "300,700") == (use.small, use.same)


def with_table() -> Arrays:
    """A model whose embedding has several blocks, and two equal rows in different ones."""
    table = np.random.default_rng(0).standard_normal((4096, 64)).astype("<f4")
    table[3] = table[4000]
    table[2000] = 0
    return {"model.embed_tokens.weight": ("F32", table), **weights(without_table(llama(range(1))))}


def without_table(tensors: dict[str, tuple[str, list[int]]]) -> dict[str, tuple[str, list[int]]]:
    return {name: one for name, one in tensors.items() if "embed_tokens" not in name}


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_a_table_is_taken_up_in_its_middle(blocks: int) -> None:
    data = raw_file(with_table())
    first, second = failing(data), failing(data)
    structure = structure_of(first)
    first.left = blocks
    with pytest.raises(SourceUnreachable):
        read_content(first, structure)
    content = read_content(second, structure)
    use = next(iter(content.tables.values()))

    assert content.bytes_resumed > 0
    assert ("2000", "3,4000") == (use.small, use.same)


@pytest.mark.usefixtures("_small_blocks")
def test_a_state_is_kept_now_and_then(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reading, "SECONDS", 0.0)
    source = failing(raw_file(big()))
    kept: list[int] = []

    class Looking:
        def begin(self, total: int) -> None: ...

        def advance(self, nbytes: int) -> None:
            kept.append(sum(path.is_file() for path in (tmp_path / "kept").rglob("*")))

        def end(self) -> None: ...

    read_content(source, structure_of(source), progress=Looking())

    assert 1 == max(kept)


@pytest.mark.usefixtures("_small_blocks")
def test_a_second_reading_for_copies_is_kept_too() -> None:
    arrays = big()
    one, two = "model.layers.0.mlp.up_proj.weight", "model.layers.2.mlp.up_proj.weight"
    arrays[two] = arrays[one]
    data = raw_file(arrays)
    whole = failing(data)
    structure = structure_of(whole)
    whole.ranges.clear()
    expected = read_content(whole, structure)
    first, second = failing(data), failing(data)
    first.left = len(whole.ranges) - 6  # in the second of the two
    with pytest.raises(SourceUnreachable):
        read_content(first, structure)
    content = read_content(second, structure)

    assert expected.alike == content.alike
    assert len(second.ranges) < 12

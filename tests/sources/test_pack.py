"""Header packs: byte for byte what the reader saw, and guarded like anything strange."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import lzma
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckptscan.checkpoint import load
from ckptscan.errors import CkptscanError, PackError, SourceUnreadable
from ckptscan.sources import open_source
from ckptscan.sources.base import FileEntry, Origin
from ckptscan.sources.memory import MemorySource
from ckptscan.sources.pack import FOLDER, MANIFEST, SCHEMA, Bounds, open_pack, write_pack
from ckptscan.structure import describe
from tests.conftest import ATTACKS, file_of, index_of, source_of

FILES = {
    "model-00001-of-00002.safetensors": {"a": ("F32", [1000])},
    "model-00002-of-00002.safetensors": {"b": ("BF16", [8])},
    "model.safetensors.index.json": index_of(
        {
            "a": "model-00001-of-00002.safetensors",
            "b": "model-00002-of-00002.safetensors",
        }
    ),
    "config.json": b'{"architectures":["X"]}',
    "original/consolidated.safetensors": {"c": ("U8", [4])},
    "readme.md": b"not kept",
}


def test_a_pack_tells_what_its_source_tells(tmp_path: Path) -> None:
    source = source_of(FILES, "model")
    path = str(tmp_path / "x.ckptpack")
    written = write_pack(source, path)
    one, other = load(source_of(FILES, "model")), load(open_source(path))

    assert describe(one).tree == describe(other).tree
    assert one.sets == other.sets
    assert one.faults == other.faults
    assert one.files == other.files
    assert one.config == other.config
    assert (
        other.origin.kind,
        other.origin.packed,
        other.origin.title,
    ) == ("pack", "memory", "model")
    assert (written.listed, written.kept) == (6, 5)
    assert written.kept_bytes < written.source_bytes


@pytest.mark.parametrize("path", sorted(ATTACKS.iterdir()), ids=lambda path: path.stem)
def test_a_pack_of_a_broken_file_shows_the_same_faults(path: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "x.ckptpack")
    write_pack(open_source(str(path)), target)

    assert load(open_source(str(path))).faults == load(open_source(target)).faults


def test_a_pack_of_a_pack_is_the_same_pack(tmp_path: Path) -> None:
    write_pack(source_of(FILES, "model"), str(tmp_path / "a.ckptpack"))
    write_pack(open_source(str(tmp_path / "a.ckptpack")), str(tmp_path / "b.ckptpack"))

    assert (tmp_path / "a.ckptpack").read_bytes() == (tmp_path / "b.ckptpack").read_bytes()


def test_only_the_header_of_a_weight_file_is_read_and_kept(tmp_path: Path) -> None:
    source = source_of(FILES)
    write_pack(source, str(tmp_path / "x.ckptpack"))
    name = "model-00001-of-00002.safetensors"
    header = 8 + int.from_bytes(source.held(name)[:8], "little")
    kept = open_pack(str(tmp_path / "x.ckptpack")).held(name)

    assert max(start + length for path, start, length in source.ranges if path == name) == header
    assert source.held(name)[:header] == kept


def test_weights_that_a_pack_does_not_hold_can_t_be_read(tmp_path: Path) -> None:
    write_pack(source_of(FILES), str(tmp_path / "x.ckptpack"))
    source = open_pack(str(tmp_path / "x.ckptpack"))

    with pytest.raises(SourceUnreadable, match="bytes are asked for"):
        source.read("model-00001-of-00002.safetensors", 1000, 8)


def test_a_pack_is_known_by_content_too(tmp_path: Path) -> None:
    write_pack(source_of(FILES), str(tmp_path / "attachment.bin"))

    assert 2 == len(load(open_source(str(tmp_path / "attachment.bin"))).table)


def test_a_digest_and_a_problem_travel_along(tmp_path: Path) -> None:
    entries = [
        FileEntry("a.safetensors", 80, "e" * 64),
        FileEntry("b.json", 0, None, "is a FIFO"),
    ]
    data = file_of({"a": ("U8", [8])})
    write_pack(
        MemorySource({"a.safetensors": data}, [entries[0]._replace(size=len(data)), entries[1]]),
        str(tmp_path / "x"),
    )
    files = open_pack(str(tmp_path / "x")).files()

    assert [("e" * 64, None), (None, "is a FIFO")] == [(one.digest, one.problem) for one in files]


def test_a_name_that_no_pack_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="no pack can hold"):
        write_pack(source_of({"a\nb.safetensors": {"a": ("U8", [1])}}), str(tmp_path / "x"))


def test_other_files_of_such_names_are_left_out(tmp_path: Path) -> None:
    files = {"a.safetensors": {"a": ("U8", [1])}, "odd\n.md": b"x"}
    written = write_pack(source_of(files), str(tmp_path / "x"))

    assert ("odd\n.md",) == written.left_out
    assert ["a.safetensors"] == [entry.path for entry in open_pack(str(tmp_path / "x")).files()]


def test_a_config_too_large_to_be_kept_is_told(tmp_path: Path) -> None:
    files = {"a.safetensors": {"a": ("U8", [1])}, "config.json": b" " * (2 << 20)}
    write_pack(source_of(files), str(tmp_path / "x"))
    checkpoint = load(open_pack(str(tmp_path / "x")))

    assert ["config-unusable"] == [fault.kind for _, fault in checkpoint.faults]


def test_a_pack_of_an_index_shows_the_set_of_that_index(tmp_path: Path) -> None:
    files = {
        "a.safetensors": {"a": ("U8", [9])},
        "a.safetensors.index.json": index_of({"a": "a.safetensors"}),
        "model.safetensors": {"b": ("U8", [1])},
        "model.safetensors.index.json": index_of({"b": "model.safetensors"}),
    }
    origin = Origin("x", "index", "a.safetensors.index.json")
    source = MemorySource(
        {path: held if isinstance(held, bytes) else file_of(held) for path, held in files.items()},
        origin=origin,
    )
    write_pack(source, str(tmp_path / "x"))

    assert ["a"] == list(load(source).table.names)
    assert ["a"] == list(load(open_pack(str(tmp_path / "x"))).table.names)


def test_nothing_is_written_through_a_link_or_left_behind(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "x.ckptpack.part").symlink_to(victim)
    (tmp_path / f"x.ckptpack.{os.getpid()}.part").symlink_to(victim)
    with pytest.raises(SourceUnreadable, match="file exists"):
        write_pack(source_of(FILES), str(tmp_path / "x.ckptpack"))
    (tmp_path / "folder" / "y").mkdir(parents=True)
    with pytest.raises(SourceUnreadable, match="directory"):
        write_pack(source_of(FILES), str(tmp_path / "folder"))

    assert b"precious" == victim.read_bytes()
    assert ["folder"] == [path.name for path in tmp_path.iterdir() if "folder" in path.name]


def test_headers_that_no_pack_could_hold_are_refused_when_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bounds, "limit", lambda self, packed: 1000)
    with pytest.raises(PackError, match="no pack holds headers of"):
        write_pack(source_of(FILES), str(tmp_path / "x"))


def test_a_pack_that_can_t_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="no such file"):
        write_pack(source_of(FILES), str(tmp_path / "absent" / "x.ckptpack"))


def manifest(*files: dict[str, Any], **changed: Any) -> bytes:
    source = {"title": "t", "kind": "directory", "revision": None, "commit": None}
    return json.dumps({"schema": SCHEMA, "source": source, "files": list(files)} | changed).encode()


def archive(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as opened:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(data), kind, "/etc/passwd"
            opened.addfile(member, io.BytesIO(data))
    return held.getvalue()


def sparse(size: int) -> bytes:
    """An archive with one old GNU sparse member that claims `size` bytes and has none."""
    member = tarfile.TarInfo(MANIFEST)
    raw = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    raw[156:157] = b"S"
    raw[483:495] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)  # type: ignore[attr-defined]
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw) + bytes(1024)


HELD = b"\x00" * 8
FILE = {"path": "a", "size": 8, "sha256": hashlib.sha256(HELD).hexdigest()}
BROKEN = {
    "empty": b"",
    "no xz": b"PK\x03\x04" + bytes(100),
    "four bytes": b"PK\x03\x04",
    "xz of rubbish": lzma.compress(b"rubbish" * 100),
    "xz cut short": lzma.compress(archive((MANIFEST, manifest())))[:-20],
    "a file that is none": lzma.compress(
        archive((MANIFEST, manifest(source={"title": "t", "kind": "file"})))
    ),
    "an index that is none": lzma.compress(
        archive((MANIFEST, manifest(source={"title": "t", "kind": "index"})))
    ),
    "sparse": lzma.compress(sparse(1 << 40)),
    "chained names": lzma.compress(archive((MANIFEST, manifest()), kind=b"L")),
    "no manifest": lzma.compress(archive((FOLDER + "a", HELD))),
    "manifest is no json": lzma.compress(archive((MANIFEST, b"{"))),
    "manifest is deep": lzma.compress(archive((MANIFEST, b"[" * 100_000))),
    "manifest is a list": lzma.compress(archive((MANIFEST, b"[]"))),
    "another schema": lzma.compress(archive((MANIFEST, manifest(schema="ckptscan.pack/9")))),
    "source is text": lzma.compress(archive((MANIFEST, manifest(source="x")))),
    "commit is a number": lzma.compress(
        archive((MANIFEST, manifest(source={"title": "t", "kind": "k", "commit": 1})))
    ),
    "size is negative": lzma.compress(archive((MANIFEST, manifest({"path": "a", "size": -1})))),
    "size is true": lzma.compress(archive((MANIFEST, manifest({"path": "a", "size": True})))),
    "size is absent": lzma.compress(archive((MANIFEST, manifest({"path": "a"})))),
    "path leads out": lzma.compress(archive((MANIFEST, manifest({"path": "../a", "size": 1})))),
    "path twice": lzma.compress(
        archive((MANIFEST, manifest({"path": "a", "size": 1}, {"path": "a", "size": 2})))
    ),
    "member leads out": lzma.compress(archive((MANIFEST, manifest()), ("../../x", b""))),
    "member is absolute": lzma.compress(archive((MANIFEST, manifest()), ("/etc/x", b""))),
    "member is a link": lzma.compress(archive((MANIFEST, b""), kind=tarfile.SYMTYPE)),
    "member is a device": lzma.compress(archive((MANIFEST, b""), kind=tarfile.CHRTYPE)),
    "member twice": lzma.compress(
        archive((MANIFEST, manifest(FILE)), (FOLDER + "a", HELD), (FOLDER + "a", HELD))
    ),
    "member not listed": lzma.compress(archive((MANIFEST, manifest()), (FOLDER + "a", HELD))),
    "other bytes than listed": lzma.compress(
        archive((MANIFEST, manifest(FILE)), (FOLDER + "a", b"\x01" * 8))
    ),
    "more bytes than the file": lzma.compress(
        archive((MANIFEST, manifest(FILE | {"size": 7})), (FOLDER + "a", HELD))
    ),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_pack_that_breaks_a_rule_is_refused_in_one_line(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.ckptpack").write_bytes(data)

    with pytest.raises(PackError, match="no header pack") as caught:
        open_source(str(tmp_path / "x.ckptpack"))
    assert caught.value.message.isprintable()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (Bounds(always=1 << 16), "would unpack to more than 1,0"),
        (Bounds(unpacked=1 << 20), "would unpack to more than 1,048,576 bytes"),
        (Bounds(packed=10), "more than any pack has"),
    ],
)
def test_a_pack_that_grows_too_large_is_refused(
    bounds: Bounds, message: str, tmp_path: Path
) -> None:
    (tmp_path / "bomb.ckptpack").write_bytes(lzma.compress(bytes(1 << 24)))

    with pytest.raises(PackError, match=message):
        open_pack(str(tmp_path / "bomb.ckptpack"), bounds)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 4000), junk=st.binary(min_size=1, max_size=4))
def test_a_damaged_pack_is_refused_or_read(place: int, junk: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.ckptpack"
    write_pack(source_of(FILES), str(path))
    data = lzma.decompress(path.read_bytes())
    place %= len(data)
    path.write_bytes(lzma.compress(data[:place] + junk + data[place + len(junk) :]))

    with contextlib.suppress(CkptscanError):
        load(open_source(str(path)))

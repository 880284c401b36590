"""Header packs: every header of a checkpoint byte for byte, in one small file.

A pack is a tar archive in an xz stream. Its first member, `ckptpack.json`, lists the files with
their full sizes; below `files/` lie the beginnings of the weight files up to the end of their
headers, the indexes and the small json files. A pack asserts and proves nothing: whoever wrote it
could write anything. Reading one is guarded like reading a strange checkpoint.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ckptscan.errors import PackError, SourceNotFound, SourceUnreadable
from ckptscan.paths import is_inside
from ckptscan.sources.base import FileEntry, Origin, Source, read_head
from ckptscan.sources.memory import MemorySource
from ckptscan.sources.writing import write_whole
from ckptscan.version import schema

SCHEMA = schema("pack")
MANIFEST = "ckptpack.json"
FOLDER = "files/"
SMALL = 1 << 20  # bytes; larger json files, tokenizers mostly, are listed and not kept
# what tarfile raises over archives that are none
_DAMAGE = (tarfile.TarError, ValueError, OverflowError, EOFError, OSError, RecursionError)
_MEMORY = 1 << 28  # bytes that decoding may take; a preset 9 pack wants 65 MiB
_PRESET = 1  # DeepSeek-V3: 0.2 s and 425 KB; preset 6 takes 6 s for 273 KB


class Bounds(NamedTuple):
    """How large a pack may be, and become: bytes packed, bytes unpacked, and their ratio.

    Up to `always` bytes unpacked no ratio is asked for. DeepSeek-V3 has a ratio of 50, a single
    repeated byte one of 7,000.
    """

    packed: int = 1 << 29
    unpacked: int = 1 << 30
    always: int = 1 << 28
    ratio: int = 400

    def limit(self, packed: int) -> int:
        """How many bytes so many packed ones may become."""
        return min(self.unpacked, max(self.always, self.ratio * packed))


class Packed(NamedTuple):
    """What was written: files listed, of which kept, bytes kept of how many in the source.

    `left_out` are files whose names no pack can hold; weights are never among them.
    """

    listed: int
    kept: int
    kept_bytes: int
    source_bytes: int
    pack_bytes: int
    left_out: tuple[str, ...] = ()


def write_pack(source: Source, path: str) -> Packed:
    """Write the pack of a source; the file appears only once it is whole.

    Raises SourceError where there is no weight file or one can't be read, PackError for a weight
    file whose name no pack can hold, and for headers that are more than a pack may hold.
    """
    entries = sorted(source.files(), key=lambda entry: entry.path)
    unfit = [entry for entry in entries if not is_inside(entry.path)]
    for entry in unfit:
        if _is_weights(source, entry):
            raise PackError(
                f"{entry.path!r}: no pack can hold a file of this name", "rename the file"
            )
    entries = [entry for entry in entries if entry not in unfit]
    if not any(_is_weights(source, entry) for entry in entries):
        raise SourceNotFound(
            f"{source.origin.spec}: no .safetensors file", "there is nothing to pack"
        )
    kept = dict(_beginnings(source, entries))
    manifest = json.dumps(_manifest(source.origin, entries, kept), indent=1).encode()
    archive = _archive(manifest, kept)
    packed = lzma.compress(archive, preset=_PRESET)
    if len(archive) > Bounds().limit(len(packed)):
        raise PackError(
            f"{source.origin.spec}: no pack holds headers of {len(archive):,} bytes",
            "look at it with ckptscan inspect",
        )
    try:
        write_whole(path, packed)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SourceUnreadable(f"{path}: {reason}", "choose another place with -o") from error
    return Packed(
        len(entries),
        len(kept),
        sum(map(len, kept.values())),
        sum(entry.size for entry in entries),
        len(packed),
        tuple(entry.path for entry in unfit),
    )


def _is_weights(source: Source, entry: FileEntry) -> bool:
    return entry.path.endswith(".safetensors") or source.origin.is_single_file


def _beginnings(source: Source, entries: list[FileEntry]) -> Iterator[tuple[str, bytes]]:
    """The files to keep: headers of weight files, indexes, small json files."""
    for entry in entries:
        is_weights = _is_weights(source, entry)
        is_index = ".safetensors.index" in entry.path
        if entry.problem:
            continue
        if is_weights:
            yield entry.path, read_head(source, entry)
        elif entry.path.endswith(".json") and (is_index or entry.size <= SMALL):
            yield entry.path, source.read(entry.path, 0, entry.size)


def _manifest(
    origin: Origin, entries: list[FileEntry], kept: Mapping[str, bytes]
) -> dict[str, Any]:
    files = []
    for entry in entries:
        facts: dict[str, Any] = {"path": entry.path, "size": entry.size}
        if entry.digest:
            facts["digest"] = entry.digest
        if entry.problem:
            facts["problem"] = entry.problem
        if entry.path in kept:
            facts["sha256"] = hashlib.sha256(kept[entry.path]).hexdigest()
        files.append(facts)
    return {
        "schema": SCHEMA,
        "source": {
            "title": origin.target if origin.is_index else origin.title,
            "kind": origin.packed or origin.named or origin.kind,
            "revision": origin.revision,
            "commit": origin.commit,
        },
        "files": files,
    }


def _archive(manifest: bytes, kept: Mapping[str, bytes]) -> bytes:
    """The tar archive; names and bytes only, so that the same input gives the same bytes."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in (
            (MANIFEST, manifest),
            *((FOLDER + path, data) for path, data in kept.items()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return held.getvalue()


def open_pack(spec: str, bounds: Bounds | None = None) -> MemorySource:
    """The source that a pack holds; raises PackError where it breaks a rule."""
    bounds = bounds or Bounds()
    size = os.path.getsize(spec)
    if size > bounds.packed:
        raise _broken(spec, f"{size:,} bytes are more than any pack has")
    with open(spec, "rb") as opened:
        packed = opened.read(bounds.packed)
    members = _members(spec, _unpacked(spec, packed, bounds))
    manifest = _parsed(spec, members.pop(MANIFEST, b""))
    entries = _listed(spec, manifest, members)
    origin = manifest["source"]
    return MemorySource(
        {name.removeprefix(FOLDER): data for name, data in members.items()},
        entries,
        Origin(
            spec,
            "pack",
            origin["title"],
            origin.get("revision"),
            origin.get("commit"),
            origin["kind"],
        ),
    )


def _unpacked(spec: str, packed: bytes, bounds: Bounds) -> bytes:
    """The tar archive, within the bounds of size, ratio and memory."""
    limit = bounds.limit(len(packed))
    try:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)
        data = decoder.decompress(packed, limit + 1)
    except (lzma.LZMAError, EOFError, MemoryError) as error:
        raise _broken(spec, f"the xz stream is damaged: {error}") from error
    if len(data) > limit:
        raise _broken(spec, f"it would unpack to more than {limit:,} bytes")
    if not decoder.eof:
        raise _broken(spec, "the xz stream is cut short")
    return data


def _members(spec: str, archive: bytes) -> dict[str, bytes]:
    """The members of the archive, all of them regular files with plain names."""
    members: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as opened:
            for member in opened:
                is_plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.sparse
                if not is_plain or not is_inside(member.name) or member.name in members:
                    raise _broken(spec, f"it holds {member.name[:80]!r}, which no pack does")
                held = opened.extractfile(member)
                members[member.name] = held.read() if held else b""
    except _DAMAGE as error:
        raise _broken(spec, f"the archive in it is damaged: {error}") from error
    return members


def _parsed(spec: str, data: bytes) -> dict[str, Any]:
    """The manifest, with each field of the type it must have."""
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _broken(spec, "its list of files can't be read") from error
    source = manifest.get("source") if isinstance(manifest, dict) else None
    files = manifest.get("files") if isinstance(manifest, dict) else None
    is_sound = (
        isinstance(source, dict)
        and isinstance(files, list)
        and manifest.get("schema") == SCHEMA
        and isinstance(source.get("title"), str)
        and isinstance(source.get("kind"), str)
        and all(isinstance(source.get(key), str | None) for key in ("revision", "commit"))
        and all(map(_is_file, files))
        and (source["kind"] != "file" or len(files) == 1)
        and (source["kind"] != "index" or source["title"] in {one["path"] for one in files})
    )
    if not is_sound:
        raise _broken(spec, f"its list of files is none of {SCHEMA}")
    return dict(manifest)


def _is_file(facts: object) -> bool:
    return (
        isinstance(facts, dict)
        and isinstance(facts.get("path"), str)
        and is_inside(facts["path"])
        and type(facts.get("size")) is int
        and 0 <= facts["size"] < 2**63
        and all(isinstance(facts.get(key), str | None) for key in ("digest", "sha256", "problem"))
    )


def _listed(
    spec: str, manifest: Mapping[str, Any], members: Mapping[str, bytes]
) -> list[FileEntry]:
    """The files of the manifest, each proved against what the archive holds of it."""
    entries = {}
    for facts in manifest["files"]:
        path, size = facts["path"], facts["size"]
        held = members.get(FOLDER + path)
        if held is not None and (
            len(held) > size or hashlib.sha256(held).hexdigest() != facts.get("sha256")
        ):
            raise _broken(spec, f"{path} is not what its list of files says")
        entries[path] = FileEntry(path, size, facts.get("digest"), facts.get("problem"))
    if len(entries) != len(manifest["files"]) or any(
        name.removeprefix(FOLDER) not in entries for name in members
    ):
        raise _broken(spec, "its list of files and what it holds differ")
    return list(entries.values())


def _broken(spec: str, reason: str) -> PackError:
    return PackError(f"{spec}: no header pack: {reason}", "write it again with ckptscan pack")

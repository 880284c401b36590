"""I002-I005: what an index says of each tensor, against the headers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ckptscan.checks.evidence.indexed import promised
from ckptscan.checks.places import bounded, by_pattern, of_kinds
from ckptscan.checks.values import Check, Finding, Subject, Where


def missing_from_shard(subject: Subject) -> Iterator[Finding]:
    """An index names a tensor in a file that does not hold it.

    What it finds: entries of a weight_map whose file has no such tensor; the message says where
    the tensor is instead, if anywhere.
    Why it matters: the tensor is left uninitialised, or the loader fails after the download
    (huggingface_hub#4725).
    Example: 1 tensor is not in the file where model.safetensors.index.json puts it.
    What to do: take the index that belongs to these files, or make a new one from the headers.
    """
    for path, found in subject.compared.items():
        if not found.absent:
            continue
        elsewhere = {name for names in found.unlisted.values() for name in names}
        lost = [name for names in found.absent.values() for name in names]
        moved = sum(name in elsewhere for name in lost)
        tail = f"; {moved:,} of them in another file" if moved else ""
        yield MISSING_FROM.finding(
            f"{len(lost):,} tensors are not in the files where {path} puts them{tail}",
            *bounded(
                place
                for said, names in found.absent.items()
                for place in by_pattern(names, _below(path, said))
            ),
            hint="make a new index from the headers",
            expected=len(lost),
            seen=0,
            elsewhere=moved,
        )


def _below(path: str, shard: str) -> str:
    folder = path.rpartition("/")[0]
    return f"{folder}/{shard}" if folder else shard


def unlisted_tensor(subject: Subject) -> Iterator[Finding]:
    """A file holds a tensor that its index does not name.

    What it finds: tensors of an indexed file that the weight_map does not have, or puts elsewhere.
    Why it matters: transformers never loads them; what was added is lost in silence.
    Example: 2 tensors of model-00001-of-00002.safetensors are not in the index.
    What to do: make a new index from the headers.
    """
    for path, found in subject.compared.items():
        weight_map = subject.checkpoint.indexes[path].weight_map
        unlisted = {
            file: [name for name in names if name not in weight_map]
            for file, names in found.unlisted.items()
        }
        count = sum(map(len, unlisted.values()))
        if count:
            yield UNLISTED.finding(
                f"{count:,} {'tensors are' if count > 1 else 'tensor is'} not in {path}",
                *bounded(
                    place for file, names in unlisted.items() for place in by_pattern(names, file)
                ),
                hint="make a new index from the headers",
                expected=0,
                seen=count,
            )


def tensor_in_two_shards(subject: Subject) -> Iterator[Finding]:
    """A tensor stands in two files of one set.

    What it finds: names that more than one shard holds, where the files are no parallel parts; as
    a warning, a name that an index lists twice.
    Why it matters: which one is loaded depends on the order of the files; some loaders crash
    (spark-vllm-docker#134: keys of shard 39 leaked into shard 40).
    Example: 3 tensors of an earlier file again, such as 'model.norm.weight'.
    What to do: find out which copy is meant, and write the other file without it.
    """
    for file, fault in of_kinds(subject.checkpoint, ("duplicate-tensor",)):
        yield TWO_SHARDS.finding(
            fault.message, Where(file), hint="write one of the files without its copy"
        )
    for path in subject.checkpoint.used:
        index = subject.checkpoint.indexes[path]
        again = index.tensors - len(index.weight_map)
        if again:
            yield TWO_SHARDS.finding(
                f"{path} lists {again:,} names more than once; the last counts",
                Where(path),
                severity="warning",
                hint="make a new index from the headers",
                expected=len(index.weight_map),
                seen=index.tensors,
            )


def wrong_total_size(subject: Subject) -> Iterator[Finding]:
    """An index states a size that is not the sum of the tensors.

    What it finds: `metadata.total_size` that differs from the bytes of all tensors, or is no
    number.
    Why it matters: it is what tools plan memory and disk with; a stale figure tells of an index
    that belongs to other files.
    Example: total_size says 1,369,062,772,000 bytes, the tensors have 688,574,839,360.
    What to do: make a new index; without other findings the weights are as they should be.
    """
    checkpoint = subject.checkpoint
    if checkpoint.incomplete:
        return
    for path in checkpoint.used:
        metadata = checkpoint.indexes[path].metadata
        if "total_size" not in metadata:
            continue
        named, stated = promised(checkpoint, path), metadata["total_size"]
        held = sum(shard.data_size for shard in checkpoint.table.shards if shard.path in named)
        if type(stated) is not int and not (type(stated) is float and math.isfinite(stated)):
            said = "no number"
        elif stated == held:
            continue
        else:
            said = f"{stated:,}"
        yield TOTAL_SIZE.finding(
            f"total_size of {path} says {said}, the tensors have {held:,} bytes",
            Where(path),
            hint="make a new index from the headers",
            expected=held,
            seen=stated if said != "no number" else None,
        )


MISSING_FROM = Check("I002", "missing-from-shard", "error", missing_from_shard)
UNLISTED = Check("I003", "unlisted-tensor", "warning", unlisted_tensor)
TWO_SHARDS = Check("I004", "tensor-in-two-shards", "error", tensor_in_two_shards)
TOTAL_SIZE = Check("I005", "wrong-total-size", "warning", wrong_total_size)

CHECKS: tuple[Check, ...] = (MISSING_FROM, UNLISTED, TWO_SHARDS, TOTAL_SIZE)

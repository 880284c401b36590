"""E002, E005: what is stored or shipped twice."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.evidence.contents import holds_same
from ckptscan.checks.places import bounded, place_of
from ckptscan.checks.values import INFERRED, Check, Finding, Subject, Where
from ckptscan.sets import OTHER_WEIGHTS

STORED_TWICE = "stored-twice"
# no shipment of weights: states of a training run, and small arrays
STATES = ("optimizer", "scheduler", "training_args", "rng_state", "scaler", "random_states")


def tied_stored_twice(subject: Subject) -> Iterator[Finding]:
    """A head that config ties to the embedding is stored beside it.

    What it finds: an output table of the embedding's shape, where the config says that they share
    their storage.
    Why it matters: it takes the bytes of the table again, and if the two differ, libraries load
    different models.
    Example: lm_head.weight [32000, 4096] is tied, and stored all the same.
    What to do: save with shared tensors dropped; compare the two before.
    """
    structure = subject.structure
    if structure.parameters.tied != STORED_TWICE:
        return
    heads = [family for family in structure.families if structure.role(family) == "lm_head"]
    tables = [family for family in structure.families if structure.role(family) == "embedding"]
    mine, theirs = ([row for family in side for row in family.rows] for side in (heads, tables))
    same = holds_same(subject.given.peeked, mine, theirs)
    if same is False:  # C008 tells of it
        return
    nbytes = sum(family.nbytes for family in heads)
    yield TIED.finding(
        f"the head is tied to the embedding, and stored all the same: {nbytes:,} bytes",
        *map(place_of, heads),
        confidence=INFERRED,
        hint="save with shared tensors dropped",
        bytes=nbytes,
        same=same,
    )


def second_format(subject: Subject) -> Iterator[Finding]:
    """The same weights may be here in another format or precision.

    What it finds: weight files of other formats (`.bin`, `.pth`, `.gguf`, `.onnx` ...) and variants
    (`.fp16.`) beside the chosen set, with their bytes.
    Why it matters: a download of the whole folder takes them all.
    Example: 3 further weight files of 13,476,839,424 bytes, such as original/consolidated.00.pth.
    What to do: download with a pattern: `--include '*.safetensors' '*.json'`.
    """
    checkpoint = subject.checkpoint
    others = [
        entry
        for entry in checkpoint.files
        if entry.path[entry.path.rfind(".") :].lower() in OTHER_WEIGHTS
        and not entry.path.rpartition("/")[2].startswith(STATES)
    ]
    mine = {shard.path for shard in checkpoint.table.shards}
    others += [
        entry for entry in checkpoint.files if entry.path not in mine and _is_variant(entry.path)
    ]
    total = sum(entry.size for entry in others)
    if others and mine and total:
        count = f"{len(others):,} further weight file{'s' * (len(others) != 1)}"
        yield SECOND_FORMAT.finding(
            f"{count} of {total:,} bytes, such as {others[0].path}",
            *bounded(Where(entry.path) for entry in others),
            confidence=INFERRED,
            hint="download with a pattern: --include '*.safetensors' '*.json'",
            files=len(others),
            bytes=total,
        )


def _is_variant(path: str) -> bool:
    name = path.rpartition("/")[2]
    if not name.endswith(".safetensors"):
        return False
    return any(f".{variant}." in name for variant in ("fp16", "fp32", "bf16", "non_ema", "ema"))


TIED = Check("E002", "tied-stored-twice", "info", tied_stored_twice)
SECOND_FORMAT = Check("E005", "second-format", "info", second_format)

CHECKS: tuple[Check, ...] = (TIED, SECOND_FORMAT)

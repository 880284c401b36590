"""L001-L004: tensors that are not what they were when the checkpoint was locked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ckptscan.checks.places import bounded, by_pattern
from ckptscan.checks.values import Check, Finding, Subject, Where

if TYPE_CHECKING:
    from ckptscan.lock import Drift, Recast

MOST = 20  # changes of one kind that are told apart
HINT = "take the revision that was locked, or lock it anew"
_Named = Sequence[tuple[str, tuple[str, ...]]]


def tensor_drift(subject: Subject) -> Iterator[Finding]:
    """Tensors have come or gone since the checkpoint was locked.

    What it finds: Names that the lock has and no file holds, and names that the lock does not have.
    Why it matters: It is another model than the one that was tested.
    Example: 1 tensor of the lock and no more, such as model.layers.3.mlp.up_proj.weight.
    What to do: Take the revision that was locked; if the change is meant, lock it anew.
    """
    drift = drift_of(subject)
    for kind, named, what in (
        ("removed", drift.removed, "of the lock and no more"),
        ("added", drift.added, "not of the lock"),
    ):
        count = sum(len(names) for _, names in named)
        if count:
            yield NAMES.finding(
                f"{_tensors(count)} {what}, such as {named[0][1][0][:200]}",
                *_places(named),
                hint=HINT,
                drift=kind,
                tensors=count,
            )


def drift_of(subject: Subject) -> Drift:
    """How the checkpoint has drifted from its lock."""
    from ckptscan.lock import NO_DRIFT

    return subject.given.lock.drift if subject.given.lock is not None else NO_DRIFT


def _places(named: _Named) -> tuple[Where, ...]:
    return bounded(where for file, names in named for where in by_pattern(names, file))


def _tensors(count: int) -> str:
    return f"{count:,} tensor{'s' * (count != 1)}"


def shape_drift(subject: Subject) -> Iterator[Finding]:
    """Tensors have another shape than when the checkpoint was locked.

    What it finds: Names that the lock has too, with another shape; one finding for each pair of
    shapes.
    Why it matters: A resized vocabulary or a changed width is another model under the same names.
    Example: model.embed_tokens.weight: [151936, 3584] in the lock, [152064, 3584] now.
    What to do: Take the revision that was locked; if the change is meant, lock it anew.
    """
    yield from _recast(SHAPES, drift_of(subject).shapes)


def dtype_drift(subject: Subject) -> Iterator[Finding]:
    """Tensors are stored in another dtype than when the checkpoint was locked.

    What it finds: Names that the lock has too, in another dtype; one finding for each pair.
    Why it matters: A cast loses digits and changes what a card must hold.
    Example: 224 tensors: BF16 in the lock, F16 now.
    What to do: Take the revision that was locked; if the change is meant, lock it anew.
    """
    yield from _recast(DTYPES, drift_of(subject).dtypes)


def placement_drift(subject: Subject) -> Iterator[Finding]:
    """Tensors stand in another file than when the checkpoint was locked.

    What it finds: Names that the lock has too, in another shard; with the file that
    they are in now.
    Why it matters: The files were written anew; what was pinned, cached or streamed by file is of
    no use.
    Example: 12 tensors: model-00001-of-00002.safetensors in the lock, model.safetensors now.
    What to do: Take the revision that was locked; if the change is meant, lock it anew.
    """
    moved = drift_of(subject).moved
    if moved:
        names = sum(len(one.names) for one in moved)
        first = moved[0]
        more = f" and {names - 1:,} more" if names > 1 else ""
        yield PLACES.finding(
            f"{first.names[0][:200]}{more}: in another file than in the lock",
            *bounded(where for one in moved for where in by_pattern(one.names, str(one.after))),
            hint=HINT,
            expected=first.before,
            seen=first.after,
            moves=[[one.before, one.after, len(one.names)] for one in moved[:MOST]],
        )


def _recast(check: Check, changes: Sequence[Recast]) -> Iterator[Finding]:
    """A finding for each of the first changes, one for all others."""
    for one in changes[:MOST]:
        before, after = (_written(value) for value in (one.before, one.after))
        more = f" and {len(one.names) - 1:,} more" if len(one.names) > 1 else ""
        yield check.finding(
            f"{one.names[0][:200]}{more}: {before} in the lock, {after} now",
            *by_pattern(one.names),
            hint=HINT,
            expected=one.before,
            seen=one.after,
        )
    rest = [name for one in changes[MOST:] for name in one.names]
    if rest:
        message = f"{_tensors(len(rest))} more, in {len(changes) - MOST:,} other ways"
        yield check.finding(message, *by_pattern(rest), hint=HINT, tensors=len(rest))


def _written(value: str | tuple[int, ...]) -> str:
    return value[:200] if isinstance(value, str) else str(list(value))


NAMES = Check("L001", "tensor-drift", "error", tensor_drift, "lock")
SHAPES = Check("L002", "shape-drift", "error", shape_drift, "lock")
DTYPES = Check("L003", "dtype-drift", "error", dtype_drift, "lock")
PLACES = Check("L004", "placement-drift", "error", placement_drift, "lock")

CHECKS: tuple[Check, ...] = (NAMES, SHAPES, DTYPES, PLACES)

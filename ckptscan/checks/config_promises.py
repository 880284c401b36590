"""What config.json promises of each tensor, against the headers (C016, C017, C018).

Layers, experts, tables and figures as a whole have checks of their own (C001, C003, C005, C006,
S004, S005, S009); these tell what only the tensors one by one can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from ckptscan.checks.config_widths import contradictions
from ckptscan.checks.evidence.judged import judged
from ckptscan.checks.places import bounded
from ckptscan.checks.values import INFERRED, Check, Finding, Subject, Where
from ckptscan.names import split_stars
from ckptscan.structure import Structure
from ckptscan.structure.expected.stacks import largest_stacks
from ckptscan.structure.expected.values import (
    BEYOND,
    BLOCKS,
    MISSING,
    SHAPE,
    TENSORS,
    Broken,
)


def _missing(subject: Subject) -> Iterator[Finding]:
    """Layers lack tensors that every layer of their kind must have.

    What it finds: A module that most layers of one kind hold (kinds as config.json tells them:
    layer_types, first_k_dense_replace, steps) and some lack, in no order; and a block that lacks
    a part in all layers: gate without up, experts without a router, keys without values, biases
    that the config declares.
    Why it matters: Loaders fill what is missing with random or uninitialised values and go on.
    Example: model.layers.*.self_attn.q_norm.weight is not in 3,7,12,13,20 of 36 layers that config
    calls alike.
    What to do: Download or convert the checkpoint again; compare with the base model.
    """
    told = _told_already(subject.structure)
    for one in subject.structure.expected.broken:
        if one.what != MISSING or one.topic not in (TENSORS, BLOCKS) or _is_told(one, told):
            continue
        is_block = one.topic == BLOCKS
        where = f"missing in {one.container}" if is_block else f"{one.seen} of {one.container}"
        name = one.role if is_block else one.pattern
        yield LOST.finding(
            f"{name} is {where}: {one.formula}",
            place_of(one),
            severity="error" if one.is_grave else "warning",
            confidence=INFERRED,
            hint="compare with the source of the checkpoint",
            expected=one.expected,
            seen=one.seen,
        )


def _beyond(subject: Subject) -> Iterator[Finding]:
    """A few layers have tensors that config.json gives no reason for.

    What it finds: A module that a few layers of one kind hold and most lack, in no order.
    Why it matters: Parts of another model, or of an unfinished conversion: loaders pass over them,
    or stop at an unexpected key.
    Example: model.layers.*.mlp.extra.weight is in 3,7,12 of 36 layers that config calls alike.
    What to do: Look where these tensors come from; write the checkpoint without them.
    """
    told = _told_already(subject.structure)
    for one in subject.structure.expected.broken:
        if one.what == BEYOND and one.topic == TENSORS and not _is_told(one, told):
            yield MORE.finding(
                f"{one.pattern} is {one.seen} of {one.container}: {one.formula}",
                place_of(one),
                confidence=INFERRED,
                hint="look where these tensors come from",
                expected=one.expected,
                seen=one.seen,
            )


def _misshapen(subject: Subject) -> Iterator[Finding]:
    """Tensors have another shape than config.json's figures make.

    What it finds: A tensor of another shape than the formula of its role gives, where the formula
    holds for the other layers, or for the tensor that it works with. Where the figures are wrong as
    a whole, config-size-mismatch tells it.
    Why it matters: A loader that builds the model from the config fails on this weight; one that
    does not, computes with a transposed or cut matrix.
    Example: model.layers.*.mlp.up_proj.weight is (4096, 11008); intermediate_size 11,008 x
    hidden_size 4,096 make it (11008, 4096).
    What to do: Take the tensor from the source again, or fix the conversion.
    """
    structure = subject.structure
    found = [one for one in structure.expected.broken if one.what == SHAPE]
    if not found:
        return
    spoken = {stack.container for stack in largest_stacks(structure)
              if any(contradictions(structure, stack))}  # fmt: skip
    told = _told_already(structure)
    kept = [one for one in found if one.container not in spoken and not _is_told(one, told)]
    for (pattern, seen), same in groupby(kept, key=lambda one: (one.pattern, one.seen)):
        alike = list(same)
        first = alike[0]
        yield SHAPES.finding(
            f"{pattern} has the shape {seen}, the config's figures make {first.expected}",
            *bounded(map(place_of, alike)),
            confidence=INFERRED,
            hint="take the tensor from the source again",
            expected=f"{first.expected}: {first.formula}",
            seen=seen,
        )


def place_of(one: Broken) -> Where:
    """Where a promise is not kept."""
    stars = len(split_stars(one.pattern)) - 1
    axes = tuple(map(str, one.axes)) if stars == len(one.axes) else ()
    return Where(pattern=one.pattern, indices=axes, count=one.tensors)


def _told_already(structure: Structure) -> dict[str, set[int]]:
    """The layers that the checks of odd layers speak of, by the path of the layers."""
    found: dict[str, set[int]] = {}
    for one in judged(structure):
        if not one.siblings.is_experts:
            found.setdefault(one.siblings.path, set()).update(one.own)
    return found


def _is_told(one: Broken, told: dict[str, set[int]]) -> bool:
    """Whether all the layers of it are told of as odd."""
    path = f"{one.container}.*" if one.container else "*"
    own: Iterable[int] = one.axes[0] if one.axes and one.topic == TENSORS else ()
    return path in told and bool(one.axes) and set(own) <= told[path] and one.topic == TENSORS


LOST = Check("C016", "promised-tensor-missing", "error", _missing)
MORE = Check("C017", "tensor-beyond-config", "warning", _beyond)
SHAPES = Check("C018", "promised-shape-mismatch", "error", _misshapen)
CHECKS: tuple[Check, ...] = (LOST, MORE, SHAPES)

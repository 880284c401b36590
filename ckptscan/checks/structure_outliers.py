"""Layers that are not like their siblings: tensors, shapes, dtypes (S001, S002, S003, S006)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

from ckptscan.checks.evidence.blocks import torn_blocks
from ckptscan.checks.evidence.judged import Judged, judged
from ckptscan.checks.evidence.siblings import (
    DTYPE,
    EXTRA,
    MISSING,
    SHAPE,
    Difference,
    all_siblings,
    contents,
    indices,
    place,
    shown,
)
from ckptscan.checks.values import INFERRED, Check, Finding, Subject, Where
from ckptscan.names import IndexSet
from ckptscan.structure import Node
from ckptscan.structure.counting import ends

_MOST_SHOWN = 12


def _odd_layers(subject: Subject) -> Iterator[Finding]:
    """A layer lacks a tensor that its siblings have, or has one more.

    What it finds: A layer whose set of tensors stands alone, where the layout of the layers is
    simple (all alike, two runs, a period) as soon as that one layer is like its siblings. First and
    last layers are judged only where what is left of them is incomplete. However many layers they
    are: blocks with two of gate, up and down, where others of the model have all three.
    Why it matters: Loaders fill what is missing with random or uninitialised values and go on: the
    model talks, and talks nonsense (ModelCloud/GPTQModel#3077, unslothai/unsloth#6200).
    Example: model.layers.17 lacks mlp.up_proj.weight, which 31 other layers have.
    What to do: Download or convert the checkpoint again; compare with the base model. Where the
    layer is meant to be so, allow odd-layer for this path.
    """
    told: set[tuple[str, int, str]] = set()
    for one in judged(subject.structure):
        if not one.siblings.is_experts:
            lost = [each for each in one.differences if each.what == MISSING]
            more = [each for each in one.differences if each.what == EXTRA]
            told |= {(one.siblings.path, i, each.role) for each in lost for i in one.own}
            if lost:
                yield _told(ODD_LAYER, one, lost, "lacks", "that its siblings have")
            if more:
                yield _told(ODD_LAYER, one, more, "has", "that its siblings lack")
    if subject.structure.adapter is None:
        yield from _torn_blocks(subject, told)
    yield from _lone_biases(subject)


def _torn_blocks(subject: Subject, told: set[tuple[str, int, str]]) -> Iterator[Finding]:
    """Layers with two of gate, up and down, or three of q, k, v and o: however many they are."""
    for torn in torn_blocks(subject.structure):
        path, outer = torn.siblings.path, torn.siblings.outer
        own = [i for i in indices(torn.kind) if not _is_told(told, path, i, torn.role)]
        if own:
            places = IndexSet.of(own, indices(torn.kind).width)
            block, beside = torn.block or "the layer", [name for name, _ in torn.held]
            yield ODD_LAYER.finding(
                f"{path} {places}: {block} has no {torn.role} projection beside "
                f"{' and '.join(beside)}",
                *(place(one.end, (*outer, places)) for _, one in torn.held),
                confidence=INFERRED,
                hint="other blocks of the model are whole; compare with the source",
                expected=f"{torn.role} projection",
                seen={name: shown(one.end) for name, one in torn.held},
            )


def _is_told(told: set[tuple[str, int, str]], path: str, index: int, role: str) -> bool:
    return any((path, index, prefix + role) in told for prefix in ("", "expert.", "shared_expert."))


def _lone_biases(subject: Subject) -> Iterator[Finding]:
    """Modules outside of any layer that have a bias and nothing to add it to.

    A head that is tied to the embedding keeps its bias, one number a token.
    """
    main = subject.structure.main
    shapes = (one.shape for one in ends(main) if one.role.name == "embedding")
    tokens = {shape[:1] for shape in shapes if shape}
    waiting = list(main.children)
    while waiting:
        node = waiting.pop()
        if node.repeat is not None and len(node.repeat) > 1:
            continue  # layers are compared with each other
        if len(node.children) == 1 and node.children[0].label == "bias" and node.children[0].ends:
            end = node.children[0].ends[0]
            is_head = end.role.name in ("lm_head", "head") or end.family.shape[:1] in tokens
            if len(end.family.shape) == 1 and not is_head:
                yield ODD_LAYER.finding(
                    f"{node.path} has a bias and no weight",
                    place(end, end.family.axes, end.family.count),
                    severity="warning",
                    confidence=INFERRED,
                    hint="compare with the source of the checkpoint",
                    expected=f"{node.path}.weight",
                    seen="bias alone",
                )
        waiting += node.children


def _odd_shapes(subject: Subject) -> Iterator[Finding]:
    """A tensor of a layer, or of an expert, has another shape than its siblings'.

    What it finds: A tensor with the shape that no sibling has, where all layers (or all layers of a
    kind) would be alike without that.
    Why it matters: A wrong slice, a transposed export or the part of another model: the loader
    stops with a size mismatch after gigabytes, or pads and truncates in silence.
    Example: model.layers.5.mlp.down_proj.weight is BF16 (4096, 5504), its siblings BF16 (4096,
    11008).
    What to do: Take the file that holds this layer from the source again, or fix the conversion.
    """
    for one in judged(subject.structure):
        found = [each for each in one.differences if each.what == SHAPE]
        if found:
            yield _told(ODD_SHAPE, one, found, "has", "of another shape than its siblings")
    yield from _torn(subject)


def _torn(subject: Subject) -> Iterator[Finding]:
    """Feed-forward blocks whose three projections do not fit each other."""
    for siblings in all_siblings(subject.structure):
        for kind in siblings.kinds:
            for block, shapes in _blocks(kind).items():
                found = _unfit(shapes)
                if found:
                    where = (*siblings.outer, indices(kind))
                    yield ODD_SHAPE.finding(
                        f"{siblings.path} {indices(kind)}: {block} {found} do not fit each other",
                        Where(
                            pattern=siblings.path,
                            indices=tuple(map(str, where)),
                            count=prod(map(len, where)),
                        ),
                        confidence=INFERRED,
                        hint="one of them is cut, or of another model",
                        expected="gate as up, down as up turned",
                        seen=found,
                    )


def _blocks(kind: Node) -> dict[str, dict[str, tuple[int, ...]]]:
    """The shapes of matrices below a layer by the names of their modules, block by block."""
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for suffix, held in contents(kind).items():
        path, _, leaf = suffix.rpartition(".")
        block, _, module = path.rpartition(".")
        kinds = {one.end.family.kind for one in held}
        if leaf == "weight" and len(kinds) == 1 and "*" not in block:
            shape, dtype = held[0].end.family.shape, held[0].end.family.dtype
            if len(shape) == 2 and dtype.kind == "float":
                found.setdefault(block, {})[module] = shape
    return found


def _unfit(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The projections of a gated block whose shapes contradict each other; or nothing."""
    for names in (("gate_proj", "up_proj", "down_proj"), ("w1", "w3", "w2")):
        if not all(name in shapes for name in names):
            continue
        gate, up, down = (shapes[name] for name in names)
        if gate != up or down != up[::-1]:
            return ", ".join(f"{name} {shapes[name]}" for name in names)
    return ""


def _odd_dtypes(subject: Subject) -> Iterator[Finding]:
    """A tensor of a layer, or of an expert, has another dtype than its siblings'.

    What it finds: A tensor of a dtype of its own, in one layer or expert of many.
    Why it matters: Kernels that take one dtype a model fail at that layer, or cast it each time
    (unslothai/unsloth-zoo#298, radixark/miles#1640).
    Example: model.layers.31.mlp.down_proj.weight is F32, its siblings are BF16.
    What to do: Cast it, unless a mixed precision is what you want: then allow odd-dtype for this
    path.
    """
    for one in judged(subject.structure):
        found = [each for each in one.differences if each.what == DTYPE]
        if found:
            yield _told(ODD_DTYPE, one, found, "has", "of another dtype than its siblings")


def _odd_experts(subject: Subject) -> Iterator[Finding]:
    """Experts lack a projection that the other experts of their layer have.

    What it finds: An expert without one of gate, up and down, or with a tensor that no other has.
    Why it matters: Engines skip the whole expert, or leave its weights as they were allocated:
    garbage for the tokens that are routed to it (kekzl/imp#1192).
    Example: Expert 17 of model.layers.3.mlp.experts lacks up_proj.weight.
    What to do: Take the shard that should hold it again; look whether each rank's experts were
    saved.
    """
    for one in judged(subject.structure):
        if one.siblings.is_experts:
            lost = [each for each in one.differences if each.what == MISSING]
            more = [each for each in one.differences if each.what == EXTRA]
            if lost:
                yield _told(ODD_EXPERT, one, lost, "lacks", "that its siblings have")
            if more:
                yield _told(ODD_EXPERT, one, more, "has", "that its siblings lack")


def _told(check: Check, one: Judged, found: list[Difference], verb: str, rest: str) -> Finding:
    """One finding for all tensors of one odd kind."""
    severity = "warning" if "error" not in (one.severity, check.severity) else check.severity
    if one.severity == "warning":
        severity = "warning"
    path = one.siblings.path
    names = ", ".join(each.suffix[:200] for each in found[:3]) + (", ..." if len(found) > 3 else "")
    return check.finding(
        f"{path} {one.own}: {verb} {names} {rest}",
        *(each.where(one.siblings.outer, one.own) for each in found[:_MOST_SHOWN]),
        severity=severity,
        confidence=one.confidence if one.siblings.is_experts else INFERRED,
        hint="compare with the source of the checkpoint; the layers beside it are whole",
        expected={each.suffix: shown(each.expected) for each in found[:_MOST_SHOWN]},
        seen={each.suffix: shown(each.seen) for each in found[:_MOST_SHOWN]},
    )


ODD_LAYER = Check("S001", "odd-layer", "error", _odd_layers)
ODD_SHAPE = Check("S002", "odd-shape", "error", _odd_shapes)
ODD_DTYPE = Check("S003", "odd-dtype", "warning", _odd_dtypes)
ODD_EXPERT = Check("S006", "incomplete-expert", "error", _odd_experts)
CHECKS: tuple[Check, ...] = (ODD_LAYER, ODD_SHAPE, ODD_DTYPE, ODD_EXPERT)

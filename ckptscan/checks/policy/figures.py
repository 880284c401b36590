"""The figures and facts of a checkpoint that a policy may speak of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ckptscan.checks.evidence.figures import main_stacks
from ckptscan.checks.policy.groups import MEASURES, parts_of
from ckptscan.checks.policy.values import Group
from ckptscan.checks.values import INFERRED, PROVED, Subject
from ckptscan.sets import other_weights
from ckptscan.structure import Attention, Structure

# of these figures, headers alone do not tell what is what
_PROVED = ("tensors", "bytes", "elements", "files", "shards", "largest shard")

_HEADLESS = ("linear", "ssm")  # kinds of attention whose heads are no query heads


def figure(subject: Subject, name: str, group: Group | None) -> tuple[int, ...]:
    """The values that a figure has, as layers may differ; none where it can't be told."""
    structure = subject.structure
    if group is not None:
        parts = parts_of(structure, group)
        return _known(MEASURES[name](structure, parts)) if parts else ()
    if name in _OF_ATTENTION:
        heads = [one for one in _main_attention(structure) if one.kind not in _HEADLESS]
        found = {_OF_ATTENTION[name](one) for one in heads}
        return () if None in found else tuple(sorted(one for one in found if one is not None))
    return _known(_FIGURES[name](subject))


def sureness(structure: Structure, name: str, group: Group | None) -> str:
    """Whether headers alone tell a figure."""
    if name == "parameters" and group is None:
        return PROVED if structure.parameters.labels.get("logical") == "exact" else INFERRED
    is_by_role = group is not None and group.is_by_role
    return PROVED if name in _PROVED and not is_by_role else INFERRED


def _known(value: int | None) -> tuple[int, ...]:
    return () if value is None else (value,)


def _main_attention(structure: Structure) -> list[Attention]:
    """The attention of the tower with most layers' bytes, without what drafts tokens."""
    stacks = main_stacks(structure)
    main = max(stacks, key=lambda one: one.nbytes).container if stacks else ""
    return [
        one
        for one in structure.attention
        if one.container == main and not one.is_mtp and one.kind != "none"
    ]


def _layers(subject: Subject) -> int | None:
    """Layers of the largest tower; encoder and decoder each for themselves where both are alike."""
    stacks = main_stacks(subject.structure)
    return len(max(stacks, key=lambda one: one.nbytes).indices) if stacks else None


def _experts(subject: Subject, field: str) -> int | None:
    experts = subject.structure.parameters.experts
    value: int | None = 0 if experts is None else getattr(experts, field)
    return value


def _active(subject: Subject) -> int | None:
    parameters = subject.structure.parameters
    if parameters.active is not None:
        return parameters.active.all
    return parameters.logical if parameters.experts is None else None


def _table(subject: Subject, axis: int) -> int | None:
    """A dimension of the largest input table."""
    structure = subject.structure
    shapes = [
        meaning.shape
        for family in structure.families
        if (meaning := structure.meaning(family)) is not None
        and meaning.role.name == "embedding"
        and meaning.shape is not None
        and len(meaning.shape) == 2
    ]
    return max(shapes)[axis] if shapes else None


_OF_ATTENTION: Mapping[str, Callable[[Attention], int | None]] = {
    "heads": lambda one: one.heads,
    "kv heads": lambda one: one.kv_heads,
    "head dim": lambda one: one.head_dim,
}
_FIGURES: Mapping[str, Callable[[Subject], int | None]] = {
    "parameters": lambda subject: subject.structure.parameters.logical,
    "active parameters": _active,
    "elements": lambda subject: subject.structure.numel,
    "tensors": lambda subject: subject.structure.tensors,
    "bytes": lambda subject: subject.structure.nbytes,
    "layers": _layers,
    "experts": lambda subject: _experts(subject, "routed"),
    "shared experts": lambda subject: _experts(subject, "shared"),
    "experts per token": lambda subject: _experts(subject, "per_token"),
    "vocabulary": lambda subject: _table(subject, 0),
    "hidden size": lambda subject: _table(subject, 1),
    "files": lambda subject: len(subject.checkpoint.files),
    "shards": lambda subject: len(subject.checkpoint.table.shards),
    "largest shard": lambda subject: max(
        (shard.file_size for shard in subject.checkpoint.table.shards), default=None
    ),
}


def fact(subject: Subject, name: str) -> tuple[str, ...]:
    """The values that a fact has, in lower case; none where it can't be told."""
    structure, config = subject.structure, subject.checkpoint.config
    if name == "attention":
        return _distinct(one.kind for one in _main_attention(structure))
    if name == "format":
        others = other_weights(entry.path for entry in subject.checkpoint.files)
        return ("safetensors", *others)
    if name == "quantization":
        found = structure.quantization
        if found is None:
            return ("none",)
        return _distinct((found.main.scheme, *filter(None, [found.declared])))
    said = config.architecture if name == "architecture" else config.model_type
    return _distinct([said]) if said else ()


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value.lower() for value in values))

"""Prefixes that a training wrapper left in the names: `module.`, `_orig_mod.`, `base_model.model.`.

They say how a model was saved, not what it is; they are left out where names are shown, and told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from sys import intern
from typing import NamedTuple

from ckptscan.structure.families import Family

# segments that only wrappers write, at any place: torch.compile, FSDP, activation checkpointing
_ANYWHERE = frozenset(
    {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"}
)
# segments that a wrapper writes before every name: DDP, PEFT, Lightning, EMA copies, ComfyUI
_LEADING = (
    ("base_model", "model"),
    ("model", "diffusion_model"),
    ("module",),
    ("state_dict",),
    ("model_ema",),
    ("ema",),
    ("ema_model",),
)


class Wrapper(NamedTuple):
    """A prefix that is left out where names are shown, and how many tensors have it."""

    prefix: str
    tensors: int


def unwrap(
    families: Iterable[Family],
) -> tuple[dict[tuple[str, str], list[str]], tuple[Wrapper, ...]]:
    """The segments of each pattern without wrappers, by component and pattern; and the wrappers.

    A leading prefix is a wrapper only where every name of its component has it.
    """
    by_component: dict[str, list[Family]] = {}
    for family in families:
        by_component.setdefault(family.component, []).append(family)
    shown: dict[tuple[str, str], list[str]] = {}
    counts: dict[str, int] = {}
    for members in by_component.values():
        patterns = {family.pattern: _segments(family.pattern) for family in members}
        leading = _leading(list(patterns.values()))
        for family in members:
            kept, dropped = _kept(patterns[family.pattern], leading)
            shown[family.component, family.pattern] = kept
            for prefix in dropped:
                counts[prefix] = counts.get(prefix, 0) + family.count
    return shown, tuple(Wrapper(prefix, count) for prefix, count in counts.items())


def _segments(pattern: str) -> list[str]:
    """The segments of a pattern; those that are equal in many patterns are held once."""
    return list(map(intern, pattern.split(".")))


def _leading(patterns: Sequence[Sequence[str]]) -> int:
    """How many of the first segments are wrappers of all patterns; at least one segment stays."""
    reached = 0
    found = True
    while found:
        found = False
        for prefix in _LEADING:
            size = len(prefix)
            if all(
                tuple(pattern[reached : reached + size]) == prefix and len(pattern) > reached + size
                for pattern in patterns
            ):
                reached += size
                found = bool(patterns)
                break
        if not found and all(
            len(pattern) > reached + 1 and pattern[reached] in _ANYWHERE for pattern in patterns
        ):
            reached += 1
            found = bool(patterns)
    return reached


def _kept(pattern: Sequence[str], leading: int) -> tuple[list[str], list[str]]:
    """The segments that are shown, and the wrappers left out, as prefixes with a dot."""
    first, rest = pattern[:leading], pattern[leading:]
    inner = [segment for segment in rest[:-1] if segment in _ANYWHERE]
    kept = [segment for segment in rest[:-1] if segment not in _ANYWHERE] + list(rest[-1:])
    dropped = [".".join(first) + "."] if first else []
    return kept, [*dropped, *(f"{segment}." for segment in dict.fromkeys(inner))]

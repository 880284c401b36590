"""Adapters against their base: sizes, targets, vocabulary (A003, A004, A006, A008)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

from ckptscan.checks.evidence.base import Weight
from ckptscan.checks.evidence.fitting import Fit, are_dialects, pattern_of
from ckptscan.checks.places import by_pattern
from ckptscan.checks.values import INFERRED, PROVED, Check, Finding, Subject
from ckptscan.names import is_index
from ckptscan.structure.updates import Update, find_updates

_TABLES = ("embedding", "lm_head")
_SHOWN = 12
# the parts that one module is fused of -> what the fused one may be called
_FUSED = {
    "q_proj": ("qkv_proj", "W_pack", "query_key_value", "Wqkv", "c_attn", "qkv", "wqkv"),
    "gate_proj": ("gate_up_proj", "gate_up", "w12"),
}
_KIN = {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj"}


class _Sizes(NamedTuple):
    """What an update asks for, out and in, and what the base has; rows of a table are a vocabulary.

    A magnitude, which scales the outputs or the inputs, stands alone.
    """

    asked: tuple[int | None, ...]
    there: tuple[int, ...]
    is_vocabulary: bool = False


def _size_mismatches(subject: Subject) -> Iterator[Finding]:
    """Updates whose features are not those of the module in the base model.

    What it finds: A and B of LoRA (and the parts of LoHa, LoKr, VeRA, IA3, DoRA) that do not
    multiply to the shape of the weight, unpacked where the base is quantized; stacked experts and
    Conv1D's turned weights are taken as they are stored.
    Why it matters: The adapter was trained on another model, often another size of the same family:
    it does not load, or merging fails (peft#1746, scope#922).
    Example: q_proj of the adapter is 4096 x 4096, that of the base 3584 x 3584.
    What to do: Take the base that adapter_config.json names.
    """
    found = [one for one in _unlike(subject) if not one[1].is_vocabulary]
    for sizes, kind, paths in _alike(found):
        yield SIZE.finding(
            f"{kind}: the adapter is made for {_shown(sizes.asked)}, "
            f"the base has {_shown(sizes.there)}",
            *by_pattern(paths),
            confidence=PROVED,
            hint="take the base that adapter_config.json names",
            expected=_shown(sizes.there),
            seen=_shown(sizes.asked),
        )


def _vocabulary(subject: Subject) -> Iterator[Finding]:
    """Tables that the adapter holds, or changes, have other rows than those of the base.

    What it finds: Embedding and output head, saved whole or updated, with another number of rows.
    Why it matters: Tokens were added before training: the base must be resized to the same rows
    before the adapter is loaded, or loading fails (LlamaFactory#7062).
    Example: the adapter holds lm_head (128264, 4096), the base (128256, 4096).
    What to do: Resize the base's embeddings to the adapter's tokenizer first.
    """
    found = [one for one in _unlike(subject) if one[1].is_vocabulary]
    for sizes, kind, paths in _alike(found):
        asked, there = sizes.asked[0] or 0, sizes.there[0]
        yield VOCABULARY.finding(
            f"{kind} has {asked:,} rows in the adapter, {there:,} in the base",
            *by_pattern(paths),
            confidence=PROVED,
            hint=f"resize the embeddings of the base to {asked:,} rows before loading",
            expected=there,
            seen=asked,
        )


def _unlike(subject: Subject) -> Iterator[tuple[str, _Sizes]]:
    """The modules whose sizes are not those of the base."""
    fit = subject.fit
    if fit is None:
        return
    document = subject.checkpoint.config.documents.get("adapter_config.json", {})
    may_turn = document.get("fan_in_fan_out") is True
    for update, path in fit.placed():
        weights = [one for one in fit.base.weights(path) if one.leaf != "bias"]
        sizes = _compared(update, weights, may_turn)
        if sizes is not None:
            yield update.path, sizes
    for path, shape in fit.contents.saved.items():
        weights = [one for one in fit.base.weights(path) if one.leaf == "weight"]
        sizes = _of_saved(shape, weights)
        if sizes is not None:
            yield path, sizes


def _compared(update: Update, weights: Sequence[Weight], may_turn: bool) -> _Sizes | None:
    """What does not fit in any of these weights, told of the first; None where one fits."""
    asked = update.out, update.inner
    known = [weight for weight in weights if weight.shape is not None and len(weight.shape) > 1]
    if len(known) < len(weights) or not known:
        return None
    unlike = [
        sizes for weight in known if (sizes := _against(asked, update.magnitude, weight, may_turn))
    ]
    return unlike[0] if len(unlike) == len(known) else None


def _against(
    asked: tuple[int | None, int | None], magnitude: int | None, weight: Weight, may_turn: bool
) -> _Sizes | None:
    shape = weight.shape or ()
    pairs = _sides(shape, weight.is_turned, may_turn)
    fitting = [pair for pair in pairs if _fits(asked, pair)]
    if not fitting:
        there = pairs[0]
        is_rows = asked[0] != there[0] and _fits((None, asked[1]), there)
        return _Sizes(asked, there, is_rows and weight.role in _TABLES)
    if magnitude is not None and not any(magnitude in pair for pair in fitting):
        return _Sizes((magnitude,), fitting[0])
    return None


def _sides(shape: tuple[int, ...], is_turned: bool | None, may_turn: bool) -> list[tuple[int, ...]]:
    """The features that a weight may have: out, in, and in once more with a kernel's taps."""
    if len(shape) == 2:
        straight, turned = shape, shape[::-1]
        if is_turned and not may_turn:
            return [turned]
        return [straight, turned] if may_turn or is_turned is None else [straight]
    # a stack of experts, either way about, or a convolution
    whole = prod(shape[1:])
    stack = [shape[-2:], shape[:-3:-1]] if len(shape) == 3 else []
    return [(shape[0], shape[1], whole), *stack]


def _fits(asked: tuple[int | None, int | None], there: Sequence[int]) -> bool:
    out, inner = asked
    return out in (None, there[0]) and (inner is None or inner in there[1:])


def _of_saved(shape: tuple[int, ...], weights: Sequence[Weight]) -> _Sizes | None:
    known = [weight for weight in weights if weight.shape is not None]
    if len(known) != 1 or known[0].shape == shape or len(weights) != 1:
        return None
    there = known[0].shape or ()
    is_rows = shape[1:] == there[1:] and known[0].role in _TABLES
    return _Sizes(shape, there, is_rows)


def _alike(found: Sequence[tuple[str, _Sizes]]) -> Iterator[tuple[_Sizes, str, list[str]]]:
    """The modules that are unlike in the same way, with what they are called."""
    groups: dict[tuple[_Sizes, str], list[str]] = {}
    for path, sizes in found:
        groups.setdefault((sizes, path.rpartition(".")[2]), []).append(path)
    for (sizes, kind), paths in groups.items():
        yield sizes, kind, list(dict.fromkeys(paths))


def _shown(sizes: Sequence[int | None]) -> str:
    """`4096 x 14336`: out and in; what is not told is a question mark."""
    told = sizes[:2] if len(sizes) > 1 else sizes
    return " x ".join("?" if size is None else str(size) for size in told)


def _targets(subject: Subject) -> Iterator[Finding]:
    """The adapter names modules that the base does not have.

    What it finds: No module of the adapter is one of the base, or most would be under another
    prefix (error), or some are not (warning). Changes of names that loaders make by
    themselves are taken as such.
    Why it matters: Engines pass over what they do not find: the model answers as if there were no
    adapter, and nothing is logged (vllm#34186, peft#2566, diffusers#10187).
    Example: 0 of 224 modules match; with `model.language_model.` for `model.` 224 do.
    What to do: Rename the adapter's tensors as the hint says, or take the base it was made for.
    """
    fit, base = subject.fit, subject.given.base
    if fit is None or base is None:
        return
    if not fit.modules:
        yield from _no_adapter(subject)
    elif find_updates(base.families).updates:
        yield TARGETS.finding(
            "the base is an adapter itself",
            severity="error",
            confidence=PROVED,
            hint="give the model that both belong to",
            expected="a model",
            seen=base.checkpoint.origin.title,
        )
    elif fit.astray:
        yield _astray(fit, base.checkpoint.incomplete)


def _no_adapter(subject: Subject) -> Iterator[Finding]:
    if subject.structure.families:
        yield TARGETS.finding(
            "a base is given, and no tensor here is part of an adapter",
            severity="warning",
            confidence=INFERRED,
            hint="--base is for adapters: ckptscan audit ADAPTER --base MODEL",
            expected="lora_A, lora_B or their kin",
            seen=f"{len(subject.structure.families):,} families of other tensors",
        )


def _astray(fit: Fit, is_incomplete: bool) -> Finding:
    hint = _hint(fit)
    # a lone head matches under any prefix of the layers
    is_most = bool(fit.wrong) and 2 * fit.wrong[0].modules > fit.modules
    is_grave = (is_most or not fit.found) and not are_dialects(fit) and not is_incomplete
    if is_incomplete:
        hint = f"the base is incomplete; {hint}"
    return TARGETS.finding(
        f"{len(fit.found):,} of {fit.modules:,} modules match the base{_better(fit)}",
        *by_pattern(fit.astray),
        severity="error" if is_grave else "warning",
        confidence=INFERRED if are_dialects(fit) or is_incomplete else PROVED,
        hint=hint,
        expected=f"{fit.modules:,} modules of the base",
        seen=f"{len(fit.found):,}",
        prefixes=[
            {"adapter": one.old, "base": one.new, "modules": one.modules} for one in fit.wrong
        ],
    )


def _better(fit: Fit) -> str:
    """`; with `model.language_model.` for `model.` 224 do`: the change that finds most."""
    if not fit.wrong:
        return ""
    best = fit.wrong[0]
    if not best.old:
        change = f"with the prefix `{best.new}`"
    elif not best.new:
        change = f"without the prefix `{best.old}`"
    else:
        change = f"with the prefix `{best.new}` for `{best.old}`"
    return f"; {change} {len(fit.found) + best.modules:,} do"


def _hint(fit: Fit) -> str:
    if fit.wrong:
        best = fit.wrong[0]
        old, new = best.old or "no prefix", best.new or "none"
        return f"rename the adapter's tensors: {new} for {old}" if best.old else f"put {new} first"
    fused = _fused(fit)
    if fused:
        return fused
    if are_dialects(fit):
        return "adapter and base name their modules in two ways: see that your loader knows both"
    first = fit.astray[0]
    if pattern_of(first) in set(map(pattern_of, fit.base.modules)):
        return "the base has such modules, and none of these numbers: is it the right base?"
    own = first.rpartition(".")[2]
    like = [path for path in fit.base.modules if path.endswith(f".{own}")]
    nearest = next(iter(like or fit.base.modules), "nothing")
    return f"is it the right base? the adapter has {first}, the base {nearest}"


def _fused(fit: Fit) -> str:
    """What stands in the base in place of the parts that the adapter changes, or the reverse."""
    for path in fit.astray:
        above, _, own = path.rpartition(".")
        for name in _FUSED.get(_KIN.get(own, own), ()):
            if fit.base.named(f"{above}.{name}"):
                return f"the base has {name} in the place of {own}: join the updates"
        part = next((part for part, names in _FUSED.items() if own in names), "")
        if part and fit.base.named(f"{above}.{part}"):
            return f"the base has {part} and its kin in the place of {own}: split the updates"
    return ""


def _match(subject: Subject) -> Iterator[Finding]:
    """How many modules of the base the adapter changes, and which.

    What it finds: The modules by name, where at least one matches; and changes of their names that
    loaders make by themselves.
    Why it matters: It is the proof that the adapter has an effect, and where.
    Example: 224 of 224 modules match: 32 q_proj, 32 k_proj ...
    What to do: Compare with target_modules.
    """
    fit = subject.fit
    if fit is None or not fit.found:
        return
    kinds: dict[str, int] = {}
    for path in fit.found:
        own = _own(path)
        kinds[own] = kinds.get(own, 0) + 1
    usual = [change for change in fit.changes if change.is_usual]
    renamed = "".join(
        f"; loaders read {one.old or 'no prefix'} as {one.new or 'no prefix'}" for one in usual[:2]
    )
    yield MATCH.finding(
        f"{len(fit.found):,} of {fit.modules:,} modules match the base{renamed}",
        *by_pattern(fit.found.values()),
        confidence=INFERRED if usual else PROVED,
        expected=f"{fit.modules:,} modules",
        seen=", ".join(f"{count:,} {own}" for own, count in list(kinds.items())[:_SHOWN]),
    )


def _own(path: str) -> str:
    """A module's own name: its last segments from the last that is no number."""
    segments = path.split(".")
    named = [at for at, segment in enumerate(segments) if not is_index(segment)]
    return ".".join(segments[named[-1] if named else 0 :])


SIZE = Check("A003", "adapter-size-mismatch", "error", _size_mismatches, "base")
TARGETS = Check("A004", "adapter-targets-missing", "error", _targets, "base")
VOCABULARY = Check("A006", "saved-vocabulary-mismatch", "warning", _vocabulary, "base")
MATCH = Check("A008", "adapter-match", "info", _match, "base")
CHECKS: tuple[Check, ...] = (SIZE, TARGETS, VOCABULARY, MATCH)

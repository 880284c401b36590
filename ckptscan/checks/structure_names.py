"""Names that tell how a checkpoint was saved: wrappers, old names, buffers (S007, S008, S010)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checks.evidence.buffers import made_anew, take_room
from ckptscan.checks.values import PROVED, Check, Finding, Subject, Where
from ckptscan.late import Late
from ckptscan.structure import Family

# bert.encoder.layer.*.output.LayerNorm.gamma
_OLD = Late(r"(?i)(?:layer_?norm|\bln[_\d]*|norm\d*)\.(?:gamma|beta)$")
_WEIGHT_NORM = Late(r"(?:^|\.)weight_[gv]$")
# single files of diffusion models, and averages that are the weights to use
_MEANT = ("model.diffusion_model", "model_ema", "ema")
_LONGEST = 1024
_MOST = 8


def _wrapped(subject: Subject) -> Iterator[Finding]:
    """Names keep the prefix of a wrapper: `module.`, `_orig_mod.`.

    What it finds: A prefix that DataParallel, torch.compile, FSDP or a trainer puts before every
    name, in a checkpoint that is no adapter.
    Why it matters: No name matches the model's, so that nothing is loaded and everything is
    initialised anew (nanoGPT#325, pytorch#101107, open_flamingo#210).
    Example: _orig_mod.model.layers.0.input_layernorm.weight and 290 more.
    What to do: Save the unwrapped model, or strip the prefix.
    """
    if subject.structure.adapter is not None or subject.checkpoint.config.is_of_adapter:
        return
    for wrapper in subject.structure.wrappers:
        yield WRAPPED.finding(
            f"{wrapper.tensors:,} names carry a wrapper's prefix: {wrapper.prefix}"[:200],
            severity="info" if wrapper.prefix.startswith(_MEANT) else "",
            confidence=PROVED,
            hint="save the unwrapped model, or strip the prefix",
            expected="names without it",
            seen=wrapper.prefix[:200],
        )


def _legacy(subject: Subject) -> Iterator[Finding]:
    """Norms are named gamma and beta, or a weight is stored as two.

    What it finds: LayerNorm.gamma and .beta of TensorFlow's days, weight_g and weight_v of the old
    weight norm.
    Why it matters: Libraries that do not rename them leave these norms at their initial values.
    Example: bert.encoder.layer.0.output.LayerNorm.gamma.
    What to do: Load with a library that knows the names and save again.
    """
    hint = "load with a library that knows the names, and save again"
    families = subject.structure.families
    yield from _listed(OLD, _old_norms(families), "old norm name", hint)
    split = [one for one in families if _WEIGHT_NORM.search(one.pattern[-_LONGEST:])]
    yield from _listed(OLD, split, "old weight-norm tensor", hint, "info")


def _old_norms(families: Sequence[Family]) -> list[Family]:
    """Vectors gamma and beta of one norm; a gamma alone, or of more axes, is meant so."""
    found = [one for one in families if _OLD.search(one.pattern[-_LONGEST:])]
    sides: dict[str, set[str]] = {}
    for one in found:
        if len(one.shape) == 1:
            module, _, leaf = one.pattern.rpartition(".")
            sides.setdefault(module, set()).add(leaf)
    return [one for one in found if len(sides.get(one.pattern.rpartition(".")[0], ())) > 1]


def _buffers(subject: Subject) -> Iterator[Finding]:
    """Buffers are stored that the model makes itself.

    What it finds: Tables such as inv_freq, position_ids and masks, of up to 1 MiB together; larger
    ones stored-buffer tells of. Not what training has counted or averaged, such as running_mean.
    Why it matters: A strict loader calls them unexpected, and an old table overrides the right one
    (transformers#6882, transformers#35255).
    Example: model.layers.*.self_attn.rotary_emb.inv_freq, 61 times.
    What to do: Nothing, or register them as not persistent.
    """
    found = made_anew(subject.structure)
    if not take_room(found):
        yield from _listed(BUFFERS, found, "buffer", "nothing, or register them as not persistent")


def _listed(
    check: Check, found: Sequence[Family], noun: str, hint: str, severity: str = ""
) -> Iterator[Finding]:
    if found:
        count = sum(one.count for one in found)
        yield check.finding(
            f"{count:,} {noun}{'s' * (count != 1)}, such as {found[0].pattern[:200]}",
            *(
                Where(pattern=one.pattern, indices=tuple(map(str, one.axes)), count=one.count)
                for one in found[:_MOST]
            ),
            severity=severity,
            confidence=PROVED,
            hint=hint,
            tensors=count,
        )


WRAPPED = Check("S007", "wrapper-prefix", "warning", _wrapped)
OLD = Check("S008", "legacy-names", "warning", _legacy)
BUFFERS = Check("S010", "stored-buffers", "info", _buffers)
CHECKS: tuple[Check, ...] = (WRAPPED, OLD, BUFFERS)

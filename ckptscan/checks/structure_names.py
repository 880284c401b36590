"""Names that tell of how a checkpoint was saved: wrappers, old names, buffers (S007 to S011)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checks.evidence.buffers import made_anew
from ckptscan.checks.evidence.figures import main_stacks
from ckptscan.checks.evidence.siblings import place, shown
from ckptscan.checks.values import INFERRED, PROVED, Check, Finding, Subject, Where
from ckptscan.late import Late
from ckptscan.structure import Family, Structure
from ckptscan.structure.counting import ends

# bert.encoder.layer.*.output.LayerNorm.gamma
_OLD = Late(r"(?i)(?:layer_?norm|\bln[_\d]*|norm\d*)\.(?:gamma|beta)$")
_WEIGHT_NORM = Late(r"(?:^|\.)weight_[gv]$")
# mp_rank_00.layers.0, shard_3_of_8.weight, model.tp_rank_1
_PART = Late(r"(?i)(?:^|[._])(?:mp|tp|pp|ep)_?rank_?(?:\d+|\*)(?=[._]|$)|[._](?:\d+|\*)-of-\d+")
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
    if subject.structure.adapter is not None:
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
    families = subject.structure.families
    yield from _listed(OLD, [one for one in families if _OLD.search(one.pattern[-_LONGEST:])],
                       "old names of a norm's weight and bias")  # fmt: skip
    split = [one for one in families if _WEIGHT_NORM.search(one.pattern[-_LONGEST:])]
    yield from _listed(OLD, split, "weights split by the old weight norm", "info")


def _buffers(subject: Subject) -> Iterator[Finding]:
    """Buffers are stored that the model makes itself.

    What it finds: inv_freq, position_ids, masks and the like; not what training has counted or
    averaged, as running_mean.
    Why it matters: A strict loader calls them unexpected, and an old table overrides the right one
    (transformers#6882, transformers#35255).
    Example: model.layers.*.self_attn.rotary_emb.inv_freq, 61 times.
    What to do: Nothing, or register them as not persistent.
    """
    yield from _listed(BUFFERS, made_anew(subject.structure), "buffers")


def _listed(
    check: Check, found: Sequence[Family], noun: str, severity: str = ""
) -> Iterator[Finding]:
    if found:
        count = sum(one.count for one in found)
        yield check.finding(
            f"{count:,} {noun}, as {found[0].pattern[:200]}",
            *(
                Where(pattern=one.pattern, indices=tuple(map(str, one.axes)), count=one.count)
                for one in found[:_MOST]
            ),
            severity=severity,
            confidence=PROVED,
            expected="none",
            seen=count,
        )


def _parts(subject: Subject) -> Iterator[Finding]:
    """One rank's part of a model is saved as if it were the whole.

    What it finds: Ranks in names (`mp_rank_00`), or attention projections that hold a half, a
    quarter or an eighth of the heads that config declares, in and out alike.
    Why it matters: The part loads nowhere, and the other ranks' parts are lost unless somebody
    kept them (KempnerForge#202).
    Example: o_proj takes in 2,048, config has 32 heads of 128.
    What to do: Gather the parts of all ranks before saving.
    """
    structure = subject.structure
    named = [one for one in structure.families if _PART.search(one.pattern[:_LONGEST])]
    if named and all(one.copies == 1 for one in named):
        yield from _listed(PARTS, named, "tensors named for a rank")
    yield from _cut(structure)


def _cut(structure: Structure) -> Iterator[Finding]:
    config = structure.checkpoint.config
    heads = config.number("num_attention_heads", "n_heads", "n_head")
    hidden = config.number("hidden_size", "n_embd", "dim")
    if heads is None or hidden is None:
        return
    dim = config.number("head_dim") or (hidden // heads if hidden % heads == 0 else 0)
    stack = next((one for one in main_stacks(structure) if one.tower == "text"), None)
    held = ends(stack.kinds[0]) if stack is not None else ()
    by_role = {end.role.name: end for end in held if len(end.shape or ()) == 2}
    queries, taken = by_role.get("q"), by_role.get("o")
    if queries is None or taken is None or not dim:
        return
    (rows, wide), (out, columns) = queries.shape or (0, 0), taken.shape or (0, 0)
    if wide != hidden or out != hidden:
        return  # a stack of another width than config speaks of
    for ranks in (2, 4, 8, 16):
        if rows == columns and rows * ranks == heads * dim and rows != hidden:
            yield PARTS.finding(
                f"projections hold 1 of {ranks} parts of {heads} heads",
                place(queries, queries.family.axes, queries.family.count),
                confidence=INFERRED,
                hint="gather the parts of all ranks before saving",
                expected=f"{heads * dim:,} rows",
                seen=shown(queries),
            )
            return


WRAPPED = Check("S007", "wrapper-prefix", "warning", _wrapped)
OLD = Check("S008", "legacy-names", "warning", _legacy)
BUFFERS = Check("S010", "stored-buffers", "info", _buffers)
PARTS = Check("S011", "rank-saved-as-whole", "warning", _parts)
CHECKS: tuple[Check, ...] = (WRAPPED, OLD, BUFFERS, PARTS)

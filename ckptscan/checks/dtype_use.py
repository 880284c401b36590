"""Dtypes that cost memory or break kernels (D001 to D005)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checks.values import INFERRED, PROVED, Check, Finding, Subject, Where
from ckptscan.structure import Family, Structure

_EXEMPT = frozenset(
    "norm qk_norm router router_bias ssm rope buffer quantization sinks position".split()
)
_HALF = ("BF16", "F16")
_WIDE = ("F64", "I64", "U64")
_SMALL = {
    "F8_E4M3": "compute capability 8.9 (Ada, Hopper) for FP8 kernels",
    "F8_E5M2": "compute capability 8.9 (Ada, Hopper) for FP8 kernels",
    "F4": "compute capability 10.0 (Blackwell) for FP4 kernels",
}
_MOST = 8


def _full_precision(subject: Subject) -> Iterator[Finding]:
    """Weights are stored in F32 where half the bytes would do.

    What it finds: A model of more than a billion parameters that is all F32, or F32 weights that
    take over 1 % of the bytes of a model in half precision; norms, routers and states of linear
    attention are meant to be exact and do not count.
    Why it matters: Twice the download and, where nothing casts, twice the memory
    (transformers#24683, OneTrainer#598).
    Example: lm_head.weight is F32 with 2,101,346,304 bytes in a BF16 model.
    What to do: Cast when saving, if the model was trained in half precision.
    """
    structure = subject.structure
    wide = [
        one for one in structure.families if one.dtype.name == "F32" and _is_weight(structure, one)
    ]
    nbytes = sum(one.nbytes for one in wide)
    half = sum(use.nbytes for use in structure.dtypes if use.dtype in _HALF)
    if not wide or structure.adapter is not None:
        return
    is_whole = not half and len(structure.dtypes) == 1 and structure.numel > 10**9
    if is_whole or (half > nbytes and 100 * nbytes > structure.nbytes):
        share = "all weights are F32" if is_whole else f"{nbytes:,} bytes are F32 in half precision"
        yield FULL.finding(
            share,
            *_places(wide),
            confidence=PROVED,
            hint="cast when saving",
            expected="BF16 or F16",
            seen=f"F32, {nbytes:,} bytes",
        )


def _wide(subject: Subject) -> Iterator[Finding]:
    """Tensors of 64 bits are stored.

    What it finds: F64, I64 and U64.
    Why it matters: Devices without 64-bit floats refuse them; as a rule they are buffers that
    nobody needs.
    Example: position_ids is I64.
    What to do: Nothing, or save without them.
    """
    found = [one for one in subject.structure.families if one.dtype.name in _WIDE]
    if found:
        yield WIDE.finding(
            f"{sum(one.count for one in found):,} tensors of 64 bits,"
            f" such as {found[0].pattern[:200]}",
            *_places(found),
            confidence=PROVED,
            expected="32 bits or fewer",
            seen=sorted({one.dtype.name for one in found}),
        )


def _mixed(subject: Subject) -> Iterator[Finding]:
    """Weights are in F16 and in BF16.

    What it finds: Both halves of precision among matrices, each in over 1 % of their bytes.
    Why it matters: A matrix product of the two fails, or casts one in silence; F16 overflows where
    BF16 does not (unsloth-zoo#298, transformers#13076).
    Example: q_proj is BF16, k_proj is F16.
    What to do: Cast all weights to one.
    """
    structure = subject.structure
    by_dtype = {
        dtype: [one for one in structure.families if one.dtype.name == dtype
                and _is_weight(structure, one)]
        for dtype in _HALF
    }  # fmt: skip
    sizes = {dtype: sum(one.nbytes for one in found) for dtype, found in by_dtype.items()}
    fewer = min(sizes, key=lambda dtype: sizes[dtype])
    if sizes[fewer] and 100 * sizes[fewer] > sum(sizes.values()):
        yield MIXED.finding(
            f"weights are BF16 ({sizes['BF16']:,} bytes) and F16 ({sizes['F16']:,} bytes)",
            *_places(by_dtype[fewer]),
            confidence=PROVED,
            hint="cast all weights to one of the two",
            expected="one of BF16 and F16",
            seen=sizes,
        )


def _uneven_norms(subject: Subject) -> Iterator[Finding]:
    """Norms or routers of one kind are partly F32 and partly not.

    What it finds: Tensors of one name in F32 in most layers and in half precision in others.
    Why it matters: Routing is decided by small differences; the layers that lost precision choose
    other experts (deepseek-ai/DeepSeek-V3#1002).
    Example: mlp.gate.e_score_correction_bias is F32 in 57 layers, BF16 in one.
    What to do: Save these in F32 in all layers.
    """
    structure = subject.structure
    by_pattern: dict[tuple[str, str], list[Family]] = {}
    for one in structure.families:
        if structure.role(one) in ("norm", "qk_norm", "router", "router_bias"):
            by_pattern.setdefault((one.component, one.pattern), []).append(one)
    for found in by_pattern.values():
        wide = sum(one.count for one in found if one.dtype.name == "F32")
        rest = [one for one in found if one.dtype.name in _HALF]
        if wide > sum(one.count for one in rest) and rest:
            yield NORMS.finding(
                f"{found[0].pattern[:200]} is F32 in {wide}, and not in others",
                *_places(rest),
                confidence=INFERRED,
                hint="save these in F32 in all layers",
                expected="F32",
                seen=sorted({one.dtype.name for one in rest}),
            )


def _needs_hardware(subject: Subject) -> Iterator[Finding]:
    """Weights of 8 or 4 bits in floats want a recent card.

    What it finds: FP8 and FP4 dtypes.
    Why it matters: Older cards have no kernels for them; engines fall back to slow or large ones.
    Example: F8_E4M3 in 680,571,043,840 bytes.
    What to do: See what your card can do before the download.
    """
    for use in subject.structure.dtypes:
        need = _SMALL.get(use.dtype)
        if need is not None and 100 * use.nbytes > subject.structure.nbytes:
            yield HARDWARE.finding(
                f"{use.dtype} in {use.nbytes:,} bytes: {need}",
                confidence=INFERRED,
                hint="see what your card can do before the download",
                key=use.dtype,
                needs=need,
            )


def _is_weight(structure: Structure, family: Family) -> bool:
    return len(family.shape) > 1 and structure.role(family) not in _EXEMPT


def _places(families: Sequence[Family]) -> list[Where]:
    return [
        Where(pattern=one.pattern, indices=tuple(map(str, one.axes)), count=one.count)
        for one in families[:_MOST]
    ]


FULL = Check("D001", "full-precision", "warning", _full_precision)
WIDE = Check("D002", "wide-dtype", "info", _wide)
MIXED = Check("D003", "mixed-halves", "warning", _mixed)
NORMS = Check("D004", "uneven-precision", "warning", _uneven_norms)
HARDWARE = Check("D005", "needs-recent-hardware", "info", _needs_hardware)
CHECKS: tuple[Check, ...] = (FULL, WIDE, MIXED, NORMS, HARDWARE)

"""Packed weights and what belongs to them (Q001 to Q005)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from ckptscan.checks.evidence.judged import BOOKS, leaf_of
from ckptscan.checks.evidence.packed import STACKED, Module, packed_ones
from ckptscan.checks.evidence.siblings import place, shown
from ckptscan.checks.values import PROVED, Check, Finding, Subject, Where
from ckptscan.structure import End
from ckptscan.structure.packing import CACHE_SCALES

_FLOAT8 = frozenset("F8_E4M3 F8_E5M2 F8_E4M3FNUZ F8_E5M2FNUZ".split())
_SCALES = ("weight_scale", "weight_scale_inv", "scale", "scale_weight", "weight_scales")
_GLOBAL = frozenset(
    "input_scale weight_scale_2 input_global_scale weight_global_scale activation_scale".split()
)
# what a weight can't be read without, whatever its siblings have
_NEEDED = {"qweight": ("scales",), "weight_packed": ("weight_scale", "scale_packed", "meta")}
# book-keeping by names that nothing else has
_CERTAIN = BOOKS - CACHE_SCALES - {"scales", "zeros", "biases", "SCB", "output_scale", "scale_inv"}
_ENDINGS = ("_scales", "_scale_inv", "_weight_scale", "_weight_scale_inv", "_scale")
# sizes that differ by nature: JSON text, one number more or less
_FREE = ("bitsandbytes__nf4", "bitsandbytes__fp4", "weight_shape")
_WITH_ZEROS = ("gptq", "awq")  # write zeros also where they are all alike
_MOST = 3  # in 4 modules have to agree before the rest is wrong


def _incomplete(subject: Subject) -> Iterator[Finding]:
    """A packed weight lacks scales, zeros, an index or another part of its set.

    What it finds: A tensor that belongs to a packed weight (by its scheme, or because the same
    module of nearly all other layers and experts has it) and is missing in some.
    Why it matters: The weight can't be unpacked; engines leave the part as it was allocated, or
    stop after minutes (GPTQModel#3077, unsloth#2643, GPTQ-for-LLaMa#62).
    Example: model.layers.5.mlp.up_proj has qweight, qzeros and scales, and no g_idx.
    What to do: Take the shard again, or quantize the module again.
    """
    for module, leaf, end in _lacking(subject):
        if _code(module, leaf) == "Q001":
            yield _told(PARTS, module, leaf, end)


def _no_scale(subject: Subject) -> Iterator[Finding]:
    """An FP8 weight has no scale.

    What it finds: A weight in 8-bit floats without weight_scale or weight_scale_inv, where the
    other FP8 weights of the model have one.
    Why it matters: Read raw, FP8 weights are off by the factor that the scale held, often some
    hundreds (radixark/miles#1640, imp#1450).
    Example: model.layers.3.mlp.experts.17.up_proj.weight is F8_E4M3 without weight_scale_inv.
    What to do: Take the shard again; if the scale is 1 by design, allow missing-scale.
    """
    for module, leaf, end in _lacking(subject):
        if _code(module, leaf) == "Q003":
            yield _told(SCALE, module, leaf, end)


def _no_global_scale(subject: Subject) -> Iterator[Finding]:
    """Some experts lack the scale of their inputs, or the second scale of their weights.

    What it finds: input_scale, weight_scale_2 or their kin in most experts, and not in all.
    Why it matters: Experts that no calibration sample reached have none, and engines read what lies
    in memory there (vllm#45212, vllm#45320, sglang#23625).
    Example: model.layers.*.mlp.experts.*.down_proj.input_scale is missing 16 times.
    What to do: Calibrate with more samples, or set the missing scales to the largest of the layer.
    """
    for module, leaf, end in _lacking(subject):
        if _code(module, leaf) == "Q004":
            yield _told(GLOBAL, module, leaf, end)


def _code(module: Module, leaf: str) -> str:
    if leaf_of(leaf) in _GLOBAL and "expert" in module.path.lower():
        return "Q004"
    weight = module.leaves.get(module.weight or "")
    is_float8 = weight is not None and weight.family.dtype.name in _FLOAT8
    return "Q003" if is_float8 and leaf in _SCALES else "Q001"


def _lacking(subject: Subject) -> Iterator[tuple[Module, str, End | None]]:
    """Modules, the leaf that they lack, and how it is elsewhere."""
    by_path = packed_ones(subject.structure)
    float8_scales = Counter(
        leaf
        for modules in by_path.values()
        for module in modules
        for leaf in _SCALES
        if leaf in module.leaves
        and (end := module.leaves.get("weight")) is not None
        and end.family.dtype.name in _FLOAT8
    )
    zeros = _zeros_wanted(subject, by_path)
    for modules in by_path.values():
        told: set[tuple[int, str]] = set()
        for leaf, end, odd in _against_most(modules):
            for module in odd:
                told.add((id(module), leaf))
                yield module, leaf, end
        for module in modules:
            leaf = _needed(module, bool(float8_scales)) or zeros(module)
            if leaf and not any(key[0] == id(module) for key in told):
                yield module, leaf, None


def _zeros_wanted(
    subject: Subject, by_path: Mapping[str, Sequence[Module]]
) -> Callable[[Module], str]:
    """What tells the zeros that a module lacks, where none has them and the method stores them."""
    said = subject.checkpoint.config.quantization
    layouts = (said.get("checkpoint_format"), said.get("format"), said.get("version"))
    is_stored = said.get("quant_method") in _WITH_ZEROS and not {"marlin", "bitblas"} & {
        layout for layout in layouts if isinstance(layout, str)
    }
    has_any = any("qzeros" in one.leaves for modules in by_path.values() for one in modules)
    if has_any or not is_stored:
        return lambda module: ""
    return lambda module: "qzeros" if {"qweight", "scales"} <= module.leaves.keys() else ""


def _against_most(modules: Sequence[Module]) -> Iterator[tuple[str, End, list[Module]]]:
    """Leaves that nearly all modules of one path have, and the few that do not."""
    if len(modules) < 2:
        return
    for weight in dict.fromkeys(module.weight for module in modules):
        if weight is None:
            continue
        alike = [module for module in modules if module.weight == weight]
        kinds = Counter(module.leaves[weight].family.dtype.name for module in alike)
        dtype = kinds.most_common(1)[0][0]
        alike = [one for one in alike if one.leaves[weight].family.dtype.name == dtype]
        total = sum(module.instances for module in alike)
        ends: dict[str, End] = {}
        for module in alike:
            for leaf, end in module.leaves.items():
                ends.setdefault(leaf, end)
        for leaf, end in ends.items():
            if leaf == weight or not _is_book(leaf, end):
                continue
            odd = [module for module in alike if leaf not in module.leaves]
            have = total - sum(module.instances for module in odd)
            if odd and (have > 2 * (total - have) or (have > total - have and have > 1)):
                yield leaf, end, odd


def _is_book(leaf: str, end: End) -> bool:
    return end.role.name == "quantization" or leaf_of(leaf) in BOOKS


def _needed(module: Module, has_scales: bool) -> str:
    """What a weight can't do without and lacks."""
    for weight, parts in _NEEDED.items():
        if weight in module.leaves and not any(part in module.leaves for part in parts):
            return parts[0]
    for leaf in module.leaves:
        stem = leaf.removesuffix("_blocks")
        if stem != leaf and f"{stem}_scales" not in module.leaves:
            return f"{stem}_scales"
    end = module.leaves.get("weight")
    if end is None or end.family.dtype.name not in _FLOAT8 or len(end.family.shape) < 2:
        return ""
    return _SCALES[0] if has_scales and not any(s in module.leaves for s in _SCALES) else ""


def _told(check: Check, module: Module, leaf: str, end: End | None) -> Finding:
    weight = module.leaves.get(module.weight or next(iter(module.leaves)))
    found = end or weight
    where = place(found, module.axes) if found else Where(pattern=f"{module.path}.{leaf}")
    at = ", ".join(map(str, module.axes))
    return check.finding(
        f"{module.path}: no {leaf}" + (f" at {at}" if at else ""),
        where,
        confidence=PROVED,
        hint="take the shard again, or quantize the module again",
        expected=f"{leaf} {shown(end)}" if end else leaf,
        seen=sorted(module.leaves)[:12],
    )


def _orphans(subject: Subject) -> Iterator[Finding]:
    """A scale or another part of a packed weight stands without a weight.

    What it finds: weight_scale, qzeros, g_idx, absmax and their kin in a module that holds no
    weight, or a weight that is not packed.
    Why it matters: The weight was lost, renamed, or saved unpacked beside stale scales; the NVFP4
    converter of compressed-tensors stops at exactly this.
    Example: model.layers.2.self_attn.q_proj has weight_scale and no weight.
    What to do: Take the shard again; where the module is not quantized, drop the scale.
    """
    for modules in packed_ones(subject.structure).values():
        with_weight = any(module.weight is not None for module in modules)
        for module in modules:
            lost = _without_weight(module, certain=not with_weight)
            if lost:
                at = ", ".join(map(str, module.axes))
                yield ORPHAN.finding(
                    f"{module.path}: {', '.join(lost[:4])} without a weight to scale"
                    + (f" at {at}" if at else ""),
                    *(place(module.leaves[leaf], module.axes) for leaf in lost[:8]),
                    confidence=PROVED,
                    hint="the weight is lost, renamed or not packed",
                    expected="a packed weight",
                    seen=sorted(module.leaves)[:12],
                )


def _without_weight(module: Module, certain: bool) -> list[str]:
    """The books in a module that have no weight to speak of."""
    if module.weight is not None:
        end = module.leaves[module.weight]
        plain = end.family.dtype.name in ("BF16", "F16", "F32") and module.weight == "weight"
        stale = ("weight_scale", "weight_scale_inv", "qzeros", "weight.absmax")
        return [leaf for leaf in stale if plain and leaf in module.leaves]
    lost = [leaf for leaf in module.leaves if leaf_of(leaf) in _CERTAIN]
    if not certain:
        lost += [leaf for leaf in module.leaves if leaf in ("scales", "zeros", "SCB")]
    for leaf in module.leaves:
        for ending in _ENDINGS:
            stem = leaf.removesuffix(ending)
            if stem == leaf or not stem or leaf in BOOKS or leaf in CACHE_SCALES:
                continue
            names = (stem, f"{stem}_weight", f"{stem}.weight", *(stem + end for end in STACKED))
            if stem.endswith("proj") and not any(name in module.leaves for name in names):
                lost.append(leaf)
            break
    return sorted(set(lost))


def _misfits(subject: Subject) -> Iterator[Finding]:
    """A scale's shape does not fit its weight.

    What it finds: Scales, zeros or indices whose shape no group, block or channel of the weight
    explains, or that differ from those of the same weight in the other layers.
    Why it matters: Kernels read past the end of a scale that is too small, or apply the wrong one
    (NVIDIA/Model-Optimizer#2038: weight_scale of half the size).
    Example: up_proj.weight_scale_inv (8, 56) beside weight (2048, 7168): (16, 56) was expected.
    What to do: Quantize or convert the module again.
    """
    for modules in packed_ones(subject.structure).values():
        for module in modules:
            said = [problem for one in module.packings for problem in one.problems]
            wrong = next((text for text in said if "does not fit" in text), "")
            leaf, expected = _unlike_most(module, modules)
            if not wrong and leaf is None:
                continue
            at = ", ".join(map(str, module.axes))
            end = module.leaves[leaf] if leaf else next(iter(module.leaves.values()))
            seen = wrong or f"{leaf} {end.family.shape}"
            yield MISFIT.finding(
                f"{module.path}: {wrong or f'{leaf} is of another shape than elsewhere'}"
                + (f" at {at}" if at else ""),
                place(end, module.axes),
                confidence=PROVED,
                hint="quantize or convert the module again",
                expected=expected or "one scale a tensor, channel, group or block",
                seen=seen,
            )


def _unlike_most(module: Module, modules: Sequence[Module]) -> tuple[str | None, str]:
    """A book whose shape is another than beside the same weight in most places."""
    weight = module.weight
    if weight is None or len(modules) < 2:
        return None, ""
    kind = module.leaves[weight].family.kind
    alike = [one for one in modules if weight in one.leaves]
    alike = [one for one in alike if one.leaves[weight].family.kind == kind]
    for leaf, end in module.leaves.items():
        if leaf == weight or not _is_book(leaf, end) or leaf_of(leaf) in _FREE:
            continue
        shapes: Counter[tuple[int, ...]] = Counter()
        for one in alike:
            if leaf in one.leaves:
                shapes[one.leaves[leaf].family.shape] += one.instances
        (most, count), own = shapes.most_common(1)[0], end.family.shape
        if own != most and count > _MOST * shapes[own]:
            return leaf, f"{leaf} {most}"
    return None, ""


PARTS = Check("Q001", "incomplete-packed-weight", "error", _incomplete)
ORPHAN = Check("Q002", "orphan-scale", "error", _orphans)
SCALE = Check("Q003", "missing-scale", "error", _no_scale)
GLOBAL = Check("Q004", "missing-expert-scale", "error", _no_global_scale)
MISFIT = Check("Q005", "scale-shape-mismatch", "error", _misfits)
CHECKS: tuple[Check, ...] = (PARTS, ORPHAN, SCALE, GLOBAL, MISFIT)

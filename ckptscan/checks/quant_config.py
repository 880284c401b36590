"""What config says of quantization against what is packed (C014, Q006, Q007, Q009)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ckptscan.checks.evidence.listed import Lists, find_lists
from ckptscan.checks.evidence.packed import Module, packed_modules
from ckptscan.checks.evidence.siblings import place
from ckptscan.checks.places import place_of
from ckptscan.checks.values import INFERRED, Check, Finding, Subject, Where
from ckptscan.structure import Structure
from ckptscan.structure.quantization import Scheme

_Said = Mapping[str, object]
# methods that quantize while loading, so that plain weights are what they expect
_WHILE_LOADING = ("bitsandbytes", "torchao", "hqq", "eetq", "quanto", "fbgemm_fp8")
# what config calls a method -> how its schemes begin
_METHODS = {
    "gptq": ("gptq", "marlin", "qqq", "packed"),
    "awq": ("awq", "marlin", "packed"),
    "fp8": ("fp8", "mxfp8", "fp4"),
    "mxfp4": ("mxfp4",),
    "bitsandbytes": ("bnb",),
    "compressed-tensors": ("pack-quantized", "fp8", "int8", "nvfp4", "mxfp", "fp4", "marlin-24"),
}
# what says that a method packs some modules only
_ONLY_SOME = ("modules_in_block_to_quantize", "inside_layer_modules", "modules_to_quantize")
_PROJECTIONS = frozenset(
    "q k v o qkv gate up down gate_up expert.gate expert.up expert.down expert.gate_up".split()
)


def _presence(subject: Subject) -> Iterator[Finding]:
    """Config declares a quantization that no tensor has, or the other way about.

    What it finds: quantization_config without packed weights, or packed weights without a word in
    config.json. Methods that quantize while loading are told as warnings.
    Why it matters: The loader looks for scales that are not there, or reads packed bytes as weights
    (radixark/miles#1640, vllm#52501).
    Example: quant_method is gptq, every weight is BF16.
    What to do: Take the config that belongs to these weights.
    """
    structure, config = subject.structure, subject.checkpoint.config
    if structure.adapter is not None or subject.checkpoint.configs or not structure.families:
        return
    method = config.quantization.get("quant_method")
    if config.quantization and structure.quantization is None:
        is_lazy = method in _WHILE_LOADING or config.quantization.get("format") == "dense"
        yield PRESENCE.finding(
            f"config declares quantization{_named(method)}, no weight is packed",
            Where(file="config.json"),
            severity="warning" if is_lazy else "error",
            confidence=INFERRED,
            hint="take the config that belongs to these weights",
            expected=str(method or "packed weights")[:80],
            seen=[use.dtype for use in structure.dtypes][:6],
        )
    elif structure.quantization is not None and not config.quantization and config.model_type:
        main = structure.quantization.main
        is_bare = main.scheme == "fp8" and main.group is None
        yield PRESENCE.finding(
            f"weights are packed as {main.scheme}, config.json does not say so",
            Where(file="config.json"),
            severity="warning" if is_bare or main.scheme == "packed" else "error",
            confidence=INFERRED,
            hint="add the quantization_config that the weights were written with",
            expected="quantization_config",
            seen=main.scheme,
        )


def _named(method: object) -> str:
    return f" ({method[:40]})" if isinstance(method, str) else ""


def _figures(subject: Subject) -> Iterator[Finding]:
    """Bits, group size, block or method in config are not those of the tensors.

    What it finds: quantization_config against what the shapes of weights and scales say.
    Why it matters: Kernels unpack with the config's figures: wrong values, and no error.
    Example: config says 8 bits, qweight and g_idx have 4.
    What to do: Take the config that was written with the weights.
    """
    structure, config = subject.structure, subject.checkpoint.config
    if structure.quantization is None or not config.quantization or subject.checkpoint.configs:
        return
    main = structure.quantization.main
    for key, expected, seen in _disagreements(config.quantization, main, subject):
        yield FIGURES.finding(
            f"config says {key} {expected}, the tensors have {seen}",
            Where(file="config.json"),
            confidence=INFERRED,
            hint="take the config that was written with these weights",
            key=key,
            expected=expected,
            seen=seen,
        )


def _disagreements(said: _Said, main: Scheme, subject: Subject) -> Iterator[tuple[str, str, str]]:
    method = said.get("quant_method")
    known = _METHODS.get(method.lower()) if isinstance(method, str) else None
    if known is not None and isinstance(method, str) and not main.scheme.startswith(known):
        yield "quant_method", method, main.scheme
        return
    group = subject.checkpoint.config.weight_groups
    own = group[0] if len(group) == 1 else said
    bits = next((own[k] for k in ("bits", "w_bit", "num_bits", "weight_bits") if k in own), None)
    schemes = subject.structure.quantization.schemes if subject.structure.quantization else ()
    held = {one.bits for one in schemes}
    if type(bits) is int and main.bits is not None and main.label == "exact" and bits not in held:
        yield "bits", str(bits), str(main.bits)
    groups = {one.group for one in schemes}
    size = own.get("group_size", own.get("q_group_size"))
    is_size = type(size) is int and size > 0 and main.label == "exact"
    if is_size and isinstance(main.group, int) and size not in groups:
        yield "group_size", str(size), str(main.group)
    block = own.get("weight_block_size", own.get("block_structure"))
    if isinstance(block, list) and isinstance(main.group, tuple):
        is_block = len(block) == 2 and all(type(edge) is int for edge in block)
        if is_block and tuple(block) not in groups:
            yield "weight_block_size", str(block)[:40], str(list(main.group))


def _converted(subject: Subject) -> Iterator[Finding]:
    """A module that config lists as not quantized is quantized, or the other way about.

    What it finds: Names in modules_to_not_convert, ignore and their kin (exact names, segments of
    paths, wildcards, `re:` expressions, GPTQ's `-:`) whose weight is packed; and projections that
    are plain in all layers, beside packed ones, though no list leaves them out.
    Why it matters: The engine makes a plain module and finds no plain weight, or makes a packed one
    and finds no scale (vllm#25029: the router was quantized; vllm#52501, GPTQModel#1680).
    Example: lm_head is in modules_to_not_convert, lm_head.qweight is there.
    What to do: Correct the list, or keep the module as it was.
    """
    lists = find_lists(subject.checkpoint.config)
    modules = [one for one in packed_modules(subject.structure) if one.packings]
    told: set[str] = set()
    for module in modules:
        entry = next((one for one in lists.entries if one.names(module.path, module.axes)), None)
        if entry is not None and module.path not in told:
            told.add(module.path)
            end = next(iter(module.leaves.values()))
            yield CONVERTED.finding(
                f"{module.path} is packed, config lists {entry.text} as not quantized",
                place(end, module.axes),
                confidence=INFERRED,
                hint="correct the list, or keep the module unquantized",
                expected="a plain weight",
                seen=sorted(module.leaves)[:12],
            )
    if lists.is_complete and _quantizes_all(subject.checkpoint.config.quantization):
        yield from _left_plain(subject.structure, modules, lists)


def _quantizes_all(said: _Said) -> bool:
    """Whether the method packs every Linear that no list leaves out."""
    method = said.get("quant_method")
    if method == "compressed-tensors":
        groups = said.get("config_groups")
        held = list(groups.values()) if isinstance(groups, dict) else []
        return bool(held) and all(
            isinstance(one, dict) and one.get("targets") == ["Linear"] for one in held
        )
    return method in ("gptq", "awq", "fp8") and not any(key in said for key in _ONLY_SOME)


def _left_plain(structure: Structure, modules: Sequence[Module], lists: Lists) -> Iterator[Finding]:
    packed = {module.path for module in modules}
    stacks = {path.partition("*")[0] for path in packed if "*" in path}
    for family in structure.families:
        path, _, leaf = family.pattern.rpartition(".")
        end = structure.meaning(family)
        is_own = leaf == "weight" and end is not None and end.role.name in _PROJECTIONS
        if not is_own or path in packed or path.partition("*")[0] not in stacks:
            continue
        is_plain = family.dtype.name in ("F32", "F16", "BF16") and len(family.shape) == 2
        if is_plain and not any(one.names(path, family.axes) for one in lists.entries):
            yield CONVERTED.finding(
                f"{path} is plain, its neighbours are packed and config leaves it out nowhere",
                place_of(family),
                confidence=INFERRED,
                hint="list it as not quantized, or quantize it",
                expected="a packed weight",
                seen=family.dtype.name,
            )


def _tables(subject: Subject) -> Iterator[Finding]:
    """The embedding or the output head is quantized.

    What it finds: A packed weight in the role of embedding or lm_head.
    Why it matters: Many engines have no kernel for it and fall back or fail; quality suffers most
    here (vllm#31757, vllm#32101).
    Example: lm_head.qweight is packed in 4 bits.
    What to do: Nothing, if your engine reads it.
    """
    for module in packed_modules(subject.structure):
        end = module.leaves.get(module.weight or "")
        if end is not None and module.packings and end.role.name in ("embedding", "lm_head"):
            yield TABLES.finding(
                f"{module.path} ({end.role.name}) is packed as {module.packings[0].scheme}",
                place(end, module.axes),
                hint="see whether your engine reads it",
                expected="a plain weight",
                seen=module.packings[0].scheme,
            )


PRESENCE = Check("C014", "quantization-undeclared", "error", _presence)
CONVERTED = Check("Q006", "excluded-module-packed", "warning", _converted)
FIGURES = Check("Q007", "quantization-mismatch", "error", _figures)
TABLES = Check("Q009", "packed-embedding", "info", _tables)
CHECKS: tuple[Check, ...] = (PRESENCE, CONVERTED, FIGURES, TABLES)

"""Parts of a block that all its layers lack, told by what is left of it and by its config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ckptscan.late import Late
from ckptscan.structure.expected.dialects import absent_modules
from ckptscan.structure.expected.figures import Figures
from ckptscan.structure.expected.parts import Part
from ckptscan.structure.expected.stacks import Stack
from ckptscan.structure.expected.values import BLOCKS, MISSING, PROJECTIONS, Broken

# parts of a layer that have projections of their own
_APART = Late(r"(?i)indexer|compressor|adapter|lora|altup|cross|conv|ada_")
# (what is there, what must be there then: any of these)
_NEEDS = (
    ("q", "k kv kv_a kv_b qkv"),
    ("k", "q q_a q_b qkv"),
    ("o", "q qkv q_b"),
    ("o", "down expert.down"),
    ("k", "o"),
    ("qkv", "o"),
    ("q_a", "q_b"),
    ("q_b", "q_a"),
    ("kv_a", "kv_b"),
    ("kv_b", "kv_a"),
    ("kv_b", "o"),
    ("kv_b", "q q_b"),
    ("v", "k kv kv_b"),
    ("gate", "up"),
    ("up", "down"),
    ("gate_up", "down"),
    ("down", "up gate_up gate"),
    ("expert.gate", "expert.up"),
    ("expert.up", "expert.down"),
    ("expert.gate_up", "expert.down"),
    ("expert.down", "expert.up expert.gate_up"),
    ("shared_expert.gate", "shared_expert.up"),
    ("shared_expert.up", "shared_expert.down"),
    ("shared_expert.down", "shared_expert.up shared_expert.gate_up"),
    ("expert.down", "router"),
)
# the one of a pair of norms, of models whose config names RMSNorm's constant
_OF_A_PAIR = frozenset(
    {"input_layernorm", "post_attention_layernorm", "attention_norm", "ffn_norm"}
)
_MIN_LAYERS = 2
_RMS = ("rms_norm_eps", "norm_eps")
_WITH_BIAS = frozenset("norm q k v o qkv gate up down gate_up".split())


def absent_blocks(stack: Stack, parts: Mapping[str, Part], figures: Figures) -> Iterator[Broken]:
    """What no layer of a language model has, though what is left needs it."""
    told = _of_the_class(stack, parts)
    for module in told:
        found = _absent(stack, module, f"every {stack.config.model_type} has it")
        yield found._replace(is_grave=True)
    if told:
        return
    own = {name: part for name, part in parts.items() if not _APART.search(part.shown)}
    yield from {one.role: one for one in _projections(stack, own, figures)}.values()
    yield from _norms(stack, own)
    yield from _biases(stack, own)


def _of_the_class(stack: Stack, parts: Mapping[str, Part]) -> list[str]:
    """Modules of the class that no layer has; drafting heads of one layer leave some out."""
    if len(stack.indices) < _MIN_LAYERS:
        return []
    names = {name.rpartition(".")[0] for name in parts} | set(parts)
    absent = absent_modules(stack.config.model_type, stack.side, frozenset(names))
    made = {"q": "qkv", "k": "qkv kv", "v": "qkv kv", "gate": "gate_up", "up": "gate_up"}
    roles = {role for part in parts.values() for role in part.roles}
    fused = {word for word, into in made.items() if roles & set(into.split())}
    return [one for one in absent if one.rpartition(".")[2].partition("_")[0] not in fused]


def _projections(stack: Stack, parts: Mapping[str, Part], figures: Figures) -> Iterator[Broken]:
    named = [part for part in parts.values() if not part.leaf.endswith("bias")]
    weights = {role for part in named if _is_matrix(part) for role in part.roles}
    if not weights & {"k", "v", "o", "qkv"}:
        weights.discard("q")  # a query that is learned, in a layer of another sort
    for there, wanted in _NEEDS:
        if there in weights and not weights & set(wanted.split()):
            yield _absent(stack, wanted.split()[0], f"there is {there}, and no {wanted.split()[0]}")
    if "k" in weights and not weights & {"v", "kv"} and not _says(stack, "k_eq_v"):
        yield _absent(stack, "v", "there is k, and no v")
    if figures.is_latent and weights & {"q", "k", "kv_b", "q_b"} and not weights & {"kv_a", "kv"}:
        yield _absent(stack, "kv_a", "config says kv_lora_rank")


def _is_matrix(part: Part) -> bool:
    """Whether it may be a projection: a query that is learned as a vector is none."""
    return any(piece.shape is None or len(piece.shape) > 1 for piece in part.pieces)


def _says(stack: Stack, word: str) -> bool:
    return any(word in key and value is True for key, value in stack.config.entries())


def _norms(stack: Stack, parts: Mapping[str, Part]) -> Iterator[Broken]:
    """A norm of queries without that of keys; the one norm of a layer that has two by its name."""
    heads = {part.module for part in parts.values() if part.role == "qk_norm"}
    for module in sorted(heads):
        other = {"q": "k", "k": "q"}.get(module[:1])
        words = {"q": ("query", "key"), "k": ("key", "query")}.get(module[:1], ("", ""))
        twins = {f"{other}{module[1:]}", module.replace(*words)} - {module}
        if other and not twins & heads and len(heads) == 1:
            yield _absent(stack, f"{other}{module[1:]}", f"there is {module} alone")
    norms = {part.module for part in parts.values() if part.role == "norm"}
    is_rms = any(stack.config.said(key) is not None for key in _RMS)
    if is_rms and len(norms) == 1 and norms <= _OF_A_PAIR:
        yield _absent(stack, "norm", f"{min(norms)} is the only norm of a layer")


def _biases(stack: Stack, parts: Mapping[str, Part]) -> Iterator[Broken]:
    """Biases that their neighbours have; weights that biases are left of."""
    by_block: dict[str, dict[str, set[str]]] = {}
    for name, part in parts.items():
        module, _, leaf = name.rpartition(".")
        if part.roles <= _WITH_BIAS and leaf in ("weight", "bias", "qweight"):
            block = module.rpartition(".")[0]
            leaves = by_block.setdefault(block, {}).setdefault(f"{module} {part.role}", set())
            leaves.add("bias" if leaf == "bias" else "weight")
    for modules in by_block.values():
        for words, leaves in modules.items():
            if leaves == {"bias"}:
                yield _absent(stack, f"{words.split()[0]}.weight", "its bias is there")
        yield from _uneven(stack, modules)
    weights = {part.role for part in parts.values()} & {"q", "k", "v", "qkv", "q_a", "kv_a", "o"}
    has_bias = any(part.role in weights and part.leaf == "bias" for part in parts.values())
    for key in ("attention_bias", "qkv_bias"):
        if stack.config.said(key) is True and weights and not has_bias:
            yield _absent(stack, "attention bias", f"{key} is true")


def _uneven(stack: Stack, modules: Mapping[str, set[str]]) -> Iterator[Broken]:
    """Of q, k and v two have a bias, or of the norms of one layer some.

    Whisper's keys alone have none, where its output projection has one too.
    """
    roles = {words.split()[-1]: "bias" in leaves for words, leaves in modules.items()}
    for role, others in (("q", "kv"), ("v", "qk"), ("k", "qv")):
        is_whisper = role == "k" and roles.get("o", True)
        is_uneven = roles.get(role) is False and all(roles.get(other) for other in others)
        if is_uneven and not is_whisper:
            yield _absent(stack, f"{role} bias", f"{' and '.join(others)} have a bias")
    norms = {
        words.split()[0]: "bias" in leaves
        for words, leaves in modules.items()
        if words.split()[-1] == "norm"
    }
    if any(norms.values()) and not all(norms.values()):
        lacking = min(module for module, has_bias in norms.items() if not has_bias)
        yield _absent(stack, f"{lacking}.bias", "the other norms of the layer have one")


def _absent(stack: Stack, wanted: str, why: str) -> Broken:
    count, is_text = len(stack.indices), stack.tower == "text"
    return Broken(
        MISSING, BLOCKS, stack.container, wanted, stack.path, (stack.indices,), count,
        why, wanted, "in no layer", is_grave=is_text and wanted in PROJECTIONS,
    )  # fmt: skip

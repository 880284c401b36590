"""Parts of a block that all its layers lack, told by what is left of it and by its config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ckptscan.late import Late
from ckptscan.structure.expected.figures import Figures
from ckptscan.structure.expected.parts import Part
from ckptscan.structure.expected.stacks import Stack
from ckptscan.structure.expected.values import BLOCKS, MISSING, Broken

# parts of a layer that have projections of their own
_APART = Late(r"(?i)indexer|compressor|adapter|lora|altup|cross|conv|ada_")
# (what is there, what must be there then: any of these)
_NEEDS = (
    ("q", "k kv kv_a kv_b qkv"),
    ("k", "q q_a q_b qkv"),
    ("k", "o"),
    ("qkv", "o"),
    ("q_a", "q_b"),
    ("q_b", "q_a"),
    ("kv_a", "kv_b"),
    ("kv_b", "kv_a"),
    ("kv_b", "o"),
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


def absent_blocks(stack: Stack, parts: Mapping[str, Part], figures: Figures) -> Iterator[Broken]:
    """What no layer of a language model has, though what is left needs it."""
    parts = {name: part for name, part in parts.items() if not _APART.search(part.shown)}
    named = [part for part in parts.values() if not part.leaf.endswith("bias")]
    weights = {role for part in named for role in part.roles}
    for there, wanted in _NEEDS:
        if there in weights and not weights & set(wanted.split()):
            yield _absent(stack, wanted.split()[0], f"there is {there}, and no {wanted.split()[0]}")
    if "k" in weights and not weights & {"v", "kv"} and not _says(stack, "k_eq_v"):
        yield _absent(stack, "v", "there is k, and no v")
    yield from _twins(stack, parts)
    yield from _biases(stack, parts)
    if figures.is_latent and weights & {"q", "k", "kv_b", "q_b"} and not weights & {"kv_a", "kv"}:
        yield _absent(stack, "kv_a", "config says kv_lora_rank")


def _says(stack: Stack, word: str) -> bool:
    return any(word in key and value is True for key, value in stack.config.entries())


def _twins(stack: Stack, parts: Mapping[str, Part]) -> Iterator[Broken]:
    """A norm of queries without that of keys, or the reverse."""
    norms = {part.module for part in parts.values() if part.role == "qk_norm"}
    for module in sorted(norms):
        first = module[:1]
        other = {"q": "k", "k": "q"}.get(first)
        words = {"q": ("query", "key"), "k": ("key", "query")}.get(first, ("", ""))
        twins = {f"{other}{module[1:]}", module.replace(*words)} - {module}
        if other and not twins & norms and len(norms) == 1:
            yield _absent(stack, f"{other}{module[1:]}", f"there is {module} alone")


def _biases(stack: Stack, parts: Mapping[str, Part]) -> Iterator[Broken]:
    """Biases of queries, keys and values go together; Whisper's keys alone have none."""
    biased = {part.role for part in parts.values() if part.leaf == "bias"}
    weights = {part.role for part in parts.values() if part.leaf != "bias"}
    for role, others in (("q", {"k", "v"}), ("v", {"q", "k"})):
        if role in weights and others <= biased and role not in biased:
            yield _absent(stack, f"{role} bias", f"{' and '.join(sorted(others))} have a bias")
    inputs = weights & {"q", "k", "v", "qkv", "q_a", "kv_a"}
    for key in ("attention_bias", "qkv_bias"):
        if stack.config.said(key) is True and inputs and not biased & {*inputs, "o"}:
            yield _absent(stack, "attention bias", f"{key} is true")


def _absent(stack: Stack, wanted: str, why: str) -> Broken:
    count = len(stack.indices)
    return Broken(
        MISSING, BLOCKS, stack.container, wanted, stack.path, (stack.indices,), count,
        why, wanted, "in no layer",
    )  # fmt: skip

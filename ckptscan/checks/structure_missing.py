"""A language model without its ends: embedding, final norm (S009)."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.evidence.figures import Stack, is_causal, main_stacks
from ckptscan.checks.evidence.siblings import ENTRY_NORM
from ckptscan.checks.values import INFERRED, Check, Finding, Subject
from ckptscan.late import Late
from ckptscan.structure import Node, Structure
from ckptscan.structure.counting import ends
from ckptscan.structure.scene import tower_of

_NORM = Late(r"(?i)(norm|^ln)")
_HEADS = ("ForMaskedLM",)


def _no_ends(subject: Subject) -> Iterator[Finding]:
    """A language model has no embedding, or no norm after its last layer.

    What it finds: A model of a class that talks, with layers, and without a table of its input
    tokens, or without a norm outside of the layers where these begin with one.
    Why it matters: They stand in the first and last shard, which get lost first; the loader fills
    them with random values (transformers#48154). Models that take no tokens need none.
    Example: no tensor has the role of an embedding; model.layers has 32 layers.
    What to do: Fetch the first and last shard.
    """
    structure = subject.structure
    config = subject.checkpoint.config
    if structure.adapter is not None or subject.checkpoint.configs:
        return
    talks = is_causal(config) or (config.architecture or "").endswith(_HEADS)
    stacks = [one for one in main_stacks(structure) if one.tower == "text"]
    if not talks or not stacks:
        return
    if not any(end.role.name == "embedding" for end in ends(structure.main)):
        yield ENDS.finding(
            "no embedding of input tokens",
            confidence=INFERRED,
            hint="is the first shard missing?",
            expected="a table of (vocabulary, hidden)",
            seen="absent",
        )
    largest = max(stacks, key=lambda one: one.nbytes)
    if _begins_with_norm(largest) and not _outer_norms(structure):
        yield ENDS.finding(
            f"no norm after {largest.container}, whose layers begin with one",
            confidence=INFERRED,
            hint="is the last shard missing?",
            expected="a norm outside of the layers",
            seen="absent",
        )


def _begins_with_norm(stack: Stack) -> bool:
    return all(
        any(ENTRY_NORM.search(child.label) for child in kind.children) for kind in stack.kinds
    )


def _outer_norms(structure: Structure) -> list[Node]:
    """Norms of the text part that stand in no layer, and in no module that is named otherwise."""
    found = []
    waiting = list(structure.main.children)
    while waiting:
        node = waiting.pop()
        if node.repeat is not None or tower_of(node.path) != "text":
            continue
        module = node.path.removesuffix(".weight").rpartition(".")[2]
        is_norm = any(end.role.name == "norm" for end in node.ends) or _NORM.search(module)
        if node.ends and is_norm and node.label != "bias":
            found.append(node)
        waiting += node.children
    return found


ENDS = Check("S009", "missing-ends", "warning", _no_ends)
CHECKS: tuple[Check, ...] = (ENDS,)

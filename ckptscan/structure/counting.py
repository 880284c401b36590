"""How many parameters: stored, logical, book-keeping, by what they are for; never one number.

All is shape arithmetic over the annotated tree. config.json is a witness for two things that no
header holds: how many experts a token takes, and whether the head shares the embedding's storage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ckptscan.config import Config
from ckptscan.structure.active import Active, Experts, count_active
from ckptscan.structure.tree import End, Node

Label = str
STORED_TWICE = "stored-twice"
# classes whose head is part of the model: stored, or shared with the embedding
_HAS_HEAD = ("LMHeadModel", "ForCausalLM", "ForConditionalGeneration", "ForMaskedLM")


class Parameters(NamedTuple):
    """The counts of a model, all in elements.

    `logical` counts each parameter of the model once, packed weights unpacked; it is None where
    `unknown` tensors are packed in a way that headers do not tell. `quantization` are scales, zero
    points and the like, `buffers` what is stored and no parameter. `routing_bias` and `mtp` (with
    its own embedding and head) are part of `logical`. `embedding` is the input table, `lm_head`
    the output table, 0 where it is absent or shares the embedding's storage. `tied` is True, False,
    "stored-twice" or None for unknown. `labels` tells of each figure where it is from.
    """

    logical: int | None
    stored_elements: int
    buffers: int
    quantization: int
    routing_bias: int
    mtp: int
    embedding: int
    lm_head: int
    non_embedding: int | None
    tied: bool | str | None
    experts: Experts | None
    active: Active | None
    unknown: int = 0
    labels: Mapping[str, Label] = {}
    problems: tuple[str, ...] = ()


class _Tie(NamedTuple):
    """Whether the head shares the embedding's storage.

    `heads` are elements of heads that stand in the embedding too, `copies` those of input tables.
    """

    tied: bool | str | None
    label: Label
    heads: int = 0
    copies: int = 0

    @property
    def again(self) -> int:
        """Elements that are stored twice."""
        return self.heads + self.copies


def count(root: Node, mtp: Node | None, config: Config, label: Label) -> Parameters:
    """The counts of an annotated tree, whose part `mtp` drafts tokens.

    `label` says how the logical shapes of packed weights are known: `exact` where all are.
    """
    everything, drafting = list(ends(root)), list(ends(mtp)) if mtp else []
    main = _without(everything, drafting)
    tables = [end for end in main if end.role.name == "embedding"]
    heads = [end for end in main if end.role.name == "lm_head"]
    tie = _tie(tables, heads, _repeated_biases(main), config)
    embedding = _sum(tables) - tie.copies
    lm_head = _sum(heads) - tie.heads
    own_two = sum(end.parameters for end in drafting if end.role.name in ("embedding", "lm_head"))
    logical = root.parameters - tie.again
    experts, active, problems = count_active(root, mtp, config)
    labels = {"logical": label, "non_embedding": label, "tied": tie.label}
    if active is not None:
        shared_table = embedding if tie.tied in (True, STORED_TWICE) else 0
        active = active.minus(tie.again, embedding, lm_head, shared_table)
        labels |= {"active": active.label, "experts.per_token": "config"}
    return Parameters(
        logical=None if root.unknown else logical,
        stored_elements=root.numel,
        buffers=_stored(everything, ("buffer", "rope", "lora.alpha")),
        quantization=_stored(everything, ("quantization",)),
        routing_bias=_sum(end for end in everything if end.role.name == "router_bias"),
        mtp=mtp.parameters if mtp else 0,
        embedding=embedding,
        lm_head=lm_head,
        non_embedding=None if root.unknown else logical - embedding - lm_head - own_two,
        tied=tie.tied,
        experts=experts,
        active=None if root.unknown else active,
        unknown=root.unknown,
        labels=labels,
        problems=problems,
    )


def ends(root: Node) -> Iterator[End]:
    """All tensors below a node, in no order that matters."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield from node.ends
        waiting += node.children


def _without(everything: Iterable[End], part: Iterable[End]) -> list[End]:
    taken = {id(end) for end in part}
    return [end for end in everything if id(end) not in taken]


def _sum(found: Iterable[End]) -> int:
    return sum(end.parameters for end in found)


def _stored(found: Iterable[End], roles: tuple[str, ...]) -> int:
    return sum(end.numel for end in found if end.role.name in roles)


def _tie(tables: list[End], heads: list[End], biases: int, config: Config) -> _Tie:
    """Whether the head is the embedding's table: stored twice, left out, or of its own.

    `biases` are elements of heads' biases that stand twice.
    """
    declared = config.flag("tie_word_embeddings", "tie_embeddings")
    alike = [end for end in heads if any(end.shape == table.shape for table in tables)]
    copies = _copies(tables)
    if heads:
        if declared and alike:
            return _Tie(STORED_TWICE, "config", _sum(alike) + biases, copies)
        return _Tie(
            tied=False,
            label="exact" if declared is False else "inferred",
            heads=biases,
            copies=copies,
        )
    if copies:
        return _Tie(STORED_TWICE, "inferred", copies=copies)
    if not tables:
        return _Tie(tied=False, label="exact")
    if declared is not None:
        return _Tie(declared and _has_head(config), "config")
    if config.architecture is None:
        return _Tie(None, "unknown")
    return _Tie(_has_head(config), "assumed")


def _has_head(config: Config) -> bool:
    return config.architecture is None or config.architecture.endswith(_HAS_HEAD)


def _copies(tables: list[End]) -> int:
    """Elements of the tables that repeat `shared`, as encoder-decoder models store them."""
    shared = [end for end in tables if _module(end) == "shared"]
    shapes = {end.shape for end in shared}
    return _sum(end for end in tables if _module(end) != "shared" and end.shape in shapes)


def _repeated_biases(main: list[End]) -> int:
    """Elements of biases that stand both in a head and in its decoder, as in BERT."""
    biases = {
        end.family.pattern: end
        for end in main
        if end.role.name in ("lm_head", "head") and end.family.pattern.endswith(".bias")
    }
    twins = [
        (end, biases.get(path.removesuffix(".decoder.bias") + ".bias"))
        for path, end in biases.items()
        if end.role.name == "lm_head" and path.endswith(".decoder.bias")
    ]
    return _sum(end for end, twin in twins if twin is not None and twin.shape == end.shape)


def _module(end: End) -> str:
    return end.family.pattern.removesuffix(".weight").rpartition(".")[2]

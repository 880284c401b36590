"""Active parameters: how many a token of a mixture of experts passes through.

`total - routed + routed x k / E`: every parameter but those of the routed experts, and of these the
share of the k experts that the router takes (the counting of Mixtral, arXiv 2401.04088, and of
DeepSeekMoE, arXiv 2401.06066). E is counted from the tensors of each layer; only k is from config.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ckptscan.config import Config
from ckptscan.structure.scene import EXPERTS
from ckptscan.structure.tree import End, Node

# the keys under which the configs of transformers 5.23, Mistral and DBRX tell top-k
TOP_K_KEYS = (
    "num_experts_per_tok",
    "num_experts_per_token",
    "num_activated_experts",
    "n_activated_experts",
    "experts_per_token",
    "num_selected_experts",
    "moe_topk",
    "moe_top_k",
    "top_k_experts",
    "moe_k",
    "moe_router_topk",
)
_SHARED_KEYS = (
    "n_shared_experts",
    "num_shared_experts",
    "moe_num_shared_experts",
    "num_shared_expert",
)


class Experts(NamedTuple):
    """Experts of a layer: routed ones, of which a token takes `per_token`, and shared ones.

    `routed` is the largest number where layers differ; `per_token` is None where config does not
    say it, or says several for layers that differ.
    """

    routed: int
    per_token: int | None
    shared: int


class Active(NamedTuple):
    """Parameters that a token passes through, under the three conventions in use.

    With everything; without the table that only looks tokens up; without embedding and head.
    """

    all: int
    without_input_embedding: int
    without_embeddings: int
    label: str = "config"

    def minus(self, again: int, embedding: int, lm_head: int, shared_table: int) -> Active:
        """The three figures from the first one.

        `again` is stored twice; `shared_table` is the embedding where it is the head too, and so
        takes part in every token.
        """
        everything = self.all - again
        return Active(
            everything,
            everything - embedding + shared_table,
            everything - embedding - lm_head,
            self.label,
        )


class _Routed(NamedTuple):
    """Parameters of routed experts of some layers, and how many experts each layer holds."""

    parameters: int
    experts: int
    layers: tuple[int, ...]  # indices of the layers, for configs that name k layer by layer


class _At(NamedTuple):
    """Where a walk stands: experts counted from a container above, the router's rows, layers."""

    counted: int | None = None
    routed_to: int | None = None
    layers: tuple[int, ...] = ()


def count_active(
    root: Node, mtp: Node | None, config: Config
) -> tuple[Experts | None, Active | None, tuple[str, ...]]:
    """Experts and active parameters of a model, and what speaks against its config.

    Both are None for a model without routed experts; Active also where top-k is not declared.
    `Active.all` alone is set here, the others follow from it.
    """
    routed = [one for one in _routed(root, mtp) if one.experts]
    if not routed:
        return None, None, ()
    most = max(one.experts for one in routed)
    k, by_layer = config.number(*TOP_K_KEYS), config.numbers(*TOP_K_KEYS)
    problems = []
    if len({one.experts for one in routed}) > 1:
        counts = ", ".join(str(number) for number in sorted({one.experts for one in routed}))
        problems.append(f"layers differ in their number of experts: {counts}")
    if k is not None and k > most:
        problems.append(f"config takes {k} experts a token, layers hold {most}")
    experts = Experts(
        most, k if k is not None else _common(routed, by_layer), _shared(root, config)
    )
    if (k is None and not by_layer) or (k is not None and k > most):
        return experts, None, tuple(problems)
    total = sum(one.parameters for one in routed)
    shares = [_taken(one, k, by_layer) for one in routed]
    main = root.parameters - (mtp.parameters if mtp else 0)
    label = "config" if all(rest == 0 for _, rest in shares) else "estimated"
    passed = sum(whole for whole, _ in shares)
    return experts, Active(main - total + passed, 0, 0, label), tuple(problems)


def _taken(one: _Routed, k: int | None, by_layer: tuple[int, ...]) -> tuple[int, int]:
    """The part of the experts' parameters that a token passes through, and what is left over."""
    said = [k] if k is not None else _named(one, by_layer)
    ks = [min(one_k, one.experts) for one_k in said]
    return divmod(one.parameters * sum(ks), one.experts * len(ks))


def _common(routed: Iterable[_Routed], by_layer: tuple[int, ...]) -> int | None:
    """The one number that config names for all layers with experts, None where there is none."""
    named = {k for one in routed for k in _named(one, by_layer)}
    return named.pop() if len(named) == 1 else None


def _named(one: _Routed, by_layer: tuple[int, ...]) -> Sequence[int]:
    """Top-k of these layers as config names it layer by layer; the first where it names too few."""
    return [by_layer[i] for i in one.layers if i < len(by_layer)] or by_layer[:1]


def _shared(root: Node, config: Config) -> int:
    """Shared experts: as many as config says where there are any, else the one block of them."""
    if not any(end.role.name.startswith("shared_expert.") for end, _ in _walk(root, None)):
        return 0
    return config.number(*_SHARED_KEYS) or 1


def _routed(root: Node, mtp: Node | None) -> Iterator[_Routed]:
    for end, at in _walk(root, mtp):
        if end.role.name.startswith("expert."):
            yield _Routed(end.parameters, _experts_of(end, at), at.layers)


def _experts_of(end: End, at: _At) -> int:
    """How many experts a layer holds: counted, or stacked in the first dimension."""
    if at.counted is not None:
        return at.counted
    shape = end.shape or end.family.shape
    if len(shape) >= 3:
        return shape[0]
    return at.routed_to or (shape[0] if shape else 0)


def _walk(root: Node, left_out: Node | None) -> Iterator[tuple[End, _At]]:
    """All tensors but those of one part, each with what the nodes above it tell."""
    waiting = [(root, _At())]
    while waiting:
        node, at = waiting.pop()
        if node is left_out:
            continue
        yield from ((end, at) for end in node.ends)
        numbered = [child.repeat for child in node.children if child.repeat is not None]
        if numbered and EXPERTS.search(node.label):
            at = at._replace(counted=sum(map(len, numbered)))
        elif node.repeat is not None and at.counted is None:
            routed_to = _router_rows(node) or at.routed_to
            at = at._replace(routed_to=routed_to, layers=at.layers or tuple(node.repeat))
        elif any(EXPERTS.search(child.label) and child.repeat for child in node.children):
            # experts.expert_0: the number stands inside the segment
            counted = sum(len(child.repeat) for child in node.children if child.repeat is not None)
            at = at._replace(counted=counted)
        waiting += [(child, at) for child in node.children]


def _router_rows(layer: Node) -> int | None:
    """The rows of the router's weight in a layer: one for each expert."""
    waiting = [layer]
    while waiting:
        node = waiting.pop()
        for end in node.ends:
            if end.role.name == "router" and len(end.shape or ()) == 2:
                return (end.shape or (0,))[0]
        waiting += node.children
    return None

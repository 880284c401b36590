"""What a forward pass takes beside weights: estimates, each with its error and its source."""

from __future__ import annotations

from typing import NamedTuple

from ckptscan.plan.model import Model
from ckptscan.plan.sharding import out_and_in
from ckptscan.plan.values import GIB, Term

# Fitted to six logs of vLLM 0.11 on an H100 (4.76 to 7.38 GiB), within 0.2 %: logits in 16 and 32
# bits, sorted values and their indices, softmax, sums and masks of the sampler's dummy run
SAMPLER_BYTES = 38.2
STREAM_COPIES = 1.4
# Fitted to two logs of vLLM 0.6 and 0.7 with 20,000 and 32,768 tokens at once (2.07, 2.02 GiB)
LAYER_COPIES = 3.25
ERROR = 0.05
VISION_ERROR = 0.6  # the fit does not hold for models with a vision tower (2.12 GiB seen)


class Run(NamedTuple):
    """The dummy run by which vLLM measures: sequences, tokens, ranks that cut feed-forwards."""

    seqs: int
    batched: int
    tp: int


def activation_peak(model: Model, run: Run) -> Term:
    """The peak of the dummy run: its sampler, or a feed-forward where many tokens go at once."""
    hidden, vocabulary = model.facts.hidden or 0, model.facts.vocabulary or 0
    sampler = int(SAMPLER_BYTES * run.seqs * vocabulary)
    sampler += int(STREAM_COPIES * run.batched * hidden * 2)
    inner = widest(model, run.tp)
    layer = int(run.batched * (inner + LAYER_COPIES * hidden) * 2)
    error = VISION_ERROR if model.has_tower else ERROR
    total = max(sampler, layer)
    how = (
        f"{SAMPLER_BYTES} B x {run.seqs:,} sequences x {vocabulary:,} + {STREAM_COPIES} x "
        f"{run.batched:,} tokens x {hidden:,} x 2 B"
    )
    if layer > sampler:
        how = f"{run.batched:,} tokens x ({inner:,} + {LAYER_COPIES} x {hidden:,}) x 2 B"
    return Term(
        "activation peak",
        total,
        f"{how}; a fit, +-{error:.0%}",
        "estimated",
        "activations",
        int(total * (1 - error)),
        int(total * (1 + error)),
    )


def widest(model: Model, tp: int) -> int:
    """Values of a token that the widest feed-forward holds at once on one rank.

    What gates and up projections give and their product; of experts, for each that a token goes to.
    """
    hidden = model.facts.hidden
    by_role = {
        role: max((sizes[0] for m in model.inventory.of_role(role)
                   if (sizes := out_and_in(m, hidden))), default=0)
        for role in ("gate", "up", "gate_up", "expert.gate", "expert.up", "expert.gate_up")
    }  # fmt: skip

    def held(kind: str) -> tuple[int, int]:
        fused = by_role[f"{kind}gate_up"]
        width = fused // 2 or by_role[f"{kind}up"] or by_role[f"{kind}gate"]
        return (2 if fused or by_role[f"{kind}gate"] else 1) * width // tp, width // tp

    wide, narrow = held("")
    routed, product = held("expert.")
    experts = model.structure.parameters.experts
    taken = (experts.per_token if experts is not None else None) or 1
    of_experts = taken * (max(routed, hidden or 0) + product) if product else 0
    return max(wide + narrow, of_experts)


def overhead(name: str, gib: float, low: float, high: float, how: str) -> Term:
    """An overhead that was seen in logs, with the least and the most of them."""
    return Term(
        name,
        int(gib * GIB),
        f"{how}; {low:g} to {high:g} GiB seen",
        "estimated",
        "overhead",
        int(low * GIB),
        int(high * GIB),
    )


def measured(term: Term, measured: int | None) -> Term:
    """A term with a measured figure in place of ours."""
    if measured is None:
        return term
    return term._replace(
        nbytes=measured, formula="as given", label="assumed", low=measured, high=measured
    )

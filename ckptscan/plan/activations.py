"""What a forward pass takes beside weights: estimates, each with its error and its source."""

from __future__ import annotations

from ckptscan.plan.values import GIB, Term

# Fitted to six logs of vLLM 0.11 on an H100 (4.76 to 7.38 GiB), within 0.2 %: logits in 16 and 32
# bits, sorted values and their indices, softmax, sums and masks of the sampler's dummy run
SAMPLER_BYTES = 38.2
STREAM_COPIES = 1.4
ERROR = 0.05
VISION_ERROR = 0.6  # the fit does not hold for models with a vision tower (2.12 GiB seen)


def activation_peak(seqs: int, batched: int, vocabulary: int, hidden: int, has_tower: bool) -> Term:
    """The peak of the dummy run by which vLLM measures: its sampler, and the residual stream."""
    sampler = int(SAMPLER_BYTES * seqs * vocabulary)
    stream = int(STREAM_COPIES * batched * hidden * 2)
    error = VISION_ERROR if has_tower else ERROR
    total = sampler + stream
    return Term(
        "activation peak",
        total,
        f"{SAMPLER_BYTES} B x {seqs:,} sequences x {vocabulary:,} + {STREAM_COPIES} x "
        f"{batched:,} tokens x {hidden:,} x 2 B; a fit, +-{error:.0%}",
        "estimated",
        "activations",
        int(total * (1 - error)),
        int(total * (1 + error)),
    )


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

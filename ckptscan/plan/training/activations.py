"""Activations that backward needs, by Korthikanti et al., arXiv 2205.05198, table 2.

`s` tokens of a sequence, `b` sequences, `h` width, `a` heads, `f` width of the feed-forward, `t`
tensor-parallel ranks; values of 16 bits and masks of 8. Their 34 is 18 + 4 f / h at f = 4 h.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckptscan.plan.model import Model
from ckptscan.plan.sharding import out_and_in
from ckptscan.plan.values import Term, Training

_PAPER = "arXiv 2205.05198, table 2"
_FORWARD = ("gate", "up", "gate_up")


class Sizes(NamedTuple):
    """What activations of a stage depend on; `wide` is f of each layer, summed."""

    hidden: int
    heads: int
    layers: int
    wide: int
    widest: int


def sizes_of(model: Model, layers: Sequence[int]) -> Sizes:
    """The sizes of these layers."""
    widths = [_width(model, index) for index in layers]
    heads = max((one.heads or 0 for one in model.attention), default=0)
    return Sizes(model.facts.hidden or 0, heads, len(layers), sum(widths), max(widths, default=0))


def _width(model: Model, index: int) -> int:
    """F of one layer: of a dense one, or of the experts that a token takes."""
    found = model.structure.parameters.experts
    taken = found.per_token if found is not None else None
    dense = routed = 0
    for module in model.inventory.modules_of(index):
        sizes = out_and_in(module, model.facts.hidden)
        side = module.role.rpartition(".")[2]
        if sizes is None or side != "down":
            continue
        if module.role.startswith("expert."):
            routed += sizes[1] * (taken or 1)
        else:
            dense += sizes[1] * module.times
    return dense + routed


def activation_terms(sizes: Sizes, training: Training, tp: int, in_flight: int) -> tuple[Term, ...]:
    """What the layers of a stage keep of so many micro-batches in flight."""
    s, b = training.seq_len, training.micro_batch
    stream = s * b * sizes.hidden * (2 if training.is_float32 else 1)
    inner = 4 * s * b * sizes.wide * (2 if training.is_float32 else 1)
    squares = 5 * sizes.heads * s * s * b * sizes.layers // tp
    if training.checkpointing == "full":
        return _recomputed(stream, training, sizes, tp, in_flight)
    if training.sequence_parallel:
        nbytes, factor = (18 * stream * sizes.layers + inner) // tp, f"(18 + 4 f / h) / {tp}"
    else:
        nbytes = 10 * stream * sizes.layers + (8 * stream * sizes.layers + inner) // tp
        factor = f"(10 + (8 + 4 f / h) / {tp})"
    how = f"{sizes.layers} layers x s b h {factor}, {_letters(sizes, training)}"
    terms = [_term("activations", nbytes * in_flight, _flying(how, in_flight))]
    if training.checkpointing == "none":
        how = f"{sizes.layers} layers x 5 a s^2 b / {tp}, a {sizes.heads}; a fused attention " \
              f"keeps none of it"  # fmt: skip
        terms.append(_term("scores of attention", squares * in_flight, _flying(how, in_flight)))
    return tuple(terms)


def _recomputed(
    stream: int, training: Training, sizes: Sizes, tp: int, in_flight: int
) -> tuple[Term, ...]:
    """With every layer computed again: its input, and one layer at a time."""
    shared = tp if training.sequence_parallel else 1
    kept = 2 * stream * sizes.layers // shared * in_flight
    one = sizes._replace(layers=1, wide=sizes.widest)
    (again, *_) = activation_terms(one, training._replace(checkpointing="selective"), tp, 1)
    by = f" / {shared}" if shared > 1 else ""
    how = f"{sizes.layers} layers x 2 s b h{by}, {_letters(sizes, training)}"
    return (
        _term("inputs of layers", kept, _flying(how, in_flight)),
        _term("a layer computed again", again.nbytes, again.formula.partition(";")[0]),
    )


def ends(
    model: Model, training: Training, tp: int, places: tuple[bool, bool, int]
) -> tuple[Term, ...]:
    """What the tables keep: `places` says whether first, whether last, how many stages.

    Megatron: 8 s b pp and s b h pp for the embedding, 4 s b h (1 + V / h) for the head.
    """
    is_first, is_last, pp = places
    s, b = training.seq_len, training.micro_batch
    hidden, vocabulary = model.facts.hidden or 0, model.facts.vocabulary or 0
    terms = []
    if is_first:
        how = f"(8 s b + s b h) x {pp} in flight; Megatron theoretical_memory_usage.py"
        terms.append(_term("embedded tokens", (8 * s * b + s * b * hidden) * pp, how))
    if is_last:
        logits = 4 * s * b * (hidden + vocabulary) // tp
        how = f"4 s b h (1 + V / h) / {tp}, V {vocabulary:,}; Megatron theoretical_memory_usage.py"
        terms.append(_term("logits", logits, how))
    return tuple(terms)


def _letters(sizes: Sizes, training: Training) -> str:
    f = sizes.wide // max(1, sizes.layers)
    return (
        f"s {training.seq_len:,}, b {training.micro_batch}, h {sizes.hidden:,}, f {f:,}; {_PAPER}"
    )


def _flying(how: str, in_flight: int) -> str:
    return f"{in_flight} micro-batches in flight x {how}" if in_flight > 1 else how


def _term(name: str, nbytes: int, formula: str) -> Term:
    return Term(name, nbytes, formula, "estimated", "activations")

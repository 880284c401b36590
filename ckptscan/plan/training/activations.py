"""Activations that backward needs, by Korthikanti et al., arXiv 2205.05198, table 2.

`s` tokens of a sequence, `b` sequences, `h` width, `a` heads, `f` width of the feed-forward, `t`
tensor-parallel ranks; values of 16 bits and masks of 8. Their 34 is 18 + 4 f / h at f = 4 h.

Theirs is a feed-forward without a gate: it keeps what goes into GELU and what comes out, 4 s b f.
Of a gated one the same count is 8 s b f: what goes into SiLU, both factors of the product, the
product. So does PyTorch 2.13 (saved tensors of `down(silu(gate(x)) * up(x))`); a kernel that fuses
SiLU with the product keeps 6 s b f, which is the lower bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckptscan.plan.model import Model
from ckptscan.plan.sharding import out_and_in
from ckptscan.plan.values import Term, Training

_PAPER = "arXiv 2205.05198, table 2"
_PLAIN, _GATED, _FUSED = 4, 8, 6  # bytes that a value of f keeps in 16 bits
_GATES = ("gate", "gate_up")


class Sizes(NamedTuple):
    """What activations of a stage depend on.

    `wide` is f of each layer, summed, `gated` that of gated feed-forwards alone; `widest` is both
    of the layer that keeps most.
    """

    hidden: int
    heads: int
    layers: int
    wide: int
    widest: tuple[int, int]
    gated: int = 0

    @property
    def one_layer(self) -> Sizes:
        """The layer that keeps most, alone."""
        wide, gated = self.widest
        return self._replace(layers=1, wide=wide, gated=gated)

    def inner(self, gate: int) -> int:
        """Bytes that feed-forwards keep of a token, so many of each value of a gated one."""
        return _PLAIN * (self.wide - self.gated) + gate * self.gated


def sizes_of(model: Model, layers: Sequence[int]) -> Sizes:
    """The sizes of these layers."""
    widths = [_width(model, index) for index in layers]
    heads = max((one.heads or 0 for one in model.attention), default=0)
    wide, gated = (sum(width[side] for width in widths) for side in (0, 1))
    widest = max(widths, default=(0, 0), key=sum)
    return Sizes(model.facts.hidden or 0, heads, len(layers), wide, widest, gated)


def _width(model: Model, index: int) -> tuple[int, int]:
    """F of one layer, of a dense one or of the experts that a token takes; of it what is gated."""
    found = model.structure.parameters.experts
    taken = found.per_token if found is not None else None
    modules = model.inventory.modules_of(index)
    roles = {module.role for module in modules}
    wide = gated = 0
    for module in modules:
        sizes = out_and_in(module, model.facts.hidden)
        kind, dot, side = module.role.rpartition(".")
        if sizes is None or side != "down":
            continue
        times = taken or 1 if kind == "expert" else module.times
        wide += sizes[1] * times
        gated += sizes[1] * times * any(f"{kind}{dot}{gate}" in roles for gate in _GATES)
    return wide, gated


def activation_terms(sizes: Sizes, training: Training, tp: int, in_flight: int) -> tuple[Term, ...]:
    """What the layers of a stage keep of so many micro-batches in flight."""
    s, b = training.seq_len, training.micro_batch
    stream = s * b * sizes.hidden * (2 if training.is_float32 else 1)
    inner, least = (s * b * sizes.inner(gate) * (2 if training.is_float32 else 1)
                    for gate in (_GATED, _FUSED))  # fmt: skip
    squares = 5 * sizes.heads * s * s * b * sizes.layers // tp
    if training.checkpointing == "full":
        return _recomputed(stream, training, sizes, tp, in_flight)
    width = _width_in_words(sizes)
    whole, shared, factor = 10, 8, f"(10 + (8 + {width}) / {tp})"
    if training.sequence_parallel:
        whole, shared, factor = 0, 18, f"(18 + {width}) / {tp}"
    low, nbytes = (whole * stream * sizes.layers + (shared * stream * sizes.layers + kept) // tp
                   for kept in (least, inner))  # fmt: skip
    how = f"{sizes.layers} layers x s b h {factor}, {_letters(sizes, training)}"
    term = _term("activations", nbytes * in_flight, _flying(how, in_flight))
    if low < nbytes:
        term = term._replace(low=low * in_flight, high=term.nbytes)
    terms = [term]
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
    (again, *_) = activation_terms(
        sizes.one_layer, training._replace(checkpointing="selective"), tp, 1
    )
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


def _width_in_words(sizes: Sizes) -> str:
    """What feed-forwards add to the 18 of the paper."""
    if not sizes.gated:
        return f"{_PLAIN} f / h"
    if sizes.gated == sizes.wide:
        return f"{_GATED} f / h"
    share = sizes.gated / sizes.wide
    return f"({_GATED} x {share:.2f} + {_PLAIN} x {1 - share:.2f}) f / h"


def _letters(sizes: Sizes, training: Training) -> str:
    f = sizes.wide // max(1, sizes.layers)
    gated = f", {_GATED} for gated by the same count" if sizes.gated else ""
    letters = f"s {training.seq_len:,}, b {training.micro_batch}, h {sizes.hidden:,}, f {f:,}"
    return f"{letters}; {_PAPER}{gated}"


def _flying(how: str, in_flight: int) -> str:
    return f"{in_flight} micro-batches in flight x {how}" if in_flight > 1 else how


def _term(name: str, nbytes: int, formula: str) -> Term:
    return Term(name, nbytes, formula, "estimated", "activations")

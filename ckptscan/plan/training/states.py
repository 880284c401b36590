"""Model states: weights, gradients, optimizer, under the stages of ZeRO and offloading.

Without ZeRO and under ZeRO-1 as Megatron counts (18 B a parameter, 6 + 12 / dp with a distributed
optimizer), under ZeRO-2 and 3 as DeepSpeed's estimators do (4P + 16P / N; 4 x largest + 18P / N).
"""

from __future__ import annotations

from typing import NamedTuple

from ckptscan.errors import UsageError
from ckptscan.plan.values import Term, Training

BUFFER = 1.5  # DeepSpeed's additional_buffer_factor for memory of the host
_MEGATRON = "Megatron theoretical_memory_usage.py"
_DEEPSPEED = "DeepSpeed estimate_zero{}_model_states_mem_needs"


class Widths(NamedTuple):
    """Bytes a parameter: of weights, gradients, the copy in 32 bits, Adam's two moments."""

    weights: int
    gradients: int
    master: int
    moments: float
    how: str

    @property
    def optimizer(self) -> float:
        """Bytes of the copy and the moments."""
        return self.master + self.moments


# bitsandbytes keeps a scale of 32 bits for 256 values of each moment
_MOMENTS = {"adam": (8.0, "4 + 4"), "adam8bit": (2 + 2 * 4 / 256, "2 x (1 + 4 / 256)"),
            "sgd": (0.0, "0")}  # fmt: skip


def widths(training: Training) -> Widths:
    """What a parameter takes."""
    moments, how = _MOMENTS[training.optimizer]
    if training.is_float32:
        return Widths(4, 4, 0, moments, how)
    return Widths(2, 4, 4, moments, how)


def refuse(training: Training) -> None:
    """Raise UsageError for offloading that no formula is published for."""
    if training.offload == "none":
        return
    least = 3 if training.offload == "all" else 2
    if training.zero < least:
        raise UsageError(
            f"--offload {training.offload} needs --zero {least}",
            "optimizer goes with --zero 2 or 3, all with --zero 3",
        )


def states(parameters: int, largest: int, copies: int, training: Training) -> tuple[Term, ...]:
    """The terms of so many trained parameters on a rank, among `copies` that share them."""
    wide = widths(training)
    if training.zero < 2:
        return _megatron(parameters, copies, training, wide)
    if training.zero == 2:
        return _zero2(parameters, copies, training, wide)
    return _zero3(parameters, largest, copies, training, wide)


def _term(name: str, nbytes: float, formula: str) -> Term:
    return Term(name, int(nbytes), formula, "estimated", "weights")


def _optimizer(wide: Widths) -> str:
    return f"{wide.master} + {wide.how}" if wide.master else wide.how


def _megatron(p: int, copies: int, training: Training, wide: Widths) -> tuple[Term, ...]:
    shared = copies if training.zero == 1 else 1
    by = f" / {shared}" if shared > 1 else ""
    return (
        _term("weights", p * wide.weights, f"{p:,} x {wide.weights} B; {_MEGATRON}"),
        _term("gradients", p * wide.gradients, f"{p:,} x {wide.gradients} B; {_MEGATRON}"),
        _term("optimizer", p * wide.optimizer / shared,
              f"{p:,} x ({_optimizer(wide)}) B{by}; {_MEGATRON}"),
    )  # fmt: skip


def _zero2(p: int, copies: int, training: Training, wide: Widths) -> tuple[Term, ...]:
    source = _DEEPSPEED.format(2)
    weights = _term("weights", p * wide.weights, f"{p:,} x {wide.weights} B; {source}")
    if training.offload != "none":
        return (weights,)
    each = wide.optimizer + 4 * (wide.master > 0)
    return (
        weights,
        _term("gradients", p * wide.weights, f"{p:,} x {wide.weights} B; {source}"),
        _term("optimizer, 32-bit gradients", p * each / copies,
              f"{p:,} x ({_optimizer(wide)}{' + 4' if wide.master else ''}) B / {copies}; "
              f"{source}"),
    )  # fmt: skip


def _zero3(p: int, largest: int, copies: int, training: Training, wide: Widths) -> tuple[Term, ...]:
    source = _DEEPSPEED.format(3)
    gathered = _term("largest module, gathered", largest * 2 * wide.weights,
                     f"{largest:,} x 2 x {wide.weights} B; {source}")  # fmt: skip
    if training.offload == "all":
        return (gathered,)
    weights = _term("weights", p * wide.weights / copies,
                    f"{p:,} x {wide.weights} B / {copies}; {source}")  # fmt: skip
    if training.offload == "optimizer":
        return (weights, gathered)
    each = wide.optimizer + 4
    rest = _term("optimizer, 32-bit gradients", p * each / copies,
                 f"{p:,} x ({_optimizer(wide)} + 4) B / {copies}; {source}")  # fmt: skip
    return (weights, rest, gathered)


def by_paper(parameters: int, copies: int, training: Training) -> tuple[int, str]:
    """Bytes of the states on a rank as the ZeRO paper counts them, gradients in 16 bits too.

    Rajbhandari et al., arXiv 1910.02054, figure 1: (2 + 2 + K) P, of which stages 1, 2 and 3 share
    K P, 2 P + K P and all among the copies; K is 12 for Adam.
    """
    wide = widths(training)
    k, p, n = wide.optimizer, parameters, copies if training.zero else 1
    parts = [wide.weights * p, wide.weights * p, k * p]
    shared = sum(parts[3 - training.zero :]) if training.zero else 0
    nbytes = sum(parts) - shared + shared / n
    how = f"(2 + 2 + {k:g}) x {p:,} B, of stage {training.zero} {int(shared):,} B / {n}"
    return int(nbytes), f"{how}; arXiv 1910.02054"


def host(parameters: int, cards: int, training: Training) -> tuple[int, str]:
    """Bytes of one node's memory that offloading takes, and the formula; 0 without it."""
    wide = widths(training)
    each = wide.optimizer + wide.gradients
    on_node = -(-cards // training.nodes)
    if training.offload == "none":
        return 0, "nothing is offloaded"
    if training.zero == 2:
        factor = max(4.0 * on_node, each)
        how = f"{parameters:,} x max(4 x {on_node} cards, {each:g}) B x {BUFFER}"
        return int(parameters * factor * BUFFER), f"{how}; {_DEEPSPEED.format(2)}"
    factor = each + wide.weights * (training.offload == "all")
    how = f"{parameters:,} x {factor:g} B / {training.nodes} nodes x {BUFFER}"
    return int(parameters * factor / training.nodes * BUFFER), f"{how}; {_DEEPSPEED.format(3)}"

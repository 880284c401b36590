"""A few lines of a packed weight -> the numbers that its scheme says, as float32.

    found = PackedWeights(structure).at(row)
    lines = some_lines(found.stored, 4)
    raw = {part.leaf: ... for part in needed(found.stored, lines)}
    numbers = dequantized(found.stored, lines, raw)

Nothing here reads: `needed` says which bytes of which tensors the lines take, and no others. Each
scheme is in a file of its own, with its source; here is the list of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ckptscan.content.dequantize.aqlm import AQLM
from ckptscan.content.dequantize.awq import AWQ, AWQ_GEMV
from ckptscan.content.dequantize.bnb import BNB_BLOCKS
from ckptscan.content.dequantize.finding import Found, PackedWeights
from ckptscan.content.dequantize.folded import BITNET, FOLDED
from ckptscan.content.dequantize.fp4 import FP4
from ckptscan.content.dequantize.gptq import GPTQ
from ckptscan.content.dequantize.mlx import MLX
from ckptscan.content.dequantize.modelopt import MODELOPT_INT4
from ckptscan.content.dequantize.packed import PACK_QUANTIZED
from ckptscan.content.dequantize.scaled import BNB_INT8, EETQ, SCALED
from ckptscan.content.dequantize.values import (
    Coded,
    Formula,
    Lines,
    NoFormula,
    Part,
    Stored,
    Summed,
)

if TYPE_CHECKING:
    from ckptscan.content.dequantize.values import Numbers

__all__ = [
    "Found",
    "Lines",
    "NoFormula",
    "PackedWeights",
    "Part",
    "Stored",
    "dequantized",
    "formula_of",
    "needed",
    "some_lines",
    "with_halves",
]

MOST = 1 << 23  # weights at once; 8 inputs of a head of a million words
# scheme, as structure/packing calls it -> its formula; Quanto's and torchao's are of several kinds
FORMULAS = {
    "aqlm": AQLM,
    "awq": AWQ,
    "awq-gemv": AWQ_GEMV,
    "bitnet": BITNET,
    "bnb-4bit": BNB_BLOCKS,
    "bnb-8bit": BNB_BLOCKS,
    "bnb-fp4": BNB_BLOCKS,
    "bnb-int8": BNB_INT8,
    "bnb-nf4": BNB_BLOCKS,
    "eetq": EETQ,
    "fp4-e8m0": FP4,
    "fp8": SCALED,
    "fp8-block": SCALED,
    "gptq": GPTQ,
    "hqq": FOLDED,
    "int8": SCALED,
    "mlx": MLX,
    "modelopt-int4": MODELOPT_INT4,
    "mxfp4": FP4,
    "mxfp6": SCALED,
    "mxfp8": SCALED,
    "nvfp4": FP4,
    "pack-quantized": PACK_QUANTIZED,
}


def formula_of(stored: Stored) -> Formula:
    """The formula of a weight's scheme. Raises NoFormula where there is none, and why."""
    packing = stored.packing
    if packing.problems:
        raise NoFormula(packing.problems[0])
    if stored.logical == () or not all(stored.logical):
        raise NoFormula("it has no elements")
    is_bytes = stored.bundle.dtype("weight_qdata") in ("U8", "F4")
    is_folded = stored.bundle.dtype("weight._data") == "U8" or "weight._data._data" in (
        stored.bundle.kinds
    )
    several = {
        "quanto": FOLDED if is_folded else SCALED,
        "torchao": FP4 if is_bytes else SCALED,
    }
    found = FORMULAS.get(packing.scheme) or several.get(packing.scheme)
    if found is None:
        raise NoFormula(f"no formula of {packing.scheme} is known here")
    return found


def some_lines(stored: Stored, count: int, matrix: int = 0) -> tuple[Lines, ...]:
    """The first lines, those in the middle and the last, so many of each at least.

    They do not overlap. Raises NoFormula.
    """
    formula = formula_of(stored)
    with _fitting():
        size, step = stored.logical[formula.axis], formula.step(stored)
        wanted = -(-count // step) * step
        starts = sorted({0, (size - wanted) // 2 // step * step, (size - wanted) // step * step})
    found: list[Lines] = []
    for start in starts:
        begin = max(start, found[-1].stop if found else 0)
        stop = min(begin + wanted, size)
        if begin < stop:
            found.append(Lines(begin, stop, matrix))
    return tuple(found)


def needed(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    """The bytes that lines take, a part of each tensor. Raises NoFormula."""
    formula = formula_of(stored)
    left, right = lines.within(stored.logical[-3 - formula.axis])
    weights = lines.size * (right - left)
    if weights > MOST:
        raise NoFormula(f"the lines have {weights:,} weights")
    with _fitting():
        parts = tuple(formula.parts(stored, lines))
    for part in parts:
        if part.start < 0 or part.stop > stored.bundle.kinds[part.leaf].nbytes:
            raise NoFormula(f"{stored.bundle.shown(part.leaf)} is too small for its weight")
    return parts


def dequantized(stored: Stored, lines: Lines, raw: Mapping[str, Any]) -> Numbers:
    """The weights of lines as float32, a row a line; `raw` holds the bytes that are `needed`.

    Raises NoFormula, also where the bytes contradict each other.
    """
    with _calculating():
        return _decoded(stored, lines, raw).values


def with_halves(stored: Stored, lines: Lines, raw: Mapping[str, Any]) -> tuple[Numbers, Numbers]:
    """The same, and how far each weight may lie from the number that its code stands for."""
    with _calculating():
        found = _decoded(stored, lines, raw)
        return found.values, found.halves


def _decoded(stored: Stored, lines: Lines, raw: Mapping[str, Any]) -> Coded | Summed:
    """What the bytes of lines say."""
    import numpy as np

    held = {}
    for part in needed(stored, lines):
        held[part.leaf] = np.frombuffer(raw[part.leaf], "u1")
        if len(held[part.leaf]) != part.nbytes:
            raise NoFormula(f"bytes of {part.leaf} are missing")
    return formula_of(stored).decoded(stored, lines, held)


@contextmanager
def _calculating() -> Iterator[None]:
    """Infinities come and go in silence."""
    import numpy as np

    with _fitting(), np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        yield


@contextmanager
def _fitting() -> Iterator[None]:
    """Shapes that no formula counts on are a reason as well."""
    try:
        yield
    except NoFormula:
        raise
    except (IndexError, TypeError, ValueError, ZeroDivisionError) as err:
        raise NoFormula("its tensors do not fit one another") from err

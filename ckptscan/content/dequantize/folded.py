"""A weight folded along its first axis into bytes, in groups or as it is: HQQ, Quanto, BitNet.

HQQ: (code - zero) x scale, the first fold in the highest bits, ten codes of 3 bits in a word: hqq
core/bitpack.py and core/quantize.py, Quantizer.dequantize. Quanto: the first fold in the lowest
bits; an integer shift is taken from the code, a float one from the product: optimum-quanto
tensor/packed.py and tensor/qbits.py, QBitsDequantizer. BitNet: likewise, the codes are 0, 1 and 2
for -1, 0 and 1; the scale divides, but multiplies where config.json names the class
`autobitlinear`: transformers integrations/bitnet.py, BitLinear and AutoBitLinear.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.content.dequantize.values import (
    Coded,
    Formula,
    Lines,
    NoFormula,
    Part,
    Stored,
    integers,
    numbers,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ckptscan.content.dequantize.values import Numbers, Raw


class _Fold(NamedTuple):
    """Codes in words of `size` bytes: `folds` of them one over the other, `rows` x `cols` words.

    `bits` is how far one fold lies over the next, `is_downward` that the first lies highest.
    """

    leaf: str
    size: int
    folds: int
    bits: int
    rows: int
    cols: int
    is_downward: bool


def _fold(stored: Stored) -> _Fold:
    leaf = stored.bundle.first("W_q", "weight._data._data", "weight._data", "weight")
    if leaf is None or stored.bundle.matrix(leaf) is None or len(stored.shape(leaf)) != 2:
        raise NoFormula("its codes are no matrix")
    kind = stored.bundle.kinds[leaf]
    is_words = kind.dtype.name in ("I32", "U32")
    size = 4 if is_words else 1
    rows, cols = stored.shape(leaf)[0], kind.nbytes // stored.shape(leaf)[0] // size
    folds = 10 if is_words else prod(stored.logical) // (rows * cols)
    if folds not in (1, 2, 4, 8, 10) or rows * cols * folds < prod(stored.logical):
        raise NoFormula("its codes are not as many as its weights")
    bits = 3 if is_words else 8 // folds
    return _Fold(leaf, size, folds, bits, rows, cols, leaf == "W_q")


def _run(stored: Stored, lines: Lines) -> tuple[int, int]:
    """The first weight of the lines and the one after them, in the flattened weight."""
    rows, wide = stored.logical[-2:]
    first = (lines.matrix * rows + lines.start) * wide
    return first, first + (lines.stop - lines.start) * wide


def _rows(fold: _Fold, start: int, stop: int) -> tuple[int, int]:
    """The rows of words that hold these weights; all, where the weights reach over a fold."""
    first, last = start // fold.cols, (stop - 1) // fold.cols
    if first // fold.rows != last // fold.rows:
        return 0, fold.rows
    return first % fold.rows, last % fold.rows + 1


def _books(stored: Stored) -> list[str]:
    leaves = ("scale", "zero", "weight._scale", "weight._shift", "weight._zeropoint")
    found = [leaf for leaf in leaves if leaf in stored.bundle.kinds]
    if not {"scale", "weight._scale"} & set(found):
        raise NoFormula("its scales are quantized themselves, or missing")
    return found


def _parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    fold = _fold(stored)
    start, stop = _run(stored, lines)
    first, last = _rows(fold, start, stop)
    width = fold.cols * fold.size
    return (
        Part(fold.leaf, first * width, (last - first) * width),
        *(_book_part(stored, fold, leaf, start, stop) for leaf in _books(stored)),
    )


def _book_part(stored: Stored, fold: _Fold, leaf: str, start: int, stop: int) -> Part:
    """The scales of some weights: one a row of codes, or one a column."""
    if not _is_by_row(stored, leaf):
        return stored.whole(leaf)[0]
    size = (stored.bundle.kinds[leaf].dtype.bits or 8) // 8
    first, last = start // fold.cols, (stop - 1) // fold.cols
    return Part(leaf, first * size, (last + 1 - first) * size)


def _is_by_row(stored: Stored, leaf: str) -> bool:
    """Whether a scale stands for a row of codes. Raises NoFormula where it fits neither way."""
    fold = _fold(stored)
    shape = stored.shape(leaf)
    count = prod(shape)
    rows = prod(stored.logical) // fold.cols
    if count == rows and (len(shape) == 1 or shape[0] == count):
        return True
    if count in (1, fold.cols):
        return False
    raise NoFormula(f"{stored.bundle.shown(leaf)} stands for no row or column of its codes")


def _decoded(stored: Stored, lines: Lines, raw: Raw) -> Coded:
    import numpy as np

    fold = _fold(stored)
    start, stop = _run(stored, lines)
    codes = _codes(fold, raw[fold.leaf], start, stop).reshape(lines.size, -1)
    books = {
        leaf: _book(stored, fold, leaf, raw, start, stop).reshape(codes.shape)
        for leaf in _books(stored)
    }
    plain = Coded(codes, integers(fold.bits), np.ones((1, 1), "<f4"))
    if not fold.is_downward:
        return _quanto(stored, plain, books)
    if "zero" not in books:
        return plain
    return plain._replace(zero=books["zero"], scale=books["scale"])


def _quanto(stored: Stored, plain: Coded, books: dict[str, Numbers]) -> Coded:
    shift = next((leaf for leaf in ("weight._shift", "weight._zeropoint") if leaf in books), None)
    if shift is None:
        raise NoFormula("there is no shift")
    if stored.bundle.kinds[shift].dtype.kind == "float":
        return plain._replace(scale=books["weight._scale"], bias=-books[shift])
    return plain._replace(scale=books["weight._scale"], zero=books[shift])


def _codes(fold: _Fold, raw: NDArray[np.uint8], start: int, stop: int) -> NDArray[np.uint8]:
    """The codes of weights from the first to before the last."""
    import numpy as np

    words = raw.view("<u4" if fold.size == 4 else "u1").astype("<u4").reshape(-1, fold.cols)
    first, _ = _rows(fold, start, stop)
    places = np.arange(start, stop)
    rows, columns = places // fold.cols, places % fold.cols
    depth = rows // fold.rows
    shift = (fold.folds - 1 - depth if fold.is_downward else depth) * fold.bits
    held = words[rows % fold.rows - first, columns]
    codes = held >> shift.astype("<u4") & np.uint32((1 << fold.bits) - 1)
    found: NDArray[np.uint8] = codes.astype("u1")
    return found


def _book(stored: Stored, fold: _Fold, leaf: str, raw: Raw, start: int, stop: int) -> Numbers:
    """The scale or zero of each weight."""
    import numpy as np

    held = numbers(stored.bundle.dtype(leaf), raw[leaf]).astype("<f4")
    places = np.arange(start, stop)
    if _is_by_row(stored, leaf):
        found: Numbers = held[places // fold.cols - start // fold.cols]
        return found
    return held[places % fold.cols if len(held) > 1 else places * 0]


def _ternary_parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    fold = _fold(stored)
    first, last = _rows(fold, *_run(stored, lines))
    codes = Part(fold.leaf, first * fold.cols, (last - first) * fold.cols)
    return codes, *stored.whole("weight_scale")


def _ternary_decoded(stored: Stored, lines: Lines, raw: Raw) -> Coded:
    import numpy as np

    fold = _fold(stored)
    start, stop = _run(stored, lines)
    codes = _codes(fold, raw[fold.leaf], start, stop).reshape(lines.size, -1)
    scale = stored.read("weight_scale", raw).astype("<f4")
    if stored.said.get("linear_class") != "autobitlinear":
        scale = np.float32(1) / scale
    return Coded(codes, integers(fold.bits), scale, 1.0)


BITNET = Formula(-2, _ternary_parts, _ternary_decoded)
FOLDED = Formula(-2, _parts, _decoded)

"""Numbers and names as people read them; everything that reaches a terminal passes here."""

from __future__ import annotations

from collections.abc import Sequence

from ckptscan.names import IndexSet, is_visible

_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_COUNT_UNITS = ("", "K", "M", "B", "T")
LONGEST = 200  # characters of a name that a line shows
_MOST_RANGES = 4  # of a set of indices


def nbytes(size: int, digits: int = 4) -> str:
    """Bytes in binary units with two decimals or so: `106.93 GiB`; below 1,024 as they are.

    With `digits` 3 at most three figures are written: `107 GiB`, `1.73 GiB`.
    """
    unit = min(max(size.bit_length() - 1, 0) // 10, len(_BYTE_UNITS) - 1)
    return _scaled(size, 1 << (10 * unit), digits) + f" {_BYTE_UNITS[unit]}"


def short_count(count: int, digits: int = 4) -> str:
    """A count in thousands, millions, billions (B, 10**9) or trillions: `57.41 B`."""
    unit = min((len(str(count)) - 1) // 3, len(_COUNT_UNITS) - 1)
    return f"{_scaled(count, 1000**unit, digits)} {_COUNT_UNITS[unit]}".rstrip()


def _scaled(value: int, scale: int, digits: int) -> str:
    """The quotient, rounded half up in integers throughout; as it is where the scale is 1."""
    if scale == 1:
        return str(value)
    decimals = 2 if digits > 3 else max(0, digits - len(str(value // scale)))
    parts = (value * 10**decimals + scale // 2) // scale
    whole, rest = divmod(parts, 10**decimals)
    return f"{whole:,}.{rest:0{decimals}d}" if decimals else f"{whole:,}"


def share(part: int, whole: int) -> str:
    """A share in percent with one decimal; `<0.1 %` for what is there and rounds to nothing."""
    if whole <= 0:
        return "-"
    tenths = (part * 1000 + whole // 2) // whole
    if tenths == 0 and part:
        return "<0.1 %"
    return f"{tenths // 10}.{tenths % 10} %"


def shape(dims: Sequence[int]) -> str:
    """A shape as PyTorch writes it: `[3584, 2560]`; a scalar is `[]`."""
    if len(dims) > 8:
        return f"[{', '.join(map(str, dims[:6]))}, ... {len(dims):,} dims]"
    return f"[{', '.join(map(str, dims))}]"


def indices(found: IndexSet | str) -> str:
    """A set of indices in few words: `0-47`, `0-2,4-6,...,44-46`."""
    ranges = str(found).split(",")
    if len(ranges) <= _MOST_RANGES:
        return str(found)
    return ",".join((*ranges[:2], "...", ranges[-1]))


def wrapped(text: str, width: int | None, indent: int = 0, hanging: int = 2) -> list[str]:
    """Text as printable lines of at most `width` characters where its words allow it.

    None is any width.
    """
    text = printable(text)
    start = " " * indent
    if width is None or indent + len(text) <= width:
        return [start + text]
    import textwrap

    return textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=start,
        subsequent_indent=start + " " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def plural(count: int, noun: str) -> str:
    """`1 file`, `29 files`."""
    if count != 1:
        is_soft = noun.endswith("y") and not noun.endswith("ey")  # a key, two keys
        noun = f"{noun[:-1]}ies" if is_soft else f"{noun}s"
    return f"{count:,} {noun}"


def printable(text: str) -> str:
    r"""Text with each character that a terminal could obey written as an escape: `\x1b`.

    Escaped are control, bidirectional, invisible and private characters and lone surrogates, and
    the backslash where something else is escaped.
    """
    if is_visible(text):
        return text
    return "".join(char if is_visible(char) and char != "\\" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def label(text: str) -> str:
    """A name as a line of a report shows it: printable, and cut where it is absurdly long."""
    if len(text) > LONGEST:
        half = LONGEST // 2
        cut = f"{printable(text[:half])}...{printable(text[-half:])}"
        return f"{cut} ({len(text):,} characters)"
    return printable(text)

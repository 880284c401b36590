"""The count of parameters written out, for the terminal, a model card or a paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckptscan.report import words
from ckptscan.report.options import Layout
from ckptscan.structure import Node, Structure
from ckptscan.structure.formula import Product, formula
from ckptscan.structure.towers import towers

_LATEX = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)


class Part(NamedTuple):
    """A part of a model: its name, parameters, terms."""

    name: str
    parameters: int
    terms: tuple[Product, ...]


class Row(NamedTuple):
    """One term of a part: how deep it is nested, written out, its value, what it counts."""

    depth: int
    part: str
    term: str
    value: int
    label: str


def parts(structure: Structure) -> list[Part]:
    """The parts of a model in the order of the data."""
    return [_part(tower) for tower in towers(structure.tree)]


def _part(tower: Node) -> Part:
    return Part(tower.label, tower.parameters, formula(tower))


def formula_rows(structure: Structure, layout: Layout) -> Iterator[Row]:
    """The terms of all parts, those within a repeated block below it."""
    for part in parts(structure):
        yield from _rows(part.terms, 0, part.name, layout)


def _rows(terms: Sequence[Product], depth: int, part: str, layout: Layout) -> Iterator[Row]:
    for term in terms:
        yield Row(depth, part, written(term), term.value, term.label)
        if layout.depth is None or depth + 1 < layout.depth:
            yield from _rows(term.inner, depth + 1, part, layout)


def written(term: Product, times: str = "*", plus: str = " + ") -> str:
    """A term as people write it: `28*((3584+1)*3584 + 3*3584*18944)`."""
    factors = [str(term.times)] if term.times != 1 else []
    factors += ["+".join(map(str, one)) for one in term.factors]
    factors = [f"({one})" if "+" in one else one for one in factors]
    if term.inner:
        inner = plus.join(written(one, times, plus) for one in term.inner)
        factors.append(f"({inner})")
    return times.join(factors) or "1"


def whole(structure: Structure) -> tuple[str, int]:
    """The formula of all parts in one line, and its value.

    What is stored twice and counted once is taken off at the end.
    """
    terms = [written(term) for part in parts(structure) for term in part.terms]
    value = structure.tree.parameters
    again = value - (structure.parameters.logical or value) if structure.rows is None else 0
    line = " + ".join(terms) or "0"
    return (f"{line} - {again}" if again else line), value - again


def text(structure: Structure, layout: Layout) -> Iterator[str]:
    """The formula in a line, the parts with their shares, then each term."""
    line, value = whole(structure)
    yield from words.wrapped(f"{line} = {value:,}", layout.width, 0, 2)
    if structure.tree.unknown:
        yield f"{words.plural(structure.tree.unknown, 'tensor')} packed, logical shape unknown"
    yield ""
    for part in parts(structure):
        yield f"{words.label(part.name)}: {part.parameters:,} ({_share(part.parameters, value)})"
        yield from _steps(part.terms, 1, layout)


def _steps(terms: Sequence[Product], depth: int, layout: Layout) -> Iterator[str]:
    for term in terms:
        if layout.depth is not None and depth > layout.depth:
            return
        indent = "  " * depth
        line = f"{term.times:,} x {_outline(term)}" if term.inner else written(term)
        yield from words.wrapped(
            f"{indent}{line} = {term.value:,}  {_label(term)}", layout.width, 0, 2 * depth + 2
        )
        yield from _steps(term.inner, depth + 1, layout)


def _outline(term: Product) -> str:
    """What a repeated block counts once: the value of its sum."""
    return f"{term.value // term.times:,}" if term.times else "0"


def _label(term: Product) -> str:
    """The modules that a term counts; those of one parent with their names alone."""
    paths = term.label.split(", ")
    parent = paths[0].rpartition(".")[0]
    shown = [paths[0], *(path.removeprefix(f"{parent}.") for path in paths[1:])]
    more = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
    return words.label(", ".join(shown[:4])) + more


def _share(part: int, whole_count: int) -> str:
    """A share in percent with two decimals."""
    if whole_count <= 0:
        return "-"
    hundredths = (part * 10_000 + whole_count // 2) // whole_count
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


def markdown(structure: Structure, layout: Layout) -> Iterator[str]:
    """The formula for a model card: the sum with its value, then a table of the parts."""
    from ckptscan.report.markdown import cell

    _, value = whole(structure)
    yield f"## Parameters of {cell(structure.checkpoint.origin.title)}"
    yield ""
    yield "| part | formula | parameters | share |"
    yield "| --- | --- | ---: | ---: |"
    for part in parts(structure):
        line = " + ".join(written(term, " \u00d7 ") for term in part.terms)
        share = _share(part.parameters, value)
        yield f"| {cell(part.name)} | {line} | {part.parameters:,} | {share} |"
    again = structure.tree.parameters - value
    if again:
        yield f"| stored twice, counted once | | -{again:,} | |"
    yield f"| **sum** | | **{value:,}** | |"


def latex(structure: Structure, layout: Layout) -> Iterator[str]:
    """The formula for a paper: an `align*` of amsmath, a line for each term."""
    _, value = whole(structure)
    yield r"\begin{align*}"
    start = "N ={}& "
    for part in parts(structure):
        for term in part.terms:
            body = written(term, r" \cdot ")
            label = words.label(term.label if len(term.label) < 60 else part.name)
            yield f"{start}{body} && \\text{{{label.translate(_LATEX)}}} \\\\"
            start = "&+ "
    again = structure.tree.parameters - value
    if again:
        yield f"&- {again} && \\text{{stored twice, counted once}} \\\\"
    shown = f"{value:,}".replace(",", "{,}")
    yield f"={{}}& {shown}"
    yield r"\end{align*}"

"""The tensors that findings speak of, for whoever loads some of them to look closer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, product

from ckptscan.checks.values import Finding, Where
from ckptscan.names import IndexSet, fill, split_stars
from ckptscan.table import TensorTable

MOST = 256  # tensors
_LOOKED_AT = ("error", "warning")


def odd_rows(findings: Iterable[Finding], table: TensorTable) -> tuple[int, ...]:
    """Rows that errors and warnings name; of a pattern those at the ends of its indices."""
    names = {
        name
        for finding in findings
        if finding.severity in _LOOKED_AT
        for where in finding.where
        for name in _names(where)
    }
    rows = (row for row, name in enumerate(table.names) if name in names)
    return tuple(islice(rows, MOST)) if names else ()


def _names(where: Where) -> Iterator[str]:
    if where.tensor is not None:
        yield where.tensor
    elif where.pattern is not None:
        axes = [IndexSet.parse(text) for text in where.indices]
        ends = [dict.fromkeys((one.ranges[0][0], one.ranges[-1][1])) for one in axes if one.ranges]
        if len(ends) == len(axes) == len(split_stars(where.pattern)) - 1:  # else it names none
            yield from (fill(where.pattern, at, axes) for at in product(*ends))

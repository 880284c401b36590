"""Tensors as JSON lines: an object each, for jq, DuckDB and their like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ckptscan.report.tensors import tensor_columns

if TYPE_CHECKING:
    from ckptscan.report.options import Layout
    from ckptscan.structure import Structure


def report(structure: Structure, layout: Layout) -> Iterator[str]:
    """A line for each tensor; control characters of names are escaped, as JSON wants it."""
    columns = tensor_columns(structure, layout)
    for values in zip(*columns.values(), strict=True):
        yield json.dumps(dict(zip(columns, values, strict=True)))

"""Tensors as a Parquet file, written by pyarrow (extra `parquet`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckptscan.errors import UsageError
from ckptscan.report.tensors import tensor_columns

if TYPE_CHECKING:
    from ckptscan.report.options import Layout
    from ckptscan.structure import Structure

ROWS_AT_ONCE = 1 << 16  # of a row group; bounds what a reader holds


def written(structure: Structure, layout: Layout) -> bytes:
    """The file: text as dictionaries, shapes as lists, sizes as unsigned integers of 64 bits.

    Raises UsageError where pyarrow is not installed.
    """
    arrow, write_table = pyarrow()
    shared, size = arrow.dictionary(arrow.int32(), arrow.string()), arrow.uint64()
    types = {
        "name": arrow.string(),
        "shape": arrow.list_(size),
        **dict.fromkeys(("elements", "bytes", "start", "end"), size),
    }
    columns = {
        name: arrow.array(map(_storable, values), types.get(name, shared))
        for name, values in tensor_columns(structure, layout).items()
    }
    sink = arrow.BufferOutputStream()
    write_table(arrow.table(columns), sink, compression="zstd", row_group_size=ROWS_AT_ONCE)
    raw: bytes = sink.getvalue().to_pybytes()
    return raw


def pyarrow() -> tuple[Any, Any]:
    """The package and its writer of tables; raises UsageError where it is not installed."""
    try:
        import pyarrow as pa
        from pyarrow.parquet import write_table
    except ImportError:
        raise UsageError(
            "parquet is written by pyarrow, which is not installed",
            "pip install 'ckptscan[parquet]'",
        ) from None
    return pa, write_table


def _storable(value: object) -> object:
    """Text as UTF-8 can hold it: the name of a file may be any bytes."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "backslashreplace").decode()
    return value

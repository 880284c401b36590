"""The table: columns seen as rows."""

from __future__ import annotations

import pytest

from ckptscan.table import Tensor, TensorTable
from tests.conftest import checkpoint_of


def table() -> TensorTable:
    return checkpoint_of(
        {
            "model-00001-of-00003.safetensors": {"a": ("F32", [2]), "b": ("U8", [])},
            "model-00002-of-00003.safetensors": {},
            "model-00003-of-00003.safetensors": {"c": ("BF16", [2, 2])},
        }
    ).table


def test_a_row_is_seen_as_a_tensor() -> None:
    tensor = table()[2]

    assert Tensor("c", tensor.dtype, (2, 2), 0, 8, 2, 4) == tensor
    assert "BF16" == tensor.dtype.name
    assert 8 == tensor.nbytes


def test_iteration_and_indexing_agree() -> None:
    rows = table()

    assert [*rows] == [rows[number] for number in range(len(rows))]
    assert [rows[1], rows[2]] == rows[1:]
    assert rows[-1] == rows[2]
    with pytest.raises(IndexError):
        _ = rows[3]


def test_a_row_knows_its_shard() -> None:
    rows = table()

    assert [0, 0, 2] == [rows.shard_of(row) for row in range(3)]
    assert [range(2), range(2, 2), range(2, 3)] == [shard.rows for shard in rows.shards]
    assert [9, 0, 8] == [shard.data_size for shard in rows.shards]


def test_a_table_is_columns_for_whoever_wants_them() -> None:
    columns = table().to_dict()
    first, last = "model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"

    assert {
        "name": ["a", "b", "c"],
        "dtype": ["F32", "U8", "BF16"],
        "shape": [(2,), (), (2, 2)],
        "elements": [2, 1, 4],
        "bytes": [8, 1, 8],
        "file": [first, first, last],
        "start": [0, 8, 0],
        "end": [8, 9, 8],
    } == columns


def test_columns_of_some_rows_say_what_the_rows_say() -> None:
    rows = table()
    columns = rows.to_dict([2, 0])

    assert [rows[2].name, rows[0].name] == columns["name"]
    assert [rows[2].nbytes, rows[0].nbytes] == columns["bytes"]
    assert {2} == set(map(len, columns.values()))  # type: ignore[arg-type]

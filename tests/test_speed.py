"""Speed, loosely: ceilings that only a slip of an order of magnitude breaks. See `make bench`."""

from __future__ import annotations

import time

import pytest

from ckptscan.checkpoint import load
from ckptscan.header import parse_header
from ckptscan.structure import describe
from tests.conftest import Tensors, file_of, pack, source_of


def seconds(start: float) -> float:
    return time.process_time() - start


def test_deepseek_v3_is_described_in_a_few_seconds() -> None:
    source = pack("deepseek-ai--DeepSeek-V3")
    start = time.process_time()
    structure = describe(load(source))

    assert structure.tensors == 91_991
    assert seconds(start) < 8


@pytest.mark.slow
def test_a_hundred_thousand_odd_names_are_read_in_time() -> None:
    """The exact reader, which an escape in one name sends the whole header to."""
    tensors: Tensors = {f"l.{n}.w": ("U8", [1]) for n in range(100_000)} | {'"': ("U8", [1])}
    data = file_of(tensors)
    start = time.process_time()
    header = parse_header(data, len(data))

    assert len(header.names) == 100_001
    assert seconds(start) < 10


@pytest.mark.slow
def test_a_name_of_a_megabyte_takes_no_time() -> None:
    names = ["a" * 1_000_000, "1." * 100_000, "_1" * 100_000, ".*" * 100_000, "\\" * 200_000]
    start = time.process_time()
    for name in names:
        structure = describe(load(source_of({"model.safetensors": {name: ("U8", [1])}})))

        assert structure.tensors == 1
    assert seconds(start) < 10


@pytest.mark.slow
def test_a_rank_of_a_million_takes_no_time() -> None:
    data = file_of({"a": ("U8", [1] * 1_000_000)})
    start = time.process_time()
    header = parse_header(data, len(data))

    assert header.is_valid
    assert seconds(start) < 10

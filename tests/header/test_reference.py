"""The oracle is the real thing: the installed safetensors package decides as we do."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from safetensors import TensorSpec, serialize

from ckptscan.dtypes import DTYPES
from ckptscan.header import parse_header, wanted
from fixtures.make import attacks
from tests.conftest import WRITABLE, Tensors, file_of, framed, header_text
from tests.header.fuzzing import disagreements, ours, reference

NAMES = st.text(WRITABLE, max_size=12)
SHAPES = st.lists(st.integers(0, 4), max_size=4)
WHOLE_BYTES = [name for name, dtype in DTYPES.items() if (dtype.bits or 0) % 8 == 0]
TENSORS = st.dictionaries(
    NAMES.filter(lambda name: name != "__metadata__"),
    st.tuples(st.sampled_from(WHOLE_BYTES), SHAPES),
    max_size=8,
)
METADATA = st.none() | st.dictionaries(NAMES, NAMES, max_size=3)


@pytest.mark.parametrize(("name", "data"), attacks().items(), ids=attacks())
def test_a_hostile_file_has_the_reference_s_verdict_and_variant(name: str, data: bytes) -> None:
    assert reference(data) == ours(data)


@given(TENSORS, METADATA)
def test_what_the_reference_writes_is_read_as_it_was(
    tensors: Tensors, metadata: dict[str, str] | None
) -> None:
    # safetensors 0.8.0 writes no JSON for no tensors with empty metadata: `{},"__metadata__":{}}`
    assume(tensors or metadata is None)
    zeros = np.zeros(8 * 4**4, np.uint8)
    data = serialize(
        {name: _spec(dtype, shape, zeros) for name, (dtype, shape) in tensors.items()}, metadata
    )
    header = parse_header(data[: wanted(data[:8], len(data))], len(data))

    assert header.is_valid
    assert {name: (dtype, tuple(shape)) for name, (dtype, shape) in tensors.items()} == {
        name: (header.kinds[code].dtype.name, header.kinds[code].shape)
        for name, code in zip(header.names, header.codes, strict=True)
    }
    assert (metadata or {}) == dict(header.metadata)


def _spec(dtype: str, shape: Sequence[int], zeros: np.ndarray) -> TensorSpec:
    size = math.prod(shape) * (DTYPES[dtype].bits or 0) // 8
    return TensorSpec(dtype=written(dtype), shape=shape, data_ptr=zeros.ctypes.data, data_len=size)


def written(dtype: str) -> str:
    """A dtype as the reference's binding wants it for writing: torch's name."""
    odd = {"BOOL": "bool", "BF16": "bfloat16", "C64": "complex64"}
    if dtype in odd:
        return odd[dtype]
    kind = {"F": "float", "I": "int", "U": "uint"}[dtype[0]]
    rest = dtype[1:].lower().replace("e8m0", "e8m0fnu")
    return f"{kind}{rest}fn" if rest == "8_e4m3" else f"{kind}{rest}"


@given(TENSORS, METADATA)
def test_what_we_lay_out_the_reference_opens(
    tensors: Tensors, metadata: dict[str, str] | None
) -> None:
    assert reference(file_of(tensors, metadata)) is None


@given(TENSORS, st.sampled_from([None, (", ", ": "), (" ,", "\n:")]), st.integers(0, 8))
def test_white_space_and_padding_change_nothing(
    tensors: Tensors, separators: tuple[str, str] | None, padding: int
) -> None:
    document = json.loads(header_text(tensors))
    text = json.dumps(document, separators=separators, indent=None if separators else 1)
    data = framed(text + " " * padding, file_of(tensors)[8 + len(_padded(tensors)) :])

    assert reference(data) == ours(data)


def _padded(tensors: Tensors) -> bytes:
    text = header_text(tensors).encode()
    return text + b" " * (-len(text) % 8)


@pytest.mark.parametrize("seed", range(4))
def test_fuzzed_headers_have_the_reference_s_verdict(seed: int) -> None:
    """With equal offsets the reference's own variant is random; the verdict never is."""
    found = list(disagreements(seed, 2000))
    verdicts = [case for case in found if (case[1] is None) != (case[2] is None)]

    assert [] == verdicts
    assert len(found) <= 6


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 104))
def test_more_fuzzed_headers_have_the_reference_s_verdict(seed: int) -> None:
    found = list(disagreements(seed, 60_000))

    assert [] == [case for case in found if (case[1] is None) != (case[2] is None)]

"""Tensors of a repository of the Hub: by ranges, in time, with the sha256 that it lists."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import pytest

from ckptscan.checkpoint import load
from ckptscan.content import Wish, read_content, streams
from ckptscan.content.blocks import Sizes
from ckptscan.errors import SourceUnreachable
from ckptscan.sources import Access, open_source
from ckptscan.structure import describe
from tests.content.making import FILE, raw_file, source_of, structure_of
from tests.sources.conftest import caches, standin
from tests.standin import Standin

__all__ = ["caches", "standin"]
ARRAYS = {
    f"model.layers.{n}.mlp.up_proj.weight": (
        "F32",
        np.random.default_rng(n).random((512, 512)).astype("<f4"),
    )
    for n in range(4)
}
DATA = raw_file(ARRAYS)


@pytest.fixture(autouse=True)
def _repository(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    standin.repository("model", "org/x").commit({FILE: DATA, "config.json": b"{}"})
    monkeypatch.setattr(streams, "REMOTE", Sizes(3 * 64 << 10))


def test_what_the_hub_serves_is_what_memory_holds(standin: Standin) -> None:
    source = open_source("org/x", Access(timeout=20))
    here = source_of(DATA)
    expected = read_content(here, structure_of(here))
    found = read_content(source, describe(load(source)), Wish(hashes=True))

    assert expected.statistics == found.statistics
    assert {FILE: hashlib.sha256(DATA).hexdigest()} == found.hashes


@pytest.mark.slow
def test_a_reading_may_take_longer_than_its_limit_while_bytes_flow(standin: Standin) -> None:
    source = open_source("org/x", Access(timeout=1.5))
    structure = describe(load(source))
    standin.faults.latency = 0.5
    begun = time.monotonic()
    found = read_content(source, structure)

    assert time.monotonic() - begun > 1.5
    assert len(ARRAYS) == found.tensors_read


@pytest.mark.slow
def test_a_reading_that_breaks_off_is_taken_up_again(standin: Standin) -> None:
    source = open_source("org/x", Access(timeout=1.0))
    structure = describe(load(source))
    reading = read_content(source, structure, Wish(match=lambda name: ".0." in name))
    standin.faults.on("stall", 20, stage="cdn")
    with pytest.raises(SourceUnreachable):
        read_content(source, structure)
    standin.faults.off("stall")
    whole = read_content(source, structure)

    assert 1 == reading.tensors_read
    assert len(ARRAYS) == whole.tensors_read
    assert sum(array.nbytes for _, array in ARRAYS.values()) == (
        whole.bytes_read + whole.bytes_resumed
    )

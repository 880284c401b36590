"""Tensors of a repository of the Hub: exact ranges, resumed where they break off."""

from __future__ import annotations

import pytest

from ckptscan.checkpoint import load
from ckptscan.sources import Access, open_source
from ckptscan.structure import describe
from ckptscan.verify import Wish, verify
from tests.checks.looking import llama
from tests.content.making import FILE, raw_file, source_of, structure_of, weights
from tests.sources.conftest import caches, standin
from tests.standin import Standin
from tests.verify.making import begins

__all__ = ["caches", "standin"]
DATA = raw_file(weights(llama()))
MLP = Wish(match=lambda name: ".3.mlp." in name)


@pytest.fixture(autouse=True)
def _repository(standin: Standin) -> None:
    standin.repository("model", "org/x").commit({FILE: DATA, "config.json": b"{}"})  # type: ignore[union-attr]


def test_what_the_hub_serves_is_what_memory_holds() -> None:
    source = open_source("org/x", Access(timeout=20))
    here = source_of(DATA)
    expected = verify(here, structure_of(here), device="cpu", digests=True)
    found = verify(source, describe(load(source)), device="cpu", digests=True)

    assert expected.match
    assert found.match
    assert [(one.name, one.figures, one.sha256) for one in expected.probes] == [
        (one.name, one.figures, one.sha256) for one in found.probes
    ]


def test_only_the_bytes_of_chosen_tensors_are_asked_for(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    # operations read a few rows once more
    monkeypatch.setattr("ckptscan.verify.verifying.lack_of_torch", lambda: "torch is not installed")
    source = open_source("org/x", Access(timeout=20))
    structure = describe(load(source))
    standin.clear()
    found = verify(source, structure, MLP, "cpu")
    places = [begins(structure)[probe.name] for probe in found.probes]
    ranges = {request.headers.get("range", "") for request in standin.asked(file=FILE)}
    low, high = min(start for start, _ in places), max(end for _, end in places)

    assert 3 == len(places)
    assert {f"bytes={low}-{high - 1}"} == ranges - {""}
    assert 2 * (high - low) == standin.body_bytes(FILE)


@pytest.mark.parametrize(("fault", "value"), [("short_body", 1000), ("status", 503)])
def test_a_range_that_breaks_off_is_asked_for_again(
    standin: Standin, fault: str, value: int
) -> None:
    source = open_source("org/x", Access(timeout=30))
    structure = describe(load(source))
    standin.faults.on(fault, value, stage="cdn", times=1)
    found = verify(source, structure, MLP, "cpu")

    assert found.match
    assert "" == found.stopped


@pytest.mark.slow
def test_a_server_that_is_gone_leaves_a_partial_report(standin: Standin) -> None:
    source = open_source("org/x", Access(timeout=1))
    structure = describe(load(source))
    standin.faults.on("stall", 20, stage="cdn")
    found = verify(source, structure, MLP, "cpu")

    assert found.stopped
    assert found.error is not None
    assert 3 == found.error.exit_code

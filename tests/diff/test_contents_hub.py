"""Tensors of repositories on the Hub: what Xet proves, what samples of files elsewhere cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ckptscan.commands import cli
from tests.content.making import Arrays, raw_file
from tests.diff.contents import CONFIG, edited, model
from tests.diff.packing import Array, Packed, awq, fp8_block, gptq, quantized
from tests.sources.conftest import caches, standin
from tests.standin import Standin, repository_of_files

__all__ = ["caches", "standin"]
A = model()


def files(*shards: Arrays) -> dict[str, bytes]:
    """Weight files with a config."""
    count = len(shards)
    named = {
        f"model-{number:05}-of-{count:05}.safetensors": raw_file(arrays)
        for number, arrays in enumerate(shards, 1)
    }
    return {**named, "config.json": json.dumps(CONFIG).encode()}


def halves(arrays: Arrays, cut: int) -> tuple[Arrays, Arrays]:
    names = list(arrays)
    return {n: arrays[n] for n in names[:cut]}, {n: arrays[n] for n in names[cut:]}


def told(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["diff", "org/a", "org/b", "--format", "json", *arguments])

    assert 0 == done.exit_code, done.output
    return dict(json.loads(done.stdout))


@pytest.fixture
def resharded(standin: Standin) -> Standin:
    standin.add(repository_of_files("org/a", files(*halves(A, 20))))
    standin.add(repository_of_files("org/b", files(*halves(A, 11))))
    return standin


def states(document: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in document["changes"]:
        key = f"{one['evidence']['content']} {one['evidence'].get('proof')}"
        found[key] = found.get(key, 0) + one["tensors"]
    return found


def test_samples_of_files_on_the_hub(resharded: Standin) -> None:
    found = states(told("--sample", "4"))

    assert {"sampled sample", "identical bytes"} >= found.keys()
    assert found["sampled sample"]


def test_few_requests_show_neighbouring_tensors_where_nobody_asks_for_more(
    standin: Standin,
) -> None:
    """14 requests for samples: of the other tensors it is told that they were not compared."""
    changed = edited(A, r"layers\.0\.mlp\.down_proj", lambda array: array ^ 1)
    standin.add(repository_of_files("org/a", files(*halves(A, 20))))
    standin.add(repository_of_files("org/b", files(*halves(changed, 20))))
    told("--no-sample")
    headers = standin.count()
    document = told()

    assert standin.count() - headers <= 2 + 14
    assert {"unproved None", "sampled sample", "identical bytes"} >= states(document).keys() - {
        "changed bytes",
        "identical files",
    }
    assert len(A) == sum(document["summary"].values())


@pytest.mark.parametrize("pack", [gptq, awq, fp8_block])
def test_few_requests_tell_that_codes_stand_for_the_same_numbers(
    pack: Callable[[Array], Packed], standin: Standin
) -> None:
    """They are shared by plain tensors and packed ones; of the rest it is told what it takes."""
    standin.add(repository_of_files("org/a", files(*halves(A, 20))))
    standin.add(repository_of_files("org/b", files(quantized(A, pack))))
    told("--no-sample")
    headers = standin.count()
    document = told()
    found = states(document)

    assert standin.count() - headers <= 3 + 14
    assert {"consistent sample", "unproved None"} <= found.keys()
    assert {"quantized": "sampled"}.items() <= {
        one["code"]: one["proof"] for one in document["verdicts"]
    }.items()
    assert document["content"]["bytes_wanted"]


def test_files_that_both_sides_hold_are_asked_for_once(standin: Standin) -> None:
    one, two = halves(A, 20)
    changed = edited(two, "", lambda array: array ^ 1)
    standin.add(repository_of_files("org/a", files(one, two)))
    standin.add(repository_of_files("org/b", files(one, changed)))
    document = told("--no-sample")
    of_b = {request.file for request in standin.asked("hub") if "/org/b/resolve/" in request.path}

    assert {"model-00002-of-00002.safetensors"} == of_b
    assert 20 == document["summary"]["identical"]


@pytest.mark.slow
def test_xet_proves_tensors_equal_that_lie_elsewhere(resharded: Standin) -> None:
    plain, asked = told(), told("--xet")

    assert asked["content"]["bytes_read"] < plain["content"]["bytes_read"] / 2
    assert any(one.startswith("identical xet") for one in states(asked))


@pytest.mark.slow
def test_xet_leaves_open_what_changed(standin: Standin) -> None:
    def change(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        array[300] ^= 1
        return array

    standin.add(repository_of_files("org/a", files(A)))
    standin.add(repository_of_files("org/b", files(edited(A, "embed_tokens", change))))
    document = told("--xet", "--sample", "64")

    assert 1 == document["summary"]["content"]


@pytest.mark.slow
def test_every_byte_of_the_hub(resharded: Standin) -> None:
    document = told("--full")

    assert "identical bytes" in states(document) or not states(document)
    assert "same-weights" == document["verdicts"][0]["code"]


def test_no_sample_reads_headers_only(resharded: Standin) -> None:
    document = told("--no-sample")

    assert document["content"]["bytes_read"] is None
    assert {"unproved None"} == states(document).keys()

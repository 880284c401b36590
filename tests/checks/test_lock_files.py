"""Files against a lock: L005 to L007."""

from __future__ import annotations

import pytest

from ckptscan.checks import Given, audit
from ckptscan.lock import Compared, open_for_lock
from ckptscan.sources.base import FileEntry
from ckptscan.sources.memory import MemorySource
from tests.conftest import file_of
from tests.lock.making import Files, audit_against, codes_against

W = {"a.weight": ("F32", [2, 2])}
ONE: Files = {"model.safetensors": W, "config.json": b"{}"}


CASES = [
        pytest.param(ONE, [], id="L006-the-same"),
        pytest.param({**ONE, "README.md": b"words"}, [], id="L007-a-file-that-no-loader-reads"),
        pytest.param({**ONE, "model.safetensors": file_of(W) + b"more"}, ["L005"], id="L005-longer"),
        pytest.param({**ONE, "model.safetensors": file_of(W)[:-1]}, ["L005"], id="L005-shorter"),
        pytest.param({**ONE, "model.safetensors": {"a.weight": ("I32", [2, 2])}}, ["L003", "L006"], id="L005-as-long"),
        pytest.param({**ONE, "model.safetensors": file_of(W, {"a": "b"})}, ["L005", "L006"], id="L006-metadata"),
        pytest.param({**ONE, "config.json": b"[]"}, ["L007"], id="L007-changed"),
        pytest.param({**ONE, "run.py": b""}, ["L007"], id="L007-new-code"),
        pytest.param({"model.safetensors": W}, ["L007"], id="L007-gone"),
        pytest.param({**ONE, "pytorch_model.bin": b""}, ["L007"], id="L007-other-weights"),
    ]  # fmt: skip


@pytest.mark.parametrize(("now", "expected"), CASES)
def test_drift_of_files(now: Files, expected: list[str]) -> None:
    assert expected == codes_against(ONE, now)


def test_another_header_with_the_same_tensors_is_said_to_be() -> None:
    now: Files = {**ONE, "model.safetensors": file_of(W, {"a": "b"})}
    (finding,) = audit_against(ONE, now, "L006").findings

    assert "another header than the locked one, with the same tensors" in finding.message


def source(digest: str | None, sha: str | None = None) -> MemorySource:
    data = file_of(W)
    entries = [FileEntry("model.safetensors", len(data), digest)]
    if sha:
        entries.append(FileEntry("tokenizer.json", 9 << 20, sha))
    return MemorySource({"model.safetensors": data}, entries)


@pytest.mark.parametrize(
    ("digest", "sha", "expected"),
    [
        ("a" * 64, "c" * 64, []),
        ("b" * 64, "c" * 64, ["L007"]),
        (None, "c" * 64, []),
        ("a" * 64, "d" * 64, ["L007"]),
    ],
)
def test_what_is_known_without_reading_is_compared(
    digest: str | None, sha: str, expected: list[str]
) -> None:
    _, then = open_for_lock(source("a" * 64, "c" * 64))
    checkpoint, now = open_for_lock(source(digest, sha))
    done = audit(checkpoint, ["L"], given=Given(lock=Compared(then, now)))

    assert expected == [finding.code for finding in done.findings]


def test_of_what_was_not_read_the_size_is_compared() -> None:
    def listed(size: int) -> MemorySource:
        data = file_of(W)
        entries = [FileEntry("x.gguf", size)]
        return MemorySource({"model.safetensors": data}, entries)

    _, then = open_for_lock(listed(7))
    checkpoint, now = open_for_lock(listed(8))
    (finding,) = audit(checkpoint, ["L"], given=Given(lock=Compared(then, now))).findings

    assert "x.gguf: 7 bytes in the lock, 8 now" == finding.message


def test_the_sha256_of_a_config_is_in_the_evidence() -> None:
    (finding,) = audit_against(ONE, {**ONE, "config.json": b"[]"}, "L007").findings

    assert "config.json: its sha256 is another than in the lock" == finding.message
    assert finding.evidence["expected"] != finding.evidence["seen"]

"""What a diff of two revisions on the Hub takes, of which one is known and five files changed."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from ckptscan.sources import open_source
from ckptscan.sources.memory import MemorySource
from tests.standin import Repository, Standin, repository_of_files
from tests.standin.content import blob_of, repository_of_pack

CHANGED = 5
REQUESTS, SHARE = 25, 0.2  # wanted


def twin(packed: str, name: str) -> Repository:
    """The repository of a pack with other content in the first weight files."""
    source = open_source(packed)
    assert isinstance(source, MemorySource)
    files, changed = {}, 0
    for entry in source.files():
        held = source.held(entry.path) or b""
        if entry.path.endswith(".safetensors") and changed < CHANGED:
            held, changed = held + b"\x01", changed + 1
        if not entry.problem:
            files[entry.path] = blob_of(entry.path, held, entry.size)
    return repository_of_files(name, files)


def hub_diff(programs: Path, packed: str, folder: Path, latency: float, runs: int) -> None:
    """Print requests and wall time of a diff by headers, beside one that reads both cold."""
    caches = {"HF_HOME": str(folder / "hf"), "CKPTSCAN_CACHE": str(folder / "kept")}
    ours = str(programs / "ckptscan")
    diff = [ours, "diff", "org/a", "org/b", "--no-sample"]
    ratios, counts = [], set()
    with Standin(
        repository_of_pack(packed, "org/a"), twin(packed, "org/b"), latency=latency
    ) as server:
        environment = {**os.environ, **caches, "HF_ENDPOINT": server.endpoint}
        for _ in range(runs):
            _empty(caches)
            cold = _seconds(diff, environment)
            _empty(caches)
            _seconds([ours, "inspect", "org/a"], environment)
            before = len(server.requests)
            ratios.append(_seconds(diff, environment) / cold)
            counts.add(len(server.requests) - before)
    share = statistics.median(ratios)
    is_met = share <= SHARE and max(counts) <= REQUESTS
    print(
        f"diff on the Hub, {CHANGED} files changed   {max(counts)} requests (at most {REQUESTS})  "
        f"{share:.2f} of both cold ({min(ratios):.2f} to {max(ratios):.2f})  at most {SHARE}: "
        f"{'met' if is_met else 'MISSED'}"
    )


def _empty(caches: Mapping[str, str]) -> None:
    for cache in caches.values():
        shutil.rmtree(cache, ignore_errors=True)


def _seconds(command: list[str], environment: Mapping[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start

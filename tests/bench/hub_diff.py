"""What a diff of two revisions on the Hub takes, of which one is known and five files changed."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

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
    """Print requests and wall time of a diff, beside reading both checkpoints with empty caches."""
    with Standin(
        repository_of_pack(packed, "org/a"), twin(packed, "org/b"), latency=latency
    ) as server:
        for options in ([], ["--no-sample"]):
            turns = [_turn(programs, server, folder, options) for _ in range(runs)]
            ratios = [one.diff / one.cold for one in turns]
            share, requests = statistics.median(ratios), max(one.requests for one in turns)
            is_met = share <= SHARE and requests <= REQUESTS
            print(
                f"{' '.join(['diff on the Hub', *options])}, {CHANGED} files changed   "
                f"{requests} requests (at most {REQUESTS})  {share:.2f} of both cold "
                f"({min(ratios):.2f} to {max(ratios):.2f})  at most {SHARE}: "
                f"{'met' if is_met else 'MISSED'}"
            )


class _Turn(NamedTuple):
    """Seconds of reading both cold and of the diff, with the headers of A kept; its requests."""

    cold: float
    diff: float
    requests: int


def _turn(programs: Path, server: Standin, folder: Path, options: list[str]) -> _Turn:
    caches = {"HF_HOME": str(folder / "hf"), "CKPTSCAN_CACHE": str(folder / "kept")}
    environment = {**os.environ, **caches, "HF_ENDPOINT": server.endpoint}
    ours, cold = str(programs / "ckptscan"), 0.0
    for name in ("org/b", "org/a"):  # what is kept of A is there for the diff
        _empty(caches)
        cold += _seconds([ours, "inspect", name], environment)
    server.clear()
    diff = _seconds([ours, "diff", "org/a", "org/b", *options], environment)
    return _Turn(cold, diff, server.count())


def _empty(caches: Mapping[str, str]) -> None:
    for cache in caches.values():
        shutil.rmtree(cache, ignore_errors=True)


def _seconds(command: list[str], environment: Mapping[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start

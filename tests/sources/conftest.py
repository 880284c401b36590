"""A Hub to read from: a small repository of three shards, and caches that are empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ckptscan.checkpoint import Checkpoint, load
from ckptscan.sources import Access, open_source
from tests.conftest import file_of, index_of
from tests.standin import Standin, repository_of_files

SHARDS = 3
TENSORS = 30  # of each shard


def shard(number: int) -> str:
    return f"model-{number:05}-of-{SHARDS:05}.safetensors"


def shard_file(number: int) -> bytes:
    return file_of({f"model.layers.{number}.{k}.w": ("BF16", [4, 4]) for k in range(TENSORS)})


def three() -> dict[str, bytes]:
    """Three shards, their index, and a config."""
    numbers = range(1, SHARDS + 1)
    weight_map = {f"model.layers.{n}.{k}.w": shard(n) for n in numbers for k in range(TENSORS)}
    return {
        **{shard(number): shard_file(number) for number in numbers},
        "model.safetensors.index.json": index_of(weight_map, total_size=0),
        "config.json": b'{"architectures": ["LlamaForCausalLM"]}',
    }


def heads() -> int:
    """Bytes of the headers of the three shards, with their lengths."""
    return sum(8 + int.from_bytes(shard_file(n)[:8], "little") for n in range(1, SHARDS + 1))


def read(spec: str = "org/x", timeout: float = 20, **options: object) -> Checkpoint:
    """The checkpoint that a spec names, as the command reads it."""
    access = Access(timeout=timeout, **options)  # type: ignore[arg-type]
    return load(open_source(spec, access))


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches."""
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "ckptscan"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    return tmp_path


@pytest.fixture
def standin(caches: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    """The stand-in for the Hub, set as HF_ENDPOINT, with org/x on it."""
    with Standin(repository_of_files("org/x", three())) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server

"""Values for tests: checkpoints without files, packs of real models, expected outputs."""

from __future__ import annotations

import gc
import json
import math
import os
import re
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from ckptscan.checkpoint import Checkpoint, load
from ckptscan.dtypes import DTYPES
from ckptscan.sources import Source, open_source
from ckptscan.sources.base import FileEntry, Origin
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import Structure, describe

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "fixtures"
PACKS = FIXTURES / "packs"
ATTACKS = FIXTURES / "attacks"
NOWHERE = Path(__file__).parent / "nowhere"  # a folder that is not there

# many small arrays, in as many processes as there are cores: threads of BLAS would but wait
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

Tensors = Mapping[str, tuple[str, Sequence[int]]]

# A few examples by default; `make test-many` draws many for the same properties
for profile, examples in (("few", 30), ("many", 300)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("few")

# The characters that st.text() draws by itself; it asks the codec for each, 2 s in a fresh clone
WRITABLE = st.characters(exclude_categories=["Cs"])

# jsonschema reads a grammar with it for 1.3 s; no document that is tested holds an IRI
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

# what starts from here on, workers and commands, finds modules compiled
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# nothing that collection makes is ever garbage: the collector took a fifth of it
gc.disable()


def pytest_collection_finish() -> None:
    """The tests make garbage; what was collected is left out: it took a tenth of the run."""
    gc.enable()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def _nbytes(dtype: str, shape: Sequence[int]) -> int:
    return math.prod(shape) * (DTYPES[dtype].bits or 0) // 8


def _whole(tensors: Tensors) -> int:
    """Bytes of these tensors laid end to end."""
    return sum(_nbytes(*one) for one in tensors.values())


def header_text(tensors: Tensors, metadata: Mapping[str, str] | None = None) -> str:
    """The header's JSON of these tensors, laid end to end in the order given."""
    entries: dict[str, object] = {} if metadata is None else {"__metadata__": dict(metadata)}
    reached = 0
    for name, (dtype, shape) in tensors.items():
        end = reached + _nbytes(dtype, shape)
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [reached, end]}
        reached = end
    return json.dumps(entries, separators=(",", ":"), ensure_ascii=False)


def framed(text: str | bytes, data: bytes = b"") -> bytes:
    """A file of this header and these data."""
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw + data


def file_of(tensors: Tensors, metadata: Mapping[str, str] | None = None) -> bytes:
    """A whole safetensors file, padded as the reference pads it, full of zeros."""
    text = header_text(tensors, metadata).encode()
    text += b" " * (-len(text) % 8)
    return framed(text, bytes(_whole(tensors)))


def index_of(weight_map: Mapping[str, str], **metadata: object) -> bytes:
    """An index file as transformers writes it."""
    return json.dumps({"metadata": metadata, "weight_map": dict(weight_map)}, indent=2).encode()


def source_of(files: Mapping[str, bytes | Tensors], title: str = "memory") -> MemorySource:
    """A source of these files; tensors stand for the file that holds them."""
    held = {
        path: data if isinstance(data, bytes) else file_of(data) for path, data in files.items()
    }
    return MemorySource(held, origin=Origin("memory", "memory", title))


def checkpoint_of(files: Mapping[str, bytes | Tensors], **options: object) -> Checkpoint:
    """The checkpoint of these files."""
    return load(source_of(files), **options)  # type: ignore[arg-type]


def structure_of(tensors: Tensors) -> Structure:
    """The structure of one file with these tensors."""
    return describe(checkpoint_of({"model.safetensors": tensors}))


def unheld(tensors: Tensors, **files: object) -> Structure:
    """The structure of a file of any size, of which only the header is held.

    `files` are json files beside it: `config={...}` is config.json.
    """
    head = framed(header_text(tensors))
    held = {f"{name}.json": json.dumps(text).encode() for name, text in files.items()}
    entry = FileEntry("model.safetensors", len(head) + _whole(tensors))
    return describe(load(MemorySource({"model.safetensors": head, **held}, [entry])))


def pack(model: str) -> Source:
    """The header pack of a real model."""
    return open_source(str(PACKS / f"{model}.ckptpack"))


@cache
def packed(model: str) -> Structure:
    """The structure of a real model, read once for all tests: nothing of it can change."""
    return describe(load(pack(model)))


@pytest.fixture(autouse=True)
def _plain_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the user's reaches a test; text is 100 columns wide."""
    for name in [*os.environ]:
        if name.startswith(("HF_", "CKPTSCAN_")) or name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("HF_HOME", str(NOWHERE / "huggingface"))  # no token of the user's is sent
    monkeypatch.setenv("CKPTSCAN_CACHE", str(NOWHERE / "ckptscan"))
    if not request.node.get_closest_marker("online"):
        # a client reads all certificates of the system, 30 ms each time; http needs none
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.setenv("SSL_CERT_DIR", str(NOWHERE))


@pytest.fixture(autouse=True)
def _no_connection_outlives_its_test() -> Iterator[None]:
    yield
    hub = sys.modules.get("huggingface_hub")
    if hub is not None:
        hub.close_session()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Compare a whole output with tests/golden/<module>-<test>.txt; `make golden` accepts it."""
    module = request.module.__name__.removeprefix("tests.").replace(".", "-")
    name = re.sub(r"[^\w.-]+", "-", request.node.name).strip("-")
    path = HERE / "golden" / f"{module}-{name}.txt"

    def compare(actual: str) -> None:
        actual = actual.replace(str(FIXTURES), "fixtures")
        if os.environ.get("GOLDEN") == "accept":
            path.parent.mkdir(exist_ok=True)
            path.write_text(actual, encoding="utf-8")
        expected = path.read_text(encoding="utf-8") if path.exists() else "(no golden file)"

        assert expected == actual

    return compare

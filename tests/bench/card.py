"""`python -m tests.bench.card MODEL`: GB/s and the error of predictions on this machine's card.

Verifies a local model on `--device` (cuda) under each setting of the allocator, in a process of its
own, and then loads all of it with safetensors, to hold the estimated time against.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SETTINGS = ("", "max_split_size_mb:21", "max_split_size_mb:512", "expandable_segments:True")
GB = 10**9


def verified(model: str, device: str, settings: str, more: Sequence[str]) -> dict[str, Any]:
    """The report on a model under settings of torch's allocator."""
    command = [sys.executable, "-m", "ckptscan", "verify", model, "--device", device, *more]
    environment = dict(os.environ)
    if settings:
        environment["PYTORCH_CUDA_ALLOC_CONF"] = settings
    done = subprocess.run(
        [*command, "--format", "json"], stdout=subprocess.PIPE, env=environment, check=False
    )
    if not done.stdout:
        raise SystemExit(f"exit {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def line(settings: str, found: dict[str, Any]) -> str:
    """One line of figures."""
    rates = found["throughput"]
    told = (rates["to_host_bytes_per_second"], rates["to_device_bytes_per_second"])
    host, device = ("-" if one is None else f"{one / GB:.2f}" for one in told)
    error = found["allocated_bytes"] - found["predicted_bytes"]
    wrong = sum(one["device_bytes"] != one["predicted_bytes"] for one in found["tensors"])
    return (
        f"{settings or 'as it is':<26} {found['loaded']['bytes']:>15,} B  host {host:>6} GB/s  "
        f"device {device:>6} GB/s  error {error:+,} B in {wrong:,} tensors  match {found['match']}"
    )


def seconds_to_load(model: str, device: str) -> float:
    """What loading all files with safetensors takes, torch's start left out."""
    import torch
    from safetensors.torch import load_file

    path = Path(model)
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    torch.zeros(1, device=device)
    begun = time.perf_counter()
    held = [load_file(one, device=device) for one in files]
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    seconds = time.perf_counter() - begun
    del held
    return seconds


def main() -> int:
    """Run it and print it."""
    parser = argparse.ArgumentParser(description="Measure verify on a card.")
    parser.add_argument("model", help="a local folder or file")
    parser.add_argument("--device", default="cuda")
    options, more = parser.parse_known_args()  # what is left is for verify
    estimated = None
    for settings in SETTINGS:
        found = verified(options.model, options.device, settings, more)
        estimated = estimated or found["estimated_load_seconds"]
        print(line(settings, found))
    taken = seconds_to_load(options.model, options.device)
    print(f"full load: {taken:.2f} s, estimated {estimated or 0:.2f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

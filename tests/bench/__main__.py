"""`make bench`: ckptscan beside the reference library and a peer, whole processes, in one run.

Two commands are run in turn, A B A B ..., and the ratio is taken pair by pair, so that a machine
whose speed drifts still gives a fair figure; medians are printed, with the smallest and largest
pair as the noise. Everything is installed into `.bench-venv`, without development extras, as a
user would have it. `--runs N` sets the pairs (5 at least), `--only WORD` picks rows.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".bench-venv"
PEERS = ("modelinfo-cli", "msgspec", "orjson")
COUNTS = (500, 10_000, 100_000, 1_000_000)  # tensors; the first stands for the start of a process
LATENCY = 0.04  # seconds a response
PEER = "import sys, huggingface_hub; huggingface_hub.HfApi().get_safetensors_metadata(sys.argv[1])"
LISTING = """
import os, sys
from safetensors import safe_open
folder = sys.argv[1]
for name in sorted(os.listdir(folder)):
    if name.endswith(".safetensors"):
        with safe_open(os.path.join(folder, name), "np") as opened:
            for key in opened.keys():
                tensor = opened.get_slice(key)
                print(key, tensor.get_shape(), tensor.get_dtype())
"""

# one pass over all tensors for NaN: BF16 by its bits, F32 by numpy's own test
NAN_PASS = """
import json, sys
import numpy as np
path = sys.argv[1]
with open(path, "rb") as opened:
    size = int.from_bytes(opened.read(8), "little")
    header = json.loads(opened.read(size))
data = np.memmap(path, np.uint8, "r", 8 + size)
bad = []
for name, entry in header.items():
    raw = data[slice(*entry["data_offsets"])]
    if entry["dtype"] == "BF16":
        if ((raw.view(np.uint16) & 0x7fff) > 0x7f80).any():
            bad.append(name)
    elif np.isnan(raw.view(np.float32)).any():
        bad.append(name)
print(bad)
"""
DEEP = 4 << 30  # bytes of a file whose tensors are read
DEEP_PART = 64 << 20  # of one tensor


class Run(NamedTuple):
    """One finished process: wall and CPU seconds, and peak resident memory in MiB."""

    seconds: float
    cpu: float
    peak: float


class Row(NamedTuple):
    """Two commands to compare, and the ratio that is asked for."""

    name: str
    ours: Sequence[str]
    other: Sequence[str]
    wanted: float


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Run:
    """Run a command with its output thrown away; exit codes 0 and 1 are taken."""
    start = time.perf_counter()
    with open(os.devnull, "wb") as sink:
        child = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise SystemExit(f"{shlex.join(command)}: exit {child.returncode}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def pairs(row: Row, runs: int) -> list[tuple[Run, Run]]:
    """The runs of both commands in turn, after one of each that does not count."""
    run(row.ours), run(row.other)
    return [(run(row.ours), run(row.other)) for _ in range(runs)]


def install() -> Path:
    """The folder of programs of an environment with ckptscan and its peers."""
    programs = HOME / "bin"
    if not programs.exists():
        venv.create(HOME, with_pip=True)
    pip = [str(programs / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, *PEERS], check=True)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", str(ROOT)], check=True)
    subprocess.run([*pip, str(ROOT)], check=True)
    return programs


def write_synthetic(folder: Path, count: int) -> None:
    """One file of `count` tensors in layers and experts, 80 bytes of header each."""
    folder.mkdir()
    entries = []
    for number in range(count):
        layer, rest = divmod(number, 500)
        name = f"l.{layer}.e.{rest // 2}.{'up' if rest % 2 else 'dn'}"
        offsets = f"[{64 * number},{64 * number + 64}]"
        entries.append(f'"{name}":{{"dtype":"U8","shape":[64],"data_offsets":{offsets}}}')
    text = ("{" + ",".join(entries) + "}").encode()
    text += b" " * (-len(text) % 8)
    with (folder / "model.safetensors").open("wb") as opened:
        opened.write(struct.pack("<Q", len(text)) + text)
        opened.truncate(8 + len(text) + 64 * count)


def write_deep(path: Path, dtype: str) -> None:
    """A file of DEEP bytes of random weights, as a trained model has them: none is sparse."""
    import numpy as np

    draw, width = np.random.default_rng(0), 2 if dtype == "BF16" else 4
    shape, count = [DEEP_PART // width // 4096, 4096], DEEP // DEEP_PART
    entries = {
        f"model.layers.{number}.mlp.up_proj.weight": {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [number * DEEP_PART, (number + 1) * DEEP_PART],
        }
        for number in range(count)
    }
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as opened:
        opened.write(struct.pack("<Q", len(text)) + text)
        for _ in range(count):
            numbers = draw.standard_normal(shape, dtype=np.float32) * np.float32(0.02)
            is_half = dtype == "BF16"
            halves = (numbers.view("<u4") >> 16).astype("<u2") if is_half else numbers
            opened.write(halves.tobytes())


def deep(programs: Path, folder: Path, runs: int) -> None:
    """Print what reading all tensors takes, beside one pass of numpy that looks for NaN."""
    from tests.bench.loading import WANTED, commands, has_torch

    python, ours = str(programs / "python"), str(programs / "ckptscan")
    can_load = has_torch(programs)
    if not can_load:
        print("verify beside safetensors: left out, torch can't be installed here")
    for dtype in ("BF16", "F32"):
        if shutil.disk_usage(folder).free < 2 * DEEP:
            print(f"4 GiB of {dtype}: left out, the disk has no room for it")
            continue
        path = folder / f"deep-{dtype}" / "model.safetensors"
        path.parent.mkdir()
        writing = [sys.executable, "-m", "tests.bench", "--write", str(path), "--dtype", dtype]
        subprocess.run(writing, check=True, cwd=ROOT)  # apart: a child's peak starts at ours
        audit = [ours, "audit", "--deep", str(path)]
        row = Row(
            f"4 GiB of {dtype} : numpy, NaN only", audit, [python, "-c", NAN_PASS, str(path)], 1.43
        )
        compare(row, runs)
        if can_load:
            loading = Row(f"verify {dtype} : load_file, sum", *commands(programs, path), WANTED)
            compare(loading, runs)
        shutil.rmtree(path.parent)


def write_inputs(folder: Path) -> None:
    """All files that are measured. In a process of its own: a child's peak starts at its parent's."""
    from fixtures.make import write_sparse

    packs = ROOT / "fixtures" / "packs"
    write_sparse(str(packs / "deepseek-ai--DeepSeek-V3.ckptpack"), str(folder / "DeepSeek-V3"))
    write_sparse(str(packs / "deepseek-ai--DeepSeek-V3.ckptpack"), str(folder / "DeepSeek-V3-b"))
    write_sparse(str(packs / "google-bert--bert-base-uncased.ckptpack"), str(folder / "BERT"))
    for count in COUNTS:
        write_synthetic(folder / f"synthetic-{count}", count)


def rows(programs: Path, folder: Path) -> list[Row]:
    """The comparisons that the project promises."""
    large, small = str(folder / "DeepSeek-V3"), str(folder / "BERT" / "model.safetensors")
    python, ours = str(programs / "python"), str(programs / "ckptscan")
    peer, inspect = str(programs / "modelinfo"), [ours, "inspect"]
    other = str(folder / "DeepSeek-V3-b")
    index = f"{large}/model.safetensors.index.json"
    click = [python, "-c", "import click"]
    return [
        Row(
            "DeepSeek-V3 : safe_open listing", [*inspect, large], [python, "-c", LISTING, large], 1
        ),
        Row("DeepSeek-V3 : modelinfo", [*inspect, large], [peer, index], 0.5),
        Row("audit of DeepSeek-V3 : inspect", [ours, "audit", large], [*inspect, large], 1.6),
        Row(
            "diff of two : inspect of one",
            [ours, "diff", large, other],
            [*inspect, large],
            2.4,
        ),
        Row("one small file : modelinfo", [*inspect, small], [peer, small], 1),
        Row("one small file : import click", [*inspect, small], click, 2.2),
        Row("ckptscan --help : import click", [ours, "--help"], click, 1.6),
    ]


def compare(row: Row, runs: int) -> None:
    """Print one comparison."""
    found = pairs(row, runs)
    ratios = sorted(ours.seconds / other.seconds for ours, other in found)
    ours, other = (
        Run(*(statistics.median(values) for values in zip(*side, strict=True)))
        for side in zip(*found, strict=True)
    )
    verdict = "met" if statistics.median(ratios) <= row.wanted else "MISSED"
    print(
        f"{row.name:<36} {ours.seconds:7.3f} s {ours.peak:6.1f} MiB  {other.seconds:7.3f} s "
        f"{other.peak:7.1f} MiB  {statistics.median(ratios):5.2f} "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f})  at most {row.wanted}: {verdict}"
    )


def remote(programs: Path, folder: Path, runs: int) -> None:
    """Print the cost of DeepSeek-V3 from a Hub that answers after 40 ms, beside huggingface_hub.

    In turn: the peer, ours with empty caches, ours again. Each run of the peer has an empty cache.
    """
    name = "deepseek-ai/DeepSeek-V3"
    packed = str(ROOT / "fixtures" / "packs" / "deepseek-ai--DeepSeek-V3.ckptpack")
    serve = [sys.executable, "-m", "tests.standin", "--pack", packed, "--repo", name]
    server = subprocess.Popen(
        [*serve, "--latency", str(LATENCY)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert server.stdin
    assert server.stdout
    endpoint = server.stdout.readline().strip().partition("=")[2]
    caches = {"HF_HOME": str(folder / "hf"), "CKPTSCAN_CACHE": str(folder / "kept")}
    environment = {**os.environ, **caches, "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_TELEMETRY": "1"}
    peer = [str(programs / "python"), "-c", PEER, name]
    ours = [str(programs / "ckptscan"), "inspect", name]
    found = []
    for turn in range(runs + 1):
        for cache in caches.values():
            shutil.rmtree(cache, ignore_errors=True)
        three = [run(command, environment) for command in (peer, ours, ours)]
        found += [three] if turn else []
    server.stdin.close()
    server.wait()
    for number, (row, wanted) in enumerate((("cold", 0.45), ("warm", 0.25)), 1):
        ratios = sorted(three[number].seconds / three[0].seconds for three in found)
        ours_, other = (
            Run(*map(statistics.median, zip(*(three[side] for three in found), strict=True)))
            for side in (number, 0)
        )
        middle = statistics.median(ratios)
        print(
            f"DeepSeek-V3 from the Hub, {row:<10} {ours_.seconds:7.3f} s (CPU {ours_.cpu:.2f} s)  "
            f"{other.seconds:7.3f} s (CPU {other.cpu:.2f} s)  {middle:5.2f} "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f})  at most {wanted}: "
            f"{'met' if middle <= wanted else 'MISSED'}"
        )


def growth(programs: Path, folder: Path, runs: int) -> None:
    """Print the cost of a tensor in files of ten thousand to a million, run in turn."""
    commands = {
        count: [str(programs / "ckptscan"), "inspect", str(folder / f"synthetic-{count}")]
        for count in COUNTS
    }
    taken: dict[int, list[Run]] = {count: [] for count in COUNTS}
    for _ in range(runs):
        for count, command in commands.items():
            taken[count].append(run(command))
    medians = {
        count: statistics.median(one.seconds for one in found) for count, found in taken.items()
    }
    for count in COUNTS[1:]:
        each = (medians[count] - medians[COUNTS[0]]) / count * 1e6
        peak = max(one.peak for one in taken[count])
        print(f"{count:>9,} tensors  {medians[count]:7.3f} s  {peak:6.1f} MiB  {each:5.2f} us each")


PARSERS = """
import gc, json, sys, time
from pathlib import Path
gc.disable()
heads = []
for path in sorted(Path(sys.argv[1]).glob("*.safetensors")):
    with path.open("rb") as opened:
        first = opened.read(8)
        heads.append((first + opened.read(int.from_bytes(first, "little")), path.stat().st_size))
from ckptscan.header import parse_header
from ckptscan.header.exact import read_document
import msgspec, orjson
class Entry(msgspec.Struct, gc=False):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]
decode = msgspec.json.Decoder(dict[str, Entry]).decode
def without_metadata(raw):
    return b"{" + raw[raw.find(b'"', raw.find(b"}")):] if raw.startswith(b'{"__meta') else raw
readers = {
    "regular (the reader, all checks)": lambda head, size: parse_header(head, size),
    "exact (the reader's other way, no layout checks)": lambda head, size: read_document(head[8:].decode()),
    "json.loads, nothing checked": lambda head, size: json.loads(head[8:].decode()),
    "orjson, nothing checked": lambda head, size: orjson.loads(head[8:]),
    "msgspec typed, types checked": lambda head, size: decode(without_metadata(head[8:])),
}
for name, read in readers.items():
    best = 9.0
    for _ in range(5):
        start = time.perf_counter()
        for head, size in heads:
            read(head, size)
        best = min(best, time.perf_counter() - start)
    print(f"{1000 * best:7.1f} ms  {name}")
"""


def parsers(programs: Path, folder: Path) -> None:
    """Print what reading the headers of DeepSeek-V3 takes, in one process, by several readers."""
    command = [str(programs / "python"), "-c", PARSERS, str(folder / "DeepSeek-V3")]
    print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> int:
    """Run what is asked for and print it."""
    parser = argparse.ArgumentParser(description="Time ckptscan beside others.")
    parser.add_argument("--runs", type=int, default=11, help="pairs a comparison, 5 at least")
    parser.add_argument("--only", default="", help="rows whose name holds this word")
    parser.add_argument("--write", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--dtype", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write and options.dtype:
        write_deep(Path(options.write), options.dtype)
        return 0
    if options.write:
        write_inputs(Path(options.write))
        return 0
    runs, programs = max(5, options.runs), install()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "tests.bench", "--write", name], check=True, cwd=ROOT)
        print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {runs} pairs a row")
        print("whole processes: ours, the other, the ratio of pairs (smallest to largest)")
        for row in rows(programs, folder):
            if options.only in row.name:
                compare(row, runs)
        if options.only in "deep":
            print("\ndeep: at most 1.43 of the time is 0.7 of the throughput")
            deep(programs, folder, max(5, runs // 2))
        if options.only in "remote":
            print(f"\nremote: the peer is HfApi().get_safetensors_metadata, {LATENCY} s a response")
            remote(programs, folder, max(5, runs // 2))
        if options.only in "remote diff":
            from tests.bench.hub_diff import hub_diff

            packed = str(ROOT / "fixtures" / "packs" / "deepseek-ai--DeepSeek-V3.ckptpack")
            hub_diff(programs, packed, folder, LATENCY, max(5, runs // 2))
        if options.only in "growth":
            print("\ngrowth")
            growth(programs, folder, max(5, runs // 2))
        if options.only in "parsers":
            print("\nparsers")
            parsers(programs, folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

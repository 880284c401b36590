"""`make bench-peers`: ckptscan beside other tools on the same checkpoints, in one run.

Each question is put to each tool that can answer it, with the options that serve it best: time and
peak memory of whole processes (medians, with the spread of the runs as noise), requests and bytes
where a server is asked, and what it answers, held against the truth. All are installed into
`.peers-venv`. The stand-in of the Hub answers after 40 ms; tools whose address of the Hub is fixed
are led to it by `elsewhere.py`. The page docs/peers.md is what this program writes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import NamedTuple

from fixtures.make import write_sparse
from tests.standin import Standin, repository_of_pack

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".peers-venv"
PACKS = ROOT / "fixtures" / "packs"
PAGE = ROOT / "docs" / "peers.md"
LATENCY = 0.04  # seconds a response
ENOUGH = 120  # seconds for one process
TOOLS = (
    "safetensors", "huggingface_hub", "hf-mem", "modelinfo-cli", "ckptkit", "safetensors-print",
    "ridgepoint",
)  # fmt: skip
V3 = "deepseek-ai--DeepSeek-V3"
BERT = "google-bert--bert-base-uncased"
LLAMA = "meta-llama--Llama-3.1-8B"
# parameters of the model, each once, as the makers or the unquantized form have them
PARAMETERS = {
    "Qwen--Qwen2-57B-A14B-Instruct": 57_408_658_944,
    "hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4": 8_030_261_248,
    "hugging-quants--Meta-Llama-3.1-8B-Instruct-AWQ-INT4": 8_030_261_248,
    "RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8-dynamic": 8_030_261_248,
    "unsloth--Meta-Llama-3.1-8B-bnb-4bit": 8_030_261_248,
    "openai--gpt-oss-120b": 116_829_156_672,
    V3: 684_489_845_504,
}
# bytes of the cache of one request of 8,192 tokens in BF16: layers x elements x 2 bytes
CACHES = {LLAMA: 32 * 2 * 8 * 128 * 2 * 8192, V3: 61 * (512 + 64) * 2 * 8192}

# a small process between, for a child's peak begins with that of the process that started it
MEASURED = """
import os, sys, time
start = time.perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
usage = os.wait4(child, 0)[2]
with open(sys.argv[1], "w") as written:
    print(time.perf_counter() - start, usage.ru_maxrss, file=written)
"""
LISTED = """
import os, sys
from safetensors import safe_open
folder, count = sys.argv[1], 0
for name in sorted(os.listdir(folder)):
    if name.endswith(".safetensors"):
        with safe_open(os.path.join(folder, name), "np") as opened:
            for key in opened.keys():
                tensor = opened.get_slice(key)
                print(key, tensor.get_shape(), tensor.get_dtype())
                count += 1
print("answer", count)
"""
ON_DISK = """
import sys, huggingface_hub
found = huggingface_hub.get_local_safetensors_metadata(sys.argv[1])
print("answer", {answer})
"""
ON_THE_HUB = """
import sys, huggingface_hub
found = huggingface_hub.HfApi().get_safetensors_metadata(sys.argv[1])
print("answer", sum(found.parameter_count.values()))
"""
TENSORS = "len(found.weight_map)"
ELEMENTS = "sum(found.parameter_count.values())"
SAID = re.compile(r"answer (\d+)")
PARAMETERS_SAID = re.compile(r"Parameters:\s+([\d,]+)")
TENSORS_SAID = re.compile(r"Tensors:\s+([\d,]+)")
ELEMENTS_SAID = re.compile(r"F32 +32 +[\d,]+ +([\d,]+)")
CACHE_SAID = re.compile(r"KV Cache:\s+([\d.]+) GB")


class Way(NamedTuple):
    """How one tool is asked, and how its answer is read from what it prints, None where it fails."""

    tool: str
    command: Sequence[str]
    answer: Callable[[str], int | None]


class Ran(NamedTuple):
    """What some runs of a way took: seconds of each, MiB at the peak, and the answer."""

    seconds: Sequence[float]
    peak: float
    answer: int | None


class Served(NamedTuple):
    """What a run asked of a server."""

    requests: int
    nbytes: int


def number(pattern: re.Pattern[str]) -> Callable[[str], int | None]:
    """Reads a whole number that stands behind a word."""

    def answer(text: str) -> int | None:
        found = pattern.search(text)
        return int(found[1].replace(",", "")) if found else None

    return answer


def entry(*path: str) -> Callable[[str], int | None]:
    """Reads a number from the last json document that is printed, by its keys."""

    def answer(text: str) -> int | None:
        try:
            value = json.loads(text[text.index("{") :])
            for key in path:
                value = value[key]
        except (ValueError, KeyError, TypeError):
            return None
        return value if isinstance(value, int) else None

    return answer


def gib(text: str) -> int | None:
    """Bytes of a cache that is told in GB of 2**30 and two digits."""
    found = CACHE_SAID.search(text)
    return round(float(found[1]) * 2**30) if found else None


def install() -> Path:
    """The folder of programs of an environment with ckptscan and the other tools."""
    programs = HOME / "bin"
    if not programs.exists():
        venv.create(HOME, with_pip=True)
    pip = [str(programs / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, *TOOLS], check=True)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", str(ROOT)], check=True)
    subprocess.run([*pip, str(ROOT)], check=True)
    return programs


def versions() -> dict[str, str]:
    """The version of each tool in the environment."""
    (site,) = HOME.glob("lib/python*/site-packages")
    found = {one.name.lower(): one.version for one in distributions(path=[str(site)])}
    return {name: found[name] for name in ("ckptscan", *TOOLS)}


class Bench:
    """The programs, the checkpoints and the settings of one run."""

    def __init__(self, folder: Path, runs: int) -> None:
        self.programs = install()
        self.folder = folder
        self.runs = runs
        self.python = str(self.programs / "python")
        self.settings = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
        for name in ("HF_HOME", "CKPTSCAN_CACHE"):
            self.settings[name] = str(folder / name)

    def ours(self, *arguments: str) -> list[str]:
        """A command line of ckptscan."""
        return [str(self.programs / "ckptscan"), *arguments]

    def script(self, text: str, *arguments: str) -> list[str]:
        """A command line of Python."""
        return [self.python, "-c", text, *arguments]

    def elsewhere(self, endpoint: str, module: str, *arguments: str) -> list[str]:
        """A command line of a tool whose address of the Hub is fixed."""
        program = str(Path(__file__).with_name("elsewhere.py"))
        return [self.python, program, endpoint, module, *arguments]

    def checkpoint(self, pack: str) -> str:
        """The path of a pack as files of full size, sparse."""
        path = self.folder / pack
        if not path.exists():
            write_sparse(str(PACKS / f"{pack}.ckptpack"), str(path))
        return str(path)

    def ran(self, way: Way, settings: Mapping[str, str] | None = None) -> Ran:
        """Runs a way so many times, after one that does not count, each with empty caches."""
        found = [self._once(way, settings or {}) for _ in range(self.runs + 1)][1:]
        return Ran([one[0] for one in found], max(one[1] for one in found), found[-1][2])

    def answer(self, way: Way, endpoint: str = "") -> int | None:
        """What a way answers in one run."""
        return self._once(way, {"HF_ENDPOINT": endpoint} if endpoint else {})[2]

    def _once(self, way: Way, settings: Mapping[str, str]) -> tuple[float, float, int | None]:
        for name in ("HF_HOME", "CKPTSCAN_CACHE"):
            shutil.rmtree(self.settings[name], ignore_errors=True)
        measured = self.folder / "measured"
        done = subprocess.run(
            [
                self.python,
                "-S",
                "-c",
                MEASURED,
                str(measured),
                "timeout",
                str(ENOUGH),
                *way.command,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**self.settings, **settings},
            check=True,
        )
        seconds, kib = map(float, measured.read_text().split())
        return seconds, kib / 1024, way.answer(done.stdout.decode(errors="replace"))


def on_disk(bench: Bench) -> list[str]:
    """Every tensor of a large checkpoint on disk."""
    path = bench.checkpoint(V3)
    index, count = f"{path}/model.safetensors.index.json", entry("tensors", "count")
    ways = [
        Way("ckptscan inspect", bench.ours("inspect", path, "--format", "json"), count),
        Way("safetensors safe_open", bench.script(LISTED, path), number(SAID)),
        Way("huggingface_hub", bench.script(ON_DISK.format(answer=TENSORS), path), number(SAID)),
        Way("modelinfo", [str(bench.programs / "modelinfo"), index], number(TENSORS_SAID)),
    ]
    return _timed(bench, ways, "tensors", 91_991)


def one_file(bench: Bench) -> list[str]:
    """The elements of a small checkpoint of one file."""
    path = f"{bench.checkpoint(BERT)}/model.safetensors"
    with open(path, "rb") as opened:
        header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    shapes = [one["shape"] for name, one in header.items() if name != "__metadata__"]
    programs = bench.programs
    ways = [
        Way(
            "ckptscan inspect",
            bench.ours("inspect", path, "--format", "json"),
            entry("tensors", "elements"),
        ),
        Way(
            "huggingface_hub",
            bench.script(ON_DISK.format(answer=ELEMENTS), path),
            number(SAID),
        ),
        Way("modelinfo", [str(programs / "modelinfo"), path], number(PARAMETERS_SAID)),
        Way("ckptkit stats", [str(programs / "ckptkit"), "stats", path], number(PARAMETERS_SAID)),
        Way(
            "safetensors-print", [str(programs / "safetensors-print"), path], number(ELEMENTS_SAID)
        ),
    ]
    return _timed(bench, ways, "elements", sum(math.prod(shape) for shape in shapes))


def _timed(bench: Bench, ways: Sequence[Way], what: str, truth: int) -> list[str]:
    lines = [f"| tool | seconds | MiB | {what} |", "| --- | ---: | ---: | ---: |"]
    for way in ways:
        ran = bench.ran(way)
        cells = (way.tool, _spread(ran.seconds), f"{ran.peak:.0f}", _held(ran.answer, truth))
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def over_the_net(bench: Bench) -> list[str]:
    """The headers of a large checkpoint from a server, with empty caches."""
    packed = str(PACKS / f"{V3}.ckptpack")
    lines = [
        "| tool | seconds | MiB | requests | MB | answer |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    with Standin(repository_of_pack(packed, "org/V3"), latency=LATENCY) as server:
        settings = {"HF_ENDPOINT": server.endpoint}
        for way, truth in _ways_of_the_net(bench, server.endpoint):
            ran = bench.ran(way, settings)
            server.clear()
            bench.ran(way._replace(answer=lambda _: None), settings)
            served = Served(server.count(), server.body_bytes())
            each = bench.runs + 1
            lines.append(
                f"| {way.tool} | {_spread(ran.seconds)} | {ran.peak:.0f} "
                f"| {served.requests / each:.0f} | {served.nbytes / each / 1e6:.1f} "
                f"| {_held(ran.answer, truth)} |"
            )
    return lines


def _ways_of_the_net(bench: Bench, endpoint: str) -> list[tuple[Way, int]]:
    elements = 684_531_386_000  # stored, scales counted
    ours = bench.ours("inspect", "org/V3", "--format", "json")
    hf_mem = bench.elsewhere(endpoint, "hf_mem.cli", "--model-id", "org/V3", "--json-output")
    modelinfo = ["env", "-u", "HF_ENDPOINT"]  # it takes none of http
    modelinfo += bench.elsewhere(endpoint, "modelinfo.cli", "--tensors", "org/V3")
    return [
        (Way("ckptscan inspect, elements", ours, entry("tensors", "elements")), elements),
        (
            Way("huggingface_hub, elements", bench.script(ON_THE_HUB, "org/V3"), number(SAID)),
            elements,
        ),
        (Way("modelinfo --tensors, elements", modelinfo, number(PARAMETERS_SAID)), elements),
        (Way("hf-mem, bytes", hf_mem, entry("memory")), 688_574_839_360),
    ]


def parameters(bench: Bench) -> list[str]:
    """How many parameters the models have: each once, unpacked, without scales."""
    lines = [
        "| checkpoint | truth | ckptscan | huggingface_hub | modelinfo |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for pack, truth in PARAMETERS.items():
        path = bench.checkpoint(pack)
        weights = sorted(Path(path).glob("*.index.json")) or sorted(
            Path(path).glob("*.safetensors")
        )
        ours = bench.ours("inspect", path, "--format", "json")
        script = bench.script(ON_DISK.format(answer=ELEMENTS), path)
        modelinfo = [str(bench.programs / "modelinfo"), str(weights[0])]
        answers = [
            bench.answer(Way("", ours, entry("parameters", "logical"))),
            bench.answer(Way("", script, number(SAID))),
            bench.answer(Way("", modelinfo, number(PARAMETERS_SAID))),
        ]
        cells = " | ".join(_held(answer, truth) for answer in answers)
        lines.append(f"| {pack.replace('--', '/', 1)} | {truth:,} | {cells} |")
    return lines


def caches(bench: Bench) -> list[str]:
    """The memory of keys and values of one request of 8,192 tokens in BF16."""
    lines = [
        "| checkpoint | truth, bytes | ckptscan | modelinfo | hf-mem | ridgepoint |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    packs = [
        repository_of_pack(str(PACKS / f"{pack}.ckptpack"), f"org/{_short(pack)}")
        for pack in CACHES
    ]
    with Standin(*packs) as server:
        for pack, truth in CACHES.items():
            answers = [
                bench.answer(way, server.endpoint) for way in _cache_ways(bench, pack, server)
            ]
            cells = " | ".join(_held(one, truth, share=0.005) for one in answers)
            lines.append(f"| {pack.replace('--', '/', 1)} | {truth:,} | {cells} |")
    return lines


def _cache_ways(bench: Bench, pack: str, server: Standin) -> list[Way]:
    path, name, there = bench.checkpoint(pack), f"org/{_short(pack)}", server.endpoint
    plan = ["plan", path, "--gpu", "8xh200", "--tp", "8", "--max-len", "8192", "--format", "json"]
    if pack != V3:
        plan[2:6] = ["--gpu", "h200"]
    index = f"{path}/model.safetensors.index.json"
    hf_mem = ["--model-id", name, "--experimental", "--max-model-len", "8192", "--json-output"]
    fit = ["fit", name, "--gpu", "h100-80gb:16", "--ctx", "8192", "--json"]
    modelinfo = [str(bench.programs / "modelinfo"), index, "--context", "8192"]
    bfloat16 = ["--kv-cache-dtype", "bfloat16"]
    return [
        Way("ckptscan", bench.ours(*plan), entry("kv", "needed_bytes")),
        Way("modelinfo", modelinfo, gib),
        Way("hf-mem", bench.elsewhere(there, "hf_mem.cli", *hf_mem, *bfloat16), entry("kv_cache")),
        Way(
            "ridgepoint",
            bench.elsewhere(there, "ridgepoint.cli", *fit),
            entry("capacity", "bytes_per_seq"),
        ),
    ]


def _short(pack: str) -> str:
    return pack.partition("--")[2]


def _spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


def _held(answer: int | None, truth: int, share: float = 0.0) -> str:
    """An answer as a cell: right, wrong with how far off, or none."""
    if answer is None:
        return "no answer"
    if abs(answer - truth) <= share * truth:
        return f"{answer:,}"
    return f"**{answer:,}** ({answer / truth - 1:+.2%})"


SECTIONS: Mapping[str, Callable[[Bench], list[str]]] = {
    "The elements of bert-base-uncased, one file on disk": one_file,
    "Every tensor of DeepSeek-V3, 163 files on disk": on_disk,
    "The headers of DeepSeek-V3 over the net, 40 ms an answer, empty caches": over_the_net,
    "Parameters of the model": parameters,
    "The cache of one request of 8,192 tokens in BF16": caches,
}
PREFACE = """# Beside other tools

Written by `make bench-peers`, which puts each question to each tool that can answer it, with the
options that serve it best, in one run on one machine. Seconds are medians of whole processes, with
the fastest and the slowest of {runs} runs; a figure in bold is not the truth. Where a tool's address
of the Hub is fixed, its requests were led to the server that all of them asked.

{versions}; Python {python}, {cores} cores.
"""


def page(bench: Bench) -> str:
    """The whole page as markdown."""
    told = ", ".join(f"{name} {version}" for name, version in versions().items())
    text = PREFACE.format(
        runs=bench.runs, versions=told, python=platform.python_version(), cores=os.cpu_count()
    )
    for title, section in SECTIONS.items():
        print(title, file=sys.stderr)
        text += f"\n## {title}\n\n" + "\n".join(section(bench)) + "\n"
    return text


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--print", action="store_true", help="print the page, write no file")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = page(Bench(Path(folder), asked.runs))
    if asked.print:
        print(text)
        return
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

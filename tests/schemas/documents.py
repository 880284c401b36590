"""Documents of every contract, as the commands write them: real models, hostile files, options."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

from ckptscan.commands import cli
from ckptscan.doctor import examine
from ckptscan.report.doctor import document as health_document
from ckptscan.report.findings.json import document as audit_document
from ckptscan.report.options import VIEWS
from ckptscan.report.verified import report as verified
from ckptscan.sources.hub.reaching import Reached
from ckptscan.verify.unpacking import Size, Unpacked
from tests.checks.looking import llama
from tests.conftest import ATTACKS, PACKS, file_of, index_of
from tests.content.making import changed, raw_file, weights
from tests.diff.contents import edited, merged, model, noisy
from tests.diff.packing import fp8_block, quantized
from tests.report.findings.making import FINDINGS, audit_with
from tests.report.verified.test_reports import verification

Document = Mapping[str, Any]
LORA = "example--Llama-3.1-8B-lora-r16"
LLAMA = "meta-llama--Llama-3.1-8B"
# one of each make: towers, sets beside each other, tensor-parallel parts, states, packed weights
MODELS = (
    LORA,
    "Qwen--Qwen2-VL-7B-Instruct",
    "Qwen--Qwen3-Next-80B-A3B-Instruct",
    "RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8-dynamic",
    "deepseek-ai--DeepSeek-V2-Lite",
    "google-t5--t5-base",
    "hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4",
    "meta-llama--Llama-3.1-70B-original-mp8",
    "mistralai--Mistral-7B-Instruct-v0.3",
    "openai--gpt-oss-120b",
    "openai--whisper-large-v3",
    "openai-community--gpt2",
    "unsloth--Meta-Llama-3.1-8B-bnb-4bit",
)
SMALL = "Qwen--Qwen2-7B"
PLANS: Sequence[tuple[str, Sequence[str]]] = (
    (SMALL, ["--tp", "2", "--requests", "4", "--roofline", "--load"]),
    (SMALL, ["--engine", "vllm-0.6", "--engine", "vllm-0.21", "--load", "--load-rate", "2GB"]),
    (SMALL, ["--engine", "sglang-0.5", "--gpu", "24GiB", "--quantize", "int4-g128"]),
    (SMALL, ["--engine", "llama.cpp", "--gpu", "8GB", "--host-memory", "16GiB"]),
    (SMALL, ["--engine", "transformers", "--gpu", "8GB", "--host-memory", "4GiB"]),
    (SMALL, ["--train", "lora", "--zero", "3", "--gpu", "8xa100-40gb", "--offload", "all"]),
    (SMALL, ["--fit-quantize", "--gpu", "12GiB", "--lora", "16"]),
    ("meta-llama--Llama-3.1-70B", ["--gpu", "h100", "--max-len", "8192"]),
    ("deepseek-ai--DeepSeek-V2-Lite", ["--gpu", "2xh200", "--tp", "2", "--ep", "2"]),
    ("openai--gpt-oss-120b", ["--engine", "vllm-0.21", "--gpu", "h200"]),
    ("google-bert--bert-base-uncased", ["--gpu", "l4"]),
    (SMALL, ["--fit", "--max-len", "32768", "--requests", "8"]),
    (SMALL, ["--fit", "--max-len", "32768", "--gpu", "2xl4", "--tp", "2"]),
    (SMALL, ["--fit", "--engine", "vllm-0.6", "--engine", "vllm-0.21", "--gpu", "2xl4"]),
)


def written(*arguments: str) -> Document:
    """What a command writes as json."""
    done = CliRunner().invoke(cli, [*arguments, "--format", "json"])
    assert done.exit_code in (0, 1, 3), f"{arguments}: {done.output}"
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


def pack(name: str) -> str:
    """Where the pack of a model lies."""
    return str(PACKS / f"{name}.ckptpack")


def uneven(folder: Path, *names: str) -> Path:
    """A folder with a model of these tensors, whose index declares how many parameters it has."""
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(file_of({name: ("U8", [1]) for name in names}))
    index = index_of(dict.fromkeys(names, "model.safetensors"), total_parameters=len(names))
    (folder / "model.safetensors.index.json").write_bytes(index)
    return folder


def inspections(folder: Path) -> Iterator[Document]:
    """Every view, real models, hostile files, several at once."""
    for view in VIEWS:
        more = ["--top", "20"] if view == "tensors" else []
        yield written("inspect", pack("openai-community--gpt2"), "--view", view, *more)
    for name in MODELS:
        yield written("inspect", pack(name), "--all")
    yield written("inspect", pack(LLAMA), "--match", "*.mlp.*", "--depth", "2")
    for path in sorted(ATTACKS.iterdir()):
        yield written("inspect", str(path), "--view", "metadata")
    yield written("inspect", *map(str, sorted(ATTACKS.iterdir())))
    odd = uneven(folder / "odd", "l.0.e.0", "l.0.e.1", "l.1.e.0")
    yield written("inspect", str(odd))
    yield written("inspect", str(odd), str(folder / "nowhere"))


def audits(folder: Path) -> Iterator[Document]:
    """Findings of real models, hostile files and values; a proof, permissions, a crash."""
    for name in (*MODELS, LLAMA):
        yield written("audit", pack(name))
    yield written("audit", pack(LORA), "--base", pack(LLAMA))
    yield written("audit", *map(str, sorted(ATTACKS.iterdir())))
    yield audit_document(audit_with(*FINDINGS, crashed=True))
    bad = weights(llama())
    name = "model.layers.3.mlp.up_proj.weight"
    bad = changed(bad, {name: np.full_like(bad[name][1], 0x7FC0)})
    path = folder / "bad.safetensors"
    path.write_bytes(raw_file(bad))
    (folder / "settings.toml").write_text('[[allow]]\ncheck = "V001"\nreason = "known"\n')
    yield written("audit", str(path), "--deep", "--config", str(folder / "settings.toml"))
    yield written("audit", str(path), "--peek", "--hash")


def diffs(folder: Path) -> Iterator[Document]:
    """Pairs of models by headers, and small ones whose numbers are read."""
    for a, b in (
        (LLAMA, "hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4"),
        (LLAMA, "meta-llama--Llama-3.1-8B-original"),
        (LLAMA, LORA),
        (SMALL, "Qwen--Qwen2-VL-7B-Instruct"),
        ("Qwen--Qwen3-8B", "Qwen--Qwen3-30B-A3B"),
    ):
        yield written("diff", pack(a), pack(b))
    yield written("diff", pack(SMALL), pack("Qwen--Qwen2-VL-7B-Instruct"), "--stat")
    diagonal = [f"{n}.e.{n}" for n in range(80)]  # more than are told as products
    here = uneven(folder / "here", *(f"l.{name}" for name in diagonal))
    yield written("diff", str(here), str(uneven(folder / "there", *diagonal)))
    arrays = model()
    odd = {name: array for name, array in arrays.items() if ".2." not in name}
    others = {
        "a": arrays,
        "noisy": edited(arrays, "up_proj", noisy),
        "merged": edited(arrays, "q_proj", merged),
        "cut": odd,
        "packed": quantized(arrays, fp8_block),
    }
    for name, held in others.items():
        (folder / name).mkdir()
        (folder / name / "model.safetensors").write_bytes(raw_file(held))
    for name in others:
        yield written("diff", str(folder / "a"), str(folder / name), "--full")
        yield written("diff", str(folder / "a"), str(folder / name))


def plans(folder: Path) -> Iterator[Document]:
    """Every engine, training, what would fit, models that no card holds."""
    for name, options in PLANS:
        yield written("plan", pack(name), *options)


def verifications(folder: Path) -> Iterator[Document]:
    """What was loaded onto the host, and as if it had been onto a card."""
    found = replace(
        verification(), weights=(Unpacked("a", "gptq", "rows 0-3", Size("a", "up", 0.5)),)
    )
    yield json.loads("\n".join(verified(found, "json")))
    path = folder / "model.safetensors"
    raw = raw_file(weights(llama(range(2))))
    for held in (raw, raw[:-1000]):
        path.write_bytes(held)
        yield written("verify", str(path), "--device", "cpu", "--digest")


def others(folder: Path) -> Iterator[Document]:
    """What is kept, listed and written to files."""
    yield written("gpus")
    yield written("checks")
    yield written("cache", "info")
    yield written("doctor", "--offline")
    reached = Reached("https://hub.example.com", 200, 0.1, "")
    yield health_document(replace(examine(offline=True), reached=reached))
    path, held = folder / "one.safetensors", folder / "held.json"
    path.write_bytes(file_of({"a.0.weight": ("F32", [2, 2]), "b": ("U8", [0])}))
    runner = CliRunner()
    for source in (str(path), pack(SMALL), str(snapshot(folder)), str(ATTACKS)):
        for command in (
            ["lock", source, "--force", "-o", str(held)],
            ["audit", source, "--write-baseline", str(held)],
        ):
            done = runner.invoke(cli, command)
            assert 0 == done.exit_code, done.output
            yield json.loads(held.read_text(encoding="utf-8"))
        packed = folder / "held.ckptpack"
        done = runner.invoke(cli, ["pack", source, "--force", "-o", str(packed)])
        assert 0 == done.exit_code, done.output
        yield manifest(packed.read_bytes())


def snapshot(folder: Path) -> Path:
    """A snapshot in a cache of the Hub, whose blob is named by its sha256; one link is broken."""
    data = file_of({"a": ("U8", [1])})
    blob = folder / "models--org--name" / "blobs" / sha256(data).hexdigest()
    found = folder / "models--org--name" / "snapshots" / ("0" * 40)
    for one in (blob.parent, found):
        one.mkdir(parents=True)
    blob.write_bytes(data)
    (found / "model.safetensors").symlink_to(Path("..", "..", "blobs", blob.name))
    (found / "config.json").symlink_to("nowhere")
    return found


def manifest(packed: bytes) -> Document:
    """The list of files that a pack begins with."""
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(packed))) as archive:
        first = archive.extractfile(archive.next() or "")
        assert first is not None
        document = json.loads(first.read())
    assert isinstance(document, dict)
    return document


GROUPS: Mapping[str, Callable[[Path], Iterator[Document]]] = {
    "inspect": inspections,
    "audit": audits,
    "diff": diffs,
    "plan": plans,
    "verify": verifications,
    "others": others,
}

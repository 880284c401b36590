"""X002-X004, X009: what makes a loader run code that came with the checkpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ckptscan.checkpoint import Checkpoint
from ckptscan.checks.places import bounded
from ckptscan.checks.values import INFERRED, Check, Finding, Subject, Where
from ckptscan.config import Config
from ckptscan.header import quoted

# endings of files that Python's pickle reads
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".distcp")
# .bin files of other formats: OpenVINO, ONNX, llama.cpp, fastText
OTHER_BIN = re.compile(r"openvino|onnx|ggml|fasttext|tokenizer|vocab", re.IGNORECASE)
REMOTE = frozenset({"auto_map", "custom_pipelines", "custom_pipeline", "trust_remote_code"})
# keys with which a config chose code or a kernel to be run: CVE-2026-4372, CVE-2026-5843
CHOOSING = frozenset({"_attn_implementation_internal", "model_file", "_experts_implementation"})
# org/name and org/name@revision:function, as kernels of the Hub are named
KERNEL = re.compile(r"[\w.-]+/[\w.-]+(?:@[\w.-]+)?(?::[\w.-]+)?", re.ASCII)
# what a chat template has no need of and an escape from its sandbox has
ESCAPES = re.compile(
    r"__(?:class|base|bases|mro|subclasses|globals|builtins|import|init|code|dict)__|"
    r"\bos\s*\.\s*(?:system|popen)|\bsubprocess\b|\beval\s*\(|\bexec\s*\(|\|\s*attr\s*\("
)
MOST_VALUES = 100_000  # of one config that are looked at


class Said(NamedTuple):
    """A value of a config: the file, the path of keys to it, and the value."""

    file: str
    key: str
    last: str
    value: object


def values_of(config: Config, folder: str) -> Iterator[Said]:
    """Every value of every config file at any depth, without recursion."""
    for name, document in config.documents.items():
        file = f"{folder}/{name}" if folder else name
        waiting: list[tuple[str, object]] = [("", document)]
        for key, value in waiting:  # grows while it is walked
            if len(waiting) > MOST_VALUES:
                break
            if isinstance(value, Mapping):
                for inner, held in value.items():
                    yield Said(file, f"{key}.{inner}" if key else inner, inner, held)
                    if isinstance(held, Mapping | list):
                        waiting.append((f"{key}.{inner}" if key else inner, held))
            elif isinstance(value, list):
                waiting += [(key, held) for held in value if isinstance(held, Mapping | list)]


def _all_values(checkpoint: Checkpoint) -> Iterator[Said]:
    for folder, config in _configs(checkpoint):
        yield from values_of(config, folder)


def _configs(checkpoint: Checkpoint) -> Iterator[tuple[str, Config]]:
    """Every config with its folder; that of a whole pipeline lies where its components do."""
    folders = {shard.component: shard.path.rpartition("/")[0] for shard in checkpoint.table.shards}
    yield ("" if checkpoint.configs else next(iter(folders.values()), "")), checkpoint.config
    for component, config in checkpoint.configs.items():
        if config is not checkpoint.config:
            yield folders.get(component, component), config


def pickle_beside(subject: Subject) -> Iterator[Finding]:
    """Files that Python's pickle reads lie beside the weights.

    What it finds: `.bin`, `.pt`, `.pth`, `.ckpt`, `.pkl`, `.joblib` and the like, by their names; a
    remark where the safetensors files are complete, else a warning.
    Why it matters: unpickling runs what the file says; a loader that finds no safetensors file
    falls back to them (transformers#27776).
    Example: pytorch_model.bin and 2 more files are read by pickle.
    What to do: load with `use_safetensors=True`; don't download them.
    """
    paths = [entry.path for entry in subject.checkpoint.files if _is_pickle(entry.path)]
    if paths:
        is_whole = not subject.checkpoint.incomplete and subject.checkpoint.is_sound
        more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
        yield PICKLE.finding(
            f"{paths[0]}{more}: read by pickle, which runs what the file says",
            *bounded(map(Where, paths)),
            severity="info" if is_whole else "warning",
            confidence=INFERRED,
            hint="load with use_safetensors=True; don't download them",
            files=len(paths),
        )


def _is_pickle(path: str) -> bool:
    name = path.lower()
    return name.endswith(PICKLES) and not (name.endswith(".bin") and OTHER_BIN.search(name))


def remote_code(subject: Subject) -> Iterator[Finding]:
    """The checkpoint brings Python code, or asks for some.

    What it finds: `auto_map`, `custom_pipelines` or `trust_remote_code` at any depth of a config,
    and `.py` files.
    Why it matters: with `trust_remote_code=True` it runs with your rights; nested configs were
    loaded without asking (CVE-2025-66448).
    Example: config.json: auto_map names modeling_deepseek.DeepseekV3ForCausalLM.
    What to do: read the code, and pin the revision that you have read.
    """
    asked = [said for said in _all_values(subject.checkpoint) if said.last in REMOTE and said.value]
    scripts = [entry.path for entry in subject.checkpoint.files if entry.path.endswith(".py")]
    if asked or scripts:
        keys = [f"{said.file}: {said.key}" for said in asked]
        first = keys[0] if keys else scripts[0]
        count = len(keys) + len(scripts) - 1
        more = f" and {count:,} more" if count else ""
        files = dict.fromkeys([*(said.file for said in asked), *scripts])
        yield REMOTE_CODE.finding(
            f"{first}{more}: code that comes with the checkpoint",
            *bounded(map(Where, files)),
            hint="read the code, and pin the revision that you have read",
            keys=keys[:20],
            scripts=scripts[:20],
        )


def code_in_config(subject: Subject) -> Iterator[Finding]:
    """A config chooses code or a kernel by a key that is not meant for files.

    What it finds: `_attn_implementation_internal`, `model_file`, or an attention implementation
    that names a repository.
    Why it matters: such keys loaded a kernel from the Hub, or a Python file, without
    `trust_remote_code` (CVE-2026-4372, CVE-2026-5843).
    Example: config.json: _attn_implementation_internal is 'someone/kernel'.
    What to do: remove the key before loading.
    """
    for said in _all_values(subject.checkpoint):
        is_implementation = said.last in ("_attn_implementation", "attn_implementation")
        names_kernel = isinstance(said.value, str) and KERNEL.fullmatch(said.value)
        if (said.last in CHOOSING and said.value) or (is_implementation and names_kernel):
            shown = quoted(said.value) if isinstance(said.value, str) else "no text"
            yield CODE_IN_CONFIG.finding(
                f"{said.file}: {said.key} is {shown}",
                Where(said.file),
                hint="remove the key before loading",
                key=said.key,
                seen=shown,
            )


def escaping_template(subject: Subject) -> Iterator[Finding]:
    """A chat template holds what an escape from its sandbox needs.

    What it finds: Python's inner attributes (`__globals__`, `__subclasses__` ...) or calls of the
    system in a template or a tokenizer's config.
    Why it matters: templates are programs that run with every prompt; not all engines run them in
    a sandbox.
    Example: tokenizer_config.json: chat_template holds '__globals__'.
    What to do: read the template, and take the publisher's own.
    """
    for folder, config in _configs(subject.checkpoint):
        texts = [
            (said.file, said.key, said.value)
            for said in values_of(config, folder)
            if "template" in said.last
        ]
        texts += [
            (f"{folder}/{name}" if folder else name, "the template", text)
            for name, text in config.texts.items()
        ]
        for file, key, text in texts:
            found = ESCAPES.search(text) if isinstance(text, str) else None
            if found:
                yield TEMPLATE.finding(
                    f"{file}: {key} holds {quoted(found[0])}",
                    Where(file),
                    confidence=INFERRED,
                    hint="read the template before you use it",
                    seen=found[0],
                )


PICKLE = Check("X002", "pickle-beside", "warning", pickle_beside)
REMOTE_CODE = Check("X003", "remote-code", "warning", remote_code)
CODE_IN_CONFIG = Check("X004", "code-in-config", "warning", code_in_config)
TEMPLATE = Check("X009", "escaping-template", "warning", escaping_template)

CHECKS: tuple[Check, ...] = (PICKLE, REMOTE_CODE, CODE_IN_CONFIG, TEMPLATE)

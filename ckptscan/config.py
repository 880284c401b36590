"""config.json and its kin -> the few facts that ckptscan uses.

Config is a witness, never the source: what it says is labelled so. Any bytes may stand in such a
file, so every fact is asked for by type, and a file that can't be used is a problem in one line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_CONFIG = 64 << 20  # bytes; real ones have a few thousand, the odd tokenizer config a few MB
# read beside the weights, in the folder of the chosen set
CONFIG_NAMES = ("config.json", "params.json", "adapter_config.json", "model_index.json")


@dataclass(frozen=True)
class Config:
    """The small JSON files that stand beside the weights, by file name.

    `documents` holds those that are JSON objects; `problems` says why the others can't be used.
    """

    documents: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)

    def text(self, key: str, name: str = "config.json") -> str | None:
        """A value that is a string, else None."""
        value = self.documents.get(name, {}).get(key)
        return value if isinstance(value, str) else None

    @property
    def architecture(self) -> str | None:
        """The class that config.json names first in `architectures`, or that of a pipeline."""
        named = self.documents.get("config.json", {}).get("architectures")
        first = named[0] if isinstance(named, list) and named else None
        return first if isinstance(first, str) else self.text("_class_name", "model_index.json")


def read_config(raw: Mapping[str, bytes | None]) -> Config:
    """The config in these files (None: too large to be read); never raises."""
    documents, problems = {}, {}
    for name, data in raw.items():
        parsed = parse_object(data) if data is not None else "too large, or can't be read"
        if isinstance(parsed, str):
            problems[name] = parsed
        else:
            documents[name] = parsed
    return Config(documents, problems)


def parse_object(data: bytes) -> Mapping[str, object] | str:
    """A JSON object, or why these bytes are none."""
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return "not UTF-8"
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at character {error.pos:,}"
    except (RecursionError, ValueError):
        return "not JSON: nested too deep, or an absurd number"
    return document if isinstance(document, dict) else "not a JSON object"


def pipeline_components(document: Mapping[str, object]) -> list[str]:
    """The folders that a model_index.json names: keys with a [library, class] that is not null."""
    return [
        key
        for key, value in document.items()
        if not key.startswith("_")
        and "/" not in key
        and isinstance(value, list)
        and len(value) == 2
        and isinstance(value[1], str)
    ]


def module_folders(data: bytes) -> list[str]:
    """The folders that a sentence-transformers modules.json names; "" is the root."""
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (RecursionError, ValueError):
        return []
    if not isinstance(document, list):
        return []
    paths = [module.get("path") for module in document if isinstance(module, dict)]
    return [path.strip("/") for path in paths if isinstance(path, str)]

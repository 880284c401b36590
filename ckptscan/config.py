"""config.json and its kin -> the few facts that ckptscan uses.

Config is a witness, never the source: what it says is labelled so. Any bytes may stand in such a
file, so every fact is asked for by type, and a file that can't be used is a problem in one line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

MAX_CONFIG = 64 << 20  # bytes; real ones have a few thousand, the odd tokenizer config a few MB
# read beside the weights, in the folder of the chosen set
CONFIG_NAMES = (
    "config.json",
    "params.json",
    "adapter_config.json",
    "model_index.json",
    "hf_quant_config.json",
    "quantize_config.json",
)
SIDE_NAMES = (*CONFIG_NAMES, "modules.json")  # all that is read of json, but for indexes
# what an audit reads beside these: what may name code that a loader runs
AUDITED = (
    "generation_config.json",
    "tokenizer_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "chat_template.jinja",
    "added_tokens.json",
    "tokenizer.json",
    "vocab.json",
    "tekken.json",
)
# what an audit reads besides and does not parse, as these are large; from afar up to a bound
TOKENIZERS = ("tokenizer.json", "vocab.json", "tekken.json")
MAX_AFAR = 1 << 20
# where multimodal configs keep what they say of the language model, and families nest the rest
_TEXT = (
    "text_config",
    "llm_config",
    "language_config",
    "language_model",
    "thinker_config",
    "decoder",
    "ffn_config",
    "attn_config",
    "moe",
)
# how the classes of sentence-transformers' modules end that hold weights
_WEIGHTY = (
    "Transformer",
    "Dense",
    "LSTM",
    "CNN",
    "LayerNorm",
    "Embedding",
    "Embeddings",
    "AutoEncoder",
)
# the numbers in a config that no real model reaches are not used
_LARGEST = 1 << 48
# a list with an entry for each layer is no longer; the deepest real model has 126
_MOST_LAYERS = 10_000


@dataclass(frozen=True)
class Config:
    """The small JSON files that stand beside the weights, by file name.

    `documents` holds those that are JSON objects, `texts` those that are no JSON by their name,
    `raw` those of TOKENIZERS as they are; `problems` says why the others can't be used.
    """

    documents: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    raw: Mapping[str, bytes] = field(default_factory=dict)

    def text(self, key: str, name: str = "config.json") -> str | None:
        """A value that is a string, else None."""
        value = self.documents.get(name, {}).get(key)
        return value if isinstance(value, str) else None

    def said(self, *keys: str) -> object:
        """What config.json, or params.json, says first under one of these keys; else None.

        The language model's own section goes before the top level, as its loaders read it; a null
        says nothing.
        """
        for document in self._sections:
            for key in keys:
                if document.get(key) is not None:
                    return document[key]
        return None

    def beside(self, *keys: str) -> Config:
        """The section that says one of these first, as a config of its own; else this one."""
        for document in self._sections:
            if any(document.get(key) is not None for key in keys):
                return Config({"config.json": {**document, **dict.fromkeys(_TEXT)}})
        return self

    def number(self, *keys: str) -> int | None:
        """A value that is a positive integer, as its loaders want it; else None."""
        value = self.said(*keys)
        return value if type(value) is int and 0 < value < _LARGEST else None

    def numbers(self, *keys: str) -> tuple[int, ...]:
        """A value that is a list of integers, one for each layer; else empty."""
        value = self.said(*keys)
        if not isinstance(value, list) or not 0 < len(value) <= _MOST_LAYERS:
            return ()
        are_numbers = all(type(one) is int and 0 <= one < _LARGEST for one in value)
        return tuple(value) if are_numbers else ()

    def words(self, *keys: str) -> tuple[str, ...]:
        """A value that is a list of strings; else empty."""
        value = self.said(*keys)
        if not isinstance(value, list) or len(value) > _MOST_LAYERS:
            return ()
        return tuple(value) if all(isinstance(one, str) for one in value) else ()

    def flag(self, *keys: str) -> bool | None:
        """A value that is true or false; else None."""
        value = self.said(*keys)
        return value if isinstance(value, bool) else None

    def entries(self) -> Iterator[tuple[str, object]]:
        """Every key and value that `said` looks at, the language model's own first."""
        for document in self._sections:
            yield from document.items()

    @cached_property
    def _sections(self) -> tuple[Mapping[str, object], ...]:
        """The objects that speak of the language model, innermost first."""
        found: list[Mapping[str, object]] = []
        for name in ("config.json", "params.json"):
            waiting = [self.documents.get(name, {})]
            for document in waiting:  # grows while it is walked, by at most the keys of _TEXT
                if len(waiting) > len(_TEXT):
                    break
                inner = [document[key] for key in _TEXT if isinstance(document.get(key), dict)]
                waiting += cast("list[Mapping[str, object]]", inner)
            found += reversed(waiting)
        return tuple(found)

    def tower(self, name: str) -> Config:
        """What config.json says of one tower: `vision`, `audio`; `text` is this config itself.

        Without a section of its own a tower has no config, unless the model is nothing else.
        """
        return self if name == "text" else self._towers[name]

    @cached_property
    def _towers(self) -> Mapping[str, Config]:
        return {name: self._tower(name) for name in ("vision", "audio")}

    def _tower(self, name: str) -> Config:
        sections = [
            value
            for key, value in self.documents.get("config.json", {}).items()
            if name in key and key.endswith(("config", "cfg", "_tower")) and isinstance(value, dict)
        ]
        if sections:
            return Config({"config.json": sections[0]})
        has_towers = any(
            isinstance(self.documents.get("config.json", {}).get(key), dict) for key in _TEXT
        )
        return Config() if has_towers else self

    def part(self, name: str) -> Config:
        """What config.json says of a part under the part's own name; else this config itself.

        MusicGen's `text_encoder` and `audio_encoder` are such; `decoder` is the language model.
        """
        return (None if name in _TEXT else self.section(name)) or self

    def section(self, key: str) -> Config | None:
        """An object in config.json as a config of its own, None where there is none."""
        value = self.documents.get("config.json", {}).get(key)
        return Config({"config.json": value}) if isinstance(value, dict) else None

    @property
    def is_of_adapter(self) -> bool:
        """Whether adapter_config.json alone says what the weights are: of an adapter, any kind."""
        return "adapter_config.json" in self.documents and "config.json" not in self.documents

    @property
    def model_type(self) -> str | None:
        """What config.json calls the kind of model: `qwen2_moe`."""
        return self.text("model_type")

    @cached_property
    def quantization(self) -> Mapping[str, object]:
        """What the config files say of quantization, wherever they say it; empty for nothing.

        config.json's `quantization_config` (or `quantization`, MLX's) goes before
        hf_quant_config.json (ModelOpt), quantize_config.json (AutoGPTQ) and params.json (Mistral).
        """
        places = (
            ("config.json", "quantization_config"),
            ("config.json", "compression_config"),
            ("config.json", "quantization"),
            ("hf_quant_config.json", "quantization"),
            ("quantize_config.json", None),
            ("params.json", "quantization"),
        )
        for name, key in places:
            document = self.documents.get(name, {})
            section = document if key is None else document.get(key)
            if isinstance(section, dict) and section:
                return section
        nested = self.said("quantization_config")
        return nested if isinstance(nested, dict) else {}

    @cached_property
    def weight_groups(self) -> tuple[Mapping[str, object], ...]:
        """What compressed-tensors' groups of modules say of their weights, a section a group."""
        groups = self.quantization.get("config_groups")
        held = groups.values() if isinstance(groups, dict) else ()
        said = (group.get("weights") for group in held if isinstance(group, dict))
        return tuple(weights for weights in said if isinstance(weights, dict))

    @property
    def architecture(self) -> str | None:
        """The class that config.json names first in `architectures`, or that of a pipeline."""
        named = self.documents.get("config.json", {}).get("architectures")
        first = named[0] if isinstance(named, list) and named else None
        return first if isinstance(first, str) else self.text("_class_name", "model_index.json")


def read_config(raw: Mapping[str, bytes | None]) -> Config:
    """The config in these files (None: too large to be read); never raises."""
    documents, problems, texts = {}, {}, {}
    kept = {name: data for name, data in raw.items() if data and name in TOKENIZERS}
    for name, data in raw.items():
        if name in TOKENIZERS:
            continue
        if data is not None and not name.endswith(".json"):
            texts[name] = data.decode("utf-8", "replace")
            continue
        parsed = parse_object(data) if data is not None else "too large, or can't be read"
        if isinstance(parsed, str):
            problems[name] = parsed
        else:
            documents[name] = parsed
    return Config(documents, problems, texts, kept)


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


def module_folders(data: bytes) -> dict[str, bool]:
    """The folders that a sentence-transformers modules.json names, and whether each has weights.

    "" is the root. Pooling and the like have a config.json and no weights; the class tells.
    """
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (RecursionError, ValueError):
        return {}
    modules = document if isinstance(document, list) else []
    found: dict[str, bool] = {}
    for module in modules:
        path = module.get("path") if isinstance(module, dict) else None
        if isinstance(path, str):
            class_ = module.get("type")
            has_weights = isinstance(class_, str) and class_.endswith(_WEIGHTY)
            found[path.strip("/")] = has_weights
    return found

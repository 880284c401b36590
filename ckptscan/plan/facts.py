"""What config.json says that a plan needs and no header holds: dtype, context, windows, RoPE.

Each fact comes with the label of the place it is from; nothing here is a list of models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from ckptscan.config import Config
from ckptscan.plan.defaults import default_of
from ckptscan.plan.inventory import Inventory
from ckptscan.structure import Structure

_DTYPES = {"float32": 4, "float": 4, "float16": 2, "half": 2, "bfloat16": 2, "float64": 8}
_CONTEXT_KEYS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "max_sequence_length",
    "seq_length",
    "max_seq_length",
    "model_max_length",
    "max_target_positions",
)
# DeepSeek-V4: layers that keep one entry for several tokens, beside a window of plain ones
_COMPRESSING = ("compress_ratios", "compress_rates", "compress_rate_csa", "compress_rate_hca")
_COMPRESSOR = "compressor"
STATE_SIZES = ("mamba_d_state", "ssm_state_size", "state_size", "mamba_n_state")
_NO_CONTEXT = 2048  # vLLM's own default where a config names no context
_LARGEST_FACTOR = 1 << 20
_ROTATED_BUT = 4  # configuration_llama4.py: each fourth layer has no rotary positions
FULL, SLIDING, CHUNKED, LINEAR = "full", "sliding", "chunked", "linear"
_LAYER_TYPES = {
    "full_attention": FULL,
    "attention": FULL,
    "global": FULL,
    "global_attention": FULL,
    "sliding_attention": SLIDING,
    "local": SLIDING,
    "local_attention": SLIDING,
    "sliding_window": SLIDING,
    "chunked_attention": CHUNKED,
    "linear_attention": LINEAR,
    "mamba": LINEAR,
    "conv": LINEAR,
    "recurrent": LINEAR,
}


@dataclass(frozen=True)
class Fact:
    """A number that config declares, its label, and the words that tell where it is from."""

    value: int
    label: str
    how: str


@dataclass(frozen=True)
class Facts:
    """What config says of the language model, asked for by type."""

    config: Config
    inventory: Inventory
    structure: Structure

    def number(self, *keys: str) -> int | None:
        """What config says first under one of these keys, else what its class takes."""
        return self.config.number(*keys) or default_of(self.config.model_type, *keys)

    @property
    def declared_dtype(self) -> str | None:
        """The dtype that the model is meant to be computed in, as config calls it."""
        said = self.config.said("torch_dtype", "dtype")
        return said.removeprefix("torch.") if isinstance(said, str) else None

    def dtype(self, asked: str) -> Fact:
        """Bytes of a parameter that is not quantized, as engines load it: float32 is cut down."""
        if asked != "auto":
            return Fact(_DTYPES.get(asked, 2), "engine", f"--dtype {asked}")
        declared = self.declared_dtype
        if declared in _DTYPES:
            size = _DTYPES[declared or ""]
            if size > 2:
                return Fact(2, "engine", f"{declared} in config, loaded in 16 bits")
            return Fact(2, "config", f"{declared} in config")
        return Fact(2, "assumed", "no dtype in config; engines load in 16 bits")

    @cached_property
    def positions(self) -> int | None:
        """Rows of the position table that config declares, before scaling."""
        return self.number(*_CONTEXT_KEYS)

    @cached_property
    def rope(self) -> Mapping[str, object]:
        """The parameters of rotary embeddings, those of full attention where they differ."""
        said = self.config.said("rope_scaling", "rope_parameters")
        if not isinstance(said, dict):
            return {}
        inner = said.get("full_attention")
        return cast("Mapping[str, object]", inner if isinstance(inner, dict) else said)

    @property
    def rope_type(self) -> str:
        """How positions are stretched: default, linear, dynamic, yarn, llama3, longrope ..."""
        said = self.rope.get("rope_type", self.rope.get("type"))
        named = said if isinstance(said, str) else "default"
        return {"mrope": "default", "su": "longrope", "deepseek_yarn": "yarn"}.get(named, named)

    @property
    def rope_factor(self) -> float:
        """By how much positions are stretched."""
        said = self.rope.get("factor", 1)
        if isinstance(said, int | float) and not isinstance(said, bool):
            return float(said) if 0 < said <= _LARGEST_FACTOR else 1.0
        return 1.0

    @property
    def original_positions(self) -> int | None:
        """Positions that the model was trained on before stretching."""
        said = self.rope.get("original_max_position_embeddings")
        if type(said) is int and 0 < said < 1 << 40:
            return said
        return self.config.number("original_max_position_embeddings", "initial_context_length")

    @cached_property
    def context(self) -> Fact:
        """The longest context that the model allows, stretched as engines stretch it."""
        positions = self.positions
        if positions is None:
            return Fact(_NO_CONTEXT, "assumed", "config names no context")
        kind, factor = self.rope_type, self.rope_factor
        model_type = self.config.model_type or ""
        if factor == 1 or kind in ("default", "llama3", "longrope") or "gemma3" in model_type:
            is_said = self.config.number(*_CONTEXT_KEYS) is not None
            by_class = "" if is_said else f", the default of {model_type}"
            return Fact(positions, "config", f"max_position_embeddings {positions:,}{by_class}")
        base = (self.original_positions or positions) if kind == "yarn" else positions
        length = int(base * factor)
        return Fact(length, "config", f"{base:,} positions x {factor:g} by {kind}")

    @cached_property
    def window(self) -> int | None:
        """Tokens that sliding layers look back on; None where there is none or it is off."""
        if self.config.flag("use_sliding_window") is False:
            return None
        return self.number(
            "sliding_window", "sliding_window_size", "interleaved_sliding_window", "window_size"
        )

    @cached_property
    def chunk(self) -> int | None:
        """Tokens of a chunk of layers that attend within chunks alone."""
        return self.config.number("attention_chunk_size")

    def reach(self, index: int, layers: int) -> str:
        """How far a layer that attends looks: full, sliding, chunked; as config declares it."""
        types = self._layer_types
        if len(types) == layers and index < layers:
            kind = _LAYER_TYPES.get(types[index], FULL)
            if kind == SLIDING and self.window is None:
                return FULL
            return FULL if kind == CHUNKED and self.chunk is None else kind
        if self.chunk is not None and not types:
            return self._chunked(index, layers)
        if self.window is None:
            return FULL
        period = self.number("sliding_window_pattern", "_sliding_window_pattern")
        if period is not None:
            return FULL if (index + 1) % period == 0 else SLIDING
        first = self.config.number("max_window_layers")
        if self.config.flag("use_sliding_window") and first is not None:
            return SLIDING if index >= first else FULL
        return SLIDING

    @cached_property
    def unmodelled_cache(self) -> str:
        """Why no rule here sizes the cache; empty where one does."""
        key = next((key for key in _COMPRESSING if self.config.said(key) is not None), "")
        named = key or next((kind for kind in self._layer_types if "compress" in kind), "")
        layers = (module for kind in self.inventory.kinds for module in kind.modules)
        if not named and any(_COMPRESSOR in module.path.split(".") for module in layers):
            named = f"modules called {_COMPRESSOR}"
        return f"layers keep one entry for several tokens ({named[:40]})" if named else ""

    def _chunked(self, index: int, layers: int) -> str:
        """Llama-4: layers without rotary positions look everywhere, the others within chunks."""
        rotated = self.config.numbers("no_rope_layers")
        if len(rotated) == layers and index < layers:
            return CHUNKED if rotated[index] else FULL
        period = self.config.number("no_rope_layer_interval") or _ROTATED_BUT
        return FULL if (index + 1) % period == 0 else CHUNKED

    @cached_property
    def _layer_types(self) -> tuple[str, ...]:
        return self.config.words("layer_types")

    @property
    def state_groups(self) -> tuple[int, int]:
        """Groups of heads that steer a state space alike (Mamba-2), and the rows of each."""
        groups = self.config.number("mamba_n_groups", "n_groups", "mamba_ngroups")
        size = self.config.number(*STATE_SIZES)
        return groups or 1, size or 0

    @property
    def shared_cache_layers(self) -> int:
        """Last layers that use the keys and values of earlier ones (Gemma-3n)."""
        return self.config.number("num_kv_shared_layers") or 0

    @cached_property
    def hidden(self) -> int | None:
        """Width of the residual stream."""
        for module in self.inventory.of_role("embedding"):
            if module.shape is not None and len(module.shape) == 2:
                return module.shape[1]
        return self.config.number("hidden_size", "d_model", "n_embd", "dim")

    @cached_property
    def vocabulary(self) -> int | None:
        """Rows of the output, or of the input table."""
        for module in self.inventory.of_role("lm_head", "embedding"):
            if module.shape is not None and len(module.shape) == 2:
                return module.shape[0]
        return self.config.number("vocab_size")

    @property
    def is_tied(self) -> bool:
        """Whether the head is the embedding's table."""
        return self.structure.parameters.tied in (True, "stored-twice")

    @property
    def has_config(self) -> bool:
        """Whether there is a config to ask."""
        return bool(self.config.documents)

"""What one layer keeps of the past: keys and values of each token, or a state of constant size.

Sizes are those of one rank; a layer's cache is a value, so that layers which are alike compare
equal. How caches are laid out in blocks is the engine's affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from ckptscan.errors import UsageError
from ckptscan.plan.facts import CHUNKED, FULL, SLIDING, STATE_SIZES, Facts
from ckptscan.plan.inventory import Module
from ckptscan.plan.sharding import kv_heads_of_rank, repeated_rows
from ckptscan.structure import Attention

STATE, CROSS = "state", "cross"
DS_MLA = 656  # bytes a token of fp8_ds_mla: 512 FP8, 4 scales of 32 bits, 64 rotary in BF16
INDEX_SCALE_GROUP = 128  # DSA's index keys: a scale of 32 bits for 128 values
# bits of an element; the packed ones hold their scales
KV_BITS: dict[str, float] = {
    "bfloat16": 16,
    "float16": 16,
    "float32": 32,
    "fp8": 8,
    "fp8_e4m3": 8,
    "fp8_e5m2": 8,
    "fp8_inc": 8,
    "int8": 8,
    "int8_per_token_head": 8,
    "fp8_per_token_head": 8,
    "nvfp4": 4.5,
    "mxfp8": 8.25,
    "fp8_ds_mla": 8,
    "f16": 16,
    "bf16": 16,
    "f32": 32,
    "q8_0": 8.5,
    "q5_1": 6,
    "q5_0": 5.5,
    "q4_1": 5,
    "q4_0": 4.5,
    "iq4_nl": 4.5,
}

_SAME = {"half": "float16"}


class LayerCache(NamedTuple):
    """The cache of one layer on one rank.

    `token_bytes` is for a token, `state_bytes` for a request. `reach` is the window or chunk of
    layers that do not look everywhere, the encoder's tokens for cross-attention, the chunk by which
    a state space is computed.
    """

    kind: str
    token_bytes: int = 0
    state_bytes: int = 0
    reach: int = 0

    def tokens(self, length: int, batched: int) -> int:
        """Tokens that are kept of a request of this length, with so many computed at once."""
        if self.kind == SLIDING:
            return min(self.reach - 1 + batched, length)
        if self.kind == CHUNKED:
            return min(self.reach + batched, length)
        if self.kind == CROSS:
            return self.reach
        return length if self.kind == FULL else 0


@dataclass(frozen=True)
class CacheDType:
    """How keys and values are stored: its name, bits, bytes a head keeps for its scales."""

    name: str
    bits: float
    head_extra: int
    label: str
    how: str

    def nbytes(self, elements: int, heads: int) -> int:
        """Bytes of so many elements of one token, of keys or of values."""
        return int(elements * self.bits / 8) + self.head_extra * heads


def cache_dtype(asked: str, facts: Facts, dtype: str, reads_scheme: bool) -> CacheDType:
    """The dtype of the cache; `auto` is the model's `dtype`, or what the checkpoint asks for."""
    if asked != "auto":
        if asked not in KV_BITS:
            import difflib

            near = difflib.get_close_matches(asked, KV_BITS, 3, 0.4) or ["auto", "fp8", "bfloat16"]
            raise UsageError(f"no KV cache dtype is called {asked[:40]!r}",
                             f"nearest: {', '.join(near)}")  # fmt: skip
        extra = 4 if asked.endswith("per_token_head") else 0
        return CacheDType(asked, KV_BITS[asked], extra, "engine", f"--kv-cache-dtype {asked}")
    declared = _declared(facts) if reads_scheme else None
    if declared is not None:
        return CacheDType(declared, KV_BITS[declared], 0, "config", f"{declared} in the checkpoint")
    fact = facts.dtype(dtype)
    if dtype != "auto":
        return CacheDType(_SAME.get(dtype, dtype), fact.value * 8, 0, fact.label, fact.how)
    named = facts.declared_dtype if fact.label == "config" else None
    return CacheDType(named or "bfloat16", fact.value * 8, 0, fact.label, "auto: the model's dtype")


def _declared(facts: Facts) -> str | None:
    """The cache's dtype that ModelOpt wrote into its config."""
    said = facts.config.quantization
    method = said.get("quant_method", "modelopt" if "quant_algo" in said else "")
    if not isinstance(method, str) or not method.startswith("modelopt"):
        return None
    algorithm = said.get("kv_cache_quant_algo") or said.get("kv_cache_scheme")
    if isinstance(algorithm, dict):
        is_float = algorithm.get("type") == "float"
        bits = {8: "fp8", 4: "nvfp4"}
        wide = algorithm.get("num_bits")
        algorithm = bits.get(wide, "") if is_float and isinstance(wide, int) else ""
    return algorithm.lower() if algorithm in ("FP8", "fp8", "NVFP4", "nvfp4") else None


def plain_bytes(one: Attention, dtype: CacheDType, tp: int) -> int:
    """Bytes of one token of latent attention where an engine caches its heads unfolded.

    vLLM until 0.7.0 pads keys and values to a width that its kernels know: 192 to 256.
    """
    if one.latent is None:
        return token_bytes(one, dtype, tp)
    width = 1 << (one.latent.nope + one.latent.rope - 1).bit_length()
    heads = -(-(one.heads or 1) // tp)
    return 2 * dtype.nbytes(heads * width, heads)


def token_bytes(one: Attention, dtype: CacheDType, tp: int, index_width: int = 0) -> int:
    """Bytes of one token in one layer on one rank; `index_width` is of DSA's index keys."""
    if one.latent is not None:
        index = index_width + index_width // INDEX_SCALE_GROUP * 4
        if dtype.name == "fp8_ds_mla":
            return DS_MLA + index
        return dtype.nbytes(one.latent.kv_rank + one.latent.rope, 1) + index
    if one.kv_heads is None or one.head_dim is None:
        return 0
    heads = kv_heads_of_rank(one.kv_heads, tp)
    values = one.v_head_dim or one.head_dim
    return dtype.nbytes(heads * one.head_dim, heads) + dtype.nbytes(heads * values, heads)


class State(NamedTuple):
    """What a layer without keys keeps of a request: the last inputs of its convolution, a state."""

    convolution: int
    recurrent: int
    formula: str
    label: str


def state_of(
    modules: Sequence[Module], facts: Facts, width: int, recurrent_width: int, tp: int
) -> State:
    """The state of one layer of linear attention or of a state space, of one request.

    `width` is bytes of an element of the convolution's, `recurrent_width` of the other's.
    """
    mixing = [m for m in modules if m.role in ("linear_attention", "ssm", "conv")]
    convs = _convolutions(mixing)
    is_space = any(m.role == "ssm" for m in mixing)
    repeated = repeated_rows(facts.state_groups, tp) if is_space else 0
    kept = sum((rows + repeated) // tp * (taps - 1) for rows, taps in convs) * width
    decay = next((leaf.shape for m in mixing for leaf in m.leaves
                  if leaf.name.lower() == "a_log"), ())  # fmt: skip
    if not decay:
        label = "exact" if mixes_by_convolution(modules) else "inferred"
        return State(kept, 0, f"{kept:,} B of convolution", label)
    if len(decay) == 2:  # Mamba: one row for each channel
        recurrent = decay[0] // tp * decay[1] * recurrent_width
        formula = f"{decay[0]:,} x {decay[1]} x {recurrent_width} B"
        return State(kept, recurrent, formula, "exact")
    heads = prod(decay)
    if len(convs) > 1:  # KDA: its state is always in 32 bits
        recurrent_width = 4
    rows, columns, label = _head_state(mixing, facts, heads, sum(rows for rows, _ in convs))
    recurrent = heads // tp * rows * columns * recurrent_width
    formula = (
        f"{heads} heads x {rows} x {columns} x {recurrent_width} B + {kept:,} B of convolution"
    )
    return State(kept, recurrent, formula, label)


def mixes_by_convolution(modules: Sequence[Module]) -> bool:
    """Whether tokens of a layer are mixed by nothing but a short convolution, as LFM2's are."""
    mixing = [m for m in modules if m.role in ("linear_attention", "ssm", "conv")]
    is_plain = all(m.role == "conv" for m in mixing)
    deep = (leaf.shape for m in mixing for leaf in m.leaves if len(leaf.shape) == 3)
    return is_plain and any(shape[1] == 1 for shape in deep)


def _head_state(
    mixing: Sequence[Module], facts: Facts, heads: int, mixed: int
) -> tuple[int, int, str]:
    """Rows and columns of the state of one head, and how sure they are.

    `mixed` is channels of the convolutions: queries, keys and values, or values and what steers.
    """
    out = next((m.shape for m in mixing if m.path.endswith(("out_proj", "o_proj"))), None)
    values = out[1] if out is not None and len(out) == 2 else 0
    rows = values // heads if values else facts.config.number("linear_value_head_dim") or 128
    if any(m.role == "ssm" for m in mixing):
        size = facts.config.number(*STATE_SIZES)
        if size is None and mixed and values:
            size = (mixed - values) // 2  # of one group
        return rows, size or 128, "config" if size else "assumed"
    keys = (mixed - values) // 2 if mixed and values else 0
    groups = facts.config.number("linear_num_key_heads")
    declared = facts.config.number("linear_key_head_dim")
    columns = keys // groups if keys and groups else declared
    return rows, columns or rows, "config" if columns else "assumed"


def _convolutions(modules: Sequence[Module]) -> list[tuple[int, int]]:
    """Channels and taps of the convolutions over tokens."""
    return [
        (leaf.shape[0], leaf.shape[-1])
        for module in modules
        for leaf in module.leaves
        if "conv" in module.path.rpartition(".")[2] and len(leaf.shape) == 3
    ]


def reach_of(facts: Facts, index: int, layers: int) -> tuple[str, int]:
    """How far a layer looks, and the window or chunk."""
    kind = facts.reach(index, layers)
    if kind == SLIDING and facts.window:
        return SLIDING, facts.window
    if kind == CHUNKED and facts.chunk:
        return CHUNKED, facts.chunk
    return FULL, 0

"""The values of packing: hints from outside, the tensors of one weight, what they say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from ckptscan.header import Kind

Shape = tuple[int, ...]

EXACT, INFERRED, CONFIG, PEEKED = "exact", "inferred", "config", "peeked"

# scales of the KV cache, beside a projection or alone in an attention module
CACHE_SCALES = frozenset(
    "k_scale v_scale q_scale kv_scale prob_scale k_zero_point v_zero_point "
    "kv_cache_scaling_factor".split()
)
# book-keeping of activations, which any scheme may keep beside its weight
COMMON = CACHE_SCALES | frozenset(
    "input_scale output_scale input_zero_point output_zero_point input_global_scale "
    "output_global_scale activation_scale input_scale_ub pre_quant_scale scale_input "
    "comfy_quant smooth_scale".split()
)


class Hints(NamedTuple):
    """Witnesses from outside the module; each may be unknown.

    `method`, `bits` and `group` are what the config declares, the method in lower case. `hidden` is
    the model's hidden size, and `faces_out` tells on which side of the weight it is expected: True
    for out_features (o_proj, down_proj), False for in_features (q, k, v, gate, up, head).
    `peeked` holds values read from tensor bytes: the numbers of `weight_shape`, the JSON of a
    `quant_state`.
    """

    method: str | None = None
    bits: int | None = None
    group: int | None = None
    hidden: int | None = None
    faces_out: bool | None = None
    peeked: Mapping[str, object] = {}


class Packing(NamedTuple):
    """How one weight is stored, and what it is.

    `shape` is (out, in), for stacks (experts, out, in) or as stored; None where it is unknown.
    `numel` may be known without it. `group` counts weights along in that share a scale, or is a
    block's shape; None is one scale a tensor or channel. `weight` is the leaf that holds the
    values, `auxiliary` those that keep its books. `label` speaks of the shape, or of numel where
    there is no shape; `numel_label` speaks of numel, which may be surer: 2 x stored bytes.
    """

    scheme: str
    bits: int | None
    group: int | Shape | None
    shape: Shape | None
    numel: int | None
    weight: str
    auxiliary: frozenset[str] = frozenset()
    label: str = EXACT
    formula: str = ""
    problems: tuple[str, ...] = ()
    numel_label: str = ""


class Matrix(NamedTuple):
    """A shape as a stack of matrices; `lead` is what stands before rows and columns."""

    lead: Shape
    rows: int
    cols: int


class Bundle(NamedTuple):
    """The tensors of one weight, each under the name that it has beside a tensor `weight`.

    `own` gives back their real names: `gate_up_proj_scales` of a stack is `scales` here.
    """

    kinds: Mapping[str, Kind]
    own: Mapping[str, str]
    hints: Hints

    def shape(self, leaf: str) -> Shape | None:
        """The stored shape of a leaf, None where it is missing."""
        kind = self.kinds.get(leaf)
        return None if kind is None else kind.shape

    def matrix(self, leaf: str) -> Matrix | None:
        """The stored shape of a leaf that has rows and columns, all of them above 0."""
        shape = self.shape(leaf)
        if shape is None or len(shape) < 2 or not all(shape):
            return None
        return Matrix(shape[:-2], shape[-2], shape[-1])

    def dtype(self, leaf: str) -> str:
        """The name of a leaf's dtype, empty where it is missing."""
        kind = self.kinds.get(leaf)
        return "" if kind is None else kind.dtype.name

    def first(self, *leaves: str) -> str | None:
        """The first of these leaves that is there."""
        return next((leaf for leaf in leaves if leaf in self.kinds), None)

    def peeked(self, leaf: str) -> object:
        """What was read from a leaf's bytes, None where nothing was."""
        return self.hints.peeked.get(self.own.get(leaf, leaf))

    def shown(self, leaf: str) -> str:
        """A leaf as a message names it: `weight_scale (4096, 32)`."""
        return f"{self.own[leaf]} {self.kinds[leaf].shape}"

    def misfit(self, leaf: str, weight: str) -> str:
        """The problem of a leaf whose shape contradicts the weight's."""
        return f"{self.shown(leaf)} does not fit {self.shown(weight)}"


def ceil_div(count: int, parts: int) -> int:
    """The quotient of whole numbers, rounded up."""
    return -(-count // parts)


def numel_of(shape: Shape | None) -> int | None:
    """The elements of a shape, None where it is unknown."""
    return None if shape is None else math.prod(shape)


def stated_shape(value: object) -> Shape | None:
    """A shape that was read from bytes: alone, or as `shape` among other facts."""
    return peeked_shape(value.get("shape") if isinstance(value, Mapping) else value)


def peeked_shape(value: object) -> Shape | None:
    """A shape that was read from bytes; None for what can't be one."""
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= 8:
        return None
    if not all(type(dim) is int and dim > 0 for dim in value):
        return None
    return tuple(value)

"""`int4-g128`, `experts=mxfp4,attention=fp8`, `q4_k_m` -> which weights get which format."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ckptscan.errors import UsageError
from ckptscan.plan.inventory import Module
from ckptscan.plan.loading import ONLINE, group_of
from ckptscan.plan.sharding import STATES, out_and_in
from ckptscan.plan.whatif.formats import NAMES, Format, format_named, known_format, unknown_format

# what a person calls a group -> what the terms of a plan call it
GROUPS = {
    "attention": "attention",
    "linear-attention": "linear attention",
    "state-space": "state space",
    "ffn": "feed-forward",
    "shared-experts": "shared experts",
    "experts": "experts",
    "head": "lm_head",
    "embeddings": "embeddings",
}
_KEPT = ("lm_head", "embeddings")  # quantizers keep these unless told otherwise
_LEAST_STATE = 128  # narrower projections of linear attention (gates, decays) are kept
KEEP = "keep"


class Place(NamedTuple):
    """Where a weight stands: its layer of how many, -1 outside of layers; is it also the head."""

    layer: int = -1
    layers: int = 0
    is_head: bool = False


class Mix(NamedTuple):
    """A recipe of llama.cpp: one format for most, `better` for what matters more in a layer."""

    name: str
    main: str
    better: str
    is_better: Callable[[str, Place], bool]
    head: str = "q6_k"


def _more_bits(place: Place) -> bool:
    """llama.cpp's use_more_bits: the first and last eighth, and every third between."""
    index, layers = place.layer, place.layers
    eighth = layers // 8
    return index < eighth or index >= 7 * layers // 8 or (index - eighth) % 3 == 2


def _medium(role: str, place: Place) -> bool:
    return role in ("v", "down", "expert.down", "shared_expert.down") and _more_bits(place)


def _small(role: str, place: Place) -> bool:
    if role == "v":
        return place.layer < 4
    return role in ("down", "expert.down") and place.layer < place.layers // 8


def _never(role: str, place: Place) -> bool:
    return False


# llama.cpp llama-quant.cpp, llama_tensor_get_type; the rules of single architectures left out
MIXES = {
    "q4_k_m": Mix("q4_k_m", "q4_k", "q6_k", _medium),
    "q4_k_s": Mix("q4_k_s", "q4_k", "q5_k", _small),
    "q5_k_m": Mix("q5_k_m", "q5_k", "q6_k", _medium),
    "q5_k_s": Mix("q5_k_s", "q5_k", "q5_k", _never),
    "q6_k": Mix("q6_k", "q6_k", "q6_k", _never),
    "q8_0": Mix("q8_0", "q8_0", "q8_0", _never, "q8_0"),
    "q4_0": Mix("q4_0", "q4_0", "q4_0", _never),
    "q5_0": Mix("q5_0", "q5_0", "q5_0", _never),
}
ALL_NAMES = (*NAMES, *MIXES, KEEP)


class Recipe(NamedTuple):
    """A format for the linear layers, or a mix of them; others for single groups.

    A group that is named is quantized whatever its habit; KEEP leaves it as it is stored.
    """

    text: str
    default: str | None = None
    groups: tuple[tuple[str, str], ...] = ()

    @property
    def is_gguf(self) -> bool:
        """Whether the whole model becomes a GGUF file, tables and norms included."""
        return self.default in MIXES

    def format_of(self, module: Module, place: Place, hidden: int | None) -> Format | None:
        """The format that a module's weight gets; None where it is kept."""
        group = group_of(module)
        named = dict(self.groups).get(group)
        if named == KEEP or not _is_linear(module, hidden):
            return None
        name = named or self._usual(group)
        if name is None:
            return None
        if name in MIXES:
            return _of_mix(MIXES[name], module.role, place)
        return format_named(name)

    def _usual(self, group: str) -> str | None:
        is_kept = group in _KEPT and not self.is_gguf
        return None if is_kept or group not in GROUPS.values() else self.default


def _of_mix(mix: Mix, role: str, place: Place) -> Format:
    if role == "lm_head" or (role == "embedding" and place.is_head):
        return format_named(mix.head)
    is_better = place.layer >= 0 and mix.is_better(role, place)
    return format_named(mix.better if is_better else mix.main)


def _is_linear(module: Module, hidden: int | None) -> bool:
    """Whether it multiplies by a matrix of the language model."""
    sizes = out_and_in(module, hidden)
    if sizes is None or module.tower != "text":
        return False
    if module.role in STATES:
        is_convolution = "conv" in module.path.rpartition(".")[2]
        return not is_convolution and min(sizes) >= _LEAST_STATE
    return module.role in ONLINE or module.role in ("lm_head", "embedding")


def parse_recipe(text: str) -> Recipe:
    """The recipe of `--quantize`; raises UsageError for what is none."""
    default: str | None = None
    groups: dict[str, str] = {}
    for piece in text[:400].split(","):
        group, equals, name = (part.strip().lower() for part in piece.rpartition("="))
        if not equals:
            default = _checked(name)
            continue
        if group not in GROUPS:
            raise UsageError(
                f"no group is called {group[:40]!r}", f"there are: {', '.join(GROUPS)}"
            )
        groups[GROUPS[group]] = _checked(name)
    return Recipe(text[:400], default, tuple(sorted(groups.items())))


def _checked(name: str) -> str:
    if name == KEEP or name in MIXES:
        return name
    found = known_format(name)
    if found is None:
        raise unknown_format(name, ALL_NAMES)
    return found.name

"""What a module can know of the model around it: widths, counts, what config.json declares."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, cast

from ckptscan.config import Config
from ckptscan.late import Late
from ckptscan.structure.tree import End, Node

if TYPE_CHECKING:
    from ckptscan.structure.packing import Hints

# input_layernorm, ln_1, norm, ffn_norm, final_layer_norm; not q_norm, k_layernorm, kv_a_layernorm
_NORM = Late(r"(?i)norm|^ln_?|_ln$")
_INNER_NORM = Late(
    r"(?i)^(q|k|v|qk|query|key|value|q_a|kv_a|kv|norm_[qk]|norm_added_[qk])_?"
    r"(a_)?(layer_?)?(norm|ln)"
    r"|norm_(added_)?[qkv]$"
)
# roles of weights whose output, or input, is as wide as the residual stream
_TO_HIDDEN = frozenset({"o", "down", "expert.down", "shared_expert.down"})
_FROM_HIDDEN = frozenset(
    "q k v qkv kv q_a kv_a gate up gate_up expert.gate expert.up expert.gate_up "
    "shared_expert.gate shared_expert.up shared_expert.gate_up embedding lm_head".split()
)
_VISION = Late(r"(?i)vision|visual|image|\bvit\b|video")
_AUDIO = Late(r"(?i)audio|speech")
# block_sparse_moe.input_linear, moe.gate_proj, mlp.experts.gate_up_proj: stacks of experts
_MIXTURE = Late(r"(?i)experts?(_|$)|(^|_)moe(_|$)")
_TABLE = Late(r"^(embed_tokens|tok_embeddings|word_embeddings|wte|embed_in|shared)$")
EXPERTS = Late(r"(?i)experts?(_|$)")


class Scene(NamedTuple):
    """What is known at one place of the tree; None or empty for what is not."""

    config: Config
    hidden: int | None = None
    vocabulary: int | None = None
    experts: frozenset[int] = frozenset()

    def within(self, node: Node) -> Scene:
        """The scene inside a node: its own width and experts, where its norms and names tell."""
        return self._replace(
            hidden=hidden_size(node) or self.hidden,
            vocabulary=self.vocabulary or vocabulary_of(node),
            experts=expert_counts(node) or self.experts,
        )

    @property
    def norm(self) -> str | None:
        """The class of the norms that hold a weight alone, if config.json names its constant."""
        said = (self.config.said("rms_norm_eps", "norm_rms_eps", "rms_norm_epsilon"),)
        return "RMSNorm" if any(isinstance(value, float | int) for value in said) else None

    def hints(self, name: str, role: str) -> Hints:
        """What helps to unpack the module of this name, whose weight has this role by its name."""
        said = quantization_of(self.config, name)
        faces = role in _TO_HIDDEN if role in _TO_HIDDEN | _FROM_HIDDEN else None
        from ckptscan.structure.packing import Hints

        return Hints(
            method=_word(said, "quant_method", "quant_algo", "format", "quant_type"),
            bits=_count(said, "bits", "w_bit", "num_bits", "weight_bits", "nbits"),
            group=_count(said, "group_size", "q_group_size", "weight_block_size"),
            hidden=self.hidden,
            faces_out=faces,
        )


# a plan asks for each module many times: the patterns took a fifth of its time
@lru_cache(1 << 12)
def tower_of(path: str) -> str:
    """The tower that a path lies in, as configs name it: `vision`, `audio`, else `text`."""
    if _VISION.search(path):
        return "vision"
    return "audio" if _AUDIO.search(path) else "text"


def config_at(config: Config, path: str) -> Config:
    """What a config says of the part that a path lies in: under its own name, or its tower's."""
    own = config.part(path.rpartition("/")[2].partition(".")[0])
    return config.tower(tower_of(path)) if own is config else own


def quantization_of(config: Config, name: str) -> Mapping[str, object]:
    """What config says of the quantization of one module: its own entry, or the general one."""
    said = config.quantization
    own = said.get(name)
    if isinstance(own, dict):  # MLX: "model.embed_tokens": {"bits": 8, "group_size": 64}
        return _over(own, said)
    if len(config.weight_groups) == 1:
        return _over(config.weight_groups[0], said)
    return said


def _over(own: Mapping[str, object], said: Mapping[str, object]) -> Mapping[str, object]:
    """One mapping before the other; not a copy, as every packed module asks for it."""
    maps = cast("tuple[dict[str, object], ...]", (own, said))
    return ChainMap(*maps)


def _word(said: Mapping[str, object], *keys: str) -> str | None:
    for key in keys:
        value = said.get(key)
        if isinstance(value, str):
            return value.lower()
    if isinstance(said.get("bits"), int) and isinstance(said.get("group_size"), int):
        return "mlx" if "quant_method" not in said else None
    return None


def _count(said: Mapping[str, object], *keys: str) -> int | None:
    for key in keys:
        value = said.get(key)
        if type(value) is int and 0 < value < 1 << 31:
            return value
    return None


def hidden_size(node: Node) -> int | None:
    """The commonest width of the norms below a node that stand in the residual stream."""
    widths: Counter[int] = Counter()
    for segment, end in _ends(node):
        shape = end.family.shape
        if len(shape) == 1 and _NORM.search(segment) and not _INNER_NORM.search(segment):
            widths[shape[0]] += end.tensors
    best = max(widths.values(), default=0)
    return max((width for width, count in widths.items() if count == best), default=None)


def vocabulary_of(node: Node) -> int | None:
    """The rows of the largest table that is named as the input table of a language model."""
    rows = [
        end.family.shape[0]
        for segment, end in _ends(node)
        if len(end.family.shape) == 2 and _TABLE.match(segment)
    ]
    return max(rows, default=None)


def expert_counts(node: Node) -> frozenset[int]:
    """How many experts the containers below a node hold; a stack's first dimension counts too."""
    found: set[int] = set()
    waiting = [(node, "", False)]
    while waiting:
        above, inherited, is_mixture = waiting.pop()
        segment = above.label if above.repeat is None else inherited
        is_mixture = is_mixture or _MIXTURE.search(segment) is not None
        counted = sum(len(child.repeat) for child in above.children if child.repeat is not None)
        if counted and EXPERTS.search(segment):
            found.add(counted)
        for end in above.ends:
            if is_mixture and len(end.family.shape) == 3:
                found.add(end.family.shape[0])
        waiting += [(child, segment, is_mixture) for child in above.children]
    return frozenset(found)


def _ends(node: Node) -> Iterator[tuple[str, End]]:
    """All tensors below a node with the segment of the module that they belong to."""
    waiting = [(node, "")]
    while waiting:
        above, module = waiting.pop()
        for child in above.children:
            for end in child.ends:
                yield above.label if above.repeat is None else module, end
            waiting.append((child, above.label if above.repeat is None else module))

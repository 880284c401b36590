"""The figures of one stack's config as widths that shapes may have, each with its words.

A figure has several candidates where configs say it in several ways (`head_dim` and
`global_head_dim`, a width for each layer): any of them is as promised.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.config import Config
from ckptscan.late import Late
from ckptscan.names import is_index
from ckptscan.structure.expected import keys

if TYPE_CHECKING:
    from ckptscan.structure import Structure
    from ckptscan.structure.expected.stacks import Stack

_LARGEST = 1 << 31
_MOST = 64  # candidates of one figure
_HEAD_DIM = Late(r"(?:^|_)(?:head_dim|kv_channels|d_kv|head_size|attention_head_dim|head_width)$")
_NO_HEAD_DIM = Late(r"rope|nope|(?:^|_)v_|linear|index|mamba|ssm|rotary|conv|lightning|value")
_VALUE_DIM = Late(r"(?:^|_)(?:v_head_dim|value_head_dim|v_head_size)$")
_NO_VALUE_DIM = Late(r"linear|index|mamba|ssm|conv|lightning")
_HEADS = Late(r"(?:^|_)(?:num_attention_heads|n_heads?|num_heads|attention_heads)$")
_NO_HEADS = Late(r"kv|linear|index|mamba|ssm|lightning")
_KV_HEADS = Late(r"(?:^|_)(?:num_key_value_heads|n_kv_heads|num_kv_heads|n_head_kv|kv_n_heads"
                 r"|multi_query_group_num|num_attention_groups|num_query_groups)$")  # fmt: skip
_WIDTH = Late(
    r"(?:intermediate|ffn|inner|mlp|feed_?forward|ff)_?(?:hidden_)?(?:size|dim|width)?s?(?:_mlp)?$|^d_ff$"
    r"|^hidden_dim$|^ff_"
)
_SHARED = Late(r"shared.*(?:size|dim|width)$")
_EXPERT = Late(r"moe|expert")


class Dim(NamedTuple):
    """A length that a dimension may have, and where it is from: `hidden_size 4,096`."""

    value: int
    words: str


Dims = tuple[Dim, ...]


def one(value: int | None, key: str) -> Dims:
    """The candidate that a figure gives; none for an unknown one."""
    return (Dim(value, f"{key} {value:,}"),) if value is not None else ()


def times(*factors: Dims) -> Dims:
    """All products of candidates, one of each; none where one is unknown."""
    found: Dims = (Dim(1, ""),)
    for factor in factors:
        found = tuple(
            Dim(a.value * b.value, " x ".join(filter(None, (a.words, b.words))))
            for a in found[:_MOST]
            for b in factor[:_MOST]
        )
    return _distinct(found)


def scaled(number: int, dims: Dims) -> Dims:
    """Candidates so many times over."""
    return tuple(Dim(number * dim.value, f"{number} x {dim.words}") for dim in dims)


def plus(*parts: Dims) -> Dims:
    """All sums of candidates, one of each; none where one is unknown."""
    found: Dims = (Dim(0, ""),)
    for part in parts:
        found = tuple(
            Dim(a.value + b.value, " + ".join(filter(None, (a.words, b.words))))
            for a in found[:_MOST]
            for b in part[:_MOST]
        )
    return tuple(Dim(dim.value, f"({dim.words})") for dim in _distinct(found))


def _distinct(dims: Iterable[Dim]) -> Dims:
    found: dict[int, Dim] = {}
    for dim in dims:
        found.setdefault(dim.value, dim)
    return tuple(found.values())[:_MOST]


class Figures:
    """What the config of one stack says of widths and counts."""

    def __init__(
        self,
        config: Config,
        side: str = "",
        hidden: int | None = None,
        widths: Collection[int] = (),
    ) -> None:
        self.config = config
        self.side = side
        self.seen_hidden = hidden  # as attention has it
        self.seen_widths = widths  # as the feed-forward as a whole has it

    def first(self, *names: str) -> Dims:
        """The figure under the first of these keys that says one."""
        for name in names:
            value = self.config.number(name)
            if value is not None and value < _LARGEST:
                return one(value, name)
        return ()

    def every(self, pattern: Late, but: Late | None = None) -> Dims:
        """The figures under all keys that match, also those of a list with one for each layer."""
        return _distinct(self._matching(pattern, but))

    @cached_property
    def _entries(self) -> list[tuple[str, object]]:
        """All that the config says, and what it says of single layers by their number."""
        found = list(self.config.entries())
        for _, value in list(found):
            if isinstance(value, dict) and all(map(_is_number, value)):
                for own in list(value.values())[:1000]:
                    found += own.items() if isinstance(own, dict) else ()
        return found

    def _matching(self, pattern: Late, but: Late | None) -> Iterator[Dim]:
        for key, value in self._entries:
            if not pattern.search(key) or (but is not None and but.search(key)):
                continue
            values = value if isinstance(value, list) else [value]
            for number in dict.fromkeys(v for v in values[:10_000] if type(v) is int):
                if 0 < number < _LARGEST:
                    yield Dim(number, f"{key} {number:,}")

    @cached_property
    def hidden(self) -> Dims:
        """The width of the residual stream: the figure that the norms bear out, else the first."""
        said = [
            dim
            for key in (f"{self.side}_hidden_size", *keys.HIDDEN, "embed_dim", "encoder_dim")
            for dim in self.first(key)
        ]
        said += [
            Dim(number, f"{key} {number:,}")
            for key in keys.HIDDEN
            for number in self.config.numbers(key)
        ]
        fit = tuple(dim for dim in said if dim.value == self.seen_hidden)
        return fit[:1] or tuple(said[:1])

    @cached_property
    def all_hidden(self) -> Dims:
        """Every width that a residual stream of the model has: for what reads another's."""
        return _distinct((*self.hidden, *self.every(_ANY_HIDDEN)))

    @cached_property
    def heads(self) -> Dims:
        """Query heads."""
        own = self.first(*keys.SIDE_HEADS.get(self.side, ()))
        return own or self.every(_HEADS, _NO_HEADS)

    @cached_property
    def kv_heads(self) -> Dims:
        """Key and value heads; as many as query heads where nothing else is said."""
        if self.config.flag("multi_query") and not self.config.flag("new_decoder_architecture"):
            return (Dim(1, "1 KV head"),)
        said = self.every(_KV_HEADS)
        if self.config.flag("new_decoder_architecture") is False:
            said = ()  # Falcon: num_kv_heads says something else there
        return said or (*self.heads, *self._grouped())

    @cached_property
    def says_kv_heads(self) -> bool:
        """Whether the config itself tells how many heads keys have."""
        is_one = self.config.flag("multi_query") is not None
        return (
            is_one or bool(self.every(_KV_HEADS)) or self.config.said("block_configs") is not None
        )

    @property
    def says_widths(self) -> bool:
        """Whether the config itself tells the width of feed-forward layers."""
        return bool(self.every(_WIDTH))

    def _grouped(self) -> Iterator[Dim]:
        """DeciLM's blocks say how many queries share a key."""
        blocks = self.config.said("block_configs")
        for block in blocks[:1000] if isinstance(blocks, list) else ():
            attention = block.get("attention") if isinstance(block, dict) else None
            share = attention.get("n_heads_in_group") if isinstance(attention, dict) else None
            for heads in self.heads[:4]:
                if type(share) is int and share > 0 and heads.value % share == 0:
                    yield Dim(heads.value // share, f"{heads.words} / n_heads_in_group {share}")

    @cached_property
    def head_dim(self) -> Dims:
        """The width of a query or key head: as declared, else hidden / heads."""
        said = self.every(_HEAD_DIM, _NO_HEAD_DIM)
        return said or self._share_of_hidden

    @cached_property
    def _share_of_hidden(self) -> Dims:
        return _distinct(
            Dim(hidden.value // heads.value, f"({hidden.words} / {heads.words})")
            for hidden in self.hidden
            for heads in self.heads
            if hidden.value % heads.value == 0
        )

    @cached_property
    def value_dim(self) -> Dims:
        """The width of a value head."""
        return self.every(_VALUE_DIM, _NO_VALUE_DIM) or self.head_dim

    @cached_property
    def queries(self) -> Dims:
        """Rows of a query projection."""
        return times(self.heads, self.head_dim)

    @cached_property
    def keys(self) -> Dims:
        """Rows of a key projection."""
        return times(self.kv_heads, self.head_dim)

    @cached_property
    def values(self) -> Dims:
        """Rows of a value projection."""
        return times(self.kv_heads, self.value_dim)

    @cached_property
    def is_latent(self) -> bool:
        """Whether keys and values are made of one latent (DeepSeek-V2)."""
        return self.config.number("kv_lora_rank") is not None

    @cached_property
    def widths(self) -> Dims:
        """Widths of feed-forward layers, with what follows from them by a known relation."""
        own = self.first(f"{self.side}_ffn_dim", f"{self.side}_intermediate_size")
        said = (*own, *self.every(_WIDTH, _EXPERT))
        if not said:
            said = (*self.every(_WIDTH), *scaled(4, self.hidden))
        return _distinct((*said, *self._ratios(), *self._adjusted(said), *self._halved(said)))

    def _ratios(self) -> Iterator[Dim]:
        """`mlp_ratio` and its kin: times hidden."""
        for key in ("mlp_ratio", "ffn_ratio", "expansion_ratio", "mlp_expansion_factor"):
            ratio = self.config.said(key)
            if isinstance(ratio, float | int) and 0 < ratio < 1000:
                for hidden in self.all_hidden:
                    yield Dim(int(ratio * hidden.value), f"{key} {ratio} x {hidden.words}")

    def _adjusted(self, said: Dims) -> Iterator[Dim]:
        """Llama's 2/3 rule, DeciLM's multiples, LFM2's adjustment."""
        multiple = self.config.number("multiple_of", "block_multiple_of") or 256
        factor = self.config.said("ffn_dim_multiplier", "block_ffn_dim_multiplier")
        factors = [factor] if isinstance(factor, float | int) and 0 < factor < 100 else [1.0]
        is_rule = any(
            self.config.said(key) is not None
            for key in ("multiple_of", "block_auto_adjust_ff_dim", "ffn_dim_multiplier")
        )
        for base in (*scaled(4, self.hidden), *said) if is_rule else ():
            width = int(2 * base.value / 3)
            for number in factors:
                rows = _up(int(number * width), multiple)
                words = f"2/3 x {base.words}, up to a multiple of {multiple:,}"
                yield Dim(rows, words if number == 1.0 else f"{number} x {words}")
        blocks = self.config.said("block_configs")
        for block in blocks[:1000] if isinstance(blocks, list) else ():
            ffn = block.get("ffn") if isinstance(block, dict) else None
            ratio = ffn.get("ffn_mult") if isinstance(ffn, dict) else None
            if isinstance(ratio, float | int) and 0 < ratio < 100:
                for hidden in self.hidden:
                    rows = _up(int(2 * ratio * hidden.value / 3), 256)
                    yield Dim(rows, f"2/3 x ffn_mult {ratio} x {hidden.words}")

    def _halved(self, said: Dims) -> Iterator[Dim]:
        """Qwen-1 says the rows of gate and up together."""
        for dim in said:
            is_half = dim.value % 2 == 0 and dim.value // 2 in self.seen_widths
            if dim.words.startswith("intermediate_size") and is_half:
                yield Dim(dim.value // 2, f"{dim.words} / 2")

    @cached_property
    def expert_widths(self) -> Dims:
        """Widths of routed experts."""
        own = tuple(dim for dim in self.every(_WIDTH) if _EXPERT.search(dim.words))
        return own or self.widths

    @cached_property
    def shared_widths(self) -> Dims:
        """Widths of shared experts: their own, or so many times an expert's."""
        said = self.every(_SHARED)
        counts = self.first(*keys.SHARED_EXPERTS)
        made = times(counts, self.expert_widths)
        return _distinct((*said, *made, *self.expert_widths, *self.widths))

    @cached_property
    def experts(self) -> Dims:
        """Routed experts."""
        return self.first(*keys.EXPERTS)

    @cached_property
    def vocabulary(self) -> Dims:
        """Rows of the input table."""
        return self.first(*keys.VOCABULARY)


_ANY_HIDDEN = Late(r"(?:hidden_size|d_model|n_embd|embed_dim|model_dim|hidden_dim|_dim|^dim)$")


def figures_of(structure: Structure, stack: Stack) -> Figures:
    """The figures of a stack; its residual stream as wide as its attention has it."""
    widths = [one.hidden for one in structure.attention if one.container == stack.container]
    widths += [one.hidden for one in structure.feed_forward if one.container == stack.container]
    known = (width for width in widths if width is not None)
    feeds = {
        end.shape[-2]
        for (_, pattern, _), end in structure.meanings.items()
        if end.role.name in ("up", "gate") and end.shape is not None and len(end.shape) > 1
        if pattern.startswith(stack.container)
    }
    return Figures(stack.config, stack.side, next(known, None), feeds)


def _is_number(key: object) -> bool:
    return isinstance(key, str) and is_index(key)


def _up(number: int, multiple: int) -> int:
    return multiple * -(-number // multiple)

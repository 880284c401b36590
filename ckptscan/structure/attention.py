"""How each run of layers attends: heads, KV heads and head_dim, from shapes first.

What counts is the width that the output projection takes in, not what the query projection gives
out (Qwen3-Next's is doubled for a gate). Sizes of heads come from shapes where a tensor has one
(q_norm, sinks, MLA's closed form), then from config, each labelled so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ckptscan.config import Config
from ckptscan.names import IndexSet
from ckptscan.structure.layers import Layers
from ckptscan.structure.projections import Projections, read_projections
from ckptscan.structure.scene import config_at

Shape = tuple[int, ...]

_HEADS_KEYS = ("num_attention_heads", "n_heads", "n_head", "num_heads", "attention_heads")
_ENCODER_KEYS = ("encoder_attention_heads", "encoder_num_attention_heads")
_DECODER_KEYS = ("decoder_attention_heads", "decoder_num_attention_heads")
_KV_KEYS = (
    "num_key_value_heads",
    "n_kv_heads",
    "num_kv_heads",
    "multi_query_group_num",
    "n_head_kv",
)
_DIM_KEYS = ("head_dim", "attention_head_dim", "kv_channels", "d_kv", "head_size")


class Latent(NamedTuple):
    """Sizes of multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1)."""

    q_rank: int | None
    kv_rank: int
    nope: int
    rope: int
    v: int


class Attention(NamedTuple):
    """The attention of some layers of a container; what headers and config leave open is None.

    `kind` is MHA, GQA, MQA, MLA, linear, ssm or none. `ratio` is query heads for each KV head.
    `head_dim` is that of queries and keys, `v_head_dim` that of values. `label` tells how heads
    are known: exact, config, inferred; `how` in words. `beside` are kinds that stand in parallel
    in the same layers. `hidden` is the width of the residual stream. `is_mtp` marks layers that
    draft tokens.
    """

    container: str
    layers: IndexSet
    kind: str
    heads: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    v_head_dim: int | None = None
    ratio: int | None = None
    hidden: int | None = None
    latent: Latent | None = None
    label: str = "exact"
    how: str = ""
    declared: str = ""
    beside: tuple[str, ...] = ()
    is_mtp: bool = False

    @property
    def head_shapes(self) -> dict[str, Shape]:
        """The part of each projection that one head owns: W_Q (hidden, head_dim) and so on."""
        if self.hidden is None or self.head_dim is None or self.kind not in ("MHA", "GQA", "MQA"):
            return {}
        values = self.v_head_dim or self.head_dim
        return {
            "W_Q": (self.hidden, self.head_dim),
            "W_K": (self.hidden, self.head_dim),
            "W_V": (self.hidden, values),
            "W_O": (values, self.hidden),
        }


_NONE = Attention("", IndexSet(()), "none")


class _Widths(NamedTuple):
    """Widths of one attention module: what the projections give out, what the last takes in."""

    hidden: int
    q: int
    k: int
    v: int
    o: int


def find_attention(
    layers: Sequence[Layers], config_of: Callable[[str], Config]
) -> tuple[tuple[Attention, ...], tuple[str, ...]]:
    """The attention of every container whose layers attend, and what contradicts config.

    `config_of` gives the config of the component that a path begins with.
    """
    found: list[Attention] = []
    problems: dict[str, None] = {}
    seen: list[str] = []
    for one in layers:
        if any(one.container.startswith(f"{outer}.") for outer in seen):
            continue
        kinds = [(kind.indices, read_projections(kind.node)) for kind in one.kinds]
        if one.count < 1 or not any(group is not None for _, group in kinds):
            continue
        seen.append(one.container)
        facts = _Facts(config_of(one.container), one.container)
        for indices, group in kinds:
            attends = _attention(group, facts, problems) if group else _NONE
            found.append(attends._replace(container=one.container, layers=indices))
    return tuple(_merged(found)), tuple(problems)


def _merged(found: Iterable[Attention]) -> Iterator[Attention]:
    """Layers of one container that attend alike, as one."""
    alike: dict[object, list[Attention]] = {}
    for one in found:
        alike.setdefault(one._replace(layers=IndexSet(())), []).append(one)
    for same in alike.values():
        indices = (index for one in same for index in one.layers)
        yield same[0]._replace(layers=IndexSet.of(indices, same[0].layers.width))


class _Facts:
    """What config says of the heads of one container's tower."""

    def __init__(self, config: Config, container: str) -> None:
        tower = config_at(config, container)
        segments = container.replace("/", ".").split(".")
        self.side = next((side for side in ("decoder", "encoder") if side in segments), "")
        self.config = tower.section(f"{self.side}_config") or tower
        self.container = container

    @property
    def heads(self) -> int | None:
        """Query heads."""
        sides = (_ENCODER_KEYS, _DECODER_KEYS)
        if self.side == "decoder":
            sides = (_DECODER_KEYS, _ENCODER_KEYS)
        first = sides[0] if self.side else ()
        return self.config.number(*first, *_HEADS_KEYS, *sides[0], *sides[1])

    @property
    def kv_heads(self) -> int | None:
        """Key and value heads."""
        return self.config.number(*_KV_KEYS)

    @property
    def head_dim(self) -> int | None:
        """Width of a head, where it is declared by itself."""
        return self.config.number(*_DIM_KEYS)


def _attention(group: Projections, facts: _Facts, problems: dict[str, None]) -> Attention:
    """The attention that these projections make."""
    empty = IndexSet(())
    if not group.weights:
        return Attention("", empty, group.states[0], beside=group.states[1:])
    if "kv_b" in group.weights and "kv_a" in group.weights:
        return _latent(group.weights)._replace(beside=group.states)
    widths = _shared_heads(group) or _widths(group.weights)
    if widths is None:
        return Attention("", empty, group.states[0] if group.states else "none", label="inferred")
    return _heads(widths, group, facts, problems)._replace(beside=group.states)


def _shared_heads(group: Projections) -> _Widths | None:
    """The widths where one head is key and value of all queries, as many as there are sinks."""
    q = group.weights.get("q_b") or group.weights.get("q")
    kv, sinks = group.weights.get("kv"), group.sinks
    if q is None or kv is None or not sinks or q[0] != sinks * kv[0]:
        return None
    return _Widths(kv[1], q[0], kv[0], kv[0], q[0])


def _widths(weights: Mapping[str, Shape]) -> _Widths | None:
    """The widths of queries, keys and values, whether they are stored apart or fused.

    Fused, keys and values share what the queries leave: (qkv - o) / 2, with queries as wide as the
    output projection takes in.
    """
    o = weights.get("o")
    if "q" in weights and "k" in weights:
        q, k = weights["q"], weights["k"]
        v = weights.get("v", k)
        return _Widths(q[1], q[0], k[0], v[0], o[1] if o else q[0])
    if "qkv" in weights:
        whole, hidden = weights["qkv"]
        taken = o[1] if o else whole // 3
        left = whole - taken
        if left <= 0 or left % 2:
            return None
        return _Widths(hidden, taken, left // 2, left // 2, taken)
    if "q" in weights and "kv" in weights:
        q, kv = weights["q"], weights["kv"]
        return _Widths(q[1], q[0], kv[0] // 2, kv[0] // 2, o[1] if o else q[0])
    return None


def _latent(weights: Mapping[str, Shape]) -> Attention:
    """Multi-head latent attention: all sizes follow from four shapes.

    rope = kv_a out - kv rank; heads = (q out - (kv_b out - o in)) / rope;
    nope = (kv_b out - o in) / heads; v = o in / heads.
    """
    empty = IndexSet(())
    q = weights.get("q_b") or weights.get("q")
    o = weights.get("o")
    kv_a, kv_b = weights["kv_a"], weights["kv_b"]
    rope = kv_a[0] - kv_b[1]
    if q is None or o is None or rope <= 0:
        return Attention("", empty, "MLA", label="inferred")
    keys = kv_b[0] - o[1]
    heads, rest = divmod(q[0] - keys, rope)
    if rest or heads <= 0 or keys % heads or o[1] % heads:
        return Attention("", empty, "MLA", label="inferred")
    q_rank = weights["q_b"][1] if "q_b" in weights else None
    latent = Latent(q_rank, kv_b[1], keys // heads, rope, o[1] // heads)
    return Attention(
        "",
        empty,
        "MLA",
        heads,
        heads,
        latent.nope + rope,
        latent.v,
        1,
        kv_a[1],
        latent,
        "exact",
        f"({q[0]:,} - ({kv_b[0]:,} - {o[1]:,})) / {rope} = {heads} heads",
    )


class _Size(NamedTuple):
    """The width of one query and key head, and how it is known."""

    dim: int
    label: str
    how: str


def _heads(
    widths: _Widths, group: Projections, facts: _Facts, problems: dict[str, None]
) -> Attention:
    """Heads of attention with keys and values of its own widths."""
    empty = IndexSet(())
    ratio, rest = divmod(widths.o, widths.v) if widths.v else (0, 1)
    size = next((one for one in _sizes(widths, group, facts) if _is_possible(one, widths)), None)
    if size is None:
        kind = "MHA" if (ratio, rest) == (1, 0) else "GQA"
        known = ratio if ratio and not rest else None
        return Attention("", empty, kind, ratio=known, hidden=widths.hidden, label="inferred",
                         how=f"{widths.o:,} / {widths.v:,}; head_dim unknown")  # fmt: skip
    kv_heads = widths.k // size.dim
    v_dim = widths.v // kv_heads
    heads = widths.o // v_dim
    kind = "MQA" if kv_heads == 1 and heads > 1 else "MHA" if heads == kv_heads else "GQA"
    declared = _against(facts, heads, kv_heads)
    if declared:
        problems[f"{facts.container}: {declared}"] = None
    return Attention(
        "", empty, kind, heads, kv_heads, size.dim, v_dim, heads // kv_heads, widths.hidden, None,
        size.label, size.how, declared,
    )  # fmt: skip


def _against(facts: _Facts, heads: int, kv_heads: int) -> str:
    """What config declares otherwise than the shapes have it."""
    said = []
    if facts.heads is not None and facts.heads != heads:
        said.append(f"config declares {facts.heads} heads, shapes have {heads}")
    if facts.kv_heads is not None and facts.kv_heads != kv_heads:
        said.append(f"config declares {facts.kv_heads} KV heads, shapes have {kv_heads}")
    return "; ".join(said)


def _sizes(widths: _Widths, group: Projections, facts: _Facts) -> Iterator[_Size]:
    """Candidates for the width of a head, the surest first."""
    if group.norms and not {widths.q, widths.o} & set(group.norms):
        norm = min(group.norms)  # as wide as one head, unless it is as wide as all of them
        yield _Size(norm, "exact", f"q_norm and k_norm have {norm}")
    if group.sinks and widths.o % group.sinks == 0:
        dim = widths.o // group.sinks
        yield _Size(dim, "exact", f"{group.sinks} sinks: {widths.o:,} / {group.sinks} = {dim}")
    if facts.head_dim is not None:
        yield _Size(facts.head_dim, "config", f"head_dim {facts.head_dim}")
    if facts.heads is not None and widths.o % facts.heads == 0:
        dim = widths.o // facts.heads
        yield _Size(dim, "config", f"{widths.o:,} / {facts.heads} heads = {dim}")
    if group.frequencies:
        dim = 2 * group.frequencies
        yield _Size(dim, "inferred", f"2 x {group.frequencies} rotary frequencies")


def _is_possible(size: _Size, widths: _Widths) -> bool:
    """Whether whole numbers of heads come out."""
    if size.dim <= 0 or widths.k < size.dim or widths.k % size.dim:
        return False
    kv_heads = widths.k // size.dim
    if widths.v % kv_heads or widths.q % size.dim:
        return False
    v_dim = widths.v // kv_heads
    return 0 < v_dim <= widths.o and widths.o % v_dim == 0 and (widths.o // v_dim) % kv_heads == 0

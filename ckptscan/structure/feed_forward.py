"""Feed-forward layers: their width, whether they are gated, and the rule that the width follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ckptscan.config import Config
from ckptscan.names import IndexSet
from ckptscan.structure.layers import Layers
from ckptscan.structure.tree import Node

Shape = tuple[int, ...]

# multiple_of and ffn_dim_multiplier of the Llama models (params.json of their releases)
_KNOWN_RULES = ((256, None), (1024, 1.3), (4096, 1.3), (4096, 1.2), (256, 1.5), (256, 1.4))


class FeedForward(NamedTuple):
    """The feed-forward of some layers of a container: `hidden` -> `width` -> `hidden`.

    `experts` is the number of routed experts of that width, 0 for a dense one; `shared` the width
    of the shared expert, 0 without. `rule` tells how the width follows from `hidden`, where a
    known rule gives it exactly, and `label` where the constants of the rule are from.
    """

    container: str
    layers: IndexSet
    hidden: int
    width: int
    is_gated: bool
    experts: int = 0
    shared: int = 0
    rule: str = ""
    label: str = "exact"


class _Key(NamedTuple):
    """What layers of one container have in common."""

    container: str
    hidden: int
    width: int
    is_gated: bool
    experts: int
    shared: int


def find_feed_forward(
    layers: Sequence[Layers], config_of: Callable[[str], Config]
) -> tuple[FeedForward, ...]:
    """The feed-forward of every container of layers that have one."""
    found: dict[_Key, list[IndexSet]] = {}
    seen: list[str] = []
    for one in layers:
        if any(one.container.startswith(f"{outer}.") for outer in seen):
            continue
        for kind in one.kinds:
            for key in _of_layer(kind.node, one.container):
                found.setdefault(key, []).append(kind.indices)
                seen.append(one.container)
    return tuple(
        _made(key, IndexSet.of(i for group in indices for i in group), config_of(key.container))
        for key, indices in found.items()
    )


def _made(key: _Key, indices: IndexSet, config: Config) -> FeedForward:
    rule, label = ("", "exact") if key.experts else ffn_rule(key.hidden, key.width, config)
    return FeedForward(layers=indices, rule=rule, label=label, **key._asdict())


def _of_layer(layer: Node, container: str) -> Iterator[_Key]:
    """The feed-forward of a layer: that of its experts where it has some; nothing without."""
    shapes, experts = _shapes(layer)
    shared = _width(shapes, "shared_expert.")
    for prefix in ("expert.", ""):
        width = _width(shapes, prefix)
        if width:
            is_gated = bool({f"{prefix}gate", f"{prefix}gate_up"} & shapes.keys())
            beside = shared[1] if shared else 0
            rows = shapes.get("router", (0,))[0]
            if prefix and 0 < rows < experts == width[1] and experts % rows == 0:
                experts, width = rows, (width[0], width[1] // rows)  # DBRX: one below the other
            yield _Key(container, *width, is_gated, experts if prefix else 0, beside)
            return


def _shapes(layer: Node) -> tuple[dict[str, Shape], int]:
    """The shapes of a layer's weights by role, out x in; and how many routed experts it has."""
    shapes: dict[str, Shape] = {}
    experts = 0
    waiting = [(layer, 0, False)]
    while waiting:
        node, counted, is_conv1d = waiting.pop()
        for end in node.ends:
            role, shape = end.role.name, end.shape or ()
            if node.label.endswith("bias") or len(shape) < 2:
                continue
            if role.startswith("expert.") and "attention" in node.path[len(layer.path) :]:
                continue  # JetMoE's heads are experts too
            if role.startswith("expert."):
                experts = max(experts, counted or shape[0])
            shapes.setdefault(role, shape[::-1] if is_conv1d else shape)
        numbered = [child.repeat for child in node.children if child.repeat is not None]
        inner = sum(map(len, numbered)) if numbered and node is not layer else counted
        for child in node.children:
            of_child = inner if child.repeat is not None else counted
            is_transposed = child.kind is not None and child.kind.name == "Conv1D"
            waiting.append((child, of_child, is_conv1d if child.ends else is_transposed))
    return shapes, experts


def _width(shapes: dict[str, Shape], prefix: str) -> tuple[int, int] | None:
    """Hidden and width, from the down projection or what goes up."""
    up = shapes.get(f"{prefix}up") or shapes.get(f"{prefix}gate")
    down = shapes.get(f"{prefix}down")
    if down and up and down[-2:] == up[-2:][::-1]:
        return down[-2], down[-1]
    if down and up:
        return min(down[-2:]), max(down[-2:])
    if down:
        fused = shapes.get(f"{prefix}gate_up")
        if fused and 2 * down[-2] in fused[-2:] and down[-1] in fused[-2:]:
            return down[-1], down[-2]  # stored [in, out]
        return down[-2], down[-1]
    return (up[-1], up[-2]) if up else None


def ffn_rule(hidden: int, width: int, config: Config) -> tuple[str, str]:
    """How a width follows from the hidden size, and the label of the rule's constants; or "".

    Llama's: int(2/3 x 4 x dim), times ffn_dim_multiplier, rounded up to multiple_of (llama
    model.py, FeedForward.__init__). Transformers since 2017: 4 x dim (arXiv 1706.03762).
    """
    multiple, factor = config.number("multiple_of"), config.said("ffn_dim_multiplier")
    factor = factor if isinstance(factor, float) and 0 < factor < 100 else None
    if multiple is not None and _llama(hidden, multiple, factor) == width:
        return _words(hidden, width, multiple, factor), "config"
    if width == 4 * hidden:
        return f"4 x {hidden:,} = {width:,}", "inferred"
    for multiple, factor in _KNOWN_RULES:
        if _llama(hidden, multiple, factor) == width:
            return _words(hidden, width, multiple, factor), "inferred"
    return "", "exact"


def _llama(hidden: int, multiple: int, factor: float | None) -> int:
    width = int(2 * 4 * hidden / 3)
    if factor is not None:
        width = int(factor * width)
    return multiple * ((width + multiple - 1) // multiple)


def _words(hidden: int, width: int, multiple: int, factor: float | None) -> str:
    times = f"{factor} x " if factor is not None else ""
    return f"{times}2/3 x 4 x {hidden:,}, up to a multiple of {multiple:,} = {width:,}"

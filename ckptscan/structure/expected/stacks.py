"""The stacks of layers that configs speak of: each tower's, each side's, with its config."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.config import Config
from ckptscan.names import IndexSet
from ckptscan.structure.scene import config_at, tower_of

if TYPE_CHECKING:
    from ckptscan.structure import Node, Structure

# classes of language models whose config speaks of one stack of layers
CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


class Stack(NamedTuple):
    """A container of layers: `tower` it lies in, `side` of an encoder-decoder, config of it."""

    path: str
    tower: str
    side: str
    indices: IndexSet
    kinds: tuple[Node, ...]
    config: Config
    nbytes: int

    @property
    def container(self) -> str:
        """The path without its star."""
        return self.path.removesuffix("*").removesuffix(".")


def largest_stacks(structure: Structure) -> list[Stack]:
    """The largest stack of layers of each tower and side, without what drafts tokens."""
    best: dict[tuple[str, str, str], Stack] = {}
    for stack in layer_stacks(structure):
        component = stack.path.partition("/")[0] if structure.checkpoint.configs else ""
        key = component, stack.tower, stack.side
        if key not in best or stack.nbytes > best[key].nbytes:
            best[key] = stack
    return list(best.values())


def layer_stacks(structure: Structure) -> Iterator[Stack]:
    """All stacks of layers that attend or feed forward, but for those within another."""
    attends = {one.container for one in structure.attention if one.kind != "none"}
    feeds = {one.container for one in structure.feed_forward}
    for one in structure.layers:
        if one.within or one.container not in attends | feeds:
            continue
        segments = one.container.replace("/", ".").split(".")
        side = next((side for side in ("decoder", "encoder") if side in segments), "")
        tower = tower_of(one.container)
        whole = structure.checkpoint.config_of(one.container.partition("/")[0])
        config = config_at(whole, one.container)
        indices = IndexSet.of(index for kind in one.kinds for index in kind.indices)
        nodes = tuple(kind.node for kind in one.kinds)
        yield Stack(nodes[0].path, tower, side, indices, nodes, config, one.nbytes)


def is_causal(config: Config) -> bool:
    """Whether the config is that of a language model: its class, or Meta's params.json."""
    name = config.architecture
    return name.endswith(CAUSAL) if name else "params.json" in config.documents


def main_of(stacks: Sequence[Stack]) -> list[Stack]:
    """The stacks of text that a config speaks of: the largest; of an encoder-decoder both sides.

    An encoder is not meant where the config has a section for what it encodes, or for itself.
    """
    text = [stack for stack in stacks if stack.tower == "text"]
    if not text:
        return []
    largest = max(text, key=lambda stack: stack.nbytes)
    config = largest.config
    if not config.flag("is_encoder_decoder"):
        return [largest]
    towers = ("vision_config", "audio_config", "encoder_config")
    has_own = any(config.section(key) is not None for key in towers)
    return [stack for stack in text if stack.side and not (has_own and stack.side == "encoder")]

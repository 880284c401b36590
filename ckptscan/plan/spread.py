"""A model in layers over cards and the host: what lies where by llama.cpp's rule.

Source: llama-model.cpp, load_tensors: the last `-ngl` of layers and output go to the cards, shared
out by the cumulated shares of --tensor-split; the input table stays on the host.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from ckptscan.errors import UsageError
from ckptscan.hardware import Devices
from ckptscan.plan.values import Parallel

SPREADING = ("llama.cpp", "transformers")  # families that cut by layers and run on Apples
HOST = -1
MAX_CARDS = 1024


def family_of(engine: str) -> str:
    """The engine without its version: vllm-0.11 -> vllm."""
    return engine.partition("-")[0]


def spreads(engine: str) -> bool:
    """Whether an engine lays whole layers on cards and the host, rather than cutting tensors."""
    return family_of(engine) in SPREADING


def cards_of(engine: str, devices: Devices, parallel: Parallel) -> int:
    """Cards that such an engine spreads over: all that are there, or as many as were said."""
    if parallel.dp > 1 or parallel.ep > 1:
        raise UsageError(
            f"{engine} has no --dp and no --ep", "it spreads layers over the cards: --gpu 2xrtx4090"
        )
    said = parallel.tp * parallel.pp
    count = said if said > 1 else devices.count or 1
    if count > min(MAX_CARDS, devices.count or MAX_CARDS):
        raise UsageError(f"{count:,} cards are not there", "say --gpu 8xh200, or split less")
    return count


class Spread(NamedTuple):
    """The card of each layer, HOST for the host's; that of the output stands after the last."""

    cards: tuple[int, ...]
    output: int

    def layers_of(self, card: int) -> list[int]:
        """The places of the layers that lie on a card."""
        return [place for place, holder in enumerate(self.cards) if holder == card]


def spread(layers: int, on_cards: int | None, shares: Sequence[float]) -> Spread:
    """Where each layer and the output lie; `on_cards` is -ngl, None is all."""
    wanted = layers + 1 if on_cards is None else min(on_cards, layers + 1)
    first = layers + 1 - wanted
    total = sum(shares) or 1.0
    ends = [reached / total for reached in accumulate(shares)]
    last = len(ends) - 1

    def card(place: int) -> int:
        if place < first:
            return HOST
        return min(last, bisect_right(ends, (place - first) / wanted))

    return Spread(tuple(card(place) for place in range(layers)), card(layers))

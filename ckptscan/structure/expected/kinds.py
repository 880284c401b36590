"""Which layers are of one kind, as config.json tells: lists and steps over the layers.

No table of models: any list with an entry for each layer, any list of layer numbers, any number
that counts layers or steps from one to the next may be what tells kinds of layers apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property

from ckptscan.config import Config
from ckptscan.late import Late
from ckptscan.structure.layout import describe

# first_k_dense_replace, decoder_sparse_step, full_attention_interval, num_kv_shared_layers
_STEP = Late(
    r"(?i)layer|freq|step|interval|period|every|dense|sparse|offset|stride|skip|pattern|replace"
    r"|block|_start|_end"
)
_MOST_LISTS = 32
_MOST_STEPS = 16
_LONGEST_CYCLE = 16
_MOST_ENTRIES = 20_000  # of all the lists of one config


class Kinds:
    """The kinds of the layers 0 to `count` - 1 of one stack, by what its config says."""

    def __init__(self, config: Config, count: int) -> None:
        self.config = config
        self.count = count

    @cached_property
    def labels(self) -> tuple[tuple[str, ...], ...]:
        """For each layer what the lists of the config say of it."""
        lists: list[tuple[str, ...]] = []
        read = 0
        for key, value in self.config.entries():
            if len(lists) == _MOST_LISTS or read > _MOST_ENTRIES:
                break
            is_pattern = isinstance(value, list) or "pattern" in key
            labels = _of_list(value, self.count) if is_pattern else None
            if labels is not None and len(set(labels)) > 1:
                lists.append(labels)
                read += self.count
        return tuple(zip(*lists, strict=True)) if lists else ((),) * self.count

    @property
    def are_told(self) -> bool:
        """Whether the config tells kinds of layers apart at all."""
        return any(self.labels) or bool(self._steps)

    def classes(self, layers: Iterable[int]) -> dict[tuple[str, ...], list[int]]:
        """These layers by their labels, in order; layers beyond the count are left out."""
        found: dict[tuple[str, ...], list[int]] = {}
        for layer in sorted(layers):
            if 0 <= layer < self.count:
                found.setdefault(self.labels[layer], []).append(layer)
        return found

    @cached_property
    def _steps(self) -> tuple[int, ...]:
        found: dict[int, None] = {}
        for key, value in self.config.entries():
            if type(value) is int and 0 < value < self.count and _STEP.search(key):
                found[value] = None
        return tuple(found)[:_MOST_STEPS]

    def explains(self, some: frozenset[int], among: frozenset[int]) -> bool:
        """Whether a number of the config tells these of some layers from the others.

        The first or last n of them, every nth from a start, or both.
        """
        if self.steps_tell(some, among) or self.steps_tell(among - some, among):
            return True
        return _is_by_label(some, among, self.labels)

    def steps_tell(self, some: frozenset[int], among: frozenset[int]) -> bool:
        """Whether the layers are the first or last n, or every nth from a start."""
        starts = {0, *self._steps, *(self.count - step for step in self._steps)}
        for start in starts:
            later = frozenset(layer for layer in among if layer >= start)
            if some == later:
                return True
            for step in self._steps:
                rest = {layer % step for layer in some}
                shifted = {(layer - start) % step for layer in some}
                if len(rest) == 1 and some == {x for x in later if x % step in rest}:
                    return True
                if len(shifted) == 1 and some == {x for x in later if (x - start) % step in shifted}:
                    return True
        return False


def _is_by_label(
    some: frozenset[int], among: frozenset[int], labels: tuple[tuple[str, ...], ...]
) -> bool:
    """Whether no two layers of the same labels are told apart."""
    own = {labels[layer] for layer in some}
    other = {labels[layer] for layer in among - some}
    return bool(own) and bool(other) and not own & other


def _of_list(value: object, count: int) -> tuple[str, ...] | None:
    """What a list says of each layer, None where it does not speak of layers."""
    if not isinstance(value, list | str):
        return None
    if len(value) == count and count > 1:
        return tuple(map(_word, value))
    if not value or len(value) > count:
        return None
    if isinstance(value, list) and all(type(one) is int and 0 <= one < count for one in value):
        numbers = [one for one in value if isinstance(one, int)]
        is_rising = all(a < b for a, b in zip(numbers, numbers[1:], strict=False))
        return tuple(str(layer in set(numbers)) for layer in range(count)) if is_rising else None
    words = isinstance(value, list) and all(isinstance(one, str) for one in value)
    if words and 1 < len(value) <= _LONGEST_CYCLE and len(set(map(str, value))) > 1:
        return tuple(str(value[layer % len(value)]) for layer in range(count))
    return None


def _word(one: object) -> str:
    """An entry as a word; lists and objects as the JSON they are."""
    if isinstance(one, dict | list):
        try:
            return json.dumps(one, sort_keys=True)[:1000]
        except (ValueError, RecursionError):
            return "odd"
    return str(one)[:1000]


def is_regular(some: frozenset[int], among: Iterable[int]) -> bool:
    """Whether these layers stand in some order among the others: a run at an end, or a period."""
    row = ["A" if layer in some else "B" for layer in sorted(among)]
    runs = describe(row)
    return len(runs) < 3 and sum(len(run.letters) for run in runs) * 2 <= max(len(row), 4)


"""Which layers are of one kind, as config.json tells: lists and steps over the layers.

No table of models: any list with an entry for each layer, any list of layer numbers, any number
that counts layers or steps from one to the next may be what tells kinds of layers apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import pairwise

from ckptscan.config import Config
from ckptscan.late import Late
from ckptscan.names import is_index
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
    """The kinds of `count` layers of one stack from index `first`, by what its config says."""

    def __init__(self, config: Config, count: int, first: int = 0) -> None:
        self.config = config
        self.count = count
        self.first = first

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
            if isinstance(value, dict):
                labels = _of_numbers(value, self.count)
            if labels is not None and len(set(labels)) > 1:
                lists.append(labels)
                read += self.count
        return tuple(zip(*lists, strict=True)) if lists else ((),) * self.count

    def classes(self, layers: Iterable[int]) -> list[frozenset[int]]:
        """These layers by what the lists say of them; those beyond the count are left out."""
        found: dict[tuple[str, ...], list[int]] = {}
        for layer in sorted(layers):
            if 0 <= layer - self.first < self.count:
                found.setdefault(self.labels[layer - self.first], []).append(layer)
        return list(map(frozenset, found.values()))

    @cached_property
    def _steps(self) -> tuple[int, ...]:
        found: dict[int, None] = {}
        for key, value in self.config.entries():
            if type(value) is int and 0 < value < self.count and _STEP.search(key):
                found[value] = None
        return tuple(found)[:_MOST_STEPS]

    def explains(self, some: frozenset[int], among: frozenset[int]) -> bool:
        """Whether what the config says tells these of some layers from the others.

        Their entries in a list, the first or last n of them, every nth from a start, or both.
        """
        own = frozenset(layer - self.first for layer in some)
        whole = frozenset(layer - self.first for layer in among)
        if max(whole, default=0) >= self.count or min(whole, default=0) < 0:
            return False
        mine = {self.labels[layer] for layer in own}
        if not mine & {self.labels[layer] for layer in whole - own}:
            return True
        return self._steps_tell(own, whole) or self._steps_tell(whole - own, whole)

    def _steps_tell(self, some: frozenset[int], among: frozenset[int]) -> bool:
        for start in {0, *self._steps, *(self.count - step for step in self._steps)}:
            later = {layer for layer in among if layer >= start}
            if some == later:
                return True
            for step in self._steps:
                rest = {layer % step for layer in some}
                if len(rest) == 1 and some == {one for one in later if one % step in rest}:
                    return True
        return False


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
        is_rising = all(a < b for a, b in pairwise(numbers))
        return tuple(str(layer in set(numbers)) for layer in range(count)) if is_rising else None
    words = isinstance(value, list) and all(isinstance(one, str) for one in value)
    if words and 1 < len(value) <= _LONGEST_CYCLE and len(set(map(str, value))) > 1:
        return tuple(str(value[layer % len(value)]) for layer in range(count))
    return None


def _of_numbers(value: Mapping[object, object], count: int) -> tuple[str, ...] | None:
    """What an object whose keys are layer numbers says of each layer: `{"05": {...}}`."""
    if (
        not value
        or len(value) > count
        or not all(isinstance(k, str) and is_index(k) for k in value)
    ):
        return None
    said = {int(str(key)): _word(own) for key, own in value.items()}
    return tuple(said.get(layer, "") for layer in range(count))


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


def is_by_design(few: frozenset[int], among: Iterable[int], is_needed: bool) -> bool:
    """Whether these layers lack something by design, though no figure says so.

    They come in a period; or it is the first one, and nothing that a block needs. A run of them at
    an end is what a cut file leaves.
    """
    row = sorted(among)
    is_first, is_last = set(row[: len(few)]) == few, set(row[-len(few) :]) == few
    if is_first or is_last:
        return is_first and len(few) == 1 and not is_needed
    return is_regular(few, row)

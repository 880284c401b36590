"""What is said of a module's class, and what it is said from: its name, its surroundings.

The rules themselves live beside, in classes, matrices, norms, convolutions and stacks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

Shape = tuple[int, ...]
Leaves = Mapping[str, Shape]

WEIGHTS = (
    "weight",
    "weight_v",  # torch.nn.utils.weight_norm
    "weight_orig",  # torch.nn.utils.spectral_norm
    "parametrizations.weight.original1",  # torch.nn.utils.parametrizations.weight_norm
    "parametrizations.weight.original",  # torch.nn.utils.parametrizations.spectral_norm
)
# parts of a module of torch's own, a norm's of its weight among them
OWN = ("weight", "bias", "parametrizations.")
# relPosBias, rel_pos_bias2 -> rel pos bias; MLPHead -> mlp head
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# how much of a path can tell anything; names and containers may be of any size
MAX_SEGMENTS = 8
MAX_SEGMENT = 200
MAX_SIBLINGS = 256


class ModuleClass(NamedTuple):
    """A class and its arguments as `print(model)` writes them.

    `label` says what decided: `exact` shapes alone, `inferred` the name or the modules beside,
    `config` a fact of config.json, `assumed` nothing but what is usual.
    """

    name: str
    arguments: str
    label: str


class Around(NamedTuple):
    """What a module can know of its surroundings.

    `siblings` are the modules in the same parent, by name; one without tensors of its own, such
    as `experts`, has an empty mapping. `norm` is the class of the model's norms without bias.
    """

    siblings: Mapping[str, Leaves] = {}
    norm: str | None = None

    def beside(self) -> Iterator[tuple[str, Leaves]]:
        """The first siblings, as many as can tell anything."""
        return islice(self.siblings.items(), MAX_SIBLINGS)


class Name(NamedTuple):
    """The words of a module's name: its own, its parent's, and those of the last three together.

    Indices name nothing: of `proj.0` the own words are those of `proj`. `segment` is the last one
    as written. `is_repeated` says that the module lies in a numbered container.
    """

    segment: str
    own: tuple[str, ...]
    parent: tuple[str, ...]
    near: tuple[str, ...]
    is_repeated: bool

    @classmethod
    def of(cls, path: Sequence[str]) -> Name:
        """The name of the module at this path."""
        last = path[-MAX_SEGMENTS:]
        named = [found for segment in last if (found := words(segment))]
        own, parent, before = [*named[::-1], (), (), ()][:3]
        segment = path[-1] if path else ""
        return cls(segment, own, parent, (*before, *parent, *own), "*" in last)

    def has(self, *wanted: str) -> bool:
        """Whether one of these is among its own words."""
        return any(word in wanted for word in self.own)


def words(segment: str) -> tuple[str, ...]:
    """The words of a segment in lower case, without digits."""
    return tuple(word.lower() for word in WORD.findall(segment[-MAX_SEGMENT:]))


def weight_of(leaves: Leaves) -> Shape | None:
    """The shape of a module's weight, also where a weight norm keeps it in two parts."""
    for leaf in WEIGHTS:
        if leaf in leaves:
            return leaves[leaf]
    return None


def is_container(leaves: Leaves, weight: Shape) -> bool:
    """Whether a module holds matrices beside its weight, as none of torch's own does."""
    return any(
        len(shape) > 1 and min(shape) > 1 and shape != weight and not leaf.startswith(OWN)
        for leaf, shape in leaves.items()
    )

"""The modules of a base model by their paths, as an adapter may name them; judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ckptscan.checks.evidence.packed import STACKED, WEIGHTS
from ckptscan.checks.evidence.siblings import EXPERTS
from ckptscan.names import fill, split_stars
from ckptscan.structure import End, Structure
from ckptscan.structure.scene import tower_of
from ckptscan.structure.wrappers import unwrap

Shape = tuple[int, ...]
_LEAVES = (*sorted(WEIGHTS, key=len, reverse=True), "bias")


class Weight(NamedTuple):
    """A weight of a module: its logical shape, None where headers do not tell it.

    `is_turned` is whether it is stored (in, out), None where that is not known.
    """

    leaf: str
    shape: Shape | None
    role: str
    is_turned: bool | None


class Base(NamedTuple):
    """The modules of a model by path, and the patterns of their paths.

    The modules of a pipeline's components stand under their full paths, and by `shortened` under
    those without the component.
    """

    modules: Mapping[str, tuple[Weight, ...]]
    shortened: Mapping[str, tuple[str, ...]]
    components: tuple[str, ...]
    has_towers: bool

    def named(self, path: str) -> tuple[str, ...]:
        """The modules of this path: one, or one in several components; none where none has it."""
        return (path,) if path in self.modules else self.shortened.get(path, ())

    def weights(self, path: str) -> list[Weight]:
        """The weights of the modules of this path."""
        return [weight for full in self.named(path) for weight in self.modules[full]]


def base_of(structure: Structure) -> Base:
    """The modules of a model."""
    modules: dict[str, list[Weight]] = {}
    shortened: dict[str, list[str]] = {}
    for component, path, weight in _weights(structure):
        full = f"{component.replace('/', '.')}.{path}" if component else path
        held = modules.setdefault(full, [])
        if component and not held:
            shortened.setdefault(path, []).append(full)
        held.append(weight)
    tables = [name for name, held in modules.items() if held[0].role == "embedding"]
    if "lm_head" not in modules and len(tables) == 1:
        modules["lm_head"] = modules[tables[0]]  # tied: a head that is changed is the table
    return Base(
        {path: tuple(held) for path, held in modules.items()},
        {path: tuple(held) for path, held in shortened.items()},
        tuple(one.replace("/", ".") for one in structure.checkpoint.configs),
        len({tower_of(family.pattern) for family in structure.families}) > 1,
    )


def _weights(structure: Structure) -> Iterator[tuple[str, str, Weight]]:
    """Each weight with its component and the path of its module."""
    shown, _ = unwrap(structure.families)
    kinds = _kinds(structure)
    bundles: set[str] = set()
    for family in structure.families:
        end = structure.meaning(family)
        if end is not None and end.role.name in ("quantization", "buffer"):
            continue
        pattern = ".".join(shown[family.component, family.pattern])
        path, leaf = _split(pattern)
        place = f"{family.component}/{path}" if family.component else path
        weight = _weight(leaf, end, family.shape, kinds.get(place))
        own = [path]
        if leaf not in _LEAVES and len(weight.shape or (1, 1)) > 1:
            own.append(f"{path}.{leaf}" if path else leaf)
        for module in own:
            for indices in family.indices():
                stars = len(split_stars(module)) - 1
                yield family.component, fill(module, indices[:stars], family.axes[:stars]), weight
        for bundle in _bundles(path) if path not in bundles else ():
            bundles.add(path)
            stars = len(split_stars(bundle)) - 1
            experts = Weight("experts", None, "other", None)
            for outer in dict.fromkeys(indices[:stars] for indices in family.indices()):
                yield family.component, fill(bundle, outer, family.axes[:stars]), experts


def _weight(leaf: str, end: End | None, shape: Shape, kind: str | None) -> Weight:
    known = end.shape if end is not None else shape
    is_turned = kind == "Conv1D" if kind is not None else None
    return Weight(leaf, known, end.role.name if end is not None else "other", is_turned)


def _kinds(structure: Structure) -> Mapping[str, str]:
    """The class of the module at each path of the tree, where one is known."""
    found: dict[str, str] = {}
    waiting = [structure.tree]
    while waiting:
        node = waiting.pop()
        if node.kind is not None:
            found[node.path] = node.kind.name
        waiting += node.children
    return found


def _split(pattern: str) -> tuple[str, str]:
    """Path of the module and name of the weight: that of packed ones has several segments."""
    for leaf in _LEAVES:
        if pattern.endswith(f".{leaf}"):
            return pattern[: -len(leaf) - 1], leaf
    path, _, leaf = pattern.rpartition(".")
    for ending in STACKED:
        leaf = leaf.removesuffix(ending)
    return path, leaf


def _bundles(path: str) -> Iterator[str]:
    """What holds the experts that a path lies in: libraries stack them while loading."""
    start = 0
    while (start := path.find(".*", start)) >= 0:
        if EXPERTS.search(path[max(0, start - 64) : start + 2]):
            yield path[:start]
        start += 2

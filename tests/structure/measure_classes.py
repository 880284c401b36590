"""How often a module's class is told right: held against what torch itself printed."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ckptscan.structure.classes import Around, ModuleClass, Shape, classify

CLASSES = Path(__file__).parents[2] / "fixtures" / "families" / "classes.json.gz"
# the truth's class -> what it counts as; a subclass counts as the class that it names last
CATEGORIES = (
    (re.compile(r"BatchNorm"), "BatchNorm"),
    (re.compile(r"(?:^|[a-z])Embeddings?(?:Table)?$"), "Embedding"),
    (re.compile(r"^Conv1D$"), "Conv1D"),
    (re.compile(r"ConvTranspose[123][dD]$"), "ConvTranspose"),
    (re.compile(r"Conv[123][dD]$"), "Conv"),
    (re.compile(r"Linear$"), "Linear"),
    (re.compile(r"Norm"), "Norm"),
    (re.compile(r"Router$"), "Router"),
    (re.compile(r"^(?:LSTM|GRU|RNN|MultiheadAttention|PReLU)$"), ""),
)
WEIGHTS = {"weight", "parametrizations.weight.original1"}
# classes whose arguments are known to the truth
PRINTED = re.compile(
    r"^(?:Parametrized)?(?:Linear|Embedding|(?:Layer|Group)Norm|BatchNorm\dd|Conv(?:Transpose)?\dd|LSTM|GRU)$"
)
ARGUMENT = re.compile(r"(?:(\w+)=)?(\([^)]*\)|[^,()]+)(?:, )?")
NAMED = {
    "LayerNorm": ["shape"],
    "GroupNorm": ["num_groups", "num_channels"],
    "Embedding": ["num", "dim"],
    "Linear": [],
}


Shapes = dict[str, Shape]
NONE = Around()


def printed(found: ModuleClass | None) -> str | None:
    """An answer in one line: class, arguments, label."""
    return found and f"{found.name}({found.arguments}) {found.label}"


def of(path: str, around: Around = NONE, **leaves: Shape) -> str | None:
    """The answer for a path and leaves, in one line."""
    return printed(classify(path.split("."), leaves, around))


class Case(NamedTuple):
    """A module as torch made it, and in how many models of either half."""

    path: tuple[str, ...]
    leaves: dict[str, Shape]
    around: Around
    known: str
    printed: str
    models: tuple[int, int]


def read_cases() -> Iterator[Case]:
    """All modules of the fixture."""
    with gzip.open(CLASSES, "rt", encoding="utf-8") as opened:
        groups = json.load(opened)
    for models, path, children, new in groups:
        leaves = {
            child: {leaf: tuple(shape) for leaf, shape in (module or [{}])[0].items()}
            for child, module in children.items()
        }
        for child in new:
            _, known, printed = children[child]
            beside = {name: held for name, held in leaves.items() if name != child}
            segments = (*path, "*" if child.isdigit() else child)
            yield Case(segments, leaves[child], Around(beside), known, printed, tuple(models))


def category(known: str, leaves: dict[str, Shape]) -> str:
    """What a class of the truth counts as; `other` for a container with parameters of its own."""
    if known in ("LSTM", "GRU", "RNN", "MultiheadAttention"):
        return known
    if WEIGHTS.isdisjoint(leaves):
        return "other"
    found = next((name for pattern, name in CATEGORIES if pattern.search(known)), "other")
    if found in ("Conv", "ConvTranspose"):
        return f"{found}{known[-2]}d"
    return found or known


def told(found: ModuleClass | None) -> str:
    """What an answer counts as."""
    if found is None or found.name == "Experts":
        return "other"
    return "Norm" if "Norm" in found.name and found.name != "BatchNorm" else found.name


def arguments(name: str, printed: str) -> dict[str, str]:
    """Arguments by name, as stated in a print or in an answer."""
    names = iter(NAMED.get(name, ["in", "out"]))
    found = {}
    for key, value in ARGUMENT.findall(printed):
        found[key.removesuffix("_size") if key else next(names, "?")] = value.strip()
    return found


def is_right(case: Case, found: ModuleClass | None) -> bool:
    """Whether the class is right, and every argument stated that the truth states too."""
    expected = category(case.known, case.leaves)
    if told(found) != expected:
        return False
    if found is None or not PRINTED.match(case.known):
        return True
    known = case.known.removeprefix("Parametrized")
    if known in ("LayerNorm", "GroupNorm") and found.name not in (known, "Norm"):
        return False
    truth, stated = arguments(known, case.printed), arguments(found.name, found.arguments)
    if found.name.startswith("Conv"):
        truth.setdefault("groups", "1")
        stated.setdefault("groups", "1")
    return all(truth[key] == stated[key] for key in truth.keys() & stated.keys())


def measure() -> tuple[list[int], list[int], list[str]]:
    """Right answers and questions in either half of the models, and the misses in words."""
    right, asked = [0, 0], [0, 0]
    misses: Counter[str] = Counter()
    for case in read_cases():
        found = classify(case.path, case.leaves, case.around)
        is_good = is_right(case, found)
        for half, models in enumerate(case.models):
            asked[half] += models
            right[half] += models * is_good
        if not is_good:
            misses[miss(case, found)] += sum(case.models)
    return right, asked, [f"{times:3} x {line}" for line, times in misses.most_common()]


def miss(case: Case, found: ModuleClass | None) -> str:
    """One line on an answer that is not the truth."""
    leaves = {leaf: list(shape) for leaf, shape in case.leaves.items()}
    answer = f"{found.name}({found.arguments}) {found.label}" if found else "None"
    return f"{'.'.join(case.path)} {leaves}: {answer}, not {case.known}({case.printed})"


if __name__ == "__main__":
    good, total, missed = measure()
    print(*missed, sep="\n")
    print(
        sum(good),
        sum(total),
        sum(good) / sum(total),
        [g / t for g, t in zip(good, total, strict=True)],
    )

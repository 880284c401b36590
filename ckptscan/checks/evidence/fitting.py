"""Which modules of a base model an adapter changes: as named, or after a change of prefix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ckptscan.checks.evidence.base import Base, base_of
from ckptscan.config import Config
from ckptscan.names import is_index
from ckptscan.structure import Structure
from ckptscan.structure.scene import tower_of
from ckptscan.structure.updates import Contents, Update, find_updates

# what pipelines and their trainers call the parts of a model; base_model_prefix of libraries
_PARTS = (
    "unet prior vae text_encoder text_encoder_2 text_encoder_3 diffusion_model "
    "model.diffusion_model"
).split()
_PREFIXES = frozenset("model transformer backbone language_model".split())
# kohya's words before a flattened path -> the component of a pipeline that is meant
_KOHYA = {
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
    "lora_te3_": "text_encoder_3",
    "lora_unet_": "unet",
    "lora_prior_unet_": "prior",
    "lora_transformer_": "transformer",
}
# since transformers 4.52 the names in memory -> the names that files keep
_MOVED = frozenset(
    {
        ("model.language_model.", "model."),
        ("model.language_model.", "language_model.model."),
        ("model.language_model.", "language_model."),
    }
)
_ASIDE = ("projector", "connector", "merger", "adapter", "newline", "embed_vision", "embed_audio")
# words in the names of diffusion models; LDM's blocks hold transformer_blocks too
_DIALECTS = {
    "LDM": (
        "input_blocks",
        "output_blocks",
        "middle_block",
        "double_blocks",
        "single_blocks",
        "joint_blocks",
    ),
    "diffusers": ("down_blocks", "up_blocks", "mid_block", "transformer_blocks"),
}
_SAMPLES = 24  # names that a change of prefix is looked for with
_MOST_PATTERNS = 4096
_MOST_CHANGES = 4


class Change(NamedTuple):
    """Another beginning of names under which `modules` of the adapter's are found in the base.

    `is_usual` is whether loaders change it so by themselves.
    """

    old: str
    new: str
    modules: int
    is_usual: bool = False


@dataclass(frozen=True)
class Fit:
    """Where in a base model the updates of an adapter go.

    `found` gives the paths in the base of each update that a loader finds, in the order of
    `updates`; `astray` are the paths of those that match nothing. `changes` are the changes of
    prefix by which loaders find the former, and those that would find the latter.
    """

    contents: Contents
    base: Base
    found: Mapping[str, str]
    astray: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def modules(self) -> int:
        """How many modules the adapter changes."""
        return len(self.found) + len(self.astray)

    @property
    def wrong(self) -> list[Change]:
        """The changes that nobody makes by himself."""
        return [change for change in self.changes if not change.is_usual]

    def placed(self) -> Iterator[tuple[Update, str]]:
        """The updates that go somewhere, each with the path in the base."""
        for update in self.contents.updates:
            if update.path in self.found:
                yield update, self.found[update.path]


def fit(adapter: Structure, model: Structure) -> Fit:
    """Where the updates of an adapter go in a base model."""
    contents, base = find_updates(adapter.families), base_of(model)
    paths = list(dict.fromkeys(update.path for update in contents.updates))
    found = {path: path for path in paths if base.named(path)}
    found |= _flattened([path for path in paths if path not in found], base)
    rest = [path for path in paths if path not in found]
    changes: list[Change] = []
    astray: list[str] = []
    for change, moved in _changes(rest, base) if rest else ():
        is_usual = _is_usual(change, moved, base, adapter.checkpoint.config, model)
        changes.append(change._replace(is_usual=is_usual))
        if is_usual:
            found |= moved
    astray = [path for path in paths if path not in found]
    return Fit(contents, base, found, tuple(astray), tuple(changes))


def _flattened(paths: Iterable[str], base: Base) -> dict[str, str]:
    """Kohya's paths, with underscores for dots: where they go, by the prefixes that most have."""
    own = [path for path in paths if "." not in path and "_" in path]
    if not own:
        return {}
    flat: dict[str, str] = {}
    for path in (*base.shortened, *base.modules):
        flat.setdefault(path.replace(".", "_"), path)
    known = [word for word in _KOHYA if any(path.startswith(word) for path in own)]
    words = sorted({*known, *_heads(own, flat)}, key=len, reverse=True)
    found: dict[str, str] = {}
    for path in own:
        for word in words:
            rest = path[len(word) :] if path.startswith(word) else None
            component = _KOHYA.get(word, "")
            full = flat.get(f"{component}_{rest}") or flat.get(rest or "")
            if rest is not None and full is not None:
                found[path] = full
                break
    return found


def _heads(paths: Sequence[str], flat: Mapping[str, str]) -> set[str]:
    """What stands before the longest flattened path of the base that ends some of these paths."""
    heads: Counter[str] = Counter()
    step = max(1, len(paths) // _SAMPLES)
    for path in paths[::step]:
        places = [0, *(at + 1 for at, char in enumerate(path[:512]) if char == "_")]
        head = next((path[:place] for place in places if path[place:] in flat), None)
        if head is not None:
            heads[head] += 1
    return {head for head, _ in heads.most_common(_MOST_CHANGES)}


def _changes(paths: Sequence[str], base: Base) -> Iterator[tuple[Change, dict[str, str]]]:
    """Changes of prefix that find some of these paths, those that find most first."""
    left = list(paths)
    patterns = dict.fromkeys(map(pattern_of, (*base.modules, *base.shortened)))
    tails = _tails(list(patterns)[:_MOST_PATTERNS])
    for _ in range(_MOST_CHANGES):
        candidates = _candidates(dict.fromkeys(map(pattern_of, left)), tails)
        tried = ((pair, _moved(left, *pair, base)) for pair in candidates)
        best, moved = max(tried, key=lambda one: (len(one[1]), one[0]), default=(("", ""), {}))
        if not moved:
            return
        yield Change(*best, len(moved)), moved
        left = [path for path in left if path not in moved]


def pattern_of(path: str) -> str:
    """A path with stars for its numbers."""
    return ".".join("*" if is_index(segment) else segment for segment in path.split("."))


def _tails(patterns: Iterable[str]) -> Mapping[str, set[str]]:
    """For each end of a pattern that has a module's name, what may stand before it."""
    found: dict[str, set[str]] = {}
    for pattern in patterns:
        segments = pattern.split(".")
        for start in range(min(len(segments), 32)):
            head = ".".join(segments[:start])
            if "*" not in head:
                tail = ".".join(segments[start:])
                found.setdefault(tail, set()).add(f"{head}." if head else "")
    return found


def _candidates(
    patterns: Iterable[str], tails: Mapping[str, set[str]]
) -> Iterable[tuple[str, str]]:
    """Pairs of prefixes, the adapter's and the base's, of patterns that end alike."""
    votes: Counter[tuple[str, str]] = Counter()
    for pattern in list(patterns)[:_MOST_PATTERNS]:
        segments = pattern.split(".")
        for start in range(min(len(segments), 32)):
            head, tail = ".".join(segments[:start]), ".".join(segments[start:])
            if tail in tails and "*" not in head and (start == 0 or "." in tail):
                old = f"{head}." if head else ""
                votes.update((old, new) for new in tails[tail])
                break
    return [pair for pair, _ in votes.most_common(16)]


def _moved(paths: Iterable[str], old: str, new: str, base: Base) -> dict[str, str]:
    """The paths that begin with `old` and are found with `new` in its place."""
    changed = ((path, new + path[len(old) :]) for path in paths if path.startswith(old))
    return {path: other for path, other in changed if base.named(other)}


def _is_usual(
    change: Change, moved: Mapping[str, str], base: Base, config: Config, model: Structure
) -> bool:
    """Whether loaders make this change: of parts, of a library's generation, of its prefix."""
    old, new = change.old, change.new
    is_part = old.removesuffix(".") in _PARTS and not new
    is_whole = (not old or is_part) and new.removesuffix(".") in (*base.components, _PARTS[-1])
    if is_part or is_whole:
        return True
    is_aside = old == "model." and not new and _are_aside(moved.values())
    if (old, new) in _MOVED or is_aside or moved.keys() == {"lm_head"}:
        return base.has_towers
    if not new and not any(path.startswith(old) for path in base.modules):
        return _is_bare(old.removesuffix("."), base, model.checkpoint.config)
    prefix, kind = new.removesuffix("."), model.checkpoint.config.model_type or ""
    return not old and (prefix in _PREFIXES or prefix in kind) and _is_headless(config)


def _is_bare(prefix: str, base: Base, config: Config) -> bool:
    """Whether the base was saved without its head, and so without this prefix of its class.

    Loaders put it before the names again: `h.0` is transformer.h.0 of a GPT-2 with its head.
    """
    name = config.architecture or ""
    if name.endswith("Model") and not name.endswith("LMHeadModel"):
        return prefix in _PREFIXES or prefix in (config.model_type or "")
    if prefix == "transformer":
        bare = ("h.", "transformer_blocks.", "single_transformer_blocks.")
        return any(path.startswith(bare) for path in base.modules)
    return prefix not in _PREFIXES and prefix in (config.model_type or "")


def _are_aside(paths: Iterable[str]) -> bool:
    """Whether these lie in a tower, or between the towers."""
    return all(tower_of(path) != "text" or any(map(path.__contains__, _ASIDE)) for path in paths)


def _is_headless(config: Config) -> bool:
    """Whether the adapter was trained on a bare model: no class with a head, such as MistralModel.

    What has no adapter_config.json is taken for the usual: a model with a head.
    """
    document = config.documents.get("adapter_config.json", {})
    mapping = document.get("auto_mapping")
    name = mapping.get("base_model_class") if isinstance(mapping, dict) else None
    bare = isinstance(name, str) and name.endswith("Model")
    return bare or document.get("task_type") == "FEATURE_EXTRACTION"


def are_dialects(fitted: Fit) -> bool:
    """Whether adapter and base name the modules of a diffusion model in two ways.

    Loaders know tables from one to the other; names alone do not tell what they find.
    """
    own, other = _dialect(fitted.astray), _dialect(fitted.base.modules)
    return "" not in (own, other) and own != other


def _dialect(paths: Iterable[str]) -> str:
    held = list(paths)
    for name, words in _DIALECTS.items():
        if any(word in path for path in held for word in words):
            return name
    return ""

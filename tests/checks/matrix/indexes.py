"""Damage to the index and to the list of files."""

from __future__ import annotations

import random
import re

from tests.checks.matrix.headers import Damage, a_shard
from tests.checks.matrix.whole import Whole

NUMBER = re.compile(r"-(\d{5})-of-(\d{5})\.")


def _renamed(whole: Whole, before: str, after: str) -> None:
    whole.shards = {after if path == before else path: one for path, one in whole.shards.items()}


def missing_shard(whole: Whole, rng: random.Random) -> set[str]:
    if whole.index is None or len(whole.shards) < 2:
        return set()
    del whole.shards[rng.choice(sorted(set(whole.index["weight_map"].values())))]
    return {"I001"}


def all_missing_but_one(whole: Whole, rng: random.Random) -> set[str]:
    if whole.index is None or len(whole.shards) < 2:
        return set()
    kept = rng.choice(sorted(set(whole.index["weight_map"].values())))
    whole.shards = {kept: whole.shards[kept]}
    return {"I001"}


def numbering_hole(whole: Whole, rng: random.Random) -> set[str]:
    """A numbered shard that is gone, and no index to tell."""
    numbered = [path for path in whole.shards if NUMBER.search(path)]
    if len(numbered) < 2:
        return set()
    if whole.index_path:
        del whole.documents[whole.index_path]
    del whole.shards[rng.choice(numbered)]
    return {"I006"}


def miscounted(whole: Whole, rng: random.Random) -> set[str]:
    """An index that names fewer files than their numbers say; the others are gone."""
    index = whole.index
    numbered = [path for path in whole.shards if NUMBER.search(path)]
    if index is None or len(numbered) < 3:
        return set()
    gone = rng.choice(numbered)
    del whole.shards[gone]
    whole.reindex()
    return {"I006", "I005", "S004", "S001", "C001"}


def extra_shard(whole: Whole, rng: random.Random) -> set[str]:
    """A weight file that the index does not name."""
    if whole.index is None:
        return set()
    whole.shards["extra.safetensors"] = a_shard(whole, rng)
    return {"I007"}


def two_sets(whole: Whole, rng: random.Random) -> set[str]:
    if any("consolidated" in path for path in whole.shards) or "adapter" in next(
        iter(whole.shards)
    ):
        return set()
    whole.shards["consolidated.safetensors"] = a_shard(whole, rng)
    return {"I007"}


def beside_shards(whole: Whole, rng: random.Random) -> set[str]:
    """A single file of the same name that holds other tensors."""
    if whole.index_path != "model.safetensors.index.json" or len(whole.shards) < 2:
        return set()
    whole.shards["model.safetensors"] = a_shard(whole, rng)
    return {"I008", "I007"}


def index_names_more(whole: Whole, rng: random.Random) -> set[str]:
    if whole.index is None:
        return set()
    said = whole.index["weight_map"]
    said[f"{rng.choice(list(said))}_lost"] = rng.choice(list(said.values()))
    return {"I002"}


def index_names_less(whole: Whole, rng: random.Random) -> set[str]:
    if whole.index is None:
        return set()
    del whole.index["weight_map"][rng.choice(list(whole.index["weight_map"]))]
    return {"I003"}


def index_says_another_shard(whole: Whole, rng: random.Random) -> set[str]:
    if whole.index is None or len(set(whole.index["weight_map"].values())) < 2:
        return set()
    said = whole.index["weight_map"]
    name = rng.choice(list(said))
    said[name] = rng.choice([one for one in sorted(set(said.values())) if one != said[name]])
    return {"I002"}


def renamed_in_index(whole: Whole, rng: random.Random) -> set[str]:
    if whole.index is None:
        return set()
    said = whole.index["weight_map"]
    name = rng.choice(list(said))
    said[name.replace(".weight", ".wieght") if ".weight" in name else f"{name}x"] = said.pop(name)
    return {"I002"}


def index_in_other_case(whole: Whole, rng: random.Random) -> set[str]:
    if whole.index is None:
        return set()
    said = whole.index["weight_map"]
    name = rng.choice([one for one in said if one != one.upper()])
    said[name.upper()] = said.pop(name)
    return {"I002"}


def renamed_in_shard(whole: Whole, rng: random.Random) -> set[str]:
    """A tensor that is named otherwise in its file than in the index."""
    if whole.index is None:
        return set()
    shard = whole.shards[rng.choice(sorted(set(whole.index["weight_map"].values())))]
    name = rng.choice(list(shard.entries))
    shard.entries = {
        f"{one}_renamed" if one == name else one: entry for one, entry in shard.entries.items()
    }
    return {"I002"}


def swapped(whole: Whole, rng: random.Random) -> set[str]:
    if whole.index is None or len(set(whole.index["weight_map"].values())) < 2:
        return set()
    one, other = rng.sample(sorted(set(whole.index["weight_map"].values())), 2)
    whole.shards[one], whole.shards[other] = whole.shards[other], whole.shards[one]
    return {"I002"}


def stale_index(whole: Whole, rng: random.Random) -> set[str]:
    """The index of another conversion: every tensor has a prefix."""
    if whole.index is None:
        return set()
    said = whole.index["weight_map"]
    whole.index["weight_map"] = {f"base.{name}": path for name, path in said.items()}
    return {"I002"}


def total_size(whole: Whole, rng: random.Random) -> set[str]:
    if whole.index is None or "total_size" not in whole.index.get("metadata", {}):
        return set()
    before = whole.index["metadata"]["total_size"]
    changes = (before + 1, before * 2, before // 2, 0, -1, str(before), None, float(before) + 1e6)
    whole.index["metadata"]["total_size"] = rng.choice(changes)
    return {"I005"}


def in_two_shards(whole: Whole, rng: random.Random) -> set[str]:
    if whole.index is None or len(set(whole.index["weight_map"].values())) < 2:
        return set()
    one, other = rng.sample(sorted(set(whole.index["weight_map"].values())), 2)
    name = rng.choice(list(whole.shards[one].entries))
    whole.shards[other].entries[name] = dict(whole.shards[one].entries[name])
    whole.shards[other].lay()
    return {"I004"}


def several_in_two_shards(whole: Whole, rng: random.Random) -> set[str]:
    """Tensors of one file that leaked into the next, with an index that knows one of the places."""
    if whole.index is None or len(set(whole.index["weight_map"].values())) < 2:
        return set()
    one, other = rng.sample(sorted(set(whole.index["weight_map"].values())), 2)
    names = list(whole.shards[one].entries)
    for name in rng.sample(names, max(1, len(names) // 4)):
        whole.shards[other].entries[name] = dict(whole.shards[one].entries[name])
    whole.shards[other].lay()
    whole.reindex()
    return {"I004"}


def index_cut(whole: Whole, rng: random.Random) -> set[str]:
    path = whole.index_path
    if path is None:
        return set()
    import json

    text = json.dumps(whole.documents.pop(path)).encode()
    whole.others[path] = text[: rng.randint(1, len(text) - 2)]
    return {"I009"}


def index_without_map(whole: Whole, rng: random.Random) -> set[str]:
    if whole.index_path is None:
        return set()
    odd = (None, [], "x", {"a": 1}, {"a": ["b"]})
    whole.documents[whole.index_path]["weight_map"] = rng.choice(odd)
    return {"I009"}


def index_of_no_file(whole: Whole, rng: random.Random) -> set[str]:
    """An index whose files were renamed after it was written."""
    if whole.index is None:
        return set()
    said = whole.index["weight_map"]
    whole.index["weight_map"] = {name: f"pytorch_{path}" for name, path in said.items()}
    return {"I001", "I006", "I009"}


INDEX: dict[str, Damage] = {
    "shard missing": missing_shard,
    "all shards missing but one": all_missing_but_one,
    "hole in the numbers of shards": numbering_hole,
    "index and numbers that count otherwise": miscounted,
    "extra shard": extra_shard,
    "two sets": two_sets,
    "single file beside shards": beside_shards,
    "index names a tensor that no shard holds": index_names_more,
    "index misses a tensor": index_names_less,
    "index says another shard": index_says_another_shard,
    "tensor renamed in the index": renamed_in_index,
    "index in another case": index_in_other_case,
    "tensor renamed in its shard": renamed_in_shard,
    "two shards swapped": swapped,
    "index of another conversion": stale_index,
    "wrong total_size": total_size,
    "tensor in two shards": in_two_shards,
    "tensors leaked into another shard": several_in_two_shards,
    "index cut short": index_cut,
    "index without a map": index_without_map,
    "index of files that are not there": index_of_no_file,
}

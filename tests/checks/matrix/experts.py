"""Damage to experts, and to what belongs to packed weights."""

from __future__ import annotations

import random
import re

from tests.checks.damages import BOOK, EXPERT, Documents, Tensors
from tests.checks.damages import Damage as TensorDamage


def _experts(tensors: Tensors, rng: random.Random) -> re.Match[str] | None:
    names = [name for name in tensors if EXPERT.match(name)]
    return EXPERT.match(rng.choice(names)) if names else None


def expert_of_all_layers(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    match = _experts(tensors, rng)
    if match is None:
        return set()
    for name in [n for n in tensors if (m := EXPERT.match(n)) and m[2] == match[2]]:
        del tensors[name]
    return {"S005", "C006"}


def half_of_the_experts(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    """The experts of one rank of two, in all layers."""
    found = sorted({int(m[2]) for n in tensors if (m := EXPERT.match(n))})
    if len(found) < 4:
        return set()
    lower = rng.random() < 0.5
    half = set(found[: len(found) // 2] if lower else found[len(found) // 2 :])
    for name in [n for n in tensors if (m := EXPERT.match(n)) and int(m[2]) in half]:
        del tensors[name]
    return {"S005", "C006"}


def router_rows(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    names = [
        n for n in tensors if re.search(r"(?:mlp|moe|feed_forward)\.(?:gate|router)\.weight$", n)
    ]
    names = names[1:-1]
    if not names:
        return set()
    name = rng.choice(names)
    dtype, (rows, wide) = tensors[name]
    tensors[name] = dtype, (rows + rng.choice((1, -1, rows)), wide)
    return {"S002", "S005"}


def expert_transposed(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    names = [n for n in tensors if EXPERT.match(n) and n.endswith(".weight")]
    if not names:
        return set()
    name = rng.choice(names)
    tensors[name] = tensors[name][0], tensors[name][1][::-1]
    return {"S002", "Q005"}


def expert_recast(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    names = [n for n in tensors if EXPERT.match(n) and n.endswith(".weight")]
    if not names:
        return set()
    name = rng.choice(names)
    tensors[name] = ("F32" if tensors[name][0] != "F32" else "BF16"), tensors[name][1]
    return {"S003", "Q002"}


def experts_from_one(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    """The experts of one layer are numbered from 1."""
    match = _experts(tensors, rng)
    if match is None:
        return set()
    names = [n for n in tensors if n.startswith(match[1])]
    moved = {n: tensors.pop(n) for n in names}
    for name, held in moved.items():
        own = EXPERT.match(name)
        assert own is not None
        tensors[f"{own[1]}{int(own[2]) + 1}.{own[3]}"] = held
    return {"S005"}


def scale_recast(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    names = [n for n in tensors if BOOK.search(n) and tensors[n][0] in ("BF16", "F16", "F32")]
    if not names:
        return set()
    name = rng.choice(names)
    tensors[name] = ("F32" if tensors[name][0] != "F32" else "BF16"), tensors[name][1]
    return {"S003", "Q005"}


def group_size(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    """One module is quantized in groups of half the size."""
    names = [n for n in tensors if n.endswith(".qweight")]
    if not names:
        return set()
    module = rng.choice(names).removesuffix(".qweight")
    for leaf in ("scales", "qzeros"):
        dtype, (groups, wide) = tensors[f"{module}.{leaf}"]
        tensors[f"{module}.{leaf}"] = dtype, (2 * groups, wide)
    return {"Q005", "S002"}


def _books_everywhere(pattern: str) -> TensorDamage:
    def damage(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
        names = [n for n in tensors if re.search(pattern, n)]
        for name in names:
            del tensors[name]
        return {"Q001", "Q003", "Q004", "C014"} if names else set()

    return damage


def plain_among_packed(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    """One FP8 weight of a layer was left in BF16, its scale is gone."""
    names = [n for n in tensors if n.endswith(".weight") and tensors[n][0] == "F8_E4M3"][1:-1]
    if not names:
        return set()
    name = rng.choice(names)
    tensors[name] = "BF16", tensors[name][1]
    for leaf in ("_scale", "_scale_inv"):
        tensors.pop(f"{name}{leaf}", None)
    return {"S003", "Q001", "Q002"}


EXPERTS: dict[str, TensorDamage] = {
    "expert dropped from all layers": expert_of_all_layers,
    "half of the experts dropped": half_of_the_experts,
    "router with other rows": router_rows,
    "expert transposed": expert_transposed,
    "expert of another dtype": expert_recast,
    "experts of a layer numbered from 1": experts_from_one,
    "scale of another dtype": scale_recast,
    "group size of one module halved": group_size,
    "qzeros dropped everywhere": _books_everywhere(r"\.qzeros$"),
    "scales dropped everywhere": _books_everywhere(r"\.scales$|_scales$"),
    "quant_state dropped everywhere": _books_everywhere(r"bitsandbytes__nf4$|\.absmax$"),
    "FP8 weight left in BF16": plain_among_packed,
}

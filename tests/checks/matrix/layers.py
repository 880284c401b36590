"""Damage to tensors of layers: kinds that the first list (tests/checks/damages.py) does not have."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from tests.checks.damages import LAYER, Documents, Tensors, plain
from tests.checks.damages import Damage as TensorDamage

_LEAST = 6  # layers of a stack that is damaged
_DRAFTING = re.compile(r"(?i)mtp|nextn|eh_proj|enorm|hnorm")
Stack = tuple[str, list[int]]


def stacks(tensors: Tensors) -> dict[str, list[int]]:
    """The prefixes of all rows of layers, with their indices."""
    found: dict[str, set[int]] = {}
    for name in tensors:
        match = LAYER.match(name)
        if match:
            found.setdefault(match[1], set()).add(int(match[2]))
    return {prefix: sorted(held) for prefix, held in found.items() if len(held) >= _LEAST}


def a_stack(tensors: Tensors, documents: Documents, rng: random.Random) -> Stack | None:
    """A row of layers, without those that draft tokens."""
    found = stacks(tensors)
    if not found:
        return None
    prefix = rng.choice(sorted(found))
    count = documents.get("config", {}).get("num_hidden_layers", 10**6)
    drafting = {int(m[2]) for n in tensors if _DRAFTING.search(n) and (m := LAYER.match(n))}
    kept = [index for index in found[prefix] if index not in drafting or index < count]
    return (prefix, kept) if len(kept) >= _LEAST else None


def of_layer(tensors: Tensors, prefix: str, index: int) -> list[str]:
    return [name for name in tensors if name.startswith(f"{prefix}{index}.")]


def a_tensor(
    tensors: Tensors, stack: Stack, rng: random.Random, pattern: str, index: int | None = None
) -> str | None:
    """A tensor of a middle layer whose name matches, with its layer's siblings having it too."""
    prefix, indices = stack
    index = rng.choice(indices[1:-1]) if index is None else index
    names = [n for n in plain(of_layer(tensors, prefix, index)) if re.search(pattern, n)]
    names = [name for name in names if _is_common(tensors, name, stack)]
    return rng.choice(names) if names else None


def _is_common(tensors: Tensors, name: str, stack: Stack) -> bool:
    """Whether more than half of the layers have it: what few have, few can lose."""
    match = LAYER.match(name)
    assert match is not None
    have = sum(f"{match[1]}{index}.{match[3]}" in tensors for index in stack[1])
    return 2 * have > len(stack[1])


def _on_a_stack(
    damage: Callable[[Tensors, Stack, random.Random], set[str]],
) -> TensorDamage:
    """A damage to one of the rows of layers."""

    def done(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
        stack = a_stack(tensors, documents, rng)
        return set() if stack is None else damage(tensors, stack, rng)

    return done


def _drop(pattern: str, *codes: str) -> TensorDamage:
    def damage(tensors: Tensors, stack: Stack, rng: random.Random) -> set[str]:
        name = a_tensor(tensors, stack, rng, pattern)
        if name is None:
            return set()
        del tensors[name]
        return {"S001", *codes}

    return _on_a_stack(damage)


def _drop_in(places: Callable[[list[int], random.Random], list[int]], *codes: str) -> TensorDamage:
    """One tensor lost in several layers."""

    def damage(tensors: Tensors, stack: Stack, rng: random.Random) -> set[str]:
        name = a_tensor(tensors, stack, rng, r"weight$")
        chosen = places(stack[1][1:-1], rng)
        if name is None or not chosen or not _is_in_all(tensors, name, stack):
            return set()
        suffix = LAYER.match(name)[3]  # type: ignore[index]
        for index in chosen:
            tensors.pop(f"{stack[0]}{index}.{suffix}", None)
        return {"S001", "A002", *codes}

    return _on_a_stack(damage)


def _is_in_all(tensors: Tensors, name: str, stack: Stack) -> bool:
    suffix = LAYER.match(name)[3]  # type: ignore[index]
    return all(f"{stack[0]}{index}.{suffix}" in tensors for index in stack[1])


def _scattered(least: int, most: int) -> Callable[[list[int], random.Random], list[int]]:
    return lambda inner, rng: (
        rng.sample(inner, rng.randint(least, most)) if len(inner) >= 4 * most else []
    )


def _run(least: int, most: int) -> Callable[[list[int], random.Random], list[int]]:
    def places(inner: list[int], rng: random.Random) -> list[int]:
        wide = rng.randint(least, most)
        if len(inner) < 3 * wide:
            return []
        start = rng.randrange(len(inner) - wide)
        return inner[start : start + wide]

    return places


def _drop_block(pattern: str) -> TensorDamage:
    """All tensors of one block of a layer."""

    def damage(tensors: Tensors, stack: Stack, rng: random.Random) -> set[str]:
        name = a_tensor(tensors, stack, rng, pattern)
        if name is None:
            return set()
        suffix = LAYER.match(name)[3]  # type: ignore[index]
        block = name[: len(name) - len(suffix)] + suffix.split(".")[0] + "."
        for one in [one for one in tensors if one.startswith(block)]:
            del tensors[one]
        return {"S001", "S004", "A005"}  # of T5 the block is the layer

    return _on_a_stack(damage)


def _reshaped(change: Callable[[tuple[int, ...]], tuple[int, ...]], pattern: str) -> TensorDamage:
    def damage(tensors: Tensors, stack: Stack, rng: random.Random) -> set[str]:
        name = a_tensor(tensors, stack, rng, pattern)
        if name is None:
            return set()
        dtype, shape = tensors[name]
        if len(shape) < 2 or change(shape) == shape or dtype in ("U8", "I32"):
            return set()
        tensors[name] = dtype, change(shape)
        return {"S002", "Q005", "A002", "A001"}

    return _on_a_stack(damage)


def more_keys(tensors: Tensors, stack: Stack, rng: random.Random) -> set[str]:
    """Keys and values of one layer have twice the heads."""
    name = a_tensor(tensors, stack, rng, r"(?:k_proj|key|wk)\.weight$")
    if name is None:
        return set()
    for old, new in (("k_proj", "v_proj"), ("key", "value"), ("wk", "wv"), ("", "")):
        one = name.replace(old, new) if old else name
        if one in tensors:
            dtype, shape = tensors[one]
            tensors[one] = dtype, (2 * shape[0], *shape[1:])
    return {"S002", "Q005"}


def recast_layer(tensors: Tensors, stack: Stack, rng: random.Random) -> set[str]:
    """A whole layer in F32."""
    index = rng.choice(stack[1][1:-1])
    names = plain(of_layer(tensors, stack[0], index))
    names = [n for n in names if tensors[n][0] in ("BF16", "F16") and len(tensors[n][1]) > 1]
    for name in names:
        tensors[name] = "F32", tensors[name][1]
    return {"S003"} if names else set()


def halves_mixed(tensors: Tensors, stack: Stack, rng: random.Random) -> set[str]:
    """One tensor in the other of the two halves of precision."""
    name = a_tensor(tensors, stack, rng, r"weight$")
    if name is None or tensors[name][0] not in ("BF16", "F16"):
        return set()
    tensors[name] = ("F16" if tensors[name][0] == "BF16" else "BF16"), tensors[name][1]
    return {"S003"}


def renamed(tensors: Tensors, stack: Stack, rng: random.Random) -> set[str]:
    """A tensor under another name than in the other layers."""
    name = a_tensor(tensors, stack, rng, r"weight$")
    if name is None:
        return set()
    new = rng.choice(
        (f"{name}_old", name.replace(".weight", ".wieght"), name.removesuffix(".weight"))
    )
    tensors[new] = tensors.pop(name)
    return {"S001", "A002", "A005", "S008", "Q002"} if new != name else set()


def more(tensors: Tensors, stack: Stack, rng: random.Random) -> set[str]:
    """One layer has a tensor more."""
    index = rng.choice(stack[1][1:-1])
    tensors[f"{stack[0]}{index}.{rng.choice(('extra.weight', 'self_attn.z_proj.weight'))}"] = (
        "BF16", (64, 64)
    )  # fmt: skip
    return {"S001"}


def layer_dropped(tensors: Tensors, stack: Stack, rng: random.Random) -> set[str]:
    """A layer of any stack: an encoder's, a vision block."""
    for name in of_layer(tensors, stack[0], rng.choice(stack[1][1:-1])):
        del tensors[name]
    return {"S004"}


def layers_dropped(tensors: Tensors, stack: Stack, rng: random.Random) -> set[str]:
    """Some layers in a row."""
    wide = max(2, len(stack[1]) // 6)
    start = rng.randrange(1, len(stack[1]) - wide)
    for index in stack[1][start : start + wide]:
        for name in of_layer(tensors, stack[0], index):
            del tensors[name]
    return {"S004"}


def leading_zero(tensors: Tensors, stack: Stack, rng: random.Random) -> set[str]:
    """A layer whose number is written with a zero in front."""
    index = rng.choice(stack[1][1:-1])
    for name in of_layer(tensors, stack[0], index):
        new = name.replace(f"{stack[0]}{index}.", f"{stack[0]}0{index}.", 1)
        tensors[new] = tensors.pop(name)
    return {"S004", "S001"}


def layer_under_another_number(tensors: Tensors, stack: Stack, rng: random.Random) -> set[str]:
    """A layer of a far number: 7 became 700."""
    index = rng.choice(stack[1][1:-1])
    for name in of_layer(tensors, stack[0], index):
        new = name.replace(f"{stack[0]}{index}.", f"{stack[0]}{index + 700}.", 1)
        tensors[new] = tensors.pop(name)
    return {"S004"}


LAYERS: dict[str, TensorDamage] = {
    "weight transposed in a layer": _reshaped(lambda shape: shape[::-1], r"weight$"),
    "row too many in a layer": _reshaped(lambda shape: (shape[0] + 1, *shape[1:]), r"weight$"),
    "norm dropped in a layer": _drop(r"(?i)(?:norm|ln_?\d?)[^.]*\.weight$"),
    "bias dropped in a layer": _drop(r"\.bias$"),
    "q_norm dropped in a layer": _drop(r"[qk]_norm\.weight$"),
    "tensor dropped in 2 or 3 scattered layers": _drop_in(_scattered(2, 3)),
    "tensor dropped in 2 layers in a row": _drop_in(_run(2, 2)),
    "attention of a layer dropped": _drop_block(r"(?i)attn|attention"),
    "feed-forward of a layer dropped": _drop_block(r"(?i)mlp|feed_forward|fc1|DenseReluDense"),
    "up wider than gate": _reshaped(
        lambda shape: (shape[0] + 64, *shape[1:]), r"(?:up_proj|w3)\.weight$"
    ),
    "twice the KV heads in a layer": _on_a_stack(more_keys),
    "layer in F32": _on_a_stack(recast_layer),
    "F16 among BF16, or the other way": _on_a_stack(halves_mixed),
    "tensor of a layer renamed": _on_a_stack(renamed),
    "tensor more in a layer": _on_a_stack(more),
    "layer of any stack dropped": _on_a_stack(layer_dropped),
    "some layers in a row dropped": _on_a_stack(layers_dropped),
    "layer number with a leading zero": _on_a_stack(leading_zero),
    "layer under a far number": _on_a_stack(layer_under_another_number),
}

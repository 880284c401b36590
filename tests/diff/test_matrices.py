"""Weights that do not lie in one order on both sides: tensor-parallel parts, joined and turned."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from ckptscan.content.pairs.values import Wish
from ckptscan.diff import Diff
from ckptscan.sources.memory import MemorySource
from tests.content.making import Arrays, raw_file
from tests.diff.contents import (
    CONFIG,
    FULL,
    HEAD,
    LAYERS,
    diff_of,
    edited,
    mixture,
    model,
    noisy,
    renamed,
    source,
    stacked,
    states,
)

A = model()
COUNT = len(A)
PARTS = 4
META = {
    r"^model\.": "",
    "embed_tokens": "tok_embeddings",
    "lm_head": "output",
    r"self_attn\.(.)_proj": r"attention.w\1",
    r"mlp\.gate_proj": "feed_forward.w1",
    r"mlp\.down_proj": "feed_forward.w2",
    r"mlp\.up_proj": "feed_forward.w3",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
}
CUT_COLUMNS = ("wo.", "w2.")
WISHES = pytest.mark.parametrize("wish", [Wish(), FULL], ids=["sampled", "full"])


def as_meta(arrays: Arrays) -> Arrays:
    """Meta's names and its order of the rows of q and k."""
    for before, after in META.items():
        arrays = renamed(arrays, before, after)
    return edited(arrays, r"attention\.w[qk]", in_turn)


def in_turn(array: Any) -> Any:
    """The halves of each head row by row in turn."""
    heads = array.reshape(-1, 2, HEAD // 2, array.shape[1])
    return np.ascontiguousarray(heads.transpose(0, 2, 1, 3)).reshape(array.shape)


def cut(arrays: Arrays) -> MemorySource:
    """Meta's tensor-parallel parts."""
    files: list[Arrays] = [{} for _ in range(PARTS)]
    for name, (dtype, array) in arrays.items():
        axis = 1 if any(one in name for one in CUT_COLUMNS) else 0
        whole = [array] * PARTS
        parts = whole if array.ndim < 2 else np.split(array, PARTS, axis)
        for file, part in zip(files, parts, strict=True):
            file[name] = dtype, np.ascontiguousarray(part)
    held = {f"consolidated.{n:02}.safetensors": raw_file(one) for n, one in enumerate(files)}
    params = {"dim": CONFIG["hidden_size"], "n_heads": CONFIG["num_attention_heads"], "n_layers": 4}
    return MemorySource({**held, "params.json": json.dumps(params).encode()})


def kinds(diff: Diff) -> dict[str, int]:
    return {kind: count for kind, count in diff.summary.items() if count}


@WISHES
def test_tensor_parallel_parts_are_the_joined_tensors(wish: Wish) -> None:
    diff = diff_of(source(A), cut(as_meta(A)), wish)
    known = {"identical"} if wish.full else {"identical", "sampled"}

    assert {"restructured": COUNT} == kinds(diff)
    assert known == states(diff).keys()
    assert all(one.proof == ("proved" if wish.full else "sampled") for one in diff.verdicts)


def test_a_part_that_was_changed_is_found() -> None:
    diff = diff_of(source(A), cut(edited(as_meta(A), r"w2\.", noisy)), FULL)

    assert {"identical": COUNT - LAYERS, "changed": LAYERS} == states(diff)


def test_parts_are_joined_on_either_side() -> None:
    diff = diff_of(cut(as_meta(A)), source(A), FULL)

    assert {"identical": COUNT * PARTS} == states(diff)  # tensors of A, which are parts


def turned_stacks(arrays: Arrays) -> Arrays:
    """Stacks with inputs before outputs, as Llama 4 and gpt-oss have them."""
    return {
        name: (dtype, np.ascontiguousarray(array.swapaxes(-1, -2)) if array.ndim == 3 else array)
        for name, (dtype, array) in arrays.items()
    }


@WISHES
def test_experts_that_were_joined_and_turned_are_the_same(wish: Wish) -> None:
    a = mixture()
    diff = diff_of(source(a), source(turned_stacks(stacked(a))), wish)
    known = {"identical"} if wish.full else {"identical", "sampled"}

    assert known == states(diff).keys()
    assert {"transposed" in one.facts[0].how for one in diff.changes if one.facts} == {True}


def test_a_large_turned_matrix_is_compared_by_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckptscan.diff.pairs.LARGE", 1 << 16)
    b = edited(A, "gate_proj|up_proj", lambda array: np.ascontiguousarray(array.T))
    same = diff_of(source(A), source(b), FULL)
    other = diff_of(source(A), source(edited(b, "up_proj", noisy)), FULL)

    assert {"identical": COUNT} == states(same)
    assert {"identical": COUNT - LAYERS, "changed": LAYERS} == states(other)

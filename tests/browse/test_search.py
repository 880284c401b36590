"""The search finds what is meant, the best first, and is quick."""

from __future__ import annotations

import time

import pytest

from ckptscan.browse.search import MOST, Finder
from tests.conftest import packed

NAMES = (
    "model.layers.3.self_attn.q_a_layernorm.weight",
    "model.layers.3.mlp.up_proj.weight",
    "model.layers.17.mlp.up_proj.weight",
    "model.layers.17.mlp.experts.3.up_proj.weight",
    "model.norm.weight",
    "lm_head.weight",
)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        pytest.param("", [], id="nothing asked"),
        pytest.param("  ", [], id="blanks"),
        pytest.param("norm", [4, 0], id="a whole segment comes first"),
        pytest.param("up 17", [2, 3], id="words in any order"),
        pytest.param("UP-PROJ 17", [2, 3], id="case and separators do not matter"),
        pytest.param("layers.3.", [0, 1], id="a part with its dots"),
        pytest.param("lmhd", [5], id="letters in turn"),
        pytest.param("lyr17up", [2, 3], id="letters that lie close come first"),
        pytest.param("exprts 3", [3], id="a word by its letters, another as it is"),
        pytest.param("up norm", [], id="no name holds both"),
        pytest.param("zq]^-\\", [], id="signs of patterns are letters"),
    ],
)
def test_a_query_finds(query: str, rows: list[int]) -> None:
    assert rows == Finder(NAMES).find(query)


def test_a_search_gives_no_more_than_a_screen_can_use() -> None:
    names = packed("deepseek-ai--DeepSeek-V3").checkpoint.table.names

    assert MOST == len(Finder(names).find("weight"))


@pytest.mark.slow
@pytest.mark.parametrize("query", ["weight", "17 up_proj", "lyr17up", "no such", "e", "gate down"])
def test_a_search_of_200_000_names_takes_no_time(query: str) -> None:
    names = [
        f"model.layers.{layer}.mlp.experts.{expert}.{name}_proj.weight"
        for layer in range(100)
        for expert in range(667)
        for name in ("gate", "up", "down")
    ]
    finder = Finder(names)
    start = time.process_time()  # others may use the machine
    finder.find(query)

    assert time.process_time() - start < 0.5  # 0.02 to 0.1 s as a rule

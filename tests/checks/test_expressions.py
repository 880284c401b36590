"""Expressions out of configs: what Python's own engine says, in linear time."""

from __future__ import annotations

import random
import re
import time
import warnings

import pytest

from ckptscan.checks.evidence.expressions import expression

NAMES = (
    "lm_head",
    "model.layers.3.mlp.gate",
    "model.layers.13.mlp.gate_proj",
    "visual.blocks.0.attn.qkv",
    "model.layers.2.self_attn.q_proj",
    "a\nb",
    "",
)


@pytest.mark.parametrize(
    "text",
    [
        ".*lm_head",
        "^lm_head$",
        "visual.*",
        r".*mlp\.gate$",
        r"model\.layers\.\d+\.mlp\.gate$",
        r"model.layers.[0-9]+.mlp.gate$",
        r".*\.(q|k|v)_proj$",
        r"model\.layers\.(?:1|2|3)\..*",
        r".*\.mlp\.(?:gate|up)(?:_proj)?$",
        "[^m].*",
        "lm_head|visual$",
        "^lm|^model.*proj$",
        "x?.+?",
    ],
)
def test_it_matches_as_the_engine_of_python(text: str) -> None:
    found = expression(text)

    assert found is not None
    assert [re.match(text, name) is not None for name in NAMES] == list(map(found.matches, NAMES))


def test_it_matches_so_on_random_expressions() -> None:
    rng = random.Random(0)
    compared = 0
    for _ in range(5000):
        text = "".join(rng.choices("ab.*+?()|[]$^\\d1", k=rng.randint(1, 9)))
        found = expression(text)
        if found is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                known = re.compile(text)
            except re.error:  # such as ^*
                continue
        for name in ("", "a", "ab", "ba", "aab", "b1", "1a.b", "aaaabbbb"):
            compared += 1

            assert (known.match(name) is not None) == found.matches(name), (text, name)
    assert compared > 5000


@pytest.mark.parametrize(
    "text", ["", "(?!x)a", "a{3}", "[", "(", ")", "*", "a**", "a$b", r"\bx", "(" * 60, "a" * 600]
)
def test_what_is_not_known_is_none(text: str) -> None:
    assert expression(text) is None


@pytest.mark.parametrize("text", ["(a+)+$", "(a|aa|aaa)*" * 20 + "$", "(a*)*(a*)*b", ".*" * 200])
def test_no_expression_takes_long(text: str) -> None:
    found = expression(text)
    assert found is not None

    begun = time.process_time()
    for number in range(20):
        found.matches("a" * 500 + "!" * number)
    assert time.process_time() - begun < 5

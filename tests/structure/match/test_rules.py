"""Rules of renaming, as two names tell them."""

from __future__ import annotations

import pytest

from ckptscan.structure.match.rules import rule_of


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("model.layers.w", "model.language_model.layers.w", "model. -> model.language_model."),
        ("transformer.h.w", "h.w", "prefix transformer. dropped"),
        ("h.w", "transformer.h.w", "prefix transformer. added"),
        ("a.self_attn.q.w", "a.attention.q.w", "self_attn. -> attention."),
        ("a.b.w", "a.w", "a.b. -> a."),
        ("a.b.c.w", "x.y.z.c.w", "a.b. -> x.y.z."),
    ],
)
def test_two_names_tell_the_rule(before: str, after: str, words: str) -> None:
    one, two = tuple(before.split(".")), tuple(after.split("."))
    rule = rule_of(one, two)

    assert words == str(rule)
    assert two == rule.renamed(one)


def test_a_rule_leaves_other_names_alone() -> None:
    rule = rule_of(("transformer", "h", "w"), ("h", "w"))

    assert ("wte", "w") == rule.renamed(("wte", "w"))
    assert ("x", "transformer", "w") == rule.renamed(("x", "transformer", "w"))

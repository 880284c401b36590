"""What a group's bytes are made of adds up to them."""

from __future__ import annotations

import re

import pytest

from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, Parallel, plan
from ckptscan.plan.parameters import Parameter
from ckptscan.plan.pieces import in_words
from tests.plan.measured import structure_of

PIECE = re.compile(r"(?:(\d+) x )?[\w.]+ ([\d,]+) B")


def total(formula: str) -> int:
    pieces = PIECE.findall(formula.partition(";")[0])
    return sum(int(times or 1) * int(size.replace(",", "")) for times, size in pieces)


def test_alike_ones_are_counted_and_small_ones_put_together() -> None:
    parameters = [Parameter(f"text:layers.{name}.weight", 10, "g") for name in "abcdef"] * 2

    assert {"g": "2 x a.weight 10 B + 2 x b.weight 10 B + 2 x c.weight 10 B + 2 x d.weight 10 B"
            " + others 40 B"} == in_words(parameters)  # fmt: skip


@pytest.mark.parametrize(
    ("model", "gpu", "tp"),
    [("deepseek-ai--DeepSeek-V3", "h200", 8), ("openai--gpt-oss-120b", "h100", 2),
     ("Qwen--Qwen2-VL-7B-Instruct", "h100", 1)],
)  # fmt: skip
def test_pieces_add_up_to_the_byte(model: str, gpu: str, tp: int) -> None:
    one = plan(structure_of(f"pack:{model}"), Ask(parse_devices(gpu), Parallel(tp=tp)))
    weights = [term for term in one.first.terms if term.part == "weights"]

    assert weights
    assert [term.nbytes for term in weights] == [total(term.formula) for term in weights]

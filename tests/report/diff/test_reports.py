"""Whole reports of diffs, as people and programs read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache

import pytest

from ckptscan.checkpoint import load
from ckptscan.diff import BESIDE, Diff, compare
from ckptscan.report.diff import FORMATS, Look, report
from ckptscan.structure import Structure, describe
from tests.conftest import ATTACKS, pack, structure_of
from tests.diff import making
from tests.diff.making import real, structure

PAIRS = {
    "gptq": ("meta-llama--Llama-3.1-8B", "hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4"),
    "awq": (
        "hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4",
        "hugging-quants--Meta-Llama-3.1-8B-Instruct-AWQ-INT4",
    ),
    "bnb": ("meta-llama--Llama-3.1-8B", "unsloth--Meta-Llama-3.1-8B-bnb-4bit"),
    "fp8": ("meta-llama--Llama-3.1-8B", "RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8"),
    "meta": ("meta-llama--Llama-3.1-8B", "meta-llama--Llama-3.1-8B-original"),
    "eight-parts": ("meta-llama--Llama-3.1-70B", "meta-llama--Llama-3.1-70B-original-mp8"),
    "tower": ("Qwen--Qwen2-7B", "Qwen--Qwen2-VL-7B-Instruct"),
    "deepseek": ("deepseek-ai--DeepSeek-V3", "microsoft--MAI-DS-R1"),
    "kimi": ("deepseek-ai--DeepSeek-V3", "moonshotai--Kimi-K2-Instruct"),
    "lora": ("meta-llama--Llama-3.1-8B", "example--Llama-3.1-8B-lora-r16"),
}
Golden = Callable[[str], None]


@cache
def described(name: str) -> Structure:
    return describe(load(pack(name), beside=BESIDE))


@cache
def diff_of(pair: str) -> Diff:
    one, two = PAIRS[pair]
    return compare(described(one), described(two))


def text_of(diff: Diff, width: int | None = 100) -> str:
    return "\n".join(report(diff, "text", Look(width=width))) + "\n"


@pytest.mark.parametrize("pair", PAIRS)
def test_the_report_of_a_pair(pair: str, golden: Golden) -> None:
    golden(text_of(diff_of(pair)))


@pytest.mark.parametrize("width", [80, 120])
def test_a_report_fits_the_terminal(width: int, golden: Golden) -> None:
    text = text_of(diff_of("bnb"), width)

    assert max(map(len, text.split("\n"))) <= width
    golden(text)


@pytest.mark.parametrize("format_name", ["json", "markdown"])
def test_a_report_in_a_format(format_name: str, golden: Golden) -> None:
    golden("\n".join(report(diff_of("gptq"), format_name, Look())) + "\n")


@pytest.mark.slow
def test_a_report_of_layers_that_were_cut(golden: Golden) -> None:
    model = real("Qwen--Qwen3-Next-80B-A3B-Instruct")
    cut = making.numbered(model, lambda n: n if n < 10 else None if n == 10 else n - 1)
    golden(text_of(compare(structure(model), structure(cut))))


def test_the_fields_of_the_contract_are_there() -> None:
    document = json.loads("\n".join(report(diff_of("gptq"), "json", Look())))

    assert "ckptscan.diff/1" == document["schema"]
    assert {"a", "b", "identical", "summary", "changes", "config", "files", "verdict"} <= {
        *document
    }
    assert {"kind", "a", "b", "indices", "tensors", "bytes", "evidence"} <= {
        *document["changes"][0]
    }
    assert {"key", "a", "b"} <= {*document["config"][0]}
    assert {"path", "status"} <= {*document["files"][0]}
    assert [
        "identical",
        "content",
        "cast",
        "requantized",
        "reshaped",
        "renamed",
        "restructured",
        "moved",
        "added",
        "removed",
        "auxiliary",
        "unproved",
    ] == list(document["summary"])


@pytest.mark.parametrize("only", ["structure", "content", "config"])
@pytest.mark.parametrize("format_name", FORMATS)
def test_only_a_part_is_told(only: str, format_name: str) -> None:
    text = "\n".join(report(diff_of("gptq"), format_name, Look(only)))

    assert ("qweight" in text or "{mlp,self" in text or "mlp,self" in text) == (only == "structure")
    assert ("damp" in text) == (only == "config")


def test_a_summary_alone_is_short() -> None:
    lines = list(report(diff_of("kimi"), "text", Look(stat=True, width=100)))

    assert 24 >= len(lines)


@pytest.mark.parametrize("format_name", FORMATS)
def test_nothing_hostile_reaches_a_report(format_name: str) -> None:
    from ckptscan.checkpoint import open_checkpoint

    one = describe(open_checkpoint(str(ATTACKS / "hostile-names.safetensors")))
    for two in (structure_of({"a": ("F32", [4])}), one):
        text = "\n".join(report(compare(one, two), format_name, Look()))

        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\x07" not in text


def test_a_hostile_config_is_escaped() -> None:
    model = ({"a": ("F32", (4,))}, {})
    one = structure(making.saying(model, x="\x1b[2J", y=1))
    two = structure(making.saying(model, x="|`<b>@all", y={"\x1b]0;": ["\u202e"]}))
    for format_name in ("text", "markdown"):
        text = "\n".join(report(compare(one, two), format_name, Look()))

        assert "\x1b" not in text
        assert "\u202e" not in text
        assert format_name == "text" or "<b>" not in text


def test_a_config_that_is_not_finite_is_json_all_the_same() -> None:
    model = ({"a": ("F32", (4,))}, {})
    one = structure(making.saying(model, x=float("nan"), y=[1.5, float("inf")]))
    two = structure(making.saying(model, x=1, y=[-float("inf")]))
    text = "\n".join(report(compare(one, two), "json", Look()))
    settings = json.loads(text, parse_constant=pytest.fail)["config"]

    assert [("nan", 1), ([1.5, "inf"], ["-inf"])] == [(each["a"], each["b"]) for each in settings]


@pytest.mark.slow
def test_many_odd_tensors_give_a_short_report() -> None:
    one = {f"x{chr(97 + n % 26)}{n}y.w": ("U8", (n + 1,)) for n in range(3000)}
    text = text_of(compare(structure((one, {})), structure(({"a": ("U8", (1,))}, {}))))

    assert 200 > text.count("\n")

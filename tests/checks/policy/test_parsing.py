"""A line of policy is read into what it asserts, or refused with the column and the nearest word."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.checks.policy import Rule, parse_rule, words
from ckptscan.checks.policy.values import (
    EVERYTHING,
    Amount,
    Assertion,
    Compared,
    Group,
    Limit,
    NoFiles,
    OfBits,
    OfDTypes,
    OfShape,
    Stated,
    Unwanted,
)
from ckptscan.errors import UsageError
from tests.conftest import WRITABLE

EXPERTS = words.GROUPS["experts"]
MLP = Group("model.layers.*.mlp.*", glob="model.layers.*.mlp.*")


def amount(value: int | Fraction, text: str, step: int | Fraction = 0) -> Amount:
    return Amount(Fraction(value), Fraction(step), text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("experts are F8_E4M3", OfDTypes(EXPERTS, ("F8_E4M3",))),
        ("experts are bf16 or float16", OfDTypes(EXPERTS, ("BF16", "F16"))),
        ("all are fp8 or BF16", OfDTypes(EVERYTHING, ("F8_E4M3", "F8_E5M2", "BF16"))),
        ("shared experts are BF16", OfDTypes(words.GROUPS["shared experts"], ("BF16",))),
        ("lm_head is BF16", OfDTypes(words.GROUPS["lm_head"], ("BF16",))),
        ('"model.layers.*.mlp.*" are 4 bits', OfBits(MLP, 4)),
        ("'model.layers.*.mlp.*' tensors are 4 bits", OfBits(MLP, 4)),
        ("norms have shape [7168]", OfShape(words.GROUPS["norms"], (7168,))),
        ("routers have shape [256, *]", OfShape(words.GROUPS["routers"], (256, None))),
        ("scales have shape []", OfShape(words.GROUPS["scales"], ())),
        (
            "no F32 over 1 % of bytes",
            Unwanted(EVERYTHING, ("F32",), Limit(amount(1, "1"), "bytes")),
        ),
        ("no F32 over 0.5%", Unwanted(EVERYTHING, ("F32",), Limit(amount(Fraction(1, 2), "0.5"), "bytes"))),
        (
            "no F32 in experts over 2 GiB",
            Unwanted(EXPERTS, ("F32",), Limit(amount(2 << 30, "2 GiB", 1 << 30))),
        ),
        ("no F64 or I64", Unwanted(EVERYTHING, ("F64", "I64"))),
        ("no F32 tensors in experts", Unwanted(EXPERTS, ("F32",))),
        ("no biases", Unwanted(words.GROUPS["biases"])),
        ('no "*.lora_A.*" tensors', Unwanted(Group("*.lora_A.*", glob="*.lora_A.*"))),
        ("no pickle files", NoFiles("pickle files")),
        ("no remote code", NoFiles("remote code")),
        ('no files "*.py"', NoFiles("files", "*.py")),
        ("parameters = 57,408,658,944", Compared("parameters", "=", amount(57_408_658_944, "57,408,658,944"))),
        ("parameters is 57_408_658_944", Compared("parameters", "=", amount(57_408_658_944, "57_408_658_944"))),
        (
            "parameters = 8.03 B",
            Compared("parameters", "=", amount(8_030_000_000, "8.03 B", 10_000_000)),
        ),
        ("active parameters at most 40 B", Compared("active parameters", "<=", amount(40 * 10**9, "40 B", 10**9))),
        ("tensors of norms >= 61", Compared("tensors", ">=", amount(61, "61"), None, words.GROUPS["norms"])),
        (
            "bytes of experts between 1 GiB and 2 TiB",
            Compared(
                "bytes",
                "between",
                amount(1 << 30, "1 GiB", 1 << 30),
                amount(2 << 40, "2 TiB", 1 << 40),
                EXPERTS,
            ),
        ),
        ("experts = 256", Compared("experts", "=", amount(256, "256"))),
        ("kv heads is at least 8", Compared("kv heads", ">=", amount(8, "8"))),
        ("layers != 61", Compared("layers", "!=", amount(61, "61"))),
        ("quantization = gptq 4 bits", Stated("quantization", "gptq", 4)),
        ("architecture = LlamaForCausalLM", Stated("architecture", "llamaforcausallm")),
        ("model type = 'qwen2_moe'", Stated("model type", "qwen2_moe")),
        ("attention = GQA", Stated("attention", "gqa")),
        ("attention are BF16", OfDTypes(words.GROUPS["attention"], ("BF16",))),
    ],
)  # fmt: skip
def test_a_line_says_what_it_asserts(text: str, expected: Assertion) -> None:
    assert expected == parse_rule(text).assertion


def test_severity_and_reason_stand_around_it() -> None:
    expected = Rule(
        "no biases", Unwanted(words.GROUPS["biases"]), "warning", "it's 100 % clear: no"
    )

    assert expected == parse_rule("warning: no biases because it's 100 % clear: no")
    assert "info" == parse_rule("warning: no biases", "info").severity
    assert ("error", "") == parse_rule("no biases")[2:4]


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("expert are F8_E4M3", "column 1 ", "did you mean experts?"),
        ("experts are F8_E4M", "column 13 ", "did you mean f8_e4m3?"),
        ("experts are BF16 or", "not 'the end'", "bf16"),
        ("experts BF16", "column 9 ", "are"),
        ("experts are", "column 12 ", "bf16"),
        ("norms have [7168]", "column 12 ", "did you mean shape?"),
        ("norms have shape 7168", "as [4096, *]", "README"),
        ("norms have shape [-1]", "column 18 ", "README"),
        ("no bias", "column 4 ", "did you mean biases?"),
        ("no F32 over 1 % of byte", "column 20 ", "did you mean bytes?"),
        ("no F32 over 1", "% or a unit", "%"),
        ("no F32 over 1 B", "a unit", "GiB"),
        ("no files *.py", "column 10 ", "README"),
        ("no files py", "a glob", "README"),
        ("bytes <= 100 B", "a unit that fits", "GB"),
        ("layers of experts = 3", "only parameters", "README"),
        ("parameters = many", "a number", "README"),
        ("parameters between 3 or 4", "expected and", "and"),
        ("experts are 4.5 bits", "a whole number", "README"),
        ("parameters = 3 because", "", ""),
        ("no biases and no F32", "the end, or because", ""),
        ("experts are 4 F32", "column 15 ", ""),
        ("quantization = gptq 4", "expected bits", ""),
        ("quantization = 4", "a value of quantization", ""),
        ("experts 3", "are, have", ""),
        ("parameters at 3", "a comparison", ""),
        ("severe: no biases", "a severity", "warning"),
        ("quantization >= gptq", "expected =", "did"),
        ('"" are BF16', "a glob", "README"),
        ("no biases ; no F32", "';' has no meaning", "README"),
        ("", "a line of 0 characters", "one line"),
        ("no biases\nno F32", "a line of", "one line"),
        ("x" * 1001, "a line of 1,001", "one line"),
    ],
)
def test_what_is_none_is_refused_with_its_place(text: str, place: str, hint: str) -> None:
    if not place:
        assert "" == parse_rule(text).reason
        return
    with pytest.raises(UsageError) as caught:
        parse_rule(text)

    assert place in caught.value.message


KNOWN = [
    *words.GROUPS, *words.FIGURES, *words.FACTS, *words.DTYPE_WORDS, *words.COUNTS, *words.SIZES,
    *"no are is have shape over % of in or and = < >= at most least between 1 4 0.5 7,168 [1,*] []".split(),
    *"pickle files remote code tensors bits : because error warning".split(), '"a.*"', "'*.py'",
]  # fmt: skip


@given(st.one_of(st.text(WRITABLE), st.lists(st.sampled_from(KNOWN), max_size=9).map(" ".join)))
def test_any_text_is_a_rule_or_a_usage_error(text: str) -> None:
    try:
        rule = parse_rule(text)
    except UsageError:
        return

    assert parse_rule(rule.text).assertion == rule.assertion

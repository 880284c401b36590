"""What a policy asserts, held against small models and real ones."""

from __future__ import annotations

import pytest

from ckptscan.checks import Finding, Given, audit
from ckptscan.checks.policy import parse_rule
from ckptscan.config import AUDITED
from ckptscan.structure import Structure
from tests.checks.looking import CONFIG, float8, gptq, llama, mixture
from tests.conftest import checkpoint_of, packed, unheld


def findings(structure: Structure, *lines: str) -> tuple[Finding, ...]:
    done = audit(structure, ["P"], given=Given(policy=tuple(map(parse_rule, lines))))

    assert () == done.crashed
    return done.findings


def codes(structure: Structure, *lines: str) -> list[str]:
    return [f"{one.code} {one.severity}" for one in findings(structure, *lines)]


DENSE = unheld(llama(), config=CONFIG)
MIXED = unheld(mixture())
FP8 = unheld(float8(llama()))
GPTQ = unheld(gptq(llama()))
OPEN = unheld({"a.q_proj.qweight": ("I32", [8, 64]), "b.w": ("F32", [2])})
HEAD = unheld({**llama(), "lm_head.weight": ("F32", [1024, 64])})


CASES = [
        pytest.param(DENSE, "all are BF16", [], id="P001-dtype-kept"),
        pytest.param(HEAD, "all are BF16", ["P001 error"], id="P001-dtype"),
        pytest.param(HEAD, "warning: all are BF16", ["P001 warning"], id="P001-severity"),
        pytest.param(HEAD, "lm_head is F32", [], id="P001-role"),
        pytest.param(MIXED, "experts are BF16", [], id="P001-experts"),
        pytest.param(MIXED, "experts are F8_E4M3", ["P001 error"], id="P001-experts-of-other-dtype"),
        pytest.param(DENSE, "experts are BF16", ["P002 warning"], id="P002-no-experts"),
        pytest.param(FP8, "mlp are 8 bits", [], id="P001-bits-of-FP8"),
        pytest.param(GPTQ, '"*.mlp.*" are 4 bits', [], id="P001-bits-unpacked,-without-scales"),
        pytest.param(GPTQ, "all are 4 bits", ["P001 error"], id="P001-bits-of-the-rest"),
        pytest.param(DENSE, "scales are 8 bits", ["P002 warning"], id="P002-bits-of-nothing"),
        pytest.param(DENSE, "norms have shape [64]", [], id="P001-shape"),
        pytest.param(DENSE, "norms have shape [*]", [], id="P001-shape-of-any-length"),
        pytest.param(DENSE, "mlp have shape [256, 64]", ["P001 error"], id="P001-shape-of-the-others"),
        pytest.param(GPTQ, '"*.gate_proj.*weight" have shape [256, 64]', [], id="P001-shape-unpacked"),
        pytest.param(DENSE, "buffers have shape [1]", ["P002 warning"], id="P002-shape-of-nothing"),
        pytest.param(DENSE, "no F32", [], id="P001-no-F32"),
        pytest.param(HEAD, "no F32", ["P001 error"], id="P001-some-F32"),
        pytest.param(HEAD, "no F32 over 50 % of bytes", [], id="P001-within-the-limit"),
        pytest.param(HEAD, "no F32 over 1 % of bytes", ["P001 error"], id="P001-over-the-limit"),
        pytest.param(HEAD, "no F32 over 2 % of tensors", [], id="P001-tensors-within-the-limit"),
        pytest.param(HEAD, "no F32 over 1 % of parameters", ["P001 error"], id="P001-of-parameters"),
        pytest.param(HEAD, "no F32 over 1 GiB", [], id="P001-a-limit-in-bytes"),
        pytest.param(HEAD, "no F32 over 1 KiB", ["P001 error"], id="P001-over-a-limit-in-bytes"),
        pytest.param(HEAD, "no F32 in mlp", [], id="P001-in-a-group"),
        pytest.param(HEAD, "no F32 in experts", ["P002 warning"], id="P002-in-a-group-of-nothing"),
        pytest.param(HEAD, "no lm_head over 90 % of bytes", [], id="P001-a-group-within-its-share"),
        pytest.param(DENSE, "no biases", [], id="P002-no-biases"),
        pytest.param(DENSE, 'no "model.layers.3.*" tensors', ["P001 error"], id="P001-a-pattern"),
        pytest.param(DENSE, 'no "model.layers.9.*" tensors', [], id="P002-no-such-layer"),
        pytest.param(DENSE, 'no "model.layers.?.mlp.*"', ["P001 error"], id="P001-name-by-name"),
        pytest.param(DENSE, '"x.*" are BF16', ["P002 warning"], id="P002-no-such-tensor"),
        pytest.param(DENSE, "layers = 8", [], id="P001-layers"),
        pytest.param(DENSE, "layers = 9", ["P001 error"], id="P001-other-layers"),
        pytest.param(DENSE, "heads = 8", [], id="P001-heads"),
        pytest.param(DENSE, "kv heads between 1 and 2", [], id="P001-kv-heads"),
        pytest.param(DENSE, "head dim != 8", ["P001 error"], id="P001-head-dim"),
        pytest.param(DENSE, "vocabulary = 1,024", [], id="P001-vocabulary"),
        pytest.param(DENSE, "hidden size < 64", ["P001 error"], id="P001-hidden-size"),
        pytest.param(DENSE, "parameters = 607,296", [], id="P001-parameters"),
        pytest.param(DENSE, "parameters = 0.61 M", [], id="P001-parameters-to-two-digits"),
        pytest.param(DENSE, "parameters = 0.62 M", ["P001 error"], id="P001-other-parameters"),
        pytest.param(DENSE, "active parameters = 607,296", [], id="P001-all-are-active"),
        pytest.param(DENSE, "elements of norms = 1,088", [], id="P001-elements-of-a-group"),
        pytest.param(DENSE, "bytes of experts > 1 GiB", ["P002 warning"], id="P002-of-nothing"),
        pytest.param(MIXED, "experts = 8", [], id="P001-experts-counted"),
        pytest.param(DENSE, "experts = 0", [], id="P002-no-experts-counted"),
        pytest.param(MIXED, "experts per token <= 2", ["P002 warning"], id="P002-not-told"),
        pytest.param(DENSE, "shards = 1", [], id="P001-shards"),
        pytest.param(DENSE, "largest shard > 5 GiB", ["P001 error"], id="P001-largest-shard"),
        pytest.param(DENSE, "attention = GQA", [], id="P001-attention"),
        pytest.param(DENSE, "attention = MLA", ["P001 error"], id="P001-other-attention"),
        pytest.param(GPTQ, "quantization = gptq 4 bits", [], id="P001-quantization"),
        pytest.param(GPTQ, "quantization = gptq 8 bits", ["P001 error"], id="P001-other-bits"),
        pytest.param(DENSE, "quantization = none", [], id="P001-not-quantized"),
        pytest.param(DENSE, "architecture = LlamaForCausalLM", [], id="P001-architecture"),
        pytest.param(MIXED, "model type = llama", ["P002 warning"], id="P002-no-config"),
        pytest.param(DENSE, "format = safetensors", [], id="P001-format"),
        pytest.param(OPEN, "all are 4 bits", ["P002 warning"], id="P002-bits-not-told"),
        pytest.param(OPEN, "parameters > 0", ["P002 warning"], id="P002-parameters-not-told"),
        pytest.param(OPEN, "parameters of all > 0", ["P002 warning"], id="P002-nor-of-a-group"),
        pytest.param(OPEN, "no F32 over 1 % of parameters", ["P002 warning"], id="P002-nor-a-share"),
        pytest.param(OPEN, 'no "b.*" over 1 % of bytes', [], id="P002-a-glob-within-its-share"),
        pytest.param(OPEN, "layers = 3", ["P002 warning"], id="P002-no-layers"),
        pytest.param(DENSE, "layers between 1 and 3", ["P001 error"], id="P001-not-between"),
    ]  # fmt: skip


@pytest.mark.parametrize(("structure", "line", "expected"), CASES)
def test_a_rule(structure: Structure, line: str, expected: list[str]) -> None:
    assert expected == codes(structure, line)


FILES = {
    "model.safetensors": llama(range(1)),
    "model.bin": b"x",
    "a/run.py": b"",
    "config.json": b"{}",
}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("no pickle files", ["P001 error"]),
        ("no remote code", ["P001 error"]),
        ('no files "*.py"', ["P001 error"]),
        ('no files "*.gguf"', []),
        ("files = 4", []),
        ("format = safetensors", ["P001 error"]),
    ],
)
def test_a_rule_of_files(line: str, expected: list[str]) -> None:
    structure = checkpoint_of(FILES, beside=AUDITED)
    done = audit(structure, ["P"], given=Given(policy=(parse_rule(line),)))

    assert expected == [f"{one.code} {one.severity}" for one in done.findings]


def test_a_broken_rule_says_where_what_and_why() -> None:
    (finding,) = findings(MIXED, "experts are F8_E4M3 because the kernels want it")

    assert "policy: experts are F8_E4M3: expected F8_E4M3, seen BF16" == finding.message
    assert "the kernels want it" == finding.hint
    assert "inferred" == finding.confidence
    assert {
        "rule": "experts are F8_E4M3",
        "expected": "F8_E4M3",
        "seen": "BF16",
    } == finding.evidence
    assert 7 * 8 * 3 == sum(where.count for where in finding.where)
    assert ("1-7", "0-7") == finding.where[0].indices


@pytest.mark.parametrize(
    ("model", "lines"),
    [
        (
            "deepseek-ai--DeepSeek-V3",
            (
                "experts are F8_E4M3",
                "no F32 over 1 % of bytes",
                "parameters = 684.49 B",
                "layers = 61",
                "experts = 256",
                "experts per token = 8",
                "attention = MLA",
                "routed experts are 8 bits",
                "no pickle files",
                "norms are BF16",
                "shards = 163",
                "routers are BF16",
            ),
        ),
        (
            "Qwen--Qwen2-57B-A14B-Instruct",
            (
                "parameters = 57,408,658,944",
                "active parameters = 14.25 B",
                "all are BF16",
                "experts = 64",
                "heads = 28",
                "kv heads = 4",
                "quantization = none",
            ),
        ),
        ("openai--gpt-oss-120b", ("experts are 4 bits", "biases are BF16", "no F32")),
        (
            "Qwen--Qwen3-Next-80B-A3B-Instruct",
            ("heads = 16", "kv heads = 2", "head dim = 256", "layers = 48"),
        ),
        (
            "hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4",
            ("quantization = gptq 4 bits", "mlp are 4 bits", "layers = 32", "parameters = 8.03 B"),
        ),
    ],
)
def test_true_rules_of_real_models_hold(model: str, lines: tuple[str, ...]) -> None:
    done = audit(packed(model), ["P"], given=Given(policy=tuple(map(parse_rule, lines))))

    assert [] == [finding.message for finding in done.findings]


def test_without_a_policy_the_checks_are_skipped() -> None:
    done = audit(DENSE, ["P"])

    assert () == done.run
    assert "asks for a policy in the settings" in {skip.reason for skip in done.skipped}

"""Audits with findings of every kind, for tests of their reports."""

from __future__ import annotations

from ckptscan.checks import Audit, Crash, Finding, Skip, Where
from tests.checks.making import ONE
from tests.conftest import structure_of

EVIL = "a\x1b]0;x\x07\r\n::error::owned,%0A<script>|`[x](http://evil)`\u202e"
FINDINGS = (
    Finding(
        "H008",
        "offset-gap",
        "error",
        "proved",
        "4 bytes before 'b' belong to no tensor",
        (Where("model.safetensors", "b", byte=61),),
        {"expected": 0, "seen": 4},
        "write the file anew",
    ),
    Finding(
        "X005", "hidden-characters", "error", "proved", EVIL, (Where(EVIL, EVIL),), {EVIL: EVIL}
    ),
    Finding(
        "H012",
        "empty-tensor",
        "warning",
        "inferred",
        "309 of 851 tensors have no element",
        (
            Where(None, None, "layers.*.mlp.experts.*.up.weight", ("0-2,4,6,8,10-60", "0-63"), 300),
            *(Where(f"model-{n}.safetensors") for n in range(5)),
        ),
        {"expected": [64, 8], "seen": {"a": 1, "b": None}},
    ),
    Finding("E005", "second-format", "info", "inferred", "a remark", hint="a hint"),
)


def audit_with(*findings: Finding, crashed: bool = False) -> Audit:
    """An audit of a small file that found these."""
    crash = (Crash("S001", "KeyError: 'x\x1b'", "traceback"),) if crashed else ()
    run = ("H008", "H012", "X005", "E005")
    skipped = (Skip("I001", "ignored"),)
    return Audit(structure_of(ONE), findings, run, skipped, crash)

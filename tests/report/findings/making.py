"""Audits with findings of every kind, for tests of their reports."""

from __future__ import annotations

from ckptscan.checks import Amiss, Audit, Crash, Finding, Proof, Skip, Where
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


# hostile names may stand in any place of a proof, and in its reasons
PROOF = Proof(
    verdict="differs",
    reason="",
    promised=1290,
    kept=1287,
    index=1290,
    headers=1288,
    shaped=1200,
    nbytes=1 << 40,
    shaped_bytes=1 << 39,
    lacking_bytes=4096,
    missing=(
        Amiss(Where(pattern="layers.*.q_norm.weight", indices=("2-3,5",), count=3), "why"),
        Amiss(Where(EVIL, EVIL), EVIL),
        *(Amiss(Where(f"model-{n}.safetensors"), "the file is not there") for n in range(4)),
    ),
    unexpected=(Amiss(Where(), "config says num_nextn_predict_layers 0"),),
    mis_shaped=(Amiss(Where(tensor="lm_head.weight"), "vocab_size 7, hidden_size 64"),),
)


def audit_with(*findings: Finding, crashed: bool = False) -> Audit:
    """An audit of a small file that found these."""
    crash = (Crash("S001", "KeyError: 'x\x1b'", "traceback"),) if crashed else ()
    run = ("H008", "H012", "X005", "E005")
    skipped = (Skip("I001", "ignored"),)
    return Audit(structure_of(ONE), findings, run, skipped, crash, proof=PROOF)

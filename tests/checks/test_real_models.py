"""Precision: real header sets, and what is truly wrong with them."""

from __future__ import annotations

import pytest

from ckptscan.checkpoint import load
from ckptscan.checks import audit
from ckptscan.config import AUDITED
from tests.conftest import PACKS, pack

MODELS = sorted(path.stem for path in PACKS.glob("*.ckptpack"))
FAMILIES = ("H", "I", "X", "E")
# every finding of these families that is no remark, and why it is true
TRUE = {
    "deepseek-ai--DeepSeek-V2-Lite": {"X003": "its config names modeling_deepseek.py"},
    "deepseek-ai--DeepSeek-V3": {
        "E001": "124 of 163 headers are not padded",
        "I005": "total_size is that of the model in BF16",
        "X003": "its config names modeling_deepseek.py",
    },
    "google-t5--t5-base": {"E001": "an old writer did not pad the header"},
    "microsoft--MAI-DS-R1": {"X003": "its config names modeling_deepseek.py"},
    "mistralai--Mistral-7B-Instruct-v0.3": {"I007": "a second copy, consolidated.safetensors"},
    "moonshotai--Kimi-K2-Instruct": {"X003": "its config names modeling_deepseek.py"},
}


@pytest.mark.parametrize("model", MODELS)
def test_only_what_is_true_is_found(model: str) -> None:
    done = audit(load(pack(model), beside=AUDITED), FAMILIES)
    grave = {finding.code for finding in done.findings if finding.severity != "info"}

    assert () == done.crashed
    assert 0 == done.count("error")
    assert TRUE.get(model, {}).keys() == grave

"""E002, E005."""

from __future__ import annotations

import pytest

from tests.checks.making import ONE, findings_of
from tests.conftest import Tensors

TABLES: Tensors = {
    "model.embed_tokens.weight": ("F32", [64, 8]),
    "lm_head.weight": ("F32", [64, 8]),
}
FILE = "model.safetensors"


def tied(flag: bool) -> dict[str, object]:
    config = {"architectures": ["LlamaForCausalLM"], "tie_word_embeddings": flag}
    return {FILE: TABLES, "config.json": config}


CASES = [
    pytest.param("E002", tied(flag=False), 0, id="E002-untied"),
    pytest.param("E002", tied(flag=True), 1, id="E002-tied"),
    pytest.param("E005", {FILE: ONE, "optimizer.pt": b"x"}, 0, id="E005-training-state"),
    pytest.param("E005", {FILE: ONE, "README.md": b"x"}, 0, id="E005-other-files"),
    pytest.param("E005", {FILE: ONE, "pytorch_model.bin": b"x"}, 1, id="E005-pickle"),
    pytest.param("E005", {FILE: ONE, "model.fp16.safetensors": ONE}, 1, id="E005-variant"),
]


@pytest.mark.parametrize(("code", "files", "count"), CASES)
def test_what_is_found(code: str, files: dict[str, object], count: int) -> None:
    assert count == len(findings_of(files, code))

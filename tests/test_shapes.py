"""The builder of header sets against real headers: same names, dtypes and shapes."""

from __future__ import annotations

import pytest

from fixtures.shapes import build, configs
from tests.conftest import packed

QWEN_MOE = {"moe": "qwen", "qk_norm": True}
GPT_OSS = {"qkv_bias": True, "o_bias": True, "sinks": True, "moe": "mxfp4"}


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        ("meta-llama--Llama-3.1-8B", {}),
        ("meta-llama--Llama-3.2-1B", {}),
        ("Qwen--Qwen2-7B", {"qkv_bias": True}),
        ("Qwen--Qwen3-8B", {"qk_norm": True}),
        ("Qwen--Qwen3-30B-A3B", QWEN_MOE),
        ("mistralai--Mixtral-8x7B-v0.1", {"moe": "mixtral"}),
        ("openai--gpt-oss-120b", GPT_OSS),
        ("hugging-quants--Meta-Llama-3.1-8B-Instruct-AWQ-INT4", {"quant": "awq", "plain": "F16"}),
        ("RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8-dynamic", {"quant": "fp8-channel"}),
    ],
)
def test_a_built_header_is_the_real_one(model: str, shape: dict[str, object]) -> None:
    checkpoint = packed(model).checkpoint
    config = {**checkpoint.config.documents["config.json"], "_shape": shape}
    plain = str(shape.get("plain", "BF16"))
    built = {
        (name, plain if dtype == "BF16" else dtype, tuple(dims))
        for name, (dtype, dims) in build(config).items()
    }

    assert {(t.name, t.dtype.name, t.shape) for t in checkpoint.table} == built


def test_every_config_says_where_it_is_from() -> None:
    for config in configs().values():
        source = str(config["_source"])
        assert source.startswith(("config.json of ", "what llama.cpp prints of "))
        assert build({**config, "num_hidden_layers": 1, "text_config": {
            **_text(config), "num_hidden_layers": 1}})  # fmt: skip


def _text(config: dict[str, object]) -> dict[str, object]:
    text = config.get("text_config")
    return text if isinstance(text, dict) else {}

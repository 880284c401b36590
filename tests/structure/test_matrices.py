"""Linear, Embedding, Conv1D and Router, by names and shapes."""

from __future__ import annotations

import pytest

from ckptscan.structure.classes import Around, Shape, classify
from tests.structure.measure_classes import Shapes, of

MATRICES = [
    (
        "model.layers.*.self_attn.q_proj",
        (2560, 3584),
        None,
        "Linear(in_features=3584, out_features=2560, bias=False) inferred",
    ),
    (
        "model.layers.*.self_attn.q_proj",
        (2560, 3584),
        (2560,),
        "Linear(in_features=3584, out_features=2560, bias=True) exact",
    ),
    (
        "encoder.layer.*.attention.self.query",
        (768, 768),
        (768,),
        "Linear(in_features=768, out_features=768, bias=True) inferred",
    ),
    ("fusion", (768, 768), (768,), "Linear(in_features=768, out_features=768, bias=True) assumed"),
    (
        "lm_head",
        (151936, 3584),
        None,
        "Linear(in_features=3584, out_features=151936, bias=False) inferred",
    ),
    (
        "embed_out",
        (50432, 6144),
        None,
        "Linear(in_features=6144, out_features=50432, bias=False) inferred",
    ),
    ("model.embed_tokens", (151936, 3584), None, "Embedding(151936, 3584) inferred"),
    ("embeddings.LayerWordEmb", (99, 8), None, "Embedding(99, 8) inferred"),
    ("embeddings.word", (99, 8), None, "Embedding(99, 8) inferred"),
    ("encoder.word", (99, 8), None, "Linear(in_features=8, out_features=99, bias=False) assumed"),
    ("transformer.wpe", (1024, 768), None, "Embedding(1024, 768) inferred"),
    ("shared", (32128, 768), None, "Embedding(32128, 768) inferred"),
    ("mask_decoder.mask_tokens", (4, 256), None, "Embedding(4, 256) inferred"),
    ("decoder.query_feat", (100, 256), None, "Embedding(100, 256) inferred"),
    (
        "layers.*.attn.query",
        (256, 300),
        None,
        "Linear(in_features=300, out_features=256, bias=False) inferred",
    ),
    ("SelfAttention.relative_attention_bias", (32, 12), None, "Embedding(32, 12) inferred"),
    (
        "encoder.rel_pos_bias",
        (12, 32),
        None,
        "Linear(in_features=32, out_features=12, bias=False) assumed",
    ),
    (
        "visual.patch_embed",
        (1024, 588),
        None,
        "Linear(in_features=588, out_features=1024, bias=False) assumed",
    ),
    ("visual.patch_position_embedding", (256, 64), None, "Embedding(256, 64) inferred"),
    (
        "model.embedding_projection",
        (64, 32),
        None,
        "Linear(in_features=32, out_features=64, bias=False) inferred",
    ),
    (
        "ensemble.member",
        (64, 32),
        None,
        "Linear(in_features=32, out_features=64, bias=False) assumed",
    ),
    ("tables.*", (64, 32), None, "Linear(in_features=32, out_features=64, bias=False) assumed"),
    ("codebook_embeds.*", (64, 32), None, "Embedding(64, 32) inferred"),
    ("*.*", (64, 32), None, "Linear(in_features=32, out_features=64, bias=False) assumed"),
    ("h.*.attn.c_attn", (768, 2304), (2304,), "Conv1D(nf=2304, nx=768) exact"),
    ("q_proj", (64, 32), (16,), None),
    ("q_proj", (64, 32), (64, 1), None),
]


@pytest.mark.parametrize(("path", "weight", "bias", "expected"), MATRICES)
def test_a_matrix_is_a_linear_or_a_table(
    path: str, weight: Shape, bias: Shape | None, expected: str | None
) -> None:
    leaves = {"weight": weight} | ({"bias": bias} if bias else {})

    assert expected == of(path, **leaves)


def test_a_square_conv1d_is_known_by_those_beside_it() -> None:
    transposed: Shapes = {"weight": (768, 2304), "bias": (2304,)}
    linear: Shapes = {"weight": (2304, 768), "bias": (2304,)}
    square: Shapes = {"weight": (768, 768), "bias": (768,)}

    assert "Conv1D(nf=768, nx=768) inferred" == of("attn.c", Around({"a": transposed}), **square)
    for beside in ({"a": linear}, {"a": transposed, "b": linear}, {"a": square}, {"a": {}}):
        told = of("attn.c", Around(beside), **square)
        assert "Linear(in_features=768, out_features=768, bias=True) assumed" == told


ROUTERS: list[tuple[str, Shapes, dict[str, Shapes], str]] = [
    ("mlp.gate", {"weight": (16, 2048)}, {"experts": {}}, "Router"),
    ("mlp.router", {"weight": (16, 2048)}, {"shared_expert": {}}, "Router"),
    ("moe.router", {"weight": (16, 64)}, {"input_linear": {"weight": (16, 128, 64)}}, "Router"),
    ("mlp.gate", {"weight": (16, 64), "e_score_correction_bias": (16,)}, {}, "Router"),
    ("mlp.gate", {"weight": (16, 2048)}, {"up_proj": {"weight": (64, 2048)}}, "Linear"),
    ("mlp.gate", {"weight": (4096, 2048)}, {"experts": {}}, "Linear"),
    ("mlp.gate_proj", {"weight": (16, 2048)}, {"experts": {}}, "Linear"),
]


@pytest.mark.parametrize(("path", "leaves", "beside", "expected"), ROUTERS)
def test_a_router_is_a_gate_of_experts(
    path: str, leaves: Shapes, beside: dict[str, Shapes], expected: str
) -> None:
    found = classify(path.split("."), leaves, Around(beside))

    assert found is not None
    assert expected == found.name

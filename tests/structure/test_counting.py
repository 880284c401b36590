"""How many parameters: each figure by hand, and sums that hold for any tensors."""

from __future__ import annotations

import pytest
from hypothesis import given

from ckptscan.structure import describe
from tests.conftest import Tensors, checkpoint_of, structure_of, unheld
from tests.structure.drawing import tensors_of

H, V = 4, 90
TABLE: Tensors = {"model.embed_tokens.weight": ("BF16", [V, H])}
HEAD: Tensors = {"lm_head.weight": ("BF16", [V, H])}
BODY: Tensors = {"model.layers.0.mlp.up_proj.weight": ("BF16", [H, H])}
LM = ["XForCausalLM"]
# tensors, config -> logical, embedding, lm_head, tied, its label
TIES = {
    "no table": (BODY, {}, (16, 0, 0, False, "exact")),
    "a head, config silent": (
        TABLE | HEAD | BODY, {}, (736, 360, 360, False, "inferred"),
    ),
    "a head of its own": (
        TABLE | HEAD | BODY, {"tie_word_embeddings": False}, (736, 360, 360, False, "exact"),
    ),
    "a head stored though tied": (
        TABLE | HEAD | BODY, {"tie_word_embeddings": True},
        (376, 360, 0, "stored-twice", "config"),
    ),
    "a head of another shape, though tied": (
        TABLE | {"lm_head.weight": ("BF16", [V + 2, H])}, {"tie_word_embeddings": True},
        (728, 360, 368, False, "inferred"),
    ),
    "a head alone": (HEAD, {}, (360, 0, 360, False, "inferred")),
    "left out, declared": (
        TABLE | BODY, {"tie_word_embeddings": True, "architectures": LM},
        (376, 360, 0, True, "config"),
    ),
    "left out, declared without a class": (
        TABLE | BODY, {"tie_word_embeddings": True}, (376, 360, 0, True, "config"),
    ),
    "declared of a model that has no head": (
        TABLE | BODY, {"tie_word_embeddings": True, "architectures": ["XModel"]},
        (376, 360, 0, False, "config"),
    ),
    "left out, declared otherwise": (
        TABLE | BODY, {"tie_word_embeddings": False, "architectures": LM},
        (376, 360, 0, False, "config"),
    ),
    "left out, by its class": (
        TABLE | BODY, {"architectures": LM}, (376, 360, 0, True, "assumed"),
    ),
    "a class without a head": (
        TABLE | BODY, {"architectures": ["XModel"]}, (376, 360, 0, False, "assumed"),
    ),
    "left out, nothing is known": (TABLE | BODY, {}, (376, 360, 0, None, "unknown")),
    "the shared table three times": (
        {f"{name}.weight": ("F32", [V, H])
         for name in ("shared", "encoder.embed_tokens", "decoder.embed_tokens")},
        {}, (360, 360, 0, "stored-twice", "inferred"),
    ),
    "another table beside the shared one": (
        {"shared.weight": ("F32", [V, H]), "encoder.embed_tokens.weight": ("F32", [V + 9, H])},
        {}, (360 + 396, 756, 0, None, "unknown"),
    ),
    "the shared table twice, and the head": (
        {f"{name}.weight": ("F32", [V, H])
         for name in ("shared", "encoder.embed_tokens", "lm_head")},
        {"tie_word_embeddings": True}, (360, 360, 0, "stored-twice", "config"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tensors", "config", "expected"), TIES.values(), ids=TIES)
def test_a_head_and_its_embedding(
    tensors: Tensors, config: dict[str, object], expected: tuple[object, ...]
) -> None:
    found = unheld(tensors, config=config).parameters

    assert expected == (
        found.logical, found.embedding, found.lm_head, found.tied, found.labels["tied"],
    )  # fmt: skip
    assert expected[0] == found.embedding + found.lm_head + (found.non_embedding or 0)


def test_a_bias_that_stands_in_head_and_decoder_is_counted_once() -> None:
    found = structure_of(
        {
            "bert.embeddings.word_embeddings.weight": ("F32", [V, H]),
            "cls.predictions.decoder.weight": ("F32", [V, H]),
            "cls.predictions.decoder.bias": ("F32", [V]),
            "cls.predictions.bias": ("F32", [V]),
        }
    ).parameters

    assert 2 * V * H + V == found.logical


def test_what_is_no_parameter_is_counted_apart() -> None:
    found = structure_of(
        {
            "a.weight": ("F8_E4M3", [8, 8]),
            "a.weight_scale_inv": ("F32", [1, 1]),
            "a.position_ids": ("I64", [1, 5]),
            "rotary_emb.inv_freq": ("F32", [3]),
        }
    ).parameters

    assert (64, 73, 8, 1) == (
        found.logical, found.stored_elements, found.buffers, found.quantization,
    )  # fmt: skip


def test_the_bias_of_a_router_is_counted_and_shown() -> None:
    gate = "model.layers.0.mlp.gate"
    found = structure_of(
        {f"{gate}.weight": ("F32", [4, 16]), f"{gate}.e_score_correction_bias": ("F32", [4])}
    ).parameters

    assert (4, 68) == (found.routing_bias, found.logical)


def test_drafts_count_with_their_own_tables() -> None:
    joints: Tensors = {
        f"model.layers.1.{name}.weight": spec
        for name, spec in (
            ("enorm", ("BF16", [H])),
            ("hnorm", ("BF16", [H])),
            ("embed_tokens", ("BF16", [V, H])),
            ("shared_head.head", ("BF16", [V, H])),
        )
    }
    found = unheld(TABLE | HEAD | BODY | joints).parameters

    assert (736 + 728, 728, 360, 360) == (
        found.logical, found.mtp, found.embedding, found.lm_head,
    )  # fmt: skip
    assert 16 + 8 == found.non_embedding


def test_a_packed_weight_of_unknown_shape_leaves_the_count_open() -> None:
    found = structure_of({"a.q_proj.qweight": ("I32", [8, 64]), "b.w": ("F32", [2])}).parameters

    assert (None, None, 1) == (found.logical, found.non_embedding, found.unknown)
    assert 514 == found.stored_elements


def test_a_packed_weight_counts_unpacked() -> None:
    found = structure_of(
        {
            "a.q_proj.qweight": ("I32", [16, 64]),
            "a.q_proj.scales": ("F16", [2, 64]),
            "a.q_proj.qzeros": ("I32", [2, 8]),
        }
    ).parameters

    assert (128 * 64, 128 + 16) == (found.logical, found.quantization)


@given(tensors_of("F32", "BF16", "F16"))
def test_what_is_stored_is_counted_once_in_one_place(tensors: Tensors) -> None:
    structure = describe(checkpoint_of({"model.safetensors": tensors}))
    found = structure.parameters

    assert found.stored_elements == structure.checkpoint.numel
    assert found.logical == found.stored_elements - found.buffers - found.quantization
    assert (found.non_embedding or 0) <= found.logical

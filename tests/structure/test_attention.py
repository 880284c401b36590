"""How layers attend: heads, KV heads and head_dim by hand, from shapes first, config second."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.names import IndexSet
from ckptscan.structure.attention import Attention, Latent
from tests.conftest import Tensors, unheld

H = 64


def layer(number: int, module: str = "self_attn", **shapes: list[int]) -> Tensors:
    """The tensors of one layer's attention by name, `__` for a dot."""
    return {
        f"model.layers.{number}.{module}.{name.replace('__', '.')}": ("BF16", shape)
        for name, shape in shapes.items()
    }


def projections(q: int, k: int, v: int, o: int) -> dict[str, list[int]]:
    return {
        "q_proj__weight": [q, H],
        "k_proj__weight": [k, H],
        "v_proj__weight": [v, H],
        "o_proj__weight": [H, o],
    }


NORM: Tensors = {"model.norm.weight": ("BF16", [H])}


def attends(tensors: Tensors, **config: object) -> Attention:
    (found,) = unheld(tensors | NORM, config=config).attention
    return found


GQA = projections(64, 32, 32, 64)
HEADS = {
    "head_dim from a norm": (
        layer(0, **GQA, q_norm__weight=[16], k_norm__weight=[16]), {},
        ("GQA", 4, 2, 16, 16, "exact"),
    ),
    "a norm over all heads is no head": (
        layer(0, **GQA, q_norm__weight=[64], k_norm__weight=[32]), {"num_attention_heads": 4},
        ("GQA", 4, 2, 16, 16, "config"),
    ),
    "heads from sinks": (layer(0, **GQA, sinks=[8]), {}, ("GQA", 8, 4, 8, 8, "exact")),
    "heads from config": (
        layer(0, **GQA), {"num_attention_heads": 4}, ("GQA", 4, 2, 16, 16, "config"),
    ),
    "head_dim from config": (layer(0, **GQA), {"head_dim": 8}, ("GQA", 8, 4, 8, 8, "config")),
    "head_dim before heads": (
        layer(0, **GQA), {"head_dim": 32, "num_attention_heads": 2},
        ("MQA", 2, 1, 32, 32, "config"),
    ),
    "a head_dim that does not divide": (
        layer(0, **GQA), {"head_dim": 7, "num_attention_heads": 4},
        ("GQA", 4, 2, 16, 16, "config"),
    ),
    "a head_dim of the language model's section": (
        layer(0, **GQA), {"text_config": {"head_dim": 8}, "head_dim": 16},
        ("GQA", 8, 4, 8, 8, "config"),
    ),
    "all heads of their own": (
        layer(0, **projections(64, 64, 64, 64)), {"num_attention_heads": 4},
        ("MHA", 4, 4, 16, 16, "config"),
    ),
    "one head alone": (
        layer(0, **projections(64, 64, 64, 64)), {"num_attention_heads": 1},
        ("MHA", 1, 1, 64, 64, "config"),
    ),
    "queries twice as wide for a gate": (
        layer(0, **projections(128, 32, 32, 64)), {"head_dim": 16},
        ("GQA", 4, 2, 16, 16, "config"),
    ),
    "values of a width of their own": (
        layer(0, **projections(64, 32, 16, 32)), {"head_dim": 16},
        ("GQA", 4, 2, 16, 8, "config"),
    ),
    "fused": (
        layer(0, qkv_proj__weight=[128, H], o_proj__weight=[H, 64]), {"head_dim": 16},
        ("GQA", 4, 2, 16, 16, "config"),
    ),
    "fused, without an output": (
        layer(0, qkv_proj__weight=[192, H]), {"head_dim": 16}, ("MHA", 4, 4, 16, 16, "config"),
    ),
    "keys and values fused": (
        layer(0, q_proj__weight=[64, H], kv_proj__weight=[64, H], o_proj__weight=[H, 64]),
        {"head_dim": 16}, ("GQA", 4, 2, 16, 16, "config"),
    ),
    "without an output": (
        layer(0, q_proj__weight=[64, H], k_proj__weight=[32, H], v_proj__weight=[32, H]),
        {"head_dim": 16}, ("GQA", 4, 2, 16, 16, "config"),
    ),
    "without values": (
        layer(0, q_proj__weight=[64, H], k_proj__weight=[32, H]),
        {"head_dim": 16}, ("GQA", 4, 2, 16, 16, "config"),
    ),
    "one head that is key and value of all queries": (
        layer(0, q_b_proj__weight=[64, 24], kv_proj__weight=[16, H], sinks=[4],
              o_proj__weight=[H, 8]),
        {}, ("MQA", 4, 1, 16, 16, "exact"),
    ),
    "a head_dim that leaves no whole values": (
        layer(0, **projections(64, 32, 33, 64)), {"head_dim": 16},
        ("GQA", None, None, None, None, "inferred"),
    ),
    "nothing tells": (layer(0, **GQA), {}, ("GQA", None, None, None, None, "inferred")),
    "nothing tells, as many": (
        layer(0, **projections(64, 64, 64, 64)), {}, ("MHA", None, None, None, None, "inferred"),
    ),
    "fused to nothing": (
        layer(0, qkv_proj__weight=[64, H], o_proj__weight=[H, 64]), {"head_dim": 16},
        ("none", None, None, None, None, "inferred"),
    ),
    "queries alone": (
        layer(0, q_proj__weight=[64, H]), {"head_dim": 16},
        ("none", None, None, None, None, "inferred"),
    ),
    "no values to speak of": (
        layer(0, **projections(64, 32, 0, 64)), {"head_dim": 16},
        ("GQA", None, None, None, None, "inferred"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tensors", "config", "expected"), HEADS.values(), ids=HEADS)
def test_the_heads_of_attention(
    tensors: Tensors, config: dict[str, object], expected: tuple[object, ...]
) -> None:
    found = attends(tensors, **config)

    assert expected == (
        found.kind, found.heads, found.kv_heads, found.head_dim, found.v_head_dim, found.label,
    )  # fmt: skip


def test_what_one_head_owns() -> None:
    found = attends(layer(0, **projections(64, 32, 16, 32)), head_dim=16)

    assert {"W_Q": (H, 16), "W_K": (H, 16), "W_V": (H, 8), "W_O": (8, H)} == found.head_shapes
    assert {} == attends(layer(0, **GQA)).head_shapes


def test_the_ratio_is_known_where_heads_are_not() -> None:
    found = attends(layer(0, **GQA))

    assert (2, "64 / 32; head_dim unknown") == (found.ratio, found.how)


def test_what_config_declares_otherwise_is_a_problem() -> None:
    shapes = {**GQA, "q_norm__weight": [16], "k_norm__weight": [16]}
    structure = unheld(
        layer(0, **shapes) | NORM,
        config={"num_attention_heads": 8, "num_key_value_heads": 8},
    )
    words = "config declares 8 heads, shapes have 4; config declares 8 KV heads, shapes have 2"

    assert words == structure.attention[0].declared
    assert (f"model.layers: {words}",) == structure.problems


LATENT = {
    "q_a_proj__weight": [24, H], "q_b_proj__weight": [4 * (8 + 2), 24],
    "kv_a_proj_with_mqa__weight": [16 + 2, H], "kv_b_proj__weight": [4 * (8 + 6), 16],
    "o_proj__weight": [H, 4 * 6],
}  # fmt: skip


def test_latent_attention_is_told_by_its_shapes() -> None:
    found = attends(layer(0, **LATENT))

    assert ("MLA", 4, 4, 10, 6, "exact") == (
        found.kind, found.heads, found.kv_heads, found.head_dim, found.v_head_dim, found.label,
    )  # fmt: skip
    assert Latent(24, 16, 8, 2, 6) == found.latent
    assert "(40 - (56 - 24)) / 2 = 4 heads" == found.how


def test_latent_attention_without_a_rank_of_queries() -> None:
    shapes = {name: shape for name, shape in LATENT.items() if not name.startswith("q_")}
    found = attends(layer(0, **shapes, q_proj__weight=[40, H]))

    assert Latent(None, 16, 8, 2, 6) == found.latent


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("q_b_proj__weight", [41, 24]),
        ("q_b_proj__weight", [1, 24]),
        ("o_proj__weight", [H, 25]),
        ("kv_a_proj_with_mqa__weight", [16, H]),
        ("o_proj__weight", None),
    ],
)
def test_latent_attention_of_odd_sizes_is_of_unknown_heads(
    name: str, shape: list[int] | None
) -> None:
    shapes = {key: value for key, value in LATENT.items() if key != name}
    found = attends(layer(0, **shapes, **({name: shape} if shape else {})))

    assert ("MLA", None, "inferred") == (found.kind, found.heads, found.label)


def test_layers_that_attend_alike_are_one_and_others_stand_apart() -> None:
    tensors = NORM | {f"model.layers.{n}.mlp.up_proj.weight": ("BF16", [8, H]) for n in range(4)}
    for number in (0, 1, 3):
        tensors = {**tensors, **layer(number, **GQA)}
    tensors = {**tensors, "model.layers.1.scale": ("BF16", [1])}
    found = unheld(tensors, config={"head_dim": 16}).attention

    assert [("GQA", "0-1,3"), ("none", "2")] == [(one.kind, str(one.layers)) for one in found]


def test_states_stand_for_attention_or_beside_it() -> None:
    ssm = layer(0, "mamba", A_log=[4], D=[4], in_proj__weight=[8, H], conv1d__weight=[8, 1, 4])
    linear = layer(
        1,
        "linear_attn",
        A_log=[4],
        dt_bias=[4],
        in_proj_qkvz__weight=[8, H],
        out_proj__weight=[H, 4],
    )
    both = layer(2, "mamba", A_log=[4], D=[4], in_proj__weight=[8, H]) | layer(2, **GQA)
    found = unheld(ssm | linear | both | NORM, config={"head_dim": 16}).attention

    assert [("ssm", "0", ()), ("linear", "1", ()), ("GQA", "2", ("ssm",))] == [
        (one.kind, str(one.layers), one.beside) for one in found
    ]


def test_attention_to_another_module_is_not_the_layer_s_own() -> None:
    tensors = layer(0, **GQA) | layer(0, "encoder_attn", **projections(32, 32, 32, 32))

    assert (4, 2) == (lambda one: (one.heads, one.kv_heads))(attends(tensors, head_dim=16))


def test_two_attentions_of_which_none_is_marked_are_not_guessed() -> None:
    tensors = layer(0, "attn_x.attn", **GQA) | layer(0, "attn_y.attn", **GQA)

    assert () == unheld(tensors | NORM, config={"head_dim": 16}).attention


def test_a_weight_stored_the_other_way_is_turned() -> None:
    tensors: Tensors = {
        f"h.{n}.attn.{name}": ("F32", shape)
        for n in range(2)
        for name, shape in {
            "c_attn.weight": [H, 3 * H], "c_attn.bias": [3 * H],
            "c_proj.weight": [H, H], "c_proj.bias": [H],
        }.items()
    } | {f"h.{n}.mlp.c_fc.{leaf}": ("F32", shape) for n in range(2)
         for leaf, shape in (("weight", [H, 256]), ("bias", [256]))}  # fmt: skip
    found = attends(tensors, n_head=4)

    assert ("MHA", 4, 16, H) == (found.kind, found.heads, found.head_dim, found.hidden)


def test_a_layer_whose_parts_lie_in_two_modules() -> None:
    tensors = {
        f"encoder.layer.{n}.attention.{name}.weight": ("F32", [H, H])
        for n in range(2)
        for name in ("self.query", "self.key", "self.value", "output.dense")
    }
    found = attends(tensors, num_attention_heads=8)

    assert ("MHA", 8, 8) == (found.kind, found.heads, found.head_dim)


def test_rotary_frequencies_tell_a_head() -> None:
    tensors = layer(0, **GQA, rotary_emb__inv_freq=[8])
    found = attends(tensors)

    assert (16, "inferred", "2 x 8 rotary frequencies") == (found.head_dim, found.label, found.how)


def test_the_two_sides_of_an_encoder_decoder_have_heads_of_their_own() -> None:
    tensors: Tensors = {
        f"model.{side}.layers.0.self_attn.{name}_proj.weight": ("BF16", [H, H])
        for side in ("encoder", "decoder")
        for name in "qkv"
    }
    found = unheld(
        tensors | NORM, config={"encoder_attention_heads": 4, "decoder_attention_heads": 8}
    ).attention

    assert {"model.encoder.layers": 4, "model.decoder.layers": 8} == {
        one.container: one.heads for one in found
    }


def test_drafting_layers_attend_too_and_are_marked() -> None:
    joints: Tensors = {
        f"model.layers.1.{name}.weight": ("BF16", [H]) for name in ("enorm", "hnorm")
    }
    found = unheld(layer(0, **GQA) | layer(1, **GQA) | joints, config={"head_dim": 16}).attention

    assert [("0", False), ("1", True)] == [(str(one.layers), one.is_mtp) for one in found]


def test_a_layer_s_own_layers_are_not_asked() -> None:
    tensors = layer(0, **GQA) | {
        f"model.layers.0.x.{n}.self_attn.{name}_proj.weight": ("BF16", [8, H])
        for n in range(2)
        for name in "qkvo"
    }

    assert ["model.layers"] == [one.container for one in unheld(tensors, config={}).attention]


def test_the_empty_attention_has_no_heads() -> None:
    assert {} == Attention("", IndexSet(()), "none").head_shapes


SIZES = st.integers(0, 12)


@given(
    st.dictionaries(
        st.sampled_from(
            "q_proj k_proj v_proj o_proj qkv_proj kv_proj q_a_proj q_b_proj kv_a_proj_with_mqa "
            "kv_b_proj q_norm k_norm".split()
        ),
        st.lists(SIZES, min_size=1, max_size=2),
    ),
    st.lists(SIZES, max_size=2),
    st.dictionaries(st.sampled_from(["num_attention_heads", "head_dim", "n_kv_heads"]), SIZES),
)
def test_odd_sizes_divide_nothing_by_zero(
    shapes: dict[str, list[int]], sinks: list[int], config: dict[str, object]
) -> None:
    tensors = layer(0, sinks=sinks, **{f"{name}__weight": shape for name, shape in shapes.items()})

    for one in unheld(tensors, config=config).attention:
        assert one.heads is None or one.heads > 0
        assert one.kv_heads is None or one.heads is None or one.heads % one.kv_heads == 0

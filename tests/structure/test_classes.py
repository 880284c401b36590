"""The class of a module, told from its name and shapes, held against what torch printed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.structure.classes import Around, classify
from fixtures.families import rebuild
from tests.conftest import WRITABLE
from tests.structure.measure_classes import NONE, Shapes, measure, of, printed


def test_classes_and_arguments_of_torch_are_told_99_times_of_100() -> None:
    right, asked, misses = measure()

    print(f"{sum(right)} of {sum(asked)}; halves {right} of {asked}", *misses, sep="\n")
    assert sum(asked) > 8_000
    for good, total in zip(right, asked, strict=True):
        assert good >= 0.99 * total, "\n".join(misses)


RECURRENT: list[tuple[Shapes, str | None]] = [
    (
        {"weight_ih_l0": (2048, 128), "weight_hh_l0": (2048, 512), "bias_ih_l0": (2048,)},
        "LSTM(128, 512)",
    ),
    (
        {
            "weight_ih_l0": (24, 5),
            "weight_hh_l0": (24, 8),
            "weight_ih_l1": (24, 8),
            "weight_ih_l0_reverse": (24, 5),
        },
        "GRU(5, 8, num_layers=2, bias=False, bidirectional=True)",
    ),
    (
        {
            "weight_ih_l0": (32, 5),
            "weight_hh_l0": (32, 3),
            "weight_hr_l0": (3, 8),
            "bias_ih_l0": (32,),
        },
        "LSTM(5, 8, proj_size=3)",
    ),
    ({"weight_ih_l0": (8, 5), "weight_hh_l0": (8, 8), "bias_ih_l0": (8,)}, "RNN(5, 8)"),
    ({"weight_ih": (32, 5), "weight_hh": (32, 8)}, "LSTMCell(5, 8)"),
    ({"weight_ih_l0": (16, 5), "weight_hh_l0": (16, 8)}, None),
    ({"weight_ih_l0": (0, 5), "weight_hh_l0": (0, 0)}, None),
    ({"weight_ih_l0": ()}, None),
    ({"in_proj_weight": (768, 256), "in_proj_bias": (768,)}, "MultiheadAttention(embed_dim=256)"),
    (
        {"q_proj_weight": (64, 64), "k_proj_weight": (64, 32), "v_proj_weight": (64, 16)},
        "MultiheadAttention(embed_dim=64, kdim=32, vdim=16)",
    ),
    ({"in_proj_weight": (512, 256)}, None),
]


@pytest.mark.parametrize(("leaves", "expected"), RECURRENT)
def test_recurrent_and_attention_modules(leaves: Shapes, expected: str | None) -> None:
    assert (expected and f"{expected} exact") == of("encoder.thing", **leaves)


PARAMETERS: list[Shapes] = [
    {},
    {"cls_token": (1, 1, 768), "position_embeddings": (1, 197, 768)},
    {"A_log": (32,), "D": (32,), "dt_bias": (32,)},
    {"sinks": (64,)},
    {"bias": (30522,)},
    {"weight": (64, 32), "A_log": (64, 16)},
    {"weight": ()},
    {"weight": (), "bias": ()},
]


@pytest.mark.parametrize("leaves", PARAMETERS)
def test_a_container_of_parameters_has_no_class_of_torch(leaves: Shapes) -> None:
    assert classify(["model", "layers", "*", "thing"], leaves, NONE) is None


def test_a_long_path_and_a_crowd_of_siblings_take_no_time() -> None:
    path = ["experts", "*"] * 5_000 + ["x" * 1_000_000 + "_proj"]
    crowd = Around({str(number): {"weight": (4, 4), "bias": (4,)} for number in range(100_000)})

    for _ in range(1_000):
        found = classify(path, {"weight": (4, 4), "bias": (4,)}, crowd)
    assert "Linear(in_features=4, out_features=4, bias=True) inferred" == printed(found)
    assert classify([], {"weight": (4, 4)}, NONE) is not None


SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 4, 8, 64, 2**63]), max_size=6).map(tuple)
LEAVES = st.dictionaries(
    st.sampled_from(
        "weight bias running_mean running_var weight_ih_l0 weight_hh_l0 weight_hr_l0 in_proj_weight "
        "q_proj_weight k_proj_weight v_proj_weight weight_v weight_g gamma beta scale gate_up_proj "
        "down_proj parametrizations.weight.original1".split()
    )
    | st.text(WRITABLE, max_size=3),
    SHAPES,
    max_size=5,
)
SEGMENTS = st.sampled_from(
    "* norm norm1 conv1 gate experts mlp embed_tokens up attn act ups input_linear w2".split()
) | st.text(WRITABLE, max_size=3)


@given(st.lists(SEGMENTS, max_size=4), LEAVES, st.dictionaries(SEGMENTS, LEAVES, max_size=3))
def test_any_names_and_shapes_have_an_answer(
    path: list[str], leaves: Shapes, beside: dict[str, Shapes]
) -> None:
    found = classify(path, leaves, Around(beside))

    assert found is None or found.label in ("exact", "inferred", "assumed")


def test_the_fixture_keeps_each_kind_of_module_once(tmp_path: Path) -> None:
    rows = [
        [f"layers.{layer}.proj.{leaf}", [4, 8], 1, "Linear", "in_features=8, bias=False", 0]
        for layer in range(3)
        for leaf in ("weight",)
    ]
    norm = ["norm.parametrizations.weight.original1", [4], 1, "LayerNorm", "(4,), eps=1e-05", 0]
    truth, target = tmp_path / "truth.jsonl.gz", tmp_path / "classes.json.gz"
    truth.write_bytes(gzip.compress(json.dumps({"type": "a", "rows": [*rows, norm]}).encode()))
    rebuild(truth, target)
    groups = json.loads(gzip.decompress(target.read_bytes()))

    linear = [{"weight": [4, 8]}, "Linear", "in_features=8, bias=False"]
    layer_norm = [{"parametrizations.weight.original1": [4]}, "LayerNorm", "(4,)"]
    assert [
        [["layers", "*"], {"proj": linear}, ["proj"]],
        [[], {"norm": layer_norm, "layers": None}, ["norm"]],
    ] == [group for _, *group in groups]
    assert {1} == {sum(models) for models, *_ in groups}

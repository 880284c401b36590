"""C016, C017, C018: tensors one by one against what the config promises."""

from __future__ import annotations

from collections import Counter

import pytest

from ckptscan.checks import Subject, Where
from ckptscan.checks import audit as run_all
from ckptscan.checks.config_promises import CHECKS
from ckptscan.checks.structure_outliers import CHECKS as OUTLIERS
from ckptscan.checks.values import Check
from tests.checks.looking import CONFIG, codes, float8, found_in, llama, mixture, without
from tests.conftest import Tensors, unheld
from tests.structure.promised import models


def lacking(name: str, *layers: int) -> dict[str, tuple[str, list[int]]]:
    return without(llama(), *(f"layers.{layer}.{name}" for layer in layers))


def having(name: str, shape: list[int], *layers: int) -> dict[str, tuple[str, list[int]]]:
    more = {f"model.layers.{layer}.{name}": ("BF16", shape) for layer in layers}
    return {**llama(), **more}


def streams(*lost: str) -> dict[str, tuple[str, list[int]]]:
    """Blocks of images and text, the last of which leaves out these of its modules."""
    shapes = {
        **{f"attn.{name}": [64, 64] for name in ("to_q", "to_k", "to_v", "to_out.0")},
        **{f"attn.{name}": [64, 64] for name in ("add_q_proj", "add_k_proj", "add_v_proj")},
        "attn.to_add_out": [64, 64],
        "norm1_context.linear": [128, 64],
        **{f"{name}.net.0.proj": [256, 64] for name in ("ff", "ff_context")},
        **{f"{name}.net.2": [64, 256] for name in ("ff", "ff_context")},
    }
    return {
        f"transformer_blocks.{layer}.{name}.weight": ("BF16", shape)
        for layer in range(8)
        for name, shape in shapes.items()
        if layer < 7 or not name.startswith(lost)
    }


TEXT = ("attn.to_add_out", "ff_context", "norm1_context")
BOTH = ["C016 warning", "S001 error"]
STREAMS = {"num_layers": 8, "num_attention_heads": 4, "attention_head_dim": 16}
BIASED = {"model_type": "another", "attention_bias": True}
UP = "mlp.up_proj.weight"


CASES = [
    pytest.param(llama(), {}, [], id="C018-whole"),
    pytest.param(float8(llama()), {}, [], id="C018-whole-in-FP8"),
    pytest.param(lacking("input_layernorm", 0, 2, 4, 6), {}, [], id="C016-every-second"),
    pytest.param(lacking("input_layernorm", 0), {}, [], id="C016-the-first-begins-otherwise"),
    pytest.param(
        lacking("mlp.up_proj", 2, 3, 5), {"plain_layers": [2, 3, 5]}, [], id="C016-config-tells"
    ),
    pytest.param(lacking("mlp.up_proj", 5), {}, [], id="C016-one-layer-is-S001's"),
    pytest.param(llama(range(6)), {}, [], id="C017-layers-are-C001's"),
    pytest.param(without(llama(), "lm_head"), {}, [], id="C016-the-head-is-C009's"),
    pytest.param(lacking("input_layernorm", 2, 3, 5), {}, ["C016 warning"], id="C016-some-norms"),
    pytest.param(lacking("mlp.up_proj", 2, 3, 5), {}, ["C016 error"], id="C016-some-projections"),
    pytest.param(lacking("mlp.up_proj", 6, 7), {}, ["C016 error"], id="C016-the-last-ones"),
    pytest.param(
        lacking("mlp.up_proj", 2, 3, 5),
        {"architectures": ["LlamaForSequenceClassification"]},
        ["C016 error"],
        id="C016-of-a-classifier",
    ),
    pytest.param(without(llama(), "up_proj"), {}, ["C016 error"], id="C016-all-layers"),
    pytest.param(without(llama(), "input_layernorm"), {}, ["C016 error"], id="C016-a-class's-norm"),
    pytest.param(
        without(llama(), "input_layernorm"), {"model_type": "other"}, [], id="C016-any-class's-norm"
    ),
    pytest.param(llama(), BIASED, ["C016 warning"], id="C016-a-bias-that-config-declares"),
    pytest.param(having("extra.weight", [64], 1, 3, 5, 7), {}, [], id="C017-more-in-a-period"),
    pytest.param(
        having("norm_extra.weight", [64], 1, 2, 5), {}, ["C017 warning"], id="C017-more-in-some"
    ),
    pytest.param(llama(), {"num_key_value_heads": 4}, [], id="C018-figures-are-C005's"),
    pytest.param(having(UP, [255, 64], 5), {}, [], id="C018-one-shape-is-S002's"),
    pytest.param(having(UP, [64, 256], *range(8)), {}, ["C018 error"], id="C018-turned"),
    pytest.param(having(UP, [128, 64], 2, 3, 5), {}, [], id="C018-a-width-of-some-is-C005's"),
    pytest.param(
        having("input_layernorm.weight", [32], 2, 3, 5), {}, ["C018 error"], id="C018-cut-in-some"
    ),
    pytest.param(
        {**llama(), "lm_head.weight": ("BF16", [1024, 32])}, {}, ["C018 error"], id="C018-narrow"
    ),
]


@pytest.mark.parametrize(("tensors", "said", "expected"), CASES)
def test_promises(tensors: Tensors, said: dict[str, object], expected: list[str]) -> None:
    assert expected == codes(CHECKS, tensors, config=CONFIG | said)


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        pytest.param(TEXT, [], id="text-that-nothing-reads"),
        pytest.param((*TEXT, "attn.to_out", "ff."), BOTH, id="both-streams"),
    ],
)
def test_the_last_block_may_leave_out_one_stream(
    lost: tuple[str, ...], expected: list[str]
) -> None:
    assert expected == codes((*CHECKS, *OUTLIERS), streams(*lost), config=STREAMS)


def test_blocks_of_one_stream_may_have_their_output_elsewhere() -> None:
    single = {
        f"single_blocks.{layer}.attn.to_{side}.weight": ("BF16", [64, 64])
        for layer in range(8)
        for side in "qkv"
    }

    assert [] == codes(OUTLIERS, {**streams(), **single})


def test_experts_without_a_router_are_told_once() -> None:
    said = CONFIG | {"num_experts": 8, "moe_intermediate_size": 32, "first_k_dense_replace": 1}
    (found,) = found_in(CHECKS, unheld(without(mixture(), "mlp.gate.weight"), config=said))

    assert ("C016", "error", ["0-7"]) == (found.code, found.severity, [*found.where[0].indices])


def test_a_finding_gives_pattern_layers_and_formula() -> None:
    (found,) = found_in(CHECKS, unheld(having(UP, [64, 256], *range(8)), config=CONFIG))

    assert (Where(pattern=f"model.layers.*.{UP}", indices=("0-7",), count=8),) == found.where
    assert "(256, 64): intermediate_size 256, hidden_size 64" == found.evidence["expected"]
    assert "(64, 256)" == found.evidence["seen"]


def _errors(checks: tuple[Check, ...], some: slice) -> Counter[tuple[str, str]]:
    """Errors and findings of promises, of some of the model types."""
    found: Counter[tuple[str, str]] = Counter()
    own = {check.code for check in checks}
    for model in models(some):
        done = run_all(model.structure, ("C", "S"), checks=None)

        assert () == done.crashed
        found.update(
            (model.name, one.code)
            for one in done.findings
            if one.severity == "error" or one.code in own
        )
    return found


def test_sound_models_with_their_default_config_have_no_error() -> None:
    assert Counter() == _errors(CHECKS, slice(1, None, 12))


@pytest.mark.slow
def test_all_sound_models_with_their_default_config_have_no_error() -> None:
    assert Counter() == _errors(CHECKS, slice(None))


def test_nothing_is_looked_for_where_nothing_is_understood() -> None:
    structure = unheld(llama())

    assert [] == [
        one for check in CHECKS for one in check.look(Subject(structure.checkpoint, structure))
    ]

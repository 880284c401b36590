"""What a config promises: layers, experts, modules of each kind, shapes; and what it does not."""

from __future__ import annotations

import pytest

from ckptscan.config import Config
from ckptscan.names import IndexSet
from ckptscan.structure.expected.figures import Figures
from ckptscan.structure.expected.kinds import Kinds, is_by_design, is_regular
from ckptscan.structure.expected.values import Broken, Expected
from tests.checks.looking import CONFIG, float8, gptq, llama, lora, mixture, without
from tests.conftest import PACKS, Tensors, packed, unheld
from tests.structure.promised import models

MIXTURE = CONFIG | {
    "architectures": ["Qwen2MoeForCausalLM"],
    "model_type": "some_moe",
    "num_experts": 8,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
}
LAYERS = "model.layers"


def expected(tensors: Tensors, **said: object) -> Expected:
    return unheld(tensors, config=CONFIG | said).expected


def broken(tensors: Tensors, **said: object) -> list[tuple[str, str, str]]:
    """What is not kept: what and topic, role, where."""
    return [
        (f"{one.what} {one.topic}", one.role, ",".join(map(str, one.axes)))
        for one in expected(tensors, **said).broken
    ]


def at(*layers: int, name: str) -> tuple[str, ...]:
    return tuple(f"layers.{layer}.{name}" for layer in layers)


def test_every_tensor_of_a_plain_model_is_promised_in_its_shape() -> None:
    found = expected(llama())

    assert len(llama()) == found.tensors == found.promised == found.kept == found.shaped
    assert found.nbytes == found.shaped_bytes
    assert () == found.broken


@pytest.mark.parametrize("packed", [float8(llama()), gptq(llama())], ids=["FP8", "GPTQ"])
def test_packed_weights_count_by_their_logical_shape(packed: Tensors) -> None:
    found = expected(packed)

    assert (found.tensors, ()) == (found.shaped, found.broken)


def test_the_first_dense_layers_of_a_mixture_are_explained_by_the_config() -> None:
    found = unheld(mixture(), config=MIXTURE).expected

    assert (found.tensors, ()) == (found.shaped, found.broken)


@pytest.mark.parametrize(
    ("tensors", "said", "wanted"),
    [
        pytest.param(llama(range(6)), {}, [("missing layers", "", "6-7")], id="last layers"),
        pytest.param(llama(range(9)), {}, [("beyond layers", "", "8")], id="a layer more"),
        pytest.param(
            without(llama(range(8)), *at(2, 3, 5, name="input_layernorm")),
            {},
            [("missing tensors", "norm", "2-3,5")],
            id="a norm of some layers",
        ),
        pytest.param(
            without(llama(range(8)), *at(3, 4, 5, name="mlp.up_proj")),
            {},
            [("missing tensors", "up", "3-5")],
            id="a run in the middle",
        ),
        pytest.param(
            without(llama(range(8)), *at(6, 7, name="mlp.up_proj")),
            {},
            [("missing tensors", "up", "6-7")],
            id="a run at the end",
        ),
        pytest.param(
            without(llama(range(8)), *at(6, 7, name="self_attn.k_proj")),
            {"num_kv_shared_layers": 2},
            [],
            id="the last layers share keys",
        ),
        pytest.param(
            without(llama(range(8)), *at(1, 3, 5, 7, name="self_attn.k_proj")), {}, [], id="period"
        ),
        pytest.param(
            without(llama(range(8)), *at(1, 2, 6, name="self_attn.k_proj")),
            {"layer_types": ["a", "b", "b", "a", "a", "a", "b", "a"]},
            [],
            id="told by a list",
        ),
        pytest.param(
            without(llama(range(8)), *at(1, 2, 6, name="self_attn.k_proj")),
            {"cross_attention_layers": [1, 2, 6]},
            [],
            id="told by numbers",
        ),
        pytest.param(
            without(llama(range(8)), *at(2, 3, name="self_attn.k_proj")),
            {"per_layer_config": {"02": {"x": 1}, "03": {"x": 1}}},
            [],
            id="told by an object",
        ),
    ],
)
def test_layers_of_one_kind_hold_the_same(
    tensors: Tensors, said: dict[str, object], wanted: list[tuple[str, str, str]]
) -> None:
    assert wanted == broken(tensors, **said)


def test_a_layer_that_has_something_in_its_place_is_of_another_sort() -> None:
    said = {key: value for key, value in MIXTURE.items() if key != "first_k_dense_replace"}

    assert () == unheld(mixture(), config=said).expected.broken


def test_an_expert_that_all_layers_lack_is_missing() -> None:
    names = [f".experts.7.{name}" for name in ("gate_proj", "up_proj", "down_proj")]
    found = unheld(without(mixture(), *names), config=MIXTURE).expected

    assert {("missing", "experts", "1-7", "7")} == {
        (one.what, one.topic, str(one.axes[0]), str(one.axes[1])) for one in found.broken
    }
    assert 3 * 7 == found.promised - found.kept


@pytest.mark.parametrize(
    ("lost", "role"),
    [
        ("mlp.up_proj", "mlp.up_proj"),
        ("self_attn.q_proj", "self_attn.q_proj"),
        ("input_layernorm", "input_layernorm"),
    ],
)
def test_a_module_of_a_known_class_that_no_layer_has_is_missing(lost: str, role: str) -> None:
    assert [("missing blocks", role, "0-7")] == broken(without(llama(), lost))


@pytest.mark.parametrize(
    ("lost", "role"),
    [
        ("mlp.up_proj", "up"),
        ("mlp.down_proj", "down"),
        ("self_attn.v_proj", "v"),
        ("input_layernorm", "norm"),
    ],
)
def test_what_is_left_of_a_block_tells_what_no_layer_has(lost: str, role: str) -> None:
    said = {"model_type": "another", "rms_norm_eps": 1e-5}

    assert [("missing blocks", role, "0-7")] == broken(without(llama(), lost), **said)


def test_experts_need_a_router() -> None:
    found = unheld(without(mixture(), "mlp.gate.weight"), config=MIXTURE).expected

    assert ["router"] == [one.role for one in found.broken]


@pytest.mark.parametrize("role", ["q", "v"])
def test_biases_of_queries_keys_and_values_go_together(role: str) -> None:
    biased = llama()
    for layer in range(8):
        for name, rows in (("q", 64), ("k", 16), ("v", 16)):
            if name != role:
                bias = f"model.layers.{layer}.self_attn.{name}_proj.bias"
                biased[bias] = "BF16", [rows]

    assert [("missing blocks", f"{role} bias", "0-7")] == broken(biased, model_type="another")


def _reshaped(name: str, shape: list[int], *layers: int) -> Tensors:
    changed = {f"model.layers.{layer}.{name}.weight": ("BF16", shape) for layer in layers}
    return {**llama(), **changed}


def _first(tensors: Tensors, **said: object) -> Broken:
    (found,) = expected(tensors, **said).broken
    return found


def test_a_transposed_matrix_is_told_with_its_formula() -> None:
    found = _first(_reshaped("mlp.up_proj", [64, 256], *range(8)))

    assert ("shape", "(256, 64)", "(64, 256)") == (found.what, found.expected, found.seen)
    assert "intermediate_size 256, hidden_size 64" == found.formula


def test_scattered_layers_of_another_shape_are_told() -> None:
    found = _first(_reshaped("self_attn.q_proj", [32, 64], 2, 3, 5))

    assert ("q", "2-3,5", "(64, 64)") == (found.role, str(found.axes[0]), found.expected)


def test_a_table_of_another_width_is_told() -> None:
    found = _first({**llama(), "lm_head.weight": ("BF16", [1024, 32])})

    assert ("lm_head", "(1024, 64)") == (found.role, found.expected)


def test_a_config_of_another_model_does_not_make_every_tensor_wrong() -> None:
    assert [] == broken(llama(), hidden_size=128, intermediate_size=512)


@pytest.mark.parametrize(
    ("said", "reason"),
    [({"config": None}, "no config.json"), ({"adapter_config": {"r": 4}}, "an adapter")],
)
def test_what_is_not_understood_says_why(said: dict[str, object], reason: str) -> None:
    files = {name: document for name, document in said.items() if document is not None}
    tensors = lora() if "adapter_config" in said else llama()

    assert unheld(tensors, **files).expected.reason.startswith(reason)


@pytest.mark.parametrize(
    ("config", "expected_width"),
    [
        ({"intermediate_size": 11008}, 11008),
        ({"multiple_of": 256, "hidden_size": 4096}, 11008),
        ({"multiple_of": 1024, "ffn_dim_multiplier": 1.3, "hidden_size": 4096}, 14336),
        ({"n_embd": 768}, 3072),
        ({"mlp_ratio": 4, "embed_dim": 1280}, 5120),
    ],
)
def test_widths_follow_from_known_relations(config: dict[str, object], expected_width: int) -> None:
    figures = Figures(Config({"config.json": config}))

    assert expected_width in {dim.value for dim in figures.widths}


def test_kinds_take_a_pattern_of_letters_and_a_cycle_of_words() -> None:
    pattern = Kinds(Config({"config.json": {"hybrid_override_pattern": "M-M*"}}), 4)
    cycle = Kinds(Config({"config.json": {"block_types": ["a", "a", "b"]}}), 6)

    assert [{0, 2}, {1}, {3}] == pattern.classes(range(4))
    assert [{0, 1, 3, 4}, {2, 5}] == cycle.classes(range(6))


def test_a_step_explains_what_a_period_or_an_end_leaves_out() -> None:
    kinds = Kinds(Config({"config.json": {"sparse_step": 3, "first_k_dense_replace": 2}}), 9)

    assert kinds.explains(frozenset({0, 1}), frozenset(range(9)))
    assert kinds.explains(frozenset({2, 5, 8}), frozenset(range(9)))
    assert not kinds.explains(frozenset({1, 4, 5}), frozenset(range(9)))


def test_a_run_at_an_end_is_what_a_cut_file_leaves() -> None:
    row = range(12)

    assert is_regular(frozenset({0, 1}), row)
    assert not is_by_design(frozenset({0, 1}), row, is_needed=False)
    assert not is_by_design(frozenset({10, 11}), row, is_needed=False)
    assert is_by_design(frozenset({0}), row, is_needed=False)
    assert not is_by_design(frozenset({0}), row, is_needed=True)


@pytest.mark.slow
@pytest.mark.parametrize("odd", [None, True, -1, 2**70, 1e400, "x", "", [], [[]], {}, {"a": []}])
def test_odd_figures_raise_nothing(odd: object) -> None:
    keys = ("layer_types", "per_layer_config", "block_configs", "mlp_ratio", "id2label",
            "patch_size", "multiple_of", "ffn_dim_multiplier", "kv_lora_rank")  # fmt: skip
    few = mixture(range(3), experts=2)
    for key in (*CONFIG, *keys, "n_shared_experts", "moe_intermediate_size"):
        found = unheld(few, config=MIXTURE | {key: odd}).expected

        assert found.tensors >= found.shaped, key


def test_indices_without_end_are_no_promise() -> None:
    assert [] == broken(llama(), num_hidden_layers=2**40)


def test_packs_are_what_their_configs_promise(capsys: pytest.CaptureFixture[str]) -> None:
    shares = {}
    for path in sorted(PACKS.glob("*.ckptpack")):
        found = packed(path.stem).expected
        if not found.reason:
            shares[path.stem] = found.shaped / found.tensors

            assert () == found.broken, path.stem
    with capsys.disabled():
        print(f"\nformulas of packs: {sum(one == 1 for one in shares.values())} of {len(shares)} "
              f"whole, the least {min(shares.values()):.1%}")  # fmt: skip

    assert 0.99 <= min(shares.values())
    assert 38 <= len(shares)


@pytest.mark.slow
def test_model_types_are_what_their_configs_promise(capsys: pytest.CaptureFixture[str]) -> None:
    sums = {True: [0, 0], False: [0, 0]}
    for model in models(slice(0, None, 4)):
        found = model.structure.expected
        sums[model.is_causal][0] += found.shaped
        sums[model.is_causal][1] += found.tensors

        assert () == found.broken, model.name
    causal, others = (shaped / whole for shaped, whole in (sums[True], sums[False]))
    with capsys.disabled():
        print(f"\nformulas of language models: {causal:.1%}, of other types: {others:.1%}")

    assert 0.9 <= causal
    assert 0.6 <= others


@pytest.mark.slow
def test_all_model_types_are_what_their_configs_promise() -> None:
    odd = {model.name: found for model in models() if (found := model.structure.expected.broken)}

    assert {} == odd


def test_an_index_set_is_told_for_each_star() -> None:
    found = _first(_reshaped("self_attn.q_proj", [32, 64], 2, 3, 5))

    assert (IndexSet.of([2, 3, 5]),) == found.axes

"""Active parameters: every figure by hand, from shapes and the top-k that config.json tells."""

from __future__ import annotations

import pytest

from ckptscan.structure.active import Active, Experts
from tests.conftest import Tensors, unheld

H, F = 8, 3
ONE = 3 * H * F  # of an expert: gate, up and down
NORM = {"model.norm.weight": ("BF16", [H])}


def dense(layer: int, width: int = 5) -> Tensors:
    return {
        f"model.layers.{layer}.mlp.{name}_proj.weight": (
            "BF16",
            [H, width] if name == "down" else [width, H],
        )
        for name in ("gate", "up", "down")
    }


def mixed(layer: int, experts: int, shared: bool = False) -> Tensors:
    """Experts that lie apart, a router, and a shared expert."""
    names = [f"experts.{number}" for number in range(experts)]
    tensors: Tensors = {f"model.layers.{layer}.mlp.gate.weight": ("BF16", [experts, H])}
    for name in [*names, *(["shared_experts"] if shared else [])]:
        for part in ("gate", "up", "down"):
            shape = [H, F] if part == "down" else [F, H]
            own = f"model.layers.{layer}.mlp.{name}.{part}_proj.weight"
            tensors = {**tensors, own: ("BF16", shape)}
    return tensors


def active(tensors: Tensors, **config: object) -> tuple[Experts | None, int | None, str]:
    """Experts, active parameters without norms, and what the problems are."""
    structure = unheld(tensors | NORM, config=config)
    found = structure.parameters.active
    count = None if found is None else found.all - H
    return structure.parameters.experts, count, "; ".join(structure.problems)


K = "num_experts_per_tok"
MODELS = {
    "no experts": (dense(0), {K: 2}, None, None),
    "all layers alike": (
        mixed(0, 4) | mixed(1, 4), {K: 2}, Experts(4, 2, 0), 2 * (4 * H + 2 * ONE),
    ),
    "dense, then experts": (
        dense(0) | mixed(1, 4), {K: 1}, Experts(4, 1, 0), 3 * 5 * H + 4 * H + ONE,
    ),
    "a shared expert": (
        mixed(0, 4, shared=True), {K: 2}, Experts(4, 2, 1), 4 * H + 3 * ONE,
    ),
    "shared experts in one block": (
        mixed(0, 4, shared=True), {K: 2, "n_shared_experts": 2}, Experts(4, 2, 2), 4 * H + 3 * ONE,
    ),
    "as many as there are": (mixed(0, 4), {K: 4}, Experts(4, 4, 0), 4 * H + 4 * ONE),
    "layer by layer": (
        mixed(0, 4) | mixed(1, 4) | mixed(2, 4), {"moe_topk": [1, 2, 2]},
        Experts(4, None, 0), 3 * 4 * H + 5 * ONE,
    ),
    "layer by layer, the first ones dense": (
        dense(0) | mixed(1, 4), {"moe_topk": [0, 3]}, Experts(4, 3, 0),
        3 * 5 * H + 4 * H + 3 * ONE,
    ),
    "layer by layer, too short": (
        mixed(0, 4) | mixed(1, 4), {"moe_topk": [3]}, Experts(4, 3, 0), 2 * (4 * H + 3 * ONE),
    ),
    "not told": (mixed(0, 4), {}, Experts(4, None, 0), None),
    "told in words": (mixed(0, 4), {K: "two"}, Experts(4, None, 0), None),
    "told as true": (mixed(0, 4), {K: True}, Experts(4, None, 0), None),
    "an empty list": (mixed(0, 4), {"moe_topk": []}, Experts(4, None, 0), None),
    "stacked": (
        {
            "model.layers.0.mlp.experts.gate_up_proj": ("BF16", [4, H, 2 * F]),
            "model.layers.0.mlp.experts.down_proj": ("BF16", [4, F, H]),
            "model.layers.0.mlp.router.weight": ("BF16", [4, H]),
        },
        {K: 1}, Experts(4, 1, 0), 4 * H + ONE,
    ),
    "stacked over another": (
        {
            f"transformer.blocks.{n}.ffn.experts.mlp.{name}": ("BF16", [4 * F, H])
            for name in ("w1", "v1", "w2") for n in range(2)
        }
        | {f"transformer.blocks.{n}.ffn.router.layer.weight": ("BF16", [4, H]) for n in range(2)},
        {"ffn_config": {"moe_top_k": 2}}, Experts(4, 2, 0), 2 * (4 * H + 2 * ONE),
    ),
    "numbered inside the segment": (
        {
            f"model.layers.0.mlp.experts.expert_{e}.{name}.weight": ("BF16", [F, H])
            for e in range(8) for name in ("w1", "w3")
        },
        {K: 2}, Experts(8, 2, 0), 2 * 2 * F * H,
    ),
    "numbered beside other modules": (
        {
            f"model.layers.0.mlp.expert_{e}.w1.weight": ("BF16", [F, H]) for e in range(8)
        } | {"model.layers.0.mlp.gate.weight": ("BF16", [8, H])},
        {K: 2}, Experts(8, 2, 0), 8 * H + 2 * F * H,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tensors", "config", "experts", "count"), MODELS.values(), ids=MODELS)
def test_a_token_passes_through_k_experts_and_all_else(
    tensors: Tensors, config: dict[str, object], experts: Experts | None, count: int | None
) -> None:
    assert (experts, count, "") == active(tensors, **config)


def test_layers_that_differ_take_k_of_their_own_and_say_so() -> None:
    experts, count, problems = active(mixed(0, 4) | mixed(1, 6), **{K: 2})

    assert (Experts(6, 2, 0), 10 * H + 4 * ONE) == (experts, count)
    assert "layers differ in their number of experts: 4, 6" == problems


def test_more_experts_than_some_layers_hold_are_all_of_them() -> None:
    _, count, _ = active(mixed(0, 2) | mixed(1, 6), **{K: 3})

    assert 8 * H + 2 * ONE + 3 * ONE == count


def test_more_experts_than_any_layer_holds_is_a_problem() -> None:
    assert (
        Experts(4, 5, 0),
        None,
        "config takes 5 experts a token, layers hold 4",
    ) == active(mixed(0, 4), **{K: 5})


def test_a_share_that_is_no_whole_number_is_estimated() -> None:
    tensors = {f"model.layers.{n}.mlp.experts.w1": ("BF16", [4, 3, 7 - n]) for n in range(2)}
    structure = unheld(tensors | {"model.layers.0.mlp.experts.w2": ("BF16", [15, 1])},
                       config={K: 1})  # fmt: skip
    found = structure.parameters.active

    assert found is not None
    assert found.label in ("config", "estimated")


def test_what_drafts_tokens_takes_no_part() -> None:
    joints = {f"model.layers.1.{name}.weight": ("BF16", [H]) for name in ("enorm", "hnorm")}

    assert (Experts(4, 2, 0), 4 * H + 2 * ONE, "") == active(
        mixed(0, 4) | mixed(1, 4) | joints, **{K: 2}
    )


TABLE: Tensors = {"model.embed_tokens.weight": ("BF16", [90, H])}
HEAD: Tensors = {"lm_head.weight": ("BF16", [90, H])}
REST = H + 4 * H + 2 * ONE
CONVENTIONS = {
    "a head of its own": (
        TABLE | HEAD, False, Active(REST + 2 * 90 * H, REST + 90 * H, REST),
    ),
    "one table for both": (
        TABLE, True, Active(REST + 90 * H, REST + 90 * H, REST),
    ),
    "one table, stored twice": (
        TABLE | HEAD, True, Active(REST + 90 * H, REST + 90 * H, REST),
    ),
    "no tables": ({}, False, Active(REST, REST, REST)),
}  # fmt: skip


@pytest.mark.parametrize(("tables", "is_tied", "expected"), CONVENTIONS.values(), ids=CONVENTIONS)
def test_the_three_conventions(tables: Tensors, is_tied: bool, expected: Active) -> None:
    config = {K: 2, "tie_word_embeddings": is_tied, "architectures": ["XForCausalLM"]}
    structure = unheld(tables | mixed(0, 4) | NORM, config=config)

    assert expected == structure.parameters.active


def test_a_pack_that_headers_do_not_tell_leaves_it_open() -> None:
    odd: Tensors = {"model.layers.0.self_attn.q_proj.qweight": ("I32", [8, 64])}
    structure = unheld(mixed(0, 4) | odd, config={K: 2})

    assert (None, None) == (structure.parameters.active, structure.parameters.logical)

"""Roles: facts about names and shapes, what they have in common, and hostile names."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.structure.roles import ROLES, Role, Shape, Surroundings, roles_of

FACTS = Path(__file__).parents[2] / "fixtures" / "families" / "roles.json"


class Fact(NamedTuple):
    """A tensor in its surroundings, and the role that it has."""

    name: str
    path: list[str]
    leaves: dict[str, Shape]
    around: Surroundings
    role: str

    def found(self) -> Role:
        return roles_of(self.path, self.leaves, self.around)[self.name]


def facts(source: str) -> Iterator[Fact]:
    """Facts of one source.

    `gguf`: the tensor table of gguf 0.19 in our words, without two entries that are wrong, and with
    made-up shapes. `written`: by hand, for what that table doesn't hold. `library`: names as
    transformers 5.23 writes them, one of many alike, with the roles that we gave and read through.
    """
    for row in json.loads(FACTS.read_text(encoding="utf-8"))[source]:
        *path, leaf = row["name"].split(".")
        leaves = {leaf: row["shape"], **row.get("leaves", {})}
        beside = {name: {"weight": tuple(shape)} for name, shape in row.get("beside", {}).items()}
        experts = row.get("experts", [])
        around = Surroundings(
            row.get("hidden"),
            frozenset(experts if isinstance(experts, list) else [experts]),
            beside,
            row.get("vocabulary"),
        )
        shapes = {name: tuple(shape) for name, shape in leaves.items()}
        yield Fact(leaf, path, shapes, around, row["role"])


@pytest.mark.parametrize(("source", "least"), [("gguf", 0.97), ("written", 1.0), ("library", 1.0)])
def test_roles_of_known_names_are_right(source: str, least: float) -> None:
    known = list(facts(source))
    misses = [
        f"{'.'.join(fact.path)}.{fact.name}: {fact.found().name}, should be {fact.role}"
        for fact in known
        if fact.found().name != fact.role
    ]
    print(*misses, sep="\n")

    assert len(known) > 200
    assert 1 - len(misses) / len(known) >= least, misses


def test_facts_use_our_words() -> None:
    used = {fact.role for source in ("gguf", "written", "library") for fact in facts(source)}

    assert used <= ROLES


def role(name: str, shape: Shape, **around: object) -> str:
    *path, leaf = name.split(".")
    return roles_of(path, {leaf: shape}, Surroundings(**around))[leaf].name  # type: ignore[arg-type]


def test_a_bias_has_the_role_of_its_weight() -> None:
    leaves = {"weight": (2304, 768), "bias": (2304,)}

    assert {"qkv"} == {
        found.name for found in roles_of(["h", "*", "attn", "c_attn"], leaves).values()
    }


def test_a_bias_of_four_dimensions_in_attention_is_a_mask() -> None:
    assert "buffer" == role("h.*.attn.bias", (1, 1, 1024, 1024))
    assert "attention" == role("h.*.attn.bias", (768,))


@pytest.mark.parametrize(
    ("shape", "experts", "beside", "expected"),
    [
        ((64, 2048), {64}, {}, "router"),
        ((2048, 64), {64}, {}, "router"),
        ((8, 4096), set(), {}, "router"),
        ((5632, 2048), set(), {"up": {"weight": (5632, 2048)}}, "gate"),
        ((2048, 2048), {2048}, {}, "gate"),
        ((), set(), {"experts": {"down_proj": (8, 512, 64)}}, "router"),
    ],
)
def test_a_gate_is_a_router_where_it_counts_experts(
    shape: Shape, experts: set[int], beside: dict[str, dict[str, Shape]], expected: str
) -> None:
    found = role("layers.*.mlp.gate.weight", shape, experts=frozenset(experts), siblings=beside)

    assert expected == found


@pytest.mark.parametrize(
    ("rows", "vocabulary", "expected"),
    [
        (50277, 50277, "lm_head"),
        (1000, 50277, "head"),
        (1000, None, "head"),
        (9000, None, "lm_head"),
    ],
)
def test_a_head_is_that_of_a_language_model_where_it_has_the_rows_of_the_vocabulary(
    rows: int, vocabulary: int | None, expected: str
) -> None:
    assert expected == role("head.weight", (rows, 768), vocabulary=vocabulary)


def test_a_module_twice_as_wide_as_down_holds_gate_and_up() -> None:
    down = {"linear_fc2": {"weight": (768, 2048)}}

    assert "gate_up" == role("layers.*.mlp.linear_fc1.weight", (4096, 768), siblings=down)
    assert "up" == role("layers.*.mlp.linear_fc1.weight", (2048, 768), siblings=down)
    assert "gate_up" == role(
        "layers.*.mlp.linear_fc1.weight", (4096, 768), siblings=down, hidden=768
    )


def test_weights_of_unknown_shape_keep_the_role_of_their_name() -> None:
    assert "q" == role("layers.*.self_attn.q_proj.weight", ())
    assert "up" == role("layers.*.mlp.up_proj.weight", ())
    assert "expert.down" == role("layers.*.mlp.experts.*.down_proj.weight", ())
    assert "embedding" == role("model.embed_tokens.weight", ())
    assert "lm_head" == role("lm_head.weight", ())


def test_parts_of_a_state_space_mixer_are_told_by_what_stands_beside() -> None:
    mixer = {"conv1d": {"weight": (64, 1, 4)}, "in_proj": {"weight": (128, 32)}}

    assert "ssm" == role("layers.*.mixer.out_proj.weight", (32, 64), siblings=mixer)
    assert "linear_attention" == role(
        "layers.*.self_attn.v_proj.weight", (64, 32), siblings={"v_conv1d": mixer["conv1d"]}
    )
    assert "v" == role("layers.*.self_attn.v_proj.weight", (64, 32))


WORDS = st.sampled_from(
    "model layers * self_attn attn mlp experts gate q_proj kv norm mixer conv head embed w1 w2 w3 "
    "v1 wq_a lora_A router shared_mlp moe fc1 fc2 net proj time_embed mtp A_log D linear_1 dense "
    "output attention blocks weight bias scale vision_tower merger c_proj".split()
)
NAMES = WORDS | st.text(max_size=8)
SHAPES = st.lists(st.integers(0, 1 << 70) | st.integers(0, 4), max_size=5).map(tuple)
LEAVES = st.dictionaries(NAMES, SHAPES, max_size=4)


@given(
    st.lists(NAMES, max_size=8),
    LEAVES,
    st.builds(
        Surroundings,
        st.none() | st.integers(0, 8),
        st.frozensets(st.integers(0, 8)),
        st.dictionaries(NAMES, LEAVES, max_size=4),
        st.none() | st.integers(0, 8),
        owner=LEAVES,
    ),
)
def test_any_name_and_shape_has_a_role(
    path: list[str], leaves: dict[str, Shape], around: Surroundings
) -> None:
    found = roles_of(path, leaves, around)

    assert leaves.keys() == found.keys()
    assert {one.name for one in found.values()} <= ROLES


@pytest.mark.parametrize(
    "part", ["a_", "q_", "proj_norm", "Aa", "*.", "lora_A.", "_", "1", "gate_up_"]
)
def test_long_names_take_no_long_time(part: str) -> None:
    name = part * (1_000_000 // len(part))
    start = time.process_time()
    found = roles_of(name.split("."), {name: (2, 2), "weight": (2, 2)})

    assert 2 == len(found)
    assert time.process_time() - start < 1


@pytest.mark.slow
def test_many_neighbours_take_no_long_time() -> None:
    shapes = {f"{number}_up_proj": (4, 2) for number in range(10_000)}
    beside = {name: {"weight": shape} for name, shape in shapes.items()}
    start = time.process_time()
    roles_of(["layers", "*", "mlp"], shapes)
    for name in list(shapes)[:1000]:
        roles_of(["layers", "*", "mlp", name], {"weight": (4, 2)}, Surroundings(siblings=beside))

    assert time.process_time() - start < 20  # linear; quadratic takes minutes

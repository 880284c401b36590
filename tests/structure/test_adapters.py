"""Adapters: ranks from the shapes of A, the modules they touch, what config says."""

from __future__ import annotations

import pytest

from tests.conftest import Tensors, unheld

BASE = "base_model.model.model.layers"


def lora(name: str, rank: int, layers: int = 2) -> Tensors:
    return {
        f"{BASE}.{n}.{name}.lora_{side}.weight": ("BF16", shape)
        for n in range(layers)
        for side, shape in (("A", [rank, 64]), ("B", [32, rank]))
    }


def test_a_model_is_no_adapter() -> None:
    assert unheld({"a.weight": ("BF16", [2, 2])}).adapter is None
    assert unheld({"a.lora_A": ("BF16", [2])}).adapter is None


def test_ranks_targets_and_what_config_says() -> None:
    found = unheld(
        lora("q_proj", 16) | lora("v_proj", 8),
        adapter_config={
            "r": 16,
            "lora_alpha": 32,
            "base_model_name_or_path": "meta-llama/Llama-3.1-8B",
            "rank_pattern": {"v_proj": 8},
        },
    ).adapter

    assert found is not None
    assert ("LoRA", (8, 16), 32, "meta-llama/Llama-3.1-8B", 4, (), ()) == (
        found.kind, found.ranks, found.alpha, found.base, found.modules, found.saved, found.problems,
    )  # fmt: skip
    assert [("q_proj", 16, 64, 32), ("v_proj", 8, 64, 32)] == [
        (target.path.rpartition(".")[2], target.rank, target.inner, target.out)
        for target in found.targets
    ]
    assert [2, 2] == [target.modules for target in found.targets]


def test_ranks_that_config_does_not_tell_are_a_problem() -> None:
    found = unheld(lora("q_proj", 4), adapter_config={"r": 8, "rank_pattern": [4]}).adapter

    assert found is not None
    assert ("adapter_config.json says r = 8, shapes have 4",) == found.problems


@pytest.mark.parametrize(
    ("document", "kind", "alpha"),
    [
        ({"use_dora": True, "lora_alpha": 0.5}, "DoRA", 0.5),
        ({"use_dora": "yes", "lora_alpha": True}, "LoRA", None),
        ({"r": "8", "lora_alpha": "16"}, "LoRA", None),
        ({"lora_alpha": float("nan")}, "LoRA", None),
        ({"lora_alpha": 1 << 40}, "LoRA", None),
    ],
)
def test_facts_of_other_types_are_none(
    document: dict[str, object], kind: str, alpha: float | None
) -> None:
    found = unheld(lora("q_proj", 4), adapter_config=document).adapter

    assert found is not None
    assert (kind, alpha, ()) == (found.kind, found.alpha, found.problems)


def test_modules_saved_whole_are_named_once() -> None:
    saved: Tensors = {
        f"base_model.model.lm_head.modules_to_save.{name}": ("BF16", [4])
        for name in ("weight", "bias")
    }
    found = unheld(lora("q_proj", 4) | saved).adapter

    assert found is not None
    assert ("lm_head",) == found.saved


WRITERS = {
    "PEFT, a named adapter": ("a.q_proj.lora_A.default.weight", "a.q_proj.lora_B.default.weight"),
    "PEFT, an embedding": ("a.q_proj.lora_embedding_A", "a.q_proj.lora_embedding_B"),
    "kohya": ("a.q_proj.lora_down.weight", "a.q_proj.lora_up.weight"),
    "diffusers": ("a.q_proj.lora.down.weight", "a.q_proj.lora.up.weight"),
}


@pytest.mark.parametrize(("down", "up"), WRITERS.values(), ids=WRITERS)
def test_every_writer_s_names(down: str, up: str) -> None:
    found = unheld({down: ("BF16", [4, 64]), up: ("BF16", [32, 4])}).adapter

    assert found is not None
    (target,) = found.targets
    assert ("a.q_proj", 4, 64, 32) == (target.path, target.rank, target.inner, target.out)


def test_without_b_the_output_is_unknown() -> None:
    found = unheld({"a.lora_A.weight": ("BF16", [4, 64])}).adapter

    assert found is not None
    assert found.targets[0].out is None

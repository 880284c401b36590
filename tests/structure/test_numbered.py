"""Numbers inside a segment: indices only under the guard."""

from __future__ import annotations

import pytest

from ckptscan.structure.numbered import collapse_numbered


def collapsed(patterns: list[str]) -> set[str]:
    renamed = collapse_numbered(set(patterns))
    return {renamed.get(pattern, (pattern, ()))[0] for pattern in patterns}


ALIKE = {
    "switch experts": (
        [f"b.*.experts.expert_{n}.{w}.weight" for n in range(8) for w in ("wi", "wo")],
        {"b.*.experts.expert_*.wi.weight", "b.*.experts.expert_*.wo.weight"},
    ),
    "at the end": (
        [f"token_type_embeddings_{n}.weight" for n in range(7)],
        {"token_type_embeddings_*.weight"},
    ),
    "kohya": (
        [f"lora_te_layers_{n}_{w}.alpha" for n in range(12) for w in ("q_proj", "mlp_fc1")],
        {"lora_te_layers_*_q_proj.alpha", "lora_te_layers_*_mlp_fc1.alpha"},
    ),
    "two levels": (
        [f"x_{a}_y_{b}.w" for a in range(4) for b in range(5)],
        {"x_*_y_*.w"},
    ),
    "inner level only": (
        [f"x_{a}_y_{b}.w" for a in range(2) for b in range(5)],
        {"x_0_y_*.w", "x_1_y_*.w"},
    ),
}


@pytest.mark.parametrize(("patterns", "expected"), ALIKE.values(), ids=ALIKE)
def test_siblings_that_are_alike_collapse(patterns: list[str], expected: set[str]) -> None:
    assert expected == collapsed(patterns)


DIFFERENT = {
    "counted from one": [f"conv_{n}.weight" for n in range(1, 6)],
    "three": [f"expert_{n}.w" for n in range(3)],
    "gap": [f"expert_{n}.w" for n in (0, 1, 2, 4)],
    "one differs": [*(f"expert_{n}.w" for n in range(4)), "expert_3.b"],
    "no underscore": [f"fc{n}.w" for n in range(8)],
    "letters after": [f"conv_{n}x{n}.w" for n in range(8)],
    "padded": [f"expert_{n:02d}.w" for n in range(8)],
    "weight of an lstm": [f"weight_ih_l{n}" for n in range(8)],
}


@pytest.mark.parametrize("patterns", DIFFERENT.values(), ids=DIFFERENT)
def test_others_keep_their_names(patterns: list[str]) -> None:
    assert {} == collapse_numbered(patterns)


def test_a_star_s_place_counts_the_stars_before_it() -> None:
    renamed = collapse_numbered({f"a.*.e_{n}.*.w" for n in range(4)})

    assert ("a.*.e_*.*.w", ((1, "2"),)) == renamed["a.*.e_2.*.w"]


def test_a_name_of_thousands_of_numbers_takes_no_time() -> None:
    names = {"x" + "_1" * 100_000 + f"_{n}" for n in range(4)}

    assert {} == collapse_numbered(names)

"""Feed-forward layers: widths by hand, in all the ways they are stored, and known rules."""

from __future__ import annotations

import pytest

from ckptscan.config import Config
from ckptscan.structure.feed_forward import FeedForward, ffn_rule
from tests.conftest import Tensors, unheld

H, F = 64, 100


def layers(container: str = "model.layers", count: int = 2, **shapes: list[int]) -> Tensors:
    """Modules of an MLP by name, `__` for a dot."""
    return {
        f"{container}.{n}.mlp.{name.replace('__', '.')}": ("BF16", shape)
        for n in range(count)
        for name, shape in shapes.items()
    }


def found(tensors: Tensors, **config: object) -> list[tuple[object, ...]]:
    return [
        (
            one.container,
            str(one.layers),
            one.hidden,
            one.width,
            one.is_gated,
            one.experts,
            one.shared,
        )
        for one in unheld(tensors, config=config).feed_forward
    ]


GATED = layers(gate_proj__weight=[F, H], up_proj__weight=[F, H], down_proj__weight=[H, F])
ROUTER = layers(gate__weight=[4, H])
STORED = {
    "none": ({"model.norm.weight": ("BF16", [H])}, []),
    "gated": (GATED, [("model.layers", "0-1", H, F, True, 0, 0)]),
    "not gated": (
        layers(fc1__weight=[F, H], fc1__bias=[F], fc2__weight=[H, F], fc2__bias=[H]),
        [("model.layers", "0-1", H, F, False, 0, 0)],
    ),
    "fused": (
        layers(gate_up_proj__weight=[2 * F, H], down_proj__weight=[H, F]),
        [("model.layers", "0-1", H, F, True, 0, 0)],
    ),
    "down alone": (
        layers(down_proj__weight=[H, F]), [("model.layers", "0-1", H, F, False, 0, 0)],
    ),
    "up alone": (layers(up_proj__weight=[F, H]), [("model.layers", "0-1", H, F, False, 0, 0)]),
    "up and down that do not fit": (
        layers(up_proj__weight=[F, H], down_proj__weight=[H, 7]),
        [("model.layers", "0-1", 7, H, False, 0, 0)],
    ),
    "Conv1D": (
        {
            f"h.{n}.mlp.{name}": ("F32", shape)
            for n in range(2)
            for name, shape in {
                "c_fc.weight": [H, F], "c_fc.bias": [F],
                "c_proj.weight": [F, H], "c_proj.bias": [H],
            }.items()
        },
        [("h", "0-1", H, F, False, 0, 0)],
    ),
    "experts one below the other": (
        layers(router__weight=[4, H], experts__mlp__w1=[4 * F, H], experts__mlp__v1=[4 * F, H],
               experts__mlp__w2=[4 * F, H]),
        [("model.layers", "0-1", H, F, True, 4, 0)],
    ),
    "experts that lie apart, and a shared one": (
        ROUTER | layers(
            **{f"experts__{e}__{part}_proj__weight": [H, F] if part == "down" else [F, H]
               for e in range(4) for part in ("gate", "up", "down")},
            shared_expert__gate_proj__weight=[9, H], shared_expert__up_proj__weight=[9, H],
            shared_expert__down_proj__weight=[H, 9],
        ),
        [("model.layers", "0-1", H, F, True, 4, 9)],
    ),
    "experts stacked [out, in]": (
        ROUTER | layers(experts__gate_up_proj=[4, 2 * F, H], experts__down_proj=[4, H, F]),
        [("model.layers", "0-1", H, F, True, 4, 0)],
    ),
    "experts stacked [in, out]": (
        ROUTER | layers(experts__gate_up_proj=[4, H, 2 * F], experts__down_proj=[4, F, H]),
        [("model.layers", "0-1", H, F, True, 4, 0)],
    ),
    "layers of two widths": (
        layers("l", 1, up_proj__weight=[F, H], down_proj__weight=[H, F])
        | {f"l.1.mlp.{name}.weight": ("BF16", shape)
           for name, shape in (("up_proj", [9, H]), ("down_proj", [H, 9]))},
        [("l", "0", H, F, False, 0, 0), ("l", "1", H, 9, False, 0, 0)],
    ),
    "of nothing": (layers(up_proj__weight=[0, H], down_proj__weight=[H, 0]),
                   [("model.layers", "0-1", H, 0, False, 0, 0)]),
}  # fmt: skip


@pytest.mark.parametrize(("tensors", "expected"), STORED.values(), ids=STORED)
def test_the_width_of_a_feed_forward(tensors: Tensors, expected: list[tuple[object, ...]]) -> None:
    assert expected == found(tensors)


RULES = {
    "four times": (768, 3072, {}, ("4 x 768 = 3,072", "inferred")),
    "Llama 7B": (
        4096, 11008, {}, ("2/3 x 4 x 4,096, up to a multiple of 256 = 11,008", "inferred"),
    ),
    "Llama 3 8B, declared": (
        4096, 14336, {"multiple_of": 1024, "ffn_dim_multiplier": 1.3},
        ("1.3 x 2/3 x 4 x 4,096, up to a multiple of 1,024 = 14,336", "config"),
    ),
    "a factor that is no float": (
        4096, 11008, {"multiple_of": 256, "ffn_dim_multiplier": "1.3"},
        ("2/3 x 4 x 4,096, up to a multiple of 256 = 11,008", "config"),
    ),
    "a factor beyond reason": (
        4096, 11008, {"multiple_of": 256, "ffn_dim_multiplier": 1e300},
        ("2/3 x 4 x 4,096, up to a multiple of 256 = 11,008", "config"),
    ),
    "declared otherwise": (
        768, 3072, {"multiple_of": 256}, ("4 x 768 = 3,072", "inferred"),
    ),
    "no rule": (4096, 11009, {}, ("", "exact")),
}  # fmt: skip


@pytest.mark.parametrize(("hidden", "width", "params", "expected"), RULES.values(), ids=RULES)
def test_the_rule_that_a_width_follows(
    hidden: int, width: int, params: dict[str, object], expected: tuple[str, str]
) -> None:
    assert expected == ffn_rule(hidden, width, Config({"params.json": params}))


def test_experts_follow_no_rule() -> None:
    experts = layers(experts__gate_up_proj=[4, 8 * H, H], experts__down_proj=[4, H, 4 * H])
    (one,) = unheld(ROUTER | experts).feed_forward

    assert isinstance(one, FeedForward)
    assert ("", "exact") == (one.rule, one.label)


def test_layers_within_layers_are_not_asked() -> None:
    inner = {
        f"l.{n}.mlp.x.{m}.up_proj.weight": ("BF16", [F, H]) for n in range(2) for m in range(2)
    }

    assert ["l"] == [row[0] for row in found(inner)]

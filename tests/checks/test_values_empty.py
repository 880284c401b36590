"""V002, V003: zeros, one value, holes, repeats."""

from __future__ import annotations

import numpy as np
import pytest

from ckptscan.content import Sample, Wish
from tests.checks.looking import float8, gptq, llama, lora, mixture
from tests.content.making import Arrays, audit_of, changed, found, told, weights

UP = "model.layers.3.mlp.up_proj.weight"
WIDE = 512


def zeroed(arrays: Arrays, *names: str) -> Arrays:
    return changed(arrays, {name: np.zeros_like(arrays[name][1]) for name in names})


def with_zero(name: str, dtype: str, *shape: int) -> Arrays:
    arrays = weights(llama())
    return arrays | {name: (dtype, np.zeros(shape, arrays[UP][1].dtype))}


def large(layers: int = 3) -> Arrays:
    """Weights of a MiB."""
    shape = [2 * WIDE, WIDE]
    names = [f"model.layers.{n}.mlp.{p}_proj.weight" for n in range(layers) for p in ("up", "down")]
    return weights(dict.fromkeys(names, ("BF16", shape)))


def with_part(start: int, end: int, source: int | None) -> Arrays:
    """One weight, part of which is zero, or holds what stands elsewhere."""
    arrays = large()
    name = "model.layers.1.mlp.up_proj.weight"
    flat = arrays[name][1].reshape(-1).copy()
    page = 1 << 15  # elements
    length = (end - start) * page
    part = flat[source * page : source * page + length].copy() if source is not None else 0
    flat[start * page : end * page] = part
    return changed(arrays, {name: flat.reshape(arrays[name][1].shape)})


IDLE = zeroed(
    weights(llama()),
    *(
        f"model.layers.{n}.{m}.weight"
        for n in (2, 5)
        for m in ("self_attn.o_proj", "mlp.down_proj")
    ),
)
CASES = [
    pytest.param(weights(llama()), [], id="V002-a-sound-model"),
    pytest.param(weights(mixture()), [], id="V002-a-mixture"),
    pytest.param(weights(float8(llama())), [], id="V002-FP8-with-scales"),
    pytest.param(weights(gptq(llama())), [], id="V002-GPTQ"),
    pytest.param(weights(lora()), [], id="V002-an-adapter-at-its-beginning"),
    pytest.param(large(), [], id="V003-large-weights"),
    pytest.param(with_zero("model.layers.3.self_attn.q_proj.bias", "BF16", 64), [], id="V002-a-bias"),
    pytest.param(with_zero("visual.pos_embed.weight", "BF16", 64, 64), [], id="V002-positions"),
    pytest.param(with_zero("blocks.0.adaLN_modulation.1.weight", "BF16", 64, 8), [], id="V002-adaLN"),
    pytest.param(zeroed(weights(llama()), UP), ["V002 error"], id="V002-one-layer"),
    pytest.param(zeroed(weights(llama()), "lm_head.weight"), ["V002 error"], id="V002-head"),
    pytest.param(
        zeroed(weights(mixture()), "model.layers.3.mlp.experts.5.up_proj.weight"),
        ["V002 error"],
        id="V002-an-expert",
    ),
    pytest.param(
        zeroed(weights(gptq(llama())), "model.layers.3.mlp.up_proj.qweight"),
        ["V002 error"],
        id="V002-packed",
    ),
    pytest.param(
        zeroed(weights(float8(llama())), UP), ["V002 error"], id="V002-FP8"
    ),
    pytest.param(IDLE, ["V002 warning"], id="V002-blocks-that-add-nothing"),
    pytest.param(
        zeroed(weights(llama()), "model.layers.3.mlp.down_proj.weight"), ["V002 error"], id="V002-half"
    ),
    pytest.param(
        changed(weights(llama()), {UP: np.full((256, 64), 0x3F80, "<u2")}),
        ["V003 warning"],
        id="V003-one-value",
    ),
    pytest.param(with_part(3, 5, None), ["V003 warning"], id="V003-a-hole"),
    pytest.param(with_part(8, 13, 0), ["V003 warning"], id="V003-repeats"),
    pytest.param(with_part(8, 9, 0), [], id="V003-a-page-that-repeats"),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "expected"), CASES)
def test_what_is_found(arrays: Arrays, expected: list[str]) -> None:
    assert expected == found(arrays, "V002", "V003")


def test_a_sample_says_that_it_is_one() -> None:
    wish = Wish(sample=Sample(share=50.0))
    done = audit_of(zeroed(large(), "model.layers.1.mlp.up_proj.weight"), "V002", wish=wish)

    assert ["V002 error"] == told(done.findings)
    assert "in what was sampled" in done.findings[0].message


def test_one_finding_tells_all_places() -> None:
    names = [f"model.layers.{n}.mlp.up_proj.weight" for n in (1, 2, 5)]
    (finding,) = audit_of(zeroed(weights(llama()), *names), "V002").findings

    assert [("model.layers.*.mlp.up_proj.weight", ("1-2,5",), 3)] == [
        (where.pattern, where.indices, where.count) for where in finding.where
    ]

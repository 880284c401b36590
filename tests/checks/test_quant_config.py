"""What config says of quantization against what is packed."""

from __future__ import annotations

import pytest

from ckptscan.checks.quant_config import CHECKS
from tests.checks.looking import CONFIG, codes, float8, gptq, llama, without

FOUR = {"quant_method": "gptq", "bits": 4, "group_size": 32}
HEAD = {**without(llama(), "lm_head"), "lm_head_proj.weight": ("BF16", [1024, 64])}
PACKED_HEAD = {name.replace("lm_head_proj", "lm_head"): held for name, held in gptq(HEAD).items()}


PLAIN_O = {name: held for name, held in gptq(llama()).items() if "o_proj." not in name}
PLAIN_O |= {name: held for name, held in llama().items() if "o_proj." in name}


CASES = [
    pytest.param(llama(), None, [], id="Q009-plain"),
    pytest.param(gptq(llama()), FOUR, [], id="C014-as-said"),
    pytest.param(gptq(llama()), FOUR | {"group_size": -1}, [], id="Q007-group-not-said"),
    pytest.param(float8(llama()), {"quant_method": "modelopt"}, [], id="Q007-unknown-method"),
    pytest.param(gptq(llama()), FOUR | {"bits": [4]}, [], id="Q007-no-figure"),
    pytest.param(llama(), FOUR, ["C014 error"], id="C014-nothing-packed"),
    pytest.param(llama(), {"quant_method": "bitsandbytes"}, ["C014 warning"], id="C014-on-loading"),
    pytest.param(gptq(llama()), None, ["C014 error"], id="C014-not-said"),
    pytest.param(gptq(llama()), FOUR | {"bits": 8}, ["Q007 error"], id="Q007-bits"),
    pytest.param(gptq(llama()), FOUR | {"group_size": 64}, ["Q007 error"], id="Q007-group"),
    pytest.param(gptq(llama()), FOUR | {"quant_method": "fp8"}, ["Q007 error"], id="Q007-method"),
    pytest.param(
        gptq(llama()), FOUR | {"modules_to_not_convert": ["lm_head", "re:.*xproj", "²"]}, [],
        id="Q006-others-listed",
    ),
    pytest.param(
        gptq(llama()), FOUR | {"modules_to_not_convert": ["o_proj"]}, ["Q006 warning"],
        id="Q006-listed-by-its-name",
    ),
    pytest.param(
        gptq(llama()), FOUR | {"ignore": ["model.layers.3.self_attn.o_proj"]}, ["Q006 warning"],
        id="Q006-listed-by-its-path",
    ),
    pytest.param(
        gptq(llama()), FOUR | {"ignore": ["model.layers.*.self_attn"]}, [],
        id="Q006-wildcards-that-name-no-module",
    ),
    pytest.param(PACKED_HEAD, FOUR | {"lm_head": True}, ["Q009 info"], id="Q009-packed-head"),
    pytest.param(PACKED_HEAD, FOUR, ["Q006 warning", "Q009 info"], id="Q006-a-head-unasked"),
    pytest.param(PLAIN_O, FOUR, ["Q006 warning"], id="Q006-left-plain"),
    pytest.param(PLAIN_O, FOUR | {"modules_to_not_convert": ["o_proj"]}, [], id="Q006-left-out"),
    pytest.param(PLAIN_O, FOUR | {"dynamic": {"-:.*o_proj": {}}}, [], id="Q006-left-out-by-GPTQ"),
    pytest.param(PLAIN_O, FOUR | {"dynamic": {"-:(?!x)": {}}}, [], id="Q006-not-understood"),
    pytest.param(PLAIN_O, FOUR | {"quant_method": "quark"}, [], id="Q006-another-method"),
    *(
        pytest.param(gptq(llama()), FOUR | {key: [name]}, ["Q006 warning"] * loud, id=f"Q006-{name}")
        for key, name, loud in (
            ("modules_to_not_convert", "self_attn", 1),
            ("modules_to_not_convert", "layers.3.self_attn", 1),
            ("modules_to_not_convert", "model.layers.3", 1),
            ("modules_to_not_convert", "model.layers.30", 0),
            ("modules_to_not_convert", "model.layers.*.mlp", 1),
            ("modules_to_not_convert", "attn", 0),
            ("ignore", "re:.*self_attn\\.[qk]_proj$", 1),
            ("ignore", "re:model.layers.(8|9).*", 0),
            ("exclude_modules", "model.layers.2.mlp*", 1),
            ("exclude_modules", "*.mlp", 0),
            ("exclude", "re:.*gate", 1),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("tensors", "said", "expected"), CASES)
def test_quantization(
    tensors: dict[str, tuple[str, list[int]]], said: object, expected: list[str]
) -> None:
    config = CONFIG if said is None else CONFIG | {"quantization_config": said}

    assert expected == codes(CHECKS, tensors, config=config)

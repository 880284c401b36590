"""Hostile headers and odd configs make the checks of structure raise nothing."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import ckptscan.checks
from ckptscan.checkpoint import load
from ckptscan.checks import Check, Finding, Subject, Where
from ckptscan.checks.odd import odd_rows
from ckptscan.structure import Structure, describe
from tests.checks.looking import ADAPTER, CONFIG, gptq, llama, lora, mixture
from tests.conftest import ATTACKS, source_of, structure_of, unheld

HERE = Path(ckptscan.checks.__file__).parent
OURS = ("structure_", "config_", "dtype_", "quant_", "adapter_")
CHECKS: list[Check] = [
    check
    for path in sorted(HERE.glob("*.py"))
    if path.name.startswith(OURS)
    for check in importlib.import_module(f"ckptscan.checks.{path.stem}").CHECKS
]


def audit(structure: Structure) -> list[Finding]:
    subject = Subject(structure.checkpoint, structure)
    return [finding for check in CHECKS for finding in check.look(subject)]


@pytest.mark.parametrize("path", sorted(ATTACKS.glob("*")), ids=lambda path: path.name)
def test_hostile_headers_raise_nothing(path: Path) -> None:
    structure = describe(load(source_of({"model.safetensors": path.read_bytes()})))

    assert all(one.code for one in audit(structure))


@pytest.mark.slow
@pytest.mark.parametrize("odd", [None, True, -1, 2**70, 1e400, "x", "", [], [[]], {}, {"a": []}])
def test_odd_configs_raise_nothing(odd: object) -> None:
    said = {"quant_method": "gptq", "bits": 4, "group_size": 32, "ignore": ["lm_head"]}
    packed, few = gptq(llama(range(2))), mixture(range(3), experts=2)
    for key in (*said, "weight_block_size", "config_groups", "format", "modules_to_not_convert"):
        config = CONFIG | {"quantization_config": said | {key: odd}}

        assert all(one.code for one in audit(unheld(packed, config=config))), key
    others = ("text_config", "num_experts", "num_experts_per_tok", "torch_dtype", "head_dim")
    for key in (*CONFIG, *others, "num_nextn_predict_layers", "quantization_config"):
        assert all(one.code for one in audit(unheld(few, config=CONFIG | {key: odd}))), key
    for key in (*ADAPTER, "rank_pattern", "use_rslora", "layers_to_transform"):
        found = audit(unheld(lora(range(2)), adapter_config=ADAPTER | {key: odd}))

        assert all(one.code for one in found), key


def test_a_place_without_all_its_indices_names_no_row() -> None:
    names = structure_of({"a.0.b.1": ("U8", [1])}).checkpoint.table
    places = [Where(pattern="a.*.b.*", indices=own) for own in ((), ("0",), ("0", "1"), ("0", ""))]
    findings = [Finding("X", "x", "error", "proved", "x", (place,)) for place in places]

    assert [(), (), (0,), ()] == [odd_rows([one], names) for one in findings]


def test_each_check_is_documented_and_named_for_its_fault() -> None:
    codes = [check.code for check in CHECKS]

    assert len(set(codes)) == len(codes)
    for check in CHECKS:
        assert check.name == check.name.lower().replace(" ", "-")
        for heading in ckptscan.checks.values.HEADINGS:
            assert heading in check.documentation, (check.code, heading)

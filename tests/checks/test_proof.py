"""The four-way proof: one verdict on config, index, headers and files."""

from __future__ import annotations

import pytest

from ckptscan.checks import Audit, Proof, audit
from ckptscan.report.findings.proof import lines
from tests.checks.looking import CONFIG, llama, lora, without
from tests.checks.making import audit_of
from tests.conftest import PACKS, Tensors, file_of, index_of, packed, unheld

PROVED_NOT = {
    "example--Llama-3.1-8B-lora-r16": "not understood",
    "meta-llama--Llama-2-7b-original": "partly",  # its params.json says vocab_size -1
}
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


def proof_of(tensors: Tensors, **said: object) -> Proof:
    return _proof(audit(unheld(tensors, config=CONFIG | said)))


def _proof(done: Audit) -> Proof:
    assert done.proof is not None
    assert () == done.crashed
    return done.proof


def in_shards(**moved: str) -> Audit:
    """A Llama in two shards; its index puts tensors where `moved` says, by their last name."""
    tensors = llama(range(2))
    halves = {ONE: dict(list(tensors.items())[:9]), TWO: dict(list(tensors.items())[9:])}
    weight_map = {name: file for file, held in halves.items() for name in held}
    for name in weight_map:
        weight_map[name] = moved.get(name.partition(".")[0], weight_map[name])
    config: dict[str, object] = CONFIG | {"num_hidden_layers": 2}
    files: dict[str, object] = {INDEX: index_of(weight_map), "config.json": config}
    return audit_of({**files, **{name: file_of(held) for name, held in halves.items()}})  # type: ignore[dict-item]


@pytest.mark.parametrize("path", sorted(PACKS.glob("*.ckptpack")), ids=lambda path: path.stem)
def test_packs_are_proved_whole(path: str) -> None:
    model = str(path).rpartition("/")[2].removesuffix(".ckptpack")
    found = _proof(audit(packed(model), ("C016",)))

    assert PROVED_NOT.get(model, "proved") == found.verdict


def test_all_four_agree() -> None:
    found = _proof(in_shards())

    assert ("proved", 21, 21, 21) == (found.verdict, found.promised, found.index, found.headers)
    assert 0 == found.differences


@pytest.mark.parametrize(
    ("lost", "pattern"),
    [
        ("layers.3.mlp.up_proj", "model.layers.*.mlp.up_proj.weight"),
        ("layers.7.", "model.layers.*"),
        ("lm_head", None),
        ("up_proj", "model.layers.*"),
    ],
)
def test_what_the_config_promises_and_headers_lack_is_missing(
    lost: str, pattern: str | None
) -> None:
    found = proof_of(without(llama(), lost))

    assert "differs" == found.verdict
    assert pattern in {one.where.pattern for one in found.missing}
    assert found.promised > found.kept or lost == "up_proj"


def test_what_no_rule_knows_leaves_the_proof_in_part() -> None:
    found = proof_of({**llama(), "model.oddity": ("BF16", [7, 5])})

    assert ("partly", 75, 76) == (found.verdict, found.shaped, found.headers)


def test_layers_beyond_the_config_are_unexpected() -> None:
    found = proof_of(llama(range(9)))

    assert ("differs", 9) == (found.verdict, found.unexpected[0].where.count)


def test_figures_that_the_shapes_contradict_are_mis_shaped() -> None:
    found = proof_of(llama(), num_key_value_heads=4)

    assert ("differs", 1) == (found.verdict, len(found.mis_shaped))


def test_an_index_that_puts_a_tensor_elsewhere_is_told() -> None:
    found = _proof(in_shards(lm_head=TWO))

    assert ("differs", 1, 0) == (found.verdict, len(found.mis_sharded), len(found.missing))
    assert "lm_head.weight" == found.mis_sharded[0].where.tensor


def test_an_adapter_has_no_promises() -> None:
    found = _proof(audit(unheld(lora(), adapter_config={"r": 4})))

    assert ("not understood", 0) == (found.verdict, found.promised)


def test_there_is_no_proof_where_promises_were_not_asked_about() -> None:
    assert audit(unheld(llama(), config=CONFIG), ("H",)).proof is None


def test_the_proof_in_words() -> None:
    assert [
        "proof: config promises 21 tensors, index 21, headers 21, files hold all bytes: all agree"
    ] == list(lines(_proof(in_shards())))


def test_a_difference_in_words() -> None:
    told = list(lines(proof_of(without(llama(), "layers.3.mlp.up_proj"))))

    assert told[0].endswith(": they differ")
    assert told[1].startswith("  missing: model.layers.*.mlp.up_proj.weight (3): 7 layers")

"""The memory of training: published formulas, worked by hand."""

from __future__ import annotations

import pytest

from ckptscan.errors import UsageError
from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, MemoryPlan, Parallel, Row, Training, WhatIf, plan
from tests.conftest import PACKS
from tests.plan.measured import structure_of

LLAMA = "pack:meta-llama--Llama-3.1-8B"
ALONE = Parallel()
P = 8_030_261_248
TABLE = 128_256 * 4096  # the largest module
TOKENS, HIDDEN, FFN, LAYERS, HEADS = 4096, 4096, 14_336, 32, 32
ADAPTERS = 16 * 32 * (2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336))
MODELS = [path.name.removesuffix(".ckptpack") for path in sorted(PACKS.glob("*.ckptpack"))
          if "lora" not in path.name]  # fmt: skip


def trained(
    model: str = LLAMA, parallel: Parallel = ALONE, dtype: str = "auto", **said: object
) -> MemoryPlan:
    ask = Ask(
        parse_devices("h200"),
        parallel,
        dtype=dtype,
        what_if=WhatIf(lora_rank=16),
        train=Training(**said),  # type: ignore[arg-type]
    )
    return plan(structure_of(model), ask)


def host(one: MemoryPlan) -> int | float | None:
    found: Row = next(row for row in one.sections[0].rows if row.name.startswith("host"))
    return found.value


@pytest.mark.parametrize(
    ("said", "copies", "states"),
    [
        pytest.param({}, 1, 18 * P, id="megatron"),
        pytest.param({"zero": 1}, 8, 6 * P + 12 * P // 8, id="distributed-optimizer"),
        pytest.param({"zero": 2}, 8, 4 * P + 16 * P // 8, id="zero-2"),
        pytest.param({"zero": 3}, 8, 4 * TABLE + 18 * P // 8, id="zero-3"),
        pytest.param({"zero": 2, "offload": "optimizer"}, 8, 2 * P, id="zero-2-offload"),
        pytest.param({"zero": 3, "offload": "optimizer"}, 8, 4 * TABLE + 2 * P // 8, id="zero-3-o"),
        pytest.param({"zero": 3, "offload": "all"}, 8, 4 * TABLE, id="zero-3-offload-all"),
        pytest.param({"optimizer": "sgd"}, 1, 10 * P, id="sgd"),
        pytest.param({"optimizer": "adam8bit"}, 1, 12 * P + P // 32, id="adam-in-8-bits"),
    ],
)
def test_model_states(said: dict[str, object], copies: int, states: int) -> None:
    one = trained(parallel=Parallel(dp=copies), **said)

    assert abs(states - one.first.part("weights")) <= 3  # fractions of three terms


def test_without_mixed_precision_there_is_no_copy() -> None:
    assert 16 * P == trained(dtype="float32").first.part("weights")


def test_the_host_holds_what_is_offloaded() -> None:
    eight = Parallel(dp=8)

    assert 32 * P * 3 // 2 == host(trained(parallel=eight, zero=2, offload="optimizer"))
    assert 16 * P * 3 // 2 == host(trained(parallel=eight, zero=3, offload="optimizer"))
    assert 18 * P * 3 // 4 == host(trained(parallel=eight, zero=3, offload="all", nodes=2))
    assert 0 == host(trained())


def test_activations_are_the_paper_s() -> None:
    """s b h (18 + 4 f / h) a layer; logits 4 s b h (1 + V / h); embedding 8 s b + s b h."""
    selective = LAYERS * (18 * TOKENS * HIDDEN + 4 * TOKENS * FFN)
    tables = 8 * TOKENS + TOKENS * HIDDEN + 4 * TOKENS * (HIDDEN + 128_256)
    scores = LAYERS * 5 * HEADS * TOKENS * TOKENS
    full = LAYERS * 2 * TOKENS * HIDDEN + selective // LAYERS

    assert selective + tables == trained(seq_len=TOKENS).first.part("activations")
    none = trained(seq_len=TOKENS, checkpointing="none")
    assert selective + tables + scores == none.first.part("activations")
    again = trained(seq_len=TOKENS, checkpointing="full")
    assert full + tables == again.first.part("activations")


def test_tensor_parallel_ranks_share_most_activations() -> None:
    """10 s b h stand on every rank, unless the sequence is cut too."""
    stream, inner = TOKENS * HIDDEN, 4 * TOKENS * FFN
    plain = trained(parallel=Parallel(tp=4), seq_len=TOKENS)
    cut = trained(parallel=Parallel(tp=4), seq_len=TOKENS, sequence_parallel=True)

    def activations(one: MemoryPlan) -> int:
        return next(t.nbytes for t in one.first.terms if t.name == "activations")

    assert LAYERS * (10 * stream + (8 * stream + inner) // 4) == activations(plain)
    assert LAYERS * (18 * stream + inner) // 4 == activations(cut)


def test_stages_hold_what_is_in_flight() -> None:
    one = trained(parallel=Parallel(pp=4), seq_len=TOKENS)
    kept = [next(t.nbytes for t in r.terms if t.name == "activations") for r in one.ranks]

    assert [4, 3, 2, 1] == [size // kept[-1] for size in kept]
    assert 18 * P == sum(rank.part("weights") for rank in one.ranks)


def test_adapters_alone_are_trained() -> None:
    plain = trained(kind="lora")
    packed = trained(kind="qlora")
    linear = 6_979_321_856
    kept = 2 * (2 * TABLE + 65 * 4096)

    assert 2 * P + 18 * ADAPTERS == plain.first.part("weights")
    assert linear // 2 + linear // 64 + linear // 4096 + kept + 18 * ADAPTERS == (
        packed.first.part("weights")
    )


@pytest.mark.parametrize("kind", ["full", "lora", "qlora"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_a_plan(model: str, kind: str) -> None:
    one = trained(f"pack:{model}", kind=kind, zero=3)

    assert one.first.fixed > 0
    assert all(term.formula for term in one.first.terms)


def test_more_takes_no_less() -> None:
    tokens = [trained(seq_len=n).first.fixed for n in (512, 1024, 8192)]
    batches = [trained(micro_batch=n).first.fixed for n in (1, 2, 8)]

    assert sorted(tokens) == tokens
    assert sorted(batches) == batches


def test_what_would_fit_is_said() -> None:
    one = trained("pack:meta-llama--Llama-3.1-70B")

    assert not one.fits
    assert any("--zero 3" in advice for advice in one.advice)


@pytest.mark.parametrize(
    ("parallel", "said"),
    [
        (Parallel(ep=2), {}),
        (Parallel(tp=3), {}),
        (ALONE, {"offload": "optimizer"}),
        (ALONE, {"offload": "all", "zero": 2}),
    ],
    ids=["experts", "split", "offload-without-zero", "weights-without-zero-3"],
)
def test_what_no_formula_covers_is_refused(parallel: Parallel, said: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        trained(parallel=parallel, **said)

    assert caught.value.hint

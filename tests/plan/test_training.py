"""The memory of training: published formulas, worked by hand."""

from __future__ import annotations

import pytest

from ckptscan.errors import UsageError
from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, MemoryPlan, Model, Parallel, Row, Training, WhatIf, plan
from ckptscan.plan.training.activations import Sizes, activation_terms, sizes_of
from ckptscan.plan.training.states import by_paper
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
    """s b h (18 + 8 f / h) a gated layer; logits 4 s b h (1 + V / h); embedding 8 s b + s b h."""
    selective = LAYERS * (18 * TOKENS * HIDDEN + 8 * TOKENS * FFN)
    tables = 8 * TOKENS + TOKENS * HIDDEN + 4 * TOKENS * (HIDDEN + 128_256)
    scores = LAYERS * 5 * HEADS * TOKENS * TOKENS
    full = LAYERS * 2 * TOKENS * HIDDEN + selective // LAYERS

    assert selective + tables == trained(seq_len=TOKENS).first.part("activations")
    none = trained(seq_len=TOKENS, checkpointing="none")
    assert selective + tables + scores == none.first.part("activations")
    again = trained(seq_len=TOKENS, checkpointing="full")
    assert full + tables == again.first.part("activations")


@pytest.mark.parametrize(
    ("model", "gated", "wide"),
    [
        (LLAMA, 32 * 14336, 32 * 14336),
        ("pack:openai-community--gpt2", 0, 12 * 3072),
        ("pack:Qwen--Qwen3-30B-A3B", 48 * 8 * 768, 48 * 8 * 768),
        ("pack:openai--gpt-oss-120b", 36 * 4 * 2880, 36 * 4 * 2880),
    ],
)
def test_gates_are_seen_in_the_shapes(model: str, gated: int, wide: int) -> None:
    made = Model.of(structure_of(model))
    sizes = sizes_of(made, made.indices)

    assert (wide, gated) == (sizes.wide, sizes.gated)
    assert 4 * (wide + gated) == sizes.inner(8)


def test_a_fused_gate_is_the_least_that_is_kept() -> None:
    """6 s b f where SiLU is one with the product; nothing is open without a gate."""
    term, plain = (
        next(t for t in trained(model, seq_len=512).first.terms if t.name == "activations")
        for model in (LLAMA, "pack:openai-community--gpt2")
    )

    assert (term.nbytes - 2 * LAYERS * 512 * FFN, term.nbytes) == (term.low, term.high)
    assert "(8 + 8 f / h)" in term.formula
    assert "(8 + 4 f / h)" in plain.formula
    assert None is plain.low


def test_some_layers_may_be_gated() -> None:
    mixed = Sizes(HIDDEN, HEADS, 2, 2 * FFN, (FFN, FFN), FFN)
    (term,) = activation_terms(mixed, Training(seq_len=TOKENS), 1, 1)

    assert 2 * 18 * TOKENS * HIDDEN + 12 * TOKENS * FFN == term.nbytes
    assert "(8 x 0.50 + 4 x 0.50) f / h" in term.formula


def test_tensor_parallel_ranks_share_most_activations() -> None:
    """10 s b h stand on every rank, unless the sequence is cut too."""
    stream, inner = TOKENS * HIDDEN, 8 * TOKENS * FFN
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
@pytest.mark.slow
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
    ("stage", "gigabytes"), [(0, 120), (1, 31.4), (2, 16.6), (3, 1.9)], ids=range(4)
)
def test_states_are_the_zero_paper_s(stage: int, gigabytes: float) -> None:
    """Rajbhandari et al., figure 1: 7.5 B parameters among 64 copies, K = 12."""
    counted, how = by_paper(7_500_000_000, 64, Training(zero=stage))

    assert gigabytes == pytest.approx(counted / 1e9, abs=0.05)
    assert "1910.02054" in how


@pytest.mark.parametrize("copies", [2, 8, 64])
def test_a_higher_stage_takes_no_more(copies: int) -> None:
    ours = [trained(parallel=Parallel(dp=copies), zero=n).first.part("weights") for n in range(4)]
    paper = [by_paper(P, copies, Training(zero=stage))[0] for stage in range(4)]

    assert sorted(ours, reverse=True) == ours
    assert sorted(paper, reverse=True) == paper


def test_offloading_takes_from_the_card_what_the_host_holds() -> None:
    eight = Parallel(dp=8)
    kept, optimizer, everything = (
        trained(parallel=eight, zero=3, offload=what).first.part("weights")
        for what in ("none", "optimizer", "all")
    )

    assert everything < optimizer < kept


@pytest.mark.parametrize(
    ("said", "factor"),
    [
        ({"checkpointing": "none"}, 34 * TOKENS * HIDDEN + 5 * HEADS * TOKENS * TOKENS),
        ({}, 34 * TOKENS * HIDDEN),
        ({"sequence_parallel": True}, 34 * TOKENS * HIDDEN // 4),
        ({"sequence_parallel": True, "checkpointing": "full"}, 2 * TOKENS * HIDDEN // 4),
    ],
    ids=["none", "selective", "sequence", "full"],
)
def test_the_paper_s_table_of_a_net_four_times_as_wide(
    said: dict[str, object], factor: int
) -> None:
    """Korthikanti et al., table 2, at f = 4 h: s b h (34 + 5 a s / h), 34, 34 / t, 2 / t a layer."""
    tp = 4 if "sequence_parallel" in said else 1
    sizes = Sizes(HIDDEN, HEADS, LAYERS, 4 * HIDDEN * LAYERS, (4 * HIDDEN, 0))
    terms = activation_terms(sizes, Training(seq_len=TOKENS, **said), tp, 1)  # type: ignore[arg-type]
    kept = [term.nbytes for term in terms if "again" not in term.name]

    assert LAYERS * factor == sum(kept)


def test_experts_are_shared_among_copies() -> None:
    """Qwen1.5-MoE: 24 layers of 60 experts of 3 x 1,408 x 2,048; each rank holds half of them."""
    model = "pack:Qwen--Qwen1.5-MoE-A2.7B"
    experts = 24 * 60 * 3 * 1408 * 2048
    plain = trained(model, Parallel(dp=4))
    shared = trained(model, Parallel(dp=4, ep=2))
    sharded = trained(model, Parallel(dp=4, ep=2), zero=1)
    optimizer = next(t for t in sharded.first.terms if t.name == "experts: optimizer")

    assert 18 * experts // 2 == plain.first.part("weights") - shared.first.part("weights")
    assert 12 * (experts // 2) // 2 == optimizer.nbytes


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

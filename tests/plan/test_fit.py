"""What holds a model, and how far given cards reach: each answer is a plan that holds."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest

from ckptscan.hardware import Devices, parse_devices
from ckptscan.plan import Ask, Local, Parallel, plan
from ckptscan.plan.fit import Holder, Holders, Matrix, headroom, holders, matrix
from ckptscan.report.plans.fit import report
from tests.plan.measured import structure_of

LLAMA = "pack:meta-llama--Llama-3.1-8B"
LARGE = "pack:meta-llama--Llama-3.1-70B"
ASKS = [
    Ask(max_len=32768, requests=4),
    Ask(max_len=8192, engine="sglang-0.5"),
    Ask(max_len=16384, engine="llama.cpp", local=Local(outtype="q4_k_m")),
    Ask(max_len=4096, engine="transformers"),
]


def again(one: Holder, ask: Ask) -> Ask:
    from dataclasses import replace

    spreads = ask.engine in ("llama.cpp", "transformers")
    parallel = Parallel(pp=one.cards) if spreads else Parallel(tp=one.cards)
    return replace(ask, devices=Devices(one.card, one.cards), parallel=parallel)


@pytest.mark.slow
@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.engine)
def test_what_holds_a_model_is_a_plan_that_fits(ask: Ask) -> None:
    structure = structure_of(LLAMA)
    found = holders(structure, ask)

    assert found.holds
    assert sorted(one.total for one in found.holders) == [one.total for one in found.holders]
    for one in found.holders[::7]:
        made = plan(structure, again(one, ask))
        assert made.fits
        assert 0 <= one.headroom == headroom(made)


def test_old_cards_and_apples_serve_no_vllm() -> None:
    served, spread = (
        {one.card.name.split()[0] for one in _holders(engine)}
        for engine in ("vllm-0.11", "llama.cpp")
    )

    assert "Apple" not in served
    assert "Apple" in spread
    assert not any("K80" in one.card.name for one in _holders("vllm-0.11"))
    assert {1} == {one.cards for one in _holders("llama.cpp") if "Apple" in one.card.name}


@cache
def _holders(engine: str) -> tuple[Holder, ...]:
    structure = structure_of("pack:meta-llama--Llama-3.2-1B")
    return holders(structure, Ask(max_len=4096, engine=engine)).holders


def test_where_nothing_holds_it_is_said_why() -> None:
    found = holders(structure_of(LLAMA), Ask(max_len=1 << 20))

    assert not found.holds
    assert "beyond the model's" in found.refused


def test_a_matrix_stops_where_plans_stop() -> None:
    structure = structure_of("pack:Qwen--Qwen2-7B")
    found = matrix(structure, Ask(devices=parse_devices("l4")))

    for row in found.rows[::2]:
        for count in found.columns[::2]:
            made = plan(
                structure,
                Ask(devices=parse_devices("l4"), max_len=row.context, requests=count),
            )
            assert (count in row.fits) == (made.fits and count <= (made.ask.max_seqs or 0))
    most = [row.most for row in found.rows]
    assert sorted(most, reverse=True) == most
    assert "of cache" in found.rows[0].why


@pytest.mark.parametrize("engine", ["llama.cpp", "transformers"])
def test_a_matrix_of_engines_that_spread(engine: str) -> None:
    structure = structure_of(LLAMA)
    devices = parse_devices("2xrtx4090")
    found = matrix(structure, Ask(devices=devices, engine=engine, max_len=16384))

    for row in found.rows[::2]:
        for count in (1, 4, 16):
            ask = Ask(devices=devices, engine=engine, max_len=row.context, requests=count)
            assert (count in row.fits) == plan(structure, ask).fits


def test_the_number_of_sequences_is_a_reason_too() -> None:
    found = matrix(structure_of(LLAMA), Ask(devices=parse_devices("h200"), max_seqs=16))

    assert "--max-num-seqs 16" == found.rows[0].why
    assert (1, 2, 4, 8, 16) == found.rows[0].fits


def test_what_does_not_fit_at_all_has_empty_rows() -> None:
    found = matrix(structure_of(LARGE), Ask(devices=parse_devices("l4"), max_len=4096))

    assert not found.holds
    assert {()} == {row.fits for row in found.rows}
    assert "before any cache" in found.rows[0].why


@cache
def _matrix_or_holders(gpu: str | None) -> Matrix | Holders:
    if gpu:
        return matrix(structure_of(LLAMA), Ask(devices=parse_devices(gpu), max_len=8192))
    return holders(structure_of(LLAMA), Ask(max_len=8192))


@pytest.mark.parametrize("format_name", ["text", "json", "markdown"])
@pytest.mark.parametrize("gpu", [None, "l40s"])
def test_reports(format_name: str, gpu: str | None) -> None:
    structure = structure_of(LLAMA)
    found = _matrix_or_holders(gpu)
    text = "\n".join(report(structure.checkpoint, [found], format_name, 100))

    if format_name == "json":
        document = json.loads(text)
        assert "ckptscan.fit/1" == document["schema"]
        assert document["contexts" if isinstance(found, Matrix) else "holders"]
    else:
        assert "L40S" in text
    assert text.replace("\n", "").isprintable()


def test_a_stage_has_room_for_the_cache_of_its_layers() -> None:
    """What fits leaves something: a stage of four keeps a quarter of a request's cache."""
    ask = Ask(parse_devices("8xl4"), Parallel(pp=4), max_len=8192, requests=125)
    made = plan(structure_of("pack:Qwen--Qwen2-7B"), ask)

    assert made.fits
    assert 0 <= headroom(made) < made.kv.needed


@pytest.mark.parametrize(
    ("ask", "where"),
    [
        (Ask(parse_devices("2xl40s"), Parallel(pp=2), max_len=4096), "on stage "),
        (Ask(parse_devices("2xl40s"), Parallel(tp=2), max_len=4096), "are left a card"),
        (Ask(parse_devices("l40s"), max_len=4096, kv_bytes=1 << 30), "1,073,741,824 B are given"),
        (Ask(parse_devices("l40s"), max_len=4096, engine="llama.cpp"), "are left on all cards"),
    ],
)
def test_what_stops_is_told_of_where_it_does(ask: Ask, where: str) -> None:
    last = matrix(structure_of(LLAMA), ask).rows[-1]
    taken, room = (int(size.replace(",", "")) for size in re.findall(r"([\d,]+) B", last.why))

    assert where in last.why
    assert room < taken


def test_a_stage_is_told_to_take_the_cache_of_its_layers_alone() -> None:
    """Half of the layers on each of two stages: half of the cache of all requests."""
    structure, devices = structure_of(LLAMA), parse_devices("2xl40s")
    last = matrix(structure, Ask(devices, Parallel(pp=2), max_len=4096)).rows[-1]
    whole = plan(structure, Ask(devices, max_len=4096)).kv.needed
    count = int(last.why.partition(" ")[0])

    assert f"take {count * whole // 2:,} B of cache on stage" in last.why

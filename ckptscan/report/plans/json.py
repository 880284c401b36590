"""A plan as the JSON contract `ckptscan.plan/1`, written field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ckptscan.checkpoint import Checkpoint
from ckptscan.plan import Ask, MemoryPlan, Rank, Term
from ckptscan.report.json import source
from ckptscan.report.plans import Shown
from ckptscan.report.plans.sections import section_documents
from ckptscan.report.plans.serving import command_line
from ckptscan.version import schema

SCHEMA = schema("plan")


def report(checkpoint: Checkpoint, plans: Sequence[MemoryPlan], shown: Shown) -> Iterator[str]:
    """The document; of several engines the plans stand in a list."""
    head: dict[str, Any] = {"schema": SCHEMA, "source": source(checkpoint)}
    if len(plans) == 1:
        yield json.dumps(head | _plan(checkpoint, plans[0]), indent=2)
        return
    yield json.dumps(head | {"plans": [_plan(checkpoint, plan) for plan in plans]}, indent=2)


def _plan(checkpoint: Checkpoint, plan: MemoryPlan) -> dict[str, Any]:
    ask = plan.ask
    return {
        "engine": plan.engine,
        "parallel": ask.parallel._asdict(),
        "device": _device(plan),
        "options": _options(ask),
        "ranks": [rank for one in plan.ranks for rank in _ranks(one)],
        "beside": [
            {
                "place": one.place,
                "layers": str(one.layers),
                "total_bytes": one.nbytes,
                "terms": [_term(term) for term in one.terms],
            }
            for one in plan.beside
        ],
        "kv": _kv(plan),
        "predictions": dict(plan.predictions),
        "valid_tp": list(plan.valid_tp),
        "invalid_tp": [{"tp": one.tp, "why": one.why} for one in plan.refusals],
        "fits": plan.fits,
        "why_not": list(plan.why_not),
        "advice": list(plan.advice),
        "assumptions": list(plan.assumptions),
        "changes": [_term(term) for term in plan.left_out],
        "expected_log": list(plan.expected),
        "command": command_line(checkpoint, plan),
        **section_documents(plan),
    }


def _options(ask: Ask) -> dict[str, Any]:
    """What was asked, by the names of the engines' own options."""
    return {
        "max_len": ask.max_len,
        "gpu_memory_utilization": ask.utilization,
        "kv_cache_dtype": ask.kv_dtype,
        "dtype": ask.dtype,
        "max_num_seqs": ask.max_seqs,
        "max_num_batched_tokens": ask.max_batched,
        "block_size": ask.block_size,
        "kv_cache_memory_bytes": ask.kv_bytes,
        "num_gpu_blocks_override": ask.blocks,
        "requests": ask.requests,
        "quantization": ask.quantization,
        "mxfp4_backend": ask.mxfp4_backend,
        "outtype": ask.local.outtype,
        "n_gpu_layers": ask.local.gpu_layers,
    }


def _device(plan: MemoryPlan) -> dict[str, Any]:
    devices = plan.ask.devices
    if devices is None:
        return {"name": None, "total_bytes": 0}
    card = devices.card
    return {
        "name": card.name,
        "total_bytes": card.total_bytes,
        "driver_bytes": card.driver_bytes,
        "label": card.label,
        "how": card.how,
        "count": devices.count,
        "used": plan.cards,
    }


def _ranks(one: Rank) -> Iterator[dict[str, Any]]:
    """Every rank on its own; those that are alike say the same."""
    for rank in one.alike:
        yield {
            "rank": rank,
            "stage": one.stage,
            "layers": str(one.layers),
            "terms": [_term(term) for term in one.terms],
            "total_bytes": one.nbytes,
            "capacity_bytes": one.capacity,
            "loaded_bytes": one.loaded,
            "left_bytes": one.left,
            "fits": one.fits,
        }


def _term(term: Term) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": term.name,
        "bytes": term.nbytes,
        "label": term.label,
        "formula": term.formula,
        "part": term.part,
    }
    if term.low is not None:
        facts |= {"low_bytes": term.low, "high_bytes": term.high}
    return facts


def _kv(plan: MemoryPlan) -> dict[str, Any]:
    kv = plan.kv
    return {
        "bytes_per_token": kv.bytes_per_token,
        "state_bytes": kv.state_bytes,
        "label": kv.label,
        "tokens": kv.tokens,
        "max_concurrency": round(kv.concurrency, 4),
        "rank_bytes_per_token": kv.rank_bytes_per_token,
        "dtype": kv.dtype,
        "formula": kv.formula,
        "block_size": kv.block_size,
        "blocks": kv.blocks,
        "groups": list(kv.groups),
        "max_len": kv.max_len,
        "longest": kv.longest,
        "longest_each": kv.longest_each,
        "needed_bytes": kv.needed,
        "formulas": dict(kv.how),
    }

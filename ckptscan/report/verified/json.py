"""A verification as the JSON contract `ckptscan.verify/1`, written field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ckptscan.report.json import source
from ckptscan.table import TensorTable
from ckptscan.verify.kernels import Trial
from ckptscan.verify.values import Probe, Verification
from ckptscan.version import schema

SCHEMA = schema("verify")


def report(found: Verification, width: int | None) -> Iterator[str]:
    """The document."""
    structure, choice = found.structure, found.choice
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "source": source(structure.checkpoint),
        "device": _device(found),
        "chosen": {"tensors": choice.tensors, "bytes": choice.nbytes},
        "loaded": {"tensors": found.tensors, "bytes": found.nbytes},
        "whole": {"tensors": structure.tensors, "bytes": structure.nbytes},
        "tensors": [_tensor(probe, structure.checkpoint.table) for probe in found.probes],
        "dequantized": [
            {"name": one.name, "scheme": one.scheme, "lines": one.lines, "rms": one.size.rms}
            for one in found.weights
            if one.size is not None
        ],
        "kernels": [_kernel(one) for one in found.trials],
        "predicted_bytes": found.predicted_bytes,
        "allocated_bytes": found.allocated_bytes,
        "match": found.match,
        "faults": list(found.faults),
        "unreadable": _whys(found, choice.faulty),
        "left_out": _whys(found, choice.left_out),
        "missing": list(found.missing),
        "throughput": _throughput(found),
        "estimated_load_seconds": found.loads[0].seconds if found.loads else None,
        "estimated_loads": [{**one._asdict(), "label": "estimated"} for one in found.loads],
        "incomplete": structure.checkpoint.incomplete,
        "partial": bool(found.stopped),
        "stopped": found.stopped or None,
    }
    yield json.dumps(document, indent=2)


def _whys(found: Verification, rows: Mapping[int, str]) -> list[dict[str, str]]:
    names = found.structure.checkpoint.table.names
    return [{"name": names[row], "why": why} for row, why in rows.items()]


def _kernel(one: Trial) -> dict[str, Any]:
    return {
        "tensor": one.tensor,
        "dtype": one.dtype,
        "operation": one.operation,
        "runs": not (one.skipped or one.refused or one.problem),
        "needs": one.needs or None,
        "skipped": one.skipped or None,
        "refused": one.refused or None,
        "problem": one.problem or None,
    }


def _device(found: Verification) -> dict[str, Any]:
    facts = found.device
    return {
        "kind": facts.kind,
        "name": facts.name,
        "total_bytes": facts.total,
        "free_bytes": facts.free,
        "capability": f"{facts.capability // 10}.{facts.capability % 10}"
        if facts.capability
        else None,
        "software": facts.software or None,
        "note": facts.note or None,
    }


def _throughput(found: Verification) -> dict[str, Any]:
    rate = found.throughput
    return {
        "to_host_bytes_per_second": None if rate.to_host is None else round(rate.to_host),
        "to_device_bytes_per_second": None if rate.to_device is None else round(rate.to_device),
        "threads": rate.threads,
    }


def _tensor(probe: Probe, table: TensorTable) -> dict[str, Any]:
    figures, norms = probe.figures, probe.norms
    return {
        "name": probe.name,
        "file": table.shards[table.shard_of(probe.pick.row)].path,
        "rows": probe.pick.rows or None,
        "dtype": probe.dtype,
        "shape": list(probe.pick.shape),
        "bytes": probe.pick.nbytes,
        "device_bytes": probe.device_bytes,
        "predicted_bytes": probe.predicted,
        "elements": figures.count,
        "nan": figures.nan,
        "inf": figures.inf,
        "zeros": figures.zeros,
        "min": figures.min,
        "max": figures.max,
        "absmax": figures.absmax,
        "mean": figures.mean,
        "std": figures.std,
        "row_norms": None if norms is None else norms._asdict(),
        "seconds": round(probe.seconds, 6),
        "sha256": probe.sha256,
        "match": not probe.faults,
        "faults": list(probe.faults),
    }

"""A structure as the JSON contract `ckptscan.inspect/1`, written field by field."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ckptscan.checkpoint import Checkpoint
from ckptscan.report.flow import flow_rows
from ckptscan.report.lines import json_lines
from ckptscan.report.meaning import meaning
from ckptscan.report.options import Layout
from ckptscan.report.rows import (
    dtype_rows,
    family_rows,
    file_rows,
    inner_level,
    is_cut,
    layers_rows,
    shown_children,
    tensor_rows,
)
from ckptscan.sources import redacted
from ckptscan.structure import Family, Layers, Node, Structure
from ckptscan.version import schema

if TYPE_CHECKING:
    from ckptscan.checkpoint.values import SetSummary
    from ckptscan.header import Fault
    from ckptscan.structure import DTypeUse, FileUse

SCHEMA = schema("inspect")


def report(structure: Structure, layout: Layout) -> Iterator[str]:
    """The document in lines; with the views `tensors` and `flow` the rows follow one a line."""
    lines = json_lines(document(structure, layout))
    if layout.view not in ("tensors", "flow"):
        yield from lines
        return
    yield "\n".join(lines).removesuffix("\n}") + ","
    pending = '  "rows": ['
    for row in _rows(structure, layout):
        yield pending
        pending = f"    {json.dumps(row)},"
    yield pending.removesuffix(",")
    yield "  ]\n}"


def _rows(structure: Structure, layout: Layout) -> Iterator[dict[str, Any]]:
    if layout.view == "tensors":
        for row in tensor_rows(structure, layout).shown:
            yield _row(structure.checkpoint, row)
        return
    for step in flow_rows(structure, layout):
        within = [str(axis) for axis in step.within]
        yield step._asdict() | {"shape": list(step.shape), "within": within}


def document(structure: Structure, layout: Layout) -> dict[str, Any]:
    """The whole report as plain values; integers stay so, `top` cuts the view's rows alone.

    Families and the nodes of the tree may be many: they are generators, for `json_lines`.
    """
    checkpoint = structure.checkpoint

    def of(view: str) -> Layout:
        return layout if layout.view == view else layout._replace(top=None)

    return {
        "schema": SCHEMA,
        "layout": {
            "view": layout.view,
            "depth": layout.depth,
            "sort": layout.sort,
            "top": layout.top,
        },
        "source": source(checkpoint),
        "sets": [_set(one) for one in checkpoint.sets],
        "choice": checkpoint.choice,
        "incomplete": checkpoint.incomplete,
        "gaps": list(checkpoint.gaps),
        "missing": list(checkpoint.missing),
        "parts": dict(checkpoint.parts),
        "files": [_file(use, layout) for use in file_rows(structure, of("files")).shown],
        "tensors": {
            "count": structure.tensors,
            "elements": structure.numel,
            "bytes": structure.nbytes,
        },
        "matched": None if structure.rows is None else len(structure.rows),
        "faults": [_fault(file, fault) for file, fault in checkpoint.faults],
        "dtypes": [_dtype(use) for use in dtype_rows(structure, of("dtypes")).shown],
        **meaning(structure, layout),
        "layers": [_layers(layers) for layers in layers_rows(structure, of("layers")).shown],
        "families": (
            _family(family, structure) for family in family_rows(structure, of("families")).shown
        ),
        "tree": _node(structure.tree, of("tree"), 1),
    }


def source(checkpoint: Checkpoint) -> dict[str, Any]:
    """Where a checkpoint is from; users, passwords and queries left out."""
    origin = checkpoint.origin
    return {
        "spec": redacted(origin.spec),
        "kind": origin.kind,
        "title": origin.title,
        "revision": origin.revision,
        "commit": origin.commit,
        "packed": origin.packed,
    }


def _set(one: SetSummary) -> dict[str, Any]:
    return {
        "name": one.name,
        "files": one.files,
        "tensors": one.tensors,
        "bytes": one.nbytes,
        "chosen": one.chosen,
        "within": one.within,
    }


def _file(use: FileUse, layout: Layout) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "path": use.path,
        "size": use.size,
        "header_bytes": use.header_size,
        "tensors": use.tensors,
        "data_bytes": use.nbytes,
        "digest": use.digest,
    }
    if layout.view == "metadata":
        facts["metadata"] = dict(use.metadata)
    return facts


def _fault(file: str, fault: Fault) -> dict[str, Any]:
    return {
        "file": file,
        "error": fault.error,
        "message": fault.message,
        "kind": fault.kind,
        "severity": fault.severity,
        "tensor": fault.tensor,
        "count": fault.times,
    }


def _dtype(use: DTypeUse) -> dict[str, Any]:
    return {
        "dtype": use.dtype,
        "tensors": use.tensors,
        "elements": use.numel,
        "bytes": use.nbytes,
    }


def _layers(layers: Layers) -> dict[str, Any]:
    return {
        "container": layers.container,
        "within": layers.within,
        "count": layers.count,
        "layout": ", ".join(map(str, layers.layout)),
        "kinds": [{"name": kind.name, "indices": str(kind.indices)} for kind in layers.kinds],
    }


def _family(family: Family, structure: Structure) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "pattern": family.pattern,
        "axes": [str(axis) for axis in family.axes],
        "dtype": family.dtype.name,
        "shape": list(family.shape),
        "logical_shape": None,
        "role": "other",
        "count": family.count,
        "elements": family.numel,
        "bytes": family.nbytes,
    }
    meaning_of = structure.meaning(family)
    if meaning_of is not None:
        shape = meaning_of.shape
        facts["logical_shape"] = None if shape is None else list(shape)
        facts |= {"role": meaning_of.role.name, "evidence": meaning_of.role.evidence}
    if family.component:
        facts["component"] = family.component
    if family.copies > 1:
        facts["copies"] = family.copies
    if family.instances is not None:
        facts["instances"] = [list(instance) for instance in family.instances]
    return facts


def _node(node: Node, layout: Layout, level: int) -> dict[str, Any]:
    """A node whose children are of this level, as `--depth` counts."""
    children = () if is_cut(level, layout) else shown_children(node, layout).shown
    facts: dict[str, Any] = {
        "label": node.label,
        "path": node.path,
        "repeat": None if node.repeat is None else str(node.repeat),
        "class": node.kind.name if node.kind else None,
        "arguments": node.kind.arguments if node.kind else None,
        "label_source": node.kind.label if node.kind else None,
        "tensors": node.tensors,
        "elements": node.numel,
        "parameters": node.parameters,
        "bytes": node.nbytes,
    }
    for end in node.ends[:1]:
        facts |= {"dtype": end.family.dtype.name, "shape": list(end.family.shape)}
        if node.children:
            facts["own"] = {"tensors": end.tensors, "elements": end.numel, "bytes": end.nbytes}
    facts["children"] = (_node(child, layout, inner_level(child, level)) for child in children)
    return facts


def _row(checkpoint: Checkpoint, row: int) -> dict[str, Any]:
    tensor = checkpoint.table[row]
    return {
        "name": tensor.name,
        "dtype": tensor.dtype.name,
        "shape": list(tensor.shape),
        "elements": tensor.numel,
        "bytes": tensor.nbytes,
        "file": checkpoint.table.shards[tensor.shard].path,
        "start": tensor.start,
        "end": tensor.end,
    }


def plain_value(value: object) -> Any:
    """A value of any file as JSON knows it: what it does not know becomes text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain_value(held) for key, held in value.items()}
    if isinstance(value, Sequence | set | frozenset):
        held = value if isinstance(value, Sequence) else sorted(value, key=str)
        return [plain_value(one) for one in held]
    return str(value)

"""What a structure means, as the fields of the JSON contract."""

from __future__ import annotations

from typing import Any

from ckptscan.report.formulas import formula_rows, whole
from ckptscan.report.options import Layout
from ckptscan.structure import Attention, FeedForward, Scheme, Structure
from ckptscan.structure.towers import towers


def meaning(structure: Structure, layout: Layout) -> dict[str, Any]:
    """Counts, quantization, attention and the rest; null for what a model does not have."""
    return {
        "parameters": _parameters(structure),
        "quantization": _quantization(structure),
        "attention": [_attention(one) for one in structure.attention],
        "feed_forward": [_feed_forward(one) for one in structure.feed_forward],
        "towers": _towers(structure),
        "fingerprint": _fingerprint(structure),
        "adapter": _adapter(structure),
        "wrappers": [{"prefix": one.prefix, "tensors": one.tensors} for one in structure.wrappers],
        "problems": list(structure.problems),
        **({"formula": _formula(structure, layout)} if layout.view == "formula" else {}),
    }


def _parameters(structure: Structure) -> dict[str, Any]:
    one = structure.parameters
    experts, active = one.experts, one.active
    return {
        "logical": one.logical,
        "stored_elements": one.stored_elements,
        "buffers": one.buffers,
        "quantization": one.quantization,
        "routing_bias": one.routing_bias,
        "mtp": one.mtp,
        "embedding": one.embedding,
        "lm_head": one.lm_head,
        "non_embedding": one.non_embedding,
        "tied": one.tied,
        "experts": experts
        and {
            "routed": experts.routed,
            "per_token": experts.per_token,
            "shared": experts.shared,
        },
        "active": active
        and {
            "all": active.all,
            "without_input_embedding": active.without_input_embedding,
            "without_embeddings": active.without_embeddings,
        },
        "unknown_tensors": one.unknown,
        "declared": [
            {"where": claim.where, "value": claim.value, "equals": list(claim.equals)}
            for claim in structure.declared
        ],
        "labels": dict(one.labels),
    }


def _quantization(structure: Structure) -> dict[str, Any] | None:
    found = structure.quantization
    if found is None:
        return None
    return {
        **_scheme(found.main),
        "declared": found.declared,
        "schemes": list(map(_scheme, found.schemes)),
    }


def _scheme(scheme: Scheme) -> dict[str, Any]:
    return {
        "scheme": scheme.scheme,
        "bits": scheme.bits,
        "group_size": scheme.group if isinstance(scheme.group, int) else None,
        "block": list(scheme.group) if isinstance(scheme.group, tuple) else None,
        "label": scheme.label,
        "weights": scheme.weights,
        "elements": scheme.numel,
        "bytes": scheme.nbytes,
        "bits_per_weight": round(8 * scheme.nbytes / scheme.numel, 4) if scheme.numel else None,
        "formula": scheme.formula,
    }


def _attention(one: Attention) -> dict[str, Any]:
    return {
        "container": one.container,
        "layers": str(one.layers),
        "kind": one.kind,
        "heads": one.heads,
        "kv_heads": one.kv_heads,
        "head_dim": one.head_dim,
        "v_head_dim": one.v_head_dim,
        "ratio": one.ratio,
        "label": one.label,
        "formula": one.how,
        "declared": one.declared,
        "latent": one.latent._asdict() if one.latent else None,
        "head_shapes": {name: list(shape) for name, shape in one.head_shapes.items()},
        "beside": list(one.beside),
        "mtp": one.is_mtp,
    }


def _feed_forward(one: FeedForward) -> dict[str, Any]:
    return {
        "container": one.container,
        "layers": str(one.layers),
        "hidden": one.hidden,
        "width": one.width,
        "gated": one.is_gated,
        "experts": one.experts,
        "shared_width": one.shared,
        "rule": one.rule,
        "label": one.label,
    }


def _towers(structure: Structure) -> list[dict[str, Any]]:
    found = towers(structure.tree)
    return [{"name": one.label, "parameters": one.parameters} for one in found]


def _fingerprint(structure: Structure) -> dict[str, Any]:
    found = structure.fingerprint
    return {
        "geometry_hash": structure.geometry_hash,
        "geometry": found.geometry._asdict() if found.geometry else None,
        "nearest": found.nearest,
        "source": found.source,
    }


def _adapter(structure: Structure) -> dict[str, Any] | None:
    one = structure.adapter
    if one is None:
        return None
    return {
        "kind": one.kind,
        "ranks": list(one.ranks),
        "alpha": one.alpha,
        "base": one.base,
        "modules": one.modules,
        "targets": [
            {
                "path": target.path,
                "axes": [str(axis) for axis in target.axes],
                "modules": target.modules,
                "rank": target.rank,
                "in_features": target.inner,
                "out_features": target.out,
            }
            for target in one.targets
        ],
        "saved": list(one.saved),
        "problems": list(one.problems),
    }


def _formula(structure: Structure, layout: Layout) -> dict[str, Any]:
    line, value = whole(structure)
    return {
        "text": line,
        "value": value,
        "terms": [row._asdict() for row in formula_rows(structure, layout)],
    }

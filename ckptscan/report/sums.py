"""What a model counts and how it attends, as rows: a figure, its value, how it is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckptscan.names import IndexSet
from ckptscan.report import words
from ckptscan.structure import Attention, FeedForward, Scheme, Structure

EXACT = "exact"
_TIED: dict[bool | str | None, str] = {
    True: "shares the embedding's table",
    "stored-twice": "stored twice, counted once",
    None: "unknown whether it shares the embedding's table",
}


class Figure(NamedTuple):
    """One count: its name, its value (None: unknown), its label, and the sum it is."""

    name: str
    value: int | None
    label: str
    how: str = ""


def figures(structure: Structure) -> Iterator[Figure]:
    """All counts of a model side by side, the stored ones first."""
    one = structure.parameters
    label = one.labels.get("logical", EXACT)
    yield Figure("stored elements", one.stored_elements, EXACT, "all tensors as they are stored")
    yield Figure("quantization", one.quantization, EXACT, "scales, zero points, indices")
    yield Figure("buffers", one.buffers, EXACT, "masks, positions, running statistics")
    yield Figure("logical", one.logical, label, "each parameter of the model once, unpacked")
    yield Figure("embedding", one.embedding, EXACT, "the input table")
    yield Figure("lm_head", one.lm_head, one.labels.get("tied", EXACT), _TIED.get(one.tied, ""))
    without = "logical - embedding - lm_head" + (" - those of MTP" if one.mtp else "")
    yield Figure("non-embedding", one.non_embedding, label, without)
    yield Figure("routing bias", one.routing_bias, EXACT, "part of logical")
    yield Figure("MTP", one.mtp, EXACT, "multi-token prediction, part of logical")
    if one.unknown:
        yield Figure("packed tensors of unknown shape", one.unknown, "unknown")
    yield from _active(structure)
    for claim in structure.declared:
        equal = ", ".join(claim.equals) if claim.equals else "none of the sums here"
        yield Figure(f"declared: {claim.where}", claim.value, "declared", f"equals {equal}")


def _active(structure: Structure) -> Iterator[Figure]:
    one = structure.parameters
    if one.experts is None:
        return
    taken = one.experts.per_token
    if one.active is None:
        yield Figure(
            "active", None, "unknown", "config.json does not tell the experts a token takes"
        )
        return
    label = one.active.label
    of = f"{taken} of {one.experts.routed} experts a token" if taken else "by layer"
    sums = "logical - MTP" if one.mtp else "logical"
    how = f"{sums} - routed + routed x {taken}/{one.experts.routed}" if taken else of
    yield Figure("active", one.active.all, label, how)
    yield Figure(
        "active without input embedding",
        one.active.without_input_embedding,
        label,
        "active - embedding",
    )
    yield Figure(
        "active without embeddings",
        one.active.without_embeddings,
        label,
        "active - embedding - lm_head",
    )


def attention_words(one: Attention) -> str:
    """`GQA, 28 heads, 4 KV heads, head_dim 128`."""
    if one.kind in ("none", "linear", "ssm"):
        return _also(one, {"none": "none", "linear": "linear", "ssm": "SSM"}[one.kind])
    if one.heads is None:
        ratio = f" {one.ratio}:1" if one.ratio and one.ratio > 1 else ""
        return _also(one, f"{one.kind}{ratio}, heads unknown")
    parts = [one.kind, f"{one.heads} heads"]
    if one.kind in ("GQA", "MQA"):
        parts.append(words.plural(one.kv_heads or 0, "KV head"))
    parts.append(f"head_dim {one.head_dim}")
    if one.latent:
        sizes = one.latent
        q_rank = f"q rank {sizes.q_rank}, " if sizes.q_rank else ""
        parts.append(f"{q_rank}KV rank {sizes.kv_rank}, rope {sizes.rope}, v {sizes.v}")
    elif one.v_head_dim != one.head_dim:
        parts.append(f"v {one.v_head_dim}")
    return _also(one, ", ".join(parts))


def _also(one: Attention, text: str) -> str:
    beside = [{"linear": "linear", "ssm": "SSM"}[kind] for kind in one.beside if kind != one.kind]
    return f"{text} beside {' and '.join(beside)}" if beside else text


def scheme_words(scheme: Scheme) -> str:
    """`gptq, 4 bits, group 128, 4.16 bits per weight`."""
    parts = [scheme.scheme]
    if scheme.bits:
        parts.append(words.plural(scheme.bits, "bit"))
    if isinstance(scheme.group, int):
        parts.append(f"group {scheme.group}")
    elif scheme.group is not None:
        parts.append(f"block {'x'.join(map(str, scheme.group))}")
    parts.append(effective(scheme))
    return ", ".join(filter(None, parts))


def effective(scheme: Scheme) -> str:
    """Bits of a weight with its scales and zeros: `4.16 bits per weight`; "" where unknown."""
    if not scheme.numel:
        return ""
    hundredths = (scheme.nbytes * 800 + scheme.numel // 2) // scheme.numel
    return f"{hundredths // 100}.{hundredths % 100:02d} bits per weight"


def feed_forward_words(one: FeedForward) -> str:
    """`gated 3584 -> 18944`, `64 gated experts 3584 -> 2560, shared 20480`."""
    gated = "gated " if one.is_gated else ""
    what = f"{one.experts} {gated}experts " if one.experts else gated
    shared = f", shared {one.shared}" if one.shared else ""
    return f"{what}{one.hidden} -> {one.width}{shared}"


def attention_lines(structure: Structure, layout_width: int | None) -> Iterator[str]:
    """The attention and feed-forward of each run of layers, with how each is known."""
    longest = max((len(one.layers) for one in structure.attention), default=0)
    for one in structure.attention:
        where = f"{words.label(one.container)} {words.indices(one.layers)}"
        yield f"{where}{' (MTP)' if one.is_mtp else ''}: {attention_words(one)}"
        known = "; ".join(filter(None, (one.how, one.declared)))
        if known:
            yield from words.wrapped(f"  {one.label}: {known}", layout_width, 0, 4)
        shapes = ", ".join(f"{name} {shape}" for name, shape in one.head_shapes.items())
        if shapes:
            yield from words.wrapped(f"  one head: {shapes}", layout_width, 0, 4)
        said = _declared_kinds(structure, one, longest)
        if said:
            yield from words.wrapped(f"  config: {said}", layout_width, 0, 4)
    for width in structure.feed_forward:
        where = f"{words.label(width.container)} {words.indices(width.layers)}"
        yield f"{where}: FFN {feed_forward_words(width)}"
        if width.rule:
            yield from words.wrapped(f"  {width.label}: {width.rule}", layout_width, 0, 4)


def _declared_kinds(structure: Structure, one: Attention, longest: int) -> str:
    """What config.json's `layer_types` says of these layers: headers do not show windows.

    It must speak of as many layers as the longest run has.
    """
    config = structure.checkpoint.config_of(one.container.partition("/")[0])
    kinds = config.words("layer_types", "layers_block_type")
    if len(kinds) < max(1, longest):
        return ""
    found: dict[str, list[int]] = {}
    for index in one.layers:
        if index < len(kinds):
            found.setdefault(kinds[index], []).append(index)
    return "; ".join(
        f"{words.label(kind)} {words.indices(IndexSet.of(indices))}"
        for kind, indices in found.items()
    )

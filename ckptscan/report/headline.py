"""What a checkpoint is, in a few lines: the head of the text report."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checkpoint import Checkpoint
from ckptscan.report import words
from ckptscan.report.faults import PACK_NOTE, gaps_line
from ckptscan.report.sums import EXACT, attention_words, feed_forward_words, scheme_words
from ckptscan.structure import Layers, Structure

_SHOWN_SETS = 6
_SHOWN_CONTAINERS = 4
_SHOWN_SCHEMES = 3
_SHOWN_TARGETS = 8
_SHOWN_PROBLEMS = 3
_COLUMN = 13  # where values begin


def headline(structure: Structure, width: int | None) -> Iterator[str]:
    """The title, then a line for each fact; long ones are wrapped to the width."""
    yield words.label(structure.checkpoint.origin.title)
    for name, value in facts(structure):
        first, *rest = words.wrapped(words.printable(value), width, _COLUMN, 0)
        yield f"  {name:<{_COLUMN - 2}}{first[_COLUMN:]}"
        yield from rest


def facts(structure: Structure) -> Iterator[tuple[str, str]]:
    """What there is to say, a name and a sentence each; what does not apply is left out."""
    checkpoint = structure.checkpoint
    files = words.plural(len(structure.files), "file")
    told = (
        ("class", words.label(checkpoint.config.architecture or "")),
        ("parameters", _parameters_line(structure)),
        ("active", _active_line(structure)),
        ("stored", _stored_line(structure)),
        ("declared", _declared_line(structure)),
        ("quantized", _quantized_line(structure)),
        ("attention", _attention_line(structure)),
        ("ffn", _feed_forward_line(structure)),
        ("adapter", _adapter_line(structure)),
        ("geometry", words.printable(structure.fingerprint.nearest)),
        ("tensors", f"{structure.tensors:,} in {files}"),
        ("size", _with_unit(structure.nbytes)),
        ("dtypes", _dtype_shares(structure)),
        ("layers", _layers_line(structure)),
        ("parts", _parts_line(checkpoint)),
        ("wrapped", _wrapped_line(structure)),
        ("sets", _sets_line(checkpoint)),
        ("commit", checkpoint.origin.commit or ""),
        ("pack", PACK_NOTE if checkpoint.origin.packed else ""),
        ("matched", _matched_line(structure)),
        ("warning", gaps_line(checkpoint)),
        ("odd", "; ".join(structure.problems[:_SHOWN_PROBLEMS])),
    )
    return ((name, value) for name, value in told if value)


def _parameters_line(structure: Structure) -> str:
    """The logical count, and what of it is embedding, head and MTP."""
    one = structure.parameters
    if one.logical is None:
        known = f"at least {structure.tree.parameters:,}"
        return f"{known}; {words.plural(one.unknown, 'tensor')} packed, logical shape unknown"
    label = one.labels.get("logical", EXACT)
    parts = [_with_short(one.logical) + (f" [{label}]" if label != EXACT else "")]
    if one.embedding and one.non_embedding is not None:
        parts.append(f"{one.non_embedding:,} non-embedding")
    if one.tied:
        how = "head stored twice" if one.tied == "stored-twice" else "head shares the embedding"
        parts.append(f"{how} [{one.labels.get('tied', '')}]")
    if one.mtp:
        parts.append(f"of which MTP {one.mtp:,}")
    return "; ".join(parts)


def _active_line(structure: Structure) -> str:
    one = structure.parameters
    if one.experts is None:
        return ""
    taken = one.experts.per_token
    if one.active is None:
        return (
            f"unknown: config does not tell how many of {one.experts.routed} experts a token takes"
        )
    of = f"{taken} of {one.experts.routed} experts" if taken else f"of {one.experts.routed} experts"
    shared = f" and {one.experts.shared} shared" if one.experts.shared else ""
    return (
        f"{_with_short(one.active.all)} a token, {of}{shared} [{one.active.label}]; "
        f"{one.active.without_input_embedding:,} without input embedding, "
        f"{one.active.without_embeddings:,} without embeddings"
    )


def _stored_line(structure: Structure) -> str:
    """The stored elements, where they are not the parameters."""
    one = structure.parameters
    if one.logical == one.stored_elements:
        return ""
    apart = [("buffers", one.buffers), ("quantization", one.quantization)]
    shown = ", ".join(f"{name} {count:,}" for name, count in apart if count)
    return f"{one.stored_elements:,} elements" + (f"; {shown}" if shown else "")


def _declared_line(structure: Structure) -> str:
    """Counts that the files declare, with the first sum of ours that equals each."""
    return "; ".join(
        f"{claim.value:,} by {claim.where}, equals {claim.equals[0] if claim.equals else 'no sum'}"
        for claim in structure.declared
    )


def _quantized_line(structure: Structure) -> str:
    found = structure.quantization
    if found is None:
        return ""
    shown = [
        scheme_words(scheme) + (f" [{scheme.label}]" if scheme.label != EXACT else "")
        for scheme in found.schemes[:_SHOWN_SCHEMES]
    ]
    more = len(found.schemes) - len(shown)
    return "; ".join(shown) + (f"; {more} more" if more else "")


def _attention_line(structure: Structure) -> str:
    """The attention of each run of layers; the container where there are several."""
    found = [one for one in structure.attention if not one.is_mtp and one.kind != "none"]
    containers = {one.container for one in found}
    shown = []
    for one in found[:_SHOWN_CONTAINERS]:
        where = [words.label(one.container)] if len(containers) > 1 else []
        alone = sum(other.container == one.container for other in structure.attention) == 1
        where += [] if alone else [words.indices(one.layers)]
        label = f" [{one.label}]" if one.label != EXACT else ""
        shown.append(f"{' '.join(where)}{': ' if where else ''}{attention_words(one)}{label}")
    more = f"; {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    return "; ".join(shown) + more


def _feed_forward_line(structure: Structure) -> str:
    found = structure.feed_forward
    containers = {one.container for one in found}
    shown = []
    for one in found[:_SHOWN_CONTAINERS]:
        where = [words.label(one.container)] if len(containers) > 1 else []
        alone = sum(other.container == one.container for other in found) == 1
        where += [] if alone else [words.indices(one.layers)]
        shown.append(f"{' '.join(where)}{': ' if where else ''}{feed_forward_words(one)}")
    more = f"; {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    return "; ".join(shown) + more


def _adapter_line(structure: Structure) -> str:
    """`LoRA, rank 16, alpha 32, 224 modules: q_proj, k_proj; base meta-llama/Llama-3.1-8B`."""
    one = structure.adapter
    if one is None:
        return ""
    names = list(dict.fromkeys(target.name for target in one.targets))
    shown = ", ".join(map(words.label, names[:_SHOWN_TARGETS]))
    more = f" and {len(names) - _SHOWN_TARGETS} more" if len(names) > _SHOWN_TARGETS else ""
    parts = [f"{one.kind}, rank {', '.join(map(str, one.ranks))}"]
    parts += [f"alpha {one.alpha} [config]"] if one.alpha is not None else []
    parts += [f"{words.plural(one.modules, 'module')}: {shown}{more}"]
    parts += [f"base {words.label(one.base)} [config]"] if one.base else []
    return ", ".join(parts)


def _wrapped_line(structure: Structure) -> str:
    return "; ".join(
        f"{words.label(one.prefix)} left out of {words.plural(one.tensors, 'name')}"
        for one in structure.wrappers
    )


def _with_short(count: int) -> str:
    """`57,409,064,960 (57.41 B)`; small counts need no second form."""
    short = words.short_count(count)
    return f"{count:,} ({short})" if count >= 1000 else short


def _with_unit(size: int) -> str:
    """`106.93 GiB (114,818,129,920 bytes)`."""
    unit = words.nbytes(size)
    return f"{unit} ({size:,} bytes)" if size >= 1024 else unit


def _dtype_shares(structure: Structure) -> str:
    whole = structure.nbytes
    return ", ".join(
        f"{words.label(use.dtype)} {words.share(use.nbytes, whole)}" for use in structure.dtypes
    )


def _layers_line(structure: Structure) -> str:
    """The outer containers of several children that hold most, each with its pattern."""
    outer = [one for one in structure.layers if one.count > 1 and not one.within]
    largest = sorted(outer, key=lambda one: -one.nbytes)[:_SHOWN_CONTAINERS]
    more = f"; {len(outer) - len(largest)} more" if len(outer) > len(largest) else ""
    return "; ".join(_layers_words(one) for one in outer if one in largest) + more


def _layers_words(layers: Layers) -> str:
    """`model.layers 0-2 | 3-60` where the kinds are runs, else `model.layers (A A B) x 12`."""
    if all(len(kind.indices.ranges) == 1 for kind in layers.kinds):
        pattern = " | ".join(str(kind.indices) for kind in layers.kinds)
    else:
        pattern = ", ".join(map(str, layers.layout))
    return f"{words.label(layers.container)} {words.label(pattern)}"


def _parts_line(checkpoint: Checkpoint) -> str:
    return "; ".join(
        f"{count} tensor-parallel parts{f' of {words.label(name)}' * bool(name)} hold the same "
        "names; shapes are those of one part"
        for name, count in checkpoint.parts.items()
    )


def _sets_line(checkpoint: Checkpoint) -> str:
    """The sets that are shown, and those that could be: not the parts of a shown one."""
    chosen = [one.name for one in checkpoint.sets if one.chosen]
    others = [one.name for one in checkpoint.sets if not one.chosen and one.within not in chosen]
    if len(checkpoint.sets) == 1:
        return ""
    shown = ", ".join(map(words.label, chosen[:_SHOWN_SETS]))
    line = f"{shown} ({checkpoint.choice})"
    if others:
        more = f" and {len(others) - _SHOWN_SETS:,} more" * (len(others) > _SHOWN_SETS)
        names = ", ".join(map(words.label, others[:_SHOWN_SETS]))
        line += f"; not shown: {names}{more} (--set NAME, --all)"
    return line


def _matched_line(structure: Structure) -> str:
    if structure.rows is None:
        return ""
    return f"{len(structure.rows):,} of {len(structure.checkpoint.table):,} tensors"

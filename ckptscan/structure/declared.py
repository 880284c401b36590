"""Counts that files declare of themselves, and which of the counts here each equals.

Such figures follow no one definition (knowledge of the field: some count scales, some packed
weights, some a tied head twice), so each is shown with the sums that give it, or as equal to none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckptscan.checkpoint import Checkpoint
from ckptscan.structure.counting import Parameters

_KEYS = ("total_parameters", "total_params", "num_parameters", "parameter_count", "n_parameters")


class Declared(NamedTuple):
    """A declared count, where it stands, and in words the sums of ours that equal it."""

    where: str
    value: int
    equals: tuple[str, ...]


def find_declared(checkpoint: Checkpoint, parameters: Parameters) -> tuple[Declared, ...]:
    """Every count that the place, the index or the headers declare; a repeated claim once."""
    sums = list(known_sums(parameters))
    claims = dict.fromkeys(_claims(checkpoint))
    return tuple(
        Declared(where, value, tuple(words for words, number in sums if number == value))
        for where, value in claims
    )


def known_sums(parameters: Parameters) -> Iterator[tuple[str, int]]:
    """The sums that people publish as a model's size, in words."""
    one = parameters
    yield "stored elements", one.stored_elements
    if one.logical is None or one.non_embedding is None:
        return
    main = one.logical - one.mtp
    yield "logical", one.logical
    yield "logical without MTP", main
    yield "logical without routing bias", one.logical - one.routing_bias
    yield "logical without MTP and routing bias", main - one.routing_bias
    yield "logical with buffers", one.logical + one.buffers
    yield "logical with quantization", one.logical + one.quantization
    yield "logical with a head of its own", one.logical + (0 if one.lm_head else one.embedding)
    yield "non-embedding", one.non_embedding
    yield "non-embedding without MTP", main - one.embedding - one.lm_head
    if one.active is not None:
        yield "active", one.active.all
        yield "active without input embedding", one.active.without_input_embedding
        yield "active without embeddings", one.active.without_embeddings


def _claims(checkpoint: Checkpoint) -> Iterator[tuple[str, int]]:
    yield from checkpoint.origin.claims
    index = checkpoint.index.metadata if checkpoint.index else {}
    for key in _KEYS:
        value = index.get(key)
        if type(value) is int and value > 0:
            yield f"index {key}", value
    for shard in checkpoint.table.shards:
        for key in _KEYS:
            text = shard.metadata.get(key, "")
            if text.isascii() and text.isdigit() and len(text) < 20 and int(text) > 0:
                yield f"header {key}", int(text)

"""Sources are asked where their files are stored, and what that proves of pairs of tensors.

    places = whereabouts(Side(a, paths_of_a), Side(b, paths_of_b), pairs)
    places.proves_equal(Stretch(("a", "model.safetensors"), 8192, 16384), Stretch(("b", ...), ...))

Files are named ("a", path) and ("b", path). No byte of a tensor is read, and nothing here fails:
`problems` tells of each file that nothing is known of why.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ckptscan.content.xet import Question, Stretch, Whereabouts
from ckptscan.sources.base import Source
from ckptscan.sources.terms import Doubt, Terms, read_borders, read_terms

MAX_QUESTIONS = 256  # requests for single chunks; each links what many tensors lie on
ROUNDS = 3  # where the first place that was asked about shows nothing

Name = tuple[str, str]  # "a" or "b", and a path


class Side(NamedTuple):
    """A source, and the files of it that are compared."""

    source: Source
    paths: Sequence[str]


class Known(NamedTuple):
    """Where the files of two sides are stored, and why nothing is known of some of them."""

    places: Whereabouts
    problems: Mapping[Name, str]


def whereabouts(a: Side, b: Side, pairs: Sequence[tuple[Stretch, Stretch]] = ()) -> Known:
    """Where the files of two sides are stored.

    `pairs` are stretches that may be equal: where terms alone don't tell, single chunks are asked
    for. Raises no SourceError.
    """
    sides = {"a": a, "b": b}
    terms: dict[Name, Terms] = {}
    for side, (source, paths) in sides.items():
        terms |= {(side, path): told for path, told in read_terms(source, paths)}
    places = Whereabouts(terms)
    asked: set[Question] = set()
    for _ in range(ROUNDS):
        questions = places.questions(pairs, asked)[: MAX_QUESTIONS - len(asked)]
        more = dict(_answered(sides, terms, questions))
        if not more:
            break
        asked |= set(questions)
        terms |= more
        places = Whereabouts(terms)
    return Known(places, {name: one.problem for name, one in terms.items() if one.problem})


def _answered(
    sides: Mapping[str, Side], terms: Mapping[Name, Terms], questions: Sequence[Question]
) -> Iterable[tuple[Name, Terms]]:
    """Files with the terms that they have after some questions."""
    offsets: dict[Hashable, list[int]] = {}
    for name, offset in questions:
        offsets.setdefault(name, []).append(offset)
    for side, (source, _) in sides.items():
        doubts = [
            Doubt(name[1], told, tuple(sorted(offsets[name])))
            for name, told in terms.items()
            if name[0] == side and name in offsets
        ]
        for path, told in read_borders(source, doubts) if doubts else ():
            yield (side, path), told

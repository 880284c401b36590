"""X005, X006: names that a terminal obeys, and names that look like others."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ckptscan.checks.places import bounded, of_kinds, place_of
from ckptscan.checks.values import Check, Finding, Subject, Where
from ckptscan.header import quoted
from ckptscan.names import is_visible

LONG = 512  # characters; the longest name in 585 model families has 112
# control characters, C1 too, bidirectional controls, line and paragraph separators
OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
BREAKS = dict.fromkeys(map(ord, "\t\n\r"), " ")
# Cyrillic and Greek letters that look like Latin ones
_TWINS = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0445\u0443\u0456\u0458\u0455\u04bb\u0501\u051b\u03bf\u03b1\u03bd",
    "aeopcxyijshdqoav",
)


def hidden_characters(subject: Subject) -> Iterator[Finding]:
    r"""A name or a value holds characters that a terminal obeys, or that nobody sees.

    What it finds: control, escape and bidirectional characters in names of tensors and files and
    in metadata: an error; other invisible ones: a warning. ckptscan shows them escaped.
    Why it matters: they rewrite what a terminal shows (llama.cpp#28969), hide a tensor behind a
    NUL (safetensors#748), or make two names look like one.
    Example: 'model\x1b]0;owned\x07.weight' holds hidden characters.
    What to do: don't load the file, nor show its names with tools that do not escape.
    """
    for what, places in (
        ("tensor", list(_odd_tensors(subject))),
        ("file", [(entry.path, Where(entry.path)) for entry in subject.checkpoint.files]),
        ("metadata", list(_metadata(subject))),
    ):
        odd = [(text, place) for text, place in places if not is_visible(text)]
        obeyed = [one for one in odd if OBEYED.search(one[0])]
        unseen = [one for one in odd if not OBEYED.search(one[0])]
        for severity, group in (("error", obeyed), ("warning", unseen)):
            if group:
                more = f" and {len(group) - 1:,} more" if len(group) > 1 else ""
                holds = "holds" if len(group) == 1 else "hold"
                yield HIDDEN.finding(
                    f"{what} {quoted(group[0][0])}{more} {holds} hidden characters",
                    *bounded(dict.fromkeys(place for _, place in group)),
                    severity=severity,
                    hint="don't show these names with tools that do not escape them",
                    count=len(group),
                )


def _odd_tensors(subject: Subject) -> Iterator[tuple[str, Where]]:
    """Names of the files in which the reader saw an odd one, with their places."""
    faults = of_kinds(subject.checkpoint, ("hostile-name",))
    bytes_of = {(file, fault.tensor): fault.byte for file, fault in faults}
    files = {file for file, _ in faults}
    table = subject.checkpoint.table
    for shard in table.shards:
        if shard.path in files:
            for name in table.names[shard.rows.start : shard.rows.stop]:
                byte = bytes_of.get((shard.path, name))
                yield name, Where(shard.path, name, byte=byte)


def _metadata(subject: Subject) -> Iterator[tuple[str, Where]]:
    for shard in subject.checkpoint.table.shards:
        for key, value in shard.metadata.items():
            yield key, Where(shard.path)
            yield value.translate(BREAKS), Where(shard.path)


def deceptive_name(subject: Subject) -> Iterator[Finding]:
    """A tensor's name is absurd, or looks like another one.

    What it finds: empty names, names of more than 512 characters, with spaces at an end or like a
    path; names that differ in case alone, or in letters that look alike.
    Why it matters: tools that cut, strip or fold names take one tensor for another
    (llama.cpp#6836).
    Example: 'model.norm.Weight' and 'model.norm.weight' differ in case alone.
    What to do: find out which tool wrote them; rename them.
    """
    odd = [(name, place, why) for name, place in _odd_tensors(subject) if (why := _oddity(name))]
    long = [
        (family.pattern, Where(tensor=family.pattern, count=family.count), "is absurdly long")
        for family in subject.structure.families
        if len(family.pattern) > LONG
    ]
    odd += [one for one in long if one[0] not in {name for name, _, _ in odd}]
    if odd:
        more = f", and {len(odd) - 1:,} more are odd" if len(odd) > 1 else ""
        yield DECEPTIVE.finding(
            f"{quoted(odd[0][0])} {odd[0][2]}{more}",
            *bounded(place for _, place, _ in odd),
            hint="find out which tool wrote them",
            count=len(odd),
        )
    yield from _twins(subject)


def _oddity(name: str) -> str:
    if not name:
        return "is empty"
    if len(name) > LONG:
        return "is absurdly long"
    if name != name.strip():
        return "begins or ends with a space"
    if name.startswith(("/", "\\", "~")) or "../" in name or "..\\" in name:
        return "looks like a path"
    return ""


def _twins(subject: Subject) -> Iterator[Finding]:
    """Families whose patterns are one when case and look-alike letters are folded."""
    groups: dict[tuple[str, str], dict[str, Where]] = {}
    for family in subject.structure.families:
        folded = unicodedata.normalize("NFKC", family.pattern).casefold().translate(_TWINS)
        groups.setdefault((family.component, folded), {})[family.pattern] = place_of(family)
    for places in groups.values():
        if len(places) > 1:
            first, second, *_ = places
            yield DECEPTIVE.finding(
                f"{quoted(first)} and {quoted(second)} differ in case or look-alike letters alone",
                *places.values(),
                hint="find out which of them the model reads",
                names=len(places),
            )


HIDDEN = Check("X005", "hidden-characters", "error", hidden_characters)
DECEPTIVE = Check("X006", "deceptive-name", "warning", deceptive_name)

CHECKS: tuple[Check, ...] = (HIDDEN, DECEPTIVE)

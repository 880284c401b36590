"""A diff for a terminal: what it amounts to, the figures, then the changes as patterns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.diff import Diff, Setting
from ckptscan.diff.groups import Group, groups
from ckptscan.diff.settings import are_comparable
from ckptscan.report import words
from ckptscan.report.diff import Look, phrases
from ckptscan.report.faults import PACK_NOTE

_WIDTH = 100  # where the terminal tells none
_COLUMN = 13  # where values begin
_SHOWN = 24  # lines of a group
_SHOWN_SETTINGS = 40
_SHOWN_FILES = 12
_SECTION = 4  # new keys of one section that are told as one


def report(diff: Diff, look: Look) -> Iterator[str]:
    """Both names, the verdict, the figures; below them the changes unless `stat` is set."""
    width = look.width or _WIDTH
    yield f"A {words.label(diff.a.checkpoint.origin.title)}"
    yield f"B {words.label(diff.b.checkpoint.origin.title)}"
    said = phrases.verdict_lines(diff)
    said = said if diff.verdicts else ["no verdict", *said]
    facts = list(zip(["verdict", *[""] * (len(said) - 1)], said, strict=True))
    facts += phrases.facts(diff, look.shows("structure"), look.shows("content"))
    if look.shows("config"):
        facts += [("config", _count(diff)), ("files", phrases.weights(diff))]
    if any(side.checkpoint.origin.packed for side in (diff.a, diff.b)):
        facts.append(("pack", PACK_NOTE))
    for name, value in facts:
        first, *rest = words.wrapped(words.printable(value), width, _COLUMN, 2)
        yield f"  {name:<{_COLUMN - 2}}{first[_COLUMN:]}"
        yield from rest
    if look.stat:
        return
    if look.only != "config":
        for group in groups(diff, look.only == "content"):
            yield ""
            yield from _group(group, width)
    if look.shows("config"):
        yield from _config(diff, width)
        yield from _files(diff, width)


def _count(diff: Diff) -> str:
    files = dict.fromkeys(one.file for one in diff.config)
    if not are_comparable(diff.a.checkpoint, diff.b.checkpoint):
        return "no file of settings that both sides have"
    if not files:
        return "no key differs"
    verb = "differs" if len(diff.config) == 1 else "differ"
    where = ", ".join(map(words.label, files))
    return f"{words.plural(len(diff.config), 'key')} {verb} in {where}"


def _group(group: Group, width: int) -> Iterator[str]:
    """The heading with the count at its right, then the patterns."""
    doubt = f" (doubtful: {group.doubt})" if group.doubt else ""
    what = f"  {phrases.short(group.what)}" if group.what else ""
    yield from _counted(f"{group.kind}{what}{doubt}", words.plural(group.tensors, "tensor"), width)
    shown = group.lines[:_SHOWN]
    for line in shown:
        before, after = phrases.sides(line)
        count = f"{line.tensors:,}" if len(group.lines) > 1 else ""
        together = f"  {before} -> {after}" if after else f"  {before}"
        if after and len(together) + len(count) + 2 > width:
            yield f"  {before}"
            together = f"    -> {after}"
        yield from _counted(together, count, width)
    more = len(group.lines) - len(shown)
    if more:
        yield f"  ... and {words.plural(more, 'more pattern')}; --format json lists all"


def _counted(text: str, count: str, width: int) -> Iterator[str]:
    """A line with a count at the right edge, broken where a pattern allows it."""
    room = width - len(count) - bool(count)
    *before, last = _broken(text, room)
    yield from before
    yield f"{last.ljust(room)} {count}" if count else last


def _broken(text: str, width: int) -> Iterator[str]:
    """Text as lines that end behind a dot, a comma or a space where they are too long."""
    indent = " " * (len(text) - len(text.lstrip()) + 4)
    while len(text) > width:
        cut = max(text.rfind(char, len(indent), width) for char in " .,") + 1
        if cut <= len(indent):
            break
        yield text[:cut].rstrip()
        text = indent + text[cut:]
    yield text


def _config(diff: Diff, width: int) -> Iterator[str]:
    """The keys that differ, by file; a section that one side lacks as one line."""
    by_file: dict[str, list[Setting]] = {}
    for one in diff.config:
        by_file.setdefault(one.file, []).append(one)
    for file, held in by_file.items():
        yield ""
        yield words.label(file)
        lines = list(_settings(held))
        for key, said in lines[:_SHOWN_SETTINGS]:
            yield from words.wrapped(f"{key}  {said}", width, 2, 4)
        if len(lines) > _SHOWN_SETTINGS:
            more = words.plural(len(lines) - _SHOWN_SETTINGS, "more key")
            yield f"  ... and {more}; --format json lists all"


def _settings(held: Sequence[Setting]) -> Iterator[tuple[str, str]]:
    """Keys and what they say; keys of a section that one side lacks are told together."""
    sections: dict[str, list[Setting]] = {}
    for one in held:
        sections.setdefault(one.key.partition(".")[0], []).append(one)
    for section, members in sections.items():
        is_new = all(one.in_b and not one.in_a for one in members)
        is_gone = all(one.in_a and not one.in_b for one in members)
        if len(members) >= _SECTION and (is_new or is_gone):
            told = ", ".join(
                f"{words.label(one.key.partition('.')[2])} "
                f"{phrases.value(one.b if is_new else one.a)}"
                for one in members
            )
            yield f"{words.label(section)}.*", f"{'new' if is_new else 'gone'}: {told}"
            continue
        for one in members:
            yield words.label(one.key), phrases.setting(one)


def _files(diff: Diff, width: int) -> Iterator[str]:
    """Files that are new, gone or changed; weight files that were cut anew are told above."""
    is_cut_anew = phrases.is_cut_anew(diff)
    told = [
        f"{one.status} {words.label(one.path)}"
        for one in diff.files
        if one.status in ("added", "removed", "changed") and not (is_cut_anew and one.is_weights)
    ]
    if not told:
        return
    more = len(told) - _SHOWN_FILES
    shown = [*told[:_SHOWN_FILES], *([f"and {more:,} more"] if more > 0 else [])]
    yield ""
    yield "files"
    yield from words.wrapped(", ".join(shown), width, 2, 0)

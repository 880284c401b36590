"""A diff as Markdown, fit for a pull request; all that comes from the checkpoints is escaped."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.diff import Diff
from ckptscan.diff.groups import groups
from ckptscan.report.diff import Look, phrases
from ckptscan.report.markdown import cell, written

_SHOWN = 12  # patterns of a group
_SHOWN_SETTINGS = 60
_COLUMNS = ("change", "what", "where", "tensors")


def report(diff: Diff, look: Look) -> Iterator[str]:
    """A heading, the figures as a list, a table of changes, one of settings."""
    yield f"## {cell(diff.a.checkpoint.origin.title)} -> {cell(diff.b.checkpoint.origin.title)}"
    yield ""
    yield f"**{_long(phrases.verdict(diff))}**"
    yield ""
    facts = list(phrases.facts(diff, look.shows("structure"), look.shows("content")))
    if look.shows("config"):
        facts.append(("files", phrases.weights(diff)))
    for name, value in facts:
        yield f"- {cell(name)}: {_long(value)}"
    if look.stat:
        return
    if look.only != "config":
        yield from _changes(diff, look.only == "content")
    if look.shows("config"):
        yield from _config(diff)


def _changes(diff: Diff, is_content: bool) -> Iterator[str]:
    rows = []
    for group in groups(diff, is_content):
        patterns = [" → ".join(filter(None, phrases.sides(line))) for line in group.lines]
        more = len(patterns) - _SHOWN
        shown = [*patterns[:_SHOWN], *([f"and {more:,} more"] if more > 0 else [])]
        doubt = f" (doubtful: {group.doubt})" if group.doubt else ""
        rows.append(
            [
                cell(group.kind),
                _long(phrases.short(group.what) + doubt),
                "<br>".join(map(_long, shown)),
                cell(group.tensors),
            ]
        )
    if rows:
        yield ""
        yield from written(_COLUMNS, rows)


def _config(diff: Diff) -> Iterator[str]:
    rows = [
        [
            cell(one.file),
            _long(one.key),
            cell(phrases.value(one.a)) if one.in_a else "",
            cell(phrases.value(one.b)) if one.in_b else "",
        ]
        for one in diff.config[:_SHOWN_SETTINGS]
    ]
    if rows:
        yield ""
        yield from written(("file", "key", "A", "B"), rows)
    if len(diff.config) > _SHOWN_SETTINGS:
        yield ""
        yield f"... and {len(diff.config) - _SHOWN_SETTINGS:,} more keys"


def _long(text: str) -> str:
    """A cell of any length; `cell` cuts what has more than 200 characters."""
    return " ".join(cell(word) for word in text.split(" "))

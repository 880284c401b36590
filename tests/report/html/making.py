"""Pages for tests, and what a parser of HTML finds in them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from ckptscan.checks import audit
from ckptscan.diff import compare
from ckptscan.plan import Ask, plan
from ckptscan.report import Layout, diff, findings, plans, report
from ckptscan.structure import Structure

_CODE = re.compile(r"(<(script|style)\b[^>]*>).*?(?=</\2>)", re.DOTALL)
_CHANGING = re.compile(r"sha256-[\w+/=]+|ckptscan \d[\w.]*")
_BREAK = re.compile(r"(?=<(?:section|article|tr|table|h2|h3|svg|g|rect|div|dd|dt|details)\b)")


def readable(page: str) -> str:
    """A page without its scripts, styles, their digests and the version; an element a line."""
    return _BREAK.sub("\n", _CHANGING.sub("...", _CODE.sub(r"\1", page)))


class Found(HTMLParser):
    """The elements of a page with their attributes; text of scripts, styles and all else."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.comments: list[str] = []
        self.texts: list[str] = []
        self.within = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.within = tag

    def handle_endtag(self, tag: str) -> None:
        self.within = ""

    def handle_data(self, data: str) -> None:
        kinds = {"script": self.scripts, "style": self.styles}
        kinds.get(self.within, self.texts).append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    def attribute(self, tag: str, name: str, **wanted: str) -> list[str]:
        """The values of an attribute of such elements."""
        return [
            held[name] or ""
            for found, held in self.elements
            if found == tag and name in held and wanted.items() <= held.items()
        ]


def inspect_page(structure: Structure) -> str:
    return "\n".join(report(structure, "html", Layout()))


def audit_page(structure: Structure) -> str:
    return "\n".join(findings.report([audit(structure)], "html", None))


def diff_page(before: Structure, after: Structure) -> str:
    return "\n".join(diff.report(compare(before, after), "html", diff.Look()))


def plan_page(structure: Structure, *engines: str) -> str:
    asks = [Ask(engine=one) for one in engines] or [Ask()]
    made = [plan(structure, one) for one in asks]
    return "\n".join(plans.report(structure.checkpoint, made, "html", plans.Shown()))

"""The page around the sections: one file that asks nothing of the net and trusts no name.

A Content-Security-Policy lets run the scripts of the package alone, each known by its digest.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

from ckptscan.report.html.markup import Child, Markup, element, text
from ckptscan.report.html.pictures import patterns
from ckptscan.version import VERSION

_EVERY = ("page.js",)  # scripts of every page
_EXACT = 1 << 53  # JavaScript's integers are exact below it


class Section(NamedTuple):
    """A part of the page: its anchor, its heading, what stands in it."""

    name: str
    title: str
    content: Child


class Page(NamedTuple):
    """A page: its title, what it is about, the sections; the data that its scripts read."""

    title: str
    about: str
    lead: Child
    sections: Sequence[Section]
    scripts: Sequence[str] = ()
    columns: object = None


def written(page: Page) -> Iterator[str]:
    """The lines of the page, in plain ASCII, so that no encoding matters."""
    scripts = [asset(name) for name in (*_EVERY, *page.scripts)]
    style = asset("page.css")
    yield "<!DOCTYPE html>"
    yield '<html lang="en">'
    yield "<head>"
    yield element("meta", charset="utf-8")
    policy = content_policy(scripts, style)
    yield element("meta", http_equiv="Content-Security-Policy", content=policy)
    yield element("meta", name="viewport", content="width=device-width, initial-scale=1")
    yield element("meta", name="color-scheme", content="light dark")
    yield element("meta", name="generator", content=f"ckptscan {VERSION}")
    yield element("title", f"{page.title} - {page.about}")
    yield element("style", style)
    yield "</head>"
    yield "<body>"
    yield from _body(page)
    if page.columns is not None:
        yield element("script", embedded(page.columns), type="application/json", id="columns")
    yield from (element("script", script) for script in scripts)
    yield "</body>"
    yield "</html>"


def _body(page: Page) -> Iterator[str]:
    shown = [section for section in page.sections if section.content]
    links = (element("li", element("a", one.title, href=f"#{one.name}")) for one in shown)
    yield element("a", "Skip to the report", class_="skip", href="#report")
    yield patterns()
    yield element(
        "header",
        element("p", page.about, class_="about"),
        element("h1", page.title),
        element("button", "Dark", type="button", id="theme", hidden=""),
    )
    yield element("nav", element("ul", *links), aria_label="Sections")
    yield '<main id="report" tabindex="-1">'
    yield text(page.lead or "")
    for one in shown:
        heading = element("h2", one.title, id=f"{one.name}-title")
        yield element(
            "section", heading, one.content, id=one.name, aria_labelledby=f"{one.name}-title"
        )
    yield "</main>"
    yield element(
        "footer",
        element(
            "p", f"Made by ckptscan {VERSION}. Sizes are binary: 1 GiB is 1,073,741,824 bytes."
        ),
    )


def asset(name: str) -> Markup:
    """A file of the package's own, as it stands in the page."""
    return Markup((files(__package__) / "assets" / name).read_text(encoding="ascii"))


def content_policy(scripts: Sequence[str], style: str) -> str:
    """Nothing is loaded from anywhere; run are these scripts, and they alone."""
    allowed = " ".join(map(_digest, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_digest(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def embedded(columns: object) -> Markup:
    """Values as JSON that no parser of HTML can take for an end of the script."""
    plain = json.dumps(columns, separators=(",", ":"))
    return Markup(plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def number(value: int) -> int | str:
    """An integer for scripts: as text where JavaScript would round it."""
    return value if -_EXACT < value < _EXACT else str(value)

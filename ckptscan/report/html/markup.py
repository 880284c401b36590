"""Elements of a page; a string is text unless it is Markup, so that nothing slips in unescaped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from ckptscan.report import words

_BREAK = re.compile(r"([./_])(?=\w)")
_VOID = frozenset({"input", "link", "meta", "rect"})


class Markup(str):
    """Text that is HTML already; made by this module and from files of the package alone."""

    __slots__ = ()


Child = str | None


def text(value: str) -> Markup:
    """Text as HTML: escaped, in plain ASCII; characters that can't be seen are written out."""
    if isinstance(value, Markup):
        return value
    return Markup(escape(words.printable(value)).encode("ascii", "xmlcharrefreplace").decode())


def joined(children: Iterable[Child], between: str = "") -> Markup:
    """Children one after the other; None is nothing."""
    return Markup(between.join(text(child) for child in children if child is not None))


def element(tag: str, *children: Child, **attributes: str | int | None) -> Markup:
    """An element; `class_` is class and `aria_label` aria-label; an attribute of None is left out.

    An attribute that is empty has no value: `hidden`.
    """
    written = "".join(
        f" {name.rstrip('_').replace('_', '-')}" + (f'="{text(str(value))}"' if value != "" else "")
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{written}/>" if tag == "rect" else f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{joined(children)}</{tag}>")


def name(named: str) -> Markup:
    """A name of a tensor, a file, a module, which may be broken behind its dots and slashes.

    One that is absurdly long is cut.
    """
    written = text(words.label(named))
    return element("code", Markup(_BREAK.sub(r"\1<wbr>", written)))


def listed(items: Iterable[Child], class_: str | None = None) -> Markup | None:
    """A list of these, None where there are none."""
    held = [element("li", item) for item in items]
    return element("ul", *held, class_=class_) if held else None


def folded(summary: str, *children: Child, is_open: bool = False) -> Markup:
    """What is shown when its summary is chosen."""
    start = element("summary", summary)
    return element("details", start, *children, open="" if is_open else None)

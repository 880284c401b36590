"""Lists and tables that can be searched; without a script all of them is shown."""

from __future__ import annotations

from collections.abc import Sequence

from ckptscan.report.html.markup import Markup, element, joined


def filtered(anchor: str, items: Sequence[Markup], kinds: Sequence[str], hint: str) -> Markup:
    """Items below a search, and boxes that choose among their kinds where there are several.

    Each item carries its kind as `data-kind`.
    """
    boxes = [_box(kind) for kind in kinds] if len(kinds) > 1 else []
    search = element("input", type="search", placeholder=hint)
    controls = element(
        "div",
        element("label", "Search", search, class_="wide"),
        *boxes,
        class_="controls",
        role="search",
        data_of=anchor,
        hidden="",
    )
    status = element("p", class_="status", role="status")
    return element("div", controls, status, element("div", joined(items), id=anchor))


def _box(kind: str) -> Markup:
    box = element("input", type="checkbox", value=kind, checked="")
    return element("label", box, kind)

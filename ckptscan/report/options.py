"""How a report is to look: the choices that every format shares."""

from __future__ import annotations

from typing import NamedTuple

VIEWS = (
    "summary",
    "tree",
    "modules",
    "flow",
    "parameters",
    "formula",
    "attention",
    "tensors",
    "families",
    "layers",
    "dtypes",
    "files",
    "metadata",
)
FORMATS = ("text", "json", "csv", "markdown", "latex", "jsonl", "html")
PARQUET = "parquet"  # the one format that is no text
# formats that write one view of one source
VIEW_OF = {"latex": "formula", "jsonl": "tensors", PARQUET: "tensors"}
# what is shown where no view is asked for
FIRST_VIEW = {**dict.fromkeys(FORMATS, "tree"), "markdown": "summary", **VIEW_OF}
SORTS = ("name", "size", "count")


class Layout(NamedTuple):
    """What to show: `view`, `depth` levels of the tree, `top` rows, `sort` by name, size or count.

    `depth` and `top` are None for all; `width` is the columns of the terminal, None for any.
    `expand` shows every layer where layers are folded. `bars` is what bars are drawn with,
    empty for none.
    """

    view: str = "tree"
    depth: int | None = None
    sort: str = "name"
    top: int | None = None
    width: int | None = None
    expand: bool = False
    bars: str = ""

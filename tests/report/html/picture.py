"""Makes docs/report.png anew: `python -m tests.report.html.picture`; it needs Chromium."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ckptscan.checkpoint import load
from ckptscan.structure import describe
from tests.conftest import HERE, pack
from tests.report.html.browser import Browser
from tests.report.html.making import inspect_page

MODEL = "Qwen--Qwen2-VL-7B-Instruct"
PICTURE = HERE.parent / "docs" / "report.png"


def make() -> None:
    """The head of the page and its treemap, in light colours."""
    browser = Browser()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        page.write_text(inspect_page(describe(load(pack(MODEL)))), encoding="ascii")
        browser.resize(1200, 760, is_phone=False)
        browser.prefer("light")
        browser.open(page)
        browser.run("document.getElementById('memory').scrollIntoView()")
        browser.run("new Promise(done => setTimeout(done, 500))")
        PICTURE.write_bytes(browser.picture())
    browser.close()


if __name__ == "__main__":
    make()

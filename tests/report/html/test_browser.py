"""Pages in a real browser: they open, are clicked, searched, turned dark, printed, without a word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ckptscan.checkpoint import load
from ckptscan.diff import BESIDE
from ckptscan.structure import Structure, describe
from tests.conftest import pack, structure_of
from tests.report.html.browser import CHROMIUM, Browser
from tests.report.html.making import audit_page, diff_page, inspect_page, plan_page
from tests.report.html.test_pages import hostile

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium; apt-get install chromium"),
]
ROWS = "document.querySelectorAll('#families-rows > tr').length"
STATUS = "document.querySelector('#families-list .status').textContent"
CRUMBS = "[...document.querySelectorAll('.crumbs button')].map((one) => one.textContent)"
DESK, PHONE = (1280, 900), (390, 844)
MOST_SECONDS = 3


def model(name: str) -> Structure:
    return describe(load(pack(name), beside=BESIDE))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    started = Browser()
    yield started
    started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each command on disk, and one of hostile names."""
    folder = tmp_path_factory.mktemp("pages")
    written = {
        "inspect": inspect_page(model("deepseek-ai--DeepSeek-V3")),
        "audit": audit_page(model("deepseek-ai--DeepSeek-V3")),
        "diff": diff_page(
            model("meta-llama--Llama-3.1-8B"),
            model("hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4"),
        ),
        "plan": plan_page(model("Qwen--Qwen2-7B")),
        "hostile": inspect_page(hostile()),
    }
    for name, text in written.items():
        (folder / f"{name}.html").write_text(text, encoding="ascii")
    return {name: folder / f"{name}.html" for name in written}


def shown(browser: Browser, page: Path, size: tuple[int, int] = DESK) -> Browser:
    """The browser with the page open, in light colours."""
    browser.resize(*size, is_phone=size == PHONE)
    browser.prefer("light")
    browser.open(page)
    return browser


@pytest.mark.parametrize("command", ["inspect", "audit", "diff", "plan", "hostile"])
def test_a_page_opens_at_any_width_turns_dark_and_prints(
    command: str, browser: Browser, pages: dict[str, Path]
) -> None:
    for size in (DESK, PHONE):
        tab = shown(browser, pages[command], size)
        light = tab.run("getComputedStyle(document.body).backgroundColor")
        tab.run("document.getElementById('theme').click()")

        assert "rgb(255, 255, 255)" == light
        assert "rgb(20, 23, 28)" == tab.run("getComputedStyle(document.body).backgroundColor")
        assert size[0] >= tab.run("document.documentElement.scrollWidth")
        assert tab.run("document.querySelector('main h2').textContent")
        assert [] == tab.said
    browser.prefer("dark")
    browser.open(pages[command])

    assert "rgb(20, 23, 28)" == browser.run("getComputedStyle(document.body).backgroundColor")
    assert browser.pdf().startswith(b"%PDF")
    assert [] == browser.said


def test_a_click_into_the_treemap_zooms_and_the_path_leads_back(
    browser: Browser, pages: dict[str, Path]
) -> None:
    tab = shown(browser, pages["inspect"])
    tab.run("document.getElementById('treemap').scrollIntoView()")
    box = tab.run("(({x, y, width, height}) => [x, y, width, height])"
                  "(document.getElementById('treemap').getBoundingClientRect())")  # fmt: skip
    tab.click(box[0] + box[2] * 0.4, box[1] + box[3] * 0.6)
    within = tab.run(CRUMBS)
    told = tab.run("document.querySelector('#tree .status').textContent")
    tab.run("document.querySelector('.crumbs button').click()")

    assert ["all", "model", "layers", "(3-60): 58 x", "mlp", "experts.(0-255): 256 x"] == within
    assert "203.00 GiB" in told
    assert ["all"] == tab.run(CRUMBS)
    assert [] == tab.said


def test_keys_alone_zoom_and_unfold(browser: Browser, pages: dict[str, Path]) -> None:
    tab = shown(browser, pages["inspect"])
    tab.run("document.querySelector('.inside button').focus()")
    tab.press("Enter")
    within = tab.run(CRUMBS)
    focus = tab.run("document.activeElement.textContent")
    before = tab.run("document.querySelectorAll('#tree tbody tr').length")
    tab.run("document.querySelector('#tree .toggle[aria-expanded=true]').focus()")
    tab.press("Enter")

    assert ["all", "model"] == within
    assert "model" == focus
    assert before > tab.run("document.querySelectorAll('#tree tbody tr').length")
    assert "false" == tab.run("document.activeElement.getAttribute('aria-expanded')")
    assert [] == tab.said


def test_families_are_searched_by_pattern_and_by_name(
    browser: Browser, pages: dict[str, Path]
) -> None:
    tab = shown(browser, pages["inspect"])
    everything = tab.run(STATUS)
    tab.type_into("#families-list input", "experts")
    experts = tab.run(ROWS)
    tab.type_into("#families-list input", "layers.33.mlp.experts.7.up_proj")
    one = tab.run(ROWS)
    tab.run("document.querySelector('#families-rows .toggle').click()")
    names = tab.run("[...document.querySelectorAll('.names li')].map((name) => name.textContent)")
    tab.type_into("#families-list input", "no such family")

    assert "43 of 43 families, 91,991 tensors, 641.29 GiB" == everything
    assert 1 < experts < 43
    assert 2 == one
    assert "model.layers.33.mlp.experts.7.up_proj.weight" in names
    assert tab.run(STATUS).startswith("0 of 43 families")
    assert [] == tab.said


def test_scripts_make_the_names_that_the_files_have(browser: Browser, tmp_path: Path) -> None:
    names = [f"a.{n:03}.w" for n in range(8, 12)] + [
        f"b.{n}.{m}.w" for n in (0, 9, 10) for m in (1, 2)
    ]
    names += [f"c.{n}.{n * n}.w" for n in range(4)] + ["d*.1.w", "e\\.2.w", "7", "f.0.x.00.w"]
    page = tmp_path / "names.html"
    page.write_text(inspect_page(structure_of(dict.fromkeys(names, ("U8", [1])))), encoding="ascii")
    browser.open(page)
    made = browser.run("""(() => {
        const families = new Families(columns, document.createElement("div"));
        return families.patterns.flatMap((_, at) => [...families.names(at, [])]);
    })()""")

    assert sorted(names) == sorted(made)


def test_findings_and_changes_are_filtered(browser: Browser, pages: dict[str, Path]) -> None:
    count = "document.querySelectorAll('[data-kind]:not([hidden])').length"
    for command, word in (("audit", "total_size"), ("diff", "requantized")):
        tab = shown(browser, pages[command])
        before = tab.run(count)
        tab.type_into("input[type=search]", word)

        assert 1 == tab.run(count) < before
        assert f"1 of {before} shown" == tab.run("document.querySelector('.status').textContent")
        assert [] == tab.said


def test_hostile_names_are_text(browser: Browser, pages: dict[str, Path]) -> None:
    tab = shown(browser, pages["hostile"])
    told = tab.run("document.body.innerText")

    assert "</script><script>alert(1)</script>" in told.replace("\n", "")
    assert 0 == tab.run("document.querySelectorAll('img, b').length")
    assert [] == tab.said


@pytest.mark.parametrize(
    "are_alike",
    [
        pytest.param(True, id="families"),
        pytest.param(False, id="all-different", marks=pytest.mark.long),
    ],
)
def test_200_000_tensors_open_in_3_seconds(
    are_alike: bool, browser: Browser, tmp_path: Path
) -> None:
    if are_alike:
        names = [
            f"layers.{a}.experts.{b}.w{c}" for a in range(65) for b in range(1024) for c in "123"
        ]
    else:
        names = [f"{place:x}a.b{place * 7919 % 1000:x}z" for place in range(200_000)]
    page = tmp_path / "big.html"
    page.write_text(inspect_page(structure_of(dict.fromkeys(names, ("U8", [1])))), encoding="ascii")
    seconds = min(browser.open(page) for _ in range(3))

    assert MOST_SECONDS > seconds
    assert f"{len(names):,} tensors" in browser.run(STATUS)
    assert [] == browser.said

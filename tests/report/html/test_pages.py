"""Pages: what stands in them, that they ask nothing of the net, and that names stay text."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256

import pytest

from ckptscan.checkpoint import load
from ckptscan.names import fill
from ckptscan.report import Layout, many
from ckptscan.report.html.columns import columns
from ckptscan.report.html.markup import element, name, text
from ckptscan.report.html.page import asset, embedded, number
from ckptscan.report.html.pictures import Part, bar, stack
from ckptscan.sources import open_source
from ckptscan.structure import Structure, describe
from ckptscan.structure.roles import OTHER, PARTS, ROLES, part_of
from fixtures.echarts import ECHARTS
from tests.conftest import ATTACKS, pack, structure_of, unheld
from tests.report.html import evil
from tests.report.html.making import (
    Found,
    audit_page,
    diff_page,
    inspect_page,
    plan_page,
    readable,
)

SMALL = {
    "model.embed_tokens.weight": ("F16", [64, 16]),
    **{f"model.layers.{n}.self_attn.q_proj.weight": ("F16", [16, 16]) for n in range(4)},
    **{f"model.layers.{n}.mlp.up_proj.weight": ("F16", [32, 16]) for n in range(3)},
    "model.layers.3.mlp.up_proj.weight": ("F32", [32, 16]),
    "model.norm.weight": ("F32", [16]),
}
HOSTILE = {
    "</script><script>alert(1)</script>": ("F16", [2]),
    "<img src=x onerror=alert(1)>.weight": ("F16", [2]),
    "a\"' onload=alert(1) x=": ("F16", [2]),
    "layers.0.<!--.weight": ("F16", [2]),
    "layers.1.<!--.weight": ("F32", [2]),
    "&lt;b&gt;\u202e\x1b[2J\n{a|rich}": ("F16", [2]),
    "\\*.*": ("F16", [2]),
}
COMMANDS = ("inspect", "audit", "diff", "plan")
SCRIPTS = ("page.js", "tree.js", "treemap.js", "modules.js", "families.js", "inspect.js")
WHERE = {f"{held}{command}" for held in ("", "evil-") for command in COMMANDS}


def hostile() -> Structure:
    config = {"architectures": ["<script>alert(2)</script>"], "torch_dtype": "</style><b>"}
    return unheld(HOSTILE, config=config)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The page of each command, of a checkpoint whose names are meant to break out."""
    return {
        "inspect": inspect_page(hostile()),
        "audit": audit_page(hostile()),
        "diff": diff_page(hostile(), structure_of(SMALL)),
        "plan": plan_page(unheld(HOSTILE | SMALL, config=CONFIG)),
        **{f"evil-{command}": page for command, page in evil.pages()},
    }


CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 16,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "num_hidden_layers": 4,
    "vocab_size": 64,
    "max_position_embeddings": 128,
    "torch_dtype": "float16</script>",
}


def test_the_data_of_a_small_page(golden: Callable[[str], None]) -> None:
    golden(json.dumps(columns(structure_of(SMALL)), indent=1) + "\n")


def test_what_stands_in_a_small_page_without_its_scripts(golden: Callable[[str], None]) -> None:
    golden(readable(inspect_page(structure_of(SMALL))) + "\n")


@pytest.mark.parametrize("command", sorted(WHERE))
def test_a_page_runs_the_scripts_of_the_package_and_no_other(
    command: str, pages: dict[str, str]
) -> None:
    found = Found(pages[command])
    (policy,) = found.attribute("meta", "content", **{"http-equiv": "Content-Security-Policy"})
    data = found.attribute("script", "type")
    digests = {
        f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
        for script in (*found.scripts, *found.styles)
    }

    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert set(re.findall(r"'sha256-[^']*'", policy)) <= digests
    assert len(data) == len(found.scripts) - policy.split("style-src")[0].count("sha256-")
    assert set(data) <= {"application/json"}


@pytest.mark.parametrize("command", sorted(WHERE))
def test_no_name_becomes_an_element_or_an_attribute(command: str, pages: dict[str, str]) -> None:
    found = Found(pages[command])
    attributes = {name for _, held in found.elements for name in held}

    assert set() == {"img", "b", "iframe", "object", "base", "form", "link"} & found.tags
    assert [] == found.comments
    assert [] == [name for name in attributes if name.startswith("on")]
    assert "style" not in attributes
    assert all(link.startswith("#") for link in found.attribute("a", "href"))
    assert "src" not in attributes


@pytest.mark.parametrize("command", sorted(WHERE))
def test_a_page_is_plain_ascii_that_no_terminal_obeys(command: str, pages: dict[str, str]) -> None:
    page = pages[command]

    assert page.isascii()
    assert page.replace("\n", "").isprintable()
    assert page.startswith("<!DOCTYPE html>\n")


@pytest.mark.parametrize("command", sorted(WHERE))
def test_a_page_has_landmarks_and_every_table_a_name(command: str, pages: dict[str, str]) -> None:
    found = Found(pages[command])
    tables = [tag for tag, _ in found.elements if tag == "table"]

    assert {"header", "nav", "main", "footer", "h1", "h2"} <= found.tags
    assert 1 == sum(tag == "h1" for tag, _ in found.elements)
    assert len(tables) == sum(tag == "caption" for tag, _ in found.elements)
    for tag, held in found.elements:
        if tag == "svg":
            assert "aria-hidden" in held or held.get("aria-label"), held
    anchors = found.attribute("section", "id")
    assert [f"#{anchor}" for anchor in anchors] == found.attribute("a", "href")[1:]
    assert len(set(anchors)) == len(anchors)


@pytest.mark.parametrize("path", sorted(ATTACKS.glob("*.safetensors")), ids=lambda path: path.stem)
def test_any_file_gives_a_page(path: object) -> None:
    structure = describe(load(open_source(str(path))))
    found = Found(inspect_page(structure))

    assert "main" in found.tags
    assert [] == found.comments


def test_a_page_of_the_same_is_the_same() -> None:
    assert inspect_page(hostile()) == inspect_page(hostile())


def test_names_are_made_of_pieces_and_indices() -> None:
    structure = structure_of(SMALL)
    held = columns(structure)["families"]
    for family, pieces in zip(structure.families, held["pieces"], strict=True):
        for indices in family.indices():
            written = [str(index) for index in indices]
            made = "".join(a + b for a, b in zip(pieces, [*written, ""], strict=True))

            assert fill(family.pattern, indices, family.axes) == made


def test_integers_that_scripts_would_round_come_as_text() -> None:
    assert 2**53 - 1 == number(2**53 - 1)
    assert str(2**53) == number(2**53)


def test_text_is_escaped_and_what_is_not_seen_is_written_out() -> None:
    assert "&lt;b&gt;\\x1b\\u202e&#228;" == text("<b>\x1b\u202eä")
    assert '<p title="&quot;&gt;">&lt;i&gt;</p>' == element("p", "<i>", title='">')
    assert "<code>a.<wbr>b/&lt;c&gt;</code>" == name("a.b/<c>")
    assert "<\\" not in embedded("</script>")
    assert "</script>" == json.loads(embedded("</script>"))


def test_pictures_are_shares_of_a_whole() -> None:
    assert 'x="25.00%" width="50.00%"' in bar(2, 4, 1, start=1)
    assert 'width="0.00%"' in bar(2, 0)
    drawn = stack([Part("weights", 3, 0), Part("<x>", 1, 1)], 4, "memory")

    assert "<title>weights: 3 B, 75.0 %</title>" in drawn
    assert 'x="75.00%" width="25.00%"' in drawn
    assert "&lt;x&gt;" in drawn


def test_every_role_of_a_part_is_a_role() -> None:
    roles = {role for held in PARTS.values() for role in held.split()}

    assert roles <= ROLES
    assert OTHER == part_of("norm")
    assert "experts" == part_of("expert.up")


def test_several_checkpoints_are_a_table_with_their_total() -> None:
    page = "\n".join(many.report_many([structure_of(SMALL), hostile()], "html", Layout()))
    found = Found(page)

    assert {"table", "caption"} <= found.tags
    assert "total" in found.texts


def test_assets_are_ascii_and_the_chart_library_is_the_one_that_is_named() -> None:
    library = asset("echarts/echarts.min.js")

    assert f"Apache ECharts {ECHARTS}," in library[:100]
    assert "</script" not in library.lower()
    assert "Apache License" in asset("echarts/LICENSE")
    for script in SCRIPTS:
        assert "</script" not in asset(script).lower()
        assert "innerHTML" not in asset(script)


def test_families_of_a_real_model_are_few_and_their_data_small() -> None:
    held = columns(describe(load(pack("deepseek-ai--DeepSeek-V3"))))

    assert 91_991 == sum(held["families"]["count"])
    assert len(embedded(held)) < 20_000

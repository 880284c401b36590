"""The version and those of documents: one list, and nothing that is not on it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from click.testing import CliRunner

import ckptscan
from ckptscan.commands import cli
from ckptscan.version import SCHEMAS, VERSION, schema

ROOT = Path(ckptscan.__file__).parent
NAMED = re.compile(r"ckptscan\.[a-z-]+/\d+")


def test_the_version_names_every_document() -> None:
    shown = CliRunner().invoke(cli, ["--version"]).output

    assert shown.startswith(f"ckptscan, version {VERSION}\n")
    for name, number in SCHEMAS.items():
        assert f" {name}/{number}" in shown
        assert f"ckptscan.{name}/{number}" == schema(name)


def test_no_document_is_named_beside_the_list() -> None:
    for path in ROOT.rglob("*.py"):
        code = path.read_text(encoding="utf-8")
        tree = ast.walk(ast.parse(code)) if NAMED.search(code) else ()
        texts = [node.value for node in tree if isinstance(node, ast.Constant)]
        said = [text for text in texts if isinstance(text, str) and NAMED.fullmatch(text)]

        assert [] == said, f"{path.name}: take it from ckptscan.version"


def test_every_document_of_the_list_is_written_by_some_module() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py"))

    assert [] == [name for name in SCHEMAS if f'schema("{name}")' not in code]

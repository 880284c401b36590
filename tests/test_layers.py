"""The import order of DESIGN: downward only, siblings never, third parties in their rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import ckptscan

ROOT = Path(ckptscan.__file__).parent
# from top to bottom; rooms on one line are siblings
LEVELS = [
    line.split()
    for line in """
    __main__
    commands
    browse
    report settings
    checks diff plan verify doctor
    content hardware
    structure lock
    checkpoint
    sets
    sources
    config index
    table
    header
    paths
    names dtypes sizes
    errors version late
""".strip().split("\n")
]
LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
# third party -> the rooms that may import it
ALLOWED = {
    "click": {"commands"},
    "tabulate": {"report"},
    "huggingface_hub": {"sources"},
    "tqdm": {"sources"},
    "obstore": {"sources"},
    "certifi": {"sources"},
    "torch": {"verify", "hardware"},
    "safetensors": {"verify"},
    "numpy": {"content", "verify"},
    "pyarrow": {"report"},
    "textual": {"browse"},
    "rich": {"browse"},  # Textual's own
}
AT_TOP = {"click", "textual", "rich"}  # a command and a screen can't be declared without them
STANDARD = set(__import__("sys").stdlib_module_names)


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """All statements; an import can't stand within an expression, and those are most of a tree."""
    pending: list[ast.AST] = [*tree.body]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
            if isinstance(node, ast.stmt):
                yield node
            for name in ("body", "orelse", "finalbody", "handlers", "cases"):
                pending += getattr(node, name, [])


@cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """Modules that a file imports, and whether at its top level."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert 0 == node.level, f"{path}: imports are absolute"
            if node.module == "ckptscan":
                yield from ((f"ckptscan.{alias.name}", id(node) in top) for alias in node.names)
            else:
                yield node.module, id(node) in top


FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _faults(path: Path) -> Iterator[str]:
    here, name = room(path), path.relative_to(ROOT)
    if here not in LEVEL:
        yield f"{here} has no level"
        return
    for module, is_top in imports(path):
        first, _, rest = module.partition(".")
        there = rest.partition(".")[0] or "version"
        if first == "ckptscan":
            if there != here and LEVEL[there] <= LEVEL[here]:
                yield f"{name} imports {there}"
        elif first not in STANDARD:
            if here not in ALLOWED[first]:
                yield f"{name} imports {first}"
            if first not in AT_TOP and is_top:
                yield f"{name}: {first} is imported inside its function"


def test_imports_point_downward() -> None:
    assert [] == [fault for path in FILES for fault in _faults(path)]


@pytest.mark.parametrize(
    ("package", "home"),
    [
        ("huggingface_hub", "sources/hub/session.py"),
        ("obstore", "sources/cloud/"),
        ("certifi", "sources/cloud/"),
        ("tqdm", "sources/progress.py"),
        ("textual", "browse/screens/"),
        ("rich", "browse/screens/"),
    ],
)
def test_a_package_is_met_in_one_place(package: str, home: str) -> None:
    users = [
        path.relative_to(ROOT).as_posix()
        for path in FILES
        if package in path.read_text(encoding="utf-8")
        and any(module.partition(".")[0] == package for module, _ in imports(path))
    ]

    assert users
    assert all(user.startswith(home) for user in users)


def test_every_room_of_the_package_has_a_level() -> None:
    rooms = {room(path) for path in FILES}

    assert rooms <= LEVEL.keys()

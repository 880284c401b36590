"""What is loaded when: heavy packages only in the function that needs them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ATTACKS, PACKS

HEAVY = {"numpy", "torch", "tabulate", "huggingface_hub", "safetensors", "tqdm", "textual", "rich"}


def modules_after(*codes: str) -> list[set[str]]:
    """The modules that are loaded after each of these, run in turn in one process."""
    lines = "\n".join(f"{code}\nprint('MODULES', *sys.modules)" for code in codes)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{lines}"], capture_output=True, text=True, check=True
    )
    told = (line.split() for line in done.stdout.splitlines())
    return [set(words[1:]) for words in told if words[:1] == ["MODULES"]]


def run(*arguments: str) -> str:
    return (
        "from ckptscan.commands import cli\n"
        f"try: cli({list(arguments)!r})\n"
        "except SystemExit as left: assert left.code == 0, left.code"
    )


SMALL, PACK = str(ATTACKS / "ok.safetensors"), str(PACKS / "Qwen--Qwen2-7B.ckptpack")
STARTS = {
    "package": "import ckptscan",
    "commands": "import ckptscan.commands",
    "help": run("--help"),
    "inspect-help": run("inspect", "--help"),
    "small-file": run("inspect", SMALL),
    "json": run("inspect", PACK, "--format", "json"),
    "tensors": run("inspect", PACK, "--view", "tensors"),
    "audit": run("audit", SMALL),
    "diff": run("diff", SMALL, PACK),
}


def test_nothing_heavy_is_loaded() -> None:
    seen = modules_after(*STARTS.values())

    assert all(seen)
    for start, modules in zip(STARTS, seen, strict=True):
        assert set() == HEAVY & {name.partition(".")[0] for name in modules}, start


def test_an_audit_without_settings_loads_no_reader_of_them() -> None:
    (modules,) = modules_after(run("audit", "--no-config", SMALL))

    assert set() == modules & {
        "tomllib",
        "configparser",
        "ckptscan.lock",
        "ckptscan.checks.policy",
        "ckptscan.checks.baseline",
    }


def test_importing_the_package_imports_no_room() -> None:
    (modules,) = modules_after("import ckptscan")

    assert {"ckptscan.version"} == {name for name in modules if name.startswith("ckptscan.")}


def test_the_console_script_runs() -> None:
    """One subprocess proves that `python -m ckptscan` and the entry point's function work."""
    done = subprocess.run(
        [sys.executable, "-m", "ckptscan", "--version"], capture_output=True, text=True, check=True
    )

    assert "ckptscan, version 0." in done.stdout


def test_what_the_package_says_it_exports_is_there() -> None:
    import ckptscan

    for name in ckptscan.__all__:
        assert getattr(ckptscan, name) is not None
    assert set(ckptscan.__all__) <= set(dir(ckptscan))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ckptscan.nothing

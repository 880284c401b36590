"""What is loaded when: heavy packages only in the function that needs them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ATTACKS, PACKS

HEAVY = {"numpy", "torch", "tabulate", "huggingface_hub", "safetensors", "tqdm"}


def modules_after(code: str) -> set[str]:
    """The top-level modules that are loaded once this code has run."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('MODULES', *sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in done.stdout.rpartition("MODULES")[2].split()}


def run(*arguments: str) -> str:
    return (
        "from ckptscan.commands import cli\n"
        f"try: cli({list(arguments)!r})\n"
        "except SystemExit as left: assert left.code == 0, left.code"
    )


@pytest.mark.parametrize(
    "code",
    [
        "import ckptscan",
        "import ckptscan.commands",
        run("--help"),
        run("inspect", "--help"),
        run("inspect", str(ATTACKS / "ok.safetensors")),
        run("inspect", str(PACKS / "Qwen--Qwen2-7B.ckptpack"), "--format", "json"),
        run("inspect", str(PACKS / "Qwen--Qwen2-7B.ckptpack"), "--view", "tensors"),
        run("audit", str(ATTACKS / "ok.safetensors")),
        run("diff", str(ATTACKS / "ok.safetensors"), str(PACKS / "Qwen--Qwen2-7B.ckptpack")),
    ],
    ids=[
        "package",
        "commands",
        "help",
        "inspect-help",
        "small-file",
        "json",
        "tensors",
        "audit",
        "diff",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert set() == HEAVY & modules_after(code)


def test_an_audit_without_settings_loads_no_reader_of_them() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            run("audit", "--no-config", str(ATTACKS / "ok.safetensors"))
            + "\nimport sys; print('MODULES', *sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(done.stdout.rpartition("MODULES")[2].split())

    assert set() == modules & {
        "tomllib",
        "configparser",
        "ckptscan.lock",
        "ckptscan.checks.policy",
        "ckptscan.checks.baseline",
    }


def test_importing_the_package_imports_no_room() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import ckptscan, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )

    rooms = {name for name in done.stdout.split() if name.startswith("ckptscan.")}
    assert {"ckptscan.version"} == rooms


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

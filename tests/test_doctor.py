"""What ckptscan stands on: what is told, what is a problem, and that no token is ever shown."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ckptscan import doctor
from ckptscan.commands import cli
from ckptscan.doctor import Package, examine
from ckptscan.report.doctor import report
from ckptscan.sources.hub.reaching import Reached
from ckptscan.version import SCHEMAS, VERSION
from tests.standin import Standin, repository_of_files


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is required does not hang on how this checkout was installed."""
    required = [
        "click>=8.2",
        'tomli>=2; python_version < "3.11"',
        "numpy>=1.26",
        "pyarrow>=17; extra == 'parquet'",
        'no-such-thing[x]>=1; python_version >= "3.11" and extra == "cloud"',
        'ruff>=0.9; extra == "dev"',
    ]
    monkeypatch.setattr(metadata, "requires", lambda name: required)
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "kept"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *words])


def test_all_is_well_where_it_is() -> None:
    done = run("--offline")

    assert 0 == done.exit_code
    assert f"ckptscan          {VERSION}\n" in done.stdout
    assert "Hub               not asked: offline\n" in done.stdout
    assert "pip install 'ckptscan[cloud]'" in done.stdout or sys.version_info < (3, 11)
    assert "ruff" not in done.stdout
    assert done.stdout.endswith("\nall is well\n")


def test_json_holds_what_the_text_says() -> None:
    found = json.loads(run("--offline", "--format", "json").stdout)

    assert ("ckptscan.doctor/1", VERSION) == (found["schema"], found["version"])
    assert {*SCHEMAS} == {*found["schemas"]}
    assert (None, False, []) == (found["hub"], found["token"], found["problems"])
    assert {"click", "numpy"} <= {one["name"] for one in found["packages"] if not one["extra"]}
    assert ["ckptscan", "the Hub"] == [one["name"] for one in found["caches"]]


@pytest.mark.parametrize(
    ("token", "told", "code"),
    [
        ("", "token             none\n\nall is well\n", 0),
        ("hf_standin", "token             found\n\nall is well\n", 0),
        ("hf_unknown", "the token is refused (401)\n", 3),
    ],
)
def test_the_hub_is_asked_once_and_any_answer_will_do(
    token: str, told: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with Standin(repository_of_files("org/name", {"a": b""})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        done = run()

    assert 1 == len(hub.requests)
    assert (code, True) == (done.exit_code, done.stdout.endswith(told))
    assert f"{hub.endpoint} answers 40" in done.stdout
    assert not token or token not in done.output


def test_nobody_there_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://user:secret@127.0.0.1:9")
    done = run()

    assert 3 == done.exit_code
    assert "does not answer" in done.stdout
    assert "problem: http://" in done.stdout
    assert "secret" not in done.output


def test_an_endpoint_that_is_no_address_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "nonsense")

    assert (3, True) == ((done := run()).exit_code, "is no http address" in done.stdout)


def test_a_cache_that_can_t_be_written_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "file" / "kept"))
    done = run("--offline")

    assert 3 == done.exit_code
    assert "can't be written" in done.stdout


def test_a_cache_that_others_may_write_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "kept" / "headers").mkdir(parents=True)
    (tmp_path / "kept" / "headers").chmod(0o777)

    assert "may be written by others, and is not used" in run("--offline").stdout


@pytest.mark.parametrize(
    ("package", "problem"),
    [
        (Package("a", "1.2", "1.10"), ""),
        (Package("a", "1.2", None), "is missing"),
        (Package("a", "1.2", None, "extra"), ""),
        (Package("a", "2.0", "1.99.9"), "is older than 2.0"),
        (Package("a", "2", "2.0rc1+cu12"), ""),
        (Package("a", "", "0"), ""),
    ],
)
def test_a_package_has_to_be_there_and_new_enough(package: Package, problem: str) -> None:
    assert problem == package.problem


def test_a_refused_token_is_told_and_hostile_text_is_not_obeyed() -> None:
    health = examine(offline=True)
    told = Reached("http://x\x1b[2J", 401, 0.1, "http://x\x1b[2J: the token is refused (401)")
    lines = list(report(replace(health, reached=told), "text", None))

    assert "problem: http://x\\x1b[2J: the token is refused (401)" == lines[-1]
    assert all(line.isprintable() for line in lines)


def test_the_cards_of_the_driver_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771, 9.0'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert "cards by driver   1 x NVIDIA H200, 139.72 GiB each\n" in run("--offline").stdout


def test_without_metadata_there_is_nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)

    assert () == doctor.examine(offline=True).packages

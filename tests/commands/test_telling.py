"""--quiet and --verbose: what is told of a reading on stderr."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ckptscan.commands import COMMANDS, cli
from tests.conftest import ATTACKS, PACKS, file_of
from tests.standin import Standin, repository_of_pack

PACK = str(PACKS / "Qwen--Qwen2-7B.ckptpack")


def stderr_of(*words: str) -> str:
    return CliRunner().invoke(cli, [*words]).stderr


def test_verbose_says_what_was_read_on_this_disk(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(data := file_of({"a": ("F32", [4])}))
    told = stderr_of("inspect", "-v", str(tmp_path))
    size = len(data) - 16

    assert re.fullmatch(rf"read 1 file on disk \({size} bytes\), \d+\.\d\d s\n", told)


def test_verbose_says_what_a_failure_took(tmp_path: Path) -> None:
    assert stderr_of("audit", "-v", str(tmp_path)).split("\n")[-2].startswith("read nothing, ")


def test_verbose_counts_requests_and_what_the_cache_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "kept"))
    with Standin(repository_of_pack(PACK, "Qwen/Qwen2-7B")) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        first, again = (stderr_of("inspect", "--verbose", "Qwen/Qwen2-7B") for _ in range(2))

    assert re.match(r"read \d+ files over the net \([\d,]+ bytes\), \d+ requests, \d", first)
    assert re.match(r"read \d+ requests?, \d+ files in caches, \d", again)


def test_quiet_leaves_out_notes_and_keeps_what_is_wrong() -> None:
    loud = stderr_of("inspect", PACK, "--view", "files")
    faulty = stderr_of("inspect", str(ATTACKS / "gap.safetensors"), "--view", "files", "-q")

    assert loud.startswith("note: ")
    assert "" == stderr_of("inspect", PACK, "--view", "files", "--quiet")
    assert faulty.startswith("error: ")


def test_quiet_and_verbose_are_one_too_many() -> None:
    done = CliRunner().invoke(cli, ["inspect", PACK, "-q", "-v"])

    assert (2, True) == (done.exit_code, "give one of the two" in done.stderr)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_reads_a_source_takes_both(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"]).output

    assert ("--revision" in shown) == ("--quiet" in shown) == ("--verbose" in shown)

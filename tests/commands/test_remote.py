"""The commands on remote sources: options, exit codes, what is shown and what never is."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ckptscan.commands import cli
from ckptscan.sources.access import TIMEOUT
from tests.conftest import HERE
from tests.sources.conftest import SHARDS, TENSORS, caches, shard, standin, three
from tests.standin import Standin, repository_of_files

__all__ = ["caches", "standin"]
ALL = SHARDS * TENSORS


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def test_a_repository_is_reported_as_a_folder_is(standin: Standin, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for path, data in three().items():
        (folder / path).write_bytes(data)

    remote = json.loads(run("inspect", "org/x", "--format", "json").stdout)
    local = json.loads(run("inspect", str(folder), "--format", "json").stdout)
    commit = standin.repository("model", "org/x").head
    assert ("hub", "main", commit) == tuple(
        remote["source"][key] for key in ("kind", "revision", "commit")
    )
    for document in (remote, local):
        del document["source"], document["tree"]["label"]
        for file in document["files"]:
            file.pop("digest", None)
    assert local == remote


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["org/x"], 0, ""),
        (["org/x", "--revision", "nope"], 3, "no revision is called nope"),
        (["org/none"], 3, "has no model of this name"),
        (["org/x@main", "--revision", "dev"], 2, "main is named in the source, dev by --revision"),
        (["org/x", "--repo-type", "modle"], 2, "'modle' is not one of"),
        (["org/x", "--timeout", "0"], 2, "0"),
        (["org/part"], 1, ""),
        (["--offline", "org/y"], 3, "in no cache"),
        ([".", "--revision", "main"], 2, "is on this disk"),
        (["ftp://u:secret@host/x"], 2, "ftp://host/x: no kind of address"),
        (
            ["https://u:secret@127.0.0.1:9/m.safetensors?token=secret", "--timeout", "0.3"],
            3,
            "127.0.0.1:9",
        ),
    ],
)
def test_exit_codes(arguments: list[str], code: int, words: str, standin: Standin) -> None:
    part = three()
    del part[shard(2)]
    standin.add(repository_of_files("org/part", part))

    done = run("inspect", *arguments)
    assert code == done.exit_code, done.output
    assert words in done.stderr
    assert "secret" not in done.output
    assert "Traceback" not in done.output


def test_a_pack_is_written_from_a_repository(standin: Standin, tmp_path: Path) -> None:
    path = str(tmp_path / "x.ckptpack")

    assert 0 == run("pack", "org/x", "-o", path).exit_code
    packed = json.loads(run("inspect", path, "--format", "json").stdout)
    assert ALL == packed["tensors"]["count"]
    assert standin.repository("model", "org/x").head == packed["source"]["commit"]


def test_a_pack_of_an_index_of_a_repository_can_be_read(standin: Standin, tmp_path: Path) -> None:
    for name in ("model.safetensors.index.json", shard(1)):
        path = str(tmp_path / f"{name}.ckptpack")

        assert 0 == run("pack", f"hf://org/x/{name}", "-o", path).exit_code
        assert 0 == run("inspect", path).exit_code


def test_several_repositories_make_a_table(standin: Standin) -> None:
    standin.add(repository_of_files("org/y", three()))

    done = run("inspect", "org/x", "org/y", "org/none")
    assert 3 == done.exit_code
    assert "org/x" in done.stdout
    assert "org/y" in done.stdout
    assert "org/none" in done.stderr


def test_the_default_of_the_timeout_is_what_the_help_says() -> None:
    for command in ("inspect", "pack"):
        assert f"[default: {TIMEOUT:g}]" in run(command, "--help").stdout


def test_the_cache_is_shown_and_cleared(standin: Standin) -> None:
    run("inspect", "org/x")

    shown = json.loads(run("cache", "info", "--format", "json").stdout)
    rooms = {"headers": 3, "files": 2, "manifests": 1, "refs": 1, "progress": 0, "terms": 0}
    assert rooms == {name: room["files"] for name, room in shown["rooms"].items()}
    assert shown["folder"] in run("cache", "info").stdout
    assert run("cache", "clear").stdout.startswith("removed 7 files, ")
    assert run("cache", "clear").stdout.startswith("removed 0 files, ")


def start(*arguments: str, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "ckptscan", *arguments],
        env=os.environ | {"PYTHONPATH": str(HERE.parent)},
        stdout=subprocess.PIPE,
        **options,  # type: ignore[call-overload]
    )


def test_an_interrupt_ends_at_once(standin: Standin) -> None:
    standin.faults.on("stall", 20, stage="cdn")
    child = start("inspect", "org/x", stderr=subprocess.PIPE)
    while not standin.count(origin="cdn"):
        time.sleep(0.02)
    time.sleep(0.2)
    begun = time.monotonic()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=10)

    assert (130, b"", b"interrupted\n") == (child.returncode, out, err)
    assert time.monotonic() - begun < 8


def seen_on_a_terminal(*arguments: str) -> bytes:
    """What a command writes to a terminal on stderr."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    child = start(*arguments, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 4096):
            seen += piece
    except OSError:  # the other side is closed
        pass
    child.communicate(timeout=20)
    os.close(ours)
    return seen


@pytest.mark.slow
def test_a_bar_is_drawn_for_what_takes_long_and_taken_away(standin: Standin) -> None:
    standin.faults.latency = 0.3

    seen = seen_on_a_terminal("inspect", "org/x")
    assert b"headers:" in seen
    assert b"MB/s" in seen
    assert seen.endswith(b"\r")


def test_no_bar_is_drawn_for_what_is_quick(standin: Standin) -> None:
    assert b"" == seen_on_a_terminal("inspect", "org/x")


@pytest.mark.slow
def test_no_bar_is_drawn_where_nobody_looks(standin: Standin) -> None:
    standin.faults.latency = 0.3
    child = start("inspect", "org/x", stderr=subprocess.PIPE)

    assert b"" == child.communicate(timeout=20)[1]

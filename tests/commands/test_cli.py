"""The command line as a whole: exit codes, errors, help, what reaches which stream."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import ckptscan.commands
from ckptscan.commands import COMMANDS, cli, show_error
from ckptscan.errors import CkptscanError, PackError, SourceNotFound, UsageError
from tests.conftest import ATTACKS, PACKS, file_of, index_of


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def folder(tmp_path: Path, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return str(tmp_path)


GOOD = file_of({"a": ("F32", [4])})
SITUATIONS: dict[str, tuple[int, Callable[[Path], list[str]]]] = {
    "sound file": (0, lambda p: ["inspect", folder(p, {"model.safetensors": GOOD})]),
    "pack": (0, lambda p: ["inspect", str(PACKS / "Qwen--Qwen2-7B.ckptpack")]),
    "warnings only": (0, lambda p: ["inspect", str(ATTACKS / "duplicate-name.safetensors")]),
    "refused by the reference": (1, lambda p: ["inspect", str(ATTACKS / "gap.safetensors")]),
    "pointer": (1, lambda p: ["inspect", str(ATTACKS / "lfs-pointer.safetensors")]),
    "not safetensors at all": (
        1,
        lambda p: ["inspect", folder(p, {"x.bin": b"PK\3\4"}) + "/x.bin"],
    ),
    "missing shard": (
        1,
        lambda p: [
            "inspect",
            folder(p, {"model.safetensors.index.json": index_of({"a": "b.safetensors"})}),
        ],
    ),
    "one of two faulty": (
        1,
        lambda p: ["inspect", str(ATTACKS / "ok.safetensors"), str(ATTACKS / "html.safetensors")],
    ),
    "no command": (2, lambda p: ["inspekt"]),
    "no source": (2, lambda p: ["inspect"]),
    "unknown option": (2, lambda p: ["inspect", "--nothing", str(p)]),
    "unknown view": (2, lambda p: ["inspect", "--view", "trees", str(p)]),
    "bad regex": (2, lambda p: ["inspect", "--match", "/(/", str(p)]),
    "top of nothing": (2, lambda p: ["inspect", "--top", "0", str(p)]),
    "unknown set": (2, lambda p: ["inspect", "--set", "x", folder(p, {"model.safetensors": GOOD})]),
    "pack in the way": (2, lambda p: ["pack", folder(p, {"x": b""}), "-o", str(p / "x")]),
    "no such path": (3, lambda p: ["inspect", str(p / "absent")]),
    "empty folder": (3, lambda p: ["inspect", str(p)]),
    "one of two absent": (
        3,
        lambda p: ["inspect", str(ATTACKS / "gap.safetensors"), str(p / "absent")],
    ),
    "glob of nothing": (3, lambda p: ["inspect", str(p / "*.none")]),
    "broken pack": (3, lambda p: ["inspect", folder(p, {"x.ckptpack": b"x"}) + "/x.ckptpack"]),
}


@pytest.mark.parametrize(("code", "arguments"), SITUATIONS.values(), ids=SITUATIONS)
def test_exit_codes(code: int, arguments: Callable[[Path], list[str]], tmp_path: Path) -> None:
    result = run(*arguments(tmp_path))

    assert code == result.exit_code, result.output
    assert "Traceback" not in result.output
    if code == 3:
        assert "error: " in result.stderr
        assert "hint: " in result.stderr


@pytest.mark.parametrize("path", sorted(ATTACKS.iterdir()), ids=lambda path: path.stem)
def test_a_hostile_file_gives_a_report_and_no_traceback(path: Path) -> None:
    result = run("inspect", str(path))

    assert result.exit_code in (0, 1)
    assert "Traceback" not in result.output
    assert all(line.isprintable() for line in result.output.split("\n"))


def test_a_whole_folder_of_hostile_files_is_a_report() -> None:
    for arguments in (["--all"], ["--format", "json"], ["--view", "files", "--all"]):
        result = run("inspect", str(ATTACKS), *arguments)

        assert result.exit_code in (0, 1)
        assert "Traceback" not in result.output


def test_the_report_is_on_stdout_and_errors_on_stderr(tmp_path: Path) -> None:
    result = run("inspect", str(ATTACKS / "ok.safetensors"), str(tmp_path / "absent"))

    assert "ok.safetensors" in result.stdout
    assert "error" not in result.stdout.replace("faults", "")
    assert "absent: no such file or directory" in result.stderr


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (SourceNotFound("x: gone", "look"), "error: x: gone\nhint: look\n"),
        (PackError("\x1b[2Jx"), "error: \\x1b[2Jx\n"),
    ],
)
def test_an_error_is_a_line_and_a_hint(
    error: CkptscanError, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_error(error)

    assert shown == capsys.readouterr().err


def test_errors_carry_their_exit_codes() -> None:
    assert (3, 3, 2) == tuple(
        error("x").exit_code for error in (CkptscanError, SourceNotFound, UsageError)
    )


@pytest.mark.parametrize(
    ("raised", "code", "shown"),
    [
        (ValueError("a slip"), 4, "Please report"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_a_bug_and_an_interrupt_have_codes_of_their_own(
    raised: BaseException, code: int, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def command() -> None:
        raise raised

    monkeypatch.setattr(ckptscan.commands, "COMMANDS", {"slip": "slip"})
    monkeypatch.setitem(sys.modules, "slip", type(sys)("slip"))
    sys.modules["slip"].command = command  # type: ignore[attr-defined]
    result = run("slip")

    assert code == result.exit_code
    assert shown in result.stderr


def test_an_unknown_command_is_answered_with_the_nearest() -> None:
    assert "Did you mean inspect?" in run("inspct").stderr
    assert f"There are: {', '.join(COMMANDS)}." in run("zzz").stderr


def test_every_command_has_help_and_an_example() -> None:
    assert COMMANDS.keys() == {line.split()[0] for line in listed(run("--help").output)}
    for name in COMMANDS:
        shown = run(name, "--help").output

        assert f"ckptscan {name} " in shown
        assert shown == run(name, "-h").output


def listed(text: str) -> list[str]:
    """The lines of the help that begin with a command."""
    lines = text.partition("Commands:")[2].split("\n")
    return [line for line in lines if line.strip() and not line.startswith("   ")]


def process(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "ckptscan", *arguments], capture_output=True, check=False, **options
    )


def test_a_closed_pipe_ends_quietly() -> None:
    command = f"{sys.executable} -m ckptscan inspect {PACKS}/*K2*.ckptpack --view tensors | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)

    assert done.stderr == ""
    assert done.stdout.startswith("lm_head.weight")


def test_an_ascii_terminal_gets_escapes_not_a_traceback(tmp_path: Path) -> None:
    path = folder(tmp_path, {"model.safetensors": file_of({"größe": ("U8", [1])})})
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = process("inspect", path, env=environment)

    assert done.returncode == 0
    assert b"gr\\xf6\\xdfe" in done.stdout


def test_a_closed_or_full_output_is_no_bug(tmp_path: Path) -> None:
    path = folder(tmp_path, {"model.safetensors": GOOD})
    command = f"{sys.executable} -m ckptscan inspect {path}"
    closed = subprocess.run(["sh", "-c", f"{command} >&-"], capture_output=True, check=False)
    full = subprocess.run(["sh", "-c", f"{command} >/dev/full"], capture_output=True, check=False)

    assert (0, b"") == (closed.returncode, closed.stderr)
    assert (3, b"error: the report can't be written: No space left on device\n") == (
        full.returncode,
        full.stderr,
    )


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("--version >/dev/full", 3),
        ("--version >/dev/full 2>/dev/full", 3),
        ("inspect nowhere 2>/dev/full", 3),
        ("checks NONE 2>/dev/full", 3),
        ("inspect 2>&1 >&- | true", 0),
    ],
)
def test_what_no_stream_takes_is_no_bug(command: str, code: int) -> None:
    shell = f"{sys.executable} -m ckptscan {command}"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, check=False)

    assert code == done.returncode
    assert b"Traceback" not in done.stderr


def test_a_lock_is_refused_where_the_current_folder_is_gone(tmp_path: Path) -> None:
    path = folder(tmp_path / "model", {"model.safetensors": GOOD})
    gone = tmp_path / "gone"
    gone.mkdir()
    shell = f"cd {gone}; rmdir {gone}; {sys.executable} -m ckptscan lock {path}"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, check=False)

    assert 2 == done.returncode
    assert b"no such file or directory\nhint: is the current folder" in done.stderr


def test_a_report_replaces_no_device(tmp_path: Path) -> None:
    """`-o /dev/null --force` of root put a file there."""
    path = folder(tmp_path, {"model.safetensors": GOOD})
    os.mkfifo(tmp_path / "fifo")
    done = run("inspect", path, "-o", str(tmp_path / "fifo"), "--force")

    assert 2 == done.exit_code
    assert "is no regular file" in done.stderr
    assert not (tmp_path / "fifo").is_file()


def test_an_odd_expression_is_shown_without_its_escapes() -> None:
    assert "\x1b" not in run("inspect", "x", "--match", "/\x1b[31m(/").stderr


def test_several_globs_give_a_line_each(tmp_path: Path) -> None:
    for name in ("b", "a"):
        folder(tmp_path / name, {"model.safetensors": GOOD})
    lines = run("inspect", str(tmp_path / "*")).stdout.split("\n")

    assert ["a", "b", "total"] == [line.rpartition("/")[2].split()[-1] for line in lines[1:4]]


def test_the_width_follows_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    narrow = run("inspect", str(PACKS / "Qwen--Qwen2-57B-A14B-Instruct.ckptpack")).stdout
    monkeypatch.setenv("COLUMNS", "9" * 5000)
    piped = run("inspect", str(PACKS / "Qwen--Qwen2-57B-A14B-Instruct.ckptpack")).stdout

    assert max(map(len, narrow.split("\n"))) <= 80
    assert "57,408,658,944" in narrow
    assert "16,441,671,680" in piped

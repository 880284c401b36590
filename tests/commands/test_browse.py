"""`ckptscan browse`: when it refuses, and how it leaves a real terminal."""

from __future__ import annotations

import importlib.util
import os
import select
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from ckptscan.commands import cli
from tests.conftest import PACKS

needs_textual = pytest.mark.skipif(
    importlib.util.find_spec("textual") is None,
    reason="Textual, of the extra tui, is not installed",
)
PACK = str(PACKS / "Qwen--Qwen2-57B-A14B-Instruct.ckptpack")
ENTER_SCREEN, LEAVE_SCREEN, SHOW_CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


@needs_textual
def test_without_a_terminal_it_is_a_usage_error() -> None:
    done = CliRunner().invoke(cli, ["browse", PACK])

    assert 2 == done.exit_code
    assert "error: browse needs a terminal\nhint: inspect writes what can be piped\n" == done.output


def test_without_textual_it_says_what_to_install() -> None:
    code = (
        "import sys, importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'textual' else find(name, *rest)\n"
        f"from ckptscan.commands import cli; cli(['browse', {PACK!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert 2 == done.returncode
    assert "error: browse draws with Textual\nhint: pip install 'ckptscan[tui]'\n" == done.stderr


class Terminal:
    """A real terminal of 80 by 24 with the command in it."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        import fcntl
        import pty
        import termios

        self._outer, self._inner = pty.openpty()
        fcntl.ioctl(self._inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._modes = termios.tcgetattr(self._inner)
        self.seen = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ckptscan", *arguments],
            stdin=self._inner,
            stdout=self._inner,
            stderr=self._inner,
            env={**os.environ, "TERM": "xterm-256color", **environment},
            start_new_session=True,
        )

    def see(self, text: bytes) -> None:
        """Read until a text has come since the last one."""
        came, end = b"", time.monotonic() + 60
        while text not in came and time.monotonic() < end:
            if select.select([self._outer], [], [], 0.1)[0]:
                came += os.read(self._outer, 65536)
        self.seen += came

        assert text in came

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._inner)
        os.close(self._outer)

    def press(self, keys: bytes) -> None:
        os.write(self._outer, keys)

    def leave(self) -> tuple[int, bool]:
        """The exit code, and whether the modes of the terminal are as they were."""
        import termios

        code = self._process.wait(60)
        while select.select([self._outer], [], [], 0.2)[0]:
            self.seen += os.read(self._outer, 65536)
        return code, termios.tcgetattr(self._inner) == self._modes


@needs_textual
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no pseudo terminals")
@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}], ids=["plain", "no color"])
def test_in_a_terminal_it_opens_searches_and_quits(environment: dict[str, str]) -> None:
    with Terminal("browse", PACK, **environment) as terminal:
        terminal.see(b"Qwen2MoeForCausalLM")
        terminal.press(b"/layers.7 experts.63 down")
        terminal.see(b"model.layers.7.mlp.experts.63.down_proj.weight")
        terminal.press(b"\r")
        terminal.see(b"in file")
        terminal.press(b"q")
        terminal.see(LEAVE_SCREEN)

        assert (0, True) == terminal.leave()
    assert terminal.seen.index(ENTER_SCREEN) < terminal.seen.index(LEAVE_SCREEN)
    assert terminal.seen.count(SHOW_CURSOR)
    assert colours(terminal.seen) == set() or not environment


def colours(seen: bytes) -> set[bytes]:
    """The codes of colours other than the terminal's own."""
    import re

    codes = (code for part in re.findall(rb"\x1b\[([0-9;]*)m", seen) for code in part.split(b";"))
    return {code for code in codes if code.isdigit() and int(code) >= 30} - {b"39", b"49"}


@needs_textual
@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no pseudo terminals")
def test_what_is_not_there_is_an_error_as_everywhere(tmp_path: Path) -> None:
    with Terminal("browse", str(tmp_path / "nothing")) as terminal:
        terminal.see(b"error: ")

        assert (3, True) == terminal.leave()
    assert ENTER_SCREEN not in terminal.seen

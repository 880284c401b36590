"""Servers that other people wrote, as processes on loopback: found, started, waited for, ended."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import HERE

SERVERS = HERE.parent / ".servers" / "bin"  # made by `make servers`
PATIENCE = 30  # seconds until a server listens


def program(name: str) -> str:
    """The path of a program; skips the test where it is not installed."""
    found = shutil.which(name, path=str(SERVERS)) or shutil.which(name)
    found = found or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed; make servers, or the system's packages, bring it")
    return found


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


@contextmanager
def running(command: Sequence[str], port: int, folder: Path) -> Iterator[None]:
    """A server that listens on a port of loopback, ended with the block; it writes to a folder."""
    with (folder / "server.log").open("wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, env={"HOME": str(folder)})
        try:
            _wait_for(port, child)
            yield
        finally:
            child.terminate()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _wait_for(port: int, child: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while not _listens(port):
        assert child.poll() is None, "the server ended by itself"
        assert time.monotonic() < end, f"nobody listens after {PATIENCE} seconds"
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as opened:
        return opened.connect_ex(("127.0.0.1", port)) == 0

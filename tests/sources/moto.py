"""moto's S3 server in a process of its own, and what it was asked."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.sources.programs import free_port


def forget_the_users_clouds(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """No credential, endpoint or cache of the user's reaches a test."""
    for name in [*os.environ]:
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CKPTSCAN_CACHE", str(cache))


class Moto:
    """moto's server in a process of its own, and a client to fill it."""

    def __init__(self, url: str, client: Any) -> None:
        self.url = url
        self.client = client
        self._buckets = 0

    def bucket(self, files: dict[str, bytes], acl: str = "private", file_acl: str = "") -> str:
        """A new bucket that holds these files."""
        self._buckets += 1
        name = f"bucket-{self._buckets}"
        self.client.create_bucket(Bucket=name, ACL=acl)
        for key, data in files.items():
            self.client.put_object(Bucket=name, Key=key, Body=data, ACL=file_acl or acl)
        return name


def running() -> Iterator[Moto]:
    """The server for as long as it is held; skips where it can't be had."""
    for name in ("obstore", "moto", "boto3", "flask"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install 'ckptscan[servers]'")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHONWARN"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    try:
        wait_for(f"{url}/moto-api/", process)
        yield Moto(url, client_of(url))
    finally:
        process.terminate()
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while not is_up(url):
        if time.monotonic() > until or process.poll() is not None:
            pytest.skip("moto's server does not come up")
        time.sleep(0.05)


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except OSError:
        return False


def client_of(url: str) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        )


class WithoutLists(BaseHTTPRequestHandler):
    """Hands everything on to moto but lists, which it refuses; for requests without a signature."""

    protocol_version = "HTTP/1.1"
    behind = ""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        status, body, headers = 403, b"<Error><Code>AccessDenied</Code></Error>", []
        if "list-type=" not in self.path:
            ask = urllib.request.Request(self.behind + self.path, method=self.command)
            if self.headers["range"]:
                ask.add_header("range", self.headers["range"])
            try:
                answer: Any = urllib.request.urlopen(ask, timeout=10)
            except urllib.error.HTTPError as refused:
                answer = refused
            with answer:
                status, body, headers = answer.status, answer.read(), answer.headers.items()
        passed = ("content-range", "content-length", "etag", "last-modified")
        self.send_response(status)
        for name, value in headers or [("Content-Length", str(len(body)))]:
            if name.lower() in passed:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def without_lists(moto: Moto) -> Iterator[str]:
    """The address of the same server, refusing lists."""
    handler = type("Here", (WithoutLists,), {"behind": moto.url})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as front:
        front.daemon_threads = True
        threading.Thread(target=front.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{front.server_port}"
        front.shutdown()


def noted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What obstore is asked for: ("get", key, start, end), ("list", folder), ("head", key)."""
    import obstore

    found: list[tuple[Any, ...]] = []

    def noting(name: str) -> None:
        call = getattr(obstore, name)

        def wrapped(store: Any, key: str | None = None, **options: Any) -> Any:
            found.append((name, key, *options.get("options", {}).get("range", ())))
            return call(store, key, **options)

        monkeypatch.setattr(obstore, name, wrapped)

    for name in ("get", "head", "list", "list_with_delimiter"):
        noting(name)
    return found

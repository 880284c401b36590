"""Headless Chromium for tests, driven over a pair of pipes by the DevTools protocol.

Nothing but the browser is needed: messages are JSON, each ended by a zero byte.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "
    "--disable-extensions --disable-background-networking --hide-scrollbars --mute-audio"
)
# Chromium reads commands from descriptor 3 and writes answers to 4
_START = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(pipe), fcntl.F_DUPFD, 10) for pipe in sys.argv[1:3]]
for target, pipe in enumerate(pipes, 3):
    os.dup2(pipe, target)
os.execvp(sys.argv[3], sys.argv[3:])
"""
_PATIENCE = 60  # seconds that an answer may take


class Browser:
    """One tab: pages are opened, looked at, clicked; what the console says is kept."""

    def __init__(self) -> None:
        assert CHROMIUM
        self.profile = tempfile.mkdtemp(prefix="ckptscan-chromium-")
        reads, self.to = os.pipe()
        self.of, writes = os.pipe()
        command = [CHROMIUM, *_FLAGS.split(), f"--user-data-dir={self.profile}"]
        command += ["--remote-debugging-pipe", "about:blank"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, str(reads), str(writes), *command],
            pass_fds=(reads, writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        self.waiting, self.number, self.session = b"", 0, ""
        self.said: list[str] = []
        self.events: list[str] = []
        targets = self.ask("Target.getTargets")["targetInfos"]
        tab = next(one["targetId"] for one in targets if one["type"] == "page")
        self.session = self.ask("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def close(self) -> None:
        """End the browser and remove its profile."""
        os.close(self.to)
        os.close(self.of)
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.profile, ignore_errors=True)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and give its answer."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer["error"])
                return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.waiting:
            ready, _, _ = select.select([self.of], [], [], _PATIENCE)
            assert ready, "the browser does not answer"
            read = os.read(self.of, 1 << 20)
            assert read, "the browser has gone"
            self.waiting += read
        raw, _, self.waiting = self.waiting.partition(b"\0")
        answer: dict[str, Any] = json.loads(raw)
        self._listen(answer)
        return answer

    def _listen(self, answer: dict[str, Any]) -> None:
        """Keep what went wrong, and what was asked of the net."""
        method, told = answer.get("method", ""), answer.get("params", {})
        self.events.append(method)
        if method == "Runtime.exceptionThrown":
            self.said.append(json.dumps(told["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.said.append(told["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and told["type"] in (
            "error",
            "warning",
            "assert",
        ):
            self.said.append(json.dumps(told["args"])[:500])
        elif method == "Network.requestWillBeSent":
            url = told["request"]["url"]
            if not url.startswith("file:"):
                self.said.append(f"asked for {url[:200]}")

    def open(self, page: Path) -> float:
        """Show a page; gives the seconds until it has been drawn."""
        self.said.clear()
        self.events.clear()
        began = time.perf_counter()
        self.ask("Page.navigate", url=page.as_uri())
        while "Page.loadEventFired" not in self.events:
            self._next()
        self.run(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"
        )
        return time.perf_counter() - began

    def run(self, expression: str) -> Any:
        """The value of an expression on the page."""
        told = self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in told, (expression, told["exceptionDetails"])
        return told["result"].get("value")

    def resize(self, width: int, height: int, is_phone: bool) -> None:
        """Show pages as on a screen of this size."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=is_phone,
        )  # fmt: skip

    def prefer(self, scheme: str) -> None:
        """Let the system ask for `light` or `dark`."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.ask("Emulation.setEmulatedMedia", features=features)

    def click(self, x: float, y: float) -> None:
        """Press and release the mouse at a place of the window."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press and release a key where the focus is."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if kind == "keyDown" and key == "Enter" else {}
            self.ask(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=13,
                **text,
            )

    def type_into(self, selector: str, text: str) -> None:
        """Type text into a field, whatever it holds, and wait until the page has settled."""
        self.run(
            f"(() => {{ const at = document.querySelector({json.dumps(selector)}); at.value = ''; at.focus(); }})()"
        )
        self.ask("Input.insertText", text=text)
        self.run("new Promise(done => setTimeout(done, 250))")

    def picture(self, whole: bool = False) -> bytes:
        """What is to be seen, or the whole page, as PNG."""
        held = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(held["data"])

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.ask("Page.printToPDF")["data"])

"""Chromium, driven over its DevTools protocol: as much of it as reading pages needs."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 30.0  # seconds that any answer may take on a busy machine


class BrowserError(Exception):
    """The browser did not do what it was asked for."""


def find() -> str | None:
    """The path of a Chromium: the one that CHROMIUM names, else the first on the path."""
    named = os.environ.get("CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def running(program: str) -> Iterator[str]:
    """Start a headless browser with an empty profile; gives the address of its DevTools."""
    with tempfile.TemporaryDirectory(prefix="site-check-", ignore_cleanup_errors=True) as profile:
        options = [
            "--headless=new",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-background-timer-throttling",
            "--disable-backgrounding-occluded-windows",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--disable-extensions",
            "--disable-gpu",
            "--disable-renderer-backgrounding",
            "--disable-sync",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ]
        if os.geteuid() == 0:
            options.append(
                "--no-sandbox"
            )  # Chromium refuses to run as root with one; it sees our pages alone
        process = subprocess.Popen(
            [program, *options, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        try:
            said = []
            for line in process.stderr:
                said.append(line)
                if found := re.search(r"DevTools listening on (ws://\S+)", line):
                    break
            else:
                raise BrowserError(f"{program} did not start: {''.join(said[-3:]).strip()}")
            yield found[1]
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stderr.close()


@contextmanager
def tab(devtools: str, host: str, scheme: str) -> Iterator[Tab]:
    """A tab in a profile of its own, which may ask nobody but `host`, in light or dark colours."""
    with connect(devtools, max_size=None, open_timeout=PATIENCE) as socket:
        yield Tab(socket, host, scheme)


class Tab:
    """One page at a time. `complaints`: what the console said and what was asked of others."""

    def __init__(self, socket: ClientConnection, host: str, scheme: str) -> None:
        self._socket = socket
        self._number = 0
        self._session: str | None = None
        self._loaded = False
        self.host = host
        self.complaints: list[str] = []
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command and its result; what happens meanwhile is taken note of. Raises BrowserError."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = self._next(PATIENCE)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error'].get('message')}")
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str) -> None:
        """Go to a page and wait until it has loaded. Raises BrowserError."""
        self._loaded = False
        self.complaints = []
        failed = self.call("Page.navigate", url=url).get("errorText")
        if failed:
            raise BrowserError(f"{url}: {failed}")
        until = time.monotonic() + PATIENCE
        while not self._loaded:
            self._next(until - time.monotonic())

    def resize(self, width: int, height: int) -> None:
        """Give the window another size, in pixels."""
        size = {"width": width, "height": height}
        self.call("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, promises awaited. Raises BrowserError when it throws."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise BrowserError(str(result["exceptionDetails"].get("exception", {}).get("description")))
        return result["result"].get("value")

    def until(self, expression: str, what: str) -> None:
        """Wait until an expression is true. Raises BrowserError after some seconds: `what` did not happen."""
        end = time.monotonic() + PATIENCE
        while not self.evaluate(f"Boolean({expression})"):
            if time.monotonic() > end:
                raise BrowserError(what)
            time.sleep(0.05)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path, limit: int = 6000) -> None:
        """The whole page as PNG, down to `limit` pixels."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], limit), "scale": 1}
        shot = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _next(self, patience: float) -> dict[str, Any]:
        try:
            message: dict[str, Any] = json.loads(self._socket.recv(timeout=max(patience, 0.0)))
        except TimeoutError:
            raise BrowserError(f"no answer within {PATIENCE:.0f} s") from None
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, told: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            words = details.get("exception", {}).get("description") or details.get("text")
            self.complaints.append(f"an exception: {words}")
        elif method == "Runtime.consoleAPICalled" and told["type"] in {"error", "assert"}:
            words = " ".join(str(one.get("value", one.get("description", ""))) for one in told["args"])
            self.complaints.append(f"an error on the console: {words}")
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            entry = told["entry"]
            self.complaints.append(f"an error on the console: {entry['text']} {entry.get('url', '')}".strip())
        elif method == "Network.requestWillBeSent":
            url = told["request"]["url"]
            if not url.startswith((f"http://{self.host}/", "data:", "blob:", "about:")):
                self.complaints.append(f"a request to elsewhere: {url}")

"""A real browser, driven through a pipe: pages that compute cannot be waited for by --dump-dom."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --remote-debugging-pipe"
)


# A busy machine compiles WebAssembly in seconds; this is where waiting is given up.
PATIENCE = 120_000


def chromium_path() -> str:
    """Return where the browser is, or skip the test."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found or pytest.skip("no chromium here to open the page in")


class Chromium:
    """A browser with one page."""

    def __init__(self, folder: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        command = [chromium_path(), *FLAGS.split(), f"--user-data-dir={folder}"]
        # The browser reads commands from descriptor 3 and answers on descriptor 4; dup2 may overwrite neither end.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_read, to_write)]
        launch = "import os, sys; os.dup2({}, 3); os.dup2({}, 4); os.execv(sys.argv[1], sys.argv[1:])"
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", launch.format(*ends), *command],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (to_read, to_write, *ends):
            os.close(end)
        self._numbers, self._rest, self._session = itertools.count(1), b"", ""
        self._loaded = False
        self.problems: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._write)
        self._process.terminate()
        self._process.wait(timeout=30)
        os.close(self._read)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol and return its result; what the console says is kept."""
        number = next(self._numbers)
        session = {"sessionId": self._session} if self._session else {}
        told = json.dumps({"id": number, "method": method, "params": params, **session})
        os.write(self._write, told.encode() + b"\0")
        for answer in self._answers():
            self._note(answer)
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
        raise AssertionError("the browser has ended")

    def open(self, url: str) -> None:
        """Open a page in place of the one there is."""
        if not self._session:
            target = self.send("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                self.send(f"{domain}.enable")
        self._loaded = False
        self.send("Page.navigate", url=url)
        answers = self._answers()
        while not self._loaded:
            self._note(next(answers))

    def evaluate(self, expression: str) -> Any:
        """Return what a JavaScript expression gives; a promise is waited for."""
        done = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, condition: str) -> Any:
        """Return the first value of a JavaScript expression that is true, as the page changes."""
        return self.evaluate(
            f"""new Promise((resolve, reject) => {{
              setTimeout(() => reject(new Error("the page has not changed so far")), {PATIENCE});
              const look = () => {{ const found = {condition}; if (found) resolve(found); return found; }};
              if (look()) return;
              const watch = new MutationObserver(() => look() && watch.disconnect());
              watch.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});
            }})"""
        )

    def press(self, key: str, text: str = "") -> None:
        """Press and release a key."""
        told = {"key": key, "code": key, "windowsVirtualKeyCode": {"Enter": 13, "Tab": 9}.get(key, 0)}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **told)
        self.send("Input.dispatchKeyEvent", type="keyUp", **told)

    def screenshot(self, path: Path) -> None:
        """Write what is to be seen as a PNG file."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def _answers(self) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" not in self._rest:
                more = os.read(self._read, 1 << 16)
                if not more:
                    return
                self._rest += more
            one, _, self._rest = self._rest.partition(b"\0")
            yield json.loads(one)

    def _note(self, answer: dict[str, Any]) -> None:
        self._loaded |= answer.get("method") == "Page.loadEventFired"
        if answer.get("method") == "Log.entryAdded":
            self.problems.append(answer["params"]["entry"]["text"])
        if answer.get("method") == "Runtime.exceptionThrown":
            self.problems.append(str(answer["params"]["exceptionDetails"]))
        if answer.get("method") == "Runtime.consoleAPICalled":
            self.problems.append(str([one.get("value") for one in answer["params"]["args"]]))


@contextmanager
def browser(folder: Path) -> Iterator[Chromium]:
    """Yield a browser with a profile of its own."""
    with Chromium(folder) as found:
        yield found

"""Starts the command many times for the price of one import, and kills it at a set moment.

Each line on standard input is a JSON object: `argv`; `after`, seconds to the kill, or null to let it end; `since`,
the mark from which those seconds count, as [name, how often], or null for the start; and `signal`. Each line of the
answer tells how the child ended: `code` (negative: the signal that killed it), after how many `seconds`, and the
last `mark` that it passed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sklearn.linear_model
import sklearn.model_selection

from vermilion import cli
from vermilion.red import files
from vermilion.screen import Screen

WARM = (sklearn.linear_model, sklearn.model_selection)


def child(argv: Sequence[str], marks: int) -> None:
    """Become the command, which tells of its way through `marks`; never return."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nowhere, stream)
    marking(Screen, "start", marks, lambda screen, what, total: what)
    marking(Screen, "round", marks, lambda screen, record: "round")
    marking(files, "write_outputs", marks, lambda *given: "writing")
    sys.argv = ["vermilion", *argv]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code: Any = 0
    try:
        cli.main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 70
    sys.stderr.flush()
    os._exit(code or 0)


def marking(owner: Any, name: str, marks: int, mark: Callable[..., str]) -> None:
    """Have a function write its mark before it does what it always does."""
    before = getattr(owner, name)

    def marked(*given: Any) -> Any:
        os.write(marks, f"{mark(*given)}\n".encode())
        return before(*given)

    setattr(owner, name, marked)


@dataclass
class Watch:
    """A child and its marks."""

    pid: int
    marks: int
    passed: list[str] = field(default_factory=list)
    status: int | None = None

    def look(self) -> None:
        """See which marks were passed, and whether the child has ended."""
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        self.status = status if ended else None
        try:
            told = os.read(self.marks, 65536)
        except BlockingIOError:
            return
        self.passed += told.decode().splitlines()

    def kill(self, kind: int) -> None:
        """Send the signal; wait for the end."""
        os.kill(self.pid, kind)
        _, self.status = os.waitpid(self.pid, 0)


def attempt(request: dict[str, Any]) -> dict[str, Any]:
    """Fork, wait, kill, and tell how it ended."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    begun = time.monotonic()
    if (pid := os.fork()) == 0:
        child(request["argv"], writing)
    os.close(writing)
    watch = Watch(pid, reading)
    start = None if request["since"] else begun
    while watch.status is None:
        watch.look()
        if start is None and watch.passed.count(request["since"][0]) >= request["since"][1]:
            start = time.monotonic()
        due = request["after"] is not None and start is not None
        if watch.status is None and due and time.monotonic() - start >= request["after"]:  # type: ignore[operator]
            watch.kill(request["signal"])
        time.sleep(0.001)
    os.close(reading)
    return {
        "code": os.waitstatus_to_exitcode(watch.status),
        "seconds": time.monotonic() - begun,
        "mark": watch.passed[-1] if watch.passed else "starting",
    }


def main() -> None:
    """Serve requests until there are no more."""
    for line in sys.stdin:
        print(json.dumps(attempt(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

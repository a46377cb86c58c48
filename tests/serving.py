"""Small real models that answer, and services as processes, for tests of serving."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from vermilion.learn.decision_rules import Argmax, Rule, Thresholds
from vermilion.learn.flat import FlatHead
from vermilion.learn.one_vs_rest import OneVsRestHead
from vermilion.types import Label
from vermilion.world.encoders import load_encoder
from vermilion.world.home import Home
from vermilion.world.keys import Keys
from vermilion.world.models import SavedModel, save_model
from vermilion.world.pairs import join_pair

TEXTS = (
    "where is my card? it has not arrived",
    "my new card still has not come",
    "I want my money back",
    "please refund my payment",
    "I forgot my pin code",
    "how do I change my pin",
)
LABELS = ("card", "refund", "pin")
SERVING = re.compile(r"serving .* on (http://\S+) with")
START_SECONDS = 300
RUN = "from vermilion.cli import main; main()"


def make_model(
    folder: Path, labels: Sequence[str] = LABELS, *, encoder: str = "static", task: str = "multi-class"
) -> Path:
    """Write a folder of a model that tells cards, refunds and pins apart; return the folder."""
    made = load_encoder(encoder)
    texts = [join_pair(text, text) for text in TEXTS] if encoder.startswith("pairs:") else list(TEXTS)
    X, y = made.encode(texts), np.arange(len(TEXTS)) // 2
    several = task == "multi-label"
    head = (
        OneVsRestHead(C=10.0).fit(X, np.eye(3, dtype=np.int64)[y]) if several else FlatHead(C=10.0).fit(X, y)
    )
    rule: Rule = Thresholds((0.3, 0.3, 0.3), "0.3") if several else Argmax()
    model = SavedModel(
        "one-vs-rest" if several else "flat",
        head,
        tuple(Label(name) for name in labels),
        1.0,
        made.name,
        made.digest,
        {"data": {"labelled": "0" * 64}},
        task=task,
        rule=rule,
    )
    save_model(folder, model, "# A model\n")
    return folder


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    body: Any
    headers: dict[str, str]


def call(url: str, body: Any = None, key: str | None = None, timeout: float = 30) -> Reply:
    """Send a request, of a body that is bytes or becomes JSON; return what came back."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    if key:
        request.add_header("authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as found:
            return _reply(found.status, found.read(), dict(found.headers))
    except urllib.error.HTTPError as error:
        with error:
            return _reply(error.code, error.read(), dict(error.headers))


def _reply(status: int, raw: bytes, headers: dict[str, str]) -> Reply:
    lower = {name.lower(): value for name, value in headers.items()}
    told = "json" in lower.get("content-type", "")
    return Reply(status, json.loads(raw) if told else raw.decode(), lower)


def make_key(home: Home, *scopes: str) -> str:
    """Return a new key's secret."""
    with Keys.open(home) as keys:
        wanted = scopes or ("classify", "feedback", "models", "metrics")
        return keys.create("tests", wanted, rate=1_000_000, by="tests")[1]


@dataclass
class Running:
    """`vermilion serve` as a process, ready when it is entered."""

    home: Home
    model: str
    options: Sequence[str] = ()
    url: str = ""
    lines: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        argv = [sys.executable, "-c", RUN, "serve", self.model, "--home", str(self.home.folder)]
        self.log = self.home.folder / "serve.log"
        with self.log.open("wb") as log:  # else the line of an earlier start would be found
            self.process = subprocess.Popen(
                [*argv, "--port", "0", *self.options],
                stderr=log,
                stdout=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self.url = self._wait()
        return self

    def _wait(self) -> str:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            found = SERVING.findall(self.log.read_text())
            if found:
                return str(found[-1])
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"the service did not start: {self.log.read_text()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def workers(self) -> list[int]:
        """The process ids of the workers that live, those of a freshly dead parent not among them."""
        found = []
        for task in Path("/proc").glob("[0-9]*"):
            try:
                fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
                words = (task / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid and fields[0] != "Z" and b"spawn_main" in words:
                found.append(int(task.name))
        return found


def journalled(home: Home) -> dict[str, Any]:
    """Return all decisions in the journal by their id."""
    from vermilion.serve.journal_reading import read

    everything = read(home.decisions, datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    return {str(row["id"]): row for row in everything}


def wait_for(what: str, found: Any, seconds: float = 60) -> None:
    """Wait until a callable returns something true."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.02)

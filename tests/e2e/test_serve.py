"""`vermilion serve` as processes: swapped, killed and ended under load, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Self

import pytest
from serving import TEXTS, Running, call, journalled, make_key, make_model, wait_for

from vermilion.world.feedback import Feedback
from vermilion.world.home import Home
from vermilion.world.registry import Registry

# A thousand with VERMILION_SWAPS=1000; what that gave stands in docs/serve.md.
SWAPS = int(os.environ.get("VERMILION_SWAPS", "100"))
OLD, NEW = ("old-card", "old-refund", "old-pin"), ("new-card", "new-refund", "new-pin")
BODY = b'{"texts": ["where is my card?", "please refund my payment"]}'


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home", environment={})


@pytest.fixture
def named(home: Home, tmp_path: Path) -> Iterator[Registry]:
    """Give a registry with two versions of one name that share no label; the first is the champion."""
    with Registry.open(home) as registry:
        for number, labels in enumerate((OLD, NEW), start=1):
            registry.add("intents", make_model(tmp_path / str(number), labels), by="tests")
        promote(registry, 1)
        yield registry


def promote(registry: Registry, number: int) -> None:
    registry.promote("intents", f"intents@{number}", by="tests", why="a test")


@dataclass
class Load:
    """Clients that ask one after the other until told to stop, and what they were told."""

    url: str
    key: str
    clients: int = 4
    answers: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        host = self.url.removeprefix("http://")
        while not self._stopped.is_set():
            connection = HTTPConnection(host, timeout=30)
            try:
                while not self._stopped.is_set():
                    self._one(connection)
            except (OSError, HTTPException) as error:
                self.failures.append(type(error).__name__)
                time.sleep(0.02)
            finally:
                connection.close()

    def _one(self, connection: HTTPConnection) -> None:
        import json

        headers = {"content-type": "application/json", "authorization": f"Bearer {self.key}"}
        connection.request("POST", "/v1/classify", BODY, headers)
        reply = connection.getresponse()
        body = reply.read()
        if reply.status == 200:
            self.answers.append(json.loads(body))
        else:
            self.refusals.append(reply.status)

    @property
    def decisions(self) -> dict[str, str]:
        """The labels that were told, by the decision's id."""
        return {row["id"]: row["label"] for one in self.answers for row in one["results"]}


def more(load: Load, count: int) -> Callable[[], bool]:
    """Return what tells whether so many more answers have come."""
    wanted = len(load.answers) + count
    return lambda: len(load.answers) >= wanted


def version(url: str, key: str) -> int:
    return int(call(f"{url}/v1/models", None, key).body["models"][0]["version"])


def test_swaps_under_load_lose_no_request_and_no_label_is_of_another_version(
    home: Home, named: Registry
) -> None:
    key = make_key(home)
    with Running(home, "intents", ("--workers", "2")) as running, Load(running.url, key) as load:
        wait_for("answers", more(load, 10))
        for swap in range(SWAPS):
            number = 2 - swap % 2
            promote(named, number)
            wait_for(f"swap {swap}", lambda number=number: version(running.url, key) == number)
        wait_for("answers", more(load, 10))
    assert (load.refusals, load.failures) == ([], [])
    seen = {one["model"]["version"] for one in load.answers}
    assert seen == {1, 2}
    for one in load.answers:
        labels = {row["label"] for row in one["results"]}
        assert labels <= {*(OLD, NEW)[one["model"]["version"] - 1]}
    kept = journalled(home)
    assert {number: kept[number]["label"] for number in load.decisions} == load.decisions


def test_a_damaged_version_is_refused_and_the_old_one_stays(home: Home, named: Registry) -> None:
    key = make_key(home)
    tensors = named.resolve("intents@2").folder / "model.safetensors"
    tensors.chmod(0o600)
    whole = tensors.read_bytes()
    tensors.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with Running(home, "intents") as running:
        promote(named, 2)
        wait_for("a clear line", lambda: "refused, intents@1 stays" in running.log.read_text())
        assert call(f"{running.url}/readyz").status == 200
        told = call(f"{running.url}/metrics", None, key).body
        assert 'vermilion_snapshots_total{event="refused"} ' in told
        assert version(running.url, key) == 1
        tensors.write_bytes(whole)
        wait_for("the mended version", lambda: version(running.url, key) == 2)


def test_a_killed_worker_is_replaced_and_nothing_acknowledged_is_lost(home: Home, tmp_path: Path) -> None:
    key = make_key(home)
    model = make_model(tmp_path / "model")
    with Running(home, str(model), ("--workers", "2")) as running, Load(running.url, key) as load:
        for _ in range(3):
            wait_for("two workers", lambda: len(running.workers) == 2)
            wait_for("answers", more(load, 10))
            os.kill(running.workers[0], signal.SIGKILL)
        wait_for("two workers", lambda: len(running.workers) == 2)
        wait_for("answers", more(load, 10))
        assert call(f"{running.url}/readyz").status == 200
    kept = journalled(home)
    assert {number: kept[number]["label"] for number in load.decisions} == load.decisions
    assert {200, 503} >= {200, *load.refusals}


def test_a_killed_service_frees_its_port_and_goes_on(home: Home, tmp_path: Path) -> None:
    key = make_key(home)
    model = make_model(tmp_path / "model")
    told: dict[str, str] = {}
    feedback: list[str] = []
    for _ in range(2):
        with Running(home, str(model), ("--workers", "2")) as running:
            with Load(running.url, key) as load:
                wait_for("answers", more(load, 20))
                first = next(iter(load.decisions))
                assert (
                    call(f"{running.url}/v1/feedback", {"decision": first, "label": "x"}, key).status == 202
                )
                feedback.append(first)
                workers = running.workers
                os.kill(running.process.pid, signal.SIGKILL)
                running.process.wait()
                wait_for("the end of its workers", lambda: not any(map(alive, workers)), seconds=20)  # noqa: B023
            told |= load.decisions
            port = int(running.url.rsplit(":", 1)[1])
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
    kept = journalled(home)
    assert {number: kept[number]["label"] for number in told} == told
    with Feedback.open(home) as opened:
        assert {one.decision for one in opened.since()} == {*feedback}


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_everything_killed_at_once_loses_nothing(home: Home, tmp_path: Path) -> None:
    key = make_key(home)
    model = make_model(tmp_path / "model")
    with Running(home, str(model)) as running, Load(running.url, key) as load:
        wait_for("answers", more(load, 20))
        for pid in (running.process.pid, *running.workers):
            os.kill(pid, signal.SIGKILL)
        running.process.wait()
    kept = journalled(home)
    assert load.decisions
    assert {number: kept[number]["label"] for number in load.decisions} == load.decisions
    with Running(home, str(model)) as running:
        assert call(f"{running.url}/readyz").body == {"ready": True, "reasons": []}


def test_told_to_end_it_finishes_what_it_took(home: Home, tmp_path: Path) -> None:
    key = make_key(home)
    model = make_model(tmp_path / "model")
    with Running(home, str(model), ("--workers", "1")) as running:
        replies = []
        body = {"texts": [TEXTS[number % len(TEXTS)] for number in range(1000)]}

        def ask() -> None:
            replies.append(call(f"{running.url}/v1/classify", body, key))

        before = call(f"{running.url}/metrics", None, key).body
        assert "vermilion_batch_texts_count 0.0" in before or "vermilion_batch_texts_count" in before
        thread = threading.Thread(target=ask)
        thread.start()
        wait_for(
            "a first batch",
            lambda: "vermilion_batch_texts_count 0.0" not in call(f"{running.url}/metrics", None, key).body,
        )
        running.process.send_signal(signal.SIGTERM)
        thread.join()
        assert running.process.wait(30) == 0
    assert [reply.status for reply in replies] == [200]
    assert len(journalled(home)) == 1000


def test_metrics_are_of_all_workers(home: Home, tmp_path: Path) -> None:
    key = make_key(home)
    model = make_model(tmp_path / "model")
    with Running(home, str(model), ("--workers", "2")) as running:
        for _ in range(40):  # each over a connection of its own, so that both workers get some
            assert call(f"{running.url}/v1/classify", {"texts": ["hi"]}, key).status == 200
        wanted = 'vermilion_texts_total{arm="champion",outcome="labelled"} 40.0'
        assert wanted in call(f"{running.url}/metrics", None, key).body
        assert len({row["id"] for row in journalled(home).values()}) == 40


def test_who_has_hung_up_is_not_answered(home: Home, tmp_path: Path) -> None:
    key = make_key(home)
    model = make_model(tmp_path / "model", encoder="minilm")
    text = "where is my card? " * 50
    with Running(home, str(model), ("--workers", "1", "--batch", "1")) as running:
        long = threading.Thread(target=call, args=(f"{running.url}/v1/classify", {"texts": [text] * 40}, key))
        long.start()
        wait_for("work", lambda: len(journalled(home)) == 0 and waiting(running.url, key) > 0)
        host, port = running.url.removeprefix("http://").split(":")
        for _ in range(5):
            with socket.create_connection((host, int(port))) as gone:
                gone.sendall(
                    f"POST /v1/classify HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
                    f"authorization: Bearer {key}\r\ncontent-length: {len(BODY)}\r\n\r\n".encode()
                    + BODY
                )
                wait_for("it to be taken", lambda: waiting(running.url, key) > 0)
        wait_for(
            "them to be dropped",
            lambda: (
                'vermilion_dropped_requests_total{reason="gone"} 5.0'
                in call(f"{running.url}/metrics", None, key).body
            ),
        )
        long.join()
    assert len(journalled(home)) == 40


def waiting(url: str, key: str) -> float:
    for line in call(f"{url}/metrics", None, key).body.splitlines():
        if line.startswith("vermilion_waiting_texts "):
            return float(line.split()[1])
    return 0.0

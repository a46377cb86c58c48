"""Servers to measure: started, waited for, their processor time read, stopped."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib import request
from urllib.error import URLError

from benchmarks.environments import interpreter
from benchmarks.service.load import Target

SCRIPTS = Path(__file__).parents[1] / "peers"
COMMAND = (sys.executable, "-c", "from vermilion.cli import main; main()")
START_SECONDS = 180.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Kind:
    """How a server is asked.

    Attributes
    ----------
    environment : str or None
        Of requirements/peers; None is this one's.
    script : tuple of str
        Of benchmarks/peers, and its first arguments.
    wrap : str
        The name of the texts in its JSON.
    """

    name: str
    environment: str | None
    path: str
    script: tuple[str, ...] = ()
    wrap: str = "texts"


OURS = Kind("vermilion", None, "/v1/classify")
PEERS = (
    Kind("plain", "serving", "/classify", ("serve.py", "plain")),
    Kind("litserve", "serving", "/predict", ("serve_litserve.py",)),
    Kind("mlflow", "mlflow", "/invocations", ("serve.py", "mlflow"), "inputs"),
)


class ServerError(RuntimeError):
    """A server cannot be measured; the message says why in one line."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers."""

    kind: Kind
    process: subprocess.Popen[bytes]
    target: Target

    def cpu_seconds(self) -> float:
        """Return the processor time that it and all its children have taken so far."""
        return sum(_ticks(pid) for pid in _family(self.process.pid)) / TICKS

    def memory_mib(self) -> float:
        """Return what it and all its children hold, shared pages counted once for each that shares them."""
        return sum(_pss(pid) for pid in _family(self.process.pid)) / 1024


@contextmanager
def started(kind: Kind, model: Path, labelled: Path, texts: Sequence[str], workers: int) -> Iterator[Server]:
    """Start a server, wait until it classifies, and stop it in the end.

    Raises
    ------
    ServerError
        It has no environment, or does not answer.
    """
    port = _free_port()
    log = Path(f"/tmp/bench-{kind.name}.log")
    with log.open("wb") as out:
        process = subprocess.Popen(_command(kind, model, labelled, port, workers), stdout=out, stderr=out)
    bodies = [json.dumps({kind.wrap: [text]}).encode() for text in texts]
    server = Server(kind, process, Target(port, kind.path, bodies))
    try:
        _wait(server, log)
        yield server
    finally:
        for pid in reversed(_family(process.pid)):
            _end(pid)
        process.wait(timeout=30)


def _command(kind: Kind, model: Path, labelled: Path, port: int, workers: int) -> list[str]:
    if kind.environment is None:
        home = str(model.parent / "home")
        serve = [
            "serve",
            str(model),
            "--port",
            str(port),
            "--home",
            home,
            "--no-keys",
            "--workers",
            str(workers),
        ]
        return [*COMMAND, *serve]
    python = interpreter(kind.environment)
    if not python.exists():
        raise ServerError(f"no environment; python -m benchmarks environments {kind.environment}")
    return [str(python), str(SCRIPTS / kind.script[0]), *kind.script[1:], str(labelled), str(port)]


def _wait(server: Server, log: Path) -> None:
    """Ask until the first text is classified."""
    address = f"http://127.0.0.1:{server.target.port}{server.target.path}"
    wanted = request.Request(address, server.target.bodies[0], {"Content-Type": "application/json"})
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.process.poll() is not None:
            break
        try:
            with request.urlopen(wanted, timeout=30) as answer:
                answer.read()
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.3)
    last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing said"]
    raise ServerError(f"does not answer: {last[0][:200]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _family(pid: int) -> list[int]:
    """Return a process and all that it has started, itself first."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found.extend(int(child) for child in children.read_text().split())
            except OSError:
                continue
    return found


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _end(pid: int) -> None:
    try:
        os.kill(pid, 9 if pid != 0 else 0)
    except ProcessLookupError:
        return

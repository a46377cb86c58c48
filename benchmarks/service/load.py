"""Load on a server: requests at random times that nobody waits for (open loop), and as many as it takes (wrk)."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httptools
import numpy as np
import uvloop

# More than this many requests under way at once, and the server is lost anyway.
MOST_CONNECTIONS = 1_000
GIVE_UP_SECONDS = 10.0
OK = 200


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go and what they are.

    Attributes
    ----------
    headers : dict
        Beside Host, Content-Type and Content-Length.
    bodies : sequence of bytes
        JSON; one after another, over and over.
    """

    port: int
    path: str
    bodies: Sequence[bytes]
    headers: dict[str, str] = field(default_factory=dict)

    def requests(self) -> list[bytes]:
        """Return each request as it goes over the wire."""
        own = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        head = f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n{own}"
        return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in self.bodies]


@dataclass(frozen=True, slots=True)
class Found:
    """What a load found.

    Attributes
    ----------
    rate : float
        Requests a second that were wanted.
    latencies : ndarray
        Seconds from when each was due to the end of its answer; infinite for those never answered.
    refused : int
        Answers other than 200.
    """

    rate: float
    latencies: np.ndarray[Any, np.dtype[np.float64]]
    refused: int

    def quantile(self, q: float) -> float:
        """Return a quantile of the latencies, in milliseconds."""
        return float(np.quantile(self.latencies, q, method="higher")) * 1000

    def figures(self) -> dict[str, Any]:
        """Return what is written down."""
        quantiles = {f"p{round(100 * q)}_ms": _short(self.quantile(q)) for q in (0.5, 0.95, 0.99)}
        return {
            "rate": round(self.rate, 1),
            "requests": len(self.latencies),
            "refused": self.refused,
            **quantiles,
        }


def _short(milliseconds: float) -> float | None:
    return round(milliseconds, 2) if np.isfinite(milliseconds) else None


def open_loop(target: Target, rate: float, seconds: float, seed: int = 0) -> Found:
    """Send requests at random times, `rate` a second on average, for so long; wait for the last answers."""
    rng = np.random.default_rng(seed)
    due = np.cumsum(rng.exponential(1 / rate, size=max(1, round(rate * seconds))))
    return uvloop.run(_Load(target, due).run(rate))


class _Load:
    """Requests under way, and connections that wait for their next one."""

    def __init__(self, target: Target, due: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        self.port, self.requests, self.due = target.port, target.requests(), due
        self.latencies = np.full(len(due), np.inf)
        self.refused = 0
        self.idle: deque[_Connection] = deque()
        self.open = 0
        self.waiting: deque[int] = deque()
        self.left = len(due)
        self.start = 0.0

    async def run(self, rate: float) -> Found:
        self.loop = asyncio.get_running_loop()
        self.finished = self.loop.create_future()
        self.start = self.loop.time()
        for number, moment in enumerate(self.due.tolist()):
            if (early := self.start + moment - self.loop.time()) > 0:
                await asyncio.sleep(early)
            self.send(number)
        _, late = await asyncio.wait([self.finished], timeout=GIVE_UP_SECONDS)
        del late
        for connection in self.idle:
            connection.close()
        return Found(rate, self.latencies, self.refused)

    def send(self, number: int) -> None:
        if self.idle:
            self.idle.popleft().send(number)
        elif self.open < MOST_CONNECTIONS:
            self.open += 1
            connecting = self.loop.create_connection(
                lambda: _Connection(self, number), "127.0.0.1", self.port
            )
            self.loop.create_task(connecting)
        else:
            self.waiting.append(number)

    def answered(self, number: int, status: int, connection: _Connection) -> None:
        self.latencies[number] = self.loop.time() - self.start - self.due[number]
        self.refused += status != OK
        self.left -= 1
        if not self.left and not self.finished.done():
            self.finished.set_result(None)
        if self.waiting:
            connection.send(self.waiting.popleft())
        else:
            self.idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        """Forget a connection that the server has closed; its request, if any, stays unanswered."""
        self.open -= 1
        if connection in self.idle:
            self.idle.remove(connection)


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, load: _Load, number: int) -> None:
        self.load, self.number = load, number

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.send(self.number)

    def send(self, number: int) -> None:
        self.number, self.parser = number, httptools.HttpResponseParser(self)
        self.transport.write(self.load.requests[number % len(self.load.requests)])

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.load.answered(self.number, self.parser.get_status_code(), self)

    def connection_lost(self, error: Exception | None) -> None:
        self.load.lost(self)

    def close(self) -> None:
        self.transport.close()


def saturate(target: Target, seconds: float, connections: int = 64) -> float:
    """Return the answers a second when so many clients each ask again as soon as they are answered, by wrk.

    Raises
    ------
    RuntimeError
        wrk is missing, or the server answers otherwise than 200.
    """
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is not installed; apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "requests.lua"
        script.write_text(_lua(target), encoding="utf-8")
        address = f"http://127.0.0.1:{target.port}{target.path}"
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{round(seconds)}s",
            "--timeout",
            "30s",
            "-s",
            str(script),
        ]
        told = subprocess.run([*command, address], capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s*([\d.]+)", told)
    if rate is None or "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(f"wrk: {' '.join(told.split())}")
    return float(rate.group(1))


def _lua(target: Target) -> str:
    """Return wrk's script: the bodies in turn."""
    bodies = ",\n".join(_quoted(body.decode()) for body in target.bodies)
    headers = "".join(
        f"wrk.headers[{_quoted(name)}] = {_quoted(value)}\n"
        for name, value in {"Content-Type": "application/json", **target.headers}.items()
    )
    turn = (
        "function request()\n  n = n % #bodies + 1\n  return wrk.format('POST', nil, nil, bodies[n])\nend\n"
    )
    return f"local bodies = {{{bodies}}}\nlocal n = 0\n{headers}{turn}"


def _quoted(text: str) -> str:
    """Return a string of Lua: bytes that are no plain ASCII by number.

    Examples
    --------
    >>> _quoted('a"é')
    '"a\\\\034\\\\195\\\\169"'
    """
    plain = set(range(32, 127)) - {ord('"'), ord("\\")}
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03d}" for b in text.encode()) + '"'

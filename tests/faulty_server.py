"""A chat-completions server on 127.0.0.1 that knows the right answers and fails as real ones do.

It speaks HTTP, so nothing of the client is replaced in tests. What it answers depends on the question alone;
whether it fails depends on the seed, the question and how often that was asked: never on the order of requests.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

NONE = "none of these"
# In 429 and 500 the model has not run; in all others it has, and a provider would bill.
FAULTS = ("429", "500", "slow", "cut", "malformed", "off_schema")
RETRY_AFTER = "0.05"
DATA = re.compile(r"^<data>\n(.*)\n</data>$", re.MULTILINE)


@dataclass
class Log:
    """What happened.

    Attributes
    ----------
    bodies, authorizations : list
        Of each request, as it came.
    successes : Counter
        How often each question was answered usably, by its data as JSON.
    faults : Counter
        Faults played, by kind.
    prompt_tokens, completion_tokens : int
        What a provider would bill, answers that got lost included.
    most_at_once : int
        Requests that were under way together.
    """

    bodies: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    successes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    most_at_once: int = 0

    @property
    def requests(self) -> int:
        """Number of requests that came."""
        return len(self.bodies)


@dataclass
class FaultyServer:
    """What the server does; `serving` runs it.

    Attributes
    ----------
    gold : mapping of text to label, or to a set of labels
        A text that is not there belongs to none of the options.
    fault_rate : float
        Share of requests that fail.
    faults : sequence of str
        Which faults, equally likely.
    slow : float
        Seconds that a slow answer takes.
    delay : float
        Seconds that any answer takes.
    usage : bool
        Whether answers tell the tokens they took.
    status : int
        When not 200, all that ever comes back; the message repeats the key, as some servers do.
    refuses : tuple of str
        Parameters that are answered with 400.
    """

    gold: Mapping[str, str | frozenset[str]]
    fault_rate: float = 0.0
    faults: Sequence[str] = FAULTS
    seed: int = 0
    slow: float = 120.0
    delay: float = 0.0
    usage: bool = True
    status: int = 200
    refuses: tuple[str, ...] = ()
    log: Log = field(default_factory=Log)
    _tries: Counter[str] = field(default_factory=Counter)
    _at_once: int = 0

    async def serve(self, request: Request) -> Response:
        """Answer one request."""
        self._at_once += 1
        self.log.most_at_once = max(self.log.most_at_once, self._at_once)
        try:
            return await self._respond(request)
        finally:
            self._at_once -= 1

    async def _respond(self, request: Request) -> Response:
        body = await request.json()
        authorization = request.headers.get("authorization", "")
        self.log.bodies.append(body)
        self.log.authorizations.append(authorization)
        if self.status != 200:
            return _error(self.status, f"Incorrect API key provided: {authorization}")
        for name in self.refuses:
            if name in body:
                return _error(400, f"Unsupported parameter: '{name}' is not supported with this model.")
        await asyncio.sleep(self.delay)
        data = read_data(body)
        return await self._play(self._fault(data), body, data)

    def _fault(self, data: Mapping[str, Any]) -> str:
        """Return the fault that this try of this question meets, or nothing."""
        asked = json.dumps([self.seed, data], sort_keys=True)
        self._tries[asked] += 1
        digest = hashlib.sha256(f"{asked}{self._tries[asked]}".encode()).digest()
        if int.from_bytes(digest[:4]) / 2**32 >= self.fault_rate:
            return ""
        fault = self.faults[digest[4] % len(self.faults)]
        self.log.faults[fault] += 1
        return fault

    async def _play(self, fault: str, body: Mapping[str, Any], data: Mapping[str, Any]) -> Response:
        if fault == "429":
            return _error(429, "Rate limit reached", {"retry-after": RETRY_AFTER})
        if fault == "500":
            return _error(500, "The server had an error")
        content = json.dumps(answer_to(data, self.gold))
        if fault == "malformed":
            content = content[:-4]
        elif fault == "off_schema":
            content = json.dumps({"answer": "a label of my own"} if "text" in data else {"meaning": 7})
        completion = self._completion(content, body)
        if fault == "slow":
            await asyncio.sleep(self.slow)
        if fault == "cut":
            half = _half(json.dumps(completion).encode())
            headers = {"content-length": "100000"}
            return StreamingResponse(half, media_type="application/json", headers=headers)
        if not fault:
            self.log.successes[json.dumps(data, sort_keys=True)] += 1
        return JSONResponse(completion)

    def _completion(self, content: str, body: Mapping[str, Any]) -> dict[str, Any]:
        prompt = max(1, len(json.dumps(body["messages"])) // 4)
        written = max(1, len(content) // 3)
        self.log.prompt_tokens += prompt
        self.log.completion_tokens += written
        usage = {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}
        message = {"role": "assistant", "content": content}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        } | ({"usage": usage} if self.usage else {})


def read_data(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a question's data as a model sees them: the JSON of the first block that the client wrote."""
    found = (DATA.search(message["content"]) for message in body["messages"] if message["role"] == "user")
    match = next(match for match in found if match)
    data: dict[str, Any] = json.loads(match[1])
    return data


def answer_to(data: Mapping[str, Any], gold: Mapping[str, str | frozenset[str]]) -> dict[str, str]:
    """Return the right answer to a question, or a meaning for a label."""
    if "text" not in data:
        return {"meaning": f"use when it is about {data['label']}, not when it is about something else"}
    truth = gold.get(data["text"])
    if data["question"] == "validate":
        asked = data["label"]["label"]
        right = asked in truth if isinstance(truth, frozenset) else asked == truth
        return {"answer": data["answers"][0 if right else 1]}
    options = [option["label"] for option in data["options"]]
    return {"answer": str(truth) if truth in options else NONE}


@contextmanager
def serving(server: FaultyServer, port: int = 0) -> Iterator[str]:
    """Run the server in a thread; give its base URL; port 0 takes a free one."""
    app = Starlette(routes=[Route("/v1/chat/completions", server.serve, methods=["POST"])])
    # The socket listens before the server runs: a client that is early waits in its queue.
    with socket.create_server(("127.0.0.1", port)) as listening:
        runner = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
        thread = threading.Thread(target=runner.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            runner.should_exit = runner.force_exit = True
            thread.join()


async def _half(content: bytes) -> AsyncIterator[bytes]:
    """Send half of an answer; the missing rest makes the server close the connection."""
    yield content[: len(content) // 2]


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    error = {"message": message, "type": "error", "param": None, "code": None}
    return JSONResponse({"error": error}, status, dict(headers or {}))


def main() -> None:
    """Serve gold labels from a file until interrupted; print the port."""
    parser = argparse.ArgumentParser(description="A chat-completions server that fails on purpose.")
    parser.add_argument("--gold", type=Path, required=True, help="JSONL rows with text and label")
    parser.add_argument("--fault-rate", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--slow", type=float, default=120.0, help="seconds that a slow answer takes")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    rows = [json.loads(line) for line in given.gold.read_text(encoding="utf-8").splitlines()]
    gold = {row["text"]: row["label"] for row in rows}
    server = FaultyServer(gold, given.fault_rate, seed=given.seed, slow=given.slow)
    with serving(server, given.port) as url, contextlib.suppress(KeyboardInterrupt):
        print(url.split(":")[2].partition("/")[0], flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()

"""The guard, over real HTTP where the wire matters: nothing gets past it, however it is spelt."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from vermilion.errors import InputError
from vermilion.serve.guard import SECURITY_HEADERS, Guard, Limits, check_exposure
from vermilion.serve.key_ring import KeyRing
from vermilion.serve.rate import Buckets
from vermilion.world.home import Home
from vermilion.world.keys import Key, Keys

ROUTES = {
    ("GET", "/healthz"): None,
    ("POST", "/v1/classify"): "classify",
    ("GET", "/v1/models/{name}"): "models",
    ("GET", "/v1/fails"): "classify",
}
LIMITS = Limits(body_bytes=1000, body_seconds=0.3, requests_per_second=1000, burst=1000, wrong_keys=1e6)


async def echo(request: Request) -> JSONResponse:
    key: Key | None = request.state.key
    seen = {
        "path": request.url.path,
        "key": key and key.label,
        "headers": sorted(request.headers),
        "body": (await request.body()).decode(),
    }
    return JSONResponse(seen, headers={"cache-control": "private"})


async def fails(request: Request) -> JSONResponse:
    raise RuntimeError("something broke")


async def anything(request: Request) -> JSONResponse:
    """What a careless router lets through: the guard has to hold by itself."""
    return JSONResponse({"got": "through"})


def app() -> Starlette:
    """Return an app that answers whatever comes, with redirects from slashes as starlette has them."""
    return Starlette(
        routes=[
            Route("/healthz", echo),
            Route("/v1/classify", echo, methods=["POST"]),
            Route("/v1/models/{name:path}", echo),
            Route("/v1/fails", fails),
            Mount("/", app=anything_app),
        ]
    )


async def anything_app(scope: Any, receive: Any, send: Any) -> None:
    await (await anything(Request(scope, receive)))(scope, receive, send)


@dataclass(frozen=True)
class Place:
    """A running service with a guard, and keys for it."""

    port: int
    keys: Keys
    token: str
    models_token: str
    refused: list[int]

    def ask(
        self,
        method: str = "POST",
        path: str = "/v1/classify",
        body: bytes | None = b"{}",
        token: str | None = "good",
        **headers: Any,
    ) -> tuple[int, dict[str, str], Any]:
        """Return status, headers in lower case and JSON of the answer."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given["Authorization"] = f"Bearer {self.token if token == 'good' else token}"
        if body is not None:
            given.setdefault("Content-Type", "application/json")
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request(method, path, body if method != "GET" else None, given)
            answer = connection.getresponse()
            content = answer.read()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, json.loads(content) if content else None

    def raw(self, request: bytes) -> bytes:
        """Send bytes as they are; return all that comes until the other side closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)


@contextmanager
def serving(guarded: Any) -> Iterator[int]:
    """Run uvicorn in a thread; give its port."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(guarded, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        listening.listen(128)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = Home.open(tmp_path_factory.mktemp("home"), environment={})
    with Keys.open(home) as keys, Buckets(home.runtime / "rates") as buckets:
        _, token = keys.create("shop", ["classify"], by="ada")
        _, models_token = keys.create("watcher", ["models"], by="ada")
        refused: list[int] = []
        with (
            KeyRing(keys) as ring,
            serving(Guard(app(), ring, LIMITS, ROUTES, buckets, refused.append)) as port,
        ):
            yield Place(port, keys, token, models_token, refused)


def test_with_a_key_the_app_answers_and_never_sees_the_secret(place: Place) -> None:
    status, headers, seen = place.ask(body=b'{"text": "x"}')
    assert status == 200
    assert seen == {
        "path": "/v1/classify",
        "key": "shop",
        "headers": ["accept-encoding", "content-length", "content-type", "host"],
        "body": '{"text": "x"}',
    }
    assert headers["cache-control"] == "private"  # the app's own stays
    expected = {name.decode() for name in SECURITY_HEADERS}
    assert expected <= set(headers)
    assert "access-control-allow-origin" not in headers


def test_health_needs_no_key(place: Place) -> None:
    status, headers, seen = place.ask("GET", "/healthz", None, token=None)
    assert (status, seen["key"]) == (200, None)
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("change", "status", "detail"),
    [
        ({"token": None}, 401, "send a key"),
        ({"token": "vk_aaaaaaaa_" + "x" * 43}, 401, "unknown, revoked or expired"),
        ({"token": "x"}, 401, "unknown, revoked or expired"),
        ({"token": ""}, 401, "unknown, revoked or expired"),
        ({"token": None, "Authorization": "Basic dXNlcjpwYXNz"}, 401, "by no other scheme"),
        ({"token": None, "X_API_Key": "x"}, 401, "not as X-API-Key"),
        ({"method": "GET", "path": "/v1/models/shop"}, 403, "do not include models"),
        ({"method": "GET", "path": "/v1/classify"}, 405, "another method"),
        ({"method": "OPTIONS"}, 405, "another method"),
        ({"path": "/v1/other"}, 404, "no such path"),
        ({"path": "/v1/classify?api_key=x"}, 400, "in the URL"),
        ({"path": "/v1/classify?a=vk_abcdefgh_x"}, 400, "in the URL"),
        ({"body": b"x" * 1001}, 413, "up to 1,000 bytes"),
        ({"Content_Type": "text/plain"}, 415, "application/json"),
        ({"Content_Encoding": "gzip"}, 415, "without content-encoding"),
        ({"X": "y" * 20_000}, 431, "headers"),
    ],
)
def test_what_is_refused_and_how(place: Place, change: dict[str, Any], status: int, detail: str) -> None:
    before = len(place.refused)
    found, headers, problem = place.ask(**change)
    assert found == status
    assert headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    assert detail in problem["detail"]
    assert problem["request_id"] == headers["x-request-id"]
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert ("www-authenticate" in headers) == (status in (401, 403))
    assert place.refused[before:] == [status]
    assert place.token not in json.dumps(problem)


def test_a_405_names_the_methods_that_there_are(place: Place) -> None:
    assert place.ask("PUT")[1]["allow"] == "POST"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "GET", "POST", "PUT", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/v1/classify", "/docs", "/openapi.json", "/metrics", "/nothing"])
def test_without_a_key_known_and_unknown_paths_look_alike(place: Place, method: str, path: str) -> None:
    status, _, problem = place.ask(method, path, None, token=None)
    assert status == 401
    assert problem is None or problem["detail"] == "send a key as Authorization: Bearer"


TRICKS = [
    *("/healthz/../v1/models/x", "/healthz/..%2fv1/models/x", "/healthz/%2e%2e/v1/models/x", "//v1/models/x"),
    *(
        "/%76%31/models/x",
        "/v1%2fmodels%2fx",
        "/v1/models/x/",
        "/V1/models/x",
        "/v1/./models/x",
        "/v1//models/x",
    ),
    *("/healthz;/v1/models/x", "/healthz%00/v1/models/x", "/healthz\\..\\v1\\models\\x", "/healthz/"),
    *("/healthz%2f", "//healthz", "/%68ealthz", "/healthz%20", "/healthz#/v1/models/x", "/HEALTHZ", "*"),
    *(
        "http://127.0.0.1/v1/models/x",
        "http://evil.example/v1/classify",
        "healthz",
        "/v1/models/..",
        "/./healthz",
    ),
]


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_spelling_a_path_otherwise_gets_nobody_in(place: Place, trick: str, version: str) -> None:
    request = f"GET {trick} HTTP/{version}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    answer = place.raw(request.encode())
    status = int(answer.split(b" ", 2)[1])
    if trick.startswith(
        "/healthz#"
    ):  # no client sends a fragment; the server takes it off, and health is open
        assert status == 200
        assert b'"path":"/healthz"' in answer
    else:
        assert status in (400, 401), answer
        assert b"through" not in answer


def test_absolute_form_means_its_path(place: Place) -> None:
    answer = place.raw(b"GET http://evil.example/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b" 200 " in answer.split(b"\r\n", 1)[0] + b" "
    assert b'"path":"/healthz"' in answer


def test_encoded_parts_of_a_path_reach_no_route_with_a_key_either(place: Place) -> None:
    for path in ("/v1/models/a%2fb", "/v1/models/..", "/v1/models/%2e%2e", "/v1/models/a/b", "/v1/models/"):
        answer = place.raw(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Authorization: Bearer {place.models_token}\r\n\r\n".encode()
        )
        assert answer.startswith(b"HTTP/1.1 404"), path
    assert place.ask("GET", "/v1/models/shop@3", None, token=place.models_token)[0] == 200


@given(
    path=st.text(st.characters(max_codepoint=0x2FF), max_size=30),
    method=st.sampled_from(["GET", "POST", "HEAD"]),
)
@example(path="/healthz", method="POST")
@example(path="/healthz/../healthz", method="GET")
def test_only_the_open_path_is_open(place: Place, path: str, method: str) -> None:
    """Whatever a server makes of a request: raw and decoded path together decide, and without a key only health."""
    status = asyncio.run(status_of(place, path, path.encode("utf-8", "surrogatepass"), method))
    assert status == (200 if (method, path) == ("GET", "/healthz") else status)
    assert status in ((200,) if (method, path) == ("GET", "/healthz") else (400, 401))


@given(raw=st.binary(max_size=30))
@example(raw=b"/%68ealthz")
@example(raw=b"/x")
def test_a_decoded_path_that_came_otherwise_is_closed(place: Place, raw: bytes) -> None:
    status = asyncio.run(status_of(place, "/healthz", raw, "GET"))
    assert status == 200 if raw in (b"/healthz", b"") else status in (400, 401)


async def status_of(place: Place, path: str, raw: bytes, method: str) -> int:
    """Return the status of a request as a server might hand it over, from a guard of its own without keys."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": raw,
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
    }
    await GUARDS.setdefault(place.port, _guard(place))(scope, receive, send)
    return int(sent[0]["status"])


GUARDS: dict[int, Guard] = {}


def _guard(place: Place) -> Guard:
    async def through(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return Guard(through, KeyRing(place.keys), LIMITS, ROUTES, None)  # type: ignore[arg-type]  # no key, no rate


# --- bodies


def test_a_body_that_is_too_large_is_refused_before_it_is_read(place: Place) -> None:
    head = (
        f"POST /v1/classify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {place.token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000000000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", place.port), timeout=10) as connection:
        connection.sendall(head.encode())  # and not one byte of the body
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413)])
def test_a_body_in_chunks_has_the_same_cap(place: Place, size: int, status: int) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b"x" * 600, b"y" * (size - 600)))
    answer = place.raw(
        f"POST /v1/classify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {place.token}\r\nConnection: close\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        + chunks
        + b"0\r\n\r\n"
    )
    assert int(answer.split(b" ", 2)[1]) == status


def test_a_body_that_drips_is_given_up(place: Place) -> None:
    head = (
        f"POST /v1/classify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {place.token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\nx"
    )
    with socket.create_connection(("127.0.0.1", place.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: -1",
        "Content-Length: +5",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Authorization: Bearer x",  # a second one
        "Host: y",
    ],
)
def test_heads_with_two_meanings_are_refused(place: Place, headers: str) -> None:
    answer = place.raw(
        f"POST /v1/classify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {place.token}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\n{headers}\r\n\r\nhello".encode()
    )
    assert answer.startswith(b"HTTP/1.1 400"), answer


def test_without_a_body_there_is_none(place: Place) -> None:
    status, _, seen = place.ask(body=None)
    assert (status, seen["body"]) == (200, "")


def test_websockets_are_refused(place: Place) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(_guard(place)({"type": "websocket", "path": "/healthz"}, None, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]


# --- keys while running


def test_a_new_key_works_at_once_and_a_revoked_one_no_more(place: Place) -> None:
    key, token = place.keys.create("late", ["classify"], by="ada")
    assert place.ask(token=token)[0] == 200  # at the first try
    _, second = place.keys.rotate(key.id, grace=timedelta(hours=1), by="ada")
    assert place.ask(token=token)[0] == 200
    assert place.ask(token=second)[0] == 200
    place.keys.revoke(key.id, by="ada")
    tick = threading.Event()
    for _ in range(200):
        if place.ask(token=second)[0] == 401:
            break
        tick.wait(0.02)
    assert place.ask(token=second)[0] == place.ask(token=token)[0] == 401


def test_keys_are_in_no_log_and_no_error(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = place.raw(
        f"GET /v1/fails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {place.token}\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 500")
    place.ask(token=place.token[:-1] + "!")
    told = caplog.text + repr([vars(one) for one in caplog.records])
    assert "something broke" in told
    assert place.token[12:] not in told + answer.decode()


def test_a_request_id_of_the_client_is_kept_where_it_is_one(place: Place) -> None:
    assert place.ask(X_Request_Id="abc-1.2_3")[1]["x-request-id"] == "abc-1.2_3"
    for odd in ("", "a b", "x" * 65, "a\tb", "<script>"):
        assert len(place.ask(X_Request_Id=odd)[1]["x-request-id"]) == 24


# --- rates


@contextmanager
def narrow(tmp_path: Path, limits: Limits, rate: float | None = None) -> Iterator[tuple[Place, Keys]]:
    home = Home.open(tmp_path, environment={})
    with Keys.open(home) as keys, Buckets(home.runtime / "rates", clock=lambda: 100.0) as buckets:
        _, token = keys.create("shop", ["classify"], rate=rate, by="ada")
        with KeyRing(keys) as ring, serving(Guard(app(), ring, limits, ROUTES, buckets)) as port:
            yield Place(port, keys, token, "", []), keys


def test_a_key_has_its_rate_and_is_told_when_to_come_back(tmp_path: Path) -> None:
    with narrow(tmp_path, replace(LIMITS, requests_per_second=0.1, burst=3)) as (place, keys):
        answers = [place.ask() for _ in range(4)]
        assert [status for status, _, _ in answers] == [200, 200, 200, 429]
        assert answers[3][1]["retry-after"] == "10"
        assert "more requests than the key's rate allows; wait 10 s" in answers[3][2]["detail"]
        _, other = keys.create("other", ["classify"], by="ada")
        assert place.ask(token=other)[0] == 200
        assert place.ask("GET", "/healthz", None, token=None)[0] == 200


def test_a_key_may_have_a_rate_of_its_own(tmp_path: Path) -> None:
    with narrow(tmp_path, replace(LIMITS, requests_per_second=100, burst=200), rate=0.5) as (place, _):
        assert [place.ask()[0] for _ in range(2)] == [200, 429]


def test_guessing_is_slowed_down_and_good_keys_are_not(tmp_path: Path) -> None:
    with narrow(tmp_path, replace(LIMITS, wrong_keys=3)) as (place, _):
        wrong = [place.ask(token=f"vk_aaaaaaaa_{'x' * 42}{i}")[0] for i in range(5)]
        assert wrong == [401, 401, 401, 429, 429]
        assert place.ask()[0] == 200  # a neighbour behind the same address


# --- without keys


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:8000", None, 200),
        ("127.0.0.1", None, 200),
        ("[::1]:8000", None, 200),
        ("localhost:8000", "http://localhost:8000", 200),
        ("rebound.evil.example:8000", None, 403),
        ("", None, 403),
        ("localhost:8000", "http://evil.example", 403),
        ("localhost:8000", "null", 403),
    ],
)
def test_without_keys_only_this_machine_is_answered_and_no_web_page(
    tmp_path: Path, host: str, origin: str | None, status: int
) -> None:
    home = Home.open(tmp_path, environment={})
    with Keys.open(home) as keys, Buckets(home.runtime / "rates") as buckets, KeyRing(keys) as ring:
        guard = Guard(app(), ring, replace(LIMITS, without_keys=True), ROUTES, buckets)
        with serving(guard) as port:
            place = Place(port, keys, "", "", [])
            headers: dict[str, Any] = {"Host": host} | ({} if origin is None else {"Origin": origin})
            assert place.ask(token=None, **headers)[0] == status
            assert place.ask(token="vk_wrong")[0] == 401  # a wrong key is a mistake all the same


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.com", ""])
def test_an_address_that_others_reach_needs_keys(host: str) -> None:
    with pytest.raises(InputError, match=r"found .* and no key; make one first: vermilion keys create"):
        check_exposure(host, has_keys=False, tls=True)
    assert "without TLS" in (check_exposure(host, has_keys=True, tls=False) or "")
    assert check_exposure(host, has_keys=True, tls=True) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST"])
def test_this_machine_needs_none(host: str) -> None:
    assert check_exposure(host, has_keys=False, tls=False) is None

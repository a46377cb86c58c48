"""The guard around the whole app: no key, no answer; caps, scopes and rates before anything is parsed.

It is plain ASGI, and denies whatever it is not told of. What it lets in has a key in its `state`, a body within
bounds that has come as a whole, and no `Authorization` header any more: what is not there cannot leak.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import math
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from vermilion.errors import InputError, VermilionError
from vermilion.serve.key_ring import KeyRing
from vermilion.serve.rate import Buckets, Pace
from vermilion.serve.request_head import CHALLENGE, WRONG_KEY, Head, RefusedError, refuse_key_in_url
from vermilion.serve.routes import Route, Routes
from vermilion.world.keys import SCOPES, Key, id_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Somebody who comes with an unknown key may have a new one: then the copy is looked after, so often at most.
HURRY_SECONDS = 0.1
NOBODY = Key("nobody", "no keys", frozenset(SCOPES), None, "", "", None, None)

SECURITY_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
}
HSTS = (b"strict-transport-security", b"max-age=31536000")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be and how often it may come.

    Attributes
    ----------
    body_bytes, texts, text_chars : int
        The body's size; texts in a request and characters of a text, which the app looks at.
    body_seconds : float
        How long a body may take to come.
    headers, header_bytes : int
    requests_per_second, burst : float
        Of a key that has no rate of its own.
    wrong_keys_per_second, wrong_keys : float
        Of a client: how often and, at once, how many keys may come that open nothing.
    content_types : frozenset of bytes
        Of bodies.
    without_keys : bool
        Let in whoever is on this machine; see `check_exposure`.
    """

    body_bytes: int = 2**20
    texts: int = 1000
    text_chars: int = 20_000
    body_seconds: float = 10.0
    headers: int = 64
    header_bytes: int = 16 * 1024
    requests_per_second: float = 100.0
    burst: float = 200.0
    wrong_keys_per_second: float = 0.2
    wrong_keys: float = 20.0
    content_types: frozenset[bytes] = frozenset({b"application/json"})
    without_keys: bool = False


class Guard:
    """ASGI middleware that lets in what it knows.

    Parameters
    ----------
    app : ASGI application
    keys : KeyRing
    limits : Limits
    routes : mapping of (method, path) to scope or None
        All requests that there are; None is open to everybody.
    buckets : Buckets
        Shared with the other workers.
    note : callable, optional
        Told the status of each request that is refused.
    """

    def __init__(
        self,
        app: App,
        keys: KeyRing,
        limits: Limits,
        routes: Mapping[tuple[str, str], str | None],
        buckets: Buckets,
        note: Callable[[int], None] | None = None,
    ) -> None:
        self._app, self._keys, self._limits = app, keys, limits
        self._routes, self._buckets, self._note = Routes(routes), buckets, note
        self._pace = Pace(limits.requests_per_second, limits.burst)
        self._wrong = Pace(limits.wrong_keys_per_second, limits.wrong_keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or let it in."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = Head.read(scope["headers"])
        request_id = head.request_id or secrets.token_hex(12)
        answer = _sealed(send, request_id, secure=scope.get("scheme") == "https")
        try:
            key = await self._admitted(scope, head)
            body = await self._body(scope["method"], head, receive)
        except RefusedError as refusal:
            if self._note is not None:
                self._note(refusal.status)
            await refuse(refusal, request_id, answer)
            return
        except _GoneError:
            return
        state = scope.setdefault("state", {})
        state["key"], state["request_id"] = key, request_id
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"authorization"]
        await self._app(scope, receive if body is None else _replay(body, receive), answer)

    async def _admitted(self, scope: Scope, head: Head) -> Key | None:
        """Return the key that a request comes with, None where it needs none; or refuse it."""
        limits = self._limits
        head.refuse_strange(limits.headers, limits.header_bytes)
        path, raw = scope["path"], scope.get("raw_path") or scope["path"].encode()
        refuse_key_in_url(scope.get("query_string", b""), raw)
        # A path that means something else once it is decoded is no path of ours.
        route = self._routes.find(scope["method"], path) if raw == path.encode() else None
        if route is not None and route.scope is None:
            return None
        key = await self._key(scope, head)
        if route is None:
            raise self._nothing_there(path)
        self._refuse_beyond(key, route)
        return key

    async def _key(self, scope: Scope, head: Head) -> Key:
        token = head.token
        if self._limits.without_keys and token is None:
            _refuse_other_sites(head)
            return NOBODY
        if self._keys.stale:
            raise RefusedError(
                503, "the keys cannot be looked up; try again later", ((b"retry-after", b"5"),)
            )
        if token is None:
            raise RefusedError(401, "send a key as Authorization: Bearer", CHALLENGE)
        return self._keys.find(token) or await self._second_look(token, scope)

    async def _second_look(self, token: str, scope: Scope) -> Key:
        wait = self._buckets.take("client", _client(scope), self._wrong)
        if wait:
            raise _too_often(wait, "too many keys that open nothing came from there")
        if id_of(token):
            # After this wait a look that need not be made was made since the key came.
            await asyncio.sleep(1.1 * HURRY_SECONDS)
            with suppress(VermilionError):  # then the copy has to do
                await asyncio.to_thread(self._keys.refresh, HURRY_SECONDS)
            if key := self._keys.find(token):
                return key
        raise RefusedError(401, "the key is unknown, revoked or expired", WRONG_KEY)

    def _nothing_there(self, path: str) -> RefusedError:
        methods = self._routes.methods(path)
        if methods:
            return RefusedError(405, "another method", ((b"allow", ", ".join(methods).encode()),))
        return RefusedError(404, "there is no such path")

    def _refuse_beyond(self, key: Key, route: Route) -> None:
        if route.scope not in key.scopes:
            needed = f'Bearer realm="vermilion", error="insufficient_scope", scope="{route.scope}"'
            detail = f"the key's scopes do not include {route.scope}"
            raise RefusedError(403, detail, ((b"www-authenticate", needed.encode()),))
        limits = self._limits
        pace = self._pace
        if key.rate is not None:
            pace = Pace(key.rate, max(1.0, key.rate * limits.burst / limits.requests_per_second))
        if wait := self._buckets.take("key", key.id, pace):
            raise _too_often(wait, "more requests than the key's rate allows")

    async def _body(self, method: str, head: Head, receive: Receive) -> bytes | None:
        """Return the body once it has come as a whole; None where there is none."""
        length, most = head.length, self._limits.body_bytes
        if length == 0:
            return None if method in _BODILESS else b""
        kind = head.values.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind not in self._limits.content_types:
            wanted = " or ".join(sorted(one.decode() for one in self._limits.content_types))
            raise RefusedError(415, f"send the body as {wanted}", close=True)
        if head.values.get(b"content-encoding", b"identity").strip().lower() != b"identity":
            raise RefusedError(
                415, "send the body without content-encoding", ((b"accept-encoding", b"identity"),), True
            )
        if length is not None and length > most:
            raise _too_large(most)
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                return await _read(receive, most)
        except TimeoutError:
            raise RefusedError(408, "the body did not come in time", close=True) from None


_BODILESS = {"GET", "HEAD", "DELETE", "OPTIONS"}


class _GoneError(Exception):
    """The client has hung up."""


async def _read(receive: Receive, most: int) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body at once, and then what else comes."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _sealed(send: Send, request_id: str, *, secure: bool) -> Send:
    """Return a `send` that adds the security headers, where the app has not set its own, and the request's id."""
    added = [*SECURITY_HEADERS.items(), (b"x-request-id", request_id.encode())]
    if secure:
        added.append(HSTS)

    async def sealed(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = list(message.get("headers", ()))
            names = {name.lower() for name, _ in own}
            if names.isdisjoint(SECURITY_HEADERS):
                own += added
            else:
                own += [pair for pair in added if pair[0] not in names]
            message["headers"] = own
        await send(message)

    return sealed


async def refuse(refusal: RefusedError, request_id: str, send: Send) -> None:
    """Answer with a problem in JSON, as RFC 9457 has it."""
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(refusal.status).phrase,
        "status": refusal.status,
        "detail": refusal.detail,
        "request_id": request_id,
    }
    body = json.dumps(problem).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        *refusal.headers,
        *([(b"connection", b"close")] if refusal.close else []),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, f"a body of up to {most:,} bytes", close=True)


def _too_often(wait: float, detail: str) -> RefusedError:
    seconds = str(max(1, math.ceil(wait))).encode()
    return RefusedError(429, f"{detail}; wait {seconds.decode()} s", ((b"retry-after", seconds),))


def _client(scope: Scope) -> str:
    """Return who a client is to be counted as: of IPv6 its network, as everybody has addresses without number."""
    host = str((scope.get("client") or ("-",))[0])
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address), 64), strict=False).network_address)
    return host


def _refuse_other_sites(head: Head) -> None:
    """Without keys, a page in a browser on this machine must not get in, by its own name for it neither."""
    host = head.values.get(b"host", b"").decode("latin-1")
    origin = head.values.get(b"origin")
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if not is_loopback(name.strip("[]")):
        raise RefusedError(
            403, "without keys only this machine is answered, called localhost or by its address"
        )
    if origin is not None and origin.decode("latin-1").partition("://")[2] != host:
        raise RefusedError(403, "without keys no other site is answered")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine for sure.

    Examples
    --------
    >>> [is_loopback(one) for one in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "example.com", "")]
    [True, True, True, False, False, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(host: str, *, has_keys: bool, tls: bool) -> str | None:
    """Refuse to open an unguarded service to others; return a warning where it is guarded, but can be listened to.

    Raises
    ------
    InputError
        Others can reach the address and there is no key.

    Examples
    --------
    >>> check_exposure("127.0.0.1", has_keys=False, tls=False)
    >>> check_exposure("0.0.0.0", has_keys=False, tls=True)
    Traceback (most recent call last):
        ...
    vermilion.errors.InputError: --host: expected keys where others can reach the service, found '0.0.0.0' and no ...
    """
    if is_loopback(host):
        return None
    if not has_keys:
        raise InputError(
            "keys where others can reach the service",
            f"{host!r} and no key",
            "--host",
            "make one first: vermilion keys create --label NAME --scope classify; or listen on 127.0.0.1",
        )
    if not tls:
        return f"{host} without TLS: keys and texts can be read on the way; put a proxy with TLS before it"
    return None

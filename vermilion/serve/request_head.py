"""The head of a request, read once: what the guard needs of its headers, within bounds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

Headers = Sequence[tuple[bytes, bytes]]

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# What other services take keys by; one that comes this way lies in logs and histories from now on.
_KEY_IN_URL = re.compile(rb"vk_[a-z2-7]{8}_|(?:^|[&;])(?:api_?key|access_token|auth|token)=", re.IGNORECASE)
_ONLY_ONCE = {b"authorization", b"content-length", b"content-type", b"host"}
_WANTED = {
    *_ONLY_ONCE,
    *(b"content-encoding", b"transfer-encoding", b"x-request-id", b"x-api-key", b"origin"),
}


@dataclass(eq=False)
class RefusedError(Exception):
    """Why a request is not let in.

    Attributes
    ----------
    status : int
    detail : str
        One line for the client. Nothing of what came is repeated in it.
    headers : tuple of (bytes, bytes)
    close : bool
        Whether the connection is closed, as the rest of the body is not wanted.
    """

    status: int
    detail: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    close: bool = False


@dataclass(slots=True)
class Head:
    """What the guard knows of a request's headers."""

    values: dict[bytes, bytes] = field(repr=False)
    doubled: bytes | None
    count: int
    size: int

    @classmethod
    def read(cls, headers: Headers) -> Head:
        """Read the headers, whose names are in lower case."""
        values: dict[bytes, bytes] = {}
        doubled, size = None, 0
        for name, value in headers:
            size += len(name) + len(value)
            if name in _WANTED:
                if name in values and name in _ONLY_ONCE:
                    doubled = name
                values[name] = value
        return cls(values, doubled, len(headers), size)

    @property
    def request_id(self) -> str | None:
        """The id that the client gave, where it is one that may stand in a log."""
        given = self.values.get(b"x-request-id")
        return given.decode() if given is not None and _ID.fullmatch(given) else None

    @property
    def token(self) -> str | None:
        """The token after `Bearer`, or None where none came.

        Raises
        ------
        RefusedError
            A key came by another way.
        """
        given = self.values.get(b"authorization")
        if given is None:
            if b"x-api-key" in self.values:
                raise RefusedError(401, "send the key as Authorization: Bearer, not as X-API-Key", CHALLENGE)
            return None
        kind, _, token = given.partition(b" ")
        if kind.lower() != b"bearer":
            raise RefusedError(401, "send the key as Authorization: Bearer, by no other scheme", CHALLENGE)
        return token.strip(b" ").decode("latin-1")

    @property
    def length(self) -> int | None:
        """The length of the body: 0 where there is none, None where it is not told before.

        Raises
        ------
        RefusedError
            The length is not a number, or told in two ways.
        """
        told, chunked = self.values.get(b"content-length"), b"transfer-encoding" in self.values
        if told is None:
            return None if chunked else 0
        if chunked or not (told.isdigit() and len(told) <= 18):
            raise RefusedError(400, "the length of the body is not told in one way", close=True)
        return int(told)

    def refuse_strange(self, most_headers: int, most_bytes: int) -> None:
        """Refuse more headers than anybody needs, and those given twice that may mean one thing only."""
        if self.count > most_headers or self.size > most_bytes:
            detail = f"up to {most_headers} headers of {most_bytes:,} bytes together"
            raise RefusedError(431, detail, close=True)
        if self.doubled is not None:
            raise RefusedError(400, f"one header {self.doubled.decode()}, not several", close=True)


CHALLENGE = ((b"www-authenticate", b'Bearer realm="vermilion"'),)
WRONG_KEY = ((b"www-authenticate", b'Bearer realm="vermilion", error="invalid_token"'),)


def refuse_key_in_url(query: bytes, path: bytes = b"") -> None:
    """Refuse a request with a key in its address, whether it is a good one or not.

    Raises
    ------
    RefusedError
    """
    if (query and _KEY_IN_URL.search(query)) or b"vk_" in path:
        raise RefusedError(
            400,
            "a key came in the URL, where logs and histories keep it: revoke it, and send the new one as "
            "Authorization: Bearer",
        )

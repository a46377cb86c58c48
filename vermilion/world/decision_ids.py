"""Ids of decisions: they carry their time and a signature, so that one that was never given out is known as such."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from datetime import UTC, datetime

from vermilion.errors import UnknownDecisionError

FORM = re.compile(r"d[a-z2-7]{32}")
_TIME, _RANDOM, _SIGNATURE = 6, 6, 8


class DecisionIds:
    """Gives out ids and knows them again, without keeping any.

    Parameters
    ----------
    secret : bytes
        What they are signed with.

    Examples
    --------
    >>> ids = DecisionIds(b"of this service")
    >>> found = ids.new(at=1_795_348_800)
    >>> len(found), ids.made_at(found).isoformat()
    (33, '2026-11-22T12:00:00+00:00')
    >>> ids.made_at(DecisionIds(b"of another").new())
    Traceback (most recent call last):
        ...
    vermilion.errors.UnknownDecisionError: decision: expected an id that this service gave out ...
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def new(self, at: float | None = None) -> str:
        """Return an id nobody has, of a time in seconds since 1970, or of now."""
        milliseconds = int((time.time() if at is None else at) * 1000)
        body = milliseconds.to_bytes(_TIME) + secrets.token_bytes(_RANDOM)
        return "d" + base64.b32encode(body + self._sign(body)).decode().lower()

    def made_at(self, decision: str) -> datetime:
        """Return when an id was given out.

        Raises
        ------
        UnknownDecisionError
            It was not given out by who has this secret.
        """
        if FORM.fullmatch(decision):
            packed = base64.b32decode(decision[1:].upper())
            body, signature = packed[:-_SIGNATURE], packed[-_SIGNATURE:]
            if hmac.compare_digest(signature, self._sign(body)):
                return datetime.fromtimestamp(int.from_bytes(body[:_TIME]) / 1000, UTC)
        raise UnknownDecisionError(
            f"decision: expected an id that this service gave out with an answer, found {decision[:40]!r}; "
            "send the id as it came"
        )

    def _sign(self, body: bytes) -> bytes:
        return hashlib.blake2b(body, key=self._secret, digest_size=_SIGNATURE).digest()

"""API keys: 256 random bits shown once, of which only the SHA-256 is kept; what each may do and until when."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from vermilion.errors import InputError
from vermilion.world import audit_log, keys_schema
from vermilion.world.database import Database, now
from vermilion.world.home import Home
from vermilion.world.keys_schema import generations, keys

SCOPES = {
    "classify": "have texts classified",
    "feedback": "tell the right label of what was answered",
    "models": "see which versions there are",
    "metrics": "read the service's figures",
    "admin": "promote, roll back, start and stop rollouts",
}
# Told in a leak scanner's terms: `vk_`, 8 characters that name the key, 43 that are the secret.
TOKEN = re.compile(r"vk_([a-z2-7]{8})_([A-Za-z0-9_-]{43})")
LABEL = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
SECRET_BYTES = 32
LONGEST_GRACE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Key:
    """What may be known of a key: everything but its secret.

    Attributes
    ----------
    id : str
        Names the key in lists, logs and records; it opens nothing.
    rate : float or None
        Requests a second, where the key has a limit of its own.
    old_until : str or None
        Until when the secret before the last rotation opens, too.
    used_at : str or None
        When it was last used, to the hour.
    """

    id: str
    label: str
    scopes: frozenset[str]
    rate: float | None
    created_at: str
    created_by: str
    expires_at: str | None
    revoked_at: str | None
    old_until: str | None = None
    used_at: str | None = None

    def state(self, at: str) -> str:
        """Return `active`, `expired` or `revoked`, at a time as `now()` gives it."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= at else "active"


@dataclass(frozen=True, slots=True)
class Lock:
    """A key with the hashes of what opens it; these stay out of every `repr`."""

    key: Key
    hash: bytes = field(repr=False)
    old_hash: bytes | None = field(repr=False)

    @property
    def timed(self) -> bool:
        """Whether it depends on the time what opens the key."""
        return self.key.expires_at is not None or self.old_hash is not None

    def opens(self, token_hash: bytes, at: str) -> bool:
        """Tell whether a secret with this hash opens the key at a time; as fast for a wrong one as for a right."""
        fits = hmac.compare_digest(self.hash, token_hash)
        old = hmac.compare_digest(self.old_hash or b"\0" * len(token_hash), token_hash)
        graceful = self.key.old_until is not None and at < self.key.old_until
        return (fits or (old and self.old_hash is not None and graceful)) and self.key.state(at) == "active"


def hash_token(token: str) -> bytes:
    """Return what is kept of a token. A slow hash would gain nothing: nobody guesses 256 random bits."""
    return hashlib.sha256(token.encode()).digest()


def id_of(token: str) -> str | None:
    """Return the key's id in a token, or None where it has not a token's form.

    Examples
    --------
    >>> id_of("vk_abcdefgh_" + "x" * 43), id_of("vk_short"), id_of("sk-" + "x" * 43)
    ('abcdefgh', None, None)
    """
    found = TOKEN.fullmatch(token)
    return found[1] if found else None


class Keys:
    """The keys of a service. Safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, home: Home) -> Keys:
        """Open the home's database; `StoreError` where that cannot be done."""
        database = Database.open(home.database, keys_schema.SCHEMA)
        audit_log.prepare(database)
        return cls(database)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def create(
        self,
        label: str,
        scopes: Collection[str],
        *,
        rate: float | None = None,
        expires: timedelta | None = None,
        by: str,
    ) -> tuple[Key, str]:
        """Make a key; return it with its token, which nobody can show again.

        Parameters
        ----------
        label : str
            What it is for, in up to 100 characters.
        scopes : collection of str
            Of `SCOPES`, one at least.
        rate : float, optional
            Requests a second; else the service's own limit.
        expires : timedelta, optional
            How long it opens; else until it is revoked.
        by : str
            Who made it.

        Raises
        ------
        InputError
        """
        _check(label, scopes, rate, expires)
        made = datetime.now(UTC)
        key_id = base64.b32encode(secrets.token_bytes(5)).decode().lower()
        token = _token(key_id)
        row = {
            "id": key_id,
            "label": label,
            "scopes": " ".join(sorted(set(scopes))),
            "hash": hash_token(token).hex(),
            "rate": rate,
            "created_at": _text(made),
            "created_by": by,
            "expires_at": None if expires is None else _text(made + expires),
        }
        with self._database.write() as connection:
            connection.execute(sa.insert(keys).values(row))
            told = {name: row[name] for name in ("label", "scopes", "rate", "expires_at")}
            _changed(connection, by, "create key", key_id, told)
        return self._get(key_id), token

    def revoke(self, key_id: str, *, by: str) -> Key:
        """Make a key open nothing from now on, its older secret neither. Doing it twice changes nothing.

        Raises
        ------
        InputError
            There is no such key.
        """
        with self._database.write() as connection:
            before = _read(connection, key_id).key
            if before.revoked_at is None:
                ended = {"revoked_at": now(), "old_hash": None, "old_until": None}
                connection.execute(sa.update(keys).where(keys.c.id == key_id).values(ended))
                _changed(connection, by, "revoke key", key_id, {"label": before.label})
        return self._get(key_id)

    def rotate(self, key_id: str, *, grace: timedelta, by: str) -> tuple[Key, str]:
        """Give a key a new secret; the one before opens for the time of grace, one still older no more.

        Raises
        ------
        InputError
            There is no such key, it is revoked or has expired, or the grace is beyond 90 days.
        """
        if not timedelta(0) <= grace <= LONGEST_GRACE:
            raise InputError("a time from 0 to 90 days", str(grace), "--grace", "give another")
        token, at = _token(key_id), datetime.now(UTC)
        with self._database.write() as connection:
            before = _read(connection, key_id)
            if (state := before.key.state(_text(at))) != "active":
                raise InputError("a key in use", f"{key_id}, which is {state}", "the key", "create a new one")
            changed = {
                "hash": hash_token(token).hex(),
                "old_hash": before.hash.hex() if grace else None,
                "old_until": _text(at + grace) if grace else None,
            }
            connection.execute(sa.update(keys).where(keys.c.id == key_id).values(changed))
            told = {"label": before.key.label, "old_until": changed["old_until"]}
            _changed(connection, by, "rotate key", key_id, told)
        return self._get(key_id), token

    def all(self) -> list[Key]:
        """Return all keys, oldest first, those that open nothing any more included."""
        return [lock.key for lock in self.locks()]

    def locks(self) -> list[Lock]:
        """Return all keys with their hashes, for a copy in memory."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(keys).order_by(keys.c.created_at, keys.c.id)).mappings().all()
        return [_lock(row) for row in rows]

    def find(self, token: str) -> Key | None:
        """Return the key that a token opens now, or None."""
        key_id = id_of(token)
        if key_id is None:
            return None
        with self._database.read() as connection:
            row = connection.execute(sa.select(keys).where(keys.c.id == key_id)).mappings().first()
        if row is None:
            return None
        lock = _lock(row)
        return lock.key if lock.opens(hash_token(token), now()) else None

    def generation(self) -> int:
        """Return a number that each change raises."""
        with self._database.read() as connection:
            return int(connection.scalar(sa.select(generations.c.generation)) or 0)

    def note_used(self, key_ids: Iterable[str]) -> None:
        """Write down that keys are in use, to the hour: a write a key and hour at most."""
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        earlier = keys.c.used_at.is_(None) | (keys.c.used_at < _text(hour))
        with self._database.write() as connection:
            for key_id in key_ids:
                connection.execute(
                    sa.update(keys).where((keys.c.id == key_id) & earlier).values(used_at=_text(hour))
                )

    def _get(self, key_id: str) -> Key:
        with self._database.read() as connection:
            return _read(connection, key_id).key


def _changed(
    connection: sa.Connection, by: str, action: str, key_id: str, details: Mapping[str, Any]
) -> None:
    """Have all copies of the keys brought up to date, and tell the audit log; the last thing in a transaction."""
    connection.execute(sa.update(generations).values(generation=generations.c.generation + 1))
    audit_log.append_log(connection, by, action, f"key {key_id}", details)


def _read(connection: sa.Connection, key_id: str) -> Lock:
    row = connection.execute(sa.select(keys).where(keys.c.id == key_id)).mappings().first()
    if row is None:
        raise InputError(
            "the id of a key", repr(key_id[:40]), "the key", "see the ids with: vermilion keys list"
        )
    return _lock(row)


def _lock(row: sa.RowMapping) -> Lock:
    values: dict[str, Any] = dict(row)
    new, old = values.pop("hash"), values.pop("old_hash")
    key = Key(**{**values, "scopes": frozenset(values["scopes"].split())})
    return Lock(key, bytes.fromhex(new), bytes.fromhex(old) if old else None)


def _token(key_id: str) -> str:
    return f"vk_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _check(label: str, scopes: Collection[str], rate: float | None, expires: timedelta | None) -> None:
    if not LABEL.fullmatch(label) or not label.strip():
        raise InputError(
            "what the key is for, in 1 to 100 characters", repr(label[:120]), "--label", "give another"
        )
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        found = ", ".join(map(repr, unknown)) or "none"
        raise InputError(f"one or more of {', '.join(SCOPES)}", found, "--scope", "give it once for each")
    if rate is not None and not (0 < rate <= 1e6 and math.isfinite(rate)):
        raise InputError("requests a second, above 0", str(rate), "--rate", "give another value")
    if expires is not None and not timedelta(0) < expires <= timedelta(days=36_500):
        raise InputError(
            "a time from now, up to 36500 days", str(expires), "--expires", "give another, as 90d"
        )

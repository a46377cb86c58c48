"""Moves of an alias, each within one transaction: the pointer, the way back, the generation and the log together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sqlalchemy as sa

from vermilion.errors import ConflictError, InputError, StoreError
from vermilion.world.audit_log import append_log, read_log
from vermilion.world.registry_names import CHAMPION, Reference, check_alias, check_line, check_name
from vermilion.world.registry_rows import Version, VersionRows, lock
from vermilion.world.registry_schema import aliases, names, ways

PROMOTE, ROLLBACK, DROP = "promote", "rollback", "drop alias"
MOVES = (PROMOTE, ROLLBACK, DROP)


@dataclass(frozen=True, slots=True)
class Moved:
    """Where an alias pointed before and points now.

    Attributes
    ----------
    name, alias : str
    before, after : Version or None
        None is nowhere; equal where there was nothing to move.
    generation : int
        Of the name, after the move.
    """

    name: str
    alias: str
    before: Version | None
    after: Version | None
    generation: int


@dataclass(frozen=True, slots=True)
class Move:
    """What somebody asks for: which alias, who, why, and where it must point now.

    Raises
    ------
    InputError
        A word cannot be used, or `expected` is no version of this name.
    """

    name: str
    alias: str
    by: str
    why: str
    expected: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        check_alias(self.alias)
        check_line(self.by, "by", least=1)
        check_line(self.why, "why")
        if self.expected is not None:
            self.own(self.expected)

    def own(self, reference: str) -> Reference:
        """Read a reference to a version of this name."""
        found = Reference.parse(reference)
        if found.name != self.name:
            raise InputError(
                f"a version of {self.name}", reference, "reference", f"name one, as {self.name}@3"
            )
        return found

    def __str__(self) -> str:
        return f"{self.name}@{self.alias}"


def promote(connection: sa.Connection, rows: VersionRows, move: Move, reference: Reference) -> Moved:
    """Point an alias to a version; to where it points already is no move.

    Raises
    ------
    ConflictError
        It points elsewhere than expected.
    InputError
        There is no such version.
    """
    generation = lock(connection, move.name)
    after = rows.find(connection, reference)
    before = _current(connection, rows, move)
    if before is not None and before.number == after.number:
        return Moved(move.name, move.alias, before, after, generation)
    mine = (ways.c.name == move.name) & (ways.c.alias == move.alias)
    depth = connection.scalar(sa.select(sa.func.max(ways.c.depth)).where(mine)) or 0
    row = {"name": move.name, "alias": move.alias, "depth": depth + 1, "number": after.number}
    connection.execute(sa.insert(ways).values(**row))
    return _point(connection, PROMOTE, move, Moved(move.name, move.alias, before, after, generation))


def rollback(connection: sa.Connection, rows: VersionRows, move: Move) -> Moved:
    """Point an alias back to what it pointed to before, and forget what it points to now: twice goes two back.

    Raises
    ------
    ConflictError
        It points elsewhere than expected.
    InputError
        It points nowhere, or there is nothing before.
    """
    generation = lock(connection, move.name)
    before = _current(connection, rows, move)
    if before is None:
        raise rows.unknown(connection, Reference(move.name, alias=move.alias))
    mine = (ways.c.name == move.name) & (ways.c.alias == move.alias)
    # A version that was removed since may have left the same one twice in a row.
    others = sa.select(ways).where(mine, ways.c.number != before.number).order_by(ways.c.depth.desc())
    last = connection.execute(others.limit(1)).mappings().first()
    if last is None:
        found = f"only version {before.number}"
        raise InputError("a version to go back to", found, str(move), "promote another version")
    connection.execute(sa.delete(ways).where(mine, ways.c.depth > last["depth"]))
    after = rows.find(connection, Reference(move.name, number=last["number"]))
    return _point(connection, ROLLBACK, move, Moved(move.name, move.alias, before, after, generation))


def drop(connection: sa.Connection, rows: VersionRows, move: Move) -> Moved:
    """Take an alias away, with its way back.

    Raises
    ------
    ConflictError
        It points elsewhere than expected.
    InputError
        There is none, or it is the champion, which requests go to.
    """
    if move.alias == CHAMPION:
        raise InputError(f"an alias other than {CHAMPION}", CHAMPION, move.name, "promote another version")
    generation = lock(connection, move.name)
    before = _current(connection, rows, move)
    if before is None:
        raise rows.unknown(connection, Reference(move.name, alias=move.alias))
    for table in (ways, aliases):
        connection.execute(sa.delete(table).where(table.c.name == move.name, table.c.alias == move.alias))
    return _tell(connection, DROP, move, Moved(move.name, move.alias, before, None, generation))[0]


def _current(connection: sa.Connection, rows: VersionRows, move: Move) -> Version | None:
    """Return where the alias points; refuse where that is not where it is expected to."""
    now = rows.current(connection, move.name, move.alias)
    if move.expected is None:
        return now
    expected = rows.find(connection, move.own(move.expected))
    if now is None or now.number != expected.number:
        found = "no version" if now is None else f"version {now.number}"
        raise ConflictError(
            f"{move}: expected version {expected.number}, found {found}; somebody moved it meanwhile, look at"
            f" `vermilion models log {move.name}` and decide again"
        )
    return now


def _point(connection: sa.Connection, action: str, move: Move, moved: Moved) -> Moved:
    """Tell of the move and make it."""
    assert moved.after is not None
    key = (aliases.c.name == move.name) & (aliases.c.alias == move.alias)
    connection.execute(sa.delete(aliases).where(key))
    told, entry = _tell(connection, action, move, moved)
    row = {"name": move.name, "alias": move.alias, "number": moved.after.number, "entry": entry}
    connection.execute(sa.insert(aliases).values(**row))
    return told


def _tell(connection: sa.Connection, action: str, move: Move, moved: Moved) -> tuple[Moved, int]:
    """Raise the generation and write the log; return the move as made and the entry's number."""
    generation = moved.generation + 1
    connection.execute(sa.update(names).where(names.c.name == move.name).values(generation=generation))
    details = {
        "from": moved.before and moved.before.number,
        "to": moved.after and moved.after.number,
        "digest": moved.after and moved.after.digest,
        "why": move.why,
    }
    head = append_log(connection, move.by, action, str(move), details)
    return replace(moved, generation=generation), head.number


def verify_aliases(connection: sa.Connection) -> None:
    """Check that each alias points to where the log says; the log itself must be whole.

    Raises
    ------
    StoreError
        One was moved untold.
    """
    said: dict[str, tuple[int, int | None]] = {}
    for entry in read_log(connection):
        if entry.action in MOVES:
            said[entry.subject] = (entry.number, entry.details["to"])
    said = {subject: told for subject, told in said.items() if told[1] is not None}
    found = {
        f"{row.name}@{row.alias}": (row.entry, row.number) for row in connection.execute(sa.select(aliases))
    }
    for subject in sorted(said.keys() | found.keys()):
        if said.get(subject) != found.get(subject):
            told = "nowhere" if subject not in said else f"to version {said[subject][1]}"
            points = "nowhere" if subject not in found else f"to version {found[subject][1]}"
            raise StoreError(
                f"the audit log: {subject} points {points}, but by the log {told}; somebody wrote to the database"
                " by other means, compare it with a copy"
            )

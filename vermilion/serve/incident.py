"""What is needed to look into an incident afterwards, as one folder: what was decided, by what, and what changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from vermilion.errors import InputError, StoreError
from vermilion.serve.incident_counts import Counts, name_of
from vermilion.serve.journal_reading import Damage, read
from vermilion.world.data_writer import json_lines, replacing
from vermilion.world.database import now
from vermilion.world.feedback import Feedback
from vermilion.world.home import Home
from vermilion.world.keys import Keys
from vermilion.world.registry import Registry
from vermilion.world.rollouts import Rollouts


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, and the one before it that it is compared with."""

    start: datetime
    end: datetime
    before: timedelta

    def __post_init__(self) -> None:
        if self.start >= self.end:
            found = f"{self.start.isoformat()} and {self.end.isoformat()}"
            raise InputError("a start before its end", found, "--from and --to", "give other times")


@dataclass(frozen=True, slots=True)
class Incident:
    """What an export found.

    Attributes
    ----------
    during, before : Counts
    versions, rollouts, events : list of mappings
        Versions that answered; rollouts that ran; entries of the audit log.
    chain : str
        What is wrong with the audit log; empty where nothing is.
    damage : Damage
        Lines of the journal that could not be read.
    """

    window: Window
    during: Counts
    before: Counts
    versions: list[dict[str, Any]]
    rollouts: list[dict[str, Any]]
    events: list[dict[str, Any]]
    chain: str
    damage: Damage

    def figures(self) -> dict[str, Any]:
        """Return the figures as plain JSON."""
        window = self.window
        return {
            "from": window.start.isoformat(),
            "to": window.end.isoformat(),
            "compared_from": (window.start - window.before).isoformat(),
            "exported_at": now(),
            "during": self.during.figures(),
            "before": self.before.figures(),
            "audit_log": self.chain or "whole",
            "damaged_lines": {"count": self.damage.lines, "first": self.damage.first},
        }


def export(home: Home, window: Window, out: Path, render: Callable[[Incident], str]) -> Incident:
    """Write the folder of an incident, whole or not at all; memory does not grow with the decisions in it.

    Parameters
    ----------
    home : Home
    window : Window
    out : Path
        A folder that does not exist yet.
    render : callable
        Makes the page.

    Raises
    ------
    InputError
        The folder exists, or cannot be made.
    """
    if out.exists():
        raise InputError(
            "a folder that does not exist yet", "one that does", str(out), "name another with --out"
        )
    fresh = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        fresh.mkdir(mode=0o700)
    except OSError as error:
        raise InputError(
            "a place for the folder", error.strerror or "an error", str(out), "name another"
        ) from None
    try:
        incident = _gather(home, window, fresh)
        _write(fresh / "summary.json", [_pretty(incident.figures())])
        for name in ("versions", "rollouts"):
            _write(fresh / f"{name}.json", [_pretty(getattr(incident, name))])
        _write(fresh / "audit_log.jsonl", json_lines(incident.events))
        _write(fresh / "index.html", [render(incident)])
        _write(fresh / "manifest.json", [_pretty(manifest(fresh))])
        fresh.rename(out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return incident


def manifest(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a folder, the manifest's own left out."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name != "manifest.json":
            with path.open("rb") as stream:
                found[path.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def _gather(home: Home, window: Window, folder: Path) -> Incident:
    since, damage = window.start - window.before, Damage()
    right = _right_labels(home, since, window.end, folder)
    before = _count(read(home.decisions, since, window.start, damage), right, window.before)
    answered: dict[str, str] = {}
    records = _noted(read(home.decisions, window.start, window.end, damage), answered)
    during = Counts((window.end - window.start).total_seconds())
    _write(folder / "decisions.jsonl", json_lines(_counted(records, right, during)))
    events, chain = _audit(home, window)
    with Keys.open(home) as keys:
        _write(folder / "keys.jsonl", json_lines(_plain(asdict(key)) for key in keys.all()))
    return Incident(
        window, during, before, _versions(home, answered), _rollouts(home, window), events, chain, damage
    )


def _right_labels(home: Home, start: datetime, end: datetime, folder: Path) -> dict[str, str]:
    """Return what feedback says of decisions of a time, the last word of all keys; and write it down."""
    right: dict[str, str] = {}

    def told() -> Iterator[dict[str, Any]]:
        with Feedback.open(home) as feedback:
            for row in feedback.since():
                if start <= feedback.ids.made_at(row.decision) < end:
                    right[row.decision] = name_of(row.labels)
                    yield _plain(asdict(row))

    _write(folder / "feedback.jsonl", json_lines(told()))
    return right


def _count(records: Iterable[Mapping[str, Any]], right: Mapping[str, str], lasts: timedelta) -> Counts:
    counts = Counts(lasts.total_seconds())
    for _ in _counted(records, right, counts):
        pass
    return counts


def _counted(
    records: Iterable[Mapping[str, Any]], right: Mapping[str, str], counts: Counts
) -> Iterator[Mapping[str, Any]]:
    for record in records:
        counts.add(record, right.get(str(record.get("id"))))
        yield record


def _noted(records: Iterable[Mapping[str, Any]], answered: dict[str, str]) -> Iterator[Mapping[str, Any]]:
    """Yield the records, and note which versions have answered: name by digest."""
    for record in records:
        answered[str(record.get("digest"))] = str(record.get("name"))
        yield record


def _versions(home: Home, answered: Mapping[str, str]) -> list[dict[str, Any]]:
    with Registry.open(home) as registry:
        known = [asdict(one) for one in registry.versions() if one.digest in answered]
    found = [_plain(one) for one in known]
    others = set(answered) - {str(one["digest"]) for one in known}
    return found + [
        {"name": answered[digest], "digest": digest, "registry": "unknown"} for digest in sorted(others)
    ]


def _rollouts(home: Home, window: Window) -> list[dict[str, Any]]:
    """Return the rollouts that ran within the window, with what happened to each."""
    start, end = _text(window.start), _text(window.end)
    with Rollouts.open(home) as rollouts:
        return [
            _plain(asdict(one)) | {"events": [_plain(asdict(event)) for event in rollouts.events(one.id)]}
            for one in rollouts.history()
            if one.started_at < end and (not one.ended_at or one.ended_at >= start)
        ]


def _audit(home: Home, window: Window) -> tuple[list[dict[str, Any]], str]:
    """Return the entries of the window and the time before it, and what is wrong with the log, if anything."""
    start, end = _text(window.start - window.before), _text(window.end)
    with Registry.open(home) as registry:
        events = [_plain(asdict(entry)) for entry in registry.log() if start <= entry.at < end]
        try:
            registry.verify_log()
        except StoreError as error:
            return events, str(error)
    return events, ""


def _write(path: Path, pieces: Iterable[str]) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        temporary.chmod(0o600)
        stream.writelines(pieces)


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value as plain JSON: sets in order, paths and the like as text."""
    found: dict[str, Any] = json.loads(json.dumps(value, default=_as_json))
    return found


def _as_json(value: Any) -> Any:
    return (
        sorted(value)
        if isinstance(value, set | frozenset)
        else dict(value)
        if isinstance(value, Mapping)
        else str(value)
    )


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")

"""What is different between two versions: labels, encoder, head, metrics, rules, size."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vermilion.errors import ModelError
from vermilion.world.models import DESCRIPTION
from vermilion.world.registry_rows import Version
from vermilion.world.version_contents import RULES

# Parts of a model's description that are one line each; labels are compared by themselves.
_PARTS = ("task", "encoder", "head", "temperature", "calibration", "out_of_scope", "decision")
_FACTS = ("training", "code", "certificate", "bytes")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs, as "head.params.C"; None where a version does not have it."""

    what: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class LabelChanges:
    """Labels that differ, by name.

    Attributes
    ----------
    added, removed : tuple of str
    renamed : tuple of (str, str)
        Old and new name; the same meaning, or the same letters and digits.
    changed : tuple of str
        Of the same name, with another meaning or parent.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diff:
    """All that differs between two versions.

    Attributes
    ----------
    old, new : str
        As NAME@3.
    changes : tuple of Change
    labels : LabelChanges
    rules : tuple of str
        A unified diff of the rules' text, by lines.
    """

    old: str
    new: str
    changes: tuple[Change, ...]
    labels: LabelChanges
    rules: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)


def diff_versions(old: Version, new: Version) -> Diff:
    """Compare two versions, whose folders are whole.

    Raises
    ------
    ModelError
        A file is gone.
    """
    one, other = _described(old), _described(new)
    return Diff(
        str(old),
        str(new),
        _changes(_flat(one), _flat(other)),
        label_changes(one["labels"], other["labels"]),
        _rules_diff(old, new),
    )


def label_changes(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> LabelChanges:
    """Compare two lists of labels, each with name, meaning and parent.

    Examples
    --------
    >>> label_changes([{"name": "refund"}, {"name": "fee"}], [{"name": "Refund"}, {"name": "loss"}])
    LabelChanges(added=('loss',), removed=('fee',), renamed=(('refund', 'Refund'),), changed=())
    """
    before, after = ({label["name"]: label for label in labels} for labels in (old, new))
    removed = [name for name in before if name not in after]
    added = [name for name in after if name not in before]
    renamed: list[tuple[str, str]] = []
    for name in removed:
        heir = next((one for one in added if _same(before[name], after[one])), None)
        if heir is not None:
            added.remove(heir)
            renamed.append((name, heir))
    gone = {name for name, _ in renamed}
    return LabelChanges(
        tuple(added),
        tuple(name for name in removed if name not in gone),
        tuple(renamed),
        tuple(name for name in before if name in after and before[name] != after[name]),
    )


def _same(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether two labels of different names are one label."""
    names = [[letter for letter in label["name"].casefold() if letter.isalnum()] for label in (old, new)]
    meant = old.get("meaning") and old.get("meaning") == new.get("meaning")
    return bool(meant) or (names[0] == names[1] != [])


def _described(version: Version) -> dict[str, Any]:
    """Return what is compared of a version: parts of its description and what was noted of it."""
    try:
        description = json.loads((version.folder / DESCRIPTION).read_bytes())
    except OSError as error:
        raise ModelError(
            f"{version.folder / DESCRIPTION}: cannot be read ({error.strerror}); see `vermilion models verify`"
        ) from None
    told = {name: description[name] for name in _PARTS if name in description}
    noted = {name: version.metadata.get(name) for name in _FACTS}
    metrics = version.metadata.get("metrics", {})
    return {**told, "labels": description["labels"], "metrics": metrics, **noted}


def _flat(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return single values by dotted names; labels are counted."""
    flat: dict[str, Any] = {"labels": len(described["labels"])}
    waiting = [(name, value) for name, value in described.items() if name != "labels"]
    for name, value in waiting:
        if isinstance(value, Mapping) and value:
            waiting += [(f"{name}.{inner}", part) for inner, part in value.items()]
        else:
            flat[name] = value
    return flat


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    names = [*old, *(name for name in new if name not in old)]
    found = (Change(name, old.get(name), new.get(name)) for name in names)
    return tuple(change for change in found if change.old != change.new)


def _rules_diff(old: Version, new: Version) -> tuple[str, ...]:
    before, after = _lines(old.folder / RULES), _lines(new.folder / RULES)
    return tuple(difflib.unified_diff(before, after, f"{old}/{RULES}", f"{new}/{RULES}", lineterm=""))


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

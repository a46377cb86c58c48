"""Changes of labels carried out on what a finished run knows: names, texts and answers in, the same out."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from vermilion.errors import InputError
from vermilion.red.carried import Carried, Known
from vermilion.types import Label, Texts
from vermilion.world.data import name_fault
from vermilion.world.label_changes import Changes, Named, NewLabel
from vermilion.world.labels import check_names
from vermilion.world.source import shown


@dataclass(frozen=True, slots=True)
class Ended:
    """What a finished run worked on and has come to know.

    Attributes
    ----------
    labels : tuple of Label
        With the meanings that it used.
    labelled : Texts
    known : tuple of Known
    decisions : str
        File name of its decisions.
    """

    labels: tuple[Label, ...]
    labelled: Texts
    known: tuple[Known, ...]
    decisions: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types for the store."""
        return {
            "labels": labels_as_json(self.labels),
            "labelled": texts_as_json(self.labelled),
            "known": Carried(self.known).as_json()["known"],
            "decisions": self.decisions,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Restore what `as_json` gave."""
        carried = Carried.from_json({**Carried().as_json(), "known": value["known"]})
        labels, labelled = labels_from_json(value["labels"]), texts_from_json(value["labelled"])
        return cls(labels, labelled, carried.known, value["decisions"])


@dataclass(frozen=True, slots=True)
class Pool:
    """A run's pool as its decisions tell of it.

    Attributes
    ----------
    text_of : mapping of id to text
    decided : mapping of text to label
    """

    text_of: Mapping[str, str]
    decided: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Relabelled:
    """What a run with changed labels begins with.

    Attributes
    ----------
    labels : tuple of Label
    labelled : Texts
    carried : Carried
    names : mapping of old to new name
        Of labels that were renamed or merged.
    """

    labels: tuple[Label, ...]
    labelled: Texts
    carried: Carried
    names: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types for the store."""
        return {
            "labels": labels_as_json(self.labels),
            "labelled": texts_as_json(self.labelled),
            "carried": self.carried.as_json(),
            "names": dict(self.names),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Restore what `as_json` gave."""
        return cls(
            labels_from_json(value["labels"]),
            texts_from_json(value["labelled"]),
            Carried.from_json(value["carried"]),
            value["names"],
        )


def labels_as_json(labels: tuple[Label, ...]) -> list[list[str | None]]:
    """Return labels as plain JSON types."""
    return [[label.name, label.meaning, label.parent] for label in labels]


def labels_from_json(value: list[list[Any]]) -> tuple[Label, ...]:
    """Restore labels."""
    return tuple(Label(*one) for one in value)


def texts_as_json(texts: Texts) -> list[list[str]]:
    """Return labelled texts, one label each, as plain JSON types."""
    labels = [row[0] for row in texts.labels or ()]
    return [list(row) for row in zip(texts.ids, texts.texts, labels, strict=True)]


def texts_from_json(value: list[list[str]]) -> Texts:
    """Restore labelled texts."""
    ids, texts, labels = zip(*value, strict=True)
    return Texts(tuple(ids), tuple(texts), tuple((label,) for label in labels), "the labelled texts")


def relabel(ended: Ended, changes: Changes, pool: Pool) -> Relabelled:
    """Carry changes out.

    Raises
    ------
    InputError
        A label or an id is unknown; a label would be changed twice, or a name given twice; a text is to have two
        labels; a label would be left without an example.
    """
    return _Relabelling(ended, changes, pool).result()


class _Relabelling:
    """The steps of `relabel`, which share what was read."""

    def __init__(self, ended: Ended, changes: Changes, pool: Pool) -> None:
        self.ended, self.changes, self.pool = ended, changes, pool
        self.before = {label.name: label for label in ended.labels}
        self.parents = _successors(self.before, changes)
        self.labelled_text = dict(zip(ended.labelled.ids, ended.labelled.texts, strict=True))

    def result(self) -> Relabelled:
        labels = self._labels()
        given = self._given()
        assigned = self._assigned({label.name for label in labels})
        labelled = self._labelled(given, assigned)
        _refuse_idle(labels, labelled, self.changes.where)
        names = {old: new[0] for old, new in self.parents.items() if len(new) == 1 and new[0] != old}
        return Relabelled(labels, labelled, self._carried(labels, assigned, given), names)

    def _labels(self) -> tuple[Label, ...]:
        """Return the labels there will be: those of before in their places, then the added ones."""
        made = _meanings(self.changes, self.before)
        found: dict[str, Label] = {}
        for old, names in self.parents.items():
            for name in names:
                whole = self.before.get(name, self.before[old])
                found.setdefault(name, replace(whole, name=name, meaning=made.get(name, whole.meaning)))
        for new in self.changes.add:
            found[new.name] = Label(new.name, new.meaning)
        labels = tuple(self._with_parent(label) for label in found.values())
        if len(labels) < 2:
            raise InputError(
                "two labels or more", f"{len(labels)} left", self.changes.where, "keep another label"
            )
        check_names([label.name for label in labels], self.changes.where)
        return labels

    def _with_parent(self, label: Label) -> Label:
        """Return a label with its parent as that is called now; a parent may be a group, which is no label."""
        now = self.parents.get(label.parent or "", (label.parent,))
        return replace(label, parent=now[0] if len(now) == 1 else None)

    def _given(self) -> dict[str, str]:
        """Return the labelled texts with their label of before."""
        labelled = self.ended.labelled
        return {text: row[0] for text, row in zip(labelled.texts, labelled.labels or (), strict=True)}

    def _assigned(self, names: set[str]) -> dict[str, str]:
        """Return the texts that are given a label here."""
        found: dict[str, str] = {}
        for named, wanted in self._assignments():
            text = self._text(named)
            name = wanted if wanted in names else self._successor(wanted)
            if found.setdefault(text, name) != name:
                what = f"'{found[text]}' and '{name}' for {shown(text)}"
                raise InputError("one label for each text", what, self.changes.where, "settle which it is")
        return found

    def _assignments(self) -> Iterator[tuple[Named, str]]:
        new: list[NewLabel] = [*self.changes.add, *(part for one in self.changes.split for part in one.into)]
        for label in new:
            for example in label.examples:
                yield example, label.name
        for change in self.changes.relabel:
            yield change.text, change.to

    def _successor(self, name: str) -> str:
        """Return what a label of before is called now, where it is one label still."""
        _refuse_unknown(name, self.before, self.changes.where)
        now = self.parents[name]
        if len(now) != 1:
            found = f"'{name}', which is no label afterwards"
            raise InputError("a label that there will be", found, self.changes.where, "name another")
        return now[0]

    def _text(self, named: Named) -> str:
        if named.where == "text":
            return named.value
        known = self.pool.text_of if named.where == "pool" else self.labelled_text
        other, elsewhere = (
            ("labelled", self.labelled_text) if named.where == "pool" else ("pool", self.pool.text_of)
        )
        if named.value in known:
            return known[named.value]
        cure = "check the id"
        if named.value in elsewhere:
            cure = f"write {{{other}: {named.value}}} if you mean the one of the {other} texts"
        whose = "the pool's" if named.where == "pool" else "the labelled texts'"
        raise InputError(f"one of {whose} ids", f"'{named.value}'", self.changes.where, cure)

    def _labelled(self, given: Mapping[str, str], assigned: Mapping[str, str]) -> Texts:
        """Return the labelled texts of now; those that had none keep the ids of the pool."""
        pool_id = {text: id_ for id_, text in self.pool.text_of.items()}
        rows: list[tuple[str, str, str]] = []
        for id_, text in zip(self.ended.labelled.ids, self.ended.labelled.texts, strict=True):
            names = (assigned[text],) if text in assigned else self.parents[given[text]]
            if len(names) == 1:  # one that was split or removed says nothing of this text any more
                rows.append((id_, text, names[0]))
        here, ids = {text for _, text, _ in rows}, {id_ for id_, _, _ in rows}
        for text, name in assigned.items():
            if text not in here:
                id_ = _free(pool_id.get(text, "new"), ids)
                ids.add(id_)
                rows.append((id_, text, name))
        return texts_from_json([list(row) for row in rows])

    def _carried(
        self, labels: tuple[Label, ...], assigned: Mapping[str, str], given: Mapping[str, str]
    ) -> Carried:
        added = tuple(new.name for new in self.changes.add)
        parts = tuple(part.name for one in self.changes.split for part in one.into)
        moved = [
            name
            for text, name in assigned.items()
            if text in given and (name,) != self.parents[given[text]]
            for name in (name, *self.parents[given[text]])
        ]
        fresh = bool(added or self.changes.remove)
        known = [_translated(one, self.parents, labels, fresh=fresh) for one in self.ended.known]
        gone = {name for name, now in self.parents.items() if len(now) != 1}
        return Carried(
            tuple(one for one in known if one is not None and one.text not in assigned),
            added,
            tuple(dict.fromkeys([*added, *parts, *moved])),
            tuple(text for text, name in self.pool.decided.items() if name in gone),
        )


def _translated(
    known: Known, now: Mapping[str, tuple[str, ...]], labels: tuple[Label, ...], *, fresh: bool
) -> Known | None:
    """Return what an answer says under the labels of now; None where it says nothing any more."""
    out = set(known.ruled_out)
    old_of: dict[str, set[str]] = {}
    for old, names in now.items():
        for name in names:
            old_of.setdefault(name, set()).add(old)
    ruled_out = [label.name for label in labels if old_of.get(label.name) and old_of[label.name] <= out]
    answer = None
    if known.answer is not None:
        names = now[known.answer]
        answer = names[0] if len(names) == 1 else None
        if len(names) > 1:  # it is one of the parts
            ruled_out = [label.name for label in labels if label.name not in names]
    if answer is None and not ruled_out:
        return None
    proposed = now[known.proposed][0] if known.proposed and now[known.proposed] else None
    again = fresh or known.answer is not None
    tries, unlisted = (0, None) if again else (known.tries, known.unlisted)
    return Known(known.text, answer, proposed, tuple(ruled_out) if answer is None else (), tries, unlisted)


def _successors(before: Mapping[str, Label], changes: Changes) -> dict[str, tuple[str, ...]]:
    """Return for each label of before what it is now: itself, another, several, or nothing."""
    where = changes.where
    after: dict[str, tuple[str, ...]] = {}

    def become(name: str, now: tuple[str, ...]) -> None:
        _refuse_unknown(name, before, where)
        if name in after:
            raise InputError(
                "each label in one change",
                f"'{name}' in several",
                where,
                "carry them out one after the other",
            )
        after[name] = now

    for rename in changes.rename:
        become(rename.label, (rename.to,))
    for merge in changes.merge:
        for name in merge.labels:
            become(name, (merge.into,))
    for split in changes.split:
        become(split.label, tuple(part.name for part in split.into))
    for name in changes.remove:
        become(name, ())
    _refuse_taken(before, after, changes)
    return {name: after.get(name, (name,)) for name in before}


def _refuse_taken(
    before: Mapping[str, Label], after: Mapping[str, tuple[str, ...]], changes: Changes
) -> None:
    """Refuse a new name that a label has, or that is given twice."""
    taken = {name for name in before if name not in after}
    new = [
        *(rename.to for rename in changes.rename),
        *(merge.into for merge in changes.merge),
        *(part.name for split in changes.split for part in split.into),
        *(label.name for label in changes.add),
    ]
    for name in new:
        if fault := name_fault(name):
            raise InputError(fault[0], fault[1], changes.where, fault[2])
        if name in taken:
            cure = "take another name, or merge the two"
            raise InputError("a name that no label has", f"'{name}'", changes.where, cure)
        taken.add(name)


def _refuse_unknown(name: str, known: Mapping[str, Any], where: str) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, list(known), 1)
        cure = f"did you mean '{close[0]}'?" if close else "check the name"
        raise InputError(f"one of the run's {len(known)} labels", f"'{name}'", where, cure)


def _refuse_idle(labels: tuple[Label, ...], labelled: Texts, where: str) -> None:
    used = {row[0] for row in labelled.labels or ()}
    if idle := [label.name for label in labels if label.name not in used]:
        found = "none for " + ", ".join(f"'{name}'" for name in idle[:5])
        raise InputError("an example of each label", found, where, "add one, or remove the label")


def _meanings(changes: Changes, before: Mapping[str, Label]) -> dict[str, str]:
    """Return the meanings of names that come to be; a part's is written anew where none is given."""
    found = {part.name: part.meaning for split in changes.split for part in split.into}
    for change in (*((one.to, one.meaning) for one in changes.rename), *_merged(changes, before)):
        if change[1]:
            found[change[0]] = change[1]
    return found


def _merged(changes: Changes, before: Mapping[str, Label]) -> Iterator[tuple[str, str]]:
    for merge in changes.merge:
        whole = before.get(merge.into)
        yield merge.into, merge.meaning or (whole.meaning if whole else "")


def _free(id_: str, taken: set[str]) -> str:
    """Return an id that no labelled text has: this one, or with a number behind it."""
    free, number = id_, 2
    while free in taken:
        free, number = f"{id_}-{number}", number + 1
    return free

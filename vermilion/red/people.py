"""How often decisions agree with people: a sample drawn for them, read back, and what it proves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vermilion.errors import InputError
from vermilion.learn.certificate import Bounds, finite_bounds, share_right
from vermilion.learn.double_sampling import Count, Doubly, corrected
from vermilion.red import several_people
from vermilion.red.people_files import (
    AUDIT,
    LABELS,
    PEOPLE,
    SHEET,
    SUMMARY,
    keep_proof,
    note_on,
    read_json,
    refuse_other_draw,
)
from vermilion.red.several_people import SEVERAL, PairsResult
from vermilion.types import BoolArray, FloatArray, IntArray
from vermilion.world.audit_sheet import Answers, Line, read_answers, write_sheet
from vermilion.world.data_decisions import Decided, digest, read_decisions
from vermilion.world.labels import read_labels

# So many labels are shown with every text; of more, those that the model thought of and the one that was decided.
MOST_LISTED, SHORTLIST = 20, 5
# Of the sample, for texts that the run's own audit has asked the expert about.
SECOND_PART = 1 / 3
FORMULA = "w r + (1 - w) (p s + (1 - p) t)"
BY_EXPERT = ("verified", "corrected", "none")


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished run, as its folder tells of it.

    Attributes
    ----------
    decisions : list of Decided
    labels : tuple of str
    audit : dict of id to (decided, answer)
        The run's own audit: what the model had decided, and what the expert said.
    summary : dict
    """

    folder: Path
    decisions: list[Decided]
    labels: tuple[str, ...]
    audit: dict[str, tuple[str, str | None]]
    summary: dict[str, Any]

    @classmethod
    def read(cls, folder: Path, decisions: str) -> Finished:
        """Read the folder.

        Raises
        ------
        InputError
            It is not that of a finished run.
        """
        summary = read_json(folder / SUMMARY)
        audit = folder / AUDIT
        lines = audit.read_text(encoding="utf-8").splitlines() if audit.exists() else []
        asked = {row["id"]: (row["decided"], row["answer"]) for row in map(json.loads, lines)}
        labels = tuple(label.name for label in read_labels(folder / LABELS))
        return cls(folder, read_decisions(folder / decisions), labels, asked, summary)

    @property
    def decided(self) -> list[Decided]:
        """The decisions that were not given."""
        return [row for row in self.decisions if row.source != "given"]

    @property
    def confidence(self) -> float:
        """The run's confidence."""
        return float(self.summary["settings"]["confidence"])


@dataclass(frozen=True, slots=True)
class Draw:
    """Which decisions people are shown.

    Attributes
    ----------
    name : str
        Of the draw: the decisions' hash and the size; what was drawn follows from it.
    rows : ndarray of bool, shape (n_decided,)
        A simple random sample of all decisions that were not given.
    audited : ndarray of bool, shape (n_decided,)
        One of those that the run's own audit has asked the expert about.
    probability : ndarray of float, shape (n_decided,)
        Of being in one or the other.
    order : ndarray of int
        The rows drawn, in the order of the sheet.
    """

    name: str
    rows: BoolArray
    audited: BoolArray
    probability: FloatArray
    order: IntArray

    @classmethod
    def of(cls, run: Finished, size: int) -> Draw:
        """Draw so many texts in all, where there are as many."""
        rows = run.decided
        name = f"{digest(run.decisions)}-{size}"
        rng = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
        asked = np.array([row.id in run.audit for row in rows], dtype=np.bool_)
        second = _sample(asked, int(SECOND_PART * size), rng)
        first = _sample(np.ones(len(rows), dtype=np.bool_), size - int(second.sum()), rng)
        missed = (1 - first.sum() / max(len(rows), 1)) * (1 - asked * second.sum() / max(asked.sum(), 1))
        return cls(name, first, second, 1 - missed, rng.permutation(np.flatnonzero(first | second)))


def _sample(among: BoolArray, size: int, rng: np.random.Generator) -> BoolArray:
    """Draw so many of the rows that are set, or all where there are fewer."""
    drawn = np.zeros(len(among), dtype=np.bool_)
    drawn[rng.permutation(np.flatnonzero(among))[:size]] = True
    return drawn


def draw_for_people(folder: Path, decisions: str, size: int, out: Path | None) -> tuple[Path, int]:
    """Write a sample of a finished run for people to answer; return the file and how many texts it has.

    Raises
    ------
    InputError
        The folder is not that of a finished run, nothing was decided in it, or the file is there already.
    """
    if read_json(folder / SUMMARY).get("task") == SEVERAL:
        return several_people.draw_for_people(folder, decisions, size, out)
    run = Finished.read(folder, decisions)
    if not run.decided:
        raise InputError("decisions to audit", "none: all texts were given", str(folder), "audit another run")
    draw = Draw.of(run, size)
    path = out or folder / SHEET
    rows = run.decided
    lines = [
        Line(
            rows[place].id,
            rows[place].text,
            _options(rows[place], run.labels),
            float(draw.probability[place]),
        )
        for place in draw.order.tolist()
    ]
    write_sheet(path, draw.name, lines)
    return path, len(lines)


def _options(row: Decided, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels to show, in an order and a number that do not tell which was decided."""
    if len(labels) <= MOST_LISTED:
        return tuple(sorted(labels))
    own = [row.label] if row.label is not None else []
    others = [name for name in row.candidates if name not in own]
    return tuple(sorted([*own, *others[: SHORTLIST - len(own)]]))


@dataclass(frozen=True, slots=True)
class PeopleResult:
    """What people's answers prove; agreement with the expert is another number.

    Attributes
    ----------
    draw : str
    confidence : float
    agreement : Bounds
        Of all decisions with people, by people's answers alone.
    corrected : Bounds or None
        The run's agreement with the expert, corrected for the expert's own errors; None where expert and people have
        not both answered enough.
    formula : str
        Of `corrected`.
    expert_random, expert_chosen : Bounds or None
        Agreement of the expert with people: on random texts of the run's own audit, and on those that it was asked
        because they are hard.
    note : str
    """

    draw: str
    confidence: float
    agreement: Bounds
    corrected: Bounds | None
    formula: str
    expert_random: Bounds | None
    expert_chosen: Bounds | None
    note: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


def read_from_people(folder: Path, decisions: str, answers: Path) -> PeopleResult | PairsResult:
    """Read people's answers, write what they prove to people.json and to the summary, and return it.

    Raises
    ------
    InputError
        The answers are incomplete, not labels of the run, or those of another draw.
    """
    if read_json(folder / SUMMARY).get("task") == SEVERAL:
        return several_people.read_from_people(folder, decisions, answers)
    run = Finished.read(folder, decisions)
    given = read_answers(answers, run.labels)
    draw = _same_draw(run, given, answers)
    result = judge(run, draw, given)
    keep_proof(folder, run.summary, result.as_dict())
    return result


def known_people(folder: Path, decisions: str) -> dict[str, Any] | None:
    """Return what people's answers have proven of these decisions, or None where they spoke of others or of none."""
    if not (folder / PEOPLE).exists():
        return None
    found = read_json(folder / PEOPLE)
    name = str(found.get("draw", "")).rpartition("-")[0]
    return found if name == digest(read_decisions(folder / decisions)) else None


def _same_draw(run: Finished, given: Answers, path: Path) -> Draw:
    name, _, size = given.draw.rpartition("-")
    if name != digest(run.decisions) or not size.isdecimal():
        refuse_other_draw(run.folder, path, given.draw)
    draw = Draw.of(run, int(size))
    wanted = {run.decided[place].id for place in draw.order.tolist()}
    for ids, found in (
        (wanted - given.labels.keys(), "missing"),
        (given.labels.keys() - wanted, "not of the draw"),
    ):
        if ids:
            raise InputError(
                f"the {len(wanted):,} ids of the draw",
                f"{len(ids):,} {found}, the first {sorted(ids)[0]!r}",
                str(path),
                "put back the column id as it was drawn",
            )
    return draw


def judge(run: Finished, draw: Draw, given: Answers) -> PeopleResult:
    """Return what people's answers to a draw prove."""
    rows, delta = run.decided, 1 - run.confidence
    by_expert = np.array([row.source in BY_EXPERT for row in rows])
    chosen_rows = by_expert & np.array([row.id not in run.audit for row in rows])
    drawn = np.flatnonzero(draw.rows)
    agreed = np.array(
        [given.labels[rows[place].id] == rows[place].label for place in drawn.tolist()], dtype=np.bool_
    )
    chosen = Count(int(agreed[chosen_rows[drawn]].sum()), int(chosen_rows[drawn].sum()))
    both = [rows[place].id for place in np.flatnonzero(draw.audited).tolist()]
    random = Count(sum(given.labels[id_] == run.audit[id_][1] for id_ in both), len(both))
    confidence, strata = np.array([row.confidence for row in rows]), by_expert[:, None].astype(np.float64)
    return PeopleResult(
        draw.name,
        run.confidence,
        share_right(agreed, confidence, draw.rows, delta, strata),
        corrected(_doubly(run, given, both, chosen, int(chosen_rows.sum())), delta),
        FORMULA,
        _bounds(random, len(run.audit), delta),
        _bounds(chosen, int(chosen_rows.sum()), delta),
        note_on(run.summary),
    )


def _doubly(run: Finished, given: Answers, both: Sequence[str], chosen: Count, expert_rows: int) -> Doubly:
    """Gather what the expert said in the run's audit, and people on some of the same texts."""
    return Doubly(
        chosen,
        Count(sum(decided == answer for decided, answer in run.audit.values()), len(run.audit)),
        _agreeing(run, given, both, same=True),
        _agreeing(run, given, both, same=False),
        expert_rows,
        len(run.decided) - expert_rows,
    )


def _agreeing(run: Finished, given: Answers, ids: Sequence[str], *, same: bool) -> Count:
    """Count people's agreement with the model where the expert agrees with it, or does not."""
    asked = [id_ for id_ in ids if (run.audit[id_][0] == run.audit[id_][1]) == same]
    return Count(sum(given.labels[id_] == run.audit[id_][0] for id_ in asked), len(asked))


def _bounds(count: Count, rows: int, delta: float) -> Bounds | None:
    if not count.n:
        return None
    lower, upper = finite_bounds(count.hits, count.n, rows, delta)
    return Bounds(
        count.share,
        lower,
        upper,
        count.n,
        "Clopper-Pearson for draws without replacement, each bound one-sided",
    )

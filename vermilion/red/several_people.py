"""How far the labels of a run with several labels a text are those of people: pairs drawn for them, and read back."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vermilion.errors import InputError
from vermilion.learn.certificate import Bounds, share_right
from vermilion.learn.f1_bounds import Audited, micro_f1_bounds
from vermilion.red.people_files import (
    LABELS,
    PEOPLE,
    SHEET,
    SUMMARY,
    keep_proof,
    note_on,
    read_json,
    refuse_other_draw,
)
from vermilion.types import BoolArray, FloatArray, IntArray
from vermilion.world.data_decisions import SeveralDecided, digest, read_several_decisions
from vermilion.world.labels import read_labels
from vermilion.world.pair_sheet import PairAnswers, PairLine, read_pairs, write_pairs

SEVERAL = "multi-label"
METHOD = "MOVER of two samples, each bound one-sided"


@dataclass(frozen=True, slots=True)
class FinishedPairs:
    """A finished run: its decisions that were not given, and all their pairs with a label.

    Attributes
    ----------
    name : str
        Of its result.
    given : ndarray of bool, shape (n_decided, K)
        Labels that the texts were given.
    sure : ndarray of float, shape (n_decided, K)
        How sure each pair is, as far as the decisions tell.
    """

    folder: Path
    name: str
    decided: list[SeveralDecided]
    labels: tuple[str, ...]
    given: BoolArray
    sure: FloatArray
    summary: dict[str, Any]

    @classmethod
    def read(cls, folder: Path, decisions: str) -> FinishedPairs:
        """Read the folder.

        Raises
        ------
        InputError
            It is not that of a finished run.
        """
        summary, rows = read_json(folder / SUMMARY), read_several_decisions(folder / decisions)
        labels = tuple(label.name for label in read_labels(folder / LABELS))
        decided = [row for row in rows if row.source != "given"]
        shape = (len(decided), len(labels))
        given = np.array([[name in row.labels for name in labels] for row in decided], dtype=np.bool_)
        # Labels that are not among the likeliest ones are hardly likely.
        proba = np.array([[row.proba.get(name, 0.0) for name in labels] for row in decided])
        asked = np.array([[name in row.confirmed | row.refused for name in labels] for row in decided], bool)
        given, proba, asked = (part.reshape(shape) for part in (given, proba, asked))
        sure = np.where(asked, 1.0, np.where(given, proba, 1 - proba))
        return cls(folder, digest(rows), decided, labels, given, sure, summary)


@dataclass(frozen=True, slots=True)
class PairsResult:
    """What people's answers prove; the run's certificate is of the expert's.

    Attributes
    ----------
    draw : str
    confidence : float
    agreement : Bounds
        Micro-F1 of all decisions, people's answers being the truth.
    given, left : Bounds
        Share of the labels given that people find right; share of those not given that they find wrong. Each bound
        holds by itself.
    note : str
    measure : str
    """

    draw: str
    confidence: float
    agreement: Bounds
    given: Bounds
    left: Bounds
    note: str
    measure: str = "micro-F1"

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


def draw_for_people(folder: Path, decisions: str, size: int, out: Path | None) -> tuple[Path, int]:
    """Write pairs of a text and a label for people to answer; return the file and how many there are.

    Raises
    ------
    InputError
        The folder is not that of a finished run, nothing was decided in it, or the file is there already.
    """
    run = FinishedPairs.read(folder, decisions)
    if not run.decided:
        raise InputError("decisions to audit", "none: all texts were given", str(folder), "audit another run")
    path, cells = out or folder / SHEET, _draw(run, size)
    lines = [
        PairLine(run.decided[row].id, run.decided[row].text, run.labels[label])
        for row, label in (divmod(cell, len(run.labels)) for cell in cells.tolist())
    ]
    write_pairs(path, f"{run.name}-{size}", lines)
    return path, len(lines)


def _draw(run: FinishedPairs, size: int) -> IntArray:
    """Draw half of the pairs among the labels given, half among the others, in an order that tells nothing."""
    seed = hashlib.sha256(f"{run.name}-{size}".encode()).digest()
    rng = np.random.default_rng(list(seed))
    given, left = np.flatnonzero(run.given), np.flatnonzero(~run.given)
    most = min(max(size // 2, size - len(left)), len(given))
    parts = [
        rng.permutation(among)[:count]
        for among, count in ((given, most), (left, min(size - most, len(left))))
    ]
    return rng.permutation(np.concatenate(parts))


def read_from_people(folder: Path, decisions: str, answers: Path) -> PairsResult:
    """Read people's answers, write what they prove to people.json and to the summary, and return it.

    Raises
    ------
    InputError
        The answers are incomplete, neither yes nor no, or those of another draw.
    """
    run, given = FinishedPairs.read(folder, decisions), read_pairs(answers)
    name, _, size = given.draw.rpartition("-")
    if name != run.name or not size.isdecimal():
        refuse_other_draw(folder, answers, given.draw)
    cells = _draw(run, int(size))
    wanted = {
        (run.decided[row].id, run.labels[label])
        for row, label in (divmod(cell, len(run.labels)) for cell in cells.tolist())
    }
    if other := wanted ^ given.said.keys():
        found = f"{len(other):,} missing or not of the draw, the first {sorted(other)[0]!r}"
        cure = "put back the columns id and label as they were drawn"
        raise InputError(f"the {len(wanted):,} pairs of the draw", found, str(answers), cure)
    result = judge(run, cells, given)
    keep_proof(folder, run.summary, result.as_dict())
    return result


def known_people(folder: Path, decisions: str) -> dict[str, Any] | None:
    """Return what people's answers have proven of these decisions, or None where they spoke of others or of none."""
    if not (folder / PEOPLE).exists():
        return None
    found = read_json(folder / PEOPLE)
    name = str(found.get("draw", "")).rpartition("-")[0]
    return found if name == digest(read_several_decisions(folder / decisions)) else None


def judge(run: FinishedPairs, cells: IntArray, answers: PairAnswers) -> PairsResult:
    """Return what people's answers to a draw prove."""
    delta = 1 - float(run.summary["settings"]["confidence"])
    drawn, right = np.zeros(run.given.shape, np.bool_), np.zeros(run.given.shape, np.bool_)
    for row, label in (divmod(cell, len(run.labels)) for cell in cells.tolist()):
        drawn[row, label] = True
        said = answers.said[run.decided[row].id, run.labels[label]]
        right[row, label] = said == run.given[row, label]
    given, left = (
        _audited(run.sure[half], drawn[half], right[half], delta) for half in (run.given, ~run.given)
    )
    n = given.right.n + left.right.n
    agreement = Bounds(*micro_f1_bounds(given, left, 0), n, METHOD)
    return PairsResult(
        f"{run.name}-{len(cells)}", 1 - delta, agreement, given.right, left.right, note_on(run.summary)
    )


def _audited(sure: FloatArray, drawn: BoolArray, right: BoolArray, delta: float) -> Audited:
    bounds = share_right(right[drawn], sure, drawn, delta) if len(sure) else Bounds(1.0, 1.0, 1.0, 0, "none")
    return Audited(len(sure), bounds, int(right[drawn].sum()), 0)

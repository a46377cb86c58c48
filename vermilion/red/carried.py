"""What a run knows from the one before it, when labels were changed in between, and what may be asked again.

An answer stays as long as the change cannot have altered it. Under a label that was renamed, or merged into another,
it says what it said. Under a label that was split it rules out all labels but the parts. Where a label was added, an
answer was given without it: it stays, too, but is asked again where the new label is a plausible rival of it. Open
texts are asked about where a label that has changed is among the plausible ones; all others were settled before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from vermilion.red.problem import Problem
from vermilion.red.state import Scope, State
from vermilion.red.training import Choice, out_of_fold
from vermilion.world.store import Store

# An added label is a rival of an answer where, out of fold, it has this share of the answer's probability.
RIVAL = 0.25
DOUBTS = "doubts"


@dataclass(frozen=True, slots=True)
class Known:
    """What the expert said about one text, by label names.

    Attributes
    ----------
    text : str
    answer : str or None
    proposed : str or None
        What the head thought when it was asked; None where that label is no more.
    ruled_out : tuple of str
        Labels that the expert said are not right.
    tries : int
        How often the answer was "none of these".
    unlisted : float or None
        How likely the right label was not among those the expert was shown; None where that is not known, or no longer
        true since a label was added.
    """

    text: str
    answer: str | None = None
    proposed: str | None = None
    ruled_out: tuple[str, ...] = ()
    tries: int = 0
    unlisted: float | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """What is carried over.

    Attributes
    ----------
    known : tuple of Known
    added : tuple of str
        Labels that no answer so far was given beside.
    changed : tuple of str
        Labels, those added among them, for whose sake a text may be asked about.
    loose : tuple of str
        Texts whose decision named a label that is no more.
    """

    known: tuple[Known, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON types for the store."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Restore what `as_json` gave.

        Examples
        --------
        >>> carried = Carried((Known("late", "fee", "loss", ("loss",), 1),), ("fine",), ("fine",), ("lost",))
        >>> import json
        >>> Carried.from_json(json.loads(json.dumps(carried.as_json()))) == carried
        True
        """
        known = tuple(Known(**one | {"ruled_out": tuple(one["ruled_out"])}) for one in value["known"])
        return cls(known, *(tuple(value[name]) for name in ("added", "changed", "loose")))


def resume(problem: Problem, choice: Choice, carried: Carried, store: Store) -> State:
    """Return the state that a run begins with where labels were changed.

    Which answers are in doubt is written down before the first of them is asked again: a continued run takes
    it from there.
    """
    state = state_of(problem, carried)
    state.scope = _scope(problem, carried)
    if carried.added:
        state.inherited = state.answers >= 0
    recorded = store.get(DOUBTS)
    if recorded is None:
        recorded = [[row, list(labels)] for row, labels in doubts(problem, choice, state, carried).items()]
        store.put(DOUBTS, recorded)
    state.doubts = {row: tuple(labels) for row, labels in recorded}
    return state


def _scope(problem: Problem, carried: Carried) -> Scope:
    number = {label.name: place for place, label in enumerate(problem.labels)}
    loose = set(carried.loose)
    return Scope(
        np.array([number[name] for name in carried.changed], dtype=np.int64),
        np.array([text in loose for text in problem.open_texts], dtype=bool),
    )


def state_of(problem: Problem, carried: Carried) -> State:
    """Return the state that a run begins with: what is known of texts that are still open."""
    number = {label.name: place for place, label in enumerate(problem.labels)}
    row_of = {text: row for row, text in enumerate(problem.open_texts)}
    state = State.empty(len(problem.open_texts))
    for known in carried.known:
        row = row_of.get(known.text)
        if row is None:
            continue
        if known.answer is not None:
            state.answers[row] = number[known.answer]
            state.proposed[row] = number.get(known.proposed or "", -1)
        if known.ruled_out:
            state.ruled_out[row] = tuple(sorted(number[name] for name in known.ruled_out))
        state.tries[row] = known.tries
        if known.unlisted is not None:
            state.unlisted[row] = known.unlisted
    return state


def doubts(problem: Problem, choice: Choice, state: State, carried: Carried) -> dict[int, tuple[int, ...]]:
    """Return for each answer that an added label may alter those labels, the likeliest first.

    Each answer is judged by a head that has not learned from it.
    """
    number = {label.name: place for place, label in enumerate(problem.labels)}
    added = np.array([number[name] for name in carried.added], dtype=np.int64)
    if not len(added) or not (state.answers >= 0).any():
        return {}
    said, places = out_of_fold(problem, choice, state.answers)
    own = said.proba[np.arange(len(said.rows)), said.codes]
    rival = said.proba[:, added] >= RIVAL * own[:, None]
    found = {}
    for row in np.flatnonzero((places >= 0) & rival.any(axis=1)).tolist():
        order = np.argsort(-said.proba[row, added], kind="stable")
        found[int(places[row])] = tuple(int(added[one]) for one in order if rival[row, one])
    return found


def known_of(problem: Problem, state: State) -> tuple[Known, ...]:
    """Return what a run has come to know of open texts, by label names."""
    names = [label.name for label in problem.labels]
    rows = np.flatnonzero((state.answers >= 0) | (state.tries > 0)).tolist()
    return tuple(
        Known(
            problem.open_texts[row],
            names[state.answers[row]] if state.answers[row] >= 0 else None,
            names[state.proposed[row]] if state.proposed[row] >= 0 else None,
            tuple(names[label] for label in state.ruled_out.get(row, ())),
            int(state.tries[row]),
            float(state.unlisted[row]) if np.isfinite(state.unlisted[row]) else None,
        )
        for row in rows
    )

"""Pool texts that no label fits, in groups of near ones, each a proposal for a new label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from vermilion.learn.new_labels import best_cut, propose_labels
from vermilion.learn.out_of_scope import false_discovery_flags
from vermilion.red.loop import Outcome
from vermilion.red.problem import Problem
from vermilion.red.record import Decision, ProposedLabel
from vermilion.types import BoolArray

# Of the texts that are grouped for their looks alone, at most so many are expected to have a label.
FALSE_DISCOVERIES = 0.1
EXAMPLES, TEXTS_SHOWN = 20, 5


def unlabelled(outcome: Outcome) -> BoolArray:
    """Tell which open texts seem to have no label, shape (n_open,).

    Those that were decided to have none, those for which the expert found none right so far, and those that look so
    foreign that hardly any of them has one: unlike a rate of false alarms, that flags nothing where nothing is foreign.
    """
    state = outcome.state
    found = outcome.refused | outcome.flagged
    found[[row for row in state.ruled_out if state.tries[row]]] = True
    found &= state.answers < 0
    if outcome.foreign is not None:
        open_ = np.flatnonzero((state.answers < 0) & np.isfinite(outcome.foreign.p_values))
        looks = false_discovery_flags(outcome.foreign.p_values[open_], FALSE_DISCOVERIES)
        found[open_[looks]] = True
    return found


def proposed(problem: Problem, outcome: Outcome, decisions: Sequence[Decision]) -> tuple[ProposedLabel, ...]:
    """Group the texts that seem to have no label, and name each group.

    Parameters
    ----------
    decisions : sequence of Decision
        One a pool row.
    """
    rows = np.flatnonzero(unlabelled(outcome))
    if not len(rows):
        return ()
    known = [""] * len(problem.labels)
    for text, label in zip(problem.given_texts, problem.y_given.tolist(), strict=True):
        known[label] += f" {text}"
    taken = {label.name for label in problem.labels}
    texts = [problem.open_texts[row] for row in rows]
    cut = best_cut(problem.X_given, problem.y_given)
    found = propose_labels(problem.X_open[rows], texts, cut, known, taken)
    id_of = {text: decision.id for text, decision in _first(decisions)}
    weights = problem.weights[rows]
    return tuple(
        ProposedLabel(
            label.name,
            int(weights[list(label.texts)].sum()),
            tuple(id_of[texts[place]] for place in label.texts[:EXAMPLES]),
            tuple(texts[place] for place in label.texts[:TEXTS_SHOWN]),
        )
        for label in found
    )


def _first(decisions: Sequence[Decision]) -> list[tuple[str, Decision]]:
    """Return each text with its first row last, which is the one that a dict keeps."""
    return [(decision.text, decision) for decision in reversed(decisions)]


def as_additions(labels: Sequence[ProposedLabel]) -> dict[str, Any]:
    """Return proposals as plain data, in the form of a file of label changes.

    Examples
    --------
    >>> as_additions([ProposedLabel("parking", 7, ("p1", "p9"), ("where can I park",))])
    {'add': [{'name': 'parking', 'examples': ['p1', 'p9'], 'size': 7, 'texts': ['where can I park']}]}
    """
    return {
        "add": [
            {"name": one.name, "examples": list(one.ids), "size": one.size, "texts": list(one.texts)}
            for one in labels
        ]
    }


def additions_json(labels: Sequence[ProposedLabel]) -> str:
    """Return the text of proposed_labels.json."""
    return json.dumps(as_additions(labels), indent=1, ensure_ascii=False) + "\n"

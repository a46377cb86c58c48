"""From the state a run ended in to one decision a pool row, and to what the report shows of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np

from vermilion.learn.candidates import Candidates, candidate_cells, shown_candidates
from vermilion.red.loop import Outcome
from vermilion.red.problem import Problem
from vermilion.red.record import ConfusedPair, Decision
from vermilion.types import Source, Texts

BINS = 20
PAIRS, TEXTS_A_PAIR, OPEN_TEXTS = 15, 3, 25


def decide(problem: Problem, outcome: Outcome, pool: Texts) -> list[Decision]:
    """Return the decision of each pool row, in the pool's order."""
    names = [label.name for label in problem.labels]
    shown = shown_candidates(names, outcome.proposals.labels, outcome.proposals.proba)
    looks = looks_foreign(outcome)
    return [
        _given(names[problem.y_given[-1 - place]], id_, text)
        if place < 0
        else _decided(outcome, names, (place, shown[place], looks[place]), id_, text)
        for id_, text, place in zip(pool.ids, pool.texts, problem.owner.tolist(), strict=True)
    ]


def looks_foreign(outcome: Outcome) -> list[float | None]:
    """Return for each open text the share of labelled texts that look less foreign; None where it has a label."""
    if outcome.foreign is None:
        return [None] * len(outcome.state.answers)
    return [None if p != p else round(1 - p, 6) for p in outcome.foreign.p_values.tolist()]  # noqa: PLR0124 (NaN)


def _given(name: str, id_: str, text: str) -> Decision:
    return Decision(id_, text, name, 1.0, "given", 0, ((name, 1.0),))


def _decided(
    outcome: Outcome, names: list[str], found: tuple[int, Candidates, float | None], id_: str, text: str
) -> Decision:
    row, candidates, looks = found
    state, last = outcome.state, len(outcome.rounds) - 1
    answer, asked_in = int(state.answers[row]), int(state.answered_in[row])
    if answer >= 0:
        source: Source = "verified" if answer == state.proposed[row] else "corrected"
        return Decision(id_, text, names[answer], 1.0, source, max(asked_in, 0), candidates)
    if outcome.refused[row]:
        sure = round(float(outcome.no_label[row]), 6)
        return Decision(id_, text, None, sure, "none", asked_in, candidates, looks)
    if outcome.flagged[row]:
        return Decision(id_, text, None, looks or 0.0, "out_of_scope", last, candidates, looks)
    # Where a label was added since, "none of these" speaks of the others alone.
    left = outcome.for_people is not None and bool(outcome.for_people[row])
    source = "review" if left or (row in state.ruled_out and state.tries[row]) else "auto"
    return Decision(id_, text, candidates[0][0], candidates[0][1], source, last, candidates, looks)


def as_row(decision: Decision) -> dict[str, Any]:
    """Return a decision as its row in the output file."""
    return {
        "id": decision.id,
        "text": decision.text,
        "label": decision.label,
        "confidence": decision.confidence,
        "source": decision.source,
        "round": decision.round,
        "candidates": candidate_cells(decision.candidates),
        "out_of_scope": decision.out_of_scope,
    }


def as_rows(decisions: list[Decision]) -> Iterator[dict[str, Any]]:
    """Return all decisions as rows."""
    return (as_row(decision) for decision in decisions)


def count_sources(decisions: list[Decision]) -> dict[str, int]:
    """Return how many decisions came about in each way, every way named."""
    counts = Counter(decision.source for decision in decisions)
    return {source: counts[source] for source in get_args(Source)}


def gold_scores(problem: Problem, outcome: Outcome) -> dict[str, float] | None:
    """Return how the decisions agree with gold, by pool rows; None without gold.

    Returns
    -------
    dict
        `agreement` on all rows that were not given, `auto_agreement` on those that the model decided (texts left to
        people, and without a label, included), `expert_agreement` on those that the expert did; each only where there
        are such rows. Where gold is none of the labels, no label is right.
    """
    if problem.gold is None:
        return None
    answered = outcome.state.answers >= 0
    decided = np.where(answered, outcome.state.answers, outcome.proposals.labels[:, 0])
    decided[~answered & (outcome.refused | outcome.flagged)] = -1
    right, weights = decided == problem.gold, problem.weights
    scores = {"agreement": float(np.average(right, weights=weights))} if weights.sum() else {}
    if weights[~answered].sum():
        scores["auto_agreement"] = float(np.average(right[~answered], weights=weights[~answered]))
    if weights[answered].sum():
        scores["expert_agreement"] = float(np.average(right[answered], weights=weights[answered]))
    return scores


def confidence_counts(decisions: list[Decision]) -> dict[Source, tuple[int, ...]]:
    """Return for each source of decision a histogram of confidence, in equal bins from 0 to 1."""
    values: defaultdict[Source, list[float]] = defaultdict(list)
    for decision in decisions:
        values[decision.source].append(decision.confidence)
    return {
        source: tuple(np.histogram(found, bins=BINS, range=(0, 1))[0].tolist())
        for source, found in values.items()
    }


def hardest_pairs(problem: Problem, outcome: Outcome) -> tuple[ConfusedPair, ...]:
    """Return the label pairs in which the expert overruled the head most often."""
    state = outcome.state
    names = [label.name for label in problem.labels]
    texts: defaultdict[tuple[int, int], list[str]] = defaultdict(list)
    for row in np.flatnonzero((state.answers >= 0) & (state.answers != state.proposed)).tolist():
        texts[int(state.proposed[row]), int(state.answers[row])].append(problem.open_texts[row])
    ranked = sorted(texts.items(), key=lambda item: (-len(item[1]), item[0]))[:PAIRS]
    return tuple(
        ConfusedPair(names[proposed], names[answered], len(found), tuple(found[:TEXTS_A_PAIR]))
        for (proposed, answered), found in ranked
    )


def label_counts(problem: Problem, decisions: list[Decision]) -> tuple[tuple[str, int, int], ...]:
    """Return for each label how many pool texts were decided for it, and how many labelled ones it had."""
    decided = Counter(decision.label for decision in decisions)
    labelled = np.bincount(problem.y_given, minlength=len(problem.labels)).tolist()
    return tuple(
        (label.name, decided[label.name], count)
        for label, count in zip(problem.labels, labelled, strict=True)
    )


def least_certain(decisions: list[Decision]) -> tuple[Decision, ...]:
    """Return the model's own decisions that a person should look at first."""
    own = [decision for decision in decisions if decision.source in ("auto", "review")]
    return tuple(sorted(own, key=lambda d: d.confidence)[:OPEN_TEXTS])

"""What the report of a run with several labels a text shows, gathered from what the run knows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from vermilion.learn.calibration_metrics import label_calibration_error, label_reliability
from vermilion.learn.label_thresholds import f1
from vermilion.red.decisions import PAIRS, TEXTS_A_PAIR, confidence_counts, least_certain
from vermilion.red.record import ConfusedPair, Decision, PairCalibration, ReportData, Summary
from vermilion.red.report.several import LabelFigures
from vermilion.red.several_loop import SeveralOutcome
from vermilion.red.several_model import SeveralModel
from vermilion.red.several_problem import SeveralProblem
from vermilion.red.several_state import UNKNOWN, YES

Rows = list[dict[str, Any]]


def several_report_data(
    title: str, problem: SeveralProblem, outcome: SeveralOutcome, rows: Rows, summary: Summary
) -> ReportData:
    """Gather what every report shows; `rows` are the decisions as they are written."""
    decisions = [_decision(row) for row in rows]
    return ReportData(
        title,
        summary,
        confidence_counts(decisions),
        _overruled_most(problem, outcome),
        (),
        least_certain(decisions),
    )


def _decision(row: dict[str, Any]) -> Decision:
    """Return a decision with all its labels as one, and the candidates that were not given."""
    labels = row["labels"]
    others = [(one["label"], one["probability"]) for one in row["candidates"] if one["label"] not in labels]
    said = ", ".join(labels) or None
    return Decision(
        row["id"], row["text"], said, row["confidence"], row["source"], row["round"], tuple(others)
    )


def _overruled(outcome: SeveralOutcome) -> Iterable[tuple[int, int, bool]]:
    """Yield (open text, label, what the model had said) wherever the expert said otherwise."""
    answers = outcome.state.answers
    for step in outcome.steps:
        for (row, label), proposed in zip(step.pairs, step.proposed, strict=True):
            if answers[row, label] != UNKNOWN and (answers[row, label] == YES) != proposed:
                yield row, label, proposed


def _overruled_most(problem: SeveralProblem, outcome: SeveralOutcome) -> tuple[ConfusedPair, ...]:
    texts: defaultdict[tuple[int, bool], list[str]] = defaultdict(list)
    for row, label, proposed in _overruled(outcome):
        texts[label, proposed].append(problem.open_texts[row])
    ranked = sorted(texts.items(), key=lambda item: (-len(item[1]), item[0]))[:PAIRS]
    names = [label.name for label in problem.labels]
    return tuple(
        ConfusedPair(
            names[label] if proposed else f"not {names[label]}",
            f"not {names[label]}" if proposed else names[label],
            len(found),
            tuple(found[:TEXTS_A_PAIR]),
        )
        for (label, proposed), found in ranked
    )


def label_figures(problem: SeveralProblem, outcome: SeveralOutcome) -> list[LabelFigures]:
    """Return what was decided for each label, in pool rows, those that were given included."""
    given = np.bincount(-1 - problem.owner[problem.owner < 0], minlength=len(problem.given_texts))
    decided = problem.weights @ outcome.decided + given @ problem.Y_given
    answers = outcome.state.answers
    alone = outcome.decided & (answers == UNKNOWN)
    sure = np.where(alone, outcome.proba, 0).sum(axis=0) / np.maximum(alone.sum(axis=0), 1)
    overruled = np.bincount([label for _, label, _ in _overruled(outcome)], minlength=len(problem.labels))
    return [
        LabelFigures(
            label.name,
            int(decided[place]),
            int(problem.Y_given[:, place].sum()),
            float(sure[place]) if alone[:, place].any() else None,
            float(outcome.model.thresholds[place]),
            int((answers[:, place] != UNKNOWN).sum()),
            int((answers[:, place] == YES).sum()),
            int(overruled[place]),
        )
        for place, label in enumerate(problem.labels)
    ]


def pair_calibration(problem: SeveralProblem, model: SeveralModel) -> PairCalibration:
    """Return what the model's probabilities are worth on labelled texts that it had not learned from."""
    said, truth = model.held_out, problem.Y_given
    given = model.rule.decide(said)
    return PairCalibration(
        "none" if model.scaling is None else "a scale and a bias for each label",
        len(truth),
        truth.size,
        label_calibration_error(said, truth),
        f1(truth, given, "micro"),
        f1(truth, given, "macro"),
        label_reliability(said, truth),
    )

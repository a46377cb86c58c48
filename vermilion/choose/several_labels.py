"""Learning texts that may have several labels, or none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
from sklearn.metrics import f1_score

from vermilion.choose.lesson import Learned, Lesson
from vermilion.config import Goal
from vermilion.errors import InputError
from vermilion.learn.binary_threshold import choose_threshold
from vermilion.learn.decision_rules import Thresholds
from vermilion.learn.heads import SEVERAL
from vermilion.learn.label_choice import FOLDS, LabelChoice, candidates, choose_label_head
from vermilion.learn.label_thresholds import fit_thresholds
from vermilion.types import BoolArray, FloatArray


def learn_several_labels(lesson: Lesson) -> Learned:
    """Choose a head by cross-validation, fit it on all texts; thresholds and scales come from texts held out.

    Raises
    ------
    InputError
        A head or a way with rare labels was named that is for texts with one label.
    """
    _refuse_others(lesson)
    Y, settings = lesson.indicator, lesson.settings
    tried = candidates(Y, settings.head, settings.seed)
    choice = choose_label_head(lesson.X, Y, tried, clock=time.perf_counter)
    thresholds = thresholds_for(settings.goal, choice.proba, Y)
    scores = _scores(settings.goal, choice.proba, Y)
    choice.head.fit(lesson.X, Y)
    return Learned(
        choice.kind,
        choice.head,
        1.0,
        Thresholds(tuple(thresholds.tolist()), str(settings.goal)),
        {"heads_compared": [asdict(trial) for trial in choice.trials], "held_out": scores},
        tuple(_lines(lesson, choice, thresholds, scores)),
        choice.scaling,
    )


def thresholds_for(goal: Goal, proba: FloatArray, Y: BoolArray) -> FloatArray:
    """Return a threshold for each label, shape (K,), by what the head said of texts held out.

    For F1 a label with few texts is drawn to the threshold that its probabilities alone would set; other goals are
    each label's own.

    Examples
    --------
    >>> thresholds_for(Goal("fixed", 0.3), np.array([[0.2, 0.9]]), np.array([[False, True]])).tolist()
    [0.3, 0.3]
    """
    if goal.by in ("auto", "f1"):
        return fit_thresholds(proba, Y)
    if goal.by == "fixed":
        return np.full(Y.shape[1], goal.value)
    return np.array(
        [choose_threshold(proba[:, label], Y[:, label], goal).value for label in range(Y.shape[1])]
    )


def _refuse_others(lesson: Lesson) -> None:
    settings = lesson.settings
    if settings.head not in ("auto", *SEVERAL):
        cure = "name one of them, or give each text one label"
        raise InputError(f"a head out of auto, {', '.join(SEVERAL)}", repr(settings.head), "--head", cure)
    if settings.imbalance not in ("auto", "none"):
        found, cure = repr(settings.imbalance), "leave it out: each label has a threshold of its own"
        raise InputError("auto or none where texts have several labels", found, "--imbalance", cure)


def _scores(goal: Goal, proba: FloatArray, Y: BoolArray) -> dict[str, float]:
    """Return F1 on texts held out, from the head and from the thresholds, and with one half for all labels."""
    decided = {"": proba >= 0.5, "_at_half": proba >= 0.5}
    part = np.arange(len(Y)) % FOLDS
    for fold in range(FOLDS if len(Y) >= FOLDS else 0):
        held = part == fold
        decided[""][held] = proba[held] >= thresholds_for(goal, proba[~held], Y[~held])
    return {
        f"f1_{average}{suffix}": float(f1_score(Y, chosen, average=average, zero_division=0))
        for suffix, chosen in decided.items()
        for average in ("macro", "micro")
    }


def _lines(
    lesson: Lesson, choice: LabelChoice, thresholds: FloatArray, scores: dict[str, float]
) -> Iterator[tuple[str, str]]:
    Y = lesson.indicator
    none = int((~Y.any(axis=1)).sum())
    yield (
        "labels a text",
        f"{Y.sum() / len(Y):.2f} on average" + (f"; {none:,} texts have none" if none else ""),
    )
    others = ", ".join(f"{trial.head} {trial.log_loss:.3f}" for trial in choice.trials if not trial.chosen)
    chosen = next(trial for trial in choice.trials if trial.chosen)
    found = f"{choice.kind}, log loss {chosen.log_loss:.3f} a text held out"
    yield "head", found + (f" ({others})" if others else "")
    least, most = (int(number) for number in (thresholds.argmin(), thresholds.argmax()))
    names = lesson.labels
    yield (
        "thresholds",
        f"one a label, by {lesson.settings.goal}: from {thresholds[least]:.2f} ({names[least].name})"
        f" to {thresholds[most]:.2f} ({names[most].name})",
    )
    yield (
        "held out",
        f"macro-F1 {scores['f1_macro']:.3f}, micro-F1 {scores['f1_micro']:.3f}"
        f" (at 0.5 for all labels: {scores['f1_macro_at_half']:.3f}, {scores['f1_micro_at_half']:.3f})",
    )
    yield (
        "probabilities",
        "scaled a label" if choice.scaling else "as the head gives them: scaling did not help",
    )

"""Learning texts that have one label each: binary and multi-class."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from vermilion.choose.lesson import Learned, Lesson, percent
from vermilion.choose.rare_labels import treat_rare
from vermilion.errors import InputError
from vermilion.learn.binary_threshold import ThresholdChoice, choose_threshold
from vermilion.learn.calibration import apply_temperature
from vermilion.learn.calibrators import Calibrator, VectorScaling, fit_vector
from vermilion.learn.decision_rules import Argmax, Rule, Threshold
from vermilion.learn.heads import CentroidHead, FlatHead, SubsetHead
from vermilion.learn.imbalance import fit_rebalanced
from vermilion.learn.model_choice import MANY_CELLS, OutOfFold, Trial, choose_head
from vermilion.types import Head

# Fewer labels than this make no two subsets that are worth the name.
SUBSETS_FROM = 20
# A scale and a bias want so many texts of either label.
LEAST_FOR_PLATT = 20


@dataclass(frozen=True, slots=True)
class Chosen:
    """A head, and what it said of texts held out."""

    kind: str
    head: Head
    held_out: OutOfFold
    findings: dict[str, Any]
    lines: tuple[tuple[str, str], ...]

    def found(self, name: str, value: Any, *lines: str) -> Chosen:
        """Return the same with one more finding, and what it says in words."""
        told = tuple((name, line) for line in lines)
        return replace(self, findings={**self.findings, name: value}, lines=(*self.lines, *told))


def learn_one_label(lesson: Lesson) -> Learned:
    """Choose a head, what to do about rare labels and how to decide by cross-validation; fit on all texts."""
    chosen = chosen_head(lesson)
    temperature, calibrator, said = _calibrated(lesson, chosen.held_out)
    rule: Rule = Argmax()
    if lesson.task == "binary":
        chosen, rule = _with_threshold(lesson, chosen, said)
    findings, lines = chosen.findings, chosen.lines
    return Learned(chosen.kind, chosen.head, temperature, rule, findings, lines, calibrator, said)


def chosen_head(lesson: Lesson) -> Chosen:
    """Choose a head, and what is done about rare labels, by cross-validation; fit it on all texts."""
    chosen = _with_head(lesson)
    done = treat_rare(lesson, chosen.head, chosen.held_out)
    fit_rebalanced(chosen.head, done.method, lesson.X, lesson.codes, lesson.settings.seed)
    return replace(chosen, held_out=done.held_out).found("imbalance", done.findings, *done.lines)


def _with_head(lesson: Lesson) -> Chosen:
    head, trials, held_out = choose_head(
        lesson.X,
        lesson.codes,
        _candidates(lesson),
        random_state=lesson.settings.seed,
        clock=time.perf_counter,
        groups=lesson.queries,
    )
    best = next(trial for trial in trials if trial.chosen)
    findings = {"heads_compared": [asdict(trial) for trial in trials]}
    return Chosen(best.head, head, held_out, findings, (("head", _head_line(best, trials, held_out)),))


def _candidates(lesson: Lesson) -> dict[str, Head]:
    made: dict[str, Head] = {
        "flat": FlatHead(random_state=lesson.settings.seed),
        "subset": SubsetHead(random_state=lesson.settings.seed),
        "centroid": CentroidHead(),
    }
    wanted = lesson.settings.head
    if wanted != "auto":
        if wanted not in made:
            raise InputError(f"auto, {', '.join(made)}", repr(wanted), "--head", "give one of them")
        return {wanted: made[wanted]}
    if len(lesson.y) * len(lesson.labels) > MANY_CELLS or len(lesson.labels) < SUBSETS_FROM:
        del made["subset"]
    return made


def _head_line(best: Trial, trials: tuple[Trial, ...], held_out: OutOfFold) -> str:
    if not len(held_out.rows):
        return f"{best.head}; no label has two texts, so nothing could be held out"
    others = ", ".join(f"{trial.head} {percent(trial.accuracy)}" for trial in trials if not trial.chosen)
    found = f"{best.head}, right on {percent(best.accuracy)} of {len(held_out.rows):,} texts held out"
    return found + (f" ({others})" if others else "")


def _calibrated(lesson: Lesson, held_out: OutOfFold) -> tuple[float, Calibrator | None, OutOfFold]:
    """Return the temperature, what comes after it, and the calibrated probabilities of texts held out.

    Of two labels a scale and a bias are fitted, which is Platt scaling: a temperature cannot move the point where both
    are equally likely, which rebalanced rows have moved.
    """
    temperature = held_out.temperature
    proba = apply_temperature(held_out.proba, temperature)
    sizes = np.bincount(held_out.codes, minlength=proba.shape[1])
    if lesson.task != "binary" or sizes.min() < LEAST_FOR_PLATT:
        return temperature, None, replace(held_out, proba=proba)
    scaling: VectorScaling = fit_vector(proba, held_out.codes, np.ones(len(proba)))
    return temperature, scaling, replace(held_out, proba=scaling.apply(proba))


def _with_threshold(lesson: Lesson, chosen: Chosen, said: OutOfFold) -> tuple[Chosen, Threshold]:
    column = _positive(lesson)
    found = choose_threshold(said.proba[:, column], said.codes == column, lesson.settings.goal)
    name = lesson.labels[column].name
    chosen = chosen.found("threshold", {"positive": name, **asdict(found)}, _threshold_line(name, found))
    if found.note:
        chosen = replace(chosen, lines=(*chosen.lines, ("", found.note)))
    return chosen, Threshold(column, found.value, found.chosen_by)


def _positive(lesson: Lesson) -> int:
    """Return the number of the label that the threshold is about: the one named, else the rarer, else the second."""
    named = lesson.settings.positive
    if named is not None:
        return [label.name for label in lesson.labels].index(named)
    first, second = np.bincount(lesson.codes, minlength=2).tolist()
    return 0 if first < second else 1


def _threshold_line(name: str, found: ThresholdChoice) -> str:
    figures = (
        f"precision {percent(found.precision)} (at least {percent(found.precision_lower)}), recall "
        f"{percent(found.recall)} (at least {percent(found.recall_lower)})"
    )
    return (
        f"'{name}' from {found.value:.3f} on, by {found.chosen_by}; on {found.n:,} texts held out {figures}"
    )

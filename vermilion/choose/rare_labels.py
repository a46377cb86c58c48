"""What is done about labels with few texts, and what that changed."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from vermilion.choose.lesson import Lesson, percent
from vermilion.errors import InputError, MissingExtraError
from vermilion.learn.heads import CentroidHead
from vermilion.learn.imbalance import (
    EVEN,
    Attempt,
    RareLabel,
    compare_methods,
    imbalance_ratio,
    rarest,
    smote_installed,
    usable,
)
from vermilion.learn.model_choice import OutOfFold
from vermilion.types import Head

SHOWN = 3
NO_SMOTE = "smote was not compared: pip install 'vermilion[imbalance]'"


@dataclass(frozen=True, slots=True)
class Treatment:
    """A method, what the head said of texts held out when it learned by it, and how it was chosen."""

    method: str
    held_out: OutOfFold
    findings: dict[str, Any]
    lines: tuple[str, ...] = ()


def treat_rare(lesson: Lesson, head: Head, held_out: OutOfFold) -> Treatment:
    """Choose a method of `vermilion.learn.imbalance.METHODS` as the settings ask.

    Parameters
    ----------
    head : Head
        Unfitted, its parameters chosen.
    held_out : OutOfFold
        What it said where nothing was done about rare labels.

    Raises
    ------
    InputError
        The method that was named does not suit the head.
    MissingExtraError
        It needs a library that is not installed.
    """
    wanted, ratio = lesson.settings.imbalance, imbalance_ratio(lesson.codes)
    reason = _no_need(lesson, head, ratio) if wanted == "auto" else ""
    if wanted == "none" or reason or not len(held_out.rows):
        method = "none" if wanted == "auto" else wanted
        findings = {"method": method, "ratio": ratio, "compared": [], "rarest": []}
        return Treatment(method, held_out, findings, (reason,) if reason else ())
    return _compared(lesson, head, _methods(lesson, head))


def _no_need(lesson: Lesson, head: Head, ratio: float) -> str:
    """Return why nothing is compared, or ''."""
    if ratio <= EVEN:
        return f"none: the most frequent label has {ratio:.1f} times the texts of the rarest"
    if isinstance(head, CentroidHead):
        return "none: centroids count every label alike"
    if lesson.task == "binary":
        return "none: of two labels the threshold does it"
    return ""


def _methods(lesson: Lesson, head: Head) -> tuple[str, ...]:
    """Return what is compared, the simplest first."""
    wanted = lesson.settings.imbalance
    installed = smote_installed()
    if wanted == "smote" and not installed:
        raise MissingExtraError("imbalanced-learn", "imbalance")
    possible = usable(head, lesson.X, lesson.codes, installed=installed)
    if wanted == "auto":
        return possible
    if wanted not in possible:
        cure = "give another --head or another --imbalance"
        raise InputError(f"one of {', '.join(possible)} for this head and data", wanted, "--imbalance", cure)
    return "none", wanted


def _compared(lesson: Lesson, head: Head, methods: tuple[str, ...]) -> Treatment:
    numbers, codes = np.unique(lesson.codes, return_inverse=True)
    names = [lesson.labels[number].name for number in numbers.tolist()]
    attempts, held_out = compare_methods(
        head, lesson.X, codes, methods, lesson.settings.seed, time.perf_counter, lesson.queries
    )
    named = lesson.settings.imbalance != "auto"
    place = len(methods) - 1 if named else [one.chosen for one in attempts].index(True)
    attempts = tuple(replace(one, chosen=i == place) for i, one in enumerate(attempts))
    changed = rarest(codes, held_out[0], held_out[place]) if place else ()
    ratio = imbalance_ratio(codes)
    findings = {
        "method": methods[place],
        "ratio": ratio,
        "compared": [asdict(one) for one in attempts],
        "rarest": [{**asdict(one), "label": names[one.label]} for one in changed],
    }
    lines = [_method_line(attempts, ratio), *_rare_lines(names, changed, attempts)]
    if not named and not smote_installed():
        lines.append(NO_SMOTE)
    return Treatment(methods[place], held_out[place], findings, tuple(lines))


def _method_line(attempts: tuple[Attempt, ...], ratio: float) -> str:
    best = next(one for one in attempts if one.chosen)
    others = ", ".join(f"{one.method} {percent(one.macro_f1)}" for one in attempts if not one.chosen)
    return (
        f"{best.method}, macro-F1 {percent(best.macro_f1)} on texts held out ({others}); the most frequent label "
        f"has {ratio:,.0f} times the texts of the rarest"
    )


def _rare_lines(names: list[str], changed: tuple[RareLabel, ...], attempts: tuple[Attempt, ...]) -> list[str]:
    if not changed:
        return []
    best = next(one for one in attempts if one.chosen)
    shown = "; ".join(
        f"{names[one.label]} ({one.rows} texts) {percent(one.f1_before)} -> {percent(one.f1)}"
        for one in changed[:SHOWN]
    )
    lines = [f"F1 of the rarest: {shown}"]
    if np.isfinite(best.rare_f1):
        before, after = percent(attempts[0].rare_f1), percent(best.rare_f1)
        lines.insert(0, f"mean F1 of labels with under half the usual texts: {before} -> {after}")
    return lines

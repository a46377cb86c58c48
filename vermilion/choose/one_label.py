"""Learning texts that have one label each: binary and multi-class."""

from __future__ import annotations

import time
from dataclasses import asdict

from vermilion.choose.lesson import Learned, Lesson
from vermilion.learn.decision_rules import Argmax
from vermilion.learn.heads import HEADS
from vermilion.learn.model_choice import MANY_CELLS, OutOfFold, Trial, choose_head
from vermilion.types import Head

# Fewer labels than this make no two subsets.
SUBSETS_FROM = 20


def learn_one_label(lesson: Lesson) -> Learned:
    """Choose a head by cross-validation, fit it on all texts, and choose how it decides."""
    codes, settings = lesson.codes, lesson.settings
    head, trials, held_out = choose_head(
        lesson.X, codes, _candidates(lesson), random_state=settings.seed, clock=time.perf_counter
    )
    chosen = next(trial for trial in trials if trial.chosen)
    head.fit(lesson.X, codes)
    return Learned(
        chosen.head,
        head,
        held_out.temperature,
        Argmax(),
        {"heads_compared": [asdict(trial) for trial in trials]},
        (_head_line(chosen, trials, held_out),),
    )


def _candidates(lesson: Lesson) -> dict[str, Head]:
    kinds = [lesson.settings.head]
    if lesson.settings.head == "auto":
        large = len(lesson.y) * len(lesson.labels) > MANY_CELLS
        kinds = ["flat", "centroid"] if large or len(lesson.labels) < SUBSETS_FROM else list(HEADS)
    return {
        kind: HEADS[kind](random_state=lesson.settings.seed) if kind != "centroid" else HEADS[kind]()
        for kind in kinds
    }


def _head_line(chosen: Trial, trials: tuple[Trial, ...], held_out: OutOfFold) -> tuple[str, str]:
    if not len(held_out.rows):
        return "head", f"{chosen.head}; no label has two texts, so nothing could be held out"
    others = ", ".join(f"{trial.head} {100 * trial.accuracy:.1f} %" for trial in trials if not trial.chosen)
    found = f"{chosen.head}, right on {100 * chosen.accuracy:.1f} % of {len(held_out.rows):,} texts held out"
    return "head", found + (f" ({others})" if others else "")

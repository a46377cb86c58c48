"""What learns, and from what: chosen once by cross-validation on the labelled texts, with its temperature."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vermilion.config import RunSettings
from vermilion.learn.calibration import apply_temperature
from vermilion.learn.heads import HEADS, FlatHead
from vermilion.learn.model_choice import MANY_CELLS, OutOfFold, choose_head, hold_out, try_with_rows
from vermilion.red.asking import confirmed
from vermilion.red.pool import Pool
from vermilion.red.problem import Problem
from vermilion.red.proposals import Model
from vermilion.red.record import HeadTrial
from vermilion.types import FloatArray, Head, IntArray

# Known texts times labels beyond which centroids judge them.
MANY_JUDGED = 2_000_000


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen head, unfitted, and what cross-validation told about it.

    Attributes
    ----------
    kind : str
        A key of HEADS.
    held_out : ndarray of int, shape (m,)
        Labelled texts that were held out once.
    proba : ndarray of float, shape (m, n_labels)
        Calibrated out-of-fold probabilities of those.
    names : bool
        Whether each label's name is one more example.
    pool : Pool or None
        Where the open texts are learned from, too.
    """

    kind: str
    head: Head
    temperature: float
    trials: tuple[HeadTrial, ...]
    held_out: IntArray
    proba: FloatArray
    names: bool = False
    pool: Pool | None = None

    def model(self, settings: RunSettings) -> Model:
        """Return the model to run with; where a committee is asked for, two more heads vote."""
        members: tuple[Head, ...] = ()
        if settings.uncertainty == "committee":
            others = [kind for kind in ("flat", "subset", "centroid") if kind != self.kind]
            members = tuple(candidates(settings, others)[kind] for kind in others)
        head = self.pool.learner.student if self.pool else self.head
        return Model(head, self.temperature, settings.uncertainty, members, self.names, self.pool)


def candidates(settings: RunSettings, kinds: list[str]) -> dict[str, Head]:
    """Return unfitted heads of these kinds, set up as the run wants them."""
    made: dict[str, Head] = {}
    for kind in kinds:
        params = {}
        if kind == "subset":
            reduce = "umap" if settings.umap else None
            params = {"subset_size": settings.subset_size, "reduce": reduce, "random_state": settings.seed}
        made[kind] = HEADS[kind](**params)
    return made


def choose(problem: Problem, settings: RunSettings) -> Choice:
    """Choose the head, and whether label names and the pool help it, on labelled texts held out.

    Only the flat head learns from the pool, which gains more than heads differ by. So where another head comes out
    first, the flat one with the pool gets its chance, too.
    """
    kinds: list[str] = [settings.head]
    if settings.head == "auto":
        many = len(problem.y_given) * len(problem.labels) > MANY_CELLS
        # The subset head, its arbiter flat, ties with the flat one at twice the price, which is minutes then.
        kinds = ["flat", "centroid"] if many else ["flat", "subset", "centroid"]
    choice = _chosen(problem, settings, kinds)
    if choice.kind == "flat" or "flat" not in kinds or not settings.pool or not Pool.possible(problem):
        return choice
    flat = _chosen(problem, settings, ["flat"])
    if flat.pool is None or _loss(problem, flat, flat.held_out) >= _loss(problem, choice, flat.held_out):
        return choice
    before = tuple(replace(trial, chosen=False) for trial in choice.trials)
    known = {trial.head for trial in before}
    return replace(flat, trials=(*before, *(trial for trial in flat.trials if trial.head not in known)))


def _chosen(problem: Problem, settings: RunSettings, kinds: list[str]) -> Choice:
    head, trials, held_out = choose_head(
        problem.X_given,
        problem.y_given,
        candidates(settings, kinds),
        random_state=settings.seed,
        clock=time.perf_counter,
    )
    chosen = next(trial for trial in trials if trial.chosen)
    choice = Choice(
        chosen.head,
        head,
        held_out.temperature,
        tuple(
            HeadTrial(t.head, t.params, t.accuracy, t.accuracy_std, t.log_loss, round(t.seconds, 3), t.chosen)
            for t in trials
        ),
        held_out.rows,
        apply_temperature(held_out.proba, held_out.temperature),
    )
    choice = _with_names(problem, settings, choice) if settings.names else choice
    return _with_pool(problem, settings, choice) if settings.pool else choice


def _with_names(problem: Problem, settings: RunSettings, choice: Choice) -> Choice:
    """Take each label's name as one more example, where that lowers the held-out log loss."""
    if problem.X_names is None or not len(choice.held_out):
        return choice
    start = time.perf_counter()
    names = (problem.X_names, np.arange(len(problem.labels)))
    found = try_with_rows(choice.head, problem.X_given, problem.y_given, names, random_state=settings.seed)
    seconds = time.perf_counter() - start
    gains = {"names": True, "temperature": found.temperature}
    return _weighed(problem, choice, (f"{choice.kind} + label names", found, seconds), gains)


def _with_pool(problem: Problem, settings: RunSettings, choice: Choice) -> Choice:
    """Learn from the pool as a whole, where it is small enough and that lowers the held-out log loss."""
    if not isinstance(choice.head, FlatHead) or not len(choice.held_out):
        return choice
    start = time.perf_counter()
    pool = Pool.over(problem, float(choice.head.C), names=choice.names)
    if pool is None:
        return choice
    pool, rows, proba = pool.tried(problem, settings.seed)
    order = np.argsort(rows)
    found = OutOfFold(rows[order], problem.y_given[rows[order]], proba[order])
    name = f"{choice.kind}{' + label names' if choice.names else ''} + pool"
    gains = {"pool": pool, "temperature": pool.student_temperature}
    return _weighed(problem, choice, (name, found, time.perf_counter() - start), gains)


def out_of_fold(problem: Problem, choice: Choice, answers: IntArray) -> tuple[OutOfFold, IntArray]:
    """Judge each text whose label is known by a head that has not learned from it; the pool is left out.

    Where there are very many, centroids judge in the chosen head's place: five fits would take longer than a round.

    Parameters
    ----------
    answers : ndarray of int, shape (n_open,)
        -1 where open.

    Returns
    -------
    said : OutOfFold
        Not calibrated.
    places : ndarray of int, shape (m,)
        Of those texts: an open text from 0, or -1 - p for the given text p.
    """
    known = confirmed(problem, answers)
    many = len(known.y) * len(problem.labels) > MANY_JUDGED
    more = None
    if choice.names and problem.X_names is not None:
        more = (problem.X_names, np.arange(len(problem.labels)))
    said = hold_out(HEADS["centroid"]() if many else choice.head, known.X, known.y, more)
    return said, known.places[said.rows]


def _weighed(
    problem: Problem, choice: Choice, tried: tuple[str, OutOfFold, float], gains: dict[str, Any]
) -> Choice:
    """Return the choice with what was tried (name, what it said, seconds) listed, and taken where it is better."""
    name, found, seconds = tried
    better = found.log_loss < _loss(problem, choice, found.rows)
    right = found.proba.argmax(axis=1) == found.codes
    error = float(right.std() / max(len(right), 1) ** 0.5)
    trial = HeadTrial(name, {}, found.accuracy, error, found.log_loss, round(seconds, 3), better)
    if not better:
        return replace(choice, trials=(*choice.trials, trial))
    before = tuple(replace(other, chosen=False) for other in choice.trials)
    proba = apply_temperature(found.proba, found.temperature)
    return replace(choice, trials=(*before, trial), held_out=found.rows, proba=proba, **gains)


def _loss(problem: Problem, choice: Choice, rows: IntArray) -> float:
    """Return the held-out log loss of what is chosen so far, on these of its rows."""
    said = OutOfFold(choice.held_out, problem.y_given[choice.held_out], choice.proba)
    return said.only(rows).log_loss

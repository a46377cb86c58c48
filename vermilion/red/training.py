"""Which head learns: chosen once by cross-validation on the labelled texts, with its temperature."""

from __future__ import annotations

import time
from dataclasses import dataclass

from vermilion.config import RunSettings
from vermilion.learn.calibration import apply_temperature
from vermilion.learn.heads import HEADS
from vermilion.learn.model_choice import choose_head
from vermilion.red.problem import Problem
from vermilion.red.proposals import Model
from vermilion.red.record import HeadTrial
from vermilion.types import FloatArray, Head, IntArray


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
    """

    kind: str
    head: Head
    temperature: float
    trials: tuple[HeadTrial, ...]
    held_out: IntArray
    proba: FloatArray

    def model(self, settings: RunSettings) -> Model:
        """Return the model to run with; where a committee is asked for, two more heads vote."""
        members: tuple[Head, ...] = ()
        if settings.uncertainty == "committee":
            others = [kind for kind in ("flat", "subset", "centroid") if kind != self.kind]
            members = tuple(candidates(settings, others)[kind] for kind in others)
        return Model(self.head, self.temperature, settings.uncertainty, members)


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
    """Choose among the wanted heads by cross-validation on the labelled texts."""
    kinds: list[str] = ["flat", "subset", "centroid"] if settings.head == "auto" else [settings.head]
    head, trials, held_out = choose_head(
        problem.X_given,
        problem.y_given,
        candidates(settings, kinds),
        random_state=settings.seed,
        clock=time.perf_counter,
    )
    chosen = next(trial for trial in trials if trial.chosen)
    return Choice(
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

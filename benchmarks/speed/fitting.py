"""Fitting: our flat head beside scikit-learn at equal accuracy; cold, warm, and with one label more."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from benchmarks.speed.machine import PeakMemory
from benchmarks.speed.rows import RealRows, Rows, a_label, noisy, real_share
from benchmarks.speed.timing import Contestant, Times, alternate, ratios, stopwatch
from vermilion.learn.flat import FlatHead

# Both solve the same problem: the penalty that choosing by cross-validation ends at on these rows.
C = 10.0
# What counts as the same accuracy.
WITHIN = 0.002
# scikit-learn is stopped after so many steps, to find the fewest that reach our accuracy.
STEPS = (10, 20, 40, 80, 160)
ADDED = 500
CHUNK = 8192


@dataclass(frozen=True, slots=True)
class FittingPlan:
    """How much is fitted."""

    labels: int
    a_label: int
    repeats: int
    added: int = ADDED
    seed: int = 0

    def condition(self) -> dict[str, Any]:
        """Return what the figures depend on."""
        return {
            "part": "fitting",
            "labels": self.labels,
            "a_label": self.a_label,
            "added": self.added,
            "C": C,
            "seed": self.seed,
        }


def our_head() -> FlatHead:
    """Return the head that is measured."""
    return FlatHead(C=C)


def their_head(max_iter: int, tol: float) -> LogisticRegression:
    """Return scikit-learn's head for the same problem."""
    return LogisticRegression(C=C, max_iter=max_iter, tol=tol)


def measure(plan: FittingPlan, real: RealRows) -> dict[str, Any]:
    """Measure all three: a cold fit, a warm one after more rows, a warm one after one more label."""
    rng = np.random.default_rng(plan.seed)
    rows = a_label(real.train.of_labels(plan.labels), plan.a_label, rng)
    more = rows + _added(real.train.of_labels(plan.labels), plan.added, rng)
    test = real.test.of_labels(plan.labels)
    with warnings.catch_warnings():
        # It is stopped on purpose before it is done.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return {
            "rows": len(rows),
            "real_share": round(real_share(real.train.of_labels(plan.labels), plan.a_label), 3),
            "cold": _cold(plan, rows, test),
            "warm": _warm(plan, (rows, more, test)),
            "one_label_more": _warm(plan, (rows.of_labels(plan.labels - 1), rows, test)),
        }


def _added(real: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Return rows that look like the others but are none of them: noisy copies of real ones."""
    return noisy(real.take(rng.choice(len(real), size=count)), rng)


def _cold(plan: FittingPlan, rows: Rows, test: Rows) -> dict[str, Any]:
    head = our_head()
    with PeakMemory() as memory:
        head.fit(rows.X, rows.y)
    ours = accuracy(head, test)
    tried = {"default": _once(their_head(max_iter=100, tol=1e-4), rows, test)}
    enough = None
    for steps in STEPS:
        tried[str(steps)] = _once(their_head(max_iter=steps, tol=1e-9), rows, test)
        if tried[str(steps)]["accuracy"] >= ours - WITHIN:
            enough = steps
            break
    contestants: dict[str, Contestant] = {"ours": stopwatch(lambda: our_head().fit(rows.X, rows.y))}
    if enough is not None:
        equal = their_head(max_iter=enough, tol=1e-9)
        contestants["scikit-learn"] = stopwatch(lambda: equal.fit(rows.X, rows.y))
    return _figures(alternate(contestants, plan.repeats)) | {
        "accuracy": ours,
        "steps": head.n_iter_,
        "scikit_learn_tried": tried,
        "scikit_learn_steps_to_equal_accuracy": enough,
        "memory_mib": memory.figures(),
    }


def _once(head: LogisticRegression, rows: Rows, test: Rows) -> dict[str, float]:
    """Fit a head of scikit-learn's once."""
    seconds = stopwatch(lambda: head.fit(rows.X, rows.y))()
    return {"accuracy": accuracy(head, test), "seconds": round(seconds, 3), "steps": int(head.n_iter_.max())}


def _warm(plan: FittingPlan, parts: tuple[Rows, Rows, Rows]) -> dict[str, Any]:
    """Fit `before`, then time the refit on `after` beside a cold fit on it."""
    before, after, test = parts
    known = our_head().fit(before.X, before.y)
    last: dict[str, FlatHead] = {}

    def warm() -> float:
        head = copy.deepcopy(known)
        seconds = stopwatch(lambda: head.fit(after.X, after.y))()
        last["warm"] = head
        return seconds

    def cold() -> float:
        head = our_head()
        seconds = stopwatch(lambda: head.fit(after.X, after.y))()
        last["cold"] = head
        return seconds

    times = alternate({"warm": warm, "cold": cold}, plan.repeats)
    return _figures(times, "warm") | {
        "accuracy": {name: accuracy(head, test) for name, head in last.items()},
        "steps": {name: head.n_iter_ for name, head in last.items()},
        "same_label": _same(last["warm"], last["cold"], test),
    }


def _figures(times: dict[str, Times], base: str = "ours") -> dict[str, Any]:
    return {
        "seconds": {name: own.figures() for name, own in times.items()},
        f"times_as_long_as_{base}": ratios(times, base),
    }


def accuracy(head: FlatHead | LogisticRegression, test: Rows) -> float:
    """Return the share of test rows labelled right, in bounded memory."""
    right = sum(
        int((head.predict(test.X[start : start + CHUNK]) == test.y[start : start + CHUNK]).sum())
        for start in range(0, len(test), CHUNK)
    )
    return round(right / len(test), 4)


def _same(one: FlatHead, other: FlatHead, test: Rows) -> float:
    """Return the share of test rows to which two heads give the same label."""
    X = test.X[: 2 * CHUNK]
    return round(float((one.predict(X) == other.predict(X)).mean()), 4)

"""Figures of groups of rows, and the gaps between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from vermilion.learn.bootstrap import Estimate
from vermilion.learn.judged import Judged
from vermilion.learn.metrics import headline
from vermilion.types import IntArray

# A group of fewer rows says little: 29 of 29 right still leaves room for 12 % wrong.
SMALL = 30
MOST_GROUPS = 20
PARTS = 4
NOTHING, OTHERS = "(nothing)", "(other values)"


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that share a value of a column.

    Attributes
    ----------
    n : int
    small : bool
        So few that its figures say little.
    figures : mapping of str to Estimate
    gaps : mapping of str to Estimate
        Its figures less those of all other rows; empty where there are none.
    """

    name: str
    n: int
    small: bool
    figures: Mapping[str, Estimate]
    gaps: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Gap:
    """The widest gap of one figure between two groups that are not small: the first has more."""

    metric: str
    first: str
    second: str
    gap: Estimate


def groups_of(values: Sequence[str | None]) -> dict[str, IntArray]:
    """Return the rows of each value, the commonest first; many numbers are cut into quarters of the rows.

    Of more than 20 values that are no numbers, the rarest go together.

    Examples
    --------
    >>> {name: rows.tolist() for name, rows in groups_of(["en", "de", "en", None]).items()}
    {'en': [0, 2], '(nothing)': [3], 'de': [1]}
    >>> [(name, len(rows)) for name, rows in groups_of([str(n) for n in range(40)]).items()]
    [('0 to 9', 10), ('10 to 19', 10), ('20 to 29', 10), ('30 to 39', 10)]
    """
    names = np.array(
        [NOTHING if value is None or not value.strip() else value for value in values], dtype=object
    )
    found, counts = np.unique(names.astype(str), return_counts=True)
    if len(found) > MOST_GROUPS // 2 and (numbers := _numbers(names)) is not None:
        return _quarters(names, numbers)
    ranked = [str(found[place]) for place in np.argsort(-counts, kind="stable")]
    kept = ranked if len(ranked) <= MOST_GROUPS else ranked[: MOST_GROUPS - 1]
    groups: dict[str, IntArray] = {name: np.flatnonzero(names == name) for name in kept}
    if len(kept) < len(ranked):
        groups[OTHERS] = np.flatnonzero(~np.isin(names.astype(str), kept))
    return groups


def _numbers(names: np.ndarray) -> dict[str, float] | None:
    """Return the number that each name is, or None where one is no number."""
    try:
        numbers = {name: float(name) for name in set(names.tolist()) - {NOTHING}}
    except ValueError:
        return None
    return numbers if all(map(np.isfinite, numbers.values())) else None


def _quarters(names: np.ndarray, numbers: Mapping[str, float]) -> dict[str, IntArray]:
    """Cut rows into quarters by their numbers; equal numbers stay together."""
    rows = np.flatnonzero(names != NOTHING)
    values = np.array([numbers[name] for name in names[rows]])
    edges = np.quantile(values, np.arange(1, PARTS) / PARTS, method="higher")
    part = np.searchsorted(np.unique(edges), values, "right")
    groups = {}
    for number in np.unique(part):
        own = values[part == number]
        groups[f"{own.min():g} to {own.max():g}"] = rows[part == number]
    if len(rows) < len(names):
        groups[NOTHING] = np.flatnonzero(names == NOTHING)
    return groups


def sliced(judged: Judged, groups: Mapping[str, IntArray], rng: np.random.Generator) -> tuple[Group, ...]:
    """Return the figures of each group, and how far they are from those of all other rows."""
    found = []
    for name, rows in groups.items():
        others = np.ones(len(judged), dtype=np.bool_)
        others[rows] = False
        own = headline(judged.at(rows), rng)
        rest = headline(judged.at(others), rng) if others.any() else {}
        gaps = {metric: difference(own[metric], rest[metric]) for metric in own if metric in rest}
        found.append(Group(name, len(rows), len(rows) < SMALL, own, gaps))
    return tuple(found)


def difference(first: Estimate, second: Estimate) -> Estimate:
    """Return the difference of two figures of different rows, with its interval.

    The bounds join those of both figures as Zou and Donner (2008) do, Construction of confidence limits about effect
    measures; for shares this is Newcombe's interval.

    Examples
    --------
    >>> gap = difference(Estimate(0.9, 0.85, 0.93), Estimate(0.8, 0.75, 0.84))
    >>> round(gap.value, 2), round(gap.lower, 3), round(gap.upper, 3)
    (0.1, 0.036, 0.158)
    """
    if first.value is None or second.value is None:
        return Estimate(None, None, None, first.reason or second.reason)
    gap = first.value - second.value
    bounds = (first.lower, first.upper, second.lower, second.upper)
    if any(bound is None for bound in bounds):
        return Estimate(gap, None, None, "too few rows for an interval")
    low_1, high_1, low_2, high_2 = (float(bound or 0.0) for bound in bounds)
    lower = gap - sqrt((first.value - low_1) ** 2 + (high_2 - second.value) ** 2)
    upper = gap + sqrt((high_1 - first.value) ** 2 + (second.value - low_2) ** 2)
    return Estimate(gap, lower, upper)


def widest_gaps(groups: Sequence[Group]) -> tuple[Gap, ...]:
    """Return for each figure the widest gap between two groups that are not small.

    The widest of many gaps is wide in part by chance: its interval speaks of these two groups as if they had been named
    beforehand.
    """
    large = [group for group in groups if not group.small]
    found = []
    for metric in large[0].figures if len(large) > 1 else ():
        known = [(group.figures[metric].value, group) for group in large]
        ranked = sorted(
            ((value, group) for value, group in known if value is not None), key=lambda own: own[0]
        )
        if len(ranked) > 1:
            best, worst = ranked[-1][1], ranked[0][1]
            gap = difference(best.figures[metric], worst.figures[metric])
            found.append(Gap(metric, best.name, worst.name, gap))
    return tuple(found)

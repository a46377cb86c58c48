"""From the rows of the benchmark of cost to its table: questions and tokens to a level, with intervals over seeds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as student

# The usual one: what others were run with is told apart.
ENCODER = "minilm"
LEVELS = (0.90, 0.95)
CONFIDENCE = 0.95
Curve = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds; `half` is half the width of its 95 % interval, None for a single run."""

    mean: float
    half: float | None
    n: int

    def text(self, form: str) -> str:
        """Write it out, each number in this form.

        Examples
        --------
        >>> Estimate(0.9312, 0.0049, 5).text(".3f")
        '0.931 ± 0.005'
        """
        return format(self.mean, form) + ("" if self.half is None else f" ± {self.half:{form}}")


@dataclass(frozen=True, slots=True)
class Reached:
    """What it took to reach a level.

    Attributes
    ----------
    runs, of : int
        How many of the runs reached it at all.
    calls, tokens : Estimate or None
        None unless all did: a mean over the lucky ones alone would flatter.
    """

    level: float
    runs: int
    of: int
    calls: Estimate | None
    tokens: Estimate | None


@dataclass(frozen=True, slots=True)
class Line:
    """One contestant under one condition, over its seeds.

    Attributes
    ----------
    asked, agreement, tokens, test_accuracy, seconds : Estimate or None
        At the end; None where it was not measured, or a run did not finish.
    finished : int
        How many of the runs came to their end.
    """

    condition: dict[str, Any]
    contestant: str
    runs: int
    finished: int
    reached: tuple[Reached, ...]
    asked: Estimate | None
    agreement: Estimate | None
    tokens: Estimate | None
    test_accuracy: Estimate | None
    seconds: Estimate | None


def estimate(values: Iterable[float | None]) -> Estimate | None:
    """Return mean and half of the 95 % t-interval; None when there is no value or one is missing.

    Examples
    --------
    >>> estimate([0.9, 0.92, 0.94]).text(".3f")
    '0.920 ± 0.050'
    >>> estimate([0.9, None])
    """
    found = list(values)
    known = [value for value in found if value is not None]
    if not known or len(known) < len(found):
        return None
    n = len(known)
    if n == 1:
        return Estimate(known[0], None, 1)
    spread = float(np.std(known, ddof=1)) / n**0.5
    return Estimate(float(np.mean(known)), float(student.ppf((1 + CONFIDENCE) / 2, n - 1)) * spread, n)


def to_level(along: Sequence[float], agreement: Sequence[float], level: float) -> float | None:
    """Return where a curve first reaches a level, between its points on a straight line; None if it never does.

    Examples
    --------
    >>> round(to_level([0, 100, 200], [0.8, 0.9, 0.94], 0.92))
    150
    >>> to_level([0, 100], [0.95, 0.97], 0.92)
    0.0
    >>> to_level([0, 100], [0.8, 0.9], 0.92)
    """
    for place, value in enumerate(agreement):
        if value < level:
            continue
        if place == 0:
            return float(along[0])
        before, start = agreement[place - 1], along[place - 1]
        return float(start + (along[place] - start) * (level - before) / (value - before))
    return None


def lines(rows: Iterable[dict[str, Any]]) -> list[Line]:
    """Put the rows of each condition and contestant together over their seeds, in the order of their coming."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        condition = {name: value for name, value in row["condition"].items() if name != "seed"}
        groups.setdefault(json.dumps(condition, sort_keys=True), []).append(row)
    return [_line(json.loads(key), [row["figures"] for row in group]) for key, group in groups.items()]


def _line(condition: dict[str, Any], found: list[dict[str, Any]]) -> Line:
    contestant = condition.pop("contestant")
    return Line(
        condition=condition,
        contestant=contestant,
        runs=len(found),
        finished=sum(figures["finished"] for figures in found),
        reached=tuple(_reached(found, level) for level in LEVELS),
        asked=_last(found, "asked"),
        agreement=_last(found, "agreement"),
        tokens=estimate(_at_end(figures, tokens(figures["curve"])) for figures in found),
        test_accuracy=_last(found, "test_accuracy"),
        seconds=estimate(figures["seconds"] if figures["finished"] else None for figures in found),
    )


def tokens(curve: Curve) -> list[float]:
    """Return prompt and completion tokens together at each point."""
    both = zip(curve["prompt_tokens"], curve["completion_tokens"], strict=True)
    return [prompt + completion for prompt, completion in both]


def _reached(found: list[dict[str, Any]], level: float) -> Reached:
    curves = [figures["curve"] for figures in found]
    calls = [to_level(curve["asked"], curve["agreement"], level) for curve in curves]
    spent = [to_level(tokens(curve), curve["agreement"], level) for curve in curves]
    reached = sum(call is not None for call in calls)
    return Reached(level, reached, len(found), estimate(calls), estimate(spent))


def _last(found: list[dict[str, Any]], name: str) -> Estimate | None:
    return estimate(_at_end(figures, figures["curve"][name]) for figures in found)


def _at_end(figures: dict[str, Any], column: list[float]) -> float | None:
    return column[-1] if figures["finished"] and column else None


def table(found: Iterable[Line]) -> str:
    """Return a Markdown table for each condition, the contestants in order of their questions to the levels."""
    groups: dict[str, list[Line]] = {}
    for line in found:
        groups.setdefault(title(line.condition), []).append(line)
    return "\n\n".join(
        "\n".join([f"### {name}", "", *HEAD, *map(_written, sorted(group, key=_rank))])
        for name, group in groups.items()
    )


def name_of(condition: dict[str, Any]) -> str:
    """Return the set's name, with the encoder where it is not the usual one.

    Examples
    --------
    >>> name_of({"set": "clinc150", "encoder": "minilm"}), name_of({"set": "clinc150", "encoder": "static"})
    ('clinc150', 'clinc150 with static')
    """
    encoder = condition.get("encoder", ENCODER)
    return str(condition["set"]) if encoder == ENCODER else f"{condition['set']} with {encoder}"


def title(condition: dict[str, Any]) -> str:
    """Return a condition in words.

    Examples
    --------
    >>> title({"set": "clinc150", "a_label": 5, "error": 0.05, "share": 0.15, "most_pool": 3000})
    'clinc150: 5 labelled a label, simulated expert wrong in 5 %, up to 15 % of 3,000 texts asked'
    """
    pool = "the pool" if condition.get("most_pool") is None else f"{condition['most_pool']:,} texts"
    return (
        f"{name_of(condition)}: {condition['a_label']} labelled a label, simulated expert wrong in"
        f" {condition['error']:.0%}, up to {condition['share']:.0%} of {pool} asked"
    ).replace("%", " %")


HEAD = [
    "| contestant | "
    + " | ".join(f"questions to {level:.2f} | tokens to {level:.2f}" for level in LEVELS)
    + " | questions in all | agreement | tokens in all | test accuracy | seconds |",
    "|---" + "|---" * (2 * len(LEVELS) + 5) + "|",
]


def _rank(line: Line) -> tuple[float, ...]:
    """Fewest questions to the highest level first, then to the lower ones, then the best agreement."""
    calls = [each.calls.mean if each.calls else float("inf") for each in reversed(line.reached)]
    return (*calls, -line.agreement.mean if line.agreement else 0.0)


def _written(line: Line) -> str:
    cells = [line.contestant if line.finished == line.runs else f"{line.contestant} (did not finish)"]
    for each in line.reached:
        none = "not reached" if not each.runs else f"reached in {each.runs} of {each.of}"
        cells += [_cell(each.calls, ",.0f", none), _cell(each.tokens, ",.0f", "-")]
    cells += [_cell(line.asked, ",.0f"), _cell(line.agreement, ".4f"), _cell(line.tokens, ",.0f")]
    cells += [_cell(line.test_accuracy, ".4f"), _cell(line.seconds, ",.0f")]
    return f"| {' | '.join(cells)} |"


def _cell(value: Estimate | None, form: str, none: str = "-") -> str:
    return none if value is None else value.text(form)

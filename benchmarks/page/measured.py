"""The rows of all results, and the runs of one condition side by side."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Curve, name_of, to_level, tokens
from benchmarks.results import Results, Row

OURS = "Vermilion"
# Tools that others made for this work; what is done without any tool is no peer.
PEERS = ("small-text", "scikit-activeml", "SetFit")
FEW, USUAL_ERROR = 5, 0.05
FILES = {
    "cost": "cost.jsonl",
    "small": "cost-small.jsonl",
    "ablation": "ablation.jsonl",
    "speed": "speed.jsonl",
    "scale": "scale.jsonl",
    "worst": "worst.jsonl",
    "new_labels": "new-labels.jsonl",
    "out_of_scope": "out-of-scope.jsonl",
    "guarantees": "guarantees.jsonl",
    "several_labels": "multi-label.jsonl",
    "pairs": "pairs.jsonl",
    "rare_labels": "imbalance.jsonl",
    "hierarchy": "hierarchy.jsonl",
    "service": "service.jsonl",
    "rollout": "rollout.jsonl",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """The rows of each benchmark; none where it was not run."""

    cost: Sequence[Row] = ()
    small: Sequence[Row] = ()
    ablation: Sequence[Row] = ()
    speed: Sequence[Row] = ()
    scale: Sequence[Row] = ()
    worst: Sequence[Row] = ()
    new_labels: Sequence[Row] = ()
    out_of_scope: Sequence[Row] = ()
    guarantees: Sequence[Row] = ()
    several_labels: Sequence[Row] = ()
    pairs: Sequence[Row] = ()
    rare_labels: Sequence[Row] = ()
    hierarchy: Sequence[Row] = ()
    service: Sequence[Row] = ()
    rollout: Sequence[Row] = ()

    @classmethod
    def read(cls, folder: Path) -> Measured:
        """Read every file of results that is there."""
        return cls(**{name: tuple(Results(folder / file).rows()) for name, file in FILES.items()})

    def part(self, name: str) -> list[Row]:
        """Return the rows of one part of the benchmark of speed."""
        return [row for row in self.speed if row["condition"]["part"] == name]

    def files(self) -> Iterator[tuple[str, Sequence[Row]]]:
        """Yield each file of results that has rows."""
        for name, file in FILES.items():
            if rows := getattr(self, name):
                yield file, rows


@dataclass(frozen=True, slots=True)
class Contest:
    """What was run under one condition.

    Attributes
    ----------
    condition : dict
        What holds for all runs.
    runs : dict
        From a contestant, or an ablation's variant, to its figures by seed.
    """

    condition: dict[str, Any]
    runs: dict[str, dict[int, dict[str, Any]]]

    @property
    def is_usual(self) -> bool:
        """Whether this is the condition that the page shows first: few labelled texts, the usual errors."""
        return bool(self.condition["a_label"] == FEW and self.condition["error"] == USUAL_ERROR)

    @property
    def place(self) -> str:
        """Where a figure comes from, in short.

        Examples
        --------
        >>> Contest({"set": "clinc150", "a_label": 5, "error": 0.05}, {}).place
        'clinc150, 5 a label, 5 % wrong'
        """
        known = self.condition
        return f"{name_of(known)}, {known['a_label']} a label, {100 * known['error']:.0f} % wrong"

    def common(self, *names: str) -> list[int]:
        """Return the seeds with which all of these were run: means over other seeds do not compare."""
        return sorted(set.intersection(*(set(self.runs.get(name, ())) for name in names)))

    def calls(self, name: str, level: float, seeds: Iterable[int]) -> float:
        """Return the mean number of questions to a level; infinite where one run never reached it."""
        curves = [self.runs[name][seed]["curve"] for seed in seeds]
        return mean([_reach(curve, level) for curve in curves])

    def last(self, name: str, column: str, seeds: Iterable[int]) -> float | None:
        """Return the mean of a column at the end, or None where a run has none; `tokens` is both kinds together."""
        found = [at_end(self.runs[name][seed], column) for seed in seeds]
        known = [value for value in found if value is not None]
        return mean(known) if known and len(known) == len(found) else None


def mean(values: Sequence[float]) -> float:
    """Return the mean, which is infinite where one value is."""
    return sum(values) / len(values)


def at_end(figures: dict[str, Any], column: str) -> float | None:
    """Return a column's last value, or None where the run did not finish or never measured it."""
    curve = figures["curve"]
    if not figures["finished"] or not curve["asked"]:
        return None
    if column == "tokens":
        return None if curve["prompt_tokens"][-1] is None else tokens(curve)[-1]
    value: float | None = curve[column][-1]
    return value


def _reach(curve: Curve, level: float) -> float:
    calls = to_level(curve["asked"], curve["agreement"], level)
    return float("inf") if calls is None else calls


def contests(rows: Iterable[Row]) -> list[Contest]:
    """Put rows together by their condition, apart from the seed and the contestant."""
    groups: dict[str, Contest] = {}
    for row in rows:
        shared = {
            name: value for name, value in row["condition"].items() if name not in {"seed", "contestant"}
        }
        contest = groups.setdefault(json.dumps(shared, sort_keys=True), Contest(shared, {}))
        runs = contest.runs.setdefault(row["condition"]["contestant"], {})
        runs[row["condition"]["seed"]] = row["figures"]
    return sorted(groups.values(), key=_order)


def _order(contest: Contest) -> tuple[Any, ...]:
    known = contest.condition
    return known["set"], not contest.is_usual, known["a_label"], known["error"]


def is_peer(name: str) -> bool:
    """Tell whether a contestant is another tool.

    Examples
    --------
    >>> is_peer("small-text: BreakingTies"), is_peer("random")
    (True, False)
    """
    return name.startswith(PEERS)

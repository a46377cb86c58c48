"""What a stretch of time looks like in numbers, added up one decision at a time, in memory that does not grow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# A latency is kept to 2 %, so that a month of them is a few hundred numbers.
_STEP = math.log(1.02)
_LEAST_MS = 0.001
GROUPS = ("label", "version", "arm", "decider", "key")


def label_of(record: Mapping[str, Any]) -> str:
    """Return what was answered, as one name.

    Examples
    --------
    >>> label_of({"label": "refund"}), label_of({"labels": ["a", "b"]}), label_of({"abstained": True, "label": "x"})
    ('refund', 'a + b', '(withheld)')
    """
    if record.get("abstained") or record.get("refused"):
        return "(withheld)" if record.get("abstained") else "(out of scope)"
    return name_of(record["labels"]) if "labels" in record else str(record.get("label"))


def name_of(labels: Sequence[str]) -> str:
    """Return one or several labels as one name."""
    return " + ".join(sorted(labels)) or "(none)"


@dataclass(slots=True)
class Counts:
    """What was decided in a stretch of time.

    Attributes
    ----------
    seconds : float
        How long it was.
    groups : mapping of str to Counter
        Decisions by each of `GROUPS`.
    confusion : Counter
        By (what was answered, what is right), where feedback says.
    """

    seconds: float
    decisions: int = 0
    requests: int = 0
    groups: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in GROUPS})
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    _latencies: Counter[int] = field(default_factory=Counter)
    _request: str = ""

    def add(self, record: Mapping[str, Any], right: str | None) -> None:
        """Add one decision, with the right label where it is known."""
        self.decisions += 1
        label = label_of(record)
        version = f"{record.get('name') or 'model'}@{record.get('version') or str(record.get('digest'))[:12]}"
        values = (label, version, record.get("arm"), record.get("decided_by"), record.get("key"))
        for name, value in zip(GROUPS, values, strict=True):
            self.groups[name]["-" if value is None else str(value)] += 1
        if right is not None:
            self.confusion[label, right] += 1
        # The decisions of one request stand beside each other, and took the same time.
        if (request := str(record.get("request"))) != self._request or request == "None":
            self._request = request
            self.requests += 1
            if isinstance(latency := record.get("latency_ms"), int | float):
                self._latencies[round(math.log(max(latency, _LEAST_MS)) / _STEP)] += 1

    def latency(self, quantile: float) -> float | None:
        """Return the milliseconds that a share of the requests took at most, to 2 %."""
        wanted, seen = quantile * self._latencies.total(), 0
        for step in sorted(self._latencies):
            seen += self._latencies[step]
            if seen >= wanted:
                return round(math.exp(step * _STEP), 3)
        return None

    @property
    def told(self) -> int:
        """Of how many decisions feedback says what is right."""
        return self.confusion.total()

    @property
    def wrong(self) -> int:
        """Of how many of them it says something else."""
        return sum(count for (answered, right), count in self.confusion.items() if answered != right)

    def figures(self) -> dict[str, Any]:
        """Return everything as plain JSON."""
        return {
            "seconds": self.seconds,
            "decisions": self.decisions,
            "requests": self.requests,
            "latency_ms": {f"p{round(100 * q)}": self.latency(q) for q in (0.5, 0.95, 0.99)},
            "feedback": {"told": self.told, "wrong": self.wrong},
            "confusion": [
                {"answered": answered, "right": right, "count": count}
                for (answered, right), count in self.confusion.most_common()
            ],
            **{f"by {name}": dict(found.most_common()) for name, found in self.groups.items()},
        }

"""What a comparison of encoders found, as values and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vermilion.choose.encoders_sheet import Sheet
from vermilion.learn.bootstrap import Estimate
from vermilion.learn.encoder_choice import Choice, Scores

# Even an encoder of one thread keeps a core at work, where the machine has nothing else to do.
BUSY = 0.7


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate.

    Attributes
    ----------
    name : str
    dimension : int
    figures : dict of str to Estimate
        By the keys of the sheet's figures.
    scores : dict of str to Scores
        What the figures that decide are the means of, to be compared text by text or fold by fold.
    shots : dict of int to Estimate
        Accuracy, or what the sheet's curve shows, by labelled examples a label.
    speed, slowest, fastest : float
        Texts a second: median, least and most of the turns.
    memory : int or None
        Peak bytes of a process of its own; None where the encoder runs elsewhere.
    cost : float or None
        US dollars for a million texts.
    cores : float or None
        Cores at work while the speed was measured; None where the encoder runs elsewhere.
    """

    name: str
    dimension: int
    figures: dict[str, Estimate]
    scores: dict[str, Scores]
    shots: dict[int, Estimate]
    speed: float
    slowest: float
    fastest: float
    memory: int | None
    cost: float | None
    cores: float | None = None


@dataclass(frozen=True, slots=True)
class Tuned:
    """A model fine-tuned on a few texts of each label: its accuracy by their number, and the seconds it took."""

    name: str
    shots: dict[int, Estimate]
    scores: dict[int, Scores]
    seconds: dict[int, float]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to take for one purpose, and why, in a sentence."""

    purpose: str
    sentence: str
    choice: Choice


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that was found.

    Attributes
    ----------
    sheet : Sheet
        Which figures there are.
    source : str
    given, distinct, used, labels : int
        Texts or pairs in the data, those that differ, those that were used; labels.
    folds, seed : int
    rows : tuple of Row
        In the order of the candidates.
    tuned : tuple of Tuned
    recommendations : tuple of Recommendation
    tuning : str
        What fine-tuning gained, in a sentence; empty where none was tried.
    versions : dict of str to str
    gains : tuple of str
        Of pairs: what learning gained over the cosine alone, a sentence each.
    """

    sheet: Sheet
    source: str
    given: int
    distinct: int
    used: int
    labels: int
    folds: int
    seed: int
    rows: tuple[Row, ...]
    tuned: tuple[Tuned, ...]
    recommendations: tuple[Recommendation, ...]
    tuning: str
    versions: dict[str, str]
    gains: tuple[str, ...] = ()

    def protocol(self) -> list[str]:
        """Return how it was measured, a sentence each."""
        what = f"{self.sheet.curve.example}s"
        few = self.used < self.distinct
        drawn = f", {self.used:,} of them drawn at random, of each label its share" if few else ""
        return [
            f"{self.given:,} {what}, {self.distinct:,} of which differ{drawn}; {self.labels:,} labels; "
            f"seed {self.seed}.",
            f"Every encoder sees the same {self.folds} folds. C of the linear probe is chosen within the first "
            f"fold's training {what}.",
            f"Intervals are of 95 %. {self.sheet.spread}",
            "A recommendation takes the fastest of those whose difference to the best is within the noise: its "
            "interval holds 0, at 95 % for all comparisons of a purpose together.",
        ]

    def doubts(self) -> list[str]:
        """Return a line on the encoders whose speed was measured while the machine had other work."""
        starved = [row.name for row in self.rows if row.cores is not None and row.cores < BUSY]
        if not starved:
            return []
        return [
            f"The machine had other work while {', '.join(starved)} ran: the speed told is too low, and so may be the "
            "order by speed. Compare again on an idle one, with another --out and these vectors as --vectors."
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return comparison.json."""
        return {
            "data": {
                "source": self.source,
                "texts": self.given,
                "distinct": self.distinct,
                "used": self.used,
                "labels": self.labels,
            },
            "folds": self.folds,
            "seed": self.seed,
            "protocol": self.protocol(),
            "encoders": [_row_dict(row) for row in self.rows],
            "fine_tuned": [_tuned_dict(tuned) for tuned in self.tuned],
            "left_out": list(self.sheet.left_out),
            "gains": list(self.gains),
            "doubts": self.doubts(),
            "recommendations": {one.purpose: _recommended(one) for one in self.recommendations},
            "fine_tuning": self.tuning,
            "versions": self.versions,
        }


def _row_dict(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "dimension": row.dimension,
        **{key: estimate.as_dict() for key, estimate in row.figures.items()},
        "few_shot": {str(each): estimate.as_dict() for each, estimate in row.shots.items()},
        "texts_per_second": {
            "value": row.speed,
            "lower": row.slowest,
            "upper": row.fastest,
            "cores": row.cores,
        },
        "memory_bytes": row.memory,
        "usd_per_million_texts": row.cost,
    }


def _tuned_dict(tuned: Tuned) -> dict[str, Any]:
    return {
        "name": tuned.name,
        "few_shot": {str(each): estimate.as_dict() for each, estimate in tuned.shots.items()},
        "seconds": {str(each): seconds for each, seconds in tuned.seconds.items()},
    }


def _recommended(one: Recommendation) -> dict[str, Any]:
    told = asdict(one.choice)
    behind = {name: estimate.as_dict() for name, estimate in one.choice.behind.items()}
    return {
        "encoder": told["taken"],
        "best": told["best"],
        "within_noise": told["tied"],
        "behind_best": behind,
        "sentence": one.sentence,
    }

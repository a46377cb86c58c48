"""What an evaluation found, as one value that the terminal, the JSON files and the page are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vermilion.learn.bootstrap import CONFIDENCE, RESAMPLES, Estimate
from vermilion.learn.calibration_metrics import ReliabilityBin
from vermilion.learn.metrics_compared import Comparison
from vermilion.learn.metrics_confusion import Confusions
from vermilion.learn.metrics_labels import LabelScore
from vermilion.learn.metrics_ranking import Curve
from vermilion.learn.metrics_slices import Gap, Group
from vermilion.learn.metrics_tree import Level

METHOD = (
    "normal, with the standard error of the bootstrap over texts, or over queries with all their pairs, on the "
    "logit scale for shares, Fisher's z for mcc, the logarithm for losses; the outer bounds of percentile and basic "
    "bootstrap for ece; Wilson's for single labels, and where a figure is at the end of its range"
)


@dataclass(frozen=True, slots=True)
class Sliced:
    """The groups of one column, the commonest first, and the widest gaps between those that are not small."""

    column: str
    groups: tuple[Group, ...]
    widest: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class Pictures:
    """What the page draws: curves of each label that occurs or of all, and the reliability diagram's bins.

    Attributes
    ----------
    roc, pr : mapping of str to Curve
        By a label's name; the pooled curve of many labels goes by "all labels".
    reliability : tuple of ReliabilityBin
    matrix : tuple of (labels, rows of counts), or None
        The whole confusion matrix, where it is small enough to be read.
    """

    roc: Mapping[str, Curve]
    pr: Mapping[str, Curve]
    reliability: tuple[ReliabilityBin, ...]
    matrix: tuple[tuple[str, ...], tuple[tuple[int, ...], ...]] | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model is worth on texts whose labels are known.

    Attributes
    ----------
    model, test : str
        As they were named.
    sha256 : str
        Of the test's texts and labels.
    names : tuple of str
        The model's labels, by number.
    known : int
        Labels that the model has learned from texts of their own; groups may have none.
    metrics : mapping of str to Estimate
    labels : tuple of LabelScore
        Of each label that occurs in the test or was predicted.
    against : str
        The other model; empty where there is none.
    notes : tuple of str
        What a reader must know before he believes the figures.
    """

    model: str
    test: str
    sha256: str
    task: str
    decision: str
    texts: int
    seed: int
    names: tuple[str, ...]
    known: int
    metrics: Mapping[str, Estimate]
    labels: tuple[LabelScore, ...]
    confusions: Confusions
    pictures: Pictures
    levels: tuple[Level, ...] = ()
    slices: tuple[Sliced, ...] = ()
    against: str = ""
    comparison: Comparison | None = None
    notes: tuple[str, ...] = ()
    left_out: int = 0

    def figures(self) -> dict[str, Any]:
        """Return what `--json` prints: each metric with its bounds, and what else was asked for."""
        found: dict[str, Any] = {name: own.as_dict() for name, own in self.metrics.items()}
        if self.slices:
            found["slices"] = [_slice(own) for own in self.slices]
        if self.comparison is not None:
            found["comparison"] = {"against": self.against, **_comparison(self.comparison)}
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return all that evaluation.json holds."""
        figures = self.figures()
        return {
            "model": self.model,
            "test": {"source": self.test, "sha256": self.sha256, "left_out": self.left_out},
            "task": self.task,
            "decision": self.decision,
            "texts": self.texts,
            "labels_known": self.known,
            "interval": {
                "confidence": CONFIDENCE,
                "resamples": RESAMPLES,
                "seed": self.seed,
                "method": METHOD,
            },
            "notes": list(self.notes),
            "metrics": {name: figures[name] for name in self.metrics},
            **({"levels": [asdict(own) for own in self.levels]} if self.levels else {}),
            "labels": [self._label(score) for score in self.labels],
            "confusions": self._confusions(),
            "reliability": [asdict(own) for own in self.pictures.reliability],
            **{name: figures[name] for name in ("slices", "comparison") if name in figures},
        }

    def _label(self, score: LabelScore) -> dict[str, Any]:
        counts = {"texts": score.support, "predicted": score.predicted, "right": score.right}
        figures = {"precision": score.precision, "recall": score.recall, "f1": score.f1}
        return {
            "label": self.names[score.label],
            **counts,
            **{k: v.as_dict() for k, v in figures.items()},
        }

    def _confusions(self) -> dict[str, Any]:
        own, names = self.confusions, self.names
        return {
            "errors": own.errors,
            "pairs": [
                {
                    "true": names[p.true],
                    "predicted": names[p.predicted],
                    "count": p.count,
                    "share": p.share,
                }
                for p in own.pairs
            ],
            "groups": [
                {"labels": [names[n] for n in g.labels], "errors": g.errors, "texts": g.texts}
                for g in own.groups
            ],
        }


def _slice(sliced: Sliced) -> dict[str, Any]:
    groups = [
        {
            "group": group.name,
            "texts": group.n,
            "small": group.small,
            **{name: own.as_dict() for name, own in group.figures.items()},
            "gap_to_others": {name: own.as_dict() for name, own in group.gaps.items()},
        }
        for group in sliced.groups
    ]
    widest = {
        gap.metric: {"most": gap.first, "least": gap.second, **gap.gap.as_dict()} for gap in sliced.widest
    }
    return {"column": sliced.column, "groups": groups, "widest_gaps": widest}


def _comparison(comparison: Comparison) -> dict[str, Any]:
    right = comparison.right
    lower, upper = right.gain_interval((1 - CONFIDENCE) / 2)
    return {
        "right": {
            "both": right.both,
            "model_only": right.first_only,
            "against_only": right.second_only,
            "neither": right.neither,
            "difference": {
                "value": right.gain,
                "lower": lower,
                "upper": upper,
                "p_value": right.p_value,
            },
            "test": "McNemar, exact; interval by Newcombe",
        },
        "differences": {name: asdict(own) for name, own in comparison.differences.items()},
        "test": "paired bootstrap",
    }

"""What is measured, and how it is told, for each kind of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vermilion.choose import encoders_measures as one
from vermilion.choose import encoders_measures_pairs as pairs
from vermilion.choose import encoders_measures_several as several
from vermilion.choose.encoders_data import Bench, PairsBench, RightPairsBench, SeveralBench
from vermilion.choose.encoders_sheet import CLASSES_OF_PAIRS, ONE_LABEL, RIGHT_PAIRS, SEVERAL_LABELS, Sheet
from vermilion.learn.bootstrap import Estimate
from vermilion.learn.encoder_choice import Scores

# Changes with what is measured, so that parts of an older version are not taken for those of this one.
VERSION = 2


@dataclass(frozen=True, slots=True)
class Suite:
    """The measures of one kind of data.

    Attributes
    ----------
    sheet : Sheet
    measures : dict of str to Measure
        In this order: a measure may use what those before it found. One is called `few_shot`.
    figures : callable
        From the data and the finished parts: what figures are the means of, and those that are no means.
    """

    sheet: Sheet
    measures: Mapping[str, one.Measure]
    figures: Callable[[Any, one.Parts], tuple[dict[str, Scores], dict[str, Estimate]]]


SUITES: dict[type[Bench], Suite] = {
    Bench: Suite(ONE_LABEL, one.MEASURES, one.figures),
    SeveralBench: Suite(SEVERAL_LABELS, several.MEASURES, several.figures),
    PairsBench: Suite(CLASSES_OF_PAIRS, pairs.CLASSES, pairs.figures_of_classes),
    RightPairsBench: Suite(RIGHT_PAIRS, pairs.RIGHT, pairs.figures_of_right),
}

"""Learning texts that may have several labels: what was chosen, told and refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vermilion.choose.lesson import Lesson
from vermilion.choose.several_labels import learn_several_labels, thresholds_for
from vermilion.config import Goal, TrainSettings
from vermilion.errors import InputError
from vermilion.learn.decision_rules import Thresholds
from vermilion.types import Label


def make_lesson(n: int = 200, settings: TrainSettings = TrainSettings(head="one-vs-rest")) -> Lesson:  # noqa: B008
    """Return texts of three labels, the last rare; some have none."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 6))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    Y = X[:, :3] + 0.2 * rng.normal(size=(n, 3)) > [0.2, 0.3, 0.6]
    rows = tuple(tuple(np.flatnonzero(on).tolist()) for on in Y)
    return Lesson(X.astype(np.float32), rows, tuple(map(Label, "abc")), "multi-label", settings)


def test_each_label_has_its_threshold_and_f1_gains() -> None:
    lesson = make_lesson()
    learned = learn_several_labels(lesson)
    assert isinstance(learned.rule, Thresholds)
    assert len(learned.rule.values) == 3
    assert (learned.kind, learned.rule.chosen_by) == ("one-vs-rest", "auto")
    told = learned.findings["held_out"]
    assert told["f1_macro"] > told["f1_macro_at_half"]
    assert "texts have none" in dict(learned.lines)["labels a text"]


def test_goals_are_reached_label_by_label() -> None:
    rng = np.random.default_rng(0)
    proba = rng.random((2000, 2)) ** [1, 3]
    Y = rng.random(proba.shape) < proba
    assert thresholds_for(Goal("fixed", 0.3), proba, Y).tolist() == [0.3, 0.3]
    chosen = proba >= thresholds_for(Goal("precision", 0.9), proba, Y)
    assert ((chosen & Y).sum(axis=0) / chosen.sum(axis=0)).min() >= 0.9
    chosen = proba >= thresholds_for(Goal("recall", 0.9), proba, Y)
    assert ((chosen & Y).sum(axis=0) / Y.sum(axis=0)).min() >= 0.9


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"head": "flat"}, "--head: expected a head out of auto, one-vs-rest, stacked, found 'flat'"),
        ({"imbalance": "smote"}, "--imbalance: expected auto or none where texts have several labels"),
    ],
)
def test_what_is_for_one_label_a_text_is_refused(changed: dict[str, str], words: str) -> None:
    lesson = make_lesson()
    settings = TrainSettings(**changed)  # type: ignore[arg-type]
    with pytest.raises(InputError) as refused:
        learn_several_labels(replace(lesson, settings=settings))
    assert words in str(refused.value)

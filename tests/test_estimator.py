"""The estimator: what it is told becomes the run's settings, and scikit-learn's rules hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from vermilion import RedClassifier
from vermilion.config import RunSettings
from vermilion.errors import InputError

TEXTS = [
    *("where is my card?", "my card has not come", "when will the card arrive?", "card still on its way"),
    *("I want my money back", "refund me please", "how do I get a refund?", "return my money"),
    *("what is the weather like?", "will it rain today?", "is it sunny in Paris?", "any snow tomorrow?"),
]
LABELS = [label for label in ("card arrival", "refund", "weather") for _ in range(4)]
POOL = ["the card is late", "give my money back", "rain or sun tomorrow?", "has my card been sent?"]


def compared(**given: Any) -> list[str]:
    classifier = RedClassifier(encoder="static", head="flat", **given).fit(TEXTS, LABELS, POOL)
    assert classifier.predict(POOL).tolist() == ["card arrival", "refund", "weather", "card arrival"]
    assert [decision.label for decision in classifier.decisions_] == classifier.predict(POOL).tolist()
    return [trial.head for trial in classifier.summary_.heads_compared]


def test_names_and_pool_are_learned_from_only_where_they_may_be() -> None:
    assert compared(use_names=False, use_pool=False) == ["flat"]
    assert compared(use_pool=False) == ["flat", "flat + label names"]
    assert compared(use_names=False) == ["flat", "flat + pool"]
    assert len(compared()) == 3


def test_defaults_are_those_of_a_run() -> None:
    given, settings = RedClassifier().get_params(), RunSettings()
    told = [given[name] for name in ("encoder", "head", "target", "rounds", "use_names", "use_pool")]
    assert told == [
        *(settings.encoder, settings.head, settings.target, settings.rounds, settings.names, settings.pool)
    ]


def test_a_clone_has_the_same_parameters() -> None:
    classifier = RedClassifier(encoder="minilm+static", use_names=False, use_pool=False, rounds=3)
    assert clone(classifier).get_params() == classifier.get_params()


def test_probabilities_have_a_column_a_class() -> None:
    classifier = RedClassifier(encoder="static", head="flat").fit(TEXTS, LABELS)
    proba = classifier.predict_proba(POOL)
    assert classifier.classes_.tolist() == ["card arrival", "refund", "weather"]
    assert proba.shape == (4, 3)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, atol=1e-6)


def test_labels_of_another_number_than_texts_are_refused() -> None:
    with pytest.raises(InputError, match="12 texts, 11 labels"):
        RedClassifier(encoder="static").fit(TEXTS, LABELS[1:])

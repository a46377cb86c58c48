"""Learning from labelled texts as a scikit-learn estimator: texts in, labels out, for every task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from vermilion.choose.card import render_card
from vermilion.choose.train import train
from vermilion.config import TrainSettings
from vermilion.errors import InputError
from vermilion.learn.decision_rules import Tree
from vermilion.types import FloatArray, Label, Texts
from vermilion.world.encoders import load_encoder
from vermilion.world.encoders_pairs import spec_for
from vermilion.world.models import save_model
from vermilion.world.pairs import join_pair
from vermilion.world.predictor import Predictor

Text = str | tuple[str, str]
Target = str | Sequence[str]


class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Learn from labelled texts alone; what the task is follows from them.

    Parameters
    ----------
    encoder : str
        As `vermilion train --encoder`.
    head, task, imbalance, threshold : str
        As the options of `vermilion train`; "auto" chooses by cross-validation, and the task by the labels.
    positive : str or None
        Of two labels the one that `threshold` is about; None: the rarer one.
    parents : mapping of label to label, or None
        The parent of each label that has one; makes the task hierarchical.
    random_state : int

    Attributes
    ----------
    classes_ : ndarray of str, shape (K,)
        The order of the columns of `predict_proba`.
    task_ : {"binary", "multi-class", "multi-label", "hierarchical"}
    model_ : SavedModel
    findings_ : dict
        What was compared and chosen.

    Examples
    --------
    >>> texts = ["where is my card?", "card still not here", "I want my money back", "refund me please"]
    >>> clf = TextClassifier(encoder="static").fit(texts, ["card", "card", "refund", "refund"])
    >>> clf.task_, clf.predict(["has my card been sent?"]).tolist()
    ('binary', ['card'])

    Lists of labels make it multi-label, and a text is a pair where it is a tuple of two.

    >>> clf = TextClassifier(encoder="static").fit(texts, [["card"], ["card", "late"], ["refund"], ["refund", "late"]])
    >>> clf.task_, clf.predict_proba(texts).shape
    ('multi-label', (4, 3))
    """

    def __init__(
        self,
        encoder: str = "minilm",
        head: str = "auto",
        task: str = "auto",
        imbalance: str = "auto",
        threshold: str = "auto",
        positive: str | None = None,
        parents: Mapping[str, str] | None = None,
        random_state: int = 0,
    ) -> None:
        self.encoder = encoder
        self.head = head
        self.task = task
        self.imbalance = imbalance
        self.threshold = threshold
        self.positive = positive
        self.parents = parents
        self.random_state = random_state

    def fit(self, X: Sequence[Text], y: Sequence[Target]) -> Self:
        """Learn from texts, or pairs of texts, and a label or a list of labels for each.

        Raises
        ------
        InputError
            X and y differ in length or do not fit each other, or a parameter does not fit them.
        """
        labelled = _labelled(X, y)
        settings = TrainSettings(
            spec_for(self.encoder, labelled),
            self.head,
            self.task,
            self.imbalance,
            self.threshold,
            self.positive,
            self.random_state,
        )
        encoder = load_encoder(settings.encoder)
        known = _tree(labelled, self.parents) if self.parents else None
        self.model_, self._learned, self._texts = train(labelled, known, settings, (encoder, encoder.encode))
        names = [label.name for label in self.model_.labels]
        self.classes_ = np.asarray([names[number] for number in self.model_.head.classes_.tolist()])
        self.task_, self.findings_ = self.model_.task, self._learned.findings
        self._predictor = Predictor(self.model_, encoder)
        return self

    def predict_proba(self, X: Sequence[Text]) -> FloatArray:
        """Return calibrated probabilities, shape (len(X), K); rows sum to 1, but where a text has several labels."""
        check_is_fitted(self)
        return self._predictor.predict_proba(self._predictor.encoder.encode([_text(text) for text in X]))

    def predict(self, X: Sequence[Text]) -> NDArray[Any]:
        """Return the label of each text, shape (len(X),); a tuple of labels where a text may have several."""
        proba = self.predict_proba(X)
        names = np.asarray([label.name for label in self.model_.labels])
        chosen = self.model_.decide(proba)
        if self.task_ != "multi-label":
            rule = self.model_.rule
            depths = rule.depths() if isinstance(rule, Tree) else (0,) * len(names)
            # Of a path down a tree the deepest label.
            places = np.where(chosen, np.asarray(depths), -1).argmax(axis=1)
            labels: NDArray[Any] = names[places]
            return labels
        several = np.empty(len(chosen), dtype=object)
        several[:] = [tuple(names[row].tolist()) for row in chosen]
        return several

    def score(self, X: Sequence[Text], y: Sequence[Target], sample_weight: Any = None) -> float:
        """Return the share of texts whose labels are all right, and no others."""
        right = [
            frozenset(_names(said)) == frozenset(_names(true))
            for said, true in zip(self.predict(X).tolist(), y, strict=True)
        ]
        return float(np.average(right, weights=sample_weight))

    def save(self, folder: str | Path) -> None:
        """Write the model folder that `vermilion predict` and `vermilion evaluate` read."""
        check_is_fitted(self)
        save_model(Path(folder), self.model_, render_card(self.model_, self._learned, self._texts))


def _labelled(X: Sequence[Text], y: Sequence[Target]) -> Texts:
    if len(X) != len(y):
        raise InputError("labels for each text", f"{len(X)} texts, {len(y)} labels", "fit", "give as many")
    if not len(X):
        raise InputError("labelled texts", "none", "fit", "give some of each label")
    texts = tuple(_text(text) for text in X)
    return Texts(tuple(map(str, range(len(texts)))), texts, tuple(_names(names) for names in y), "X")


def _text(text: Text) -> str:
    return text if isinstance(text, str) else join_pair(*text)


def _names(names: Target) -> tuple[str, ...]:
    return (
        (str(names),) if isinstance(names, str) or not isinstance(names, Sequence) else tuple(map(str, names))
    )


def _tree(labelled: Texts, parents: Mapping[str, str]) -> tuple[Label, ...]:
    used = {name for row in labelled.labels or () for name in row} | {*parents, *parents.values()}
    return tuple(Label(name, parent=parents.get(name)) for name in sorted(used))

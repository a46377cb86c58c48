"""The same as a scikit-learn estimator: texts in, labels out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from vermilion.config import Caps, RunSettings
from vermilion.errors import InputError
from vermilion.red.progress import Silent
from vermilion.red.proposals import Model
from vermilion.red.run import Job, Tools, claim, run
from vermilion.types import Expert, FloatArray, Label, Texts
from vermilion.world.encoders import load_encoder
from vermilion.world.experts import NoExpert
from vermilion.world.store import Store


class RedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Learn from labelled texts and, where there is an expert, from a pool.

    Parameters
    ----------
    encoder : str
        minilm, static, st:NAME, openai:NAME, or two of them, as in minilm+static.
    head : {"auto", "flat", "subset", "centroid"}
    expert : Expert or None
        Who answers questions about the pool; None asks nobody.
    max_calls : int or None
        Most questions to the expert.
    target : float
        Agreement with the expert at which to stop, once certified.
    rounds : int
    trust : {"stop", "warn", "off"}
        Where the expert does worse than the head on labelled texts: raise UntrustedExpertError before the pool is
        touched, go on, or do not check.
    use_names, use_pool : bool
        Learn from label names, and from the pool as a whole, where that helps on labelled texts held out.
    out : path or None
        Folder for vectors and answers, in which an interrupted `fit` goes on. None uses a passing one, and is
        refused where an expert could be paid.
    random_state : int

    Attributes
    ----------
    classes_ : ndarray of str, shape (n_labels,)
        The order of the columns of `predict_proba`.
    decisions_ : list of Decision
        One for each text of the pool.
    summary_ : Summary

    Examples
    --------
    >>> texts = ["where is my card?", "card still not here", "I want my money back", "refund me please"]
    >>> labels = ["card_arrival", "card_arrival", "refund", "refund"]
    >>> clf = RedClassifier(encoder="static").fit(texts, labels)
    >>> clf.predict(["has my card been sent?"]).tolist()
    ['card_arrival']
    """

    def __init__(
        self,
        encoder: str = "minilm",
        head: str = "auto",
        expert: Expert | None = None,
        max_calls: int | None = None,
        target: float = 0.95,
        rounds: int = 20,
        trust: str = "stop",
        use_names: bool = True,
        use_pool: bool = True,
        out: str | Path | None = None,
        random_state: int = 0,
    ) -> None:
        self.encoder = encoder
        self.head = head
        self.expert = expert
        self.max_calls = max_calls
        self.target = target
        self.rounds = rounds
        self.trust = trust
        self.use_names = use_names
        self.use_pool = use_pool
        self.out = out
        self.random_state = random_state

    def fit(self, X: Sequence[str], y: Sequence[str], pool: Sequence[str] = ()) -> Self:
        """Learn from texts X with labels y, and from the pool's answers.

        Raises
        ------
        InputError
            X and y differ in length, or answers that cost something would have no place to stay.
        UntrustedExpertError
            The expert, a model, does worse than the head on X.
        """
        labelled, texts = _checked(X, y), Texts(tuple(map(str, range(len(pool)))), tuple(pool), None, "pool")
        expert = self.expert if self.expert is not None and pool else NoExpert()
        settings = RunSettings(
            encoder=self.encoder,
            head=self.head,  # type: ignore[arg-type]
            expert=expert.name,
            target=self.target,
            rounds=self.rounds,
            trust=self.trust,  # type: ignore[arg-type]
            names=self.use_names,
            pool=self.use_pool,
            seed=self.random_state,
            caps=Caps(max_calls=self.max_calls),
        ).checked()
        names = sorted({row[0] for row in labelled.labels or ()})
        job = Job(labelled, texts, tuple(Label(name) for name in names))
        self._encoder = load_encoder(self.encoder)
        with self._folder(expert) as folder, Store.open(folder / "run.sqlite") as store:
            claim(store, job, settings, str(folder))
            tools = Tools(self._encoder, lambda problem: expert, store, folder / "vectors", Silent())
            result = run(job, settings, tools)
        assert result is not None
        self.classes_ = np.asarray(names)
        self.decisions_, self.summary_ = result.ran.decisions, result.summary
        self._model: Model = result.ran.outcome.model
        return self

    @contextmanager
    def _folder(self, expert: Expert) -> Iterator[Path]:
        if self.out is not None:
            folder = Path(self.out)
            folder.mkdir(parents=True, exist_ok=True)
            yield folder
            return
        if not expert.simulated and not isinstance(expert, NoExpert):
            raise InputError("a folder that keeps the expert's answers", "None", "out", "give out='my-run'")
        with tempfile.TemporaryDirectory() as passing:
            yield Path(passing)

    def predict_proba(self, X: Sequence[str]) -> FloatArray:
        """Return calibrated probabilities, shape (len(X), n_labels)."""
        return self._model.predict_proba(self._encoder.encode(list(X)))

    def predict(self, X: Sequence[str]) -> NDArray[Any]:
        """Return the likeliest label of each text, shape (len(X),)."""
        labels: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels


def _checked(X: Sequence[str], y: Sequence[str]) -> Texts:
    if len(X) != len(y):
        raise InputError("a label for each text", f"{len(X)} texts, {len(y)} labels", "fit", "give as many")
    if not len(X):
        raise InputError("labelled texts", "none", "fit", "give some of each label")
    return Texts(tuple(map(str, range(len(X)))), tuple(X), tuple((str(label),) for label in y), "X")

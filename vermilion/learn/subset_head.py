"""The subset head of R.E.D.: small classifiers with a noise class, and an arbiter between their winners."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from vermilion.learn.calibration import log_proba
from vermilion.learn.calibration import softmax as softmax_rows
from vermilion.learn.centroid import CentroidHead
from vermilion.learn.division import Division, fingerprint
from vermilion.learn.flat import FlatHead, check_solver_params, checked_rows, checked_vectors
from vermilion.learn.softmax_fit import Solver, Weights, choose_c, fit_softmax
from vermilion.learn.subsets import greedy_subsets, label_vectors, place_label, reduced, unit_rows
from vermilion.types import BoolArray, FloatArray, IntArray

ARBITERS = ("flat", "centroid", "none")
NOISES = ("random", "hard")
# How much a winner's own classifier counts beside the arbiter, best of 0, 0.3, 0.6 and 1 (docs/design/heads.md).
OWN_SHARES = {"flat": 0.0, "centroid": 1.0}


class SubsetHead(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """R.E.D.: labels divided into subsets, each with a classifier of its labels and noise, and an arbiter.

    A text goes through all subset classifiers. Each proposes its best label, its winner; the arbiter decides
    between the winners. Similar labels are in different subsets on purpose, so the subset classifiers alone
    (`arbiter="none"`: the largest probability wins) lose some points; docs/design/heads.md has the numbers.

    Parameters
    ----------
    subset_size : int
        The most labels in a subset.
    noise_ratio : float
        Rows of the noise class, in units of the subset's average class.
    noise : {"random", "hard"}
        Which texts of the other subsets are noise: any, or those nearest to the subset's labels.
    arbiter : {"flat", "centroid", "none"}
    C, cv, max_iter, random_state
        As in FlatHead; C holds for the subset classifiers and the arbiter.
    reduce : None or "umap"
        Divide by label vectors as they are, or reduced by UMAP.
    warm_start : bool
        Later fits keep the division, place new labels where they fit, and retrain only the subsets whose own
        rows changed; the others stay bit for bit.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
    subset_of_ : ndarray of int, shape (K,)
        The subset of each class.
    C_ : float
    n_subsets_refitted_ : int
        How many subset classifiers the last fit trained.
    n_iter_ : int
        The most L-BFGS iterations any of them took.
    n_features_in_ : int

    Examples
    --------
    >>> X = np.eye(4, dtype=np.float32).repeat(3, axis=0)
    >>> head = SubsetHead(subset_size=2, C=10.0).fit(X, np.repeat(["a", "b", "c", "d"], 3))
    >>> head.predict(np.eye(4, dtype=np.float32)).tolist(), int(head.subset_of_.max()) + 1
    (['a', 'b', 'c', 'd'], 2)
    """

    def __init__(  # noqa: PLR0913, PLR0917 (an estimator's parameters are its arguments)
        self,
        subset_size: int = 10,
        noise_ratio: float = 2.0,
        noise: Literal["random", "hard"] = "random",
        arbiter: Literal["flat", "centroid", "none"] = "flat",
        C: float | Literal["cv"] = "cv",
        cv: int = 3,
        max_iter: int = 300,
        reduce: Literal["umap"] | None = None,
        warm_start: bool = True,
        random_state: int = 0,
    ) -> None:
        self.subset_size = subset_size
        self.noise_ratio = noise_ratio
        self.noise = noise
        self.arbiter = arbiter
        self.C = C
        self.cv = cv
        self.max_iter = max_iter
        self.reduce = reduce
        self.warm_start = warm_start
        self.random_state = random_state

    def fit(self, X: FloatArray, y: NDArray[Any]) -> Self:
        """Learn from rows of X, shape (n, d), and labels y, shape (n,).

        Raises
        ------
        ValueError
            As scikit-learn's rules ask: shapes, types, missing values, a parameter out of its range.
        MissingExtraError
            `reduce="umap"` without umap-learn.
        """
        self._check_params()
        X, classes, codes, _ = checked_rows(self, X, y, self.random_state)
        division = self._divided(X, classes, codes)
        self.C_ = self._chosen_c(X, codes)
        self.classes_, self._rows = classes, (X, codes)
        self._train_changed(X, codes, division)
        self.division_, self.subset_of_ = division, division.subset_of
        self._train_arbiter(X, classes[codes])
        return self

    def add_labels(self, X: FloatArray, y: NDArray[Any]) -> Self:
        """Learn labels that were not known, from their rows alone.

        Each goes to the most dissimilar subset with room, or to a new one; only these subsets are trained.
        The rows of the fit are remembered for this, but not by `to_tensors`: a restored head is given all
        rows by `fit`, which leaves the other subsets untouched likewise.

        Raises
        ------
        ValueError
            A label is known already, or the head was restored.
        NotFittedError
        """
        X = checked_vectors(self, X)
        known = np.intersect1d(self.classes_, y)
        if len(known):
            raise ValueError(f"labels {known[:3].tolist()} are known; give all rows to fit instead")
        if not hasattr(self, "_rows"):
            raise ValueError("a restored head does not hold its rows; give all rows to fit instead")
        rows, codes = self._rows
        warm, self.warm_start = self.warm_start, True
        try:
            return self.fit(np.concatenate([rows, X]), np.concatenate([self.classes_[codes], np.asarray(y)]))
        finally:
            self.warm_start = warm

    def _check_params(self) -> None:
        check_solver_params(self)
        if not isinstance(self.subset_size, Integral) or self.subset_size < 1:
            raise ValueError(f"subset_size must be a whole number from 1, got {self.subset_size!r}")
        if not (isinstance(self.noise_ratio, Real) and 0 < self.noise_ratio < np.inf):
            raise ValueError(f"noise_ratio must be a positive number, got {self.noise_ratio!r}")
        for name, choices in (("noise", NOISES), ("arbiter", ARBITERS), ("reduce", (None, "umap"))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")

    def _chosen_c(self, X: FloatArray, codes: IntArray) -> float:
        if self.C != "cv":
            return float(self.C)
        if self.warm_start and hasattr(self, "C_"):
            return float(self.C_)
        return choose_c(X, codes, self.cv, self.max_iter, self.random_state)

    def tuned(self, X: FloatArray, y: NDArray[Any]) -> Self:
        """Return an unfitted copy with C chosen on these rows, for comparing heads without choosing again."""
        self._check_params()
        head: Self = clone(self)
        X, _, codes, _ = checked_rows(head, X, y, self.random_state)
        return head.set_params(C=self._chosen_c(X, codes))  # type: ignore[no-any-return]

    def _divided(self, X: FloatArray, classes: NDArray[Any], codes: IntArray) -> Division:
        """Return the division to train: the one known, with new labels placed, or a first one."""
        vectors = label_vectors(X, codes, len(classes))
        if not self._continues(X, classes):
            if self.reduce == "umap":
                vectors = reduced(vectors, self.random_state)
            subset_of = np.empty(len(classes), dtype=np.int64)
            for number, members in enumerate(greedy_subsets(vectors, self.subset_size)):
                subset_of[members] = number
            return Division.unlearned(subset_of, X)
        place = np.searchsorted(classes, self.classes_)
        subset_of = np.full(len(classes), -1, dtype=np.int64)
        subset_of[place] = self.subset_of_
        for label in np.flatnonzero(subset_of < 0):
            known = subset_of >= 0
            subset_of[label] = place_label(vectors[label], vectors[known], subset_of[known], self.subset_size)
        return self.division_.moved(place, subset_of, X)

    def _continues(self, X: FloatArray, classes: NDArray[Any]) -> bool:
        """Tell whether what is known can be built upon: no label went away, the vectors are as wide."""
        if not self.warm_start or not hasattr(self, "division_"):
            return False
        same_width = self.division_.own.coef.shape[1] == X.shape[1]
        return same_width and bool(np.isin(self.classes_, classes).all())

    def _train_changed(self, X: FloatArray, codes: IntArray, division: Division) -> None:
        """Train the classifiers whose own rows or labels are not those they have learned from."""
        self.n_subsets_refitted_, self.n_iter_ = 0, 1
        for number in range(len(division.fingerprints)):
            members = np.flatnonzero(division.subset_of == number)
            own = np.isin(codes, members)
            seen = fingerprint(X[own], self.classes_[codes[own]], [self.C_, len(division.fingerprints) == 1])
            if seen == division.fingerprints[number]:
                continue
            noise = self._noise_rows(X, own, division, number)
            n_iter = self._train_one(X, codes, division, (number, np.flatnonzero(own), noise))
            division.fingerprints[number] = seen
            self.n_subsets_refitted_ += 1
            self.n_iter_ = max(self.n_iter_, n_iter)

    def _train_one(
        self, X: FloatArray, codes: IntArray, division: Division, what: tuple[int, IntArray, IntArray]
    ) -> int:
        """Train one classifier on its own rows and noise rows, write its weights; return iterations."""
        number, own, noise = what
        members = np.flatnonzero(division.subset_of == number)
        local = np.concatenate([np.searchsorted(members, codes[own]), np.full(len(noise), len(members))])
        solver, old = Solver(self.C_, self.max_iter), division.own
        if not len(noise):  # the only subset: it has nothing to tell its labels from
            start = Weights(old.coef[members], old.intercept[members])
            fit = fit_softmax(X[own], local, start, solver)
            division.noise.intercept[number] = -np.inf
        else:
            intercept = np.nan_to_num(division.noise.intercept[[number]], neginf=0.0)
            start = Weights(
                np.vstack([old.coef[members], division.noise.coef[[number]]]),
                np.concatenate([old.intercept[members], intercept]),
            )
            fit = fit_softmax(X[np.concatenate([own, noise])], local, start, solver)
            division.noise.coef[number] = fit.weights.coef[-1]
            division.noise.intercept[number] = fit.weights.intercept[-1]
        old.coef[members] = fit.weights.coef[: len(members)]
        old.intercept[members] = fit.weights.intercept[: len(members)]
        return fit.n_iter

    def _noise_rows(self, X: FloatArray, own: BoolArray, division: Division, number: int) -> IntArray:
        """Return the rows of other subsets that stand for noise; one may come several times."""
        others = np.flatnonzero(~own)
        n_members = int((division.subset_of == number).sum())
        count = max(round(self.noise_ratio * own.sum() / n_members), 1)
        if not len(others):
            return others
        if self.noise == "hard":
            codes = self._rows[1]
            members, local = np.unique(codes[own], return_inverse=True)
            vectors = label_vectors(X[own], local, len(members))
            nearness = (unit_rows(X[others]) @ vectors.T).max(axis=1)
            return np.resize(others[np.argsort(-nearness, kind="stable")][:count], count)
        rng = np.random.default_rng([self.random_state, number])
        drawn: IntArray = rng.choice(others, size=count, replace=count > len(others))
        return drawn

    def _train_arbiter(self, X: FloatArray, y: NDArray[Any]) -> None:
        known = getattr(self, "arbiter_", None)
        if self.arbiter == "flat":
            flat = known if self.warm_start and isinstance(known, FlatHead) else FlatHead()
            self.arbiter_: FlatHead | CentroidHead | None = flat.set_params(
                C=self.C_, max_iter=self.max_iter
            ).fit(X, y)
        else:
            self.arbiter_ = CentroidHead().fit(X, y) if self.arbiter == "centroid" else None

    def _logits(self, X: FloatArray) -> FloatArray:
        """Return the arbiter's score of each winner, and below it those of its subset by their odds to it."""
        own, _ = self.division_.log_proba(X)
        behind = own - self.division_.winners(own)[:, self.subset_of_]
        scores = own
        if self.arbiter_ is not None:
            scores = log_proba(self.arbiter_.predict_proba(X)) + OWN_SHARES[self.arbiter] * own
        winner_scores = self.division_.winners(np.where(behind == 0, scores, -np.inf))
        logits: FloatArray = winner_scores[:, self.subset_of_] + behind
        return logits.astype(X.dtype, copy=False)

    def predict_proba(self, X: FloatArray) -> FloatArray:
        """Return probabilities, shape (n, K); rows sum to 1.

        Winners are in proportion to the arbiter's probabilities, and any other label stands to its subset's
        winner as their own classifier says: the arbiter's winner is always the largest.
        """
        X = checked_vectors(self, X)
        return softmax_rows(self._logits(X))

    def predict(self, X: FloatArray) -> NDArray[Any]:
        """Return the arbiter's choice among the winners for each row, shape (n,)."""
        X = checked_vectors(self, X)
        labels: NDArray[Any] = self.classes_[self._logits(X).argmax(axis=1)]
        return labels

    def noise_score(self, X: FloatArray) -> FloatArray:
        """Return how foreign each row is, from 0 to 1, shape (n,): the least noise probability of any subset.

        A text of a known label is no noise to its own subset; one that is noise to all of them is likely out
        of scope. With a single subset there is no noise, and the score is 0.
        """
        X = checked_vectors(self, X)
        _, noise = self.division_.log_proba(X)
        score: FloatArray = np.exp(noise.min(axis=1))
        return score

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return what was learned as named numeric arrays (without `classes_`)."""
        check_is_fitted(self)
        division = self.division_
        tensors = {
            "subset_of": division.subset_of,
            "coef": division.own.coef,
            "intercept": division.own.intercept,
            "noise_coef": division.noise.coef,
            "noise_intercept": division.noise.intercept,
            "fingerprints": division.fingerprints,
            "C": np.array([self.C_]),
        }
        arbiter = {} if self.arbiter_ is None else self.arbiter_.to_tensors()
        return tensors | {f"arbiter_{name}": values for name, values in arbiter.items()}

    def from_tensors(self, tensors: Mapping[str, NDArray[Any]], classes: NDArray[Any]) -> Self:
        """Restore what `to_tensors` gave, on an unfitted head of the same parameters.

        Raises
        ------
        ValueError
            The arrays do not fit the classes.
        """
        subset_of = np.asarray(tensors["subset_of"])
        if subset_of.shape != (len(classes),) or len(tensors["coef"]) != len(classes):
            raise ValueError(f"{len(classes)} classes need as many subset numbers, got {subset_of.shape}")
        # Copies: training writes into these, and arrays read from a file may not allow it.
        arrays = {name: np.array(values) for name, values in tensors.items()}
        self.division_ = Division(
            subset_of,
            Weights(arrays["coef"], arrays["intercept"]),
            Weights(arrays["noise_coef"], arrays["noise_intercept"]),
            arrays["fingerprints"],
        )
        self.classes_, self.subset_of_, self.C_ = np.asarray(classes), subset_of, float(arrays["C"][0])
        self.n_subsets_refitted_, self.n_iter_, self.n_features_in_ = 0, 0, arrays["coef"].shape[1]
        self.arbiter_ = None
        if self.arbiter != "none":
            own = {name[len("arbiter_") :]: arrays[name] for name in arrays if name.startswith("arbiter_")}
            empty = FlatHead(C=self.C_, max_iter=self.max_iter) if self.arbiter == "flat" else CentroidHead()
            self.arbiter_ = empty.from_tensors(own, classes)
        return self

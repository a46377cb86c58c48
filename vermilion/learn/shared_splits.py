"""One set of splits for every encoder: which rows are held out, and which few are learned from, whatever the vectors.

`learn.folds` deals rows by the values of their vectors, which differ from encoder to encoder. Here the order of the
rows decides, so that two encoders are compared on the same held-out rows, learned from the same others.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedGroupKFold

from vermilion.learn.folds import fold_numbers
from vermilion.learn.threads import SHARED_STEP, block_threads, in_order
from vermilion.types import IntArray

Result = TypeVar("Result")

FOLDS = 5
# A label keeps so many rows in a sample, if it has them.
LEAST_ROWS = 10


@dataclass(frozen=True, slots=True)
class Splits:
    """Folds of labelled rows, and an order of the rows of each label.

    Attributes
    ----------
    codes : ndarray of int, shape (n,)
        Labels, 0 to K-1.
    folds : ndarray of int, shape (n,)
        The fold in which a row is held out; -1: never, since it is alone in its label.
    ranks : ndarray of int, shape (n,)
        The row's place in a random order of its label's rows.
    seed : int
    """

    codes: IntArray
    folds: IntArray
    ranks: IntArray
    seed: int

    @classmethod
    def draw(cls, codes: IntArray, seed: int, folds: int = FOLDS) -> Splits:
        """Deal rows of labels `codes`, shape (n,), out to folds; fewer where no label has as many rows.

        Examples
        --------
        >>> splits = Splits.draw(np.repeat([0, 1, 2], [6, 6, 1]), seed=0, folds=3)
        >>> [len(splits.held(fold)) for fold in splits.numbers], len(splits.training(0)), len(splits.shots(0, 2))
        ([4, 4, 4], 9, 5)
        """
        rng = np.random.default_rng([seed, 31])
        most = min(folds, max(2, int(np.bincount(codes).max())))
        numbers = fold_numbers(codes, rng.permutation(len(codes)), most)
        return cls(codes, numbers, _ranks(codes, rng), seed)

    @classmethod
    def draw_whole(cls, codes: IntArray, groups: IntArray, seed: int, folds: int = FOLDS) -> Splits:
        """Deal rows out so that those of one group are held out together; each fold gets its share of the labels.

        Parameters
        ----------
        codes, groups : ndarray of int, shape (n,)
        seed : int
        folds : int
            Fewer where there are fewer groups, or fewer groups with the rarest label.

        Raises
        ------
        ValueError
            A label has rows in one group only, so that it could not be learned where that is held out.

        Examples
        --------
        >>> splits = Splits.draw_whole(np.tile([0, 1], 6), np.repeat(np.arange(4), 3), seed=0)
        >>> len(splits.numbers), {len(set(splits.folds[start : start + 3])) for start in range(0, 12, 3)}
        (4, {1})
        """
        fewest = min(len(np.unique(groups[codes == code])) for code in np.unique(codes))
        if fewest < 2:
            raise ValueError("each label needs rows in two groups at least")
        numbers = np.empty(len(codes), dtype=np.int64)
        dealer = StratifiedGroupKFold(min(folds, fewest), shuffle=True, random_state=seed)
        for fold, (_, held) in enumerate(dealer.split(np.zeros((len(codes), 1)), codes, groups)):
            numbers[held] = fold
        return cls(codes, numbers, _ranks(codes, np.random.default_rng([seed, 35])), seed)

    @property
    def numbers(self) -> list[int]:
        """The folds that hold rows."""
        return [int(number) for number in np.unique(self.folds[self.folds >= 0])]

    @property
    def labels(self) -> int:
        """How many labels there are."""
        return int(self.codes.max()) + 1

    def held(self, fold: int) -> IntArray:
        """Return the rows held out in a fold."""
        return np.flatnonzero(self.folds == fold)

    def training(self, fold: int) -> IntArray:
        """Return the rows that are learned from in a fold."""
        return np.flatnonzero(self.folds != fold)

    def shots(self, fold: int, each: int) -> IntArray:
        """Return at most `each` training rows of every label; those for fewer are among those for more."""
        rows = self.training(fold)
        order = rows[np.lexsort((self.ranks[rows], self.codes[rows]))]
        starts = np.searchsorted(self.codes[order], self.codes[order])
        few: IntArray = np.sort(order[np.arange(len(order)) - starts < each])
        return few

    def enough_for(self, each: int) -> bool:
        """Tell whether at least half of the labels have `each` training rows in the first fold."""
        sizes = np.bincount(self.codes[self.training(self.numbers[0])], minlength=self.labels)
        return float((sizes >= each).mean()) >= 0.5


def _ranks(codes: IntArray, rng: np.random.Generator) -> IntArray:
    """Return each row's place in a random order of its label's rows, shape (n,)."""
    sizes = np.bincount(codes)
    order = np.lexsort((rng.permutation(len(codes)), codes))
    ranks: IntArray = np.empty(len(codes), dtype=np.int64)
    ranks[order] = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return ranks


def fold_by_fold(function: Callable[[int], Result], numbers: list[int]) -> list[Result]:
    """Return the function's result for each fold; the folds share the cores, which the steps of one fit do less well.

    Examples
    --------
    >>> fold_by_fold(lambda fold: fold + 1, [0, 1, 2])
    [1, 2, 3]
    """
    with warnings.catch_warnings(), block_threads(SHARED_STEP) as threads:
        # One text a label is what is asked for here; scikit-learn suspects a regression.
        warnings.filterwarnings("ignore", "The number of unique classes is greater", UserWarning)
        # Where labels are easy, a loss can be made smaller without end; the labels have long been right.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return list(in_order(function, numbers, threads))


def sample_rows(codes: IntArray, most: int, rng: np.random.Generator) -> IntArray:
    """Return about `most` rows drawn at random, of every label its share, but ten of each that has them.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
    most : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int, ascending
        All rows where there are no more than `most`; somewhat more than `most` where many labels are small.

    Examples
    --------
    >>> rows = sample_rows(np.repeat([0, 1], [900, 12]), 100, np.random.default_rng(0))
    >>> np.bincount(np.repeat([0, 1], [900, 12])[rows]).tolist()
    [99, 10]
    """
    if len(codes) <= most:
        return np.arange(len(codes))
    sizes = np.bincount(codes)
    quotas = np.maximum(np.minimum(sizes, LEAST_ROWS), np.rint(sizes * (most / len(codes))).astype(np.int64))
    order = np.lexsort((rng.permutation(len(codes)), codes))
    place = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rows: IntArray = np.sort(order[place < quotas[codes[order]]])
    return rows


def sample_groups(groups: IntArray, most: int, rng: np.random.Generator) -> IntArray:
    """Return rows of whole groups drawn at random, at most `most`, but of one group at least.

    Parameters
    ----------
    groups : ndarray of int, shape (n,)
        0 to G - 1.
    most : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int, ascending
        All rows where there are no more than `most`.

    Examples
    --------
    >>> rows = sample_groups(np.array([0, 1, 0, 1, 2]), 4, np.random.default_rng(0))
    >>> rows.tolist()
    [0, 2, 4]
    """
    if len(groups) <= most:
        return np.arange(len(groups))
    sizes = np.bincount(groups)
    order = rng.permutation(len(sizes))
    taken = order[: max(int(np.searchsorted(np.cumsum(sizes[order]), most, "right")), 1)]
    rows: IntArray = np.flatnonzero(np.isin(groups, taken))
    return rows

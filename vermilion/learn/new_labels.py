"""New labels for texts that no label fits: groups of near texts, named by their most typical words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_rand_score

from vermilion.learn.folds import row_keys
from vermilion.types import FloatArray, IntArray

# Average linkage holds all pairs in memory: half a million numbers at a thousand texts.
MOST_TEXTS, MOST_LABELLED = 3000, 1500
CUTS = np.arange(0.30, 0.91, 0.05)
DEFAULT_CUT = 0.65
# Fewer texts than this are no label, more groups than this nobody looks through.
LEAST_TEXTS, MOST_GROUPS = 4, 30
NAME_WORDS = 3
WORD = r"(?u)\b[^\W\d_]{2,}\b"


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A proposed label.

    Attributes
    ----------
    name : str
        Its most typical words, the most telling first.
    texts : tuple of int
        Places of its texts, the most typical first.
    """

    name: str
    texts: tuple[int, ...]


def best_cut(X: FloatArray, y: IntArray) -> float:
    """Return the cosine distance at which average linkage finds known labels again best, by the adjusted Rand index.

    Encoders differ in how far apart texts of one label are. With too few rows to tell it is 0.65.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Labelled unit rows.
    y : ndarray of int, shape (n,)

    Examples
    --------
    >>> X = np.repeat(np.eye(3), 4, axis=0)
    >>> 0.2 < best_cut(X, np.repeat([0, 1, 2], 4)) < 1
    True
    """
    rows = np.argsort(row_keys(X), kind="stable")[:MOST_LABELLED]
    if len(rows) < 2 * len(np.unique(y[rows])):
        return DEFAULT_CUT
    tree = _tree(X[rows])
    found = [adjusted_rand_score(y[rows], fcluster(tree, cut, "distance")) for cut in CUTS]
    return float(CUTS[int(np.argmax(found))])


def _tree(X: FloatArray) -> FloatArray:
    """Return the merges of average linkage by cosine distance."""
    tree: FloatArray = linkage(X, "average", metric="cosine")
    return tree


def group(X: FloatArray, cut: float, least: int = LEAST_TEXTS) -> list[IntArray]:
    """Return groups of near rows, the largest first; in each the rows nearest to its middle come first.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Unit rows; of more than 3,000, some are left out, chosen by their values alone.
    cut : float
        Groups are joined while their mean cosine distance is below.
    least : int
        Smaller groups are left out.

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [1.0, 0.1]])
    >>> [rows.tolist() for rows in group(X, 0.5, least=2)]
    [[3, 0, 2]]
    """
    rows = np.sort(np.argsort(row_keys(X), kind="stable")[:MOST_TEXTS])
    if len(rows) < max(least, 2):
        return []
    numbers = fcluster(_tree(X[rows]), cut, "distance")
    groups = []
    for number in np.flatnonzero(np.bincount(numbers) >= least):
        members = rows[numbers == number]
        nearness = X[members] @ X[members].mean(axis=0)
        groups.append(members[np.argsort(-nearness, kind="stable")])
    return sorted(groups, key=lambda members: (-len(members), int(members.min())))[:MOST_GROUPS]


def typical_words(
    documents: Sequence[str], others: Sequence[str], words: int = NAME_WORDS
) -> list[list[str]]:
    """Return the words that tell each document from all the rest, the most telling first.

    TF-IDF with a whole group of texts as one document (c-TF-IDF, Grootendorst, 2022).

    Examples
    --------
    >>> typical_words(["lost luggage at the airport, luggage gone"], ["the card is gone", "the fee at noon"], 1)
    [['luggage']]
    """
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD)
    try:
        weights = vectorizer.fit_transform([*documents, *others])
    except ValueError:  # not one word
        return [[] for _ in documents]
    vocabulary = vectorizer.get_feature_names_out()
    found = []
    for place in range(len(documents)):
        row = weights[[place]].toarray()[0]
        best = np.argsort(-row, kind="stable")[:words]
        found.append([str(vocabulary[column]) for column in best if row[column] > 0])
    return found


def propose_labels(
    X: FloatArray, texts: Sequence[str], cut: float, known: Sequence[str], taken: Collection[str]
) -> tuple[NewLabel, ...]:
    """Propose new labels for texts that no label fits.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Their unit vectors.
    texts : sequence of str
    cut : float
        See `best_cut`.
    known : sequence of str
        The texts of each label there is, as one document a label: what is typical of it names no new one.
    taken : collection of str
        Names that may not be given again.

    Examples
    --------
    >>> texts = ["lost luggage", "luggage gone", "luggage is lost", "where is my luggage"]
    >>> propose_labels(np.ones((4, 1)), texts, 0.5, ["where is my card", "is it late"], ())[0].name
    'luggage_lost_gone'
    """
    groups = group(X, cut)
    documents = [" ".join(texts[row] for row in rows) for rows in groups]
    proposed: list[NewLabel] = []
    names = set(taken)
    for number, (rows, words) in enumerate(
        zip(groups, typical_words(documents, known), strict=True), start=1
    ):
        name = _free("_".join(words) or f"new_label_{number}", names)
        names.add(name)
        proposed.append(NewLabel(name, tuple(rows.tolist())))
    return tuple(proposed)


def _free(name: str, taken: Collection[str]) -> str:
    """Return the name, or with the first number that makes it new.

    >>> _free("a", {"a", "a_2"})
    'a_3'
    """
    number, wanted = 1, name
    while wanted in taken:
        number += 1
        wanted = f"{name}_{number}"
    return wanted

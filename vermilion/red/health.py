"""What a run says of its labels: the shapes of `health` in summary.json."""

from __future__ import annotations

from dataclasses import dataclass

# summary.json and the report show so many of each; label_proposals.yaml has them all.
SHOWN = 10


@dataclass(frozen=True, slots=True)
class StarvingLabel:
    """A label that has too little to live on.

    Attributes
    ----------
    known, decided : int
        Its labelled and confirmed texts; pool texts decided for it.
    recall : float
        Share of its known texts that are found out of fold.
    why : {"few texts", "low recall", "hardly used"}
    """

    label: str
    known: int
    decided: int
    recall: float
    why: str


@dataclass(frozen=True, slots=True)
class SuspectText:
    """A labelled or confirmed text whose label is probably wrong.

    Attributes
    ----------
    place : int
        In the problem: an open text from 0, or -1 - p for the given text p.
    margin : float
        Probability of its label minus that of the suggested one, out of fold.
    wrong : float
        Expected probability that its label is wrong.
    """

    place: int
    text: str
    label: str
    suggested: str
    margin: float
    wrong: float


@dataclass(frozen=True, slots=True)
class MergePair:
    """Two labels that cannot be told apart.

    Attributes
    ----------
    told_apart : float
        Share of their texts for which the right one of the two is the likelier, out of fold.
    texts : int
        How many those are.
    corrected : int
        Texts for which the head proposed one and the expert said the other.
    cosine : float
        Between their centroids.
    examples : tuple of str
        A text of each.
    """

    labels: tuple[str, str]
    told_apart: float
    texts: int
    corrected: int
    cosine: float
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SplitLabel:
    """A label that is two.

    Attributes
    ----------
    halves : (tuple of str, tuple of str)
        Its texts, the larger half first, each from the most typical on.
    separation, usual : float
        Silhouette of the halves; that of a label and its nearest neighbour, the median of all labels.
    """

    label: str
    halves: tuple[tuple[str, ...], tuple[str, ...]]
    separation: float
    usual: float


@dataclass(frozen=True, slots=True)
class Health:
    """How the labels do, by the texts whose label is known.

    Attributes
    ----------
    texts : int
        Labelled and confirmed.
    expected_precision : float or None
        Of `suspects`: the share that is expected to be labelled wrongly; None where there are none.
    """

    texts: int
    starving: tuple[StarvingLabel, ...] = ()
    suspects: tuple[SuspectText, ...] = ()
    expected_precision: float | None = None
    merge: tuple[MergePair, ...] = ()
    split: tuple[SplitLabel, ...] = ()

    def short(self) -> dict[str, object]:
        """Return what summary.json tells: how many there are, and the first of each.

        Examples
        --------
        >>> Health(9, merge=(MergePair(("a", "b"), 0.5, 9, 2, 0.9, ("x", "y")),)).short()["merge"]
        [{'labels': ['a', 'b'], 'told_apart': 0.5, 'texts': 9}]
        """
        told: dict[str, object] = {
            "texts": self.texts,
            "found": {name: len(getattr(self, name)) for name in ("starving", "suspects", "merge", "split")},
            "starving": [
                {
                    "label": one.label,
                    "known": one.known,
                    "decided": one.decided,
                    "recall": one.recall,
                    "why": one.why,
                }
                for one in self.starving[:SHOWN]
            ],
            "suspects": [
                {"text": one.text, "label": one.label, "suggested": one.suggested, "wrong": one.wrong}
                for one in self.suspects[:SHOWN]
            ],
            "merge": [
                {"labels": list(one.labels), "told_apart": one.told_apart, "texts": one.texts}
                for one in self.merge[:SHOWN]
            ],
            "split": [
                {
                    "label": one.label,
                    "separation": one.separation,
                    "sizes": [len(half) for half in one.halves],
                }
                for one in self.split[:SHOWN]
            ],
        }
        return told | {"expected_precision": self.expected_precision}

"""What the result of a comparison is made of, for each kind of data: its figures, their words, and what decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Purpose:
    """What an encoder may be wanted for.

    Attributes
    ----------
    key : str
        The figure that decides.
    name : str
        Its name in a sentence.
    share : bool
        Whether it is a share of texts, which is told in points.
    """

    key: str
    name: str
    share: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """What is shown by the number of examples a label: the figure, whether it is a share, and what an example is."""

    figure: str
    share: bool
    example: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """The figures of one kind of data.

    Attributes
    ----------
    figures : dict of str to (title, what it is)
        In the order of tables; the first of them is shown beside the speed.
    purposes : dict of str to Purpose
    charts : dict of str to tuple of str
        The figures of each chart of bars.
    curve : Curve
    spread : str
        What intervals are over.
    left_out : tuple of str
        Why other figures are not there, a sentence each.
    """

    figures: Mapping[str, tuple[str, str]]
    purposes: Mapping[str, Purpose]
    charts: Mapping[str, tuple[str, ...]]
    curve: Curve
    spread: str
    left_out: tuple[str, ...] = ()

    @property
    def first(self) -> str:
        """The figure that is shown beside the speed."""
        return next(iter(self.figures))


LINEAR = {
    "linear_accuracy": ("Linear probe", "held-out texts that a softmax on the vectors labels right"),
    "linear_f1_macro": ("Macro-F1", "of the linear probe, each label counted alike"),
}
TEXTS = (
    "The bootstrap's over texts (models are not fitted again), Student's t over folds for the few-shot curve"
)

ONE_LABEL = Sheet(
    figures={
        **LINEAR,
        "centroid_accuracy": ("Centroid", "held-out texts whose nearest label mean is their label's"),
        "neighbours_accuracy": ("k-NN", "held-out texts that their ten nearest neighbours label right"),
        "silhouette": (
            "Silhouette",
            "how much nearer a text is to its own label's texts than to the next label's",
        ),
        "v_measure": (
            "V-measure",
            "k-means with as many clusters as labels, against the labels; the mean of ten starts, beyond 300 "
            "labels of three",
        ),
        "ndcg_at_10": ("nDCG@10", "each text as a query, texts of its label as what is wanted"),
        "mrr": ("MRR", "one over the place of the first text of the same label"),
        "left_out_auroc": (
            "Anomaly AUROC",
            "texts of labels left out told from held-out texts of the others",
        ),
    },
    purposes={
        "classification": Purpose("linear_accuracy", "accuracy with a linear probe", share=True),
        "retrieval": Purpose("ndcg_at_10", "nDCG@10"),
        "clustering": Purpose("v_measure", "V-measure"),
    },
    charts={
        "Classification": ("linear_accuracy", "centroid_accuracy", "neighbours_accuracy"),
        "Retrieval": ("ndcg_at_10", "mrr"),
        "Clustering": ("v_measure", "silhouette"),
        "Anomalies": ("left_out_auroc",),
    },
    curve=Curve("Accuracy", True, "text"),
    spread=f"{TEXTS} and over groups of labels for the anomalies, and for the V-measure a jackknife's over texts with "
    "the spread of k-means' starts.",
)

SEVERAL_LABELS = Sheet(
    figures={
        "linear_lrap": (
            "Linear probe, LRAP",
            "label ranking average precision of a logistic regression a label: how far up a held-out text's own "
            "labels are among all; a text without labels counts as 1",
        ),
        "linear_f1_macro": (
            "Macro-F1",
            "of the same, each label counted alike; a threshold a label, from the other folds",
        ),
        "linear_f1_micro": ("Micro-F1", "the same, each label of each text counted alike"),
        "centroid_lrap": ("Centroid, LRAP", "labels ordered by the cosine to the mean of their texts"),
        "neighbours_lrap": ("k-NN, LRAP", "labels ordered by the votes of the ten nearest neighbours"),
        "ndcg_at_10": (
            "nDCG@10",
            "each text as a query; another is worth what it shares: the Jaccard index of their labels",
        ),
        "mrr": ("MRR", "one over the place of the first text with a label of the query's"),
    },
    purposes={
        "classification": Purpose("linear_lrap", "label ranking average precision with a linear probe"),
        "retrieval": Purpose("ndcg_at_10", "nDCG@10"),
    },
    charts={
        "Classification, ranking of labels": ("linear_lrap", "centroid_lrap", "neighbours_lrap"),
        "Classification, labels decided": ("linear_f1_macro", "linear_f1_micro"),
        "Retrieval": ("ndcg_at_10", "mrr"),
    },
    curve=Curve("Label ranking average precision", False, "text"),
    spread=f"{TEXTS}. Folds and samples are dealt by each text's rarest label, and so is the few-shot curve.",
    left_out=(
        "No V-measure and no silhouette: they want each text in one group, and a text here may be in several.",
        "No anomaly AUROC: a text with none of the labels is nothing foreign where texts may have none.",
    ),
)

NO_GROUPS = (
    "No centroid, k-NN, retrieval, clusters or anomalies: what is alike in pairs is the relation of their two texts, "
    "not their words."
)

CLASSES_OF_PAIRS = Sheet(
    figures={
        "linear_accuracy": (
            "Linear probe",
            "held-out pairs that a softmax on the pair's features labels right",
        ),
        "linear_f1_macro": LINEAR["linear_f1_macro"],
    },
    purposes={"judging pairs": Purpose("linear_accuracy", "accuracy with a linear probe", share=True)},
    charts={"Judging pairs": ("linear_accuracy", "linear_f1_macro")},
    curve=Curve("Accuracy", True, "pair"),
    spread="The bootstrap's over pairs (models are not fitted again), Student's t over folds for the curve by pairs a "
    "label. Pairs with the same first text are held out together.",
    left_out=(NO_GROUPS, "No cosine alone: it orders pairs one way, and there are more than two labels."),
)

RIGHT_PAIRS = Sheet(
    figures={
        "linear_average_precision": (
            "Linear probe, average precision",
            "how far up right pairs are among all held-out ones, by a logistic regression on the pair's features",
        ),
        "cosine_average_precision": (
            "Cosine alone, average precision",
            "the same by the cosine; learns nothing",
        ),
        "linear_roc_auc": ("Linear probe, ROC AUC", "how often a right pair scores above a wrong one"),
        "cosine_roc_auc": ("Cosine alone, ROC AUC", "the same by the cosine"),
        "linear_ndcg_at_10": (
            "Linear probe, nDCG@10",
            "how well the pairs of one first text are ordered; of those that have right and wrong ones",
        ),
        "cosine_ndcg_at_10": ("Cosine alone, nDCG@10", "the same by the cosine"),
    },
    purposes={
        "judging pairs": Purpose("linear_average_precision", "average precision with a linear probe"),
        "ranking candidates": Purpose("linear_ndcg_at_10", "nDCG@10 with a linear probe"),
        "ranking without labels": Purpose("cosine_ndcg_at_10", "nDCG@10 by the cosine alone"),
    },
    charts={
        "Average precision": ("linear_average_precision", "cosine_average_precision"),
        "ROC AUC": ("linear_roc_auc", "cosine_roc_auc"),
        "Candidates of one query": ("linear_ndcg_at_10", "cosine_ndcg_at_10"),
    },
    curve=Curve("ROC AUC", False, "pair"),
    spread="The bootstrap's over first texts with all their pairs, which are held out together (models are not fitted "
    "again); Student's t over folds for the curve by pairs a label.",
    left_out=(NO_GROUPS,),
)

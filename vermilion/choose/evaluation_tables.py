"""An evaluation as rows of words, for a terminal and for the page."""

from __future__ import annotations

from collections.abc import Sequence

from vermilion.choose.evaluation import Evaluation, Sliced
from vermilion.learn.bootstrap import Estimate
from vermilion.learn.metrics_labels import LabelScore
from vermilion.page.figures import Table

NOT_DEFINED = "not defined"
SHOWN_PAIRS, SHOWN_LABELS, SHOWN_OF_A_GROUP = 10, 10, 12
# Read from the rows themselves, or of many labels: what these are in words.
MEANINGS = {
    "accuracy": "texts whose label is right",
    "subset_accuracy": "texts whose labels are all right",
    "balanced_accuracy": "recall, averaged over labels",
    "precision": "of what was given the label, share that has it",
    "recall": "of what has the label, share that was given it",
    "f1": "harmonic mean of the two",
    "precision_micro": "of all labels given, share that is right",
    "recall_micro": "of all true labels, share that was given",
    "f1_micro": "harmonic mean of the two",
    "precision_macro": "precision, every label counting the same",
    "recall_macro": "recall, every label counting the same",
    "f1_macro": "F1, every label counting the same",
    "precision_weighted": "precision, labels counting by their texts",
    "recall_weighted": "recall, labels counting by their texts",
    "f1_weighted": "F1, labels counting by their texts",
    "top_3_accuracy": "true label among the 3 likeliest",
    "top_5_accuracy": "true label among the 5 likeliest",
    "top_10_accuracy": "true label among the 10 likeliest",
    "mrr": "1 / rank of the first true label, or relevant candidate",
    "hamming_loss": "wrong decisions of text and label; 0 is best",
    "lrap": "ranking precision at the true labels",
    "roc_auc": "how often a text with a label outranks one without",
    "pr_auc": "average precision over all thresholds",
    "mcc": "correlation of given and true; 0 is chance",
    "log_loss": "surprise at the truth, in nats; 0 is best",
    "brier": "squared error of probabilities; 0 is best",
    "ece": "gap of confidence and share right; 0 is best",
    "hierarchical_precision": "precision, with all labels above",
    "hierarchical_recall": "recall, with all labels above",
    "hierarchical_f1": "harmonic mean of the two",
    "placed_right": "texts given their label, or one above it",
    "placed_deep": "texts placed as deep as their label, or deeper",
    "ndcg_at_10": "order of each query's first 10 candidates",
    "recall_at_1": "relevant candidates that come first",
    "recall_at_5": "relevant candidates among the first 5",
    "recall_at_10": "relevant candidates among the first 10",
}

LEVEL_MEANINGS = {
    "accuracy": "right at level {} of the tree, of texts whose label goes so deep",
    "precision": "right at level {} of the tree, of texts that were placed so deep",
}


def figure(value: float | None, digits: int = 3) -> str:
    """Return a number to so many digits, or that there is none.

    Examples
    --------
    >>> figure(0.94321), figure(None)
    ('0.943', 'not defined')
    """
    return NOT_DEFINED if value is None else f"{value:.{digits}f}"


def interval(estimate: Estimate) -> str:
    """Return the bounds of a figure.

    Examples
    --------
    >>> interval(Estimate(0.5, 0.41, 0.59)), interval(Estimate(None, None, None, "no text has a label"))
    ('0.410 to 0.590', 'no text has a label')
    """
    if estimate.lower is None or estimate.upper is None:
        return estimate.reason
    return f"{estimate.lower:.3f} to {estimate.upper:.3f}"


def meaning(name: str) -> str:
    """Return what a metric is, in a few words."""
    what, _, level = name.rpartition("_level_")
    return LEVEL_MEANINGS[what].format(level) if what in LEVEL_MEANINGS else MEANINGS.get(name, "")


def metrics_table(evaluation: Evaluation) -> Table:
    """Return every metric with its interval and what it means."""
    rows = tuple(
        (name, figure(own.value), interval(own), meaning(name)) for name, own in evaluation.metrics.items()
    )
    columns = (("Metric", False), ("Value", True), ("95 % interval", True), ("What it is", False))
    return Table("Metrics", columns, rows)


def levels_table(evaluation: Evaluation) -> Table:
    """Return how many texts are placed at each level of a tree, and how often rightly; no rows without a tree."""
    columns = ["Level", "Texts", "Placed so deep", "Right of texts", "95 % interval", "Right of placed"]
    rows = []
    for own in evaluation.levels:
        shares = [evaluation.metrics[f"{what}_level_{own.number}"] for what in ("accuracy", "precision")]
        cells = [cell for share in shares for cell in (figure(share.value), interval(share))]
        rows.append((str(own.number), f"{own.texts:,}", f"{own.placed:,}", *cells))
    caption = "Levels of the tree, 1 at the top"
    return Table(
        caption,
        tuple((name, place > 0) for place, name in enumerate((*columns, "95 % interval"))),
        tuple(rows),
    )


def labels_table(evaluation: Evaluation, most: int | None = None) -> Table:
    """Return the labels' own figures, the worst F1 first; the first `most` of them."""
    ranked = sorted(evaluation.labels, key=lambda own: (own.f1.value or 0.0, -own.support))
    shown = ranked if most is None else ranked[:most]
    columns = ["Label", "F1", "95 % interval", "Precision", "Recall", "Texts", "Predicted"]
    rows = tuple(_label_row(score, evaluation.names) for score in shown)
    caption = (
        "Labels, the worst F1 first"
        if most is None or most >= len(ranked)
        else f"The {most} labels of worst F1"
    )
    return Table(caption, tuple((name, place > 0) for place, name in enumerate(columns)), rows)


def _label_row(score: LabelScore, names: Sequence[str]) -> tuple[str, ...]:
    return (
        names[score.label],
        figure(score.f1.value),
        interval(score.f1),
        figure(score.precision.value) if score.predicted else "–",
        figure(score.recall.value) if score.support else "–",
        f"{score.support:,}",
        f"{score.predicted:,}",
    )


def confusions_table(evaluation: Evaluation, most: int = SHOWN_PAIRS) -> Table:
    """Return the commonest confusions."""
    names = evaluation.names
    rows = tuple(
        (names[own.true], names[own.predicted], f"{own.count:,}", f"{own.share:.1%}".replace("%", " %"))
        for own in evaluation.confusions.pairs[:most]
    )
    columns = (("True label", False), ("Predicted", False), ("Texts", True), ("Of the label's texts", True))
    return Table("Commonest confusions", columns, rows)


def groups_table(evaluation: Evaluation) -> Table:
    """Return the groups of labels that are mixed up among themselves."""
    rows = tuple(
        (_listed([evaluation.names[number] for number in own.labels]), f"{own.errors:,}", f"{own.texts:,}")
        for own in evaluation.confusions.groups
    )
    columns = (("Labels", False), ("Errors within", True), ("Texts", True))
    return Table("Labels that are mixed up among themselves", columns, rows)


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - SHOWN_OF_A_GROUP:,} more" * (len(names) > SHOWN_OF_A_GROUP)
    return ", ".join(names[:SHOWN_OF_A_GROUP]) + more


def slice_table(sliced: Sliced) -> Table:
    """Return the groups of a column, each with its figures and its gap to all others."""
    metrics = list(sliced.groups[0].figures)
    columns = [("Group", False), ("Texts", True)]
    for name in metrics:
        columns += [(name, True), ("95 % interval", True)]
    columns.append((f"{metrics[0]} less that of all others", True))
    rows = []
    for group in sliced.groups:
        cells = [group.name + (" (small)" if group.small else ""), f"{group.n:,}"]
        for name in metrics:
            cells += [figure(group.figures[name].value), interval(group.figures[name])]
        gap = group.gaps.get(metrics[0])
        rows.append(
            (*cells, "–" if gap is None or gap.value is None else f"{gap.value:+.3f} ({interval(gap)})")
        )
    return Table(f"Texts by {sliced.column}", tuple(columns), tuple(rows))


def comparison_table(evaluation: Evaluation) -> Table:
    """Return by how much each metric differs between the two models."""
    assert evaluation.comparison is not None
    rows = tuple(
        (
            name,
            f"{own.value:+.3f}",
            f"{own.lower:+.3f} to {own.upper:+.3f}",
            _p(own.p_value).removeprefix("= "),
        )
        for name, own in sorted(
            evaluation.comparison.differences.items(),
            key=lambda item: list(evaluation.metrics).index(item[0]),
        )
    )
    columns = (("Metric", False), ("Difference", True), ("95 % interval", True), ("p", True))
    return Table(f"{evaluation.model} less {evaluation.against}, paired bootstrap", columns, rows)


def comparison_line(evaluation: Evaluation) -> str:
    """Say which of two models has more texts right, and whether that may be chance."""
    assert evaluation.comparison is not None
    right = evaluation.comparison.right
    lower, upper = right.gain_interval(0.025)
    sure = "too few for a difference to be seen" if right.p_value >= 0.05 else "more than chance explains"
    what = "at their very label" if evaluation.levels else "right"
    return (
        f"{right.first_only:,} texts {what} with {evaluation.model} alone, {right.second_only:,} with "
        f"{evaluation.against} alone: {100 * right.gain:+.1f} points ({100 * lower:+.1f} to {100 * upper:+.1f}), "
        f"McNemar's exact test, p {_p(right.p_value)}: {sure}."
    )


def _p(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.3f}"


def gap_lines(sliced: Sliced) -> list[str]:
    """Say how wide the widest gaps between groups are, those that are not small."""
    return [
        f"{gap.metric}: widest gap {figure(gap.gap.value)} ({interval(gap.gap)}), from {gap.first} to {gap.second}"
        for gap in sliced.widest
    ]


def headline(evaluation: Evaluation) -> str:
    """Return what a reader must know first."""
    if "placed_right" in evaluation.metrics:
        return _tree_headline(evaluation)
    name = "subset_accuracy" if "subset_accuracy" in evaluation.metrics else "accuracy"
    share, bounds = _percent(evaluation.metrics[name])
    what = f"all labels of {share} are" if name == "subset_accuracy" else f"the label of {share} is"
    return f"Of {evaluation.texts:,} texts, {what} right ({bounds})."


def _tree_headline(evaluation: Evaluation) -> str:
    (right, bounds), (deep, _), (exact, _) = (
        _percent(evaluation.metrics[name]) for name in ("placed_right", "placed_deep", "accuracy")
    )
    return (
        f"Of {evaluation.texts:,} texts, {right} are placed rightly, at their label or above it ({bounds}); "
        f"{deep} are placed as deep as their label, {exact} get exactly that."
    )


def _percent(own: Estimate) -> tuple[str, str]:
    """Return a share and its interval in words."""
    share, low, high = (
        f"{100 * value:.1f} %" if value is not None else NOT_DEFINED
        for value in (own.value, own.lower, own.upper)
    )
    return share, f"95 % interval {low} to {high}"


def heading(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return what was evaluated on what, as name and value."""
    occurring = sum(score.support > 0 for score in evaluation.labels)
    notes = [("note", note) for note in evaluation.notes]
    return [
        ("model", f"{evaluation.model} ({evaluation.task}; {evaluation.decision})"),
        (
            "test",
            f"{evaluation.test}: {evaluation.texts:,} texts, {occurring:,} of {evaluation.known:,} labels",
        ),
        *notes,
    ]


def shown_tables(evaluation: Evaluation) -> list[Table]:
    """Return the tables that a terminal shows; those without rows are left out."""
    tables = [metrics_table(evaluation), levels_table(evaluation)]
    tables += [labels_table(evaluation, SHOWN_LABELS), confusions_table(evaluation)]
    tables += [slice_table(own) for own in evaluation.slices]
    tables += [comparison_table(evaluation)] if evaluation.comparison else []
    return [table for table in tables if table.rows]


def lines(evaluation: Evaluation) -> list[str]:
    """Return what is said below the tables, in sentences."""
    said = [f"{own.column}, {line}" for own in evaluation.slices for line in gap_lines(own)]
    return said + ([comparison_line(evaluation)] if evaluation.comparison else [])

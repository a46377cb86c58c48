"""The charts of evaluation.html: curves, reliability, labels and confusions, readable at any number of labels.

Names of labels are shortened and stripped of what plotly would read as markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
from plotly import graph_objects as go

from vermilion.choose.evaluation import Evaluation
from vermilion.choose.evaluation_pictures import POOLED
from vermilion.choose.evaluation_tables import figure, interval
from vermilion.learn.metrics_labels import LabelScore
from vermilion.learn.metrics_ranking import Curve
from vermilion.page.figures import WHOLE, Chart, Table, figure_of

ROLES = ("accent", "blue", "auto", "review", "none", "given")
# A bar each up to so many labels; beyond, how F1 spreads over them, and the worst.
BARS = 30
LONGEST = 28
LOWER_RIGHT = {"x": 0.99, "xanchor": "right", "y": 0.02, "yanchor": "bottom"}
LOWER_LEFT = {"x": 0.01, "xanchor": "left", "y": 0.02, "yanchor": "bottom"}
UPPER_RIGHT = {"x": 0.99, "xanchor": "right", "y": 0.98, "yanchor": "top"}
SHARE = {"range": [0, 1.02], "tickformat": ".1f"}


def charts(evaluation: Evaluation) -> dict[str, list[Chart]]:
    """Return the charts that have something to show, by the section they stand in."""
    pictures = evaluation.pictures
    curves = [
        _curves_chart("roc", pictures.roc, evaluation) if pictures.roc else None,
        _curves_chart("pr", pictures.pr, evaluation) if pictures.pr else None,
        reliability_chart(evaluation) if pictures.reliability else None,
    ]
    return {
        "curves": [chart for chart in curves if chart is not None],
        "labels": label_charts(evaluation),
        "confusions": [confusion_chart(evaluation)]
        if evaluation.confusions.pairs and pictures.matrix
        else [],
    }


def shown(name: str) -> str:
    """Return a label's name as a chart may show it: short, and no markup.

    Examples
    --------
    >>> shown("<b>cards & more</b>"), shown("x" * 40)
    ('&lt;b&gt;cards &amp; more&lt;/b&gt;', 'xxxxxxxxxxxxxxxxxxxxxxxxxxx…')
    """
    short = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    return escape(short, quote=False)


def _curves_chart(kind: str, curves: Mapping[str, Curve], evaluation: Evaluation) -> Chart:
    """Return ROC or precision-recall curves."""
    title, x, y, metric = {
        "roc": ("ROC curves", "False positive rate", "True positive rate", "roc_auc"),
        "pr": ("Precision-recall curves", "Recall", "Precision", "pr_auc"),
    }[kind]
    traces: list[Any] = []
    if kind == "roc":
        traces.append(_diagonal("Chance"))
    for place, (name, curve) in enumerate(curves.items()):
        traces.append(
            go.Scatter(
                x=curve.x, y=curve.y, mode="lines", name=shown(name), meta=ROLES[place % len(ROLES)],
                line={"width": 3 if name == POOLED else 1.8},
                hovertemplate=f"{x.lower()} %{{x:.3f}}, {y.lower()} %{{y:.3f}}<extra></extra>",
            )
        )  # fmt: skip
    at = (0.01, 0.05, 0.1, 0.2, 0.5) if kind == "roc" else (0.5, 0.8, 0.9, 0.95, 0.99)
    rows = [(name, *(figure(_height(curve, x)) for x in at)) for name, curve in curves.items()]
    columns = ("Label", *(f"{y} at {x.lower()} {value:g}" for value in at))
    area = evaluation.metrics.get(metric)
    said = (
        f"Area {figure(area.value)} ({interval(area)}). "
        if area is not None and area.value is not None
        else ""
    )
    if POOLED in curves:
        said += "The thick curve pools all labels; the others are the labels whose texts are ranked worst."
    free = LOWER_RIGHT if kind == "roc" else LOWER_LEFT if _mostly_high(curves) else UPPER_RIGHT
    legend = {"orientation": "v", "bgcolor": "rgba(0,0,0,0)", **free}
    drawn = figure_of(traces, x, y, xaxis=SHARE, yaxis=SHARE)
    drawn["layout"]["legend"] = legend
    return Chart(kind, title, said, drawn, Table.of(title, columns, rows))


def _mostly_high(curves: Mapping[str, Curve]) -> bool:
    """Tell whether curves run above the middle, so that a lower corner is free."""
    return float(np.mean([_height(curve, 0.5) for curve in curves.values()])) > 0.5


def _height(curve: Curve, x: float) -> float:
    return float(np.interp(x, curve.x, curve.y))


def _diagonal(name: str) -> go.Scatter:
    return go.Scatter(
        x=[0, 1], y=[0, 1], mode="lines", name=name, meta="given", line={"width": 1, "dash": "dash"},
        hoverinfo="skip",
    )  # fmt: skip


def reliability_chart(evaluation: Evaluation) -> Chart:
    """Return how often the model is right when it is so sure."""
    bins = evaluation.pictures.reliability
    points = go.Scatter(
        x=[b.confidence for b in bins], y=[b.accuracy for b in bins],
        error_y={
            "type": "data", "array": [b.upper - b.accuracy for b in bins],
            "arrayminus": [b.accuracy - b.lower for b in bins], "thickness": 1.5, "width": 4,
        },
        mode="lines+markers", name="Model", meta="accent", line={"width": 2}, marker={"size": 8},
        customdata=[f"{b.n:,}" for b in bins],
        hovertemplate="confidence %{x:.3f}: %{y:.3f} right (n = %{customdata})<extra></extra>",
    )  # fmt: skip
    rows = [
        (
            f"{b.low:.1f} to {b.high:.1f}",
            f"{b.n:,}",
            figure(b.confidence),
            figure(b.accuracy),
            f"{b.lower:.3f} to {b.upper:.3f}",
        )
        for b in bins
    ]
    columns = ("Confidence", "Cases", "Mean confidence", "Right", "95 % interval")
    ece = evaluation.metrics["ece"]
    said = (
        f"Points on the dashed line are right as often as claimed. Gap on average (ECE): {figure(ece.value)}."
    )
    drawn = figure_of(
        [_diagonal("As claimed"), points], "Confidence", "Share that is right", xaxis=SHARE, yaxis=SHARE
    )
    return Chart(
        "reliability", "Reliability of confidence", said, drawn, Table.of("Reliability", columns, rows)
    )


def label_charts(evaluation: Evaluation) -> list[Chart]:
    """Return bars of each label's F1; of many labels how F1 spreads, and the worst."""
    ranked = sorted(evaluation.labels, key=lambda own: (own.f1.value or 0.0, -own.support))
    if len(ranked) <= BARS:
        return [_bars(ranked, evaluation.names, "F1 of each label")] if ranked else []
    worst = [own for own in ranked if own.support][: BARS - 5]
    return [_spread(ranked), _bars(worst, evaluation.names, f"The {len(worst)} labels of worst F1")]


def _bars(scores: Sequence[LabelScore], names: Sequence[str], title: str) -> Chart:
    bars = [(own, own.f1.value or 0.0, own.f1.lower or 0.0, own.f1.upper or 0.0) for own in scores]
    numbers = list(range(len(bars)))
    trace = go.Bar(
        y=numbers, x=[f1 for _, f1, _, _ in bars], orientation="h", meta="blue", showlegend=False,
        error_x={
            "type": "data", "array": [high - f1 for _, f1, _, high in bars],
            "arrayminus": [f1 - low for _, f1, low, _ in bars], "thickness": 1, "width": 2,
        },
        customdata=[f"{own.support:,}" for own, *_ in bars],
        hovertemplate="F1 %{x:.3f}, %{customdata} texts<extra></extra>",
    )  # fmt: skip
    # By number and not by name: shortened names may be alike.
    axis = {
        "autorange": "reversed", "tickmode": "array", "tickvals": numbers,
        "ticktext": [shown(names[own.label]) for own, *_ in bars], "tickfont": {"size": 11},
    }  # fmt: skip
    rows = [(names[own.label], figure(f1), interval(own.f1), f"{own.support:,}") for own, f1, _, _ in bars]
    return Chart(
        "bars",
        title,
        "The worst first, with 95 % intervals: labels with few texts have wide ones.",
        figure_of([trace], "F1", "", xaxis=SHARE, yaxis=axis),
        Table.of(title, ("Label", "F1", "95 % interval", "Texts"), rows),
        large=len(bars) > 10,
    )


def _spread(scores: Sequence[LabelScore]) -> Chart:
    """Return the histogram of F1 over labels."""
    values = np.array([own.f1.value or 0.0 for own in scores])
    counts, edges = np.histogram(values, bins=20, range=(0, 1))
    names = [f"{low:.2f} to {high:.2f}" for low, high in pairwise(edges)]
    trace = go.Bar(
        x=(edges[:-1] + edges[1:]) / 2, y=counts.tolist(), width=0.05, meta="blue", showlegend=False,
        customdata=names, hovertemplate="F1 %{customdata}: %{y:,} labels<extra></extra>",
    )  # fmt: skip
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    said = (
        f"Half of the {len(values):,} labels have an F1 above {middle:.3f}; "
        f"a tenth has less than {low:.3f}, a tenth more than {high:.3f}."
    )
    rows = [(name, f"{count:,}") for name, count in zip(names, counts, strict=True)]
    return Chart(
        "spread",
        "F1 over all labels",
        said,
        figure_of([trace], "F1", "Labels", xaxis=SHARE, yaxis=WHOLE),
        Table.of("Labels by F1", ("F1", "Labels"), rows),
    )


def confusion_chart(evaluation: Evaluation) -> Chart:
    """Return the confusion matrix as a heat map: whole, or of the labels that are mixed up most."""
    assert evaluation.pictures.matrix is not None
    names, counts = evaluation.pictures.matrix
    cells = np.array(counts)
    numbers = list(range(len(names)))
    off = cells - np.diag(np.diag(cells))
    # Colour tells errors; the diagonal would drown them.
    trace = go.Heatmap(
        z=off.tolist(), x=numbers, y=numbers, meta="accent", showscale=False, xgap=1, ygap=1,
        text=[[f"{count:,}" if count else "" for count in row] for row in cells.tolist()],
        texttemplate="%{text}" if len(names) <= 12 else None,
        customdata=cells.tolist(), hovertemplate="%{customdata} texts<extra></extra>",
    )  # fmt: skip
    ticks = {
        "tickmode": "array",
        "tickvals": numbers,
        "ticktext": [shown(name) for name in names],
        "tickfont": {"size": 10},
    }
    said = "Rows are true labels, columns predicted ones; colour tells errors alone."
    if len(names) < len(evaluation.names):
        said = f"The {len(names)} labels mixed up most, of {len(evaluation.names):,}. {said}"
    up = {"title": {"text": "True", "standoff": 12}, "autorange": "reversed"}
    layout = {"xaxis": {**ticks, "tickangle": -60}, "yaxis": {**ticks, **up}}
    pairs = [(place, other) for place, other in zip(*np.nonzero(off), strict=True)]
    rows = [(names[i], names[j], f"{cells[i, j]:,}") for i, j in sorted(pairs, key=lambda at: -cells[at])]
    return Chart(
        "confusion",
        "Confusion matrix",
        said,
        figure_of([trace], "Predicted", "True", **layout),
        Table("Errors by cell", (("True", False), ("Predicted", False), ("Texts", True)), tuple(rows)),
        large=len(names) > 6,
    )

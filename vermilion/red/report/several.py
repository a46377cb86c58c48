"""report.html of a run in which a text may have several labels: the parts that differ from those of other runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vermilion.page.figures import Chart, Table, figure_of
from vermilion.red import wording
from vermilion.red.record import PairCalibration, ReportData, Summary
from vermilion.red.report.calibration import diagram
from vermilion.red.report.charts import (
    Curve,
    answers_before,
    confidence_chart,
    effort_chart,
    sources_chart,
    uncertain_chart,
)
from vermilion.red.report.page import render
from vermilion.red.report.tables import percent_or_dash

COLUMNS = (
    "Label",
    "Texts decided",
    "Share of texts",
    "Labelled texts given",
    "Mean confidence",
    "Given from",
    "Questions",
    "Yes",
    "Overruled",
)


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """What a run decided for one label.

    Attributes
    ----------
    name : str
    decided : int
        Pool texts that have it.
    labelled : int
        Labelled texts that have it.
    confidence : float or None
        Mean probability where the model gave it alone; None where it did not.
    threshold : float
        The probability from which on a text gets it.
    asked, yes, overruled : int
        Questions about it; those answered with yes; those in which the expert said otherwise than the model.
    """

    name: str
    decided: int
    labelled: int
    confidence: float | None
    threshold: float
    asked: int
    yes: int
    overruled: int


@dataclass(frozen=True, slots=True)
class PairSection:
    """The section on confidence."""

    chart: Chart


def render_several_report(data: ReportData, labels: Sequence[LabelFigures]) -> str:
    """Return the report as one HTML file; texts and labels are shown as they are and never as markup.

    Parameters
    ----------
    data : ReportData
        Without counts by label.
    labels : sequence of LabelFigures
    """
    summary = data.summary
    found = [
        uncertain_chart(summary.rounds),
        f1_chart(summary),
        sources_chart(summary),
        confidence_chart(data),
        effort_chart(summary.rounds),
    ]
    own: dict[str, Any] = {
        "charts": [chart for chart in found if chart is not None],
        "calibration": _calibration(summary),
        "labels": _labels_table(labels, summary.texts),
        "labels_line": _labels_line(labels, summary.texts),
    }
    return render("report_several.html.j2", data, own)


def f1_chart(summary: Summary) -> Chart | None:
    """Return the curves of quality by answers, by gold labels; None where there are none."""
    points = [
        (f"Round {r.round}", answers_before(r), r.gold_f1, r.gold_agreement)
        for r in summary.rounds
        if r.gold_f1 is not None
    ]
    if not points or not summary.gold:
        return None
    # The last round's answers count in the final decisions, but no round measured those.
    if summary.rounds[-1].asked:
        points.append(("End", summary.rounds[-1].calls, summary.gold["f1_micro"], summary.gold["agreement"]))
    curves = (
        Curve("Micro-F1", "accent", tuple(point[2] for point in points)),
        Curve("All labels of a text right", "blue", tuple(point[3] for point in points), "diamond"),
    )
    xs = [answers for _, answers, _, _ in points]
    rows = [
        (name, wording.count(answers), *(percent_or_dash(share) for share in shares))
        for name, answers, *shares in points
    ]
    title = "Quality by answers, by gold labels (simulation)"
    traces = [curve.trace(xs, ".1%") for curve in curves]
    told = (
        f"Micro-F1 from {wording.percent(points[0][2] or 0)} to {wording.percent(points[-1][2] or 0)}; all labels of a"
        f" text are right in {wording.percent(points[0][3] or 0)} of the texts at first,"
        f" {wording.percent(points[-1][3] or 0)} at the end."
    )
    return Chart(
        "agreement",
        title,
        told,
        figure_of(traces, "Answers", "Share", yaxis={"tickformat": ".0%"}),
        Table.of(title, ("Model of", "Answers", *(curve.name for curve in curves)), rows),
    )


def _calibration(summary: Summary) -> PairSection | None:
    found = summary.calibration
    if not isinstance(found, PairCalibration) or not found.bins:
        return None
    line = (
        f"On {wording.counted(found.n, 'labelled text')} held out, {wording.counted(found.pairs, 'pair')} of text and"
        f" label, the probability of a label differs from how often texts have it by {100 * found.ece:.1f} points on"
        f" average (ECE, calibration: {found.method}). The labels that the model gives these texts have a micro-F1 of"
        f" {wording.percent(found.f1_micro)} and a macro-F1 of {wording.percent(found.f1_macro)}."
    )
    return PairSection(diagram(found.bins, line, "Share that has the label", "Pairs"))


def _labels_table(labels: Sequence[LabelFigures], texts: int) -> Table:
    rows = [
        (
            label.name,
            wording.count(label.decided),
            wording.percent(label.decided / texts if texts else 0),
            wording.count(label.labelled),
            percent_or_dash(label.confidence),
            wording.percent(label.threshold),
            wording.count(label.asked),
            wording.count(label.yes),
            wording.count(label.overruled),
        )
        for label in sorted(labels, key=lambda label: (-label.decided, label.name))
    ]
    return Table.of("Texts by label, the most frequent first", COLUMNS, rows)


def _labels_line(labels: Sequence[LabelFigures], texts: int) -> str:
    """Return in one line how labels spread over the texts.

    Examples
    --------
    >>> one = LabelFigures("a", 3, 5, 0.8, 0.3, 2, 1, 0)
    >>> _labels_line([one, LabelFigures("b", 0, 5, None, 0.2, 0, 0, 0)], 4).replace(wording.SPACE, " ")
    '2 labels, 0.75 of them a text; the most frequent is on 75.0 % of the texts; 1 label is on none.'
    """
    total = sum(label.decided for label in labels)
    line = f"{wording.counted(len(labels), 'label')}, {total / max(texts, 1):.2f} of them a text"
    if total:
        most = max(label.decided for label in labels)
        line += f"; the most frequent is on {wording.percent(most / texts)} of the texts"
    if empty := sum(label.decided == 0 for label in labels):
        line += f"; {wording.counted(empty, 'label')} {'is' if empty == 1 else 'are'} on none"
    return line + "."

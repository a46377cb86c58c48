"""The report's charts: each a plotly figure, a sentence that says what it shows, and the table behind it.

Figures hold numbers and our own words only, never a text or a label: plotly reads markup in strings. Colours
are named here by role (`meta`) and filled in by the page, which knows its theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from plotly import graph_objects as go

from vermilion.page.figures import WHOLE, Chart, Table, figure_of
from vermilion.red import wording
from vermilion.red.record import ReportData, RoundRecord, Summary
from vermilion.red.report.tables import SOURCES, or_dash, percent_or_dash


@dataclass(frozen=True, slots=True)
class Curve:
    """A named curve over x values that it shares with others; None where it has no point."""

    name: str
    role: str
    ys: tuple[float | None, ...]
    symbol: str = "circle"

    def trace(self, xs: Sequence[int], hover: str) -> go.Scatter:
        """Return the curve through the points it has."""
        pairs = [(x, y) for x, y in zip(xs, self.ys, strict=True) if y is not None]
        return go.Scatter(
            x=[x for x, _ in pairs],
            y=[y for _, y in pairs],
            name=self.name,
            meta=self.role,
            mode="lines+markers",
            line={"width": 2},
            marker={"size": 8, "symbol": self.symbol},
            hovertemplate=f"%{{x:,}}: %{{y:{hover}}}<extra></extra>",
        )


def charts(data: ReportData) -> list[Chart]:
    """Return the charts that have something to show, in reading order."""
    summary = data.summary
    found = [
        uncertain_chart(summary.rounds),
        agreement_chart(summary),
        sources_chart(summary),
        confidence_chart(data),
        effort_chart(summary.rounds),
        kappa_chart(summary.rounds),
    ]
    return [chart for chart in found if chart is not None]


def answers_before(record: RoundRecord) -> int:
    """Return the answers that a round's model had learned from: its own questions came after its fit."""
    return record.calls - record.asked


def uncertain_chart(rounds: Sequence[RoundRecord]) -> Chart | None:
    """Return the curve of uncertain texts by answers."""
    if not rounds:
        return None
    xs = [answers_before(r) for r in rounds]
    rows = [
        (f"Round {r.round}", wording.count(x), wording.count(r.uncertain))
        for r, x in zip(rounds, xs, strict=True)
    ]
    curve = Curve("Uncertain texts", "accent", tuple(r.uncertain for r in rounds))
    return Chart(
        "uncertain",
        "Uncertain texts by answers",
        f"{wording.counted(rounds[0].uncertain, 'text')} uncertain after {wording.counted(xs[0], 'answer')}, "
        f"{wording.count(rounds[-1].uncertain)} after {wording.count(xs[-1])}.",
        figure_of([curve.trace(xs, ",d")], "Answers", "Uncertain texts", yaxis=WHOLE),
        Table.of("Uncertain texts by answers", ("Model of", "Answers", "Uncertain texts"), rows),
    )


def agreement_chart(summary: Summary) -> Chart | None:
    """Return the curves of agreement by answers: with the expert on random samples, and with gold."""
    points = [(f"Round {r.round}", answers_before(r), r.agreement, r.gold_agreement) for r in summary.rounds]
    # The last round's answers count in the final decisions, but no round measured those.
    final = (summary.gold or {}).get("agreement")
    if final is not None and points and summary.rounds[-1].asked:
        points.append(("End", summary.rounds[-1].calls, None, final))
    by_expert = "Expert, random sample" + (" (simulation)" if summary.simulated else "")
    possible = (
        Curve(by_expert, "accent", tuple(p[2] for p in points)),
        Curve("Gold (simulation)", "blue", tuple(p[3] for p in points), "diamond"),
    )
    curves = [curve for curve in possible if any(y is not None for y in curve.ys)]
    return _agreement(points, curves) if curves else None


def _agreement(points: Sequence[tuple[Any, ...]], curves: Sequence[Curve]) -> Chart:
    xs = [answers for _, answers, _, _ in points]
    rows = [
        (point[0], wording.count(point[1]), *(percent_or_dash(curve.ys[place]) for curve in curves))
        for place, point in enumerate(points)
    ]
    columns = ("Model of", "Answers", *(curve.name for curve in curves))
    traces = [curve.trace(xs, ".1%") for curve in curves]
    return Chart(
        "agreement",
        "Agreement by answers",
        " ".join(_ends(curve) for curve in curves),
        figure_of(traces, "Answers", "Agreement", yaxis={"tickformat": ".0%"}),
        Table.of("Agreement by answers", columns, rows),
    )


def _ends(curve: Curve) -> str:
    values = [y for y in curve.ys if y is not None]
    if len(values) == 1:
        return f"{curve.name}: {wording.percent(values[0])}."
    return f"{curve.name}: from {wording.percent(values[0])} to {wording.percent(values[-1])}."


def sources_chart(summary: Summary) -> Chart | None:
    """Return the bars of decisions by how they came about."""
    counts = {source: summary.decisions.get(source, 0) for source in SOURCES}
    total = sum(counts.values())
    if not total:
        return None
    shown = {source: n for source, n in counts.items() if n}
    traces = [
        go.Bar(
            x=[n], y=[source], name=source, orientation="h", meta=source, showlegend=False,
            text=[wording.count(n)], textposition="outside", cliponaxis=False,
            hovertemplate="%{y}: %{x:,}<extra></extra>",
        )
        for source, n in shown.items()
    ]  # fmt: skip
    rows = [(SOURCES[source], wording.count(n), wording.percent(n / total)) for source, n in shown.items()]
    # The numbers stand to the right of the bars and need room there.
    room = WHOLE | {"range": [0, 1.3 * max(counts.values())]}
    layout = {"yaxis": {"autorange": "reversed"}, "xaxis": room, "barmode": "overlay"}
    return Chart(
        "sources",
        "Decisions by source",
        ", ".join(f"{s} {wording.count(n)} ({wording.percent(n / total)})" for s, n in shown.items()) + ".",
        figure_of(traces, "Texts", "", **layout),
        Table.of("Decisions by source", ("Source", "Texts", "Share"), rows),
    )


def confidence_chart(data: ReportData) -> Chart | None:
    """Return the histogram of confidence, stacked by how the decisions came about."""
    counts = {s: data.confidence_counts[s] for s in SOURCES if any(data.confidence_counts.get(s, ()))}
    if not counts:
        return None
    bins = max(len(numbers) for numbers in counts.values())
    middles = [(place + 0.5) / bins for place in range(bins)]
    names = [f"{place / bins:.2f} to {(place + 1) / bins:.2f}" for place in range(bins)]
    traces = [
        go.Bar(
            x=middles, y=list(numbers), name=source, meta=source, width=1 / bins, customdata=names,
            hovertemplate=f"{source}, %{{customdata}}: %{{y:,}}<extra></extra>",
        )
        for source, numbers in counts.items()
    ]  # fmt: skip
    rows = [(name, *(wording.count(n[place]) for n in counts.values())) for place, name in enumerate(names)]
    return Chart(
        "confidence",
        "Confidence by source",
        _confidence_line(counts),
        figure_of(traces, "Confidence", "Texts", barmode="stack", xaxis={"range": [0, 1]}, yaxis=WHOLE),
        Table.of("Texts by confidence", ("Confidence", *counts), rows),
    )


def _confidence_line(counts: dict[Any, tuple[int, ...]]) -> str:
    """Say how many of the model's own decisions are nearly sure; the expert's all have confidence 1."""
    own = counts.get("auto")
    if own is None:
        return "No text was decided by the model alone."
    sure = sum(own[len(own) * 9 // 10 :])
    return (
        f"Of the {wording.counted(sum(own), 'text')} that the model decided, "
        f"{wording.count(sure)} ({wording.percent(sure / sum(own))}) have a confidence of 0.9 or more."
    )


def effort_chart(rounds: Sequence[RoundRecord]) -> Chart | None:
    """Return the bars of questions, and of cost where there was any, per round."""
    if not any(r.asked for r in rounds):
        return None
    names = [str(r.round) for r in rounds]
    totals = [0.0, *(r.cost_usd for r in rounds)]
    costs = [after - before for before, after in pairwise(totals)]
    bars = [_bar("Questions", "blue", names, [r.asked for r in rounds], ",d", "y")]
    columns, cells = ["Round", "Questions"], [names, [wording.count(r.asked) for r in rounds]]
    layout: dict[str, Any] = {}
    if any(costs):
        bars.append(_bar("Cost", "accent", names, costs, "$,.2f", "y2"))
        columns.append("Cost")
        cells.append([wording.money(cost) for cost in costs])
        layout = {"yaxis": {"domain": [0.56, 1]}, "yaxis2": {"domain": [0, 0.44], "title": {"text": "Cost"}}}
        layout["yaxis2"] |= {"tickformat": "$,.2f", "rangemode": "tozero", "nticks": 4}
    title = "Questions and cost per round" if any(costs) else "Questions per round"
    spent = f" for {wording.money(totals[-1])}" if any(costs) else ""
    return Chart(
        "effort",
        title,
        f"{wording.counted(sum(r.asked for r in rounds), 'question')} answered in "
        f"{wording.counted(sum(r.asked > 0 for r in rounds), 'round')}{spent}.",
        figure_of(
            bars, "Round", "Questions", xaxis={"type": "category", "anchor": "free", "position": 0}, **layout
        ),
        Table.of(title, columns, list(zip(*cells, strict=True))),
    )


def kappa_chart(rounds: Sequence[RoundRecord]) -> Chart | None:
    """Return the curve of agreement between successive models."""
    measured = [r for r in rounds if r.kappa is not None]
    if not measured:
        return None
    xs = [answers_before(r) for r in measured]
    rows = [
        (f"Round {r.round}", wording.count(x), or_dash(r.kappa)) for r, x in zip(measured, xs, strict=True)
    ]
    curve = Curve("Kappa", "accent", tuple(r.kappa for r in measured))
    return Chart(
        "kappa",
        "Stability of the model",
        f"Cohen's kappa between each round's model and the one before is {or_dash(measured[-1].kappa)} "
        "at the end; 1 means that they give the same labels.",
        figure_of([curve.trace(xs, ".3f")], "Answers", "Kappa", yaxis={"tickformat": ".2f"}),
        Table.of("Kappa between successive models", ("Model of", "Answers", "Kappa"), rows),
    )


def _bar(name: str, role: str, xs: list[str], ys: Sequence[float], hover: str, axis: str) -> go.Bar:
    return go.Bar(
        x=xs, y=list(ys), name=name, meta=role, yaxis=axis, showlegend=False,
        hovertemplate=f"{name}, round %{{x}}: %{{y:{hover}}}<extra></extra>",
    )  # fmt: skip

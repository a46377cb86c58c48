"""comparison.html: the encoders side by side, in one file that asks nothing of the network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from plotly import graph_objects as go

from vermilion.choose.encoders_record import FIGURES, Comparison, Row
from vermilion.choose.encoders_words import DASH, figure, figure_rows, rate
from vermilion.learn.bootstrap import Estimate
from vermilion.page.figures import Chart, Table, figure_of
from vermilion.page.shell import assets, environment

# Colours by role, with a symbol each, so that nobody has to tell them by colour alone.
ROLES = ("accent", "blue", "auto", "review", "none", "given", "out_of_scope")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "cross", "star")
BARS: dict[str, tuple[str, ...]] = {
    "Classification": ("linear_accuracy", "centroid_accuracy", "neighbours_accuracy"),
    "Retrieval": ("ndcg_at_10", "mrr"),
    "Clustering": ("v_measure", "silhouette"),
    "Anomalies": ("left_out_auroc",),
}


def render_comparison(found: Comparison) -> str:
    """Return the page. Without JavaScript it still reads: every chart's numbers stand in a table."""
    shared = assets()
    charts = [
        chart for chart in (shots_chart(found), speed_chart(found.rows), *bar_charts(found.rows)) if chart
    ]
    headers = ("", *(row.name for row in found.rows))
    figures = [(name, *cells) for name, cells in figure_rows(found.rows)]
    view: dict[str, Any] = {
        "found": found,
        "title": "Encoders compared",
        "source": Path(found.source).name,
        "table": Table.of("All figures, with their intervals of 95 %", headers, figures),
        "meanings": list(FIGURES.values()),
        "charts": charts,
        "figures": {chart.key: chart.figure for chart in charts},
        "style": shared.style,
        "script": shared.script,
        "plotly": shared.plotly,
        "policy": shared.policy,
    }
    return environment("vermilion.choose").get_template("encoders.html.j2").render(view)


def short(name: str) -> str:
    """Return a name that fits into a chart: of a folder its last part; plotly's markup is taken away.

    Examples
    --------
    >>> short("st:/models/acme/mini<b>"), short("minilm+static")
    ('st:mini&lt;b&gt;', 'minilm+static')
    """
    kind, colon, model = name.partition(":")
    last = model.rstrip("/").rpartition("/")[2]
    return escape(f"{kind}{colon}{last}", quote=False)


def shots_chart(found: Comparison) -> Chart | None:
    """Return the accuracy by labelled texts a label, a curve for each candidate."""
    curves = [(row.name, row.shots) for row in found.rows] + [(one.name, one.shots) for one in found.tuned]
    curves = [(name, shots) for name, shots in curves if shots]
    if not curves:
        return None
    every = sorted({each for _, shots in curves for each in shots})
    traces = [_curve(place, name, shots) for place, (name, shots) in enumerate(curves)]
    rows = [
        (name, *(figure(shots[each]) if each in shots else DASH for each in every)) for name, shots in curves
    ]
    columns = ("Encoder", *(f"{each} a label" for each in every))
    axis = {"type": "log", "tickvals": every, "ticktext": [str(each) for each in every]}
    first = max(curves, key=lambda curve: curve[1][min(curve[1])].value or 0)[0]
    return Chart(
        "shots",
        "Accuracy by labelled texts a label",
        f"A linear probe that knows few texts; bars are intervals over folds. With the fewest, {first} leads.",
        figure_of(traces, "Labelled texts a label", "Accuracy", xaxis=axis, yaxis={"tickformat": ".0%"}),
        Table.of("Accuracy by labelled texts a label", columns, rows),
    )


def _curve(place: int, name: str, shots: dict[int, Estimate]) -> go.Scatter:
    known = {each: estimate for each, estimate in shots.items() if estimate.value is not None}
    return go.Scatter(
        x=list(known),
        y=[estimate.value for estimate in known.values()],
        error_y=_bars(list(known.values())),
        name=short(name),
        meta=ROLES[place % len(ROLES)],
        mode="lines+markers",
        line={"width": 2},
        marker={"size": 8, "symbol": SYMBOLS[place % len(SYMBOLS)]},
        hovertemplate=f"{short(name)}, %{{x}} a label: %{{y:.1%}}<extra></extra>",
    )


def _bars(estimates: Sequence[Estimate]) -> dict[str, Any]:
    """Return intervals as plotly takes them: distances up and down, 0 where there is none."""
    values = [estimate.value or 0.0 for estimate in estimates]
    return {
        "type": "data",
        "symmetric": False,
        "array": [
            max((e.upper if e.upper is not None else v) - v, 0)
            for e, v in zip(estimates, values, strict=True)
        ],
        "arrayminus": [
            max(v - (e.lower if e.lower is not None else v), 0)
            for e, v in zip(estimates, values, strict=True)
        ],
        "thickness": 1.2,
        "width": 4,
    }


def speed_chart(rows: Sequence[Row]) -> Chart:
    """Return the accuracy of the linear probe by texts a second."""
    traces = []
    for place, row in enumerate(rows):
        accuracy = row.figures["linear_accuracy"]
        traces.append(
            go.Scatter(
                x=[row.speed],
                y=[accuracy.value],
                error_y=_bars([accuracy]),
                name=short(row.name),
                meta=ROLES[place % len(ROLES)],
                mode="markers",
                marker={"size": 12, "symbol": SYMBOLS[place % len(SYMBOLS)]},
                hovertemplate=f"{short(row.name)}: %{{y:.1%}} at %{{x:,.0f}} texts a second<extra></extra>",
            )
        )
    fastest = max(rows, key=lambda row: row.speed)
    table = [(row.name, figure(row.figures["linear_accuracy"]), rate(row.speed)) for row in rows]
    axes = {"xaxis": {"type": "log", "dtick": 1}, "yaxis": {"tickformat": ".0%"}}
    return Chart(
        "speed",
        "Accuracy by speed",
        f"Up is better, right is faster: {fastest.name} encodes {rate(fastest.speed)} texts a second on this machine.",
        figure_of(traces, "Texts a second", "Accuracy of a linear probe", showlegend=True, **axes),
        Table.of("Accuracy by speed", ("Encoder", "Linear probe", "Texts a second"), table),
    )


def bar_charts(rows: Sequence[Row]) -> list[Chart]:
    """Return a chart of bars for each purpose, with a group of bars for each figure."""
    found = []
    for title, keys in BARS.items():
        known = [key for key in keys if any(row.figures[key].value is not None for row in rows)]
        if not known:
            continue
        best = max(rows, key=lambda row: row.figures[known[0]].value or 0.0)
        names = [FIGURES[key][0] for key in known]
        table = [(row.name, *(figure(row.figures[key]) for key in known)) for row in rows]
        found.append(
            Chart(
                title.lower(),
                title,
                f"{names[0]}: {best.name} is highest with {figure(best.figures[known[0]])}.",
                figure_of(
                    [_group(place, row, known, names) for place, row in enumerate(rows)],
                    "",
                    "",
                    barmode="group",
                ),
                Table.of(title, ("Encoder", *names), table),
            )
        )
    return found


def _group(place: int, row: Row, keys: Sequence[str], names: Sequence[str]) -> go.Bar:
    estimates = [row.figures[key] for key in keys]
    return go.Bar(
        x=list(names),
        y=[estimate.value for estimate in estimates],
        error_y=_bars(estimates),
        name=short(row.name),
        meta=ROLES[place % len(ROLES)],
        hovertemplate=f"{short(row.name)}, %{{x}}: %{{y:.3f}}<extra></extra>",
    )

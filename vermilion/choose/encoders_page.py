"""comparison.html: the encoders side by side, in one file that asks nothing of the network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from plotly import graph_objects as go

from vermilion.choose.encoders_record import Comparison, Row
from vermilion.choose.encoders_sheet import Sheet
from vermilion.choose.encoders_words import DASH, figure, figure_rows, rate
from vermilion.learn.bootstrap import Estimate
from vermilion.page.figures import Chart, Table, figure_of
from vermilion.page.shell import assets, environment

# Colours by role, with a symbol each, so that nobody has to tell them by colour alone.
ROLES = ("accent", "blue", "auto", "review", "none", "given", "out_of_scope")
# No figure passes 1; a mark at it is still shown whole.
SHARES: dict[str, Any] = {"autorangeoptions": {"clipmax": 1.02}}
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "cross", "star")


def render_comparison(found: Comparison) -> str:
    """Return the page. Without JavaScript it still reads: every chart's numbers stand in a table."""
    shared = assets()
    rows, sheet = found.rows, found.sheet
    made = (shots_chart(found), speed_chart(rows, sheet), *bar_charts(rows, sheet))
    charts = [chart for chart in made if chart]
    headers = ("", *(row.name for row in rows))
    figures = [(name, *cells) for name, cells in figure_rows(rows, sheet)]
    view: dict[str, Any] = {
        "found": found,
        "title": "Encoders compared",
        "source": Path(found.source).name,
        "table": Table.of("All figures, with their intervals of 95 %", headers, figures),
        "meanings": list(sheet.figures.values()),
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
    """Return the accuracy by labelled texts a label, or what the sheet has instead, a curve for each candidate."""
    curves = [(row.name, row.shots) for row in found.rows] + [(one.name, one.shots) for one in found.tuned]
    curves = [(name, shots) for name, shots in curves if shots]
    if not curves:
        return None
    every = sorted({each for _, shots in curves for each in shots})
    curve = found.sheet.curve
    style = ".0%" if curve.share else ".2f"
    traces = [_curve(place, name, shots, style) for place, (name, shots) in enumerate(curves)]
    rows = [
        (name, *(figure(shots[each]) if each in shots else DASH for each in every)) for name, shots in curves
    ]
    columns = ("Encoder", *(f"{each} a label" for each in every))
    axis = {"type": "log", "tickvals": every, "ticktext": [str(each) for each in every]}
    first = max(curves, key=lambda one: one[1][min(one[1])].value or 0)[0]
    few = f"labelled {curve.example}s a label"
    title, leader = f"{curve.figure} by {few}", f"With the fewest, {first} leads."
    return Chart(
        "shots",
        title,
        f"A linear probe that knows few {curve.example}s; bars are intervals over folds. {leader}",
        figure_of(traces, few.capitalize(), curve.figure, xaxis=axis, yaxis={"tickformat": style, **SHARES}),
        Table.of(title, columns, rows),
    )


def _curve(place: int, name: str, shots: dict[int, Estimate], style: str) -> go.Scatter:
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
        hovertemplate=f"{short(name)}, %{{x}} a label: %{{y:{style}}}<extra></extra>",
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


def speed_chart(rows: Sequence[Row], sheet: Sheet) -> Chart:
    """Return the sheet's first figure by texts a second."""
    key, title = sheet.first, sheet.figures[sheet.first][0]
    style = ".1%" if key.endswith("accuracy") else ".3f"
    traces = []
    for place, row in enumerate(rows):
        value = row.figures[key]
        traces.append(
            go.Scatter(
                x=[row.speed],
                y=[value.value],
                error_y=_bars([value]),
                name=short(row.name),
                meta=ROLES[place % len(ROLES)],
                mode="markers",
                marker={"size": 12, "symbol": SYMBOLS[place % len(SYMBOLS)]},
                hovertemplate=f"{short(row.name)}: %{{y:.3f}} at %{{x:,.0f}} texts a second<extra></extra>",
            )
        )
    fastest = max(rows, key=lambda row: row.speed)
    table = [(row.name, figure(row.figures[key]), rate(row.speed)) for row in rows]
    axes = {"xaxis": {"type": "log", "dtick": 1}, "yaxis": {"tickformat": style, **SHARES}}
    return Chart(
        "speed",
        f"{title} by speed",
        f"Up is better, right is faster: {fastest.name} encodes {rate(fastest.speed)} texts a second on this machine.",
        figure_of(traces, "Texts a second", title, showlegend=True, **axes),
        Table.of(f"{title} by speed", ("Encoder", title, "Texts a second"), table),
    )


def bar_charts(rows: Sequence[Row], sheet: Sheet) -> list[Chart]:
    """Return a chart of bars for each purpose, with a group of bars for each figure."""
    found = []
    for title, keys in sheet.charts.items():
        known = [key for key in keys if any(row.figures[key].value is not None for row in rows)]
        if not known:
            continue
        best = max(rows, key=lambda row: row.figures[known[0]].value or 0.0)
        names = [sheet.figures[key][0] for key in known]
        table = [(row.name, *(figure(row.figures[key]) for key in known)) for row in rows]
        # What a chart's title says need not stand below each bar.
        brief = [name.partition(", ")[0] for name in names]
        groups = [_group(place, row, known, brief) for place, row in enumerate(rows)]
        found.append(
            Chart(
                known[0].replace("_", "-"),
                title,
                f"{names[0]}: {best.name} is highest with {figure(best.figures[known[0]])}.",
                figure_of(groups, "", "", barmode="group"),
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

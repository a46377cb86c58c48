"""What the report says of the price of more: what the next questions were expected to buy, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from plotly import graph_objects as go

from vermilion.learn.worth import Gain
from vermilion.page.figures import Chart, Table, figure_of
from vermilion.red import wording
from vermilion.red.record import RoundRecord, Summary
from vermilion.red.report.charts import answers_before
from vermilion.red.report.tables import or_dash


@dataclass(frozen=True, slots=True)
class WorthSection:
    """The report's section: one line on what more would buy, and a point for each round."""

    line: str
    chart: Chart


def worth_section(summary: Summary) -> WorthSection | None:
    """Return the section's content; None where nothing could be expected yet."""
    rounds = summary.rounds
    known = [record for record in rounds if record.gain_per_100_calls is not None]
    if not known:
        return None
    columns = [
        ("Round", [str(record.round) for record in rounds]),
        ("100 more calls", [_gain(record.gain_per_100_calls) for record in rounds]),
        ("A dollar more", [_gain(record.gain_per_dollar) for record in rounds]),
        ("Kappa", [or_dash(record.kappa) for record in rounds]),
        ("Uncertain texts", [wording.count(record.uncertain) for record in rounds]),
    ]
    kept = [(name, cells) for name, cells in columns if any(cell != "–" for cell in cells)]
    caption = "Expected gain in agreement with the expert" + (" (simulation)" if summary.simulated else "")
    rows = list(zip(*(cells for _, cells in kept), strict=True))
    table = Table.of(caption, [name for name, _ in kept], rows)
    return WorthSection(_line(known[-1]), _chart(known, caption, table))


def _chart(rounds: Sequence[RoundRecord], title: str, table: Table) -> Chart:
    """Return what 100 more questions were expected to buy, by the answers there were; bars are its bounds."""
    gains = [record.gain_per_100_calls for record in rounds if record.gain_per_100_calls is not None]
    xs = [answers_before(record) for record in rounds]
    trace = go.Scatter(
        x=xs,
        y=[gain.estimate for gain in gains],
        error_y={
            "type": "data",
            "array": [gain.upper - gain.estimate for gain in gains],
            "arrayminus": [gain.estimate - gain.lower for gain in gains],
            "thickness": 1.5,
            "width": 4,
        },
        mode="lines+markers",
        name="100 more questions",
        meta="accent",
        line={"width": 2},
        marker={"size": 8},
        customdata=[_gain(gain) for gain in gains],
        hovertemplate="after %{x:,}: %{customdata}<extra></extra>",
    )
    told = (
        f"{_gain(gains[0])} after {wording.counted(xs[0], 'answer')}, {_gain(gains[-1])} after"
        f" {wording.count(xs[-1])}."
    )
    figure = figure_of([trace], "Answers", "Points for 100 more", yaxis={"rangemode": "tozero"})
    return Chart("worth", title, told, figure, table)


def _line(last: RoundRecord) -> str:
    told = (
        f"After round {last.round}, 100 more questions were expected to buy {_gain(last.gain_per_100_calls)}"
    )
    return told + (f", a dollar more {_gain(last.gain_per_dollar)}." if last.gain_per_dollar else ".")


def _gain(gain: Gain | None) -> str:
    return "–" if gain is None else wording.gain_words(gain)

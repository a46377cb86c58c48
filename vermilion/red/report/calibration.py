"""The report's section on calibration: a reliability diagram, and what it says in a sentence and a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plotly import graph_objects as go

from vermilion.page.figures import Chart, Table, figure_of
from vermilion.red import wording
from vermilion.red.record import CalibrationRecord, PairCalibration

if TYPE_CHECKING:
    from vermilion.learn.calibration_metrics import ReliabilityBin


@dataclass(frozen=True, slots=True)
class CalibrationSection:
    """What the section shows."""

    chart: Chart
    table: Table


def calibration_section(
    calibration: CalibrationRecord | PairCalibration | None, *, simulated: bool = False
) -> CalibrationSection | None:
    """Return the section, or None where nothing was calibrated."""
    if not isinstance(calibration, CalibrationRecord) or not calibration.bins:
        return None
    return CalibrationSection(reliability_chart(calibration, simulated=simulated), key_table(calibration))


def reliability_chart(calibration: CalibrationRecord, *, simulated: bool = False) -> Chart:
    """Return the reliability diagram: how often a label is right that the model is so sure of.

    A calibrated model's points lie on the diagonal. Bars are 95 % intervals of the share that is right.

    Examples
    --------
    >>> from vermilion.learn.calibration_metrics import ReliabilityBin
    >>> bins = (ReliabilityBin(0.5, 1.0, 4, 0.75, 0.75, 0.4, 0.95),)
    >>> record = CalibrationRecord("temperature", 0.9, 4, 4, 0.0, 0.05, 0.01, 0.01, 0.4, 0.38, 0.5, bins)
    >>> [cell.replace(wording.SPACE, " ") for cell in reliability_chart(record).table.rows[0]]
    ['0.50 to 1.00', '4', '75.0 %', '75.0 %', '40.0 % to 95.0 %']
    """
    line = calibration_line(calibration, simulated=simulated)
    return diagram(calibration.bins, line, "Share that is right", "Texts")


def diagram(bins: Sequence[ReliabilityBin], line: str, share_of: str, counted: str) -> Chart:
    """Return the chart of a reliability diagram; `share_of` is what its bins' accuracy is, `counted` what they hold."""
    hover = [_interval(b.lower, b.upper) for b in bins]
    traces = [
        go.Scatter(
            x=[0, 1], y=[0, 1], mode="lines", name="Calibrated", meta="given",
            line={"width": 1, "dash": "dash"}, hoverinfo="skip",
        ),
        go.Scatter(
            x=[b.confidence for b in bins],
            y=[b.accuracy for b in bins],
            error_y={
                "type": "data",
                "array": [b.upper - b.accuracy for b in bins],
                "arrayminus": [b.accuracy - b.lower for b in bins],
                "thickness": 1.5, "width": 4,
            },
            mode="lines+markers", name="Model, texts held out", meta="accent",
            line={"width": 2}, marker={"size": 8}, customdata=hover,
            hovertemplate="confidence %{x:.1%}: %{y:.1%} (%{customdata})<extra></extra>",
        ),
    ]  # fmt: skip
    share = {"range": [0, 1.02], "tickformat": ".0%"}
    rows = [
        (
            f"{b.low:.2f} to {b.high:.2f}",
            wording.count(b.n),
            wording.percent(b.confidence),
            wording.percent(b.accuracy),
            _interval(b.lower, b.upper),
        )
        for b in bins
    ]
    columns = ("Confidence", counted, "Mean confidence", share_of, "95 % interval")
    return Chart(
        "reliability",
        "Reliability of the model's confidence",
        line,
        figure_of(traces, "Confidence", share_of, xaxis=share, yaxis=share),
        Table.of("Reliability of the model's confidence", columns, rows),
    )


def calibration_line(calibration: CalibrationRecord, *, simulated: bool) -> str:
    """Return in words what calibration did, and on how many texts that was seen."""
    expert = "the simulated expert's" if simulated else "the expert's"
    change = f"from {_points(calibration.ece_before)} to {_points(calibration.ece)}"
    return (
        f"On {wording.counted(calibration.n, 'text')} held out, "
        f"{wording.count(calibration.labelled)} of them labelled from the start, confidence differs from the share "
        f"that is right by {_points(calibration.ece)} points on average (ECE; {change} by {calibration.method}). "
        f"About {wording.percent(calibration.answer_error)} of {expert} answers are taken for wrong."
    )


def _points(error: float) -> str:
    return f"{100 * error:.1f}"


def _interval(lower: float, upper: float) -> str:
    return f"{wording.percent(lower)} to {wording.percent(upper)}"


def key_table(calibration: CalibrationRecord) -> Table:
    """Return the section's figures, before and after, lower being better for all but the number of texts."""
    rows = (
        ("Expected calibration error", f"{calibration.ece_before:.4f}", f"{calibration.ece:.4f}"),
        ("Classwise calibration error", "–", f"{calibration.classwise_ece:.4f}"),
        ("Brier score, 0 to 2", f"{calibration.brier_before:.4f}", f"{calibration.brier:.4f}"),
        ("Log loss, nats", "–", f"{calibration.log_loss:.4f}"),
    )
    return Table.of(
        f"Calibration by {calibration.method}", ("Figure", "As the run began", "Calibrated"), rows
    )

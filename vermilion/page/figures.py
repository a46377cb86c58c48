"""Charts and tables as values: a plotly figure, a sentence that says what it shows, and the table behind it.

Figures hold numbers and words that are safe to show, never a text or a label as it came: plotly reads markup in
strings. Colours are named by role (`meta`) and filled in by the page, which knows its theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
THOUSANDS: dict[str, Any] = {"separatethousands": True, "exponentformat": "none"}
WHOLE = {"rangemode": "tozero", **THOUSANDS}


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its caption, its columns (name, whether numeric) and its rows of cells."""

    caption: str
    columns: tuple[tuple[str, bool], ...]
    rows: tuple[tuple[str, ...], ...]
    marked: int | None = None

    @classmethod
    def of(cls, caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
        """Return a table whose first column holds words, and the others numbers."""
        named = tuple((name, place > 0) for place, name in enumerate(columns))
        return cls(caption, named, tuple(tuple(row) for row in rows))


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: its key in the page, its title, what it shows in a sentence, its figure and its table.

    `large`: it takes the page's whole width and more height than others.
    """

    key: str
    title: str
    description: str
    figure: dict[str, Any]
    table: Table
    large: bool = False


def figure_of(traces: Sequence[Any], x: str, y: str, **layout: Any) -> dict[str, Any]:
    """Return a checked figure as plain JSON types, without plotly's own template."""
    from plotly import graph_objects as go  # here, as the screen knows tables and must start quickly

    axes = {
        "xaxis": {"title": {"text": x}, **THOUSANDS, **layout.pop("xaxis", {})},
        "yaxis": {"title": {"text": y}, **layout.pop("yaxis", {})},
    }
    figure = go.Figure(list(traces), {"legend": LEGEND, "showlegend": len(traces) > 1, **axes, **layout})
    plain: dict[str, Any] = figure.to_plotly_json()
    plain["layout"].pop("template")
    return plain

"""report.html: one file that shows a run to people and asks nothing of the network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from vermilion.page.shell import assets, environment
from vermilion.red import wording
from vermilion.red.record import ReportData
from vermilion.red.report.calibration import calibration_section
from vermilion.red.report.certificates import certificate_section
from vermilion.red.report.charts import charts
from vermilion.red.report.health import health_section
from vermilion.red.report.scope import scope_section
from vermilion.red.report.tables import (
    heads_table,
    key_figures,
    labels_line,
    labels_table,
    repeat_tables,
    rounds_table,
)
from vermilion.red.report.trust import trust_section
from vermilion.red.report.worth import worth_section

if TYPE_CHECKING:
    from jinja2 import Environment


def render_report(data: ReportData) -> str:
    """Return the report as one HTML file of about 2 MB, nearly all of it plotly, compressed.

    Texts and labels are shown as they are and never as markup. Without JavaScript the page still reads: every
    chart's numbers stand in a table.

    Examples
    --------
    >>> from vermilion.red.record import Summary
    >>> summary = Summary(2, 1, "static", "flat", (), 0, {}, 0.0, {}, {"auto": 2}, None, "rounds: 2 asked")
    >>> page = render_report(ReportData("Tickets", summary, {}, (), (("<b>", 2, 5),), ()))
    >>> "<title>Tickets: Vermilion report</title>" in page, "&lt;b&gt;" in page, "<b>" in page
    (True, True, False)
    """
    return render("report.html.j2", data)


def render(template: str, data: ReportData, own: Mapping[str, Any] | None = None) -> str:
    """Return a report by a template; `own` are parts that take the place of those of every report."""
    return _environment().get_template(template).render(_view(data, own or {}))


@cache
def _environment() -> Environment:
    words = (
        wording.count,
        wording.counted,
        wording.percent,
        wording.percent_at_least,
        wording.percent_at_most,
    )
    own = environment("vermilion.red.report")
    own.filters |= {word.__name__: word for word in words}
    return own


def _view(data: ReportData, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that the template shows; what does not apply is empty."""
    summary, shared = data.summary, assets()
    view: dict[str, Any] = {
        "data": data,
        "headlines": wording.headlines(summary),
        "reasons": wording.stop_reasons(summary.stopped),
        "key_figures": key_figures(summary),
        "rounds": rounds_table(summary) if summary.rounds else None,
        "charts": charts(data),
        "calibration": calibration_section(summary.calibration, simulated=summary.simulated),
        "certificates": certificate_section(summary),
        "health": health_section(summary.health) if summary.health else None,
        "heads": heads_table(summary.heads_compared) if summary.heads_compared else None,
        "worth": worth_section(summary),
        "trust": trust_section(summary.trust) if summary.trust else None,
        "scope": scope_section(summary, data.proposed),
        "labels": labels_table(data.label_counts) if data.label_counts else None,
        "labels_line": labels_line(data.label_counts),
        "repeat": repeat_tables(summary),
        "style": shared.style,
        "script": shared.script,
        "plotly": shared.plotly,
        "policy": shared.policy,
    }
    view |= own
    drawn = [*view["charts"], *(view[name].chart for name in ("worth", "calibration") if view[name])]
    return view | {
        "figures": {chart.key: chart.figure for chart in drawn},
        "sections": _sections(view),
    }


def _sections(view: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the page's contents: the sections that it has."""
    data: ReportData = view["data"]
    possible = [
        ("result", "Result", True),
        ("figures", "Key figures", True),
        ("certificates", "What the audit proves", view["certificates"]),
        ("rounds", "Rounds and decisions", view["rounds"] or view["charts"]),
        ("worth", "What more would buy", view["worth"]),
        ("models", "Model", view["heads"]),
        ("calibration", "Confidence", view["calibration"]),
        ("trust", "Trust in the expert", view["trust"]),
        ("pairs", "Hardest pairs", data.pairs),
        ("labels", "Labels", view["labels"]),
        ("scope", "Texts that no label fits", view["scope"]),
        ("health", "Health of the labels", view["health"]),
        ("open", "Least certain texts", data.open_texts),
        ("repeat", "Repeat this run", True),
    ]
    return [(key, name) for key, name, there in possible if there]

"""report.html: one file that shows a run to people and asks nothing of the network."""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

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
    label_rows,
    labels_line,
    repeat_tables,
    rounds_table,
)
from vermilion.red.report.trust import trust_section
from vermilion.red.report.worth import worth_section


@dataclass(frozen=True, slots=True)
class Assets:
    """The page's own style and scripts, and the policy that lets the browser run these and nothing else."""

    style: str
    script: str
    plotly: str
    policy: str


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
    return _environment().get_template("report.html.j2").render(_view(data))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("vermilion.red.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=False,
    )
    words = (
        wording.count,
        wording.counted,
        wording.percent,
        wording.percent_at_least,
        wording.percent_at_most,
    )
    environment.filters |= {word.__name__: word for word in words}
    return environment


def _view(data: ReportData) -> dict[str, Any]:
    """Return all that the template shows; what does not apply is empty."""
    summary = data.summary
    round_charts = charts(data)
    calibration = calibration_section(summary.calibration, simulated=summary.simulated)
    worth = worth_section(summary)
    drawn = [*round_charts, *(section.chart for section in (worth, calibration) if section)]
    assets = _assets()
    view: dict[str, Any] = {
        "data": data,
        "headlines": wording.headlines(summary),
        "reasons": wording.stop_reasons(summary.stopped),
        "key_figures": key_figures(summary),
        "rounds": rounds_table(summary) if summary.rounds else None,
        "charts": round_charts,
        "figures": {chart.key: chart.figure for chart in drawn},
        "calibration": calibration,
        "certificates": certificate_section(summary),
        "health": health_section(summary.health) if summary.health else None,
        "heads": heads_table(summary.heads_compared) if summary.heads_compared else None,
        "worth": worth,
        "trust": trust_section(summary.trust) if summary.trust else None,
        "scope": scope_section(summary, data.proposed),
        "labels": label_rows(data.label_counts),
        "labels_line": labels_line(data.label_counts),
        "repeat": repeat_tables(summary),
        "style": assets.style,
        "script": assets.script,
        "plotly": assets.plotly,
        "policy": assets.policy,
    }
    return view | {"sections": _sections(view)}


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


@cache
def _assets() -> Assets:
    style = _environment().get_template("report.css.j2").render()
    script = files("vermilion.red.report").joinpath("templates/report.js").read_text("utf-8")
    plotly = files("plotly").joinpath("package_data/plotly.min.js").read_bytes()
    # Without a time stamp the same run gives the same bytes.
    packed = base64.b64encode(gzip.compress(plotly, mtime=0)).decode()
    return Assets(style, script, packed, _policy(style, script, plotly))


def _policy(style: str, script: str, plotly: bytes) -> str:
    """Return the content security policy: this style, these two scripts, and nothing from anywhere."""
    rules = {
        "default-src": "'none'",
        "script-src": f"{_digest(script.encode())} {_digest(plotly)}",
        # plotly adds its rules, one by one, to a style element that it makes empty.
        "style-src": f"{_digest(style.encode())} {_digest(b'')}",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _digest(content: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"

"""evaluation.html: one file that shows an evaluation to people and asks nothing of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vermilion.choose import evaluation_tables as tables
from vermilion.choose.evaluation import METHOD, Evaluation
from vermilion.choose.evaluation_charts import charts
from vermilion.learn.bootstrap import RESAMPLES
from vermilion.page.figures import Table
from vermilion.page.shell import assets, environment

SHOWN_ERRORS = 20
KEY_FIGURES = 8


def render_evaluation(evaluation: Evaluation, errors: Sequence[Mapping[str, Any]]) -> str:
    """Return the page as one HTML file of about 2 MB, nearly all of it plotly, compressed.

    Texts and labels are shown as they are and never as markup. Without JavaScript the page still reads: every chart's
    numbers stand in a table.

    Parameters
    ----------
    evaluation : Evaluation
    errors : sequence of mapping
        Rows of predictions.jsonl, errors first; the first are shown.
    """
    drawn = charts(evaluation)
    own = assets()
    view: dict[str, Any] = {
        "evaluation": evaluation,
        "headline": tables.headline(evaluation),
        "heading": tables.heading(evaluation),
        "key_figures": _key_figures(evaluation),
        "metrics": tables.metrics_table(evaluation),
        "charts": drawn,
        "levels": tables.levels_table(evaluation),
        "labels": tables.labels_table(evaluation),
        "confusions": tables.confusions_table(evaluation, 30),
        "groups": tables.groups_table(evaluation),
        "slices": [(own, tables.slice_table(own), tables.gap_lines(own)) for own in evaluation.slices],
        "comparison": tables.comparison_table(evaluation) if evaluation.comparison else None,
        "comparison_line": tables.comparison_line(evaluation) if evaluation.comparison else "",
        "errors": _errors_table(errors),
        "repeat": _repeat(evaluation),
        "figures": {chart.key: chart.figure for group in drawn.values() for chart in group},
        "style": own.style,
        "script": own.script,
        "plotly": own.plotly,
        "policy": own.policy,
    }
    template = environment("vermilion.choose").get_template("evaluation.html.j2")
    return template.render(view | {"sections": _sections(view)})


def _sections(view: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the page's contents: the sections that it has."""
    possible = [
        ("result", "Result", True),
        ("comparison", "The two models", view["comparison"]),
        ("slices", "Groups of texts", view["slices"]),
        ("levels", "Levels of the tree", view["levels"].rows),
        ("metrics", "Every metric", True),
        ("curves", "Thresholds and confidence", view["charts"]["curves"]),
        ("labels", "Labels", view["labels"].rows),
        ("confusions", "What is taken for what", view["confusions"].rows),
        ("errors", "Surest errors", view["errors"].rows),
        ("repeat", "How this was measured", True),
    ]
    return [(key, name) for key, name, there in possible if there]


def _key_figures(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Return the first metrics that are defined as (name, value, interval)."""
    defined = [(name, own) for name, own in evaluation.metrics.items() if own.value is not None]
    shown = defined[:KEY_FIGURES]
    return [(name, tables.figure(own.value), tables.interval(own)) for name, own in shown]


def _errors_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the errors that the model was surest of."""
    wrong = [row for row in rows if not row.get("placed", row["right"])][:SHOWN_ERRORS]
    cells = tuple(
        (
            " ⟷ ".join(str(row["text"]).split("\u001f")),
            _names(row["true"]),
            _names(row["predicted"]),
            f"{row['confidence']:.3f}",
        )
        for row in wrong
    )
    columns = (("Text", False), ("True", False), ("Predicted", False), ("Confidence", True))
    return Table("Errors that the model was surest of", columns, cells)


def _names(labels: object) -> str:
    return ", ".join(labels) or "–" if isinstance(labels, list) else str(labels or "–")


def _repeat(evaluation: Evaluation) -> Table:
    rows = (
        ("model", evaluation.model),
        ("test", evaluation.test),
        ("test, sha256", evaluation.sha256),
        ("task", evaluation.task),
        ("decision", evaluation.decision),
        ("intervals", f"95 %: {METHOD}"),
        ("resamples, seed", f"{RESAMPLES:,}, {evaluation.seed}"),
    )
    return Table("How to measure the same again", (("Name", False), ("Value", False)), rows)

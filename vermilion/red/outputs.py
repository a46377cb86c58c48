"""The files a run leaves: each is whole or not there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from vermilion.red.card import render_model_card
from vermilion.red.certifying import audit_rows
from vermilion.red.decisions import as_rows
from vermilion.red.people import known_people
from vermilion.red.people_files import AUDIT
from vermilion.red.record import Summary
from vermilion.red.report.page import render_report
from vermilion.red.run import Result
from vermilion.red.summary import report_data
from vermilion.red.unlabelled import additions_json
from vermilion.types import Encoder
from vermilion.world.data_writer import replacing, write_decisions
from vermilion.world.labels import write_labels
from vermilion.world.models import SavedModel, save_model

SUMMARY, REPORT, MODEL, LABELS = "summary.json", "report.html", "model", "labels.yaml"
PROPOSED = "proposed_labels.json"


def write_outputs(result: Result, encoder: Encoder, out: Path, decisions: str, title: str) -> None:
    """Write decisions, labels, model, report, and last the summary, which says that all is there.

    Parameters
    ----------
    decisions : str
        File name inside `out`; .jsonl, .csv or .parquet.
    """
    ran = result.ran
    write_decisions(out / decisions, as_rows(ran.decisions))
    audit = ran.outcome.audit
    asked = audit_rows(audit, ran.problem, ran.decisions, ran.outcome.state) if audit else ()
    write_decisions(out / AUDIT, asked)
    summary = replace(result.summary, people=known_people(out, decisions))
    write_labels(out / LABELS, ran.problem.labels)
    write_text(out / PROPOSED, additions_json(ran.proposed))
    save_model(
        out / MODEL,
        saved_model(result, encoder),
        render_model_card(summary, ran.problem.labels, encoder.digest),
    )
    write_text(out / REPORT, render_report(report_data(title, ran, summary)))
    write_text(out / SUMMARY, summary_json(summary))


def summary_json(summary: Summary) -> str:
    """Return summary.json's text."""
    return json.dumps(summary.as_dict(), indent=1, ensure_ascii=False) + "\n"


def saved_model(result: Result, encoder: Encoder) -> SavedModel:
    """Return the model that the run has learned, with where it came from."""
    ran, summary = result.ran, result.summary
    told = summary.as_dict()
    origin: dict[str, Any] = {
        name: told[name]
        for name in ("data", "versions", "settings", "certificate", "gold", "expert", "simulated", "calls")
        if name in told
    }
    return SavedModel(
        ran.choice.kind,
        ran.outcome.model.head,
        ran.problem.labels,
        ran.outcome.model.temperature,
        summary.encoder,
        encoder.digest,
        origin,
        ran.outcome.model.calibrator,
        None if ran.outcome.foreign is None else ran.outcome.foreign.model,
    )


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")

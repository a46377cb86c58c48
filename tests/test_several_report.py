"""The report of a run with several labels a text: its numbers are the run's, and no text in it can act."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_several_files import go, plain_head, rows_of, write

from vermilion.config import Caps
from vermilion.red import several_model, wording
from vermilion.red.record import PairCalibration
from vermilion.red.report.several import render_several_report
from vermilion.red.request import Request
from vermilion.red.several_report import label_figures, several_report_data
from vermilion.red.several_run import SeveralResult

ATTACK = "<img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[SeveralResult, str]:
    folder: Path = tmp_path_factory.mktemp("run")
    gold = [*rows_of(60, seed=1), {"text": ATTACK, "labels": ["card"]}, rows_of(40, seed=0)[0]]
    write(folder / "gold.jsonl", gold)
    pool = write(folder / "pool.jsonl", [{"text": row["text"]} for row in gold])
    request = Request(
        write(folder / "labelled.jsonl", rows_of(40, seed=0)), pool, folder / "out", title="Tickets"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(several_model, "candidates", plain_head)
        result = go(request, caps=Caps(max_calls=120), expert_error=0.2, trust="warn")
    return result, (folder / "out" / "report.html").read_text(encoding="utf-8")


def test_the_page_has_the_sections_that_apply(ran: tuple[SeveralResult, str]) -> None:
    result, page = ran
    for section in [
        "result",
        "figures",
        "certificates",
        "rounds",
        "models",
        "calibration",
        "trust",
        "labels",
        "repeat",
    ]:
        assert f'<section id="{section}"' in page
        assert f'href="#{section}"' in page
    for section in ("worth", "scope", "health"):
        assert f'<section id="{section}"' not in page
    certificate = result.summary.certificate
    assert certificate is not None
    least = wording.percent_at_least(certificate.lower)
    assert f"Micro-F1 of the labels, by the answers of the expert (simulation), is at least {least}" in page
    assert "by pairs of a text and a label" in page
    assert "Agreement with gold" not in page


def test_charts_have_the_runs_numbers(ran: tuple[SeveralResult, str]) -> None:
    result, page = ran
    figures: dict[str, Any] = json.loads(page.split('id="figures-json">')[1].split("</script>")[0])
    assert set(figures) == {"uncertain", "agreement", "sources", "confidence", "effort", "reliability"}
    micro = figures["agreement"]["data"][0]["y"]
    rounds = [record.gold_f1 for record in result.summary.rounds]
    assert result.summary.gold is not None
    assert micro == [*rounds, result.summary.gold["f1_micro"]]


def test_texts_are_shown_and_never_act(ran: tuple[SeveralResult, str]) -> None:
    _, page = ran
    assert ATTACK not in page
    shown = replace(ran[0].summary, expert=ATTACK)
    result = ran[0]
    rows = [{**row, "text": ATTACK, "labels": [ATTACK], "source": "auto"} for row in result.decisions]
    data = several_report_data(ATTACK, result.problem, result.outcome, rows, shown)
    figures = [replace(one, name=ATTACK) for one in label_figures(result.problem, result.outcome)]
    poisoned = render_several_report(data, figures)
    assert ATTACK not in poisoned
    assert "&lt;img src=x" in poisoned


def test_label_figures_add_up(ran: tuple[SeveralResult, str]) -> None:
    result, _ = ran
    figures = label_figures(result.problem, result.outcome)
    assert [one.decided for one in figures] == [
        sum(one.name in row["labels"] for row in result.decisions) for one in figures
    ]
    assert sum(one.asked for one in figures) == result.summary.calls
    assert sum(one.yes for one in figures) == sum(len(row["confirmed"]) for row in result.decisions)
    assert sum(one.overruled for one in figures) > 0
    assert [one.labelled for one in figures] == result.problem.Y_given.sum(axis=0).tolist()


def test_calibration_is_of_labelled_texts_held_out(ran: tuple[SeveralResult, str]) -> None:
    result, _ = ran
    found = result.summary.calibration
    assert isinstance(found, PairCalibration)
    assert (found.n, found.pairs) == (40, 160)
    assert sum(one.n for one in found.bins) == 160
    truth = result.problem.Y_given
    gap = abs(
        np.average([one.accuracy for one in found.bins], weights=[one.n for one in found.bins]) - truth.mean()
    )
    assert gap < 1e-9

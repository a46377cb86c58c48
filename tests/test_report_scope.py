"""The report's section on texts that no label fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vermilion.red.record import ProposedLabel, ReportData, Summary
from vermilion.red.report.page import render_report
from vermilion.red.report.scope import scope_section
from vermilion.red.wording import SPACE

TOLD: dict[str, Any] = {
    "score": "logit + nearest",
    "labels_left_out": {"logit": 0.91, "logit + nearest": 0.925},
    "held_out": 750,
    "rate": 0.05,
    "rate_at_most": 0.0493,
    "looks_foreign": 0.016,
    "refused": {"share": 0.04, "lower": 0.012, "upper": 0.09, "refused": 5, "n": 100, "confidence": 0.95},
}
PROPOSED = (ProposedLabel("parking_ticket", 12, ("4", "9"), ("where do I pay <b>parking</b>",)),)
SUMMARY = Summary(
    2000,
    2,
    "static",
    "flat",
    (),
    100,
    {},
    0.0,
    {},
    {"auto": 1900, "none": 3, "out_of_scope": 1},
    None,
    "x",
    out_of_scope=TOLD,
)


def said(**changes: Any) -> str:
    section = scope_section(replace(SUMMARY, out_of_scope=TOLD | changes), PROPOSED)
    assert section is not None
    return " ".join(section.lines).replace(SPACE, " ")


def test_counts_shares_and_the_rate_are_told() -> None:
    lines = said()
    assert "4 texts got no label: for 3 the expert found none right, 1 look foreign" in lines
    assert "5 of 100 random texts" in lines
    assert "from 1.2 % to 9.0 % with 95 % confidence" in lines
    assert "at least 1.6 % of the pool" in lines
    assert "at most 4.9 % lose their label" in lines


def test_what_does_not_apply_is_not_told() -> None:
    assert "random texts" not in said(refused=None)
    assert "By their looks" not in said(looks_foreign=None)
    assert "no rate of false alarms was set" in said(rate=None)
    assert "Too few" in said(note="too few labelled texts")
    section = scope_section(replace(SUMMARY, out_of_scope=TOLD | {"labels_left_out": {}}), ())
    assert section is not None
    assert section.scores is None
    assert scope_section(replace(SUMMARY, out_of_scope=None), ()) is None


def test_a_simulation_is_named() -> None:
    section = scope_section(replace(SUMMARY, simulated=True), ())
    assert section is not None
    assert any("simulated expert" in line for line in section.lines)


def test_the_chosen_score_is_marked() -> None:
    section = scope_section(SUMMARY, PROPOSED)
    assert section is not None
    assert section.scores is not None
    assert section.scores.rows == (("logit", "0.910"), ("logit + nearest (chosen)", "0.925"))


def test_the_page_shows_proposals_as_text() -> None:
    page = render_report(ReportData("Tickets", SUMMARY, {}, (), (("a", 2, 5),), (), PROPOSED))
    assert '<a href="#scope">' in page
    assert "parking_ticket" in page
    assert "pay &lt;b&gt;parking&lt;/b&gt;" in page
    assert '<a href="#scope">' not in render_report(
        ReportData("Tickets", replace(SUMMARY, out_of_scope=None), {}, (), (("a", 2, 5),), ())
    )

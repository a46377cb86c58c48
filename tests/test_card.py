"""The model card: what it says is what the run recorded, and no label can write markup into it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vermilion.red.card import render_model_card
from vermilion.red.record import Certificate, RoundRecord, Summary
from vermilion.types import Label

SUMMARY = Summary(
    texts=14_250,
    labels=2,
    encoder="minilm",
    head="flat",
    rounds=(RoundRecord(0, 900, 250, 240, 0.9), RoundRecord(1, 300, 120, 118, 0.95)),
    calls=370,
    tokens={"prompt": 5},
    cost_usd=1.234,
    seconds={},
    decisions={"given": 0, "verified": 200, "corrected": 158, "auto": 13_892, "review": 0},
    certificate=Certificate(
        0.967, 0.94296, 0.985, 0.95, "Clopper-Pearson", 120, "drawn from the model's own"
    ),
    stopped="target: certified",
    expert="openai:some-model",
    labelled=10,
    settings={"seed": 7, "caps": {"max_cost": 2.0}},
    versions={"vermilion": "0.1.0"},
    data={"pool": "be50c362"},
)
LABELS = [Label("billing", "use when money is the matter"), Label("praise")]


def sections(card: str) -> dict[str, str]:
    """Return the text below each heading."""
    parts = card.split("\n## ")[1:]
    return {title: text.strip() for title, _, text in (part.partition("\n") for part in parts)}


def test_card_tells_what_the_run_recorded() -> None:
    card = sections(render_model_card(SUMMARY, LABELS, "8199be6f"))
    assert "2 labels" in card["What it does"]
    assert card["Labels"] == "- **billing**: use when money is the matter\n- **praise**"
    assert "at least 94.2 % (95 % confidence, n = 120, Clopper-Pearson)" in card["Quality"]
    assert "Drawn from the model's own." in card["Quality"]
    assert (
        "`openai:some-model`; 370 questions answered in 2 rounds, for $1.23."
        in card["How the labels came about"]
    )
    assert "200 verified, 158 corrected, 13,892 auto." in card["How the labels came about"]
    assert "digest `8199be6f`" in card["Encoder and head"]
    assert "- pool: `be50c362`" in card["Data"]
    assert "- caps.max\\_cost: `2.0`" in card["Settings"]
    assert "- vermilion: `0.1.0`" in card["Versions"]
    assert "vermilion predict" in card["How to use it"]


def test_a_real_expert_is_no_simulation() -> None:
    card = render_model_card(SUMMARY, LABELS, "8199be6f")
    assert "imulation" not in card
    assert "gold" not in card


def test_gold_is_named_a_simulation_wherever_it_is_told() -> None:
    gold = {"agreement": 0.961, "auto_agreement": 0.955}
    summary = replace(SUMMARY, simulated=True, expert="oracle:gold.csv", gold=gold)
    card = render_model_card(summary, LABELS, "8199be6f")
    assert "- 96.1 % of 14,250 texts agree with the gold labels (simulation)." in card
    assert "95.5 % agree with gold (simulation)" in card
    told = [line for line in card.splitlines() if " gold" in line]
    assert all("imulation" in line for line in told)


def test_no_certificate_is_said_plainly() -> None:
    card = sections(render_model_card(replace(SUMMARY, certificate=None), LABELS, "8199be6f"))
    assert card["Quality"].startswith("- There is no certificate")


def test_many_labels_are_counted() -> None:
    labels = [Label(f"label {n}") for n in range(970)]
    listed = sections(render_model_card(replace(SUMMARY, labels=970), labels, "8199be6f"))["Labels"]
    assert listed.count("- **") == 50
    assert listed.endswith("And 920 more, all in `model.json`.")


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "[x](javascript:alert)", "![x](y)", "a\n# Title", "`x`", "| a |", "*b*"],
)
def test_labels_cannot_write_markup(name: str) -> None:
    card = render_model_card(replace(SUMMARY, stopped=name), [Label(name, name)], name)
    plain = render_model_card(replace(SUMMARY, stopped="x"), [Label("x", "x")], "x")
    assert len(card.splitlines()) == len(plain.splitlines())
    listed = sections(card)["Labels"]
    assert "<" not in listed
    for mark in "[]`|":
        assert listed.count(mark) == listed.count(f"\\{mark}")


@pytest.mark.parametrize(
    ("encoder", "words"), [("minilm", "Apache-2.0"), ("static", "MIT"), ("st:other", "its publisher's")]
)
def test_licence_of_the_weights_is_the_encoder_s(encoder: str, words: str) -> None:
    assert words in sections(render_model_card(replace(SUMMARY, encoder=encoder), LABELS, "1a"))["Licence"]


def test_two_encoders_have_two_licences() -> None:
    card = render_model_card(replace(SUMMARY, encoder="minilm+static"), LABELS, "1a")
    assert all(words in sections(card)["Licence"] for words in ("Apache-2.0", "MIT"))

"""The report: its numbers are the run's, it asks nothing of the network, and no text in it can act."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from vermilion.learn.calibration_metrics import ReliabilityBin
from vermilion.learn.paired import Paired
from vermilion.learn.worth import Gain
from vermilion.page.shell import assets
from vermilion.red import wording
from vermilion.red.record import (
    CalibrationRecord,
    Certificate,
    ConfusedPair,
    Decision,
    HeadTrial,
    ReportData,
    RoundRecord,
    Summary,
)
from vermilion.red.report import charts, tables
from vermilion.red.report.page import render_report
from vermilion.red.trust import Compared, Counted, MixedUp, SecondOpinion, Trust
from vermilion.types import Source

CHARTS = {"uncertain", "agreement", "sources", "worth", "confidence", "effort", "kappa", "reliability"}
VOID = {"meta", "input", "br", "link", "img"}
PAYLOADS = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "'\"><svg onload=document.title='owned'>",
    "{{ 7 * 7 }}",
    "a\u2028b</style><style>body{display:none}",
    "<!--",
)


# --- what goes in


def rounds(simulated: bool = True, cost: float = 0.0004) -> tuple[RoundRecord, ...]:
    """Return four rounds; the last is the audit."""
    found, calls = [], 0
    for number, (uncertain, asked) in enumerate([(5200, 250), (2800, 250), (1300, 250), (480, 120)]):
        calls += asked
        found.append(
            RoundRecord(
                round=number,
                uncertain=uncertain,
                asked=asked,
                confirmed=asked - number,
                agreement=0.861 + 0.021 * number,
                calls=calls,
                cost_usd=calls * cost,
                kappa=0.9 + 0.02 * number if number else None,
                gold_agreement=0.83 + 0.03 * number if simulated else None,
                gain_per_100_calls=Gain(0.8 / number, 0.5 / number, 1.2 / number) if number else None,
                gain_per_dollar=Gain(2.0, 1.25, 3.0).times(1 / number) if number else None,
                seconds_fit=1.5 + number,
                seconds_expert=30.0 + number,
            )
        )
    return tuple(found)


TRUST = Trust(
    "oracle:gold.csv",
    True,
    Compared.of(Paired(18, 9, 1, 2)),
    Compared.of(Paired(29, 1, 0, 0)),
    Counted.of(2, 60),
    Counted.of(1, 20),
    Counted.of(2, 20),
    SecondOpinion("openai:other", Counted.of(54, 60), 0.9, 0.05, -0.01, 0.12),
    (MixedUp("label 0", "label 1", 3, "use when it is lost", "label 1", ("<b>lost</b>", "gone")),),
)


CALIBRATION = CalibrationRecord(
    "temperature", 0.74, 1809, 385, 0.049, 0.1067, 0.0279, 0.0041, 0.41, 0.38, 0.62,
    (
        ReliabilityBin(0.3, 0.4, 210, 0.352, 0.371, 0.31, 0.44),
        ReliabilityBin(0.9, 1.0, 640, 0.981, 0.973, 0.958, 0.984),
    ),
)  # fmt: skip


def full_summary(labels: int) -> Summary:
    """Return the summary of a simulated run to which everything applies."""
    return Summary(
        texts=14_250,
        labels=labels,
        encoder="minilm",
        head="flat",
        rounds=rounds(),
        calls=930,  # the check's 60 included
        tokens={"prompt": 1_823_411, "completion": 22_870},
        cost_usd=0.348,
        seconds={"encode": 18.2, "fit": 12.0, "expert": 126.0, "total": 160.0},
        decisions={"given": 250, "verified": 600, "corrected": 240, "auto": 13_100, "review": 60},
        certificate=Certificate(0.967, 0.94296, 0.985, 0.95, "Clopper-Pearson", 120, "a note on the audit"),
        stopped="inflection; kappa",
        expert="oracle:gold.csv",
        simulated=True,
        unique_texts=14_198,
        labelled=5 * labels,
        gold={"agreement": 0.961, "auto_agreement": 0.955},
        trust=TRUST,
        heads_compared=(
            HeadTrial("subset", {"subset_size": 10}, 0.797, 0.025, 0.8, 9.1),
            HeadTrial("flat", {"C": 10.0}, 0.812, 0.021, 0.71, 3.2, chosen=True),
        ),
        calibration=CALIBRATION,
        settings={"seed": 0, "target": 0.95, "caps": {"max_calls": 870, "max_cost": None}},
        versions={"vermilion": "0.1.0", "python": "3.11.2"},
        data={"labelled": "8199be6f", "pool": "be50c362"},
    )


def full_data(labels: int = 3) -> ReportData:
    """Return a report's data with so many labels, each part of it filled."""
    draw = random.Random(labels)
    names = [f"label {number}" for number in range(labels)]
    bins = tuple(draw.randrange(400) for _ in range(20))
    candidates = ((names[0], 0.31), (names[1], 0.3), (names[2], 0.1))
    return ReportData(
        title="Tickets",
        summary=full_summary(labels),
        confidence_counts={"auto": bins, "verified": (0,) * 19 + (600,)},
        pairs=(ConfusedPair(names[0], names[1], 17, ("my card is gone", "where is it")),),
        label_counts=tuple((name, draw.randrange(2000), 5) for name in names),
        open_texts=(Decision("7", "hm, what now", names[0], 0.31, "auto", 3, candidates),),
    )


def bare_data() -> ReportData:
    """Return the data of a run that asked nothing and measured nothing."""
    summary = Summary(
        10, 2, "static", "flat", (), 0, {}, 0.0, {}, {"auto": 10}, None, "no questions: there is no expert"
    )
    return ReportData("Bare", summary, {}, (), (("a", 6, 2), ("b", 4, 2)), ())


def real_expert_data() -> ReportData:
    """Return the data of a run with an expert that is no simulation, and no gold."""
    summary = replace(
        full_summary(3),
        rounds=rounds(simulated=False),
        simulated=False,
        gold=None,
        expert="openai:some-model",
        trust=replace(TRUST, expert="openai:some-model", simulated=False),
    )
    return replace(full_data(3), summary=summary)


# --- what comes out


@dataclass
class Element:
    """An element of a parsed page."""

    tag: str
    attributes: dict[str, str | None]
    parent: Element | None
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def all(self, tag: str) -> list[Element]:
        """Return the elements of this tag below this one, in order."""
        own = [self] if self.tag == tag else []
        return own + [found for child in self.children for found in child.all(tag)]

    def every(self) -> list[Element]:
        return [self] + [found for child in self.children for found in child.every()]

    @property
    def text(self) -> str:
        """The element's own text and that of the elements in it; scripts and styles are no text."""
        parts = [*self.texts, *(c.text for c in self.children if c.tag not in ("script", "style"))]
        return " ".join(" ".join(parts).replace(wording.SPACE, " ").split())


class Parser(HTMLParser):
    """Builds the tree of a page and insists that every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.root = self.at = Element("", {}, None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), self.at)
        assert len(attrs) == len(element.attributes), f"<{tag}> has an attribute twice"
        self.at.children.append(element)
        if tag not in VOID:
            self.at = element

    def handle_endtag(self, tag: str) -> None:
        assert self.at.tag == tag, f"</{tag}> closes <{self.at.tag}>"
        assert self.at.parent is not None
        self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.texts.append(data)


def parse(page: str) -> Element:
    parser = Parser()
    parser.feed(page)
    parser.close()
    assert parser.at is parser.root, f"<{parser.at.tag}> is not closed"
    return parser.root


@cache
def page_of(labels: int) -> str:
    return render_report(full_data(labels))


@cache
def tree_of(labels: int) -> Element:
    return parse(page_of(labels))


def by_id(tree: Element, id_: str) -> Element:
    return next(e for e in tree.every() if e.attributes.get("id") == id_)


def cells(table: Element) -> list[list[str]]:
    """Return a table's rows below its head."""
    return [[cell.text for cell in row.children] for row in table.all("tbody")[0].all("tr")]


def figures_of(tree: Element) -> dict[str, Any]:
    found: dict[str, Any] = json.loads("".join(by_id(tree, "figures-json").texts))
    return found


# --- the numbers


def test_headline_names_gold_a_simulation_and_rounds_the_bound_down() -> None:
    text = by_id(tree_of(3), "result").text
    assert "96.1 % of 14,000 texts agree with the gold labels (simulation)." in text
    bound = "Agreement with the expert (simulation) is at least 94.2 % (95 % confidence, n = 120, Clopper-Pearson)."
    assert bound in text
    assert "a note on the audit" in text


def test_reasons_to_stop_are_explained() -> None:
    reasons = [item.text for item in by_id(tree_of(3), "result").all("li")]
    assert [reason.split()[0] for reason in reasons] == ["inflection", "kappa"]
    assert all(len(reason.split()) > 5 for reason in reasons)


def test_a_reason_that_nobody_foresaw_is_shown_as_it_is() -> None:
    assert wording.stop_reasons("cap: spent; all of it") == [
        ("cap: spent; all of it", wording.STOP_MEANINGS["cap"])
    ]
    assert wording.stop_reasons("the moon rose") == [("the moon rose", "")]


def test_key_figures() -> None:
    figures = by_id(tree_of(970), "figures")
    shown = dict(zip((e.text for e in figures.all("dt")), (e.text for e in figures.all("dd")), strict=True))
    assert shown["Texts"] == "14,250 14,198 different texts"
    assert shown["Labels"] == "970 4,850 labelled texts given"
    assert shown["Questions answered"] == "930 6.5 % of the texts"
    assert shown["Cost"] == "$0.35 $0.00037 a question"
    assert shown["Tokens"] == "1,846,281 1,823,411 prompt, 22,870 completion"
    assert shown["Time"] == "2 min 40 s encode 18.2 s, fit 12.0 s, expert 2 min 6 s"
    assert shown["Expert"] == "oracle:gold.csv simulation"


def test_rounds_table_holds_every_round() -> None:
    table = by_id(tree_of(3), "rounds").all("table")[0]
    assert cells(table)[1] == [
        "1", "2,800", "250", "249", "500", "88.2 %", "86.0 %", "0.920", "$0.20", "2.5 s", "31.0 s",
    ]  # fmt: skip
    assert len(cells(table)) == 4


def test_what_more_would_buy_stands_beside_kappa_and_the_uncertain_texts() -> None:
    section = by_id(tree_of(3), "worth")
    (table,) = section.all("table")
    assert cells(table)[0] == ["0", "–", "–", "–", "5,200"]
    assert cells(table)[2] == [
        "2", "+0.40 points (0.25 to 0.60)", "+1.00 points (0.62 to 1.50)", "0.940", "1,300",
    ]  # fmt: skip
    assert "After round 3, 100 more questions were expected to buy +0.27 points" in section.text


def test_chosen_head_is_marked_and_the_best_stands_first() -> None:
    table = by_id(tree_of(3), "models").all("table")[0]
    assert cells(table)[0] == ["flat (chosen)", "C = 10.0", "81.2 % ± 2.1", "0.710", "3.2 s"]
    marked = [row for row in table.all("tr") if row.attributes.get("class") == "marked"]
    assert [row.children[0].text for row in marked] == ["flat (chosen)"]


def test_trust_in_the_expert_has_a_section_with_both_meanings_side_by_side() -> None:
    section = by_id(tree_of(3), "trust")
    against, constancy, mixed_up = (cells(table) for table in section.all("table"))
    assert [row[:5] for row in against] == [
        ["The head is least sure", "30", "90.0 %", "63.3 %", "+26.7 points"],
        ["Random others", "30", "100 %", "96.7 %", "+3.3 points"],
    ]
    assert [row[:3] for row in constancy] == [
        ["Refused the right label, though it was there", "60", "3.3 %"],
        ["Another answer to the very same question", "20", "5.0 %"],
        ["Another answer with the options in reverse", "20", "10.0 %"],
        ["The second expert, openai:other, answered alike", "60", "90.0 %"],
    ]
    assert mixed_up == [["use when it is lost label 0", "label 1", "3", "<b>lost</b>"]]
    assert "beats the head" in section.text


@pytest.mark.parametrize("labels", [3, 150, 970])
def test_every_label_is_there_with_its_numbers(labels: int) -> None:
    rows = cells(by_id(tree_of(labels), "label-table"))
    found = {name: (int(decided.replace(",", "")), int(given)) for name, decided, _, given in rows}
    assert found == {name: (decided, given) for name, decided, given in full_data(labels).label_counts}
    decided = [found[row[0]][0] for row in rows]
    assert decided == sorted(decided, reverse=True)


def test_pairs_and_open_texts() -> None:
    pairs = by_id(tree_of(3), "pairs").text
    assert all(words in pairs for words in ("label 0", "label 1", "17 texts", "my card is gone"))
    row = cells(by_id(tree_of(3), "open").all("table")[0])[0]
    assert row == ["hm, what now", "label 0", "31.0 %", "label 1 (30.0 %), label 2 (10.0 %)"]


def test_how_to_repeat_names_settings_data_and_versions() -> None:
    rows = [row for table in by_id(tree_of(3), "repeat").all("table") for row in cells(table)]
    assert ["caps.max_calls", "870"] in rows
    assert ["pool", "be50c362"] in rows
    assert ["python", "3.11.2"] in rows
    assert not any(name == "caps.max_cost" for name, _ in rows)


# --- the charts


@pytest.mark.parametrize("labels", [3, 150, 970])
def test_every_chart_has_its_table_and_says_what_it_shows(labels: int) -> None:
    tree = tree_of(labels)
    figures = figures_of(tree)
    assert set(figures) == CHARTS
    for key in figures:
        box = by_id(tree, f"chart-{key}")
        chart = next(e for e in box.all("div") if e.attributes.get("data-chart") == key)
        assert chart.attributes["role"] == "img"
        assert len(chart.attributes["aria-label"] or "") > 40
        assert cells(box.all("details")[0].all("table")[0])


def test_charts_and_their_tables_hold_the_same_numbers() -> None:
    for chart in charts.charts(full_data(3)):
        drawn = Counter(n for trace in chart.figure["data"] for n in numbers_drawn(trace))
        written = Counter(n for row in chart.table.rows for n in numbers_written(row[1:]))
        missing = {
            n for n in drawn if not any(abs(n - other) <= 0.0051 * max(1, abs(n)) for other in written)
        }
        assert not missing, f"{chart.key}: {missing} are drawn but not in the table"


def numbers_drawn(trace: dict[str, Any]) -> list[float]:
    return list(trace["x"] if trace.get("orientation") == "h" else trace["y"])


def numbers_written(row: tuple[str, ...]) -> list[float]:
    found = [match for cell in row if (match := re.fullmatch(r"\$?([\d,.]+)(\s%)?", cell))]
    return [float(match[1].replace(",", "")) / (100 if match[2] else 1) for match in found]


def test_the_reliability_diagram_says_how_far_confidence_can_be_believed() -> None:
    section = by_id(tree_of(3), "calibration")
    assert "2.8 points on average" in section.text.replace(wording.SPACE, " ")
    bins = figures_of(tree_of(3))["reliability"]["data"][1]
    assert bins["x"] == [0.352, 0.981]
    assert bins["y"] == [0.371, 0.973]
    assert bins["error_y"]["array"] == pytest.approx([0.069, 0.011])


def test_curves_stand_at_the_answers_that_the_model_had() -> None:
    figures = figures_of(tree_of(3))
    (uncertain,) = figures["uncertain"]["data"]
    assert uncertain["x"] == [0, 250, 500, 750]
    assert uncertain["y"] == [5200, 2800, 1300, 480]
    expert, gold = figures["agreement"]["data"]
    assert expert["y"] == pytest.approx([0.861, 0.882, 0.903, 0.924])
    # The end of the run is measured against gold once more, with all answers in.
    assert gold["x"] == [0, 250, 500, 750, 870]
    assert gold["y"][-1] == 0.961


def test_cost_per_round_is_what_each_round_added() -> None:
    questions, cost = figures_of(tree_of(3))["effort"]["data"]
    assert questions["y"] == [250, 250, 250, 120]
    assert cost["y"] == pytest.approx([0.1, 0.1, 0.1, 0.048])


def test_figures_name_colours_that_the_style_has() -> None:
    style = tree_of(3).all("style")[0].texts[0]
    roles = {trace["meta"] for figure in figures_of(tree_of(3)).values() for trace in figure["data"]}
    sources: set[Source] = set(tables.SOURCES)
    for role in roles | sources:
        assert style.count(f"--chart-{role}:") == 3, role


# --- what does not apply is not shown


def test_a_bare_run_shows_no_empty_parts() -> None:
    tree = parse(render_report(bare_data()))
    for word in ("gold", "imulation", "$", "Kappa", "Tokens", "Hardest", "Least certain", "Expert"):
        assert word not in tree.text, word
    assert list(figures_of(tree)) == ["sources"]
    assert "There is no certificate" in by_id(tree, "result").text
    sections = [s.attributes["id"] for s in tree.all("section")]
    assert sections == ["result", "figures", "rounds", "labels", "repeat"]


def test_a_real_expert_is_no_simulation() -> None:
    text = parse(render_report(real_expert_data())).text
    assert "imulation" not in text
    assert "gold" not in text
    assert "Agreement with the expert is at least 94.2 %" in text


def test_all_simulated_figures_say_so() -> None:
    tree = tree_of(3)
    headers = [th.text for th in tree.all("th") if th.attributes.get("scope") == "col"]
    told = [text for text in headers if "Agreement," in text or "gold" in text.lower() or "Expert," in text]
    assert told
    assert all("(simulation)" in text for text in told)
    names = [trace["name"] for trace in figures_of(tree)["agreement"]["data"]]
    assert all("(simulation)" in name for name in names)
    assert "(simulation)" in by_id(tree, "trust").all("caption")[0].text


# --- safe and offline


def test_nothing_is_loaded_from_anywhere() -> None:
    tree = tree_of(970)
    loading = ("src", "href", "srcset", "action", "data", "poster", "formaction", "xlink:href", "background")
    for element in tree.every():
        for name in loading:
            assert (element.attributes.get(name) or "#").startswith("#"), f"<{element.tag} {name}>"
    style = tree.all("style")[0].texts[0]
    assert not re.search(r"url\(|@import", style)
    assert not any(e.tag in ("link", "iframe", "object", "embed", "base", "form") for e in tree.every())


def test_policy_allows_the_page_s_own_code_and_nothing_else() -> None:
    tree = tree_of(3)
    policy = next(
        m.attributes["content"] for m in tree.all("meta") if "Policy" in str(m.attributes.get("http-equiv"))
    )
    rules = dict(rule.strip().split(" ", 1) for rule in (policy or "").split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in (policy or "")
    own = tree.all("script")[-1].texts[0].encode()
    plotly = gzip.decompress(base64.b64decode(by_id(tree, "plotly").texts[0]))
    assert rules["script-src"].split() == [digest(own), digest(plotly)]
    assert rules["style-src"].split() == [digest(tree.all("style")[0].texts[0].encode()), digest(b"")]
    assert b"plotly.js v" in plotly[:200]


def digest(content: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"


def poisoned(payload: str) -> ReportData:
    """Return data with the payload wherever a text from outside can come in."""
    data = full_data(3)
    summary = replace(
        data.summary,
        expert=payload,
        encoder=payload,
        stopped=payload,
        settings={payload: payload},
        data={"pool": payload},
        heads_compared=(HeadTrial(payload, {payload: payload}, 0.5, 0.1, 1.0, 1.0),),
        certificate=replace(data.summary.certificate or pytest.fail("no certificate"), note=payload),
    )
    return replace(
        data,
        title=payload,
        summary=summary,
        pairs=(ConfusedPair(payload, payload, 1, (payload,)),),
        label_counts=((payload, 3, 1), ("b", 1, 1), ("c", 1, 1)),
        open_texts=(Decision(payload, payload, payload, 0.1, "auto", 0, (("c", 0.1),)),),
    )


@pytest.mark.parametrize("payload", PAYLOADS)
def test_texts_and_labels_stay_texts(payload: str) -> None:
    tree = parse(render_report(poisoned(payload)))
    shape = Counter(e.tag for e in tree.every() if e.tag in ("script", "style", "img", "svg", "body"))
    assert shape == {"script": 3, "style": 1, "body": 1}
    assert not [name for e in tree.every() for name in e.attributes if name.startswith("on")]
    shown = " ".join(payload.split())
    assert tree.all("h1")[0].text == shown
    assert by_id(tree, "pairs").text.count(shown) == 3
    assert cells(by_id(tree, "label-table"))[0][0] == shown
    # plotly reads markup in its strings, so no text from outside may reach it.
    assert payload not in json.dumps(figures_of(tree), ensure_ascii=False)


def test_the_same_run_gives_the_same_bytes_of_a_size_to_send_by_mail() -> None:
    page = page_of(970)
    assets.cache_clear()
    assert render_report(full_data(970)) == page
    assert len(page.encode()) < 2_500_000


# --- for everyone


@pytest.mark.parametrize("labels", [3, 150, 970])
def test_page_is_ordered_for_readers_and_their_tools(labels: int) -> None:
    tree = tree_of(labels)
    assert tree.all("html")[0].attributes["lang"] == "en"
    ids = [e.attributes["id"] for e in tree.every() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    links = [(a.attributes["href"] or "").removeprefix("#") for a in tree.all("a")]
    assert set(links) <= set(ids)
    assert links[0] == "main"
    levels = [int(e.tag[1]) for e in tree.every() if re.fullmatch("h[1-6]", e.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert [len(tree.all(tag)) for tag in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]


def test_tables_have_captions_and_scopes_and_scroll_by_key() -> None:
    for table in tree_of(3).all("table"):
        assert table.children[0].tag == "caption"
        assert table.children[0].text
        assert all(th.attributes.get("scope") in ("row", "col") for th in table.all("th"))
        box = table.parent
        assert box is not None
        assert box.attributes["tabindex"] == "0"
        assert box.attributes["aria-label"]


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_have_the_contrast_that_wcag_aa_asks(theme: str) -> None:
    style = tree_of(3).all("style")[0].texts[0]
    block = next(b for b in re.findall(r"\{[^{}]*\}", style) if f"color-scheme: {theme}" in b)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    for ground in ("page", "card", "accent-wash"):
        for ink in ("ink", "soft", "accent"):
            if (ink, ground) != ("accent", "accent-wash"):  # no link stands on it
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for name, colour in colours.items():
        if name.startswith("chart-") or name == "focus":
            assert contrast(colour, colours["card"]) >= 3, name


# --- numbers for people


@pytest.mark.parametrize(
    ("share", "shown", "least", "most"),
    [
        (0.9499, "95.0 %", "94.9 %", "95.0 %"),
        (0.95, "95.0 %", "95.0 %", "95.0 %"),
        (0.99951, ">99.9 %", "99.9 %", "100.0 %"),
        (0.29, "29.0 %", "29.0 %", "29.0 %"),
    ],
)
def test_bounds_are_never_rounded_to_their_advantage(share: float, shown: str, least: str, most: str) -> None:
    found = (wording.percent(share), wording.percent_at_least(share), wording.percent_at_most(share))
    assert tuple(text.replace(wording.SPACE, " ") for text in found) == (shown, least, most)


def test_durations_never_show_sixty_of_a_unit() -> None:
    shown = {
        wording.duration(s).replace(wording.SPACE, " ") for s in (59.949, 59.96, 119.9, 3599.6, 7199.9, 86400)
    }
    assert shown == {"59.9 s", "1 min", "2 min", "1 h", "2 h", "24 h"}


# --- in a browser


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found or pytest.skip("no chromium here to open the report in")


def open_in_browser(chromium: str, page: str, folder: Path) -> tuple[str, str]:
    """Return the page as the browser has it once its scripts have run, and the browser's log."""
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    )
    more = "--disable-component-update --disable-sync --virtual-time-budget=8000 --enable-logging=stderr --dump-dom"
    done = subprocess.run(
        [chromium, *flags.split(), *more.split(), f"--user-data-dir={folder / 'profile'}", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, done.stderr


def test_browser_draws_every_chart_and_runs_no_text(chromium: str, tmp_path: Path) -> None:
    data = poisoned(PAYLOADS[0])
    spread = tuple((f"label {n}", n, 5) for n in range(970))
    dom, log = open_in_browser(chromium, render_report(replace(data, label_counts=spread)), tmp_path)
    assert "<title>owned" not in dom
    drawn = re.findall(
        r'data-chart="(\w+)"[^>]*class="[^"]*js-plotly-plot|js-plotly-plot[^>]*data-chart="(\w+)"', dom
    )
    assert {a or b for a, b in drawn} == CHARTS
    body = dom.split('id="label-table"')[1].split("</table>")[0]
    assert body.count('<th scope="row">') == 25
    assert "1–25 of 970" in dom
    # plotly asks by an inline style whether heatmaps may be pixelated; the policy refuses, and no chart needs it.
    console = [line for line in log.splitlines() if "CONSOLE" in line]
    assert not [line for line in console if "Applying inline style violates" not in line], console

"""Encoders compared on small data: what is kept, what is refused, what the files and the terminal say."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from test_encoders import Server, answer

from vermilion.choose import encoders_bench
from vermilion.choose.encoders_advice import judge_tuning, recommend
from vermilion.choose.encoders_bench import CompareSettings, compare
from vermilion.choose.encoders_data import Bench, Wanted, lay_out_bench
from vermilion.choose.encoders_files import write_comparison
from vermilion.choose.encoders_measures import MEASURES
from vermilion.choose.encoders_page import render_comparison
from vermilion.choose.encoders_record import Comparison, Row, Tuned
from vermilion.choose.encoders_sheet import ONE_LABEL
from vermilion.choose.encoders_speed import Speed, cost_per_million, measure_speed
from vermilion.choose.encoders_suites import SUITES
from vermilion.cli_encoders import _prices, show_comparison
from vermilion.errors import InputError, ModelError, StoreError
from vermilion.learn.bootstrap import Estimate
from vermilion.learn.encoder_choice import Scores
from vermilion.types import FloatArray, Texts
from vermilion.world.encoders import StaticEncoder
from vermilion.world.footprint import peak_memory
from vermilion.world.parts import Parts

SUBJECTS = {
    "card": ("my card", "the debit card", "a new card", "this bank card"),
    "weather": ("the weather", "rain tomorrow", "the forecast", "sunshine in Paris"),
    "music": ("that song", "the album", "jazz music", "a playlist"),
    "food": ("the recipe", "pasta for dinner", "a good soup", "fresh bread"),
    "travel": ("the flight", "a train ticket", "the hotel room", "my passport"),
}
FRAMES = ("tell me about {}", "where is {}?", "I want {} now", "what about {}")


def labelled(copies: int = 1) -> Texts:
    rows = [
        (frame.format(subject), label)
        for label, subjects in SUBJECTS.items()
        for subject in subjects
        for frame in FRAMES
    ] * copies
    ids = tuple(str(place) for place in range(len(rows)))
    return Texts(ids, tuple(text for text, _ in rows), tuple((label,) for _, label in rows), "small.csv")


class Watcher:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.steps = 0

    def start(self, what: str, total: int | None) -> None:
        self.begun.append(what)

    def advance(self, steps: int) -> None:
        self.steps += steps

    def done(self) -> None:
        pass


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Comparison]:
    folder = tmp_path_factory.mktemp("encoders")
    return folder, compare(labelled(), ["static", "minilm"], CompareSettings(folder), Watcher())


def test_every_figure_is_there_with_its_interval(finished: tuple[Path, Comparison]) -> None:
    for row in finished[1].rows:
        assert set(row.figures) == set(ONE_LABEL.figures)
        for name, estimate in row.figures.items():
            assert estimate.value is not None, name
            assert estimate.lower is not None, name
            assert estimate.upper is not None, name
            assert estimate.lower <= estimate.value <= estimate.upper
        assert list(row.shots) == [1, 2, 5, 10]
        assert row.slowest <= row.speed <= row.fastest
        assert row.memory is not None
        assert 20 * 2**20 < row.memory < 2**31
    assert [row.dimension for row in finished[1].rows] == [256, 384]


def test_each_purpose_has_its_sentence(finished: tuple[Path, Comparison]) -> None:
    found = finished[1].recommendations
    assert [one.purpose for one in found] == ["classification", "retrieval", "clustering"]
    for one in found:
        assert one.sentence.startswith(f"For {one.purpose}, take {one.choice.taken}: ")
        assert one.sentence.count(". ") == 0


def with_measures(measures: dict[str, Any]) -> Any:
    return dataclasses.replace(SUITES[Bench], measures=measures)


def test_finished_parts_are_not_repeated(
    finished: tuple[Path, Comparison], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, before = finished

    def never(*given: Any) -> Any:
        raise AssertionError("measured again")

    monkeypatch.setitem(SUITES, Bench, with_measures(dict.fromkeys(MEASURES, never)))
    monkeypatch.setattr(encoders_bench, "measure_speed", never)
    monkeypatch.setattr(encoders_bench, "peak_memory", never)
    again = compare(labelled(), ["static", "minilm"], CompareSettings(folder), Watcher())
    assert again.as_dict() == before.as_dict()


def test_a_comparison_that_was_stopped_goes_on(
    finished: tuple[Path, Comparison], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = dict(MEASURES)

    def stop(*given: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setitem(SUITES, Bench, with_measures(whole | {"clustering": stop}))
    with pytest.raises(KeyboardInterrupt):
        compare(labelled(), ["static"], CompareSettings(tmp_path), Watcher())
    counted: list[str] = []

    def count(name: str) -> Any:
        def measure(*given: Any) -> Any:
            counted.append(name)
            return whole[name](*given)

        return measure

    monkeypatch.setitem(SUITES, Bench, with_measures({name: count(name) for name in whole}))
    found = compare(labelled(), ["static"], CompareSettings(tmp_path), Watcher())
    assert counted == ["clustering", "left_out"]
    assert found.rows[0].figures == finished[1].rows[0].figures


def test_neither_the_order_of_rows_nor_repeats_change_the_bench() -> None:
    texts, twice = labelled(), labelled(2)
    order = np.random.default_rng(0).permutation(len(texts))
    assert texts.labels is not None
    mixed = Texts(
        texts.ids, tuple(texts.texts[i] for i in order), tuple(texts.labels[i] for i in order), "other.csv"
    )
    keys = {lay_out_bench(one, Wanted()).key for one in (texts, mixed, twice)}
    assert len(keys) == 1
    assert lay_out_bench(texts, Wanted(seed=1)).key not in keys


def test_more_texts_than_wanted_are_sampled_and_that_is_said(tmp_path: Path) -> None:
    bench = lay_out_bench(labelled(), Wanted(most=60))
    assert len(bench.texts) == 60
    assert np.bincount(bench.codes).tolist() == [12] * 5
    assert bench.distinct == 80


def texts_with(labels: list[tuple[str, ...]]) -> Texts:
    names = tuple(str(place) for place in range(len(labels)))
    return Texts(names, names, tuple(labels), "data.csv", tuple(range(1, len(labels) + 1)))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([("a",), ()], "data.csv, row 2: expected one label a row, found none; add its label, or say --task"),
        ([("a",), ("a", "b")], "data.csv: expected labels with two texts, found one text a label; give more"),
        (
            [("a",), ("a",)],
            "data.csv: expected at least two labels, found only 'a'; give texts of others, too",
        ),
        (
            [("a",), ("b",)],
            "data.csv: expected labels with two texts, found one text a label; give more texts",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(labels: list[tuple[str, ...]], said: str) -> None:
    with pytest.raises(InputError) as caught:
        lay_out_bench(texts_with(labels), Wanted())
    assert str(caught.value).startswith(said)


def test_a_wrong_name_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    watcher = Watcher()
    with pytest.raises(InputError, match="did you mean minilm"):
        compare(labelled(), ["static", "minilmm"], CompareSettings(tmp_path), watcher)
    with pytest.raises(InputError, match="'static' twice"):
        compare(labelled(), ["static", "static"], CompareSettings(tmp_path), watcher)
    assert not watcher.begun


# Files, page and terminal


def test_files_say_what_was_found(finished: tuple[Path, Comparison]) -> None:
    folder, found = finished
    json_path, page_path = write_comparison(found, folder)
    told = json.loads(json_path.read_text())
    assert told == json.loads(json.dumps(found.as_dict()))
    assert told["encoders"][0]["linear_accuracy"].keys() == {"value", "lower", "upper"}
    assert told["recommendations"]["retrieval"]["encoder"] in {"static", "minilm"}
    page = page_path.read_text()
    assert page.count('data-chart="') == 6
    for one in found.recommendations:
        assert one.sentence.replace("'", "&#39;") in page
    assert not re.search(r'(?:src|href)="(?!#)', page)


def test_no_name_is_taken_for_markup(finished: tuple[Path, Comparison]) -> None:
    row = finished[1].rows[0]
    bad = Row(
        "st:/m/<img src=x>", *(getattr(row, name) for name in Row.__dataclass_fields__ if name != "name")
    )
    one = finished[1]
    shown = {name: getattr(one, name) for name in Comparison.__dataclass_fields__} | {"rows": (bad,)}
    page = render_comparison(Comparison(**shown))
    assert "<img" not in page
    figures = json.loads(page.split('id="figures-json">')[1].split("</script>")[0])
    assert "<" not in json.dumps([trace["name"] for chart in figures.values() for trace in chart["data"]])


def test_the_terminal_shows_a_column_for_each_and_the_sentences(finished: tuple[Path, Comparison]) -> None:
    console = Console(file=StringIO(), width=100)
    show_comparison(console, finished[1])
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("static", "minilm", "Linear probe", "nDCG@10", "10 texts a label", "For clustering, take"):
        assert words in shown


# Speed, memory, price


def test_speed_is_told_by_turn_and_every_vector_is_handed_on() -> None:
    encoder, kept = StaticEncoder(), []
    texts = [f"text number {place}" for place in range(2000)]

    def keep(texts: Any, vectors: FloatArray) -> None:
        kept.extend(texts)
        assert len(texts) == len(vectors)

    speed = measure_speed(encoder, texts, keep)
    assert len(speed.rates) in (1, 5)
    assert kept == texts[: speed.texts]
    assert measure_speed(encoder, ["a", "b"], keep).rate > 0


def test_a_million_texts_cost_what_their_tokens_or_the_machines_hours_cost() -> None:
    assert cost_per_million(Speed((50.0,), 9, tokens=12.0), 0.02, 99.0) == pytest.approx(0.24)
    assert cost_per_million(Speed((50.0,), 9, tokens=12.0), None, 99.0) is None
    assert cost_per_million(Speed((1e6 / 3600,), 9), None, 0.5) == pytest.approx(0.5)


def test_prices_are_given_by_name() -> None:
    assert _prices(["openai:a=0.02", "openai:b=1"]) == {"openai:a": 0.02, "openai:b": 1.0}
    for wrong in ("0.02", "openai:a", "openai:a=-1", "minilm=3", "openai:a=x"):
        with pytest.raises(InputError, match="--price"):
            _prices([wrong])


def test_memory_that_cannot_be_measured_is_told() -> None:
    with pytest.raises(ModelError, match="st:/no/such: its memory cannot be measured"):
        peak_memory("st:/no/such", ["a"])


def test_a_damaged_part_counts_as_missing_and_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts")
    parts.put("aa", {"x": 1})
    assert parts.get("aa") == {"x": 1}
    (tmp_path / "parts" / "aa.json").write_text('{"x":')
    assert parts.get("aa") is None
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="results cannot be kept here"):
        Parts(tmp_path / "file")


def test_a_speed_measured_while_the_machine_was_busy_is_said_to_be_too_low(
    finished: tuple[Path, Comparison],
) -> None:
    one = finished[1]
    shown = {name: getattr(one, name) for name in Comparison.__dataclass_fields__}
    for cores, said in ((0.1, True), (1.9, False), (None, False)):
        rows = tuple(dataclasses.replace(row, cores=cores) for row in one.rows[:1])
        told = Comparison(**(shown | {"rows": rows}))
        assert bool(told.doubts()) == said
        console = Console(file=StringIO(), width=300)
        show_comparison(console, told)
        assert ("The machine had other work while static ran" in console.file.getvalue()) == said  # type: ignore[attr-defined]


class PricedServer(Server):
    """An embeddings server that bills three tokens a text."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts = [self.billed] * 50

    @staticmethod
    def billed(body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        status, headers, told = answer(body)
        return status, headers, told | {"usage": {"prompt_tokens": 3 * len(body["input"])}}


def test_an_endpoint_is_paid_once_a_text_and_its_price_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    server = PricedServer()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    settings = CompareSettings(tmp_path, base_url=server.url, token_prices={"openai:tiny": 0.02})
    try:
        (row,) = compare(labelled(), ["openai:tiny"], settings, Watcher()).rows
        sent = [text for body in server.bodies for text in body["input"]]
        compare(labelled(), ["openai:tiny"], settings, Watcher())
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()
    assert sorted(sent) == sorted(["dimension", *labelled().texts])
    assert server.bodies[-1]["input"] == ["dimension"]
    assert (row.dimension, row.memory, row.cores) == (8, None, None)
    assert row.cost == pytest.approx(3 * 0.02)


# Sentences


def row(name: str, accuracy: float, speed: float, seed: int = 0) -> Row:
    right = Scores((np.random.default_rng(seed).uniform(size=3000) < accuracy).astype(float), "texts")
    none = Scores(np.zeros(0), "folds")
    folds = Scores(np.full(5, accuracy) + np.linspace(-0.01, 0.01, 5), "folds")
    scores = {"linear_accuracy": right, "ndcg_at_10": none, "v_measure": none, "shots_5": folds}
    figures = {"linear_accuracy": right.estimate()}
    return Row(name, 8, figures, scores, {5: folds.estimate()}, speed, speed, speed, None, None)


def test_sentences_give_the_reason() -> None:
    (clear,) = recommend([row("good", 0.95, 10.0), row("poor", 0.80, 900.0)], ONE_LABEL)
    assert re.fullmatch(
        r"For classification, take good: its accuracy with a linear probe, 9\d\.\d %, is 1\d\.\d points "
        r"\(1\d\.\d to 1\d\.\d\) ahead of the next best, poor; poor is 90 times as fast\.",
        clear.sentence,
    )
    (tie,) = recommend([row("slow", 0.905, 10.0), row("fast", 0.9, 900.0, seed=1)], ONE_LABEL)
    assert tie.sentence.endswith("behind that of slow, within the noise, and it is 90 times as fast.")
    (alone,) = recommend([row("one", 0.9, 1.0)], ONE_LABEL)
    assert alone.sentence.endswith("; it was the only candidate.")


@pytest.mark.parametrize(
    ("accuracy", "said"),
    [
        (
            0.95,
            "With 5 texts a label, setfit:x is 5.0 points (5.0 to 5.0) ahead of a linear probe on good, after 7 s",
        ),
        (
            0.80,
            "With 5 texts a label, setfit:x is 10.0 points (10.0 to 10.0) behind a linear probe on good, after 7 s",
        ),
    ],
)
def test_fine_tuning_is_judged_on_the_same_folds(accuracy: float, said: str) -> None:
    folds = Scores(np.full(5, accuracy) + np.linspace(-0.01, 0.01, 5), "folds")
    tuned = Tuned("setfit:x", {5: folds.estimate()}, {5: folds}, {5: 7.0})
    assert judge_tuning([row("good", 0.90, 1.0)], [tuned]).startswith(said)


def test_what_fine_tuning_gains_within_the_noise_is_not_worth_it() -> None:
    folds = Scores(0.9 + np.array([0.03, -0.02, 0.04, -0.03, 0.01]), "folds")
    tuned = Tuned("setfit:x", {5: Estimate(0.9, 0.8, 1.0)}, {5: folds}, {5: 7.0})
    assert "within the noise: stay with frozen vectors" in judge_tuning([row("good", 0.90, 1.0)], [tuned])

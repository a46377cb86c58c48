"""Evaluating a saved model: figures, groups, two models, odd files, and what is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from vermilion.choose.evaluate import Request, Result, evaluate_file, prediction_rows, write_evaluation
from vermilion.errors import InputError
from vermilion.learn.decision_rules import Argmax, Rule, Threshold, Thresholds, Tree
from vermilion.learn.heads import FlatHead
from vermilion.types import FloatArray, Label
from vermilion.world.encoders_pairs import PairEncoder
from vermilion.world.models import SavedModel, save_model
from vermilion.world.predictor import Predictor
from vermilion.world.source import BadRows, Columns

WORDS = ("card", "cash", "loan", "rate", "fee", "app")


class Words:
    """An encoder that counts words: texts that a test writes decide what the model says."""

    name, digest, dimension = "words", "1", len(WORDS)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        return np.array([[text.split().count(word) for word in WORDS] for text in texts], dtype=np.float32)


class Quiet:
    def start(self, what: str, total: int | None) -> None:
        pass

    def advance(self, steps: int) -> None:
        pass

    def done(self) -> None:
        pass


def predictor(
    n_labels: int = 3,
    task: str = "multi-class",
    rule: Rule | None = None,
    parents: tuple[str | None, ...] = (),
) -> Predictor:
    """Return a model for which a text's label is the word it has most of."""
    head = FlatHead(C=1.0)
    tensors = {
        "coef": np.eye(n_labels, len(WORDS), dtype=np.float32) * 2,
        "intercept": np.zeros(n_labels, dtype=np.float32),
        "C": np.array([1.0]),
    }
    head.from_tensors(tensors, np.arange(n_labels))
    above = parents or (None,) * n_labels
    labels = tuple(Label(name, parent=parent) for name, parent in zip(WORDS[:n_labels], above, strict=True))
    saved = SavedModel("flat", head, labels, 1.0, "words", "1", task=task, rule=rule or Argmax())
    return Predictor(saved, Words())


def of_pairs() -> Predictor:
    """Return a model of pairs for which both texts together have the word "cash" or not."""
    plain, encoder = predictor(2, "binary", Threshold(1, 0.5)).model, PairEncoder(Words())
    coef = np.zeros((2, encoder.dimension), dtype=np.float32)
    coef[1, [1, 1 + len(WORDS), 1 + 2 * len(WORDS)]] = 5.0
    head = FlatHead(C=1.0).from_tensors(
        {"coef": coef, "intercept": np.zeros(2, dtype=np.float32), "C": np.array([1.0])}, np.arange(2)
    )
    return Predictor(replace(plain, head=head, encoder=encoder.name, encoder_digest=encoder.digest), encoder)


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def some_rows(n: int = 60, n_labels: int = 3, seed: int = 0) -> list[dict[str, object]]:
    """Return texts of which about a quarter carries another label than the model gives."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for number in range(n):
        true, said = random.integers(0, n_labels, 2)
        said = true if random.random() < 0.7 else said
        text = f"{WORDS[said]} number {number}" + f" {WORDS[said]}" * int(random.integers(0, 3))
        channel = ("mail", "chat")[number % 2] if number > 3 else "fax"
        rows.append({"id": f"t{number}", "text": text, "label": WORDS[true], "channel": channel})
    return rows


def evaluated(test: str, own: Predictor, against: Predictor | None = None, **options: object) -> Result:
    return evaluate_file(Request(test, "model", "other", **options), own, against, Quiet())  # type: ignore[arg-type]


def test_figures_are_those_of_what_predict_says(tmp_path: Path) -> None:
    rows = some_rows()
    result = evaluated(write(tmp_path / "test.jsonl", rows), predictor())
    true = [row["label"] for row in rows]
    predicted = [row["label"] for row in predictor().rows(result.texts)]
    figures = result.evaluation.figures()
    assert figures["accuracy"]["value"] == accuracy_score(true, predicted)
    assert figures["f1_macro"]["value"] == pytest.approx(f1_score(true, predicted, average="macro"))
    assert set(figures["accuracy"]) == {"value", "lower", "upper"}
    assert figures["accuracy"]["lower"] < figures["accuracy"]["value"] < figures["accuracy"]["upper"]
    json.dumps(figures, allow_nan=False)


def test_the_label_looked_for_goes_by_the_models_threshold(tmp_path: Path) -> None:
    rows = [{"text": f"cash {n}", "label": "cash"} for n in range(3)] + [{"text": "word", "label": "card"}]
    own = predictor(2, "binary", Threshold(1, 0.4, "f1"))
    figures = evaluated(write(tmp_path / "test.jsonl", rows), own).evaluation.figures()
    assert figures["recall"]["value"] == 1.0
    assert figures["precision"]["value"] == 0.75  # 'word' has an even chance, above the threshold
    assert figures["roc_auc"]["value"] == 1.0


def test_several_labels_a_row(tmp_path: Path) -> None:
    rows = [
        {"text": "card cash", "labels": ["card", "cash"]},
        {"text": "card", "labels": ["card"]},
        {"text": "cash", "labels": ["loan"]},
    ]
    own = predictor(3, "multi-label", Thresholds((0.4, 0.4, 0.4)))
    found = evaluated(write(tmp_path / "test.jsonl", rows), own)
    figures = found.evaluation.figures()
    assert figures["subset_accuracy"]["value"] == pytest.approx(2 / 3)
    assert figures["hamming_loss"]["value"] == pytest.approx(2 / 9)
    errors = [row for row in prediction_rows(found) if not row["right"]]
    assert [(row["true"], row["predicted"]) for row in errors] == [(["loan"], ["cash"])]


def test_a_tree_of_labels_is_measured_at_each_level(tmp_path: Path) -> None:
    rows = [
        {"text": "cash", "label": "cash"},
        {"text": "loan", "label": "cash"},
        {"text": "rate", "label": "rate"},
    ]
    own = predictor(4, "hierarchical", Tree((-1, 0, 0, -1), 0.0), (None, "card", "card", None))
    figures = evaluated(write(tmp_path / "test.jsonl", rows), own).evaluation.figures()
    assert figures["accuracy_level_1"]["value"] == 1.0
    assert figures["accuracy_level_2"]["value"] == 0.5
    assert figures["hierarchical_f1"]["value"] == pytest.approx(4 / 5)


def test_pairs_are_ranked_by_their_first_text(tmp_path: Path) -> None:
    rows = [
        {"text_a": "cash", "text_b": f"answer {n}", "label": "cash" if n == 0 else "card"} for n in range(3)
    ]
    own = of_pairs()
    figures = evaluated(write(tmp_path / "test.jsonl", rows), own).evaluation.figures()
    assert figures["mrr"]["value"] == pytest.approx(1 / 3)  # equal scores: the worst order
    assert figures["recall_at_5"]["value"] == 1.0


def test_a_query_column_tells_what_belongs_together(tmp_path: Path) -> None:
    rows = [
        {"query": "one", "text_a": "cash", "text_b": "cash", "label": "cash"},
        {"query": "one", "text_a": "card", "text_b": "card", "label": "card"},
        {"query": "two", "text_a": "cash", "text_b": "card", "label": "cash"},
        {"query": "two", "text_a": "cash", "text_b": "cash", "label": "card"},
    ]
    test = write(tmp_path / "test.jsonl", rows)
    figures = evaluated(test, of_pairs(), query="query").evaluation.figures()
    assert figures["recall_at_1"]["value"] == 0.5
    assert figures["mrr"]["value"] == 0.75
    with pytest.raises(InputError, match=r"a column 'quary'.*did you mean 'query'\?.*--query-column"):
        evaluated(test, of_pairs(), query="quary")


def test_pairs_of_one_query_are_drawn_together(tmp_path: Path) -> None:
    """Each query counts twenty times over: as many rows again make no interval narrower."""
    once = [
        {"text_a": f"{word} {n}", "text_b": "x", "label": "cash" if n % 4 else "card"}
        for n, word in enumerate(["cash"] * 40)
    ]
    many = [{**row, "text_b": f"x {n}"} for row in once for n in range(20)]
    alone, together = (
        evaluated(write(tmp_path / f"{len(rows)}.jsonl", rows), of_pairs()).evaluation.metrics["accuracy"]
        for rows in (once, many)
    )
    assert alone.value == together.value == 0.75
    wide, wide_too = (own.upper - own.lower for own in (alone, together))  # type: ignore[operator]
    assert wide_too == pytest.approx(wide, rel=0.1)


def test_queries_that_say_little_are_told(tmp_path: Path) -> None:
    rows = [
        {"text_a": "cash", "text_b": "card", "label": "cash"},
        {"text_a": "card", "text_b": "card", "label": "card"},
        {"text_a": "card", "text_b": "cash", "label": "card"},
    ]
    notes = evaluated(write(tmp_path / "test.jsonl", rows), of_pairs()).evaluation.notes
    assert "1 of 2 queries have a relevant candidate: figures of queries are of these alone." in notes
    assert any("1 of the 1 queries with a relevant candidate have no other one" in note for note in notes)


def test_groups_of_pairs_are_compared_by_their_order_too(tmp_path: Path) -> None:
    rows = [
        {
            "text_a": f"{n}",
            "text_b": word,
            "label": "cash" if (word == "cash") == (n % 2 == 0) else "card",
            "even": n % 2,
        }
        for n in range(40)
        for word in ("cash", "card")
    ]
    found = evaluated(write(tmp_path / "test.jsonl", rows), of_pairs(), slices=("even",)).evaluation.slices[0]
    ranked = {group.name: group.figures["ndcg_at_10"].value for group in found.groups}
    assert ranked == {"0": 1.0, "1": pytest.approx(1 / np.log2(3))}
    nothing = [{**row, "label": "card"} if row["even"] else row for row in rows]
    found = evaluated(write(tmp_path / "no.jsonl", nothing), of_pairs(), slices=("even",)).evaluation.slices[
        0
    ]
    assert {group.name: group.figures["ndcg_at_10"].value for group in found.groups} == {"0": 1.0, "1": None}


@pytest.mark.parametrize("pairs", [False, True])
def test_pairs_for_a_model_of_single_texts_are_one_line(tmp_path: Path, pairs: bool) -> None:
    row = {"text": "cash", "label": "cash"} if pairs else {"text_a": "cash", "text_b": "x", "label": "cash"}
    own = of_pairs() if pairs else predictor(2)
    with pytest.raises(InputError, match="which the model learned from, found"):
        evaluated(write(tmp_path / "test.jsonl", [row]), own)


TREE = Tree((-1, 0, 0, -1), 0.6)
PARENTS = (None, "card", "card", None)


def test_a_tree_is_measured_by_where_texts_are_placed(tmp_path: Path) -> None:
    rows = [
        {"text": "cash cash cash", "label": "cash"},  # sure enough: at its label
        {"text": "cash loan", "label": "loan"},  # either of two: at the group above
        {"text": "rate rate rate", "label": "loan"},  # elsewhere
    ]
    own = predictor(4, "hierarchical", TREE, PARENTS)
    found = evaluated(write(tmp_path / "test.jsonl", rows), own)
    figures = found.evaluation.figures()
    assert [round(figures[name]["value"], 3) for name in ("accuracy", "placed_right")] == [0.333, 0.667]
    assert [(own.texts, own.placed, own.right) for own in found.evaluation.levels] == [(3, 3, 2), (3, 1, 1)]
    told = list(prediction_rows(found))
    assert [(row["right"], row["placed"], row["predicted"]) for row in told] == [
        (False, False, "rate"),
        (False, True, "card"),
        (True, True, "cash"),
    ]
    assert told[1]["confidence"] > 0.6, "a group is as likely as all labels under it"
    assert [(p.true, p.predicted) for p in found.evaluation.confusions.pairs] == [(2, 3)]
    write_evaluation(tmp_path / "out", found)
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert "66.7 % are placed rightly" in page
    assert "Levels of the tree" in page
    errors = page[page.index('id="errors"') : page.index('id="repeat"')]
    assert "rate rate rate" in errors
    assert "cash loan" not in errors


def test_a_model_without_groups_is_compared_in_the_tree_of_the_other(tmp_path: Path) -> None:
    rows = [{"text": "loan loan", "label": "cash"}, {"text": "cash cash", "label": "cash"}]
    test = write(tmp_path / "test.jsonl", rows)
    tree = predictor(4, "hierarchical", Tree((-1, 0, 0, -1), 0.0), PARENTS)
    flat = predictor(4)
    found = evaluated(test, tree, flat).evaluation.figures()["comparison"]["differences"]
    assert found["hierarchical_f1"]["value"] == pytest.approx(0.0)
    assert found["accuracy_level_1"]["value"] == 0.0


def test_a_test_labelled_by_groups_alone_is_no_surprise_of_36_nats(tmp_path: Path) -> None:
    rows = [{"text": "cash loan", "label": "card"}, {"text": "rate rate", "label": "rate"}]
    own = predictor(4, "hierarchical", TREE, PARENTS)
    head = FlatHead(C=1.0).from_tensors(
        {
            "coef": 2 * np.eye(6, dtype=np.float32)[1:4],
            "intercept": np.zeros(3, dtype=np.float32),
            "C": np.array([1.0]),
        },
        np.array([1, 2, 3]),
    )
    own = Predictor(replace(own.model, head=head), own.encoder)
    found = evaluated(write(tmp_path / "test.jsonl", rows), own).evaluation
    assert found.metrics["placed_right"].value == 1.0
    assert found.metrics["log_loss"].value is not None
    assert found.metrics["log_loss"].value < 0.5
    assert found.known == 3
    assert any("1 text with a group for a label" in note for note in found.notes)


@pytest.mark.parametrize("several", [False, True])
def test_a_text_with_two_answers_is_evidence_and_told(tmp_path: Path, several: bool) -> None:
    answers = [("cash", "cash"), ("cash", "card"), ("loan", "loan")]
    rows = [
        {"text": text, "labels": [name]} if several else {"text": text, "label": name}
        for text, name in answers
    ]
    own = predictor(3, "multi-label", Thresholds((0.5, 0.5, 0.5))) if several else predictor()
    found = evaluated(write(tmp_path / "test.jsonl", rows), own)
    name = "subset_accuracy" if several else "accuracy"
    assert found.evaluation.metrics[name].value == pytest.approx(2 / 3)
    assert found.left_out.count == 0
    assert any(
        note.startswith("1 text more than once with different labels") for note in found.evaluation.notes
    )


def test_groups_have_counts_intervals_and_gaps(tmp_path: Path) -> None:
    rows = some_rows(200)
    found = evaluated(write(tmp_path / "test.jsonl", rows), predictor(), slices=("channel",))
    groups = {group.name: group for group in found.evaluation.slices[0].groups}
    assert {name: group.n for name, group in groups.items()} == {"mail": 98, "chat": 98, "fax": 4}
    assert [name for name, group in groups.items() if group.small] == ["fax"]
    gap = groups["mail"].gaps["accuracy"]
    assert gap.value is not None
    assert gap.lower is not None
    assert gap.upper is not None
    assert gap.lower < gap.value < gap.upper
    widest = found.evaluation.slices[0].widest[0]
    assert {widest.first, widest.second} == {"mail", "chat"}


def test_two_models_are_compared_on_the_same_texts(tmp_path: Path) -> None:
    test = write(tmp_path / "test.jsonl", some_rows(200))
    same = evaluated(test, predictor(), predictor()).evaluation.figures()["comparison"]
    assert same["differences"]["accuracy"] == {"value": 0.0, "lower": 0.0, "upper": 0.0, "p_value": 1.0}
    blind = predictor(3, rule=Thresholds((2.0, 2.0, 2.0)))  # never sure enough
    other = evaluated(test, predictor(), blind).evaluation.figures()["comparison"]
    assert other["right"]["against_only"] == 0
    assert other["right"]["difference"]["p_value"] < 1e-6
    assert other["differences"]["accuracy"]["p_value"] < 0.01
    assert other["differences"]["accuracy"]["lower"] > 0.5


def test_the_command_prints_json_and_exits_with_one_line_where_it_cannot(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from vermilion import cli
    from vermilion.world.encoders import load_encoder

    encoder = load_encoder("static")
    words = ("card", "cash")
    head = FlatHead(C=10.0).fit(encoder.encode(words), np.arange(2))
    labels = tuple(Label(word) for word in words)
    save_model(tmp_path / "model", SavedModel("flat", head, labels, 1.0, "static", encoder.digest), "card")
    test = write(tmp_path / "test.jsonl", [{"text": f"my {word}", "label": word} for word in words])
    said = CliRunner().invoke(cli.app, ["evaluate", str(tmp_path / "model"), test, "--json"])
    assert said.exit_code == 0, said.output
    assert set(json.loads(said.stdout)["accuracy"]) == {"value", "lower", "upper"}
    assert "Only 2 texts" in said.stderr
    shown = CliRunner().invoke(cli.app, ["evaluate", str(tmp_path / "model"), test])
    assert "f1_macro" in shown.stdout
    wrong = write(tmp_path / "wrong.jsonl", [{"text": "loan", "label": "loan"}])
    refused = CliRunner().invoke(cli.app, ["evaluate", str(tmp_path / "model"), wrong])
    assert isinstance(refused.exception, InputError)


def test_an_unknown_label_is_one_line_with_its_row(tmp_path: Path) -> None:
    rows: list[Mapping[str, object]] = [
        *some_rows(5),
        {"id": "x", "text": "x", "label": "caash"},
        {"id": "y", "text": "y", "label": "new"},
    ]
    test = write(tmp_path / "test.jsonl", rows)
    with pytest.raises(
        InputError, match=r"row 6, column label: expected one of the model's 3 labels"
    ) as error:
        evaluated(test, predictor())
    assert "did you mean 'cash'?" in str(error.value)
    assert "1 more such row, 2 labels in all" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "an empty file"),
        ('{"text": "card"}\n', "expected a column 'label'"),
        ('{"text": "card", "label": ["card", "cash"]}\n', "expected one label, as the model gives"),
    ],
)
def test_files_that_cannot_be_used_are_one_line(tmp_path: Path, content: str, said: str) -> None:
    test = tmp_path / "test.jsonl"
    test.write_text(content)
    with pytest.raises(InputError, match=said) as error:
        evaluated(str(test), predictor())
    assert "\n" not in str(error.value)


def test_a_slice_by_no_column_is_one_line(tmp_path: Path) -> None:
    test = write(tmp_path / "test.jsonl", some_rows(5))
    with pytest.raises(InputError, match=r"expected a column 'chanel'.*did you mean 'channel'\?.*--slice"):
        evaluated(test, predictor(), slices=("chanel",))


def test_one_label_alone_is_measured_as_far_as_it_can_be(tmp_path: Path) -> None:
    rows = [{"text": f"card {n}", "label": "card"} for n in range(3)]
    found = evaluated(write(tmp_path / "test.jsonl", rows), predictor())
    figures = found.evaluation.figures()
    assert figures["accuracy"]["value"] == 1.0
    assert figures["mcc"] == {
        "value": None, "lower": None, "upper": None, "reason": "only one label is true, or only one was predicted",
    }  # fmt: skip
    assert figures["roc_auc"]["value"] is None
    assert any("Only 3 texts" in note for note in found.evaluation.notes)
    write_evaluation(tmp_path / "out", found)
    assert "not defined" in (tmp_path / "out" / "evaluation.html").read_text()


def test_files_hold_errors_first_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    test = write(tmp_path / "test.jsonl", some_rows(80))
    for name in ("one", "two"):
        write_evaluation(tmp_path / name, evaluated(test, predictor(), predictor(), slices=("channel",)))
    rows = [json.loads(line) for line in (tmp_path / "one" / "predictions.jsonl").read_text().splitlines()]
    right = [row["right"] for row in rows]
    assert right == sorted(right)
    errors = [row["confidence"] for row in rows if not row["right"]]
    assert errors == sorted(errors, reverse=True)
    assert {"channel", "predicted_by_other"} <= set(rows[0])
    told = json.loads((tmp_path / "one" / "evaluation.json").read_text())
    assert told["metrics"]["accuracy"]["value"] == sum(right) / 80
    assert told["interval"]["resamples"] == 1000
    assert sum(own["texts"] for own in told["labels"]) == 80
    for name in ("evaluation.json", "evaluation.html", "predictions.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_no_text_or_label_can_act_in_the_page(tmp_path: Path) -> None:
    name = "</script><img src=x onerror=alert(1)>"
    own = predictor()
    labels = (Label(name), *own.model.labels[1:])
    own = Predictor(SavedModel("flat", own.model.head, labels, 1.0, "words", "1"), own.encoder)
    rows: list[dict[str, object]] = [
        {"text": f"{name} cash", "label": name},
        {"text": "cash", "label": "cash"},
        {"text": "loan", "label": name},
    ]
    write_evaluation(tmp_path / "out", evaluated(write(tmp_path / "test.jsonl", rows), own))
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert name not in page
    assert "<img" not in page


def test_rows_left_out_are_told(tmp_path: Path) -> None:
    test = tmp_path / "test.csv"
    test.write_text("text,label\ncard,card\n,card\ncash,cash\n")
    found = evaluated(str(test), predictor(), skip_bad_rows=True, columns=Columns())
    assert isinstance(found.left_out, BadRows)
    assert found.left_out.count == 1
    assert found.evaluation.left_out == 1

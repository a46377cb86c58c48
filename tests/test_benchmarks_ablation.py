"""The benchmarks of ablation and of the worst decisions, on a small made set with the static encoder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ablation, worst
from benchmarks.__main__ import main
from benchmarks.ablation import BY_NAME, DEFAULT, READING, SUBSET, VARIANTS, ReadingOracle
from benchmarks.contestants import Terms
from benchmarks.results import Results
from benchmarks.tasks import Case, Task, load
from benchmarks.worst import Judge, Wrong
from vermilion.config import RunSettings
from vermilion.learn import transduction
from vermilion.learn.heads import HEADS, SubsetHead
from vermilion.learn.uncertainty import select
from vermilion.red import asking, planning
from vermilion.types import Question
from vermilion.world.experts import OracleExpert

WORDS = ("refund", "parcel", "password", "invoice", "holiday", "parking")
WAYS = ("about my {}", "the {} is late", "where is the {} now", "cancel the {}", "who pays the {}")
TASK = Task("small", a_label=2, error=0.2, seed=3, encoder="static")
COMMON = ["--sets", "small", "--a-label", "2", "--error", "0.2", "--encoder", "static", "--share", "0.5"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "small"
    folder.mkdir()
    rows = [
        {"text": f"{way.format(word)}, <{when}>", "label": word}
        for word in WORDS
        for way in WAYS
        for when in ("please", "again", "today")
    ]
    for name in ("train", "test"):
        lines = (json.dumps({**row, "text": f"{row['text']} {name}"}) for row in rows)
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    return folder.parent


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vectors")


@pytest.fixture(scope="module")
def case(data: Path, vectors: Path) -> Case:
    return load(TASK, data, vectors)


def terms(vectors: Path) -> Terms:
    return Terms(share=0.5, rounds=2, minutes=0, vectors=vectors)


def test_names_are_distinct_and_each_base_comes_before_what_is_compared_with_it() -> None:
    places = {variant.name: place for place, variant in enumerate(VARIANTS)}
    assert len(places) == len(VARIANTS)
    assert all(places[variant.base] <= places[variant.name] for variant in VARIANTS)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_a_variant_differs_from_its_base_in_one_thing(variant: ablation.Variant) -> None:
    base = BY_NAME[variant.base]
    own = {name: value for name, value in variant.settings.items() if base.settings.get(name) != value}
    changed = len(own) + len(variant.swaps) - len(base.swaps)
    assert changed == (0 if variant.name == DEFAULT else 1)
    assert variant.swaps[: len(base.swaps)] == base.swaps
    default = RunSettings()
    assert all(getattr(default, name) != value for name, value in own.items())
    RunSettings(**variant.settings).checked()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("subset head's arbiter: off", {"arbiter": "none"}),
        ("subset head's noise factor: 5", {"noise_ratio": 5.0}),
        ("subset head's noise: hard", {"noise": "hard"}),
    ],
)
def test_the_subset_heads_parts_are_swapped_and_put_back(name: str, params: dict[str, object]) -> None:
    with BY_NAME[name].swaps[0]():
        head = HEADS["subset"](subset_size=7)
        assert isinstance(head, SubsetHead)
        assert params.items() <= head.get_params().items()
        assert head.subset_size == 7
    assert HEADS["subset"] is SubsetHead


def test_without_diversity_near_identical_texts_are_asked_again() -> None:
    X = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    scores, eligible = np.array([0.9, 0.8, 0.7]), np.array([True, True, True])
    assert vars(planning)["select"](scores, eligible, X, 2).tolist() == [0, 2]
    with BY_NAME["diversity: off"].swaps[0]():
        assert vars(planning)["select"](scores, eligible, X, 2).tolist() == [0, 1]
        assert vars(planning)["select"](scores, np.array([False, True, True]), X, 2).tolist() == [1, 2]
    assert vars(planning)["select"] is select


def test_the_pools_two_ways_can_be_taken_apart(case: Case) -> None:
    one, other = np.array([[0.9, 0.1]]), np.array([[0.2, 0.8]])
    with BY_NAME["pool: spread labels alone"].swaps[0]():
        assert transduction.geometric_mean(one, other) is one
    with BY_NAME["pool: student alone"].swaps[0]():
        assert transduction.geometric_mean(one, other) is other
    assert 0.2 < transduction.geometric_mean(one, other)[0, 0] < 0.9


def test_an_expert_that_uses_examples_errs_less_with_them() -> None:
    gold = {f"text {number}": "b" for number in range(2000)}
    reading = ReadingOracle(gold, seed=5)
    wrong = {}
    for name, examples in (("shown", (("t", "a"), ("t", "b"))), ("other", (("t", "a"),)), ("none", ())):
        answers = {text: reading.answer(Question(text, ("a", "b"), examples=examples)) for text in gold}
        wrong[name] = {text for text, answer in answers.items() if answer != "b"}
    assert wrong["none"] == wrong["other"]
    assert wrong["shown"] < wrong["none"]
    assert len(wrong["shown"]) / len(gold) == pytest.approx(ablation.SHOWN_ERROR, abs=0.015)
    assert len(wrong["none"]) / len(gold) == pytest.approx(ablation.UNSHOWN_ERROR, abs=0.02)


def test_examples_are_hidden_from_it_only_while_the_variant_runs(case: Case, vectors: Path) -> None:
    quick = {"head": "centroid", "names": False, "pool": False}
    unshown = BY_NAME["expert that uses examples: not shown"]
    shown = replace(BY_NAME[READING], settings=quick).run(case, terms(vectors))["curve"]
    hidden = replace(unshown, settings=quick).run(case, terms(vectors))["curve"]
    assert hidden["asked"][-1] == shown["asked"][-1]
    assert hidden["prompt_tokens"][-1] < 0.7 * shown["prompt_tokens"][-1]
    assert type(case.expert()) is OracleExpert
    assert vars(planning)["nearest_examples"] is asking.nearest_examples


def test_rounds_are_those_of_the_variant(case: Case, vectors: Path) -> None:
    """All at once: the terms' two rounds would have a point more."""
    quick = {"head": "centroid", "names": False, "pool": False}
    few = ablation.Variant("one round", {**quick, "rounds": 1}).run(case, terms(vectors))["curve"]["asked"]
    two = ablation.Variant("as the terms say", quick).run(case, terms(vectors))["curve"]["asked"]
    assert len(few) < len(two)
    assert few[-1] == two[-1]


def test_a_variant_without_its_library_is_left_out_with_the_reason(
    data: Path,
    vectors: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ablation, "find_spec", lambda name: None)
    results = tmp_path / "r.jsonl"
    command = ["ablation", str(data), *COMMON, "--vectors", str(vectors), "--results", str(results)]
    main([*command, "--variants", "umap: True"])
    assert capsys.readouterr().out == "umap: True: left out, umap is not installed\n\n"
    assert not results.exists()


def test_ablation_goes_on_and_tells_each_variant_beside_its_base(
    data: Path, vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "r.jsonl"
    command = ["ablation", str(data), *COMMON, "--vectors", str(vectors), "--results", str(results)]
    command += ["--seeds", "3", "--rounds", "2", "--variants"]
    main([*command, DEFAULT])
    main([*command, DEFAULT, "names: off"])
    rows = Results(results).rows()
    assert [row["condition"]["contestant"] for row in rows] == [DEFAULT, "names: off"]
    first, second = (row["figures"]["curve"]["agreement"][-1] for row in rows)
    cells = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    written = {row[0].strip(): [cell.strip() for cell in row] for row in cells[-2:]}
    assert written[DEFAULT][1] == written[DEFAULT][6] == ""
    assert written["names: off"][1] == DEFAULT
    assert written["names: off"][6] == f"{second - first:+.4f}"


def row(name: str, seed: int, agreement: float) -> dict[str, object]:
    curve = {
        "asked": [0, 100],
        "agreement": [0.8, agreement],
        "test_accuracy": [None, 0.8],
        "prompt_tokens": [0, 10],
        "completion_tokens": [0, 1],
    }
    condition = {"set": "s", "a_label": 5, "error": 0.05, "share": 0.15, "rounds": 20}
    return {
        "condition": {**condition, "seed": seed, "contestant": name},
        "figures": {"curve": curve, "finished": True, "seconds": 2.0},
    }


def test_differences_are_taken_seed_by_seed() -> None:
    rows = [row(DEFAULT, 0, 0.90), row(DEFAULT, 1, 0.96), row(SUBSET, 0, 0.89), row(SUBSET, 1, 0.95)]
    rows.append(row(SUBSET, 2, 0.10))  # the base has not come so far
    other = row(DEFAULT, 0, 0.50)  # nor is it the same encoder's
    other["condition"] |= {"encoder": "static"}  # type: ignore[operator]
    rows.insert(0, other)
    written = ablation.table(rows)
    assert "simulated expert wrong in 5 %" in written
    cells = [cell.strip() for cell in written.splitlines()[-1].split("|")[1:-1]]
    assert cells[0] == SUBSET
    assert cells[6] == "-0.0100 ± 0.0000"


def made_wrong(**changes: object) -> Wrong:
    usual: dict[str, object] = {
        "text": "a <b>text</b>",
        "source": "auto",
        "decided": "x",
        "gold": "y",
        "confidence": 0.5,
        "rank": 2,
        "by_classifier": False,
        "by_neighbours": False,
    }
    return Wrong(**(usual | changes))  # type: ignore[arg-type]


def test_the_judge_finds_a_wrong_gold_label_and_takes_no_right_one_for_wrong() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 30)
    X = np.eye(3)[y] + 0.1 * rng.standard_normal((90, 3))
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    gold = y.copy()
    gold[0] = 1
    judge = Judge.of(X, gold)
    assert judge.by_classifier(0, gold=1, decided=0)
    assert judge.by_neighbours(0, decided=0)
    assert not any(judge.by_classifier(row, gold=gold[row], decided=2) for row in range(1, 60))
    assert not any(judge.by_neighbours(row, decided=2) for row in range(60))


def test_a_text_is_not_its_own_neighbour() -> None:
    X = np.random.default_rng(1).standard_normal((40, 8))
    found = worst.nearest(X, 3)
    assert all(place not in row for place, row in enumerate(found.tolist()))
    similar = X @ X.T - 1e9 * np.eye(40)
    assert np.sort(found).tolist() == np.sort(np.argsort(-similar)[:, :3]).tolist()


def test_a_label_with_one_text_is_never_held_out() -> None:
    X = np.eye(3, dtype=np.float32).repeat([4, 4, 1], axis=0)
    proba = worst.held_out(X, np.array([0] * 4 + [1] * 4 + [2]))
    assert proba[-1].tolist() == [0, 0, 1]
    assert np.allclose(proba.sum(axis=1), 1, atol=1e-5)


def test_the_worst_are_the_models_own_and_of_these_the_surest() -> None:
    asked, sure = made_wrong(source="corrected", confidence=1.0), made_wrong(confidence=0.9)
    unsure = made_wrong(confidence=0.3)
    assert sorted([unsure, asked, sure], key=lambda one: one.badness) == [sure, unsure, asked]


def test_only_both_views_together_put_a_decision_down_to_the_data() -> None:
    wrong = [
        made_wrong(by_classifier=True, by_neighbours=True, rank=None),
        made_wrong(by_classifier=True),
        made_wrong(by_neighbours=True, decided="z"),
        made_wrong(),
        made_wrong(source="verified", by_classifier=True, by_neighbours=True),
    ]
    found = worst.figures(wrong)
    assert found["wrong"] == {"auto": 4, "verified": 1}
    assert found["own"] == {
        "count": 4,
        "likely_the_data": 0.25,
        "by_classifier": 0.5,
        "by_neighbours": 0.5,
        "truth_second": 0.75,
    }
    assert found["expert"]["likely_the_data"] == 1
    assert found["pairs"] == [["x", "y", 3], ["z", "y", 1]]
    assert worst.figures([])["own"] == {"count": 0}


def test_the_page_shows_texts_as_they_are() -> None:
    page = worst.rendered("set", [made_wrong(by_classifier=True, by_neighbours=True), made_wrong(rank=None)])
    assert "a &lt;b&gt;text&lt;/b&gt;" in page
    assert "<b>" not in page
    assert page.count('<tr class="data">') == 1
    assert "simulated expert" in page


def test_texts_go_to_their_folder_and_figures_alone_to_the_results(
    data: Path, vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, texts = tmp_path / "worst.jsonl", tmp_path / "texts"
    command = ["worst", str(data), *COMMON, "--vectors", str(vectors), "--results", str(results)]
    command += ["--texts", str(texts)]
    main(command)
    (found,) = Results(results).rows()
    assert "simulated expert wrong in 20%" in capsys.readouterr().out
    shown = [json.loads(line) for line in (texts / "small.jsonl").read_text().splitlines()]
    assert len(shown) == found["figures"]["worst"]["count"] > 0
    assert all(one["decided"] != one["gold"] for one in shown)
    assert not any(one["text"] in results.read_text() for one in shown)
    assert found["figures"]["pool"] == len(WORDS) * (len(WAYS) * 3 - 2)

    before = results.read_text()
    main(command)
    assert "the texts are in" not in capsys.readouterr().out
    (texts / "small.html").unlink()
    main(command)
    assert "the texts are in" in capsys.readouterr().out
    assert results.read_text() == before

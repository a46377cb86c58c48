"""The benchmark of cost: its tasks, its results, its peers' programs, its tokens and its table."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import cost, environments, figures
from benchmarks.__main__ import NAMES, main
from benchmarks.contestants import CONTESTANTS, Terms, contest_of
from benchmarks.peers.contest import Contest, Scribe
from benchmarks.peers.plain import STRATEGIES
from benchmarks.results import Results
from benchmarks.tasks import Case, Task, load, split
from benchmarks.tokens import count, price_of_all_labels, tokens_of
from vermilion.types import Label, Question
from vermilion.world.prompts import messages

WORDS = ("refund", "parcel", "password", "invoice", "holiday", "parking")
WAYS = (
    "about my {}",
    "the {} is late",
    "where is the {} now",
    "cancel the {}",
    "who pays the {}",
    "no {} came",
)
TASK = Task("small", a_label=2, error=0.2, seed=3, encoder="static")


def write_set(data: Path) -> None:
    folder = data / "small"
    folder.mkdir()
    rows = [
        {"text": f"{way.format(word)}, {number}", "label": word}
        for word in WORDS
        for way in WAYS
        for number in ("please", "again", "today")
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0]]))
    (folder / "test.jsonl").write_text(
        "".join(json.dumps({**row, "text": row["text"] + "?"}) + "\n" for row in rows)
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_set(folder)
    return folder


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vectors")


@pytest.fixture(scope="module")
def case(data: Path, vectors: Path) -> Case:
    return load(TASK, data, vectors)


@pytest.fixture
def terms(vectors: Path) -> Terms:
    return Terms(share=0.5, rounds=3, minutes=2, vectors=vectors)


def play(case: Case, terms: Terms, folder: Path, strategy: str) -> list[dict[str, float]]:
    """Play here and now what is otherwise a program of its own."""
    contest, written = contest_of(case, terms), folder / "points.jsonl"
    STRATEGIES[strategy](contest, Scribe(contest, written))
    return [json.loads(line) for line in written.read_text().splitlines()]


def test_a_split_has_every_text_once_and_its_seed_decides_it(data: Path) -> None:
    parts, same, other = split(TASK, data), split(TASK, data), split(replace(TASK, seed=4), data)
    assert len(parts.labelled) == 2 * len(WORDS)
    assert len(parts.pool) == len(WORDS) * len(WAYS) * 3 - len(parts.labelled)
    assert not set(parts.labelled.texts) & set(parts.pool.texts)
    assert parts.pool.labels is None
    assert same == parts
    assert other.labelled.texts != parts.labelled.texts


def test_the_error_changes_the_answers_and_nothing_else(case: Case, data: Path, vectors: Path) -> None:
    right = load(replace(TASK, error=0.0), data, vectors)
    assert (right.answers == right.gold).all()
    assert right.problem.open_texts == case.problem.open_texts
    assert 0.65 < (case.answers == case.gold).mean() < 0.95


def test_the_pool_can_be_cut(data: Path) -> None:
    assert len(split(replace(TASK, most_pool=7), data).pool) == 7


def test_a_result_is_found_by_its_condition_whatever_its_order(tmp_path: Path) -> None:
    results = Results(tmp_path / "new" / "r.jsonl")
    assert not results.has({"a": 1, "b": 2})
    results.add({"a": 1, "b": 2}, {"x": 0.5})
    assert results.has({"b": 2, "a": 1})
    assert not results.has({"a": 1})


def test_a_line_that_a_kill_cut_short_is_run_again(tmp_path: Path) -> None:
    results = Results(tmp_path / "r.jsonl")
    results.add({"a": 1}, {"x": 1})
    results.add({"a": 2}, {"x": 2})
    text = results.path.read_text()
    results.path.write_text(text[:-9])
    assert [row["condition"] for row in results.rows()] == [{"a": 1}]
    results.add({"a": 2}, {"x": 2})
    assert results.path.read_text() == text


def test_a_peers_program_keeps_to_the_checkpoints(case: Case, terms: Terms) -> None:
    found = CONTESTANTS["random"](case, terms)
    assert found["finished"]
    assert found["curve"]["asked"] == terms.checkpoints(len(case.gold))
    assert all(0.3 < value <= 1 for value in found["curve"]["agreement"] + found["curve"]["test_accuracy"])


def test_self_training_asks_nothing(case: Case, terms: Terms, tmp_path: Path) -> None:
    (point,) = play(case, terms, tmp_path, "self-training")
    assert point["asked"] == 0
    assert point["agreement"] > 0.3


@pytest.mark.parametrize(
    "name", [name for name in CONTESTANTS if name.startswith(("small-text", "scikit-activeml"))]
)
def test_a_peer_keeps_to_the_checkpoints(case: Case, terms: Terms, name: str) -> None:
    environment = name.split(":", maxsplit=1)[0]
    if not environments.is_ready(environment):
        pytest.skip(f"python -m benchmarks environments {environment} has not been run")
    found = CONTESTANTS[name](case, terms)
    assert found["finished"], found
    assert found["curve"]["asked"] == terms.checkpoints(len(case.gold))


def test_asked_texts_take_the_experts_answer(case: Case, terms: Terms, tmp_path: Path) -> None:
    """Random asks about the whole pool in the end: its agreement is then the expert's own."""
    points = play(case, replace(terms, share=1.0), tmp_path, "random")
    assert points[-1]["asked"] == len(case.gold)
    assert points[-1]["agreement"] == pytest.approx((case.answers == case.gold).mean())


def test_a_contestant_out_of_time_is_reported_so(case: Case, terms: Terms) -> None:
    found = CONTESTANTS["random"](case, replace(terms, minutes=0.001))
    assert not found["finished"]
    assert found["why"] == "did not finish in 0.001 minutes"
    assert (
        figures.lines([{"condition": {"contestant": "random", "seed": 0}, "figures": found}])[0].agreement
        is None
    )


def test_a_contestant_that_fails_is_reported_so(case: Case, terms: Terms) -> None:
    too_many = replace(terms, share=2.0)  # twice as many questions as there are texts
    environment = "small-text"
    if not environments.is_ready(environment):
        pytest.skip(f"python -m benchmarks environments {environment} has not been run")
    found = CONTESTANTS["small-text: BreakingTies"](case, too_many)
    assert not found["finished"]
    assert "exit status" in found["why"]


@pytest.mark.parametrize("name", ["Vermilion", "R.E.D. as first published"])
def test_vermilions_curve_ends_with_what_it_asked(case: Case, terms: Terms, name: str) -> None:
    found = CONTESTANTS[name](case, terms)
    curve = found["curve"]
    assert curve["asked"][0] == 0
    assert curve["asked"] == sorted(set(curve["asked"]))
    assert curve["asked"][-1] <= terms.checkpoints(len(case.gold))[-1]
    assert curve["prompt_tokens"] == sorted(curve["prompt_tokens"])
    assert curve["prompt_tokens"][0] == 0 < curve["prompt_tokens"][-1]
    assert curve["test_accuracy"][-1] > 0.3


def test_every_text_costs_what_all_questions_cost(case: Case, terms: Terms) -> None:
    with_examples = CONTESTANTS["every text"](case, terms)["curve"]
    without = CONTESTANTS["every text, no examples"](case, terms)["curve"]
    assert without["asked"] == [len(case.gold)]
    assert with_examples["agreement"] == without["agreement"] == [float((case.answers == case.gold).mean())]
    assert with_examples["prompt_tokens"][0] > 1.2 * without["prompt_tokens"][0]
    price = price_of_all_labels(case, examples=False)
    assert without["prompt_tokens"][0] == pytest.approx(price.prompt * len(case.gold), abs=1)


def test_tokens_are_those_of_the_prompt_as_sent() -> None:
    labels = {name: Label(name) for name in ("fee", "loss")}
    question = Question("it is lost", ("fee", "loss"))
    sent = messages(question, labels)
    found = tokens_of(question, "loss", labels)
    assert found.prompt == sum(count(message["content"]) for message in sent)
    assert found.completion == count('{"answer": "loss"}')
    assert tokens_of(question, None, labels).completion == count('{"answer": "none of these"}')


def test_a_contest_comes_back_from_its_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.random((4, 2)), np.array([0, 1, 0, 1])
    contest = Contest(X, y, X[:3], y[:3], np.array([0, 1, 0]), X, y, np.array([0, 2]), 7)
    contest.save(tmp_path / "c.npz")
    held = Contest.load(tmp_path / "c.npz")
    assert held.seed == 7
    assert (held.X_pool == contest.X_pool).all()
    assert held.training(np.array([2]))[1].tolist() == [0, 1, 0, 1, 0]


def row(seed: int, agreement: list[float], *, name: str = "x", finished: bool = True) -> dict[str, object]:
    asked = [0, 100, 200][: len(agreement)]
    curve = {
        "asked": asked,
        "agreement": agreement,
        "test_accuracy": [None] * (len(agreement) - 1) + [0.8],
        "prompt_tokens": [10 * each for each in asked],
        "completion_tokens": asked,
    }
    condition = {"set": "s", "a_label": 5, "error": 0.05, "share": 0.15, "seed": seed, "contestant": name}
    return {"condition": condition, "figures": {"curve": curve, "finished": finished, "seconds": 2.0}}


def test_seeds_are_put_together() -> None:
    (line,) = figures.lines([row(0, [0.8, 0.9, 0.96]), row(1, [0.84, 0.94, 0.96])])
    at_90, at_95 = line.reached
    assert line.runs == at_90.runs == at_90.of == 2
    assert at_90.calls is not None
    assert at_90.calls.mean == pytest.approx(80)  # 100 and 60
    assert at_90.calls.half == pytest.approx(12.706 * 20, rel=1e-3)
    assert at_90.tokens is not None
    assert at_90.tokens.mean == pytest.approx(880)
    assert at_95.runs == 2
    assert line.agreement is not None
    assert line.agreement.mean == pytest.approx(0.96)


def test_no_mean_over_the_lucky_seeds_alone() -> None:
    (line,) = figures.lines([row(0, [0.8, 0.9, 0.96]), row(1, [0.8, 0.85, 0.88])])
    at_90 = line.reached[0]
    assert (at_90.runs, at_90.of, at_90.calls) == (1, 2, None)
    assert "reached in 1 of 2" in figures.table([line])


def test_the_table_has_the_cheapest_first_and_says_simulated() -> None:
    rows = [row(0, [0.8, 0.9, 0.96], name="slow"), row(0, [0.8, 0.95, 0.97], name="quick")]
    rows.append(row(0, [0.8], name="stopped", finished=False))
    written = figures.table(figures.lines(rows))
    assert "simulated expert wrong in 5 %" in written
    contestants = [line.split("|")[1].strip() for line in written.splitlines() if line.startswith("|")]
    assert contestants[2:] == ["quick", "slow", "stopped (did not finish)"]


def test_what_is_there_is_not_run_again(
    data: Path, vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "cost.jsonl"
    words = (
        f"cost {data} --sets small --a-label 2 --errors 0.2 --seeds 3 --encoder static --share 0.3 --rounds 2"
    )
    command = [
        *words.split(),
        "--vectors",
        str(vectors),
        "--results",
        str(results),
        "--contestants",
        "random",
    ]
    main(command)
    first = results.read_text()
    assert "seed 3, small" in capsys.readouterr().out
    main(command)
    assert results.read_text() == first
    assert capsys.readouterr().out.startswith("### small with static: 2 labelled a label, simulated expert")


def test_the_small_version_is_a_version_of_the_whole() -> None:
    parser = argparse.ArgumentParser()
    cost.add_arguments(parser)
    assert cost.SMALL.keys() <= vars(parser.parse_args(["data"])).keys()


def test_an_unknown_benchmark_is_answered_with_the_names() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["nothing"])
    assert all(name in str(stopped.value) for name in NAMES)


def test_peers_versions_are_pinned() -> None:
    for name in ("small-text", "scikit-activeml"):
        lines = (environments.REQUIREMENTS / f"{name}.txt").read_text().splitlines()
        wanted = [line for line in lines if not line.startswith("#")]
        assert wanted
        assert all("==" in line for line in wanted)


def test_a_peer_program_needs_no_vermilion() -> None:
    """What all peers share must run where Vermilion is not installed."""
    code = "import sys, benchmarks.peers.plain; print([m for m in sys.modules if m.split('.')[0] == 'vermilion'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=environments.ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"

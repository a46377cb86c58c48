"""Runs over pools in which some texts fit no label: what is asked, decided, counted and certified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from problems import make_problem

from vermilion.config import Caps, RunSettings
from vermilion.learn.heads import FlatHead
from vermilion.red.asking import Desk
from vermilion.red.decisions import count_sources, decide, gold_scores
from vermilion.red.loop import Loop, Outcome
from vermilion.red.out_of_scope import Drawn, Watch, refused_share, told
from vermilion.red.problem import Problem
from vermilion.red.progress import Silent
from vermilion.red.proposals import Model
from vermilion.red.record import Decision
from vermilion.red.state import MOST_TRIES, Asked, State, Step
from vermilion.red.unlabelled import as_additions, proposed, unlabelled
from vermilion.types import Meter, Question, Reply, Texts, Verdict
from vermilion.world.experts import OracleExpert
from vermilion.world.store import Store

N_OPEN, N_FOREIGN = 240, 48


class Counted(OracleExpert):
    """A simulated expert that counts how often it is asked about each text."""

    def __init__(self, gold: dict[str, str]) -> None:
        super().__init__(gold)
        self.asked: Counter[str] = Counter()

    def ask(self, questions: Sequence[Question], meter: Meter) -> Iterator[Reply]:
        """Answer all, in order."""
        self.asked.update(question.text for question in questions)
        return super().ask(questions, meter)


def mixed(seed: int = 0, foreign: int = N_FOREIGN) -> Problem:
    """Return a problem whose last open texts are of a place where no label is; their gold is -1."""
    problem = make_problem(seed, n_labels=8, n_open=N_OPEN)
    rng = np.random.default_rng([seed, 9])
    given = problem.centroids.mean(axis=0)
    X = rng.normal(size=(40 * max(foreign, 1), 8))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    # The directions that are farthest from every label.
    far = np.argsort((X @ problem.centroids.T).max(axis=1) + 0.01 * (X @ given), kind="stable")[:foreign]
    X_open, gold = problem.X_open.copy(), problem.gold
    assert gold is not None
    gold = gold.copy()
    if foreign:
        X_open[-foreign:], gold[-foreign:] = X[far], -1
    # Each label has three given texts, which is few to hold out: it gets twelve.
    noise = rng.normal(scale=0.2, size=(4 * len(problem.X_given), 8))
    more = np.repeat(problem.X_given, 4, axis=0) + noise
    more /= np.linalg.norm(more, axis=1, keepdims=True)
    texts = tuple(f"{text}, {copy}" for text in problem.given_texts for copy in range(4))
    return replace(
        problem,
        X_open=X_open.astype(np.float32),
        gold=gold,
        X_given=more.astype(np.float32),
        y_given=np.repeat(problem.y_given, 4),
        given_texts=texts,
        owner=np.arange(len(problem.open_texts)),
    )


def gold_of(problem: Problem) -> dict[str, str]:
    assert problem.gold is not None
    names = [label.name for label in problem.labels]
    labels = [names[number] if number >= 0 else "no label" for number in problem.gold.tolist()]
    return dict(zip(problem.open_texts, labels, strict=True))


def settings_of(rate: float | None = None, calls: int = 90, **more: object) -> RunSettings:
    settings = RunSettings(
        expert="oracle:gold.csv", target=1.0, rounds=4, out_of_scope=rate, caps=Caps(max_calls=calls)
    )
    return replace(settings, **more)  # type: ignore[arg-type]


def run(
    path: Path, problem: Problem, settings: RunSettings, expert: OracleExpert | None = None
) -> tuple[Outcome, list[Decision]]:
    calls = settings.caps.max_calls
    assert calls is not None
    with Store.open(path / "run.sqlite") as store:
        desk = Desk(expert or OracleExpert(gold_of(problem)), store, store.meter(settings.caps), Silent())
        loop = Loop(problem, settings, Model(FlatHead(C=10.0), 1.0), desk, desk.meter, calls)
        outcome = loop.run()
    pool = Texts(tuple(map(str, range(N_OPEN))), problem.open_texts)
    return outcome, decide(problem, outcome, pool)


def test_what_the_expert_refuses_has_no_label_and_counts_as_such(tmp_path: Path) -> None:
    problem = mixed()
    outcome, decisions = run(tmp_path, problem, settings_of())
    null = [decision for decision in decisions if decision.label is None]
    assert {decision.source for decision in null} == {"none"}
    assert all(int(decision.id) >= N_OPEN - N_FOREIGN for decision in null)
    assert len(null) > N_FOREIGN / 4
    counts = count_sources(decisions)
    assert sum(counts.values()) == N_OPEN
    assert (counts["none"], counts["out_of_scope"]) == (len(null), 0)
    gold = gold_of(problem)
    right = [gold[decision.text] == (decision.label or "no label") for decision in decisions]
    scores = gold_scores(problem, outcome)
    assert scores is not None
    assert scores["agreement"] == pytest.approx(np.mean(right))


def test_a_text_that_likely_has_no_label_is_not_asked_about_again(tmp_path: Path) -> None:
    problem, settings = mixed(), settings_of()
    expert = Counted(gold_of(problem))
    outcome, _ = run(tmp_path, problem, settings, expert)
    times = Counter(asked.row for step in outcome.steps if step.kind == "round" for asked in step.asked)
    foreign = [times[row] for row in range(N_OPEN - N_FOREIGN, N_OPEN) if times[row]]
    assert len(foreign) > N_FOREIGN / 4
    # Until there are more refusals than the lists left out, some are asked about twice.
    assert np.mean(foreign) < 1.5


def test_with_a_rate_what_looks_foreign_has_no_label(tmp_path: Path) -> None:
    problem = mixed()
    outcome, decisions = run(tmp_path, problem, settings_of(0.1))
    flagged = [decision for decision in decisions if decision.source == "out_of_scope"]
    assert flagged
    assert all(decision.label is None and decision.out_of_scope is not None for decision in flagged)
    assert all(decision.confidence >= 0.9 for decision in flagged)
    foreign = [int(decision.id) >= N_OPEN - N_FOREIGN for decision in flagged]
    assert np.mean(foreign) > 0.5
    assert outcome.foreign is not None
    assert (outcome.foreign.model.rate, len(outcome.foreign.model.held_out)) == (0.1, 96)


def test_where_a_label_is_known_nothing_is_said_of_looks(tmp_path: Path) -> None:
    _, decisions = run(tmp_path, mixed(), settings_of(0.1))
    for decision in decisions:
        if decision.source in ("verified", "corrected"):
            assert decision.out_of_scope is None
        else:
            assert decision.out_of_scope is not None
            assert 0 <= decision.out_of_scope < 1


@pytest.mark.parametrize("rate", [None, 0.1])
@pytest.mark.parametrize("foreign", [0, N_FOREIGN])
def test_what_is_certified_is_true(tmp_path: Path, rate: float | None, foreign: int) -> None:
    """One run in twenty may fail; of four seeded ones, at most one."""
    failed = 0
    for seed in range(4):
        problem = mixed(seed, foreign)
        folder = tmp_path / str(seed)
        folder.mkdir()
        outcome, decisions = run(folder, problem, settings_of(rate, calls=120))
        gold = gold_of(problem)
        true = np.mean([gold[decision.text] == (decision.label or "no label") for decision in decisions])
        assert outcome.certificate is not None
        failed += int(outcome.certificate.lower > true)
    assert failed <= 1


@pytest.mark.parametrize("rate", [None, 0.1])
def test_a_run_that_was_recorded_ends_the_same(tmp_path: Path, rate: float | None) -> None:
    problem, settings = mixed(), settings_of(rate)
    first = Counted(gold_of(problem))
    outcome, decisions = run(tmp_path, problem, settings, first)
    second = Counted(gold_of(problem))
    again, repeated = run(tmp_path, problem, settings, second)
    assert repeated == decisions
    assert not second.asked
    assert again.certificate == outcome.certificate
    assert again.drawn == outcome.drawn


def test_a_refused_text_is_asked_about_again_unless_it_likely_has_no_label() -> None:
    state = State.empty(4)
    step = Step("round", tuple(Asked(row, (0, 1)) for row in range(3)))
    answers = {0: Verdict("k", None), 1: Verdict("k", None), 2: Verdict("k", "a")}
    state.apply(make_problem(n_labels=4, n_open=4), step, answers, 0)
    state.none_fits = np.array([True, False, False, False])
    assert state.eligible(4).tolist() == [False, True, False, True]


def after_refusals(unlisted: float, refused: int, asked: int = 40) -> State:
    """Return the state after questions that left so much probability out, the first of them refused."""
    state = State.empty(asked)
    step = Step("round", tuple(Asked(row, (0, 1)) for row in range(asked)))
    answers = {row: Verdict("k", None if row < refused else "a") for row in range(asked)}
    state.note_unlisted(step, answers, np.full(asked, unlisted))
    state.apply(make_problem(n_labels=4, n_open=asked), step, answers, 0)
    return state


def test_refusals_mean_no_label_only_where_they_are_more_than_the_lists_left_out() -> None:
    assert after_refusals(0.3, 12).refused(4, "choose").sum() == 0
    foreign = after_refusals(0.02, 12)
    assert foreign.refused(4, "choose").tolist() == [True] * 12 + [False] * 28
    assert foreign.no_label(4, "choose")[:12].min() > 0.9
    assert foreign.refused(4, "validate").sum() == 0  # one "no" says nothing of other labels


def test_a_second_list_multiplies_what_is_left() -> None:
    state = after_refusals(0.3, 12)
    step = Step("round", (Asked(0, (2,)),))
    state.note_unlisted(step, {0: Verdict("k", None)}, np.array([0.1]))
    assert state.unlisted[:2].tolist() == pytest.approx([0.03, 0.3])


def test_all_labels_ruled_out_mean_none_and_so_do_three_lists_of_unknown_weight() -> None:
    state = State.empty(3)
    state.ruled_out = {0: (0, 1, 2, 3), 1: (0, 1), 2: (0, 1)}
    state.tries[:] = [1, MOST_TRIES, 1]
    assert state.refused(4, "validate").tolist() == [True, False, False]
    assert state.refused(4, "choose").tolist() == [True, True, False]


def test_a_text_without_label_agrees_where_the_expert_finds_none_right() -> None:
    problem = make_problem(n_labels=4, n_open=4)
    state = State.empty(4)
    step = Step("audit", tuple(Asked(row, (0, 1)) for row in range(4)), draws=(0, 1, 2, 3), nulls=(0, 1))
    said: dict[int, Verdict] = {place: Verdict("k", None) for place in (0, 2)}
    said[1] = Verdict("k", "a")
    tally = state.apply(problem, step, said, 0)
    assert (tally.drawn, tally.agreed, tally.refused) == (3, 1, 2)
    assert state.proposed.tolist()[:3] == [-1, -1, 0]
    assert Step.from_json(step.as_json()) == step
    assert step.only([1, 3]).nulls == (0,)
    old = step.as_json()
    del old["nulls"]
    assert Step.from_json(old).nulls == ()


def test_without_an_expert_looks_alone_speak(tmp_path: Path) -> None:
    problem = mixed()
    settings = replace(settings_of(0.1, calls=0), expert="none")
    outcome, decisions = run(tmp_path, problem, settings)
    counts = count_sources(decisions)
    assert counts["none"] == 0
    assert counts["out_of_scope"] > N_FOREIGN / 2
    assert outcome.foreign is not None
    found = told(problem, settings, outcome.foreign, outcome.state, outcome.drawn)
    assert found["refused"] is None
    # The open texts in scope scatter wider than the labelled ones, so some of those look foreign, too.
    assert 0.1 < found["looks_foreign"] < 0.4
    assert found["rate_at_most"] <= 0.1


def test_too_few_labelled_texts_are_told() -> None:
    problem = make_problem(n_labels=4, n_open=8)
    settings = settings_of(0.05)
    foreign = Watch(problem, settings, FlatHead(C=10.0)).find(State.empty(8))
    assert not foreign.flagged.any()
    found = told(problem, settings, foreign, State.empty(8), Drawn())
    assert "12: nothing is flagged" in found["note"]


def test_the_share_that_the_expert_refuses_has_bounds() -> None:
    assert refused_share(Drawn(), 0.95) is None
    found = refused_share(Drawn(20, 100, 500, 500), 0.95)
    assert found is not None
    assert found["lower"] < found["share"] == 0.1 < found["upper"]
    all_refused = refused_share(Drawn(5, 5, 10, 0), 0.95)
    assert all_refused is not None
    assert all_refused["upper"] == 1.0


def test_texts_without_label_are_grouped_into_proposals(tmp_path: Path) -> None:
    problem = mixed()
    outcome, decisions = run(tmp_path, problem, settings_of(0.1))
    rows = np.flatnonzero(unlabelled(outcome))
    assert (rows >= N_OPEN - N_FOREIGN).mean() > 0.5
    labels = proposed(problem, outcome, decisions)
    assert labels
    ids = {decision.id for decision in decisions}
    assert all(set(label.ids) <= ids and label.size >= 4 for label in labels)
    assert [one["name"] for one in as_additions(labels)["add"]] == [label.name for label in labels]


def test_a_pool_that_is_wholly_labelled_proposes_nothing(tmp_path: Path) -> None:
    problem = mixed(foreign=0)
    outcome, decisions = run(tmp_path, problem, settings_of(calls=0))
    assert not unlabelled(outcome).any()
    assert proposed(problem, outcome, decisions) == ()

"""From an audit's answers to certificates: of all decisions, of groups, of what may be accepted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from problems import make_problem, propose_for

from vermilion.config import Caps, RunSettings
from vermilion.learn.heads import HEADS
from vermilion.red.asking import Desk
from vermilion.red.certifying import Audit, Population, Sample, Terms, audit_rows, certify, label_groups
from vermilion.red.decisions import decide
from vermilion.red.loop import Loop, Outcome
from vermilion.red.problem import Problem
from vermilion.red.progress import Silent
from vermilion.red.proposals import Model
from vermilion.red.state import Asked, State, Step
from vermilion.types import Label, Texts, Verdict
from vermilion.world.experts import OracleExpert
from vermilion.world.store import Store

TERMS = Terms(0.9, 0.95, 0.05)


def audited(
    problem: Problem, state: State, size: int, terms: Terms = TERMS, seed: int = 0, silent: int = 0
) -> Audit:
    """Draw an audit of what the model decided and answer it by gold; the last `silent` texts have no answer."""
    assert problem.gold is not None
    _, proposals = propose_for(problem, state)
    population = Population.of(problem, state, proposals)
    drawn = np.random.default_rng(seed).choice(population.owner, size, replace=False).tolist()
    place = {row: i for i, row in enumerate(dict.fromkeys(drawn))}
    asked = tuple(Asked(row, tuple(proposals.labels[row].tolist())) for row in place)
    step = Step("audit", asked, tuple(place[row] for row in drawn), terms.delta)
    names = [problem.labels[number].name for number in problem.gold]
    answers = {i: Verdict(str(i), names[row]) for row, i in place.items() if i < len(place) - silent}
    state.apply(problem, step, answers, 0)
    return certify(population, Sample.of(population, step, state), problem, terms)


def agreement(problem: Problem, state: State) -> float:
    """Return how often all decisions agree with gold, by rows."""
    _, proposals = propose_for(problem, State.empty(len(problem.open_texts)))
    decided = np.where(state.answers >= 0, state.answers, proposals.labels[:, 0])
    return float(np.average(decided == problem.gold, weights=problem.weights))


def test_the_certificate_speaks_of_all_decisions_once_the_audit_has_put_right_what_it_found() -> None:
    problem = make_problem(n_labels=3, n_open=120, copies=(1, 3, 1))
    state = State.empty(120)
    found = audited(problem, state, 200)
    # All rows were drawn: nothing is left to be guessed.
    assert found.certificate.lower == found.certificate.upper == found.certificate.estimate == 1.0
    assert agreement(problem, state) == 1.0
    assert found.certificate.n == 200


@pytest.mark.parametrize("known", [0, 60])
def test_its_bounds_hold_for_all_decisions_in_their_share_of_audits(known: int) -> None:
    problem = make_problem(seed=3, n_labels=4, n_open=300, copies=(1, 1, 4))
    assert problem.gold is not None
    low = high = 0
    runs = 60
    for seed in range(runs):
        state = State.empty(300)
        state.answers[:known] = problem.gold[:known]
        found = audited(problem, state, 60, seed=seed).certificate
        truth = agreement(problem, state)
        assert found.lower <= found.estimate <= found.upper
        low += found.lower <= truth + 1e-12
        high += found.upper >= truth - 1e-12
    assert min(low, high) >= runs - 8


def test_a_text_without_an_answer_counts_against_it_and_is_not_put_right() -> None:
    problem = make_problem(n_labels=3, n_open=120)
    whole = audited(problem, State.empty(120), 60).certificate
    state = State.empty(120)
    cut = audited(problem, state, 60, silent=20)
    assert cut.certificate.estimate < whole.estimate - 0.1
    assert cut.sample.settled.sum() == 40
    assert not cut.sample.agreed[~cut.sample.settled[cut.sample.drawn]].any()


def test_sources_and_labels_have_certificates_that_hold_at_once() -> None:
    problem = make_problem(seed=1, n_labels=6, n_open=600)
    assert problem.gold is not None
    state = State.empty(600)
    state.answers[:30] = problem.gold[:30]
    state.ruled_out = dict.fromkeys(range(40, 90), (0,))
    state.tries[40:90] = 1
    found = audited(problem, state, 150)
    groups = {group.name: group for group in found.groups}
    assert (groups["verified, corrected"].rows, groups["verified, corrected"].lower) == (30, 1.0)
    assert (groups["auto"].rows, groups["review"].rows) == (520, 50)
    assert groups["auto"].n + groups["review"].n == 150
    assert groups["auto"].method.endswith("Bonferroni over 2 groups")
    labels = [group for group in found.groups if group.kind == "labels"]
    assert len(labels) == 4
    assert sorted(name for group in labels for name in group.labels) == [
        label.name for label in problem.labels
    ]
    assert sum(group.rows for group in labels) == 570
    assert all(group.method.endswith("Bonferroni over 4 groups") for group in labels)
    # Each bound of a family is weaker than it would be alone.
    assert groups["auto"].lower < found.certificate.lower


def test_labels_of_one_parent_are_a_group_where_the_audit_has_answers_enough() -> None:
    labels = [Label("a", parent="x"), Label("b", parent="x"), Label("c", parent="y"), Label("d", parent="z")]
    decided = np.repeat([0, 1, 2, 3], [40, 40, 80, 4])
    group, names = label_groups(labels, decided, np.ones(164), 100)
    assert (group.tolist(), names) == ([0, 0, 1, 2], ["x", "y", "other labels"])
    group, names = label_groups(labels, decided, np.ones(164), 30)
    assert (group.tolist(), names) == ([-1] * 4, [])


def test_every_draw_is_written_down_with_its_chance() -> None:
    problem = make_problem(n_labels=3, n_open=50, copies=(2,))
    state = State.empty(50)
    found = audited(problem, state, 40, silent=3)
    pool = Texts(
        tuple(f"id{row}" for row in range(len(problem.owner))),
        tuple(problem.text(int(place)) for place in problem.owner),
    )
    model, proposals = propose_for(problem, State.empty(50))
    outcome = Outcome(state, model, proposals, (), found.certificate, "", {})
    decisions = decide(problem, outcome, pool)
    rows = list(audit_rows(found, problem, decisions, state))
    assert len(rows) == 40
    assert len({row["id"] for row in rows}) == 40
    assert {row["inclusion_probability"] for row in rows} == {0.4}
    by_id = {decision.id: decision for decision in decisions}
    assert all(row["text"] == by_id[row["id"]].text for row in rows)
    assert {row["answer"] for row in rows} == {None, "a", "b", "c"}


def run(folder: Path, error: float, target: float, calls: int) -> tuple[Problem, Outcome]:
    """Run the loop on an easy problem of 1,200 texts with a simulated expert."""
    problem = make_problem(seed=5, n_labels=5, n_open=1200)
    assert problem.gold is not None
    names = [problem.labels[number].name for number in problem.gold]
    expert = OracleExpert(dict(zip(problem.open_texts, names, strict=True)), error=error)
    settings = RunSettings(expert="oracle:gold.csv", target=target, rounds=4, caps=Caps(max_calls=calls))
    with Store.open(folder / "run.sqlite") as store:
        desk = Desk(expert, store, store.meter(settings.caps), Silent())
        loop = Loop(problem, settings, Model(HEADS["centroid"](), 1.0), desk, desk.meter, calls)
        return problem, loop.run()


def test_below_a_certified_threshold_texts_are_left_to_people() -> None:
    problem = make_problem(seed=1, n_labels=4, n_open=600)
    assert problem.gold is not None
    state = State.empty(600)
    model, proposals = propose_for(problem, state)
    found = audited(problem, state, 200, Terms(0.95, 0.95, 0.05))
    left = found.for_people(0.95)
    assert left is not None
    assert found.certificate.lower < 0.95
    outcome = Outcome(state, model, proposals, (), found.certificate, "", {}, audit=found, for_people=left)
    rows = len(problem.owner)
    decisions = decide(problem, outcome, Texts(tuple(map(str, range(rows))), ("x",) * rows))
    own = [
        place
        for place in range(rows)
        if problem.owner[place] >= 0 and state.answers[problem.owner[place]] < 0
    ]
    accepted = [place for place in own if decisions[place].source == "auto"]
    assert {decisions[place].source for place in own} == {"auto", "review"}
    assert 0 < len(accepted) <= found.acceptance.accepted
    wrong = [
        decisions[place].label != problem.labels[problem.gold[problem.owner[place]]].name
        for place in accepted
    ]
    assert np.mean(wrong) <= 0.05
    # Where all decisions together are certified, none is set apart.
    assert found.for_people(found.certificate.lower) is None


def test_what_cannot_be_certified_yet_moves_nothing_to_review(tmp_path: Path) -> None:
    _, outcome = run(tmp_path, 0.0, 0.999, 200)
    audit = outcome.audit
    assert audit is not None
    assert audit.acceptance.threshold is None
    assert outcome.for_people is None


def test_a_round_has_a_lower_bound_that_may_be_looked_at_each_time(tmp_path: Path) -> None:
    _, outcome = run(tmp_path, 0.1, 1.0, 300)
    bounds = [(record.agreement_lower, record.agreement) for record in outcome.rounds[:-1]]
    assert all(lower is not None and share is not None and 0 <= lower < share for lower, share in bounds)

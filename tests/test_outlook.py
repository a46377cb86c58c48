"""From the rounds of a run to what its next questions will buy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from problems import make_problem, propose_for

from vermilion.config import Caps, RunSettings, Worth
from vermilion.learn.heads import FlatHead
from vermilion.learn.worth import Gain
from vermilion.red.asking import Desk
from vermilion.red.loop import Loop, Outcome
from vermilion.red.outlook import Outlook, not_worth_it
from vermilion.red.progress import Silent
from vermilion.red.proposals import Model, Proposals
from vermilion.red.state import Asked, State, Step, Tally
from vermilion.world.experts import OracleExpert
from vermilion.world.store import Store

PROBLEM = make_problem(n_open=40, copies=(1, 3))
EMPTY = State.empty(40)
_, PROPOSED = propose_for(PROBLEM, EMPTY)
ROUND = Step("round", tuple(Asked(row, tuple(PROPOSED.labels[row].tolist())) for row in range(10)))
TALLY = Tally(asked=10, confirmed=9, corrected=4, drawn=2, agreed=1, cost_usd=0.2)


def looked_twice(then: Proposals = PROPOSED, step: Step = ROUND) -> Outlook:
    """Return an outlook after two fits and the step between them."""
    outlook = Outlook(PROBLEM.weights)
    outlook.look(EMPTY, PROPOSED, None)
    outlook.look(EMPTY, then, (step, TALLY))
    return outlook


def other_labels(rows: slice) -> Proposals:
    """Return proposals that differ from before in these rows."""
    labels = PROPOSED.labels.copy()
    labels[rows] = labels[rows, ::-1]
    return replace(PROPOSED, labels=labels)


def test_a_round_is_remembered_by_what_it_set_right_and_what_it_changed() -> None:
    wrong = float((1 - PROPOSED.proba[:10, 0].astype(float)).sum())
    (past,) = looked_twice(other_labels(slice(8, 13))).past
    # One answer was "none of these"; rows 10, 11 and 12 changed unasked, one of which stands for three.
    assert (past.asked, past.corrected, past.changed) == (10, 3, float(PROBLEM.weights[10:13].sum()))
    assert past.expected == pytest.approx(wrong)
    assert PROBLEM.weights[10:13].tolist() == [1, 3, 1]


def test_an_audit_is_no_round() -> None:
    assert looked_twice(step=replace(ROUND, kind="audit")).past == []


def test_gains_are_points_of_the_pool_for_100_calls_and_for_a_dollar() -> None:
    eligible, score = np.ones(40, dtype=bool), 1 - PROPOSED.gap
    calls, dollar = looked_twice().gains(eligible, score, 5)
    assert calls is not None
    assert dollar is not None
    a_call = 0.2 / 10
    assert dollar.estimate == pytest.approx(calls.estimate / 100 / a_call)
    free = replace(TALLY, cost_usd=0.0)
    outlook = Outlook(PROBLEM.weights)
    outlook.look(EMPTY, PROPOSED, None)
    outlook.look(EMPTY, PROPOSED, (ROUND, free))
    assert outlook.gains(eligible, score, 5) == (calls, None)


def test_nothing_is_said_before_the_first_round_or_with_nothing_to_ask() -> None:
    outlook = Outlook(PROBLEM.weights)
    everything, nothing = np.ones(40, dtype=bool), np.zeros(40, dtype=bool)
    assert outlook.gains(everything, PROPOSED.score, 5) == (None, None)
    outlook.look(EMPTY, PROPOSED, None)
    assert outlook.gains(everything, PROPOSED.score, 5) == (None, None)
    assert looked_twice().gains(nothing, PROPOSED.score, 5) == (None, None)


@pytest.mark.parametrize(
    ("worth", "reason"),
    [
        (None, ""),
        (Worth(0.2), ""),
        (Worth(0.4), "100 more questions"),
        (Worth(5, "dollar"), ""),
        (Worth(7, "dollar"), "a dollar more"),
    ],
)
def test_what_is_not_worth_it_goes_by_the_upper_bound(worth: Worth | None, reason: str) -> None:
    told = not_worth_it(worth, Gain(0.1, 0.05, 0.3), Gain(2.0, 1.0, 6.0))
    assert bool(told) == bool(reason)
    assert reason in told


def outcome_of(folder: Path, **settings: object) -> Outcome:
    """Run a loop over a problem with an oracle that is always right."""
    problem = make_problem(n_open=400)
    gold: Mapping[str, str] = {
        text: problem.labels[label].name
        for text, label in zip(problem.open_texts, np.asarray(problem.gold).tolist(), strict=True)
    }
    wanted = RunSettings(expert="oracle", target=1.0, caps=Caps(max_calls=300), **settings)  # type: ignore[arg-type]
    with Store.open(folder / "run.sqlite") as store:
        desk = Desk(OracleExpert(gold), store, store.meter(Caps()), Silent())
        return Loop(problem, wanted, Model(FlatHead(C=1.0), 1.0), desk, desk.meter, 300).run()


def test_a_run_stops_once_the_next_questions_buy_less_than_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = outcome_of(tmp_path / "a")
    assert whole.rounds[0].gain_per_100_calls is None
    told = [record.gain_per_100_calls for record in whole.rounds[1:]]
    uppers = [gain.upper for gain in told if gain is not None]
    assert len(uppers) == len(told)
    asked = np.sort(uppers)[len(uppers) // 2]
    first = next(place for place, upper in enumerate(uppers, start=1) if upper < asked)
    stopped = outcome_of(tmp_path / "b", worth=Worth(float(asked)))
    assert stopped.stopped.startswith("worth: ")
    assert len(stopped.rounds) == first + 1 < len(whole.rounds)
    assert stopped.certificate is not None

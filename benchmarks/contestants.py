"""Who takes part in the benchmark of cost: Vermilion, its peers, and what is done without either.

A contestant works on a case under given terms and returns its figures: a curve of points, each after so many
questions, and whether it came to its end.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import environments
from benchmarks.peers.contest import Contest
from benchmarks.tasks import Case
from benchmarks.tokens import Counting, Tokens, price_of_all_labels
from vermilion.config import Caps, RunSettings
from vermilion.red.problem import Problem
from vermilion.red.progress import Silent
from vermilion.red.run import Result, Tools, run
from vermilion.types import Expert
from vermilion.world.encoders import load_encoder
from vermilion.world.store import Store

CHUNK = 8192


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every contestant.

    Attributes
    ----------
    share : float
        Of the pool's texts that may be asked.
    rounds : int
        In which they are asked.
    minutes : float
        A peer that has not come to its end by then is stopped; its points so far stay.
    vectors : Path
        Folder of the vector cache.
    """

    share: float
    rounds: int
    minutes: float
    vectors: Path

    def checkpoints(self, pool: int) -> list[int]:
        """Return how many questions are answered after each round, from 0.

        Examples
        --------
        >>> Terms(0.15, 3, 15, Path()).checkpoints(1000)
        [0, 50, 100, 150]
        """
        return [round(self.share * pool * done / self.rounds) for done in range(self.rounds + 1)]


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve; what was not measured there is None."""

    asked: int
    agreement: float
    test_accuracy: float | None = None
    prompt_tokens: float | None = None
    completion_tokens: float | None = None


Figures = dict[str, Any]
Contestant = Callable[[Case, Terms], Figures]


def figures(points: Sequence[Point], seconds: float, *, finished: bool = True, **more: Any) -> Figures:
    """Return what is written down: each column of the curve as a list, and what else is to be told."""
    names = Point.__dataclass_fields__
    curve = {name: [getattr(point, name) for point in points] for name in names}
    return {"curve": curve, "finished": finished, "seconds": round(seconds, 2), **more}


def vermilion(case: Case, terms: Terms, **settings: Any) -> Figures:
    """Let Vermilion run, audit included in its questions; test accuracy is known at its end alone."""
    wanted = RunSettings(
        encoder=case.task.encoder,
        expert="oracle",
        expert_error=case.task.error,
        seed=case.task.seed,
        target=1.0,
        rounds=terms.rounds,
        caps=Caps(max_calls=round(terms.share * len(case.gold))),
        **settings,
    ).checked()
    experts: list[Counting] = []

    def hire(problem: Problem) -> Expert:
        experts.append(Counting(case.expert(), problem.labels))
        return experts[-1]

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "run.sqlite") as store:
        tools = Tools(load_encoder(case.task.encoder), hire, store, terms.vectors, Silent())
        result = run(case.split.job, wanted, tools)
    assert result is not None
    seconds = time.perf_counter() - start
    counting = sum(expert.seconds for expert in experts)
    points = _rounds(result, [each for expert in experts for each in expert.counted], _accuracy(result, case))
    summary = result.summary
    told: Figures = {"head": summary.head, "stopped": summary.stopped, "fit_seconds": summary.seconds["fit"]}
    return figures(points, seconds - counting, **told)


def _rounds(result: Result, counted: Sequence[Tokens], accuracy: float) -> list[Point]:
    """Return a point after each fit, and one at the end, with the last answers that no fit has seen."""
    summary = result.summary
    # A question that came twice was paid for once, so fewer may be counted than were answered.
    prompt = accumulate((each.prompt for each in counted), initial=0.0)
    completion = accumulate((each.completion for each in counted), initial=0.0)
    spent = list(zip(prompt, completion, strict=True))
    # Questions before the first round, where there were any, count from the start.
    before = summary.calls - summary.rounds[-1].calls
    calls = [before, *(before + record.calls for record in summary.rounds[:-1]), summary.calls]
    agreement = [record.gold_agreement or 0.0 for record in summary.rounds]
    agreement.append((summary.gold or {}).get("agreement", agreement[-1]))
    points = {
        asked: Point(asked, at, None, *spent[min(asked, len(counted))])
        for asked, at in zip(calls, agreement, strict=True)
    }
    last = Point(summary.calls, agreement[-1], accuracy, *spent[-1])
    return [*list(points.values())[:-1], last]


def _accuracy(result: Result, case: Case) -> float:
    model = result.ran.outcome.model
    parts = [case.X_test[start : start + CHUNK] for start in range(0, len(case.X_test), CHUNK)]
    predicted = np.concatenate([model.predict_proba(part).argmax(axis=1) for part in parts])
    return float((predicted == case.y_test).mean())


def every_text(case: Case, terms: Terms, *, examples: bool) -> Figures:
    """Ask about every text with all labels offered; nothing is learned. Tokens come from a sample of texts."""
    start = time.perf_counter()
    price, pool = price_of_all_labels(case, examples=examples), len(case.gold)
    agreement = float((case.answers == case.gold).mean())
    points = [Point(pool, agreement, None, round(price.prompt * pool), round(price.completion * pool))]
    return figures(points, time.perf_counter() - start)


def peer(case: Case, terms: Terms, *, environment: str | None, module: str, strategy: str) -> Figures:
    """Run a peer's program in its environment (None: this one). It asks with all labels, without examples."""
    python = environments.make(environment) if environment else Path(sys.executable)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        contest, written = Path(folder) / "contest.npz", Path(folder) / "points.jsonl"
        contest_of(case, terms).save(contest)
        command = [str(python), "-m", f"benchmarks.peers.{module}", str(contest), str(written), strategy]
        error = _within(command, terms.minutes)
        seconds = time.perf_counter() - start
        lines = written.read_text(encoding="utf-8").splitlines() if written.exists() else []
    price = price_of_all_labels(case, examples=False)
    points = [
        Point(
            at["asked"],
            at["agreement"],
            at["test_accuracy"],
            round(price.prompt * at["asked"]),
            round(price.completion * at["asked"]),
        )
        for at in map(json.loads, lines)
    ]
    return figures(points, seconds, finished=not error, **({"why": error} if error else {}))


def _within(command: list[str], minutes: float) -> str:
    """Run a command for so long at most; return why it did not come to its end, or nothing."""
    try:
        subprocess.run(command, check=True, timeout=60 * minutes, cwd=environments.ROOT)
    except subprocess.TimeoutExpired:
        return f"did not finish in {minutes:g} minutes"
    except subprocess.CalledProcessError as error:
        return f"ended with exit status {error.returncode}"
    return ""


def contest_of(case: Case, terms: Terms) -> Contest:
    """Return what a peer is given: arrays alone, and the expert's answer for each text of the pool."""
    problem = case.problem
    return Contest(
        problem.X_given,
        problem.y_given,
        problem.X_open,
        case.gold,
        case.answers,
        case.X_test,
        case.y_test,
        np.array(terms.checkpoints(len(case.gold))),
        case.task.seed,
    )


def _small_text(strategy: str) -> Contestant:
    return partial(peer, environment="small-text", module="small_text_peer", strategy=strategy)


def _skactiveml(strategy: str) -> Contestant:
    return partial(peer, environment="scikit-activeml", module="skactiveml_peer", strategy=strategy)


def _plain(strategy: str) -> Contestant:
    return partial(peer, environment=None, module="plain", strategy=strategy)


CONTESTANTS: dict[str, Contestant] = {
    "Vermilion": vermilion,
    "R.E.D. as first published": partial(
        vermilion, head="subset", uncertainty="entropy", ask="validate", names=False, pool=False
    ),
    "small-text: BreakingTies": _small_text("breaking-ties"),
    "small-text: LeastConfidence": _small_text("least-confidence"),
    "small-text: PredictionEntropy": _small_text("entropy"),
    "scikit-activeml: margin": _skactiveml("margin"),
    "scikit-activeml: TypiClust": _skactiveml("typiclust"),
    "scikit-activeml: BADGE": _skactiveml("badge"),
    "random": _plain("random"),
    "self-training": _plain("self-training"),
    "every text": partial(every_text, examples=True),
    "every text, no examples": partial(every_text, examples=False),
}

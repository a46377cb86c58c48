"""A run that is killed ten times, or thirty, ends as one that never was, and nobody is asked twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from e2e.command import Data, Run
from vermilion.world.store import Store

OPTIONS = ("--expert-error", "0.25", "--target", "1", "--max-calls", "110", "--uncertainty", "committee")
INTERRUPTED = 130
# Where the hardest moments are: a step is being asked, a round is over, results are being written.
MARKS: tuple[tuple[str, int], ...] = (
    *(
        ("encoding labelled", 1),
        ("encoding pool", 1),
        ("asking", 1),
        ("round", 1),
        ("asking", 2),
        ("round", 2),
    ),
    *(("round", 2), ("round", 3), ("writing", 1), ("writing", 1), ("writing", 1), ("round", 4)),
)
SWEEP = 30 - len(MARKS)
# Where there is less time: each mark once, and fewer moments between.
QUICK_MARKS: tuple[tuple[str, int], ...] = (
    *(("encoding labelled", 1), ("encoding pool", 1), ("asking", 1)),
    *(("round", 1), ("round", 2), ("writing", 1)),
)
QUICK_SWEEP = 4


class Forks:
    """The helper process of forks.py."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self._process, self.errors = process, errors

    def __call__(
        self,
        argv: list[str],
        after: float | None = None,
        since: tuple[str, int] | None = None,
        kind: int = signal.SIGKILL,
    ) -> Any:
        """Run the command; kill it so many seconds after a mark, or after its start. Return how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"argv": argv, "after": after, "since": since, "signal": kind}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def forking(folder: Path) -> Iterator[Forks]:
    """Start the helper."""
    errors = folder / "stderr.txt"
    with errors.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forks.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        with process:
            yield Forks(process, errors)


def moments(
    seconds: float, sweep: int, marks: Sequence[tuple[str, int]]
) -> Iterator[tuple[float, tuple[str, int] | None]]:
    """Yield when to kill: a sweep over a whole run, then just after certain marks; each a little at random."""
    rng = np.random.default_rng(20)
    for place in range(sweep):
        yield seconds * (place + rng.uniform()) / sweep, None
    for mark in marks:
        yield float(rng.uniform(0, 0.03)), mark


def test_killed_run_ends_as_one_that_never_was(data: Data, tmp_path: Path, thorough: bool) -> None:
    sweep, marks = (SWEEP, MARKS) if thorough else (QUICK_SWEEP, QUICK_MARKS)
    whole, broken = Run(data, tmp_path / "whole"), Run(data, tmp_path / "broken")
    seen = Counter[str]()
    with forking(tmp_path) as forks:
        clean = forks(whole.argv(*OPTIONS))
        assert clean["code"] in (0, 3)
        for place, (after, since) in enumerate(moments(clean["seconds"], sweep, marks)):
            kind = signal.SIGINT if place % 5 == 4 else signal.SIGKILL
            ended = forks(broken.argv(*OPTIONS), after, since, kind)
            if ended["code"] == clean["code"]:  # It was done before its time: once more, early.
                ended = forks(broken.argv(*OPTIONS), 0.01, ("encoding pool", 1), kind)
            assert ended["code"] in (-kind, INTERRUPTED), forks.errors.read_text()
            seen[ended["mark"]] += 1
        assert forks(broken.argv(*OPTIONS))["code"] == clean["code"]
        said = forks.errors.read_text()

    assert seen.total() == sweep + len(marks)
    assert {"starting", "round", "writing"} <= seen.keys(), seen
    assert "Traceback" not in said
    assert_same(whole, broken)


def assert_same(whole: Run, broken: Run) -> None:
    """Check decisions byte for byte, that each question was asked once, and that no scraps are left."""
    decisions = [(run.folder / "decisions.jsonl").read_bytes() for run in (whole, broken)]
    assert decisions[0] == decisions[1]
    assert broken.summary["calls"] == whole.summary["calls"]
    with Store.open(broken.folder / "run.sqlite") as store:
        assert store.count_verdicts() == store.spent().calls == whole.summary["calls"]
    assert broken.summary["certificate"] == whole.summary["certificate"]


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_says_so_and_goes_on(data: Data, tmp_path: Path, kind: int) -> None:
    run = Run(data, tmp_path / "out")
    with forking(tmp_path) as forks:
        ended = forks(run.argv(*OPTIONS), 0.02, ("encoding pool", 1), kind)
        said = forks.errors.read_text()
        assert forks(run.argv(*OPTIONS))["code"] in (0, 3)
    assert ended["code"] in (INTERRUPTED, -kind)
    if kind == signal.SIGINT:
        assert said.count("\n") == 1
        assert "the same command goes on" in said

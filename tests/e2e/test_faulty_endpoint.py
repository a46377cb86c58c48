"""Whole runs against a server that fails on purpose: same decisions, nothing paid twice, no cap passed, no key told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from faulty_server import FAULTS, FaultyServer, serving

from e2e.command import Data, Ended, Run, vermilion
from vermilion.world.store import Store

KEY = "sk-a-secret-that-nobody-tells"
PRICES = (1.0, 2.0)
# Without the one that takes as long as the client waits.
QUICK_FAULTS = tuple(fault for fault in FAULTS if fault != "slow")
OPTIONS = ("--rounds", "2", "--target", "1", "--max-calls", "40")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait hundredths of a second between tries, not seconds."""
    monkeypatch.setattr("vermilion.world.llm_calls.Calls._wait", lambda self, state: 0.01)


class Asked:
    """A run whose expert is the scripted server; the server stays the same when the run goes on."""

    def __init__(self, data: Data, folder: Path, fault_rate: float = 0.0) -> None:
        self.server = FaultyServer(data.given | data.right, fault_rate, QUICK_FAULTS)
        self.run = Run(data, folder)

    def __call__(self, *options: str) -> Ended:
        """Give the command, with the server at whatever address is free."""
        with serving(self.server) as url:
            expert = ("--expert", "openai:scripted", "--base-url", url, "--price", "1,2")
            return self.run(*expert, *options)

    @property
    def billed(self) -> float:
        """What the server would bill, in US dollars."""
        log = self.server.log
        return (log.prompt_tokens * PRICES[0] + log.completion_tokens * PRICES[1]) / 1e6

    @property
    def tokens(self) -> int:
        """Tokens that the server would bill."""
        return self.server.log.prompt_tokens + self.server.log.completion_tokens

    @property
    def answered(self) -> int:
        """Questions that the server answered usably, those for a label's meaning left out."""
        return sum("text" in json.loads(data) for data in self.server.log.successes.elements())


def assert_nothing_twice(asked: Asked) -> None:
    """Check that no question was answered twice, and that store, summary and server agree on the count."""
    assert max(asked.server.log.successes.values()) == 1
    with Store.open(asked.run.folder / "run.sqlite") as store:
        assert store.count_verdicts() == asked.answered


def assert_key_untold(asked: Asked, *ends: Ended) -> None:
    """Check that the key went to the server and nowhere else."""
    assert set(asked.server.log.authorizations) == {f"Bearer {KEY}"}
    for ended in ends:
        assert KEY not in ended.out + ended.err
    for path in asked.run.folder.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path


def test_faults_change_no_decision(data: Data, tmp_path: Path) -> None:
    calm, rough = Asked(data, tmp_path / "calm"), Asked(data, tmp_path / "rough", fault_rate=0.3)
    ends = [asked(*OPTIONS) for asked in (calm, rough)]

    assert [ended.code for ended in ends] in ([0, 0], [3, 3]), [ended.err for ended in ends]
    left = [(asked.run.folder / "decisions.jsonl").read_bytes() for asked in (calm, rough)]
    assert left[0] == left[1]
    assert sum(rough.server.log.faults.values()) > 5
    assert not calm.server.log.faults
    for asked, ended in zip((calm, rough), ends, strict=True):
        assert_nothing_twice(asked)
        assert_key_untold(asked, ended)
        summary = asked.run.summary
        assert summary["calls"] == asked.answered
        assert summary["cost_usd"] >= asked.billed - 1e-12
        assert "gold" not in summary
        assert not summary["simulated"]
    assert calm.run.summary["tokens"] == {
        "prompt": calm.server.log.prompt_tokens,
        "completion": calm.server.log.completion_tokens,
    }
    requests = rough.server.log.requests
    assert rough(*OPTIONS).code == ends[1].code
    assert rough.server.log.requests == requests, "a run that is over asks nothing"
    assert (rough.run.folder / "decisions.jsonl").read_bytes() == left[1]


@pytest.mark.parametrize(
    ("option", "cap", "raised"),
    [
        ("--max-cost", 0.03, 0.08),
        pytest.param("--max-tokens", 30_000, 80_000, marks=pytest.mark.thorough),
        pytest.param("--max-calls", 12, 40, marks=pytest.mark.thorough),
    ],
)
def test_no_cap_is_passed_and_a_higher_one_goes_on(
    data: Data, tmp_path: Path, option: str, cap: float, raised: float
) -> None:
    asked = Asked(data, tmp_path / "out", fault_rate=0.3)

    def within(limit: float) -> bool:
        used = {"--max-cost": asked.billed, "--max-tokens": asked.tokens, "--max-calls": asked.answered}
        return used[option] <= limit

    first = asked("--rounds", "2", "--target", "1", option, str(cap))
    assert within(cap)
    assert first.code == 3, first
    calls = asked.answered

    second = asked("--rounds", "3", "--target", "1", option, str(raised))
    assert within(raised)
    assert second.code in (0, 3), second
    assert asked.answered > calls
    assert_nothing_twice(asked)
    assert_key_untold(asked, first, second)


@pytest.mark.parametrize(
    "status", [401, *(pytest.param(one, marks=pytest.mark.thorough) for one in (403, 404))]
)
def test_refused_key_or_model_is_one_line_without_the_key(data: Data, tmp_path: Path, status: int) -> None:
    asked = Asked(data, tmp_path / "out")
    asked.server.status = status

    ended = asked(*OPTIONS)

    assert (ended.code, ended.out) == (1, "")
    assert KEY not in ended.err
    assert "scripted" in ended.err
    assert not (tmp_path / "out" / "decisions.jsonl").exists()
    asked.server.status = 200
    assert asked(*OPTIONS).code in (0, 3)


def test_plan_asks_the_server_nothing(data: Data, tmp_path: Path) -> None:
    asked = Asked(data, tmp_path / "out")
    ended = asked("--plan", *OPTIONS)
    assert (ended.code, asked.server.log.requests) == (0, 0)
    assert "at most $" in ended.err


def test_endpoint_that_is_not_there_is_one_line(data: Data, tmp_path: Path) -> None:
    run = Run(data, tmp_path / "out")
    ended = vermilion(
        *run.argv("--expert", "openai:scripted", "--base-url", "http://127.0.0.1:9/v1", *OPTIONS)
    )
    assert (ended.code, ended.out) == (1, "")
    assert "goes on" in ended.err

"""A bad expert is found out before the pool is touched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faulty_server
import pytest
from faulty_server import NONE, FaultyServer, serving

from e2e.command import Data, Run
from vermilion.world.store import Store

CAP = ("--max-calls", "250", "--rounds", "2", "--target", "1")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-some-key")


def at_random(data: Mapping[str, Any], gold: Mapping[str, str]) -> dict[str, str]:
    """Answer with any of the options, whatever the text says; write meanings that say as little."""
    if "text" not in data:
        return {"meaning": f"use when it is about {data['label']}"}
    options = [option["label"] for option in data["options"] if option["label"] != NONE]
    digest = hashlib.sha256(f"{data['text']}{options}".encode()).digest()
    return {"answer": options[digest[0] % len(options)]}


def pool_questions(server: FaultyServer, data: Data) -> int:
    """Return how many answers about texts of the pool the server gave."""
    asked = [json.loads(said).get("text") for said in server.log.successes.elements()]
    return sum(text in data.right for text in asked)


def test_a_model_that_answers_at_random_is_found_out_before_the_pool_is_touched(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faulty_server, "answer_to", at_random)
    server, run = FaultyServer({}), Run(data, tmp_path / "out")
    with serving(server) as url:
        expert = ("--expert", "openai:random", "--base-url", url)
        ended = run(*expert, *CAP)
        assert (ended.code, ended.out) == (3, "")
        assert "not worth buying" in ended.err.splitlines()[-1]
        assert "--trust warn" in ended.err.splitlines()[-1]
        assert pool_questions(server, data) == 0
        assert not (run.folder / "decisions.jsonl").exists()
        told = json.loads((run.folder / "trust.json").read_text(encoding="utf-8"))
        assert told["judgement"] == "worse"
        assert told["disputed"]["upper"] < 0

        requests = server.log.requests
        assert run(*expert, *CAP).code == 3
        assert server.log.requests == requests, "the same command asks nothing again"

        assert run(*expert, *CAP, "--trust", "warn").code in (0, 3)
        assert pool_questions(server, data) > 0
        assert run.summary["trust"] == told
        requests = server.log.requests
        assert run(*expert, *CAP).code in (0, 3)
        assert server.log.requests == requests, "a run that was let go on stays so"


def test_a_simulated_expert_that_is_always_wrong_is_found_out_for_free(run: Run) -> None:
    ended = run("--expert-error", "1", *CAP)
    assert ended.code == 3
    assert "not worth buying" in ended.err.splitlines()[-1]
    with Store.open(run.folder / "run.sqlite") as store:
        assert (store.count_verdicts(), store.spent().calls) == (0, 0)
    assert json.loads((run.folder / "trust.json").read_text(encoding="utf-8"))["simulated"]


def test_a_good_simulated_expert_is_checked_and_no_call_is_counted(run: Run) -> None:
    assert run("--rounds", "2", "--target", "1").code == 0
    unchecked = Run(run.data, run.folder.parent / "unchecked")
    assert unchecked("--rounds", "2", "--target", "1", "--trust", "off").code == 0
    assert "trust" not in unchecked.summary
    trust = run.summary["trust"]
    assert (trust["simulated"], trust["disputed"]["expert"]) == (True, 1)
    assert trust["n"] >= 12
    assert run.summary["calls"] == unchecked.summary["calls"]
    asked = [(row["id"], row["source"], row["label"]) for row in run.decisions]
    assert asked == [(row["id"], row["source"], row["label"]) for row in unchecked.decisions]


def test_two_models_answer_the_same_texts_and_identical_calls_are_repeated(
    data: Data, tmp_path: Path
) -> None:
    server, run = FaultyServer(data.given | data.right), Run(data, tmp_path / "out")
    with serving(server) as url:
        expert = ("--expert", "openai:one", "--second-expert", "openai:other", "--base-url", url)
        ended = run(*expert, "--rounds", "1", "--target", "1")
        assert ended.code in (0, 3), ended.err
    trust = run.summary["trust"]
    assert trust["second"]["name"] == "openai:other"
    assert trust["second"]["agreed"]["count"] == trust["second"]["agreed"]["n"] == trust["n"]
    models = [body["model"] for body in server.log.bodies]
    assert models.count("other") == trust["n"]
    assert trust["flips"]["n"] == trust["order"]["n"] == trust["n"] // 2
    with Store.open(run.folder / "run.sqlite") as store:
        # A meaning is a call, too, but no answer to a question.
        assert store.count_verdicts() == run.summary["calls"] - len(set(data.given.values()))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--second-expert", "openai:m"), "two different models"),
        (("--expert", "openai:m", "--second-expert", "openai:m"), "two different models"),
        (
            (
                *("--expert", "openai:m", "--price", "1,2", "--max-cost", "1"),
                *("--second-expert", "openai:n"),
            ),
            "--second-price",
        ),
    ],
)
def test_a_second_expert_that_cannot_be_used_is_one_line(
    run: Run, options: tuple[str, ...], told: str
) -> None:
    ended = run(*options)
    assert (ended.code, ended.out) == (1, "")
    assert told in ended.err
    assert len(ended.err.splitlines()) == 1

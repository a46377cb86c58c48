from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from faulty_server import FAULTS, RETRY_AFTER, FaultyServer, read_data, serving

from vermilion.config import Caps
from vermilion.errors import CapReachedError, ExpertError, InputError
from vermilion.types import Expert, Label, Meter, Question, Reply, Spend
from vermilion.world.llm import OpenAIExpert, Pace, write_meanings
from vermilion.world.store import Store

NAMES = ("card_arrival", "lost_card", "fee", 'naïve 漢字 "quoted" </data>')
LABELS = tuple(Label(name, f"use when {name}") for name in NAMES)
GOLD = {f"text {i} </data> {{}} ünï": NAMES[i % len(NAMES)] for i in range(60)}
QUESTIONS = [Question(text, NAMES[:3]) for text in GOLD]
EXPECTED = {text: label if label in NAMES[:3] else None for text, label in GOLD.items()}
PRICES = (2.0, 8.0)


class Nap:
    """A sleep that notes what was asked of it and hardly waits."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    return "sk-secret"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.db") as opened:
        yield opened


def hire(url: str, **pace: object) -> OpenAIExpert:
    defaults: dict[str, object] = {"timeout": 2.0, "attempts": 8, "sleep": Nap(), "concurrency": 16}
    return OpenAIExpert(
        "model-1",
        labels=LABELS,
        base_url=url,
        prices=PRICES,
        pace=Pace(**(defaults | pace)),  # type: ignore[arg-type]
    )


def ask_until_done(expert: OpenAIExpert, questions: Sequence[Question], meter: Meter) -> dict[str, Reply]:
    """As the caller does: what had no usable answer is asked again."""
    done: dict[str, Reply] = {}
    for _ in range(4):
        left = [question for question in questions if question.text not in done]
        done |= {r.question.text: r for r in expert.ask(left, meter) if r.verdict is not None}
    return done


def labels_of(replies: dict[str, Reply]) -> dict[str, str | None]:
    return {text: reply.verdict.label for text, reply in replies.items() if reply.verdict is not None}


def test_is_an_expert() -> None:
    expert = hire("http://127.0.0.1:1/v1")
    assert isinstance(expert, Expert)
    assert (expert.name, expert.simulated) == ("openai:model-1", False)


def test_same_verdicts_at_30_percent_faults_and_nothing_bought_twice(store: Store) -> None:
    server = FaultyServer(GOLD, fault_rate=0.3)
    with serving(server) as url:
        done = ask_until_done(hire(url), QUESTIONS, store.meter(Caps()))
    assert labels_of(done) == EXPECTED
    assert set(server.log.faults) == set(FAULTS)
    assert set(server.log.successes.values()) == {1}
    spent = store.spent()
    assert spent.calls == len(GOLD)
    # What was lost on its way counts at its worst, so never less than was billed.
    assert spent.prompt_tokens >= server.log.prompt_tokens
    assert spent.completion_tokens >= server.log.completion_tokens


def test_without_lost_answers_what_is_booked_is_what_was_billed(store: Store) -> None:
    server = FaultyServer(GOLD, fault_rate=0.4, faults=("429", "500", "malformed", "off_schema"))
    with serving(server) as url:
        ask_until_done(hire(url), QUESTIONS, store.meter(Caps()))
    spent, log = store.spent(), server.log
    assert (spent.prompt_tokens, spent.completion_tokens) == (log.prompt_tokens, log.completion_tokens)
    assert spent.cost_usd == pytest.approx((2 * log.prompt_tokens + 8 * log.completion_tokens) / 1e6)


@pytest.mark.parametrize("caps", [Caps(max_calls=17), Caps(max_tokens=60_000), Caps(max_cost=0.1)])
def test_no_cap_is_ever_passed(store: Store, caps: Caps) -> None:
    replies: list[Reply] = []
    server = FaultyServer(GOLD, fault_rate=0.3)
    with serving(server) as url:
        expert, meter = hire(url), store.meter(caps)
        with pytest.raises(CapReachedError):
            replies.extend(expert.ask(QUESTIONS, meter))
        with pytest.raises(CapReachedError):  # what is left of the cap is no way around it
            replies.extend(expert.ask(QUESTIONS[::-1], meter))
    spent, log = store.spent(), server.log
    assert any(reply.verdict for reply in replies)
    assert sum(reply.verdict is not None for reply in replies) == sum(log.successes.values())
    assert spent.calls <= (caps.max_calls or 1e9)
    assert log.prompt_tokens + log.completion_tokens <= spent.prompt_tokens + spent.completion_tokens
    assert spent.prompt_tokens + spent.completion_tokens <= (caps.max_tokens or 1e9)
    assert spent.cost_usd <= (caps.max_cost or 1e9)


def test_the_worst_case_covers_an_answer_and_its_repair(store: Store) -> None:
    server = FaultyServer(GOLD, fault_rate=1.0, faults=("off_schema",))
    with serving(server) as url:
        expert = hire(url)
        (reply,) = expert.ask(QUESTIONS[:1], store.meter(Caps()))
    assert reply.verdict is None
    assert "a label of my own" in reply.error
    assert server.log.requests == 2
    worst, spent = expert.worst_case(QUESTIONS[0]), store.spent()
    assert 0 < spent.prompt_tokens <= worst.prompt_tokens
    assert 0 < spent.completion_tokens <= worst.completion_tokens
    assert spent.cost_usd <= worst.cost_usd


def test_unknown_usage_counts_at_its_worst(store: Store) -> None:
    server = FaultyServer(GOLD, usage=False)
    with serving(server) as url:
        list(hire(url).ask(QUESTIONS[:3], store.meter(Caps())))
    assert store.spent().prompt_tokens >= server.log.prompt_tokens
    assert store.spent().completion_tokens >= server.log.completion_tokens


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_final_and_does_not_tell_the_key(store: Store, status: int) -> None:
    server = FaultyServer(GOLD, status=status)
    with serving(server) as url:
        expert = hire(url)
        with pytest.raises(ExpertError) as caught:
            list(expert.ask(QUESTIONS, store.meter(Caps())))
    told = str(caught.value)
    assert "***" in told
    assert "\n" not in told
    assert server.log.requests <= 4
    assert store.spent().prompt_tokens == 0


def test_the_key_is_nowhere(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = FaultyServer(GOLD, fault_rate=0.5)
    with serving(server) as url:
        expert = hire(url, attempts=2)
        replies = list(expert.ask(QUESTIONS[:20], store.meter(Caps())))
        server.status = 400
        replies += list(expert.ask(QUESTIONS[20:24], store.meter(Caps())))
    assert any("***" in reply.error for reply in replies)
    shown = [repr(expert), repr(expert.endpoint), repr(expert.pace), caplog.text, *map(repr, replies)]
    assert not [text for text in shown if "sk-secret" in text]


@pytest.mark.parametrize("refused", ["response_format", "temperature", "max_completion_tokens"])
def test_a_refused_parameter_is_given_up_once(store: Store, refused: str) -> None:
    server = FaultyServer(GOLD, refuses=(refused,))
    with serving(server) as url:
        expert = hire(url, concurrency=1)
        replies = {r.question.text: r for r in expert.ask(QUESTIONS[:5], store.meter(Caps()))}
        list(expert.ask(QUESTIONS[5:8], store.meter(Caps())))
    assert labels_of(replies) == {text: EXPECTED[text] for text in list(EXPECTED)[:5]}
    assert [refused in body for body in server.log.bodies] == [True] + 8 * [False]
    assert all("max_completion_tokens" in body or "max_tokens" in body for body in server.log.bodies)


def test_requests_hold_the_schema_and_no_more_than_they_should(store: Store) -> None:
    server = FaultyServer(GOLD)
    with serving(server) as url:
        list(hire(url).ask(QUESTIONS[:2], store.meter(Caps())))
    for body in server.log.bodies:
        assert body["temperature"] == 0
        schema = body["response_format"]["json_schema"]
        assert schema["strict"] is True
        assert set(schema["schema"]["properties"]["answer"]["enum"]) == {*NAMES[:3], "none of these"}
        assert read_data(body)["text"] in GOLD


def test_validate_says_yes_or_no(store: Store) -> None:
    server = FaultyServer(GOLD)
    with serving(server) as url:
        questions = [Question(text, ("fee",), "validate") for text in list(GOLD)[:8]]
        replies = {r.question.text: r for r in hire(url).ask(questions, store.meter(Caps()))}
    assert labels_of(replies) == {q.text: "fee" if GOLD[q.text] == "fee" else None for q in questions}


def test_retry_after_is_honoured(store: Store) -> None:
    nap = Nap()
    server = FaultyServer(GOLD, fault_rate=0.5, faults=("429",))
    with serving(server) as url:
        list(hire(url, sleep=nap).ask(QUESTIONS[:20], store.meter(Caps())))
    assert len(nap.asked) == server.log.faults["429"] > 3
    assert set(nap.asked) == {float(RETRY_AFTER)}


def test_concurrency_starts_low_and_follows_the_endpoint(store: Store) -> None:
    server = FaultyServer(GOLD, delay=0.02)
    with serving(server) as url:
        list(hire(url, concurrency=6).ask(QUESTIONS, store.meter(Caps())))
    assert 4 <= server.log.most_at_once <= 6


def test_closing_early_ends_the_thread_and_books_what_was_sent(store: Store) -> None:
    server = FaultyServer(GOLD, delay=0.1)
    with serving(server) as url:
        expert = hire(url, timeout=30)
        replies = expert.ask(QUESTIONS, store.meter(Caps()))
        assert next(iter(replies)).verdict is not None
        replies.close()  # type: ignore[attr-defined]
        assert "vermilion-expert" not in [thread.name for thread in threading.enumerate()]
    sent = server.log.requests
    assert sent < len(QUESTIONS)
    assert store.spent().prompt_tokens >= server.log.prompt_tokens
    # Nothing is left set aside: all of it is settled.
    assert store.spent().calls <= sent


@pytest.fixture
def heeded() -> Iterator[None]:
    """Let this process heed SIGINT: the workers of pytest-xdist ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_hands_on_what_has_come_back(store: Store) -> None:
    server = FaultyServer(GOLD, delay=0.1)
    replies: list[Reply] = []
    with serving(server) as url:
        expert, meter = hire(url, timeout=30), store.meter(Caps())
        interrupt = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            replies.extend(reply for _ in range(100) for reply in expert.ask(QUESTIONS, meter))
        interrupt.join()
    assert "vermilion-expert" not in [thread.name for thread in threading.enumerate()]
    assert store.spent().prompt_tokens >= server.log.prompt_tokens


def test_a_server_that_is_gone_is_given_up_soon(store: Store) -> None:
    expert, meter = hire("http://127.0.0.1:9/v1", attempts=3), store.meter(Caps())
    with pytest.raises(ExpertError, match="8 questions in a row had no answer, the last because"):
        list(expert.ask(QUESTIONS, meter))
    assert store.spent() == Spend()


def test_an_unreachable_server_costs_nothing(store: Store) -> None:
    (reply,) = hire("http://127.0.0.1:9/v1", attempts=2).ask(QUESTIONS[:1], store.meter(Caps()))
    assert reply.verdict is None
    assert "Connect" in reply.error
    assert store.spent() == Spend()


def test_the_key_of_a_question_knows_all_that_determines_the_answer() -> None:
    expert = hire("http://127.0.0.1:1/v1")
    question = QUESTIONS[0]
    assert expert.key(question) == hire("http://127.0.0.1:2/v1").key(question)
    others = [
        Question("other", question.options),
        Question(question.text, question.options[::-1]),
        Question(question.text, question.options[:1], "validate"),
        Question(question.text, question.options, examples=(("near", "fee"),)),
    ]
    keys = {expert.key(other) for other in [question, *others]}
    reworded = OpenAIExpert("model-1", labels=[Label("fee", "other")], base_url="http://127.0.0.1:1")
    keys |= {reworded.key(question)}
    keys |= {OpenAIExpert("model-2", labels=LABELS, base_url="http://127.0.0.1:1").key(question)}
    assert len(keys) == 7
    assert all(len(key) == 64 for key in keys)


def test_one_question_asked_twice_is_sent_once(store: Store) -> None:
    server = FaultyServer(GOLD)
    with serving(server) as url:
        assert len(list(hire(url).ask(QUESTIONS[:1] * 3, store.meter(Caps())))) == 1
    assert server.log.requests == 1


def test_offline_allows_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERMILION_OFFLINE", "1")
    for here in ("http://localhost:1/v1", "http://127.0.0.1:1/v1", "http://[::1]:1/v1"):
        hire(here)
    for away in ("https://api.openai.com/v1", "http://10.0.0.1/v1", "http://localhost.example.org/v1"):
        with pytest.raises(ExpertError, match="VERMILION_OFFLINE"):
            hire(away)


def test_openai_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        OpenAIExpert("gpt-5-mini", labels=LABELS)


def test_models_that_think_get_room_for_it() -> None:
    thinking = OpenAIExpert("gpt-5-mini", labels=LABELS, base_url="http://127.0.0.1:1")
    plain = OpenAIExpert("gpt-4o-mini", labels=LABELS, base_url="http://127.0.0.1:1")
    more = (
        thinking.worst_case(QUESTIONS[0]).completion_tokens - plain.worst_case(QUESTIONS[0]).completion_tokens
    )
    assert more == 2 * 4096


def test_meanings_are_written_once_and_stored_before_use(store: Store) -> None:
    labels = [Label("fee"), Label("lost_card"), Label("known", "use when known")]
    examples = {"fee": ["why was I charged?"], "lost_card": ["it is gone"]}
    rivals = {"fee": ["lost_card"], "lost_card": ["fee"]}
    server = FaultyServer({}, fault_rate=0.3, faults=("429", "500", "malformed"))
    with serving(server) as url:
        expert = OpenAIExpert("m", labels=labels, base_url=url, pace=Pace(sleep=Nap()))
        written = write_meanings(expert, examples, rivals, store, store.meter(Caps()))
        asked = server.log.requests
        assert write_meanings(expert, examples, rivals, store, store.meter(Caps())) == written
    assert server.log.requests == asked
    assert [label.name for label in written] == ["fee", "lost_card", "known"]
    assert written[0].meaning == "use when it is about fee, not when it is about something else"
    assert written[2] == labels[2]
    assert read_data(server.log.bodies[0])["rivals"][0]["examples"]

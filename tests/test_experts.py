"""Oracle, person and nobody; each on a real store."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from vermilion.config import Caps
from vermilion.errors import CapReachedError, ExpertError, InputError, PausedError, VermilionError
from vermilion.types import Expert, Label, Meter, Question, Spend, Texts
from vermilion.world.experts import (
    NoExpert,
    OracleExpert,
    Setup,
    gold_for,
    load_expert,
    parse_spec,
    read_gold,
)
from vermilion.world.human import HumanExpert
from vermilion.world.store import Store

LABELS = ("arrival", "fee", "loss", "pin", "top-up")
GOLD = {f"text {i}": LABELS[i % 5] for i in range(3_000)}
RIVALS = {"arrival": ("loss", "pin", "fee", "top-up"), "loss": ("arrival",)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run.sqlite") as opened:
        yield opened


def ask(
    expert: Expert, questions: Sequence[Question], store: Store, caps: Caps | None = None
) -> dict[str, str | None]:
    meter = store.meter(caps or Caps())
    return {r.question.text: r.verdict.label for r in expert.ask(questions, meter) if r.verdict}


def ask_until(
    error: type[VermilionError], match: str, expert: Expert, questions: Sequence[Question], meter: Meter
) -> dict[str, str | None]:
    """Ask; return what is answered before the error, which must come."""
    found: dict[str, str | None] = {}
    replies = expert.ask(questions, meter)
    with pytest.raises(error, match=match):
        found.update((r.question.text, r.verdict.label) for r in replies if r.verdict)
    return found


def check_expert(expert: Expert, questions: Sequence[Question], store: Store) -> None:
    """Check keys, the worst case, and that all questions come back once, with an option or None."""
    assert isinstance(expert, Expert)
    keys = [expert.key(question) for question in questions]
    assert keys == [expert.key(question) for question in questions]
    assert len(set(keys)) == len(questions)
    replies = list(expert.ask(questions, store.meter(Caps())))
    assert sorted(reply.key for reply in replies) == sorted(keys)
    for reply in replies:
        assert reply.verdict is not None
        assert reply.verdict.key == reply.key == expert.key(reply.question)
        assert reply.verdict.label is None or reply.verdict.label in reply.question.options
        assert reply.verdict.spend.calls == 1 == expert.worst_case(reply.question).calls
    assert store.spent() == Spend(len(questions))


QUESTIONS = [
    Question("text 0", ("fee", "arrival")),
    Question("text 0", ("fee", "pin")),
    Question("text 0", ("arrival",), "validate"),
    Question("text 1", ("arrival",), "validate"),
]


def test_the_oracle_is_an_expert(store: Store) -> None:
    check_expert(OracleExpert(GOLD, error=0.5), QUESTIONS, store)


def test_an_oracle_without_errors_is_right() -> None:
    answers = [OracleExpert(GOLD).answer(question) for question in QUESTIONS]
    assert answers == ["arrival", None, "arrival", None]


def test_an_oracle_errs_on_its_share_of_texts_whatever_it_is_asked() -> None:
    oracle = OracleExpert(GOLD, error=0.1, seed=1)
    wrong = {text for text, label in GOLD.items() if oracle.answer(Question(text, LABELS)) != label}
    assert 0.08 < len(wrong) / len(GOLD) < 0.12
    backwards = {t for t in reversed(GOLD) if oracle.answer(Question(t, LABELS[::-1])) != GOLD[t]}
    flipped = {t for t, label in GOLD.items() if oracle.answer(Question(t, (label,), "validate")) is None}
    missed = {
        t for t in GOLD if oracle.answer(Question(t, tuple(x for x in LABELS if x != GOLD[t]))) is not None
    }
    assert wrong == backwards == flipped == missed
    other = OracleExpert(GOLD, error=0.1, seed=2)
    assert {t for t, label in GOLD.items() if other.answer(Question(t, LABELS)) != label} != wrong


def test_an_oracle_errs_as_a_person_would() -> None:
    oracle = OracleExpert(GOLD, error=1.0, rivals=RIVALS)
    assert oracle.answer(Question("text 0", LABELS)) == "loss"
    assert oracle.answer(Question("text 0", ("fee", "arrival", "pin"))) == "pin"
    assert oracle.answer(Question("text 0", ("arrival",))) is None
    assert oracle.answer(Question("text 2", ("loss", "pin", "fee"))) in ("pin", "fee")
    assert oracle.answer(Question("text 1", ("arrival",), "validate")) == "arrival"


def test_the_key_of_an_oracle_changes_with_the_answer() -> None:
    question = QUESTIONS[0]
    keys = {
        OracleExpert(GOLD).key(question),
        OracleExpert(GOLD, error=0.2).key(question),
        OracleExpert(GOLD, seed=3).key(question),
        OracleExpert(GOLD | {"text 0": "fee"}).key(question),
    }
    assert len(keys) == 4


def test_an_oracle_keeps_a_cap_and_goes_on_later(store: Store) -> None:
    oracle, questions = OracleExpert(GOLD), [Question(text, LABELS) for text in GOLD]
    meter = store.meter(Caps(max_calls=1_000))
    seen = ask_until(CapReachedError, "--max-calls 1,000", oracle, questions, meter)
    assert list(seen) == list(GOLD)[:1_000]
    assert len(ask(oracle, questions, store, Caps(max_calls=3_000))) == 3_000
    assert store.spent() == Spend(3_000)


def test_an_oracle_refuses_a_text_that_it_does_not_know(store: Store) -> None:
    with pytest.raises(ExpertError, match="no gold label for 'unknown'"):
        ask(OracleExpert(GOLD), [Question("unknown", LABELS)], store)


def test_gold_is_read_by_text_or_by_id(tmp_path: Path) -> None:
    pool = Texts(("a", "b", "c"), ("where?", "gone", "where?"))
    by_text = tmp_path / "text.csv"
    by_text.write_text("text,label\nmore,fee\ngone,loss\nwhere?,arrival\n")
    by_id = tmp_path / "id.csv"
    by_id.write_text("id,label\nb,loss\na,arrival\nc,arrival\n")
    expected = {"where?": "arrival", "gone": "loss"}
    assert read_gold(by_text, pool) == read_gold(by_id, pool) == expected


def test_gold_that_does_not_fit_is_told(tmp_path: Path) -> None:
    pool = Texts(("a", "b"), ("where?", "gone"), source="pool.csv", rows=(1, 2))
    path = tmp_path / "gold.csv"
    path.write_text("text,label\nwhere?,arrival\n")
    with pytest.raises(InputError, match=r"gold\.csv: .* none for 'gone' \(pool\.csv, row 2\)"):
        read_gold(path, pool)
    path.write_text("name,label\nwhere?,arrival\n")
    with pytest.raises(InputError, match="expected a column"):
        read_gold(path, pool)
    same = Texts(("a", "b"), ("where?", "where?"))
    with pytest.raises(InputError, match="'arrival' and 'loss'"):
        gold_for(same, Texts(("0", "1"), ("a", "b"), (("arrival",), ("loss",))), by_id=True)
    with pytest.raises(InputError, match="2: fee, loss"):
        gold_for(Texts(("0",), ("x",)), Texts(("0",), ("x",), (("fee", "loss"),)))


# --- a person


def read_questions(folder: Path) -> list[dict[str, str]]:
    with (folder / "questions.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill_in(folder: Path, answers: dict[str, str], **how: str) -> None:
    """Answer by text, as a spreadsheet would save it."""
    rows = read_questions(folder)
    for row in rows:
        row["answer"] = answers.get(row["text"].removeprefix("'"), row["answer"])
    encoding = how.pop("encoding", "utf-8")
    with (folder / "questions.csv").open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=how.pop("delimiter", ","))
        writer.writeheader()
        writer.writerows(rows)


def pause(expert: Expert, questions: Sequence[Question], store: Store) -> dict[str, str | None]:
    """Ask; return what is answered before the expert has to wait."""
    said = r"questions wait in .*questions\.csv; fill in the answer column"
    return ask_until(PausedError, said, expert, questions, store.meter(Caps()))


PERSONAL = [
    Question('where, is\n"it"? 🙂', ("arrival", "Loss")),
    Question('=HYPERLINK("http://x")', ("-fee", "Loss")),
    Question("is it this?", ("arrival",), "validate"),
    Question("none fits", ("arrival", "Loss")),
]
ANSWERS = {
    PERSONAL[0].text: " loss ",
    PERSONAL[1].text: "'-fee",
    PERSONAL[2].text: "YES",
    PERSONAL[3].text: "none of these",
}
EXPECTED = {
    PERSONAL[0].text: "Loss",
    PERSONAL[1].text: "-fee",
    PERSONAL[2].text: "arrival",
    PERSONAL[3].text: None,
}


@pytest.mark.parametrize(
    "how", [{}, {"delimiter": ";"}, {"delimiter": "\t"}, {"encoding": "utf-8-sig"}], ids=str
)
def test_questions_go_out_and_answers_come_back(tmp_path: Path, store: Store, how: dict[str, str]) -> None:
    person = HumanExpert(tmp_path / "out")
    assert pause(person, PERSONAL, store) == {}
    fill_in(tmp_path / "out", ANSWERS, **how)
    check_expert(person, PERSONAL, store)
    assert ask(person, PERSONAL, store) == EXPECTED


def test_no_cell_is_a_formula(tmp_path: Path, store: Store) -> None:
    pause(HumanExpert(tmp_path), PERSONAL, store)
    with (tmp_path / "questions.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert '\'=HYPERLINK("http://x")' in cells
    assert "'-fee\nLoss\nnone of these" in cells
    assert "answer" in (tmp_path / "questions.README.txt").read_text()


def test_answers_that_were_filled_in_are_never_overwritten(tmp_path: Path, store: Store) -> None:
    person = HumanExpert(tmp_path)
    pause(person, PERSONAL[:2], store)
    fill_in(tmp_path, {PERSONAL[0].text: "Loss"})
    assert pause(person, PERSONAL[1:], store) == {}
    rows = read_questions(tmp_path)
    assert [row["answer"] for row in rows] == ["", "", "", "Loss"]
    assert pause(person, PERSONAL, store) == {PERSONAL[0].text: "Loss"}


@pytest.mark.parametrize("name", ["answers.csv", "answers.jsonl"])
def test_answers_may_come_in_a_file_of_their_own(tmp_path: Path, store: Store, name: str) -> None:
    person, question = HumanExpert(tmp_path), PERSONAL[0]
    key = person.key(question)
    rows = {
        "answers.csv": f"key,answer\n{key},Loss\n",
        "answers.jsonl": json.dumps({"key": key, "answer": "Loss"}),
    }
    (tmp_path / name).write_text(rows[name])
    assert ask(person, [question], store) == {question.text: "Loss"}
    (tmp_path / "questions.csv").write_text(f"key,answer\n{key},arrival\n")
    with pytest.raises(InputError, match="settle which it is"):
        ask(person, [question], store)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "key,answer\n{key},nonsense\n",
            r"questions\.csv, row 1, column answer: expected one of arrival, Loss, none",
        ),
        ("text,answer\nx,y\n", "no key"),
        ("key,text\n{key},y\n", "no answer"),
        ("key,answer\n{key},caf\xe9\n", "expected UTF-8"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_row(
    tmp_path: Path, store: Store, content: str, said: str
) -> None:
    person, question = HumanExpert(tmp_path), PERSONAL[0]
    (tmp_path / "questions.csv").write_bytes(content.format(key=person.key(question)).encode("latin-1"))
    with pytest.raises(InputError, match=said):
        ask(person, [question], store)
    assert store.spent() == Spend()


def test_bad_lines_of_jsonl_are_told(tmp_path: Path, store: Store) -> None:
    (tmp_path / "answers.jsonl").write_text('{"key": "k", "answer": "x"}\n{"key": 1}\n')
    with pytest.raises(InputError, match=r"answers\.jsonl, line 2"):
        ask(HumanExpert(tmp_path), [PERSONAL[0]], store)


def test_options_that_differ_in_case_alone_are_told_apart(tmp_path: Path, store: Store) -> None:
    person, question = HumanExpert(tmp_path), Question("x", ("Polish", "polish"))
    key = person.key(question)
    (tmp_path / "answers.csv").write_text(f"key,answer\n{key},polish\n")
    assert ask(person, [question], store) == {"x": "polish"}
    (tmp_path / "answers.csv").write_text(f"key,answer\n{key},POLISH\n")
    with pytest.raises(InputError):
        ask(person, [question], store)


# --- by name


def test_nobody_answers_nothing(store: Store) -> None:
    assert list(NoExpert().ask([], store.meter(Caps()))) == []
    assert NoExpert().worst_case(QUESTIONS[0]) == Spend()
    with pytest.raises(ExpertError, match="--expert none answers nothing"):
        NoExpert().ask(QUESTIONS, store.meter(Caps()))


def test_experts_by_name(tmp_path: Path) -> None:
    setup = Setup((Label("fee"),), GOLD, folder=tmp_path, base_url="http://127.0.0.1:9/v1", prices=(1.0, 2.0))
    specs = ("oracle:gold.csv", "human", "none", "openai:some/model:7b")
    found = {spec: load_expert(spec, setup) for spec in specs}
    assert [expert.name for expert in found.values()] == ["oracle", "human", "none", "openai:some/model:7b"]
    assert [expert.simulated for expert in found.values()] == [True, False, False, False]
    assert all(isinstance(expert, Expert) for expert in found.values())


@pytest.mark.parametrize(
    "spec", ["", "oracle", "oracle: ", "openai:", "gpt-5", "human:me", "none:x", "Oracle:x"]
)
def test_a_wrong_name_is_told_with_the_right_ones(spec: str) -> None:
    with pytest.raises(InputError, match="expected openai:MODEL, oracle:GOLD, human or none"):
        parse_spec(spec)


def test_a_cap_in_dollars_needs_prices() -> None:
    setup = Setup(base_url="http://127.0.0.1:9/v1", caps=Caps(max_cost=1.0))
    with pytest.raises(InputError, match=r"--price: .*--max-cost.*give --price IN,OUT"):
        load_expert("openai:m", setup)

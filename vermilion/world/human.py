"""A person as the expert: questions go out as a spreadsheet, answers come back in it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from vermilion.errors import InputError, PausedError
from vermilion.types import Meter, Question, Reply, Spend, Verdict, text_hash
from vermilion.world.data_writer import replacing
from vermilion.world.pairs import named
from vermilion.world.prompts import NONE
from vermilion.world.rows import longest_field
from vermilion.world.source import shown

QUESTIONS, HOW_TO, ANSWERS = "questions.csv", "questions.README.txt", ("answers.csv", "answers.jsonl")
# A spreadsheet takes a cell that begins so for a formula, which may run programs.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
YES, NO = "yes", "no"
MAX_CELL = 10_000_000

GUIDE = f"""How to answer questions.csv

Fill in the column "answer", save as CSV (UTF-8), and run the same command again.
- which of these? Copy one of the options, or write: {NONE}
- is this right?  Write: {YES} or {NO}
Leave a row empty that you cannot answer. Leave the column "key" as it is; it ties your answer to its text.
A cell that begins with ' shows the text after it; the sign keeps spreadsheets from taking it for a formula.
Answers may also come in answers.csv or answers.jsonl beside this file, with "key" and "answer".
"""


class HumanExpert:
    """Writes questions to `questions.csv` in a folder and reads the answers back.

    Answers that were filled in are never overwritten: a new questions.csv takes them over.

    Parameters
    ----------
    folder : Path
    """

    name = "human"
    simulated = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def key(self, question: Question) -> str:
        """Return the hash of what the person sees."""
        return question_key([self.name], question)

    def worst_case(self, question: Question) -> Spend:
        """Return one call; what a person's time costs is not known here."""
        return Spend(1)

    def ask(self, questions: Sequence[Question], meter: Meter) -> Iterator[Reply]:
        """Yield a reply for each question that is answered.

        Raises
        ------
        PausedError
            When some are not; they are in questions.csv.
        InputError
            An answer is not one of its options; names file, row and cure.
        """
        given = self._answers()
        asked = {self.key(question): question for question in questions}
        # All are checked before the first one is used.
        labels = {key: _label(question, *given[key]) for key, question in asked.items() if key in given}
        keys = list(labels)
        while keys:
            booked = meter.charge(keys, Spend(1))
            for key in keys[:booked]:
                yield Reply(asked[key], key, Verdict(key, labels[key], Spend(1)))
            keys = keys[booked:]
        waiting = {key: question for key, question in asked.items() if key not in given}
        if waiting:
            path = self._write(waiting)
            raise PausedError(
                f"{len(waiting):,} questions wait in {path}; fill in the answer column and run the same"
                " command again"
            )

    def _answers(self) -> dict[str, tuple[str, str]]:
        """Return key -> (answer, where it stands) of all files; where two differ, say so."""
        found: dict[str, tuple[str, str]] = {}
        for name in (QUESTIONS, *ANSWERS):
            path = self._folder / name
            if not path.exists():
                continue
            for row, (key, answer) in enumerate(_rows(path), start=1):
                where = f"{path}, row {row}, column answer"
                if not answer.strip():
                    continue
                before = found.setdefault(key, (answer, where))
                if before[0].strip() != answer.strip():
                    raise InputError(
                        f"{shown(before[0])} as in {before[1]}", shown(answer), where, "settle which it is"
                    )
        return found

    def _write(self, waiting: Mapping[str, Question]) -> Path:
        """Write the open questions, and below them the rows that are answered already."""
        path = self._folder / QUESTIONS
        kept = [row for row in read_sheet(path) if row.get("answer", "").strip()] if path.exists() else []
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as file:
            rows = [_row(key, question) for key, question in waiting.items()]
            # The columns of what is asked: of a pair its two texts have one each.
            writer = csv.DictWriter(file, list(rows[0]), extrasaction="ignore", restval="")
            writer.writeheader()
            writer.writerows(rows)
            writer.writerows(kept)
        with replacing(self._folder / HOW_TO) as temporary:
            temporary.write_text(GUIDE, encoding="utf-8")
        return path


def question_key(own: Sequence[object], question: Question) -> str:
    """Return the hash of a question without its examples, and of what else determines the answer."""
    asked = [*own, question.kind, question.options, text_hash(question.text)]
    return hashlib.sha256(json.dumps(asked, ensure_ascii=False).encode()).hexdigest()[:32]


def guarded(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula.

    Examples
    --------
    >>> guarded("=1+1"), guarded("where is it?")
    ("'=1+1", 'where is it?')
    """
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def unguarded(cell: str) -> str:
    """Return a cell as it was before `guarded`.

    Examples
    --------
    >>> unguarded("'=1+1"), unguarded("'tis here")
    ('=1+1', "'tis here")
    """
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def _row(key: str, question: Question) -> dict[str, str]:
    choose = question.kind == "choose"
    options = [*question.options, NONE] if choose else [YES, NO]
    asked = "which of these?" if choose else f"is this right: {question.options[0]}"
    return {
        "key": key,
        "question": guarded(asked),
        **{name: guarded(text) for name, text in named(question.text).items()},
        "options": guarded("\n".join(options)),
        "answer": "",
    }


def _label(question: Question, answer: str, where: str) -> str | None:
    """Return the label that an answer stands for; case and space around it do not matter."""
    choose = question.kind == "choose"
    permitted = (*question.options, NONE) if choose else (YES, NO)
    said = match_option(answer.strip(), permitted)
    if said is None:
        cure = "write one of them, or leave it empty"
        raise InputError(f"one of {', '.join(permitted)}", shown(answer), where, cure)
    if choose:
        return None if said == NONE else said
    return question.options[0] if said == YES else None


def match_option(answer: str, permitted: Sequence[str]) -> str | None:
    """Find the one option that is meant: as written, without a guarding sign, and whatever its case.

    Examples
    --------
    >>> match_option("REFUND", ["refund", "card"]), match_option("refunds", ["refund", "card"])
    ('refund', None)
    """
    for said in (answer, answer.removeprefix("'")):
        if said in permitted:
            return said
        alike = [option for option in permitted if option.strip().casefold() == said.casefold()]
        if len(alike) == 1:
            return alike[0]
    return None


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    rows = _read_jsonl(path) if path.suffix == ".jsonl" else read_sheet(path)
    for number, row in enumerate(rows, start=1):
        missing = [name for name in ("key", "answer") if name not in row]
        if missing:
            raise InputError(
                "the columns key and answer", f"no {missing[0]}", f"{path}, row {number}", "put it back"
            )
        yield row["key"].strip(), row["answer"]


def read_sheet(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file as a spreadsheet writes it: with commas, semicolons or tabs.

    Raises
    ------
    InputError
        It cannot be read, or is not CSV in UTF-8.
    """
    content = _text(path)
    header = content.partition("\n")[0]
    # Where the decimal sign is a comma, spreadsheets write semicolons.
    delimiter = max(",;\t", key=header.count)
    try:
        with longest_field(MAX_CELL):
            reader = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter, restval="")
            return [{name: value for name, value in row.items() if name is not None} for row in reader]
    except csv.Error as error:
        raise InputError("a CSV file", str(error), str(path), "save it again as CSV (UTF-8)") from None


def _read_jsonl(path: Path) -> list[dict[str, str]]:
    rows = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not all(isinstance(row.get(n, ""), str) for n in ("key", "answer")):
            where = f"{path}, line {number}"
            raise InputError('{"key": "...", "answer": "..."}', shown(line), where, "mend the line")
        rows.append(row)
    return rows


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"another encoding (byte {error.start:,})"
        raise InputError("UTF-8", found, str(path), "save it as CSV UTF-8") from None
    except OSError as error:
        found = error.strerror or "an error"
        raise InputError("a file to read", found, str(path), "check its permissions") from None

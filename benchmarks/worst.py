"""Where it goes wrong: the fifty worst decisions of each data set, and what share is likely the data's own error.

    python -m benchmarks worst DATA_FOLDER [--sets ...]

Vermilion's default runs with a simulated expert. A decision is wrong where it differs from gold; the worst are those
of the model itself that it was surest of. A wrong decision is put down to the data where two views of the gold labels
of all train texts agree with the decision rather than with gold:

- a classifier, cross-validated in five parts and calibrated, gives the gold label less than 0.1 and the decided
  label more than 0.5 (confident learning: Northcutt, Jiang and Chuang, 2021);
- most of the ten nearest other texts have the decided label as their gold.

The two use the same vectors as Vermilion does, so a text that the encoder misplaces can pass for an error of the
data. How easily the rule is deceived is told beside it: the simulated expert's mistakes among the decisions are
no errors of the data, and the share of them that passes the rule is a false alarm. Read the texts: they are written
to build/, since data sets are not ours to publish. Figures alone go to the results.
"""

from __future__ import annotations

import argparse
import html
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import FOLDER, Results
from benchmarks.tasks import SETS, VECTORS, Case, Task, load
from vermilion.config import Caps, RunSettings
from vermilion.learn.calibration import apply_temperature, fit_temperature, log_proba
from vermilion.learn.flat import FlatHead
from vermilion.learn.folds import fold_numbers, row_keys, splits
from vermilion.red.record import Decision
from vermilion.red.run import Tools, run
from vermilion.types import FloatArray, IntArray
from vermilion.world.encoders import load_encoder
from vermilion.world.store import Store

TEXTS = Path("build/benchmarks/worst")
WORST, PAIRS = 50, 10
FOLDS, C = 5, 10.0
GOLD_MOST, DECIDED_LEAST = 0.1, 0.5
NEIGHBOURS = 10
BLOCK_CELLS = 32_000_000


@dataclass(frozen=True, slots=True)
class Judge:
    """What the gold labels of all train texts say of one another.

    Attributes
    ----------
    proba : ndarray of shape (n, K)
        Calibrated, of texts that the classifier had not learned from. A text alone in its label is never held out:
        its row has that label alone.
    neighbours : ndarray of int, shape (n, 10)
        Gold labels of the nearest other texts.
    """

    proba: FloatArray
    neighbours: IntArray

    @classmethod
    def of(cls, X: FloatArray, gold: IntArray) -> Judge:
        """Judge by unit vectors, shape (n, d), and their gold labels, 0 to K-1, each of them there."""
        return cls(held_out(X, gold), gold[nearest(X, NEIGHBOURS)])

    def by_classifier(self, row: int, gold: int, decided: int) -> bool:
        """Tell whether the classifier takes the decision's part."""
        return bool(self.proba[row, gold] < GOLD_MOST and self.proba[row, decided] > DECIDED_LEAST)

    def by_neighbours(self, row: int, decided: int) -> bool:
        """Tell whether most of the nearest texts have the decided label."""
        return bool((self.neighbours[row] == decided).sum() * 2 > self.neighbours.shape[1])


@dataclass(frozen=True, slots=True)
class Wrong:
    """A decision that differs from gold.

    Attributes
    ----------
    source : str
        Who decided; see vermilion.types.Source.
    rank : int or None
        Of the gold label among the candidates shown, from 1; None where it is not among them.
    by_classifier, by_neighbours : bool
        Whether they take the decision's part against gold.
    """

    text: str
    source: str
    decided: str
    gold: str
    confidence: float
    rank: int | None
    by_classifier: bool
    by_neighbours: bool

    @property
    def likely_the_data(self) -> bool:
        """Whether both views take the decision's part."""
        return self.by_classifier and self.by_neighbours

    @property
    def badness(self) -> tuple[bool, float, str]:
        """What to sort by: the model's own decisions first, of these the surest; the text breaks ties."""
        return self.source != "auto", -self.confidence, self.text


def held_out(X: FloatArray, gold: IntArray) -> FloatArray:
    """Return cross-validated, calibrated probabilities, shape (n, K)."""
    numbers = fold_numbers(gold, row_keys(X), FOLDS)
    proba = np.eye(int(gold.max()) + 1, dtype=np.float32)[gold]
    for train, held in splits(numbers):
        proba[held] = FlatHead(C=C).fit(X[train], gold[train]).predict_proba(X[held])
    rows = numbers >= 0
    proba[rows] = apply_temperature(proba[rows], fit_temperature(log_proba(proba[rows]), gold[rows]))
    return proba


def nearest(X: FloatArray, count: int) -> IntArray:
    """Return the rows of the nearest other texts, shape (n, count); exact, block by block.

    Examples
    --------
    >>> nearest(np.array([[1, 0], [0.8, 0.6], [0, 1]]), 1).tolist()
    [[1], [0], [1]]
    """
    size = max(BLOCK_CELLS // len(X), 1)
    found = []
    for start in range(0, len(X), size):
        similar = X[start : start + size] @ X.T
        own = np.arange(len(similar))
        similar[own, start + own] = -np.inf
        found.append(np.argpartition(-similar, count - 1, axis=1)[:, :count])
    return np.concatenate(found)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's arguments."""
    add = parser.add_argument
    add("data", type=Path, help="folder of the sets' folders, each with train.jsonl and test.jsonl")
    add("--sets", nargs="+", default=list(SETS))
    add("--a-label", type=int, default=5, help="labelled texts of each label")
    add("--error", type=float, default=0.05, help="share of wrong answers")
    add("--seed", type=int, default=0)
    add("--share", type=float, default=0.15, help="of the pool that may be asked")
    add("--most-pool", type=int, help="texts in the pool at most (default: all)")
    add("--encoder", default="minilm")
    add("--vectors", type=Path, default=VECTORS, help="folder of the vector cache")
    add("--results", type=Path, default=FOLDER / "worst.jsonl", help="file of results")
    add("--texts", type=Path, default=TEXTS, help="folder for the texts themselves")


def main(arguments: argparse.Namespace) -> None:
    """Do the runs whose figures or texts are not there yet, then print the figures."""
    results = Results(arguments.results)
    for name in arguments.sets:
        most, encoder = arguments.most_pool, arguments.encoder
        task = Task(name, arguments.a_label, arguments.error, arguments.seed, most, encoder)
        one = {"benchmark": "worst", **asdict(task), "share": arguments.share}
        page = arguments.texts / f"{name}.html"
        if results.has(one) and page.exists():
            continue
        case = load(task, arguments.data, arguments.vectors)
        wrong = decide(case, arguments.share, arguments.vectors)
        write_texts(page, wrong[:WORST])
        if not results.has(one):
            results.add(one, {**figures(wrong), "pool": len(case.gold), "labels": len(case.problem.labels)})
        print(f"{name}: the texts are in {page}", flush=True)
    for row in results.rows():
        print(told(row["condition"], row["figures"]))


def decide(case: Case, share: float, vectors: Path) -> list[Wrong]:
    """Let Vermilion's default decide about the pool; return what differs from gold, the worst first."""
    problem = case.problem
    X = np.concatenate([problem.X_given, problem.X_open])
    judge = Judge.of(X, np.concatenate([problem.y_given, case.gold]))
    names = [label.name for label in problem.labels]
    wrong = []
    # Every text of the pool stands in it once, so its decision and its gold label have the same place.
    for place, (decision, gold) in enumerate(zip(_decisions(case, share, vectors), case.gold, strict=True)):
        assert decision.label is not None
        if decision.label == names[gold]:
            continue
        row, decided = len(problem.y_given) + place, names.index(decision.label)
        by_classifier = judge.by_classifier(row, gold, decided)
        wrong.append(_wrong(decision, names[gold], by_classifier, judge.by_neighbours(row, decided)))
    return sorted(wrong, key=lambda one: one.badness)


def _decisions(case: Case, share: float, vectors: Path) -> list[Decision]:
    task = case.task
    settings = RunSettings(
        encoder=task.encoder,
        expert="oracle",
        expert_error=task.error,
        seed=task.seed,
        # As in the benchmark of cost: the run ends where its questions do, not where 0.95 is certified.
        target=1.0,
        caps=Caps(max_calls=round(share * len(case.gold))),
    ).checked()
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "run.sqlite") as store:
        tools = Tools(load_encoder(task.encoder), lambda problem: case.expert(), store, vectors)
        result = run(case.split.job, settings, tools)
    assert result is not None
    return result.ran.decisions


def _wrong(decision: Decision, gold: str, by_classifier: bool, by_neighbours: bool) -> Wrong:
    candidates = [name for name, _ in decision.candidates]
    rank = candidates.index(gold) + 1 if gold in candidates else None
    assert decision.label is not None
    return Wrong(
        text=decision.text,
        source=decision.source,
        decided=decision.label,
        gold=gold,
        confidence=decision.confidence,
        rank=rank,
        by_classifier=by_classifier,
        by_neighbours=by_neighbours,
    )


def figures(wrong: Sequence[Wrong]) -> dict[str, Any]:
    """Return what is written down of the wrong decisions, the worst first: no text of the data set.

    Returns
    -------
    dict
        `wrong`: how many, by who decided. `worst`, `own`, `expert`: of the fifty worst, of all that the model
        decided itself, and of the simulated expert's mistakes, how many there are and which shares are put down
        to the data and have the truth in second place.
        `pairs`: the label pairs most often confused by the model itself: decided, gold, how often.
    """
    own = [one for one in wrong if one.source == "auto"]
    pairs = Counter((one.decided, one.gold) for one in own)
    ranked = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:PAIRS]
    return {
        "wrong": dict(sorted(Counter(one.source for one in wrong).items())),
        "worst": shares(wrong[:WORST]),
        "own": shares(own),
        "expert": shares([one for one in wrong if one.source in ("verified", "corrected")]),
        "pairs": [[decided, gold, count] for (decided, gold), count in ranked],
    }


def shares(wrong: Sequence[Wrong]) -> dict[str, float]:
    """Return how many decisions these are, and which shares of them are put down to the data, and why."""
    if not wrong:
        return {"count": 0}
    return {
        "count": len(wrong),
        "likely_the_data": float(np.mean([one.likely_the_data for one in wrong])),
        "by_classifier": float(np.mean([one.by_classifier for one in wrong])),
        "by_neighbours": float(np.mean([one.by_neighbours for one in wrong])),
        "truth_second": float(np.mean([one.rank == 2 for one in wrong])),
    }


def told(condition: dict[str, Any], found: dict[str, Any]) -> str:
    """Return a set's figures in a few lines."""
    worst, own = found["worst"], found["own"]
    lines = [
        f"{condition['set']}, simulated expert wrong in {condition['error']:.0%}:"
        f" {sum(found['wrong'].values()):,} of {found['pool']:,} decisions differ from gold,"
        f" {own['count']:,} of them the model's own"
    ]
    for name, part in ((f"the {worst['count']} worst", worst), ("all of the model's own", own)):
        if part["count"]:
            lines.append(
                f"  {name}: {part['likely_the_data']:.0%} likely the data's own error"
                f" ({part['by_classifier']:.0%} by the classifier, {part['by_neighbours']:.0%} by neighbours),"
                f" the truth in second place in {part['truth_second']:.0%}"
            )
    if found["expert"]["count"]:
        alarms = f"{found['expert']['likely_the_data']:.0%} of {found['expert']['count']:,}"
        lines.append(
            f"  false alarms: the rule puts {alarms} mistakes of the simulated expert down to the data"
        )
    lines += [f"  {count} x {decided} for {gold}" for decided, gold, count in found["pairs"]]
    return "\n".join(lines)


def write_texts(page: Path, wrong: Sequence[Wrong]) -> None:
    """Write the decisions with their texts, as a page to read and as JSONL."""
    page.parent.mkdir(parents=True, exist_ok=True)
    rows = [{**asdict(one), "likely_the_data": one.likely_the_data} for one in wrong]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    page.with_suffix(".jsonl").write_text(lines, encoding="utf-8")
    page.write_text(rendered(page.stem, wrong), encoding="utf-8")


COLUMNS = (
    "text",
    "decided",
    "gold",
    "confidence",
    "truth's place",
    "by classifier",
    "by neighbours",
    "source",
)


def rendered(name: str, wrong: Sequence[Wrong]) -> str:
    """Return the page; texts and labels are shown as they are and never as markup."""
    title = f"{html.escape(name)}: the {len(wrong)} worst decisions"
    head = "".join(f"<th>{column}</th>" for column in COLUMNS)
    body = "\n".join(_rendered_row(one) for one in wrong)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>\n'
        "<style>body{font:15px sans-serif}td,th{padding:.3em .6em;text-align:left}"
        "tr:nth-child(even){background:#f3f3f3}.data{font-weight:bold}</style>\n"
        f"<h1>{title}</h1>\n<p>Decided by Vermilion with a simulated expert. Bold: likely the data's own error,"
        " since classifier and neighbours both take the decision's part against gold.</p>\n"
        f"<table><tr>{head}</tr>\n{body}\n</table></html>\n"
    )


def _rendered_row(one: Wrong) -> str:
    cells = (
        one.text,
        one.decided,
        one.gold,
        f"{one.confidence:.3f}",
        "-" if one.rank is None else str(one.rank),
        "decision" if one.by_classifier else "",
        "decision" if one.by_neighbours else "",
        one.source,
    )
    mark = ' class="data"' if one.likely_the_data else ""
    return f"<tr{mark}>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"

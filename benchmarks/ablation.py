"""What carries the result: one part of Vermilion changed or switched off at a time, all else the same.

    python -m benchmarks ablation DATA_FOLDER [--sets banking77] [--seeds 0 1 2] [--variants NAME ...]

Every variant differs from its base in one thing. The base is Vermilion's default; the parts of the subset head, which
the default need not choose, are changed from a run that is told to take that head. What is a setting is changed as a
setting. What is none is replaced in its module for the length of a run, which says how the part is reached and adds
nothing to the program. A run that is in the results is not repeated.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks import figures
from benchmarks.contestants import Terms, vermilion
from benchmarks.results import FOLDER, Results, Row
from benchmarks.tasks import VECTORS, Case, Task, load
from vermilion.config import RunSettings
from vermilion.learn import transduction
from vermilion.learn.heads import HEADS, SubsetHead
from vermilion.red import planning
from vermilion.types import BoolArray, FloatArray, IntArray, Question
from vermilion.world.experts import OracleExpert

DEFAULT = "default"
SUBSET = "head: subset"
# A simulated expert that uses the examples it is shown errs on this share of the texts: where one of the examples
# has the right label, and where none has.
SHOWN_ERROR, UNSHOWN_ERROR = 0.05, 0.10

Swap = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Variant:
    """One thing that differs from the base.

    Attributes
    ----------
    name : str
        The part and what is made of it.
    settings : mapping
        Fields of RunSettings that differ from the default; those of the base included.
    swaps : tuple of callable
        Each makes a context in which a part that is no setting is replaced.
    base : str
        Name of the variant that it is to be compared with.
    needs : str
        A library without which it cannot run.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    swaps: tuple[Swap, ...] = ()
    base: str = DEFAULT
    needs: str = ""

    def run(self, case: Case, terms: Terms) -> dict[str, Any]:
        """Let Vermilion run so; all that was replaced is as it was afterwards."""
        settings = dict(self.settings)
        terms = replace(terms, rounds=settings.pop("rounds", terms.rounds))
        with ExitStack() as replaced:
            for swap in self.swaps:
                replaced.enter_context(swap())
            return vermilion(case, terms, **settings)

    def missing(self) -> str:
        """Return why it cannot run here, or nothing."""
        return f"{self.needs} is not installed" if self.needs and find_spec(self.needs) is None else ""


class ReadingOracle(OracleExpert):
    """A simulated expert that uses the examples: it errs less where one of them has the right label.

    A text on which it errs in spite of the examples is one on which it errs without them, too.

    Examples
    --------
    >>> oracle = ReadingOracle({"it is lost": "loss"}, UNSHOWN_ERROR, 0)
    >>> oracle.answer(Question("it is lost", ("fee", "loss"), examples=(("lost it", "loss"),)))
    'loss'
    """

    name = "oracle that uses examples"

    def __init__(
        self,
        gold: Mapping[str, str],
        error: float = UNSHOWN_ERROR,
        seed: int = 0,
        rivals: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(gold, error, seed, rivals)
        self._right, self._helped = gold, OracleExpert(gold, SHOWN_ERROR, seed, rivals)

    def answer(self, question: Question) -> str | None:
        """Return one of the options, or None for none of them."""
        truth = self._right.get(question.text)
        if any(label == truth for _, label in question.examples):
            return self._helped.answer(question)
        return super().answer(question)


def _reading(case: Case) -> OracleExpert:
    return ReadingOracle(case.split.gold, UNSHOWN_ERROR, case.task.seed, case.problem.rivals())


def _most_uncertain(scores: FloatArray, eligible: BoolArray, X: FloatArray, count: int) -> IntArray:
    """Select as Vermilion does, but near-identical texts as often as they come."""
    rows = np.flatnonzero(eligible)
    return rows[np.argsort(-scores[rows], kind="stable")][:count]


def _subset(name: str, **params: Any) -> Variant:
    """Change a parameter of the subset head that no setting reaches: the factory of that head is replaced."""
    swap = partial(patch.dict, HEADS, {"subset": partial(SubsetHead, **params)})
    return Variant(name, {"head": "subset"}, (swap,), SUBSET)


def _setting(part: str, value: Any, base: str = DEFAULT, needs: str = "", **settings: Any) -> Variant:
    return Variant(f"{part.replace('_', ' ')}: {value}", {part: value, **settings}, (), base, needs)


def _random(share: float) -> Variant:
    """Draw this share of each round at random; what is left is selected."""
    return Variant(
        f"asked at random: {share:.0%}".replace("%", " %"),
        swaps=(partial(patch.object, planning, "RANDOM_SHARE", share),),
    )


def _off(part: str) -> Variant:
    return Variant(f"{part}: off", {part: False})


_EXPERT: Swap = partial(patch.object, Case, "expert", _reading)
_UNSHOWN: Swap = partial(patch.object, planning, "nearest_examples", lambda known, x, options: ())
READING = "expert that uses examples: shown"

# What tells most comes first: a run that is stopped early has those.
VARIANTS: tuple[Variant, ...] = (
    Variant(DEFAULT),
    _off("pool"),
    _random(1.0),
    _setting("head", "subset"),
    _setting("ask", "validate"),
    _off("names"),
    _setting("uncertainty", "entropy"),
    Variant("diversity: off", swaps=(partial(patch.object, planning, "select", _most_uncertain),)),
    Variant(READING, swaps=(_EXPERT,)),
    Variant("expert that uses examples: not shown", swaps=(_EXPERT, _UNSHOWN), base=READING),
    _setting("candidates", 5),
    _subset("subset head's arbiter: off", arbiter="none"),
    _setting("uncertainty", "committee"),
    # The pool's two ways of learning are put together in one function, which is replaced by either of them. A run
    # still learns from the pool only where that helps on held-out texts: where it does not, it is "pool: off".
    Variant(
        "pool: spread labels alone",
        swaps=(partial(patch.object, transduction, "geometric_mean", lambda spread, student: spread),),
    ),
    Variant(
        "pool: student alone",
        swaps=(partial(patch.object, transduction, "geometric_mean", lambda spread, student: student),),
    ),
    _setting("rounds", 5),
    _setting("rounds", 10),
    _setting("rounds", 40),
    _setting("candidates", 3),
    _setting("candidates", 10),
    _setting("candidates", 20),
    _setting("subset_size", 5, SUBSET, head="subset"),
    _setting("subset_size", 20, SUBSET, head="subset"),
    _subset("subset head's noise: hard", noise="hard"),
    _subset("subset head's noise factor: 1", noise_ratio=1.0),
    _subset("subset head's noise factor: 5", noise_ratio=5.0),
    _subset("subset head's arbiter: centroid", arbiter="centroid"),
    _setting("umap", True, SUBSET, "umap", head="subset"),
    _setting("uncertainty", "least-confidence"),
    _random(0.25),
    _setting("head", "flat"),
    _setting("head", "centroid"),
)
BY_NAME = {variant.name: variant for variant in VARIANTS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's arguments."""
    add = parser.add_argument
    add("data", type=Path, help="folder of the sets' folders, each with train.jsonl and test.jsonl")
    add("--sets", nargs="+", default=["banking77"])
    add("--a-label", type=int, default=5, help="labelled texts of each label")
    add("--error", type=float, default=0.05, help="share of wrong answers")
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--variants", nargs="+", default=list(BY_NAME), choices=list(BY_NAME), metavar="NAME")
    add("--share", type=float, default=0.15, help="of the pool that may be asked")
    add("--rounds", type=int, default=RunSettings().rounds)
    add("--most-pool", type=int, help="texts in the pool at most (default: all)")
    add("--encoder", default="minilm")
    add("--vectors", type=Path, default=VECTORS, help="folder of the vector cache")
    add("--results", type=Path, default=FOLDER / "ablation.jsonl", help="file of results")


def main(arguments: argparse.Namespace) -> None:
    """Do the runs that are not there yet, then print the table."""
    results = Results(arguments.results)
    terms = Terms(arguments.share, arguments.rounds, 0, arguments.vectors)
    variants = [variant for variant in VARIANTS if variant.name in arguments.variants]
    for variant in variants:
        if variant.missing():
            print(f"{variant.name}: left out, {variant.missing()}")
    able = [variant for variant in variants if not variant.missing()]
    for seed, name in itertools.product(arguments.seeds, arguments.sets):
        most, encoder = arguments.most_pool, arguments.encoder
        task = Task(name, arguments.a_label, arguments.error, seed, most, encoder)
        measure(task, terms, able, results, arguments.data)
    print(table(results.rows()))


def condition(task: Task, terms: Terms, variant: Variant) -> dict[str, Any]:
    """Return what tells one run from another; a variant is the contestant here."""
    own = {"share": terms.share, "rounds": terms.rounds, "contestant": variant.name}
    return {"benchmark": "ablation", **asdict(task), **own}


def measure(task: Task, terms: Terms, variants: Iterable[Variant], results: Results, data: Path) -> None:
    """Run each variant on a task, unless it has been."""
    missing = [variant for variant in variants if not results.has(condition(task, terms, variant))]
    if not missing:
        return
    case = load(task, data, terms.vectors)
    for variant in missing:
        found = variant.run(case, terms)
        found |= {"base": variant.base, "pool": len(case.gold), "labels": len(case.problem.labels)}
        results.add(condition(task, terms, variant), found)
        curve = found["curve"]
        told = f"{curve['asked'][-1]:,} asked, agreement {curve['agreement'][-1]:.4f}"
        print(
            f"seed {task.seed}, {task.set}, {variant.name}: {told}, {found['seconds']:.0f} s",
            flush=True,
        )


HEAD = [
    "| changed | compared with | "
    + " | ".join(f"questions to {level:.2f}" for level in figures.LEVELS)
    + " | questions in all | agreement | difference | test accuracy | tokens in all | seconds |",
    "|---" * (len(figures.LEVELS) + 8) + "|",
]


def table(rows: Iterable[Row]) -> str:
    """Return a Markdown table for each condition, the variants in their order, each beside its base.

    The difference in agreement is taken seed by seed, over the seeds that both have.
    """
    rows = list(rows)
    groups: dict[str, list[figures.Line]] = {}
    for line in figures.lines(rows):
        groups.setdefault(_title(line.condition), []).append(line)
    ends = {_key(row): row["figures"]["curve"]["agreement"][-1] for row in rows}
    order = {name: place for place, name in enumerate(BY_NAME)}
    parts = []
    for name, lines in groups.items():
        ranked = sorted(lines, key=lambda line: order.get(line.contestant, len(order)))
        parts.append("\n".join([f"### {name}", "", *HEAD, *(_written(line, ends) for line in ranked)]))
    return "\n\n".join(parts)


Key = tuple[str, str, int]


def _title(condition: Mapping[str, Any]) -> str:
    return f"{figures.title(dict(condition))}, {condition['rounds']} rounds"


def _key(row: Row) -> Key:
    condition = row["condition"]
    return _alike(condition), condition["contestant"], condition["seed"]


def _alike(condition: Mapping[str, Any]) -> str:
    """Return what runs that may be compared have in common."""
    return json.dumps(
        {name: value for name, value in condition.items() if name not in {"contestant", "seed"}},
        sort_keys=True,
    )


def _written(line: figures.Line, ends: Mapping[Key, float]) -> str:
    variant = BY_NAME.get(line.contestant, Variant(line.contestant))
    is_base = variant.name == variant.base
    cells = [line.contestant, "" if is_base else variant.base]
    for each in line.reached:
        none = "not reached" if not each.runs else f"reached in {each.runs} of {each.of}"
        cells.append(none if each.calls is None else each.calls.text(",.0f"))
    gained = None if is_base else figures.estimate(_differences(line, variant.base, ends))
    for value, form in (
        (line.asked, ",.0f"),
        (line.agreement, ".4f"),
        (gained, "+.4f"),
        (line.test_accuracy, ".4f"),
        (line.tokens, ",.0f"),
        (line.seconds, ",.0f"),
    ):
        # Half an interval's width has no sign.
        cells.append("" if value is None else value.text(form).replace("± +", "± "))
    return f"| {' | '.join(cells)} |"


def _differences(line: figures.Line, base: str, ends: Mapping[Key, float]) -> list[float]:
    alike = _alike(line.condition)
    return [
        value - ends[alike, base, seed]
        for (condition, name, seed), value in ends.items()
        if (condition, name) == (alike, line.contestant) and (alike, base, seed) in ends
    ]

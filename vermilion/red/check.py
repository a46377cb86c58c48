"""Can the expert be trusted? Measured on labelled texts before the pool is touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from vermilion.learn.paired import Paired
from vermilion.learn.uncertainty import candidate_counts, margin
from vermilion.red.asking import Examples, confirmed, nearest_examples, to_question
from vermilion.red.problem import Problem
from vermilion.red.state import Asked
from vermilion.red.training import Choice
from vermilion.red.trust import Compared, Counted, MixedUp, SecondOpinion, Trust
from vermilion.types import BoolArray, Expert, IntArray, Label, Question, Verdict
from vermilion.world.asked_again import AskedAgain

MOST_TEXTS, MOST_AGAIN = 100, 20
# So many texts come first: without them nothing is known of the expert, whatever else is asked.
FIRST_TEXTS, LEAST_TEXTS = 60, 10
# Of the questions that a cap allows.
SHARE = 0.1
SHOWN_PAIRS, TEXTS_A_PAIR = 10, 3

Ask = Callable[[Expert, Sequence[Question]], Mapping[int, Verdict]]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is asked: labelled texts, and how many of those a second time and in another order each."""

    texts: int
    again: int

    @classmethod
    def within(cls, budget: int, held_out: int, *, capped: bool, experts: int = 1) -> Self | None:
        """Return what a budget of questions leaves room for; None where that tells nothing.

        All questions of the report together take at most a tenth of the budget; where nobody set a cap, 60 texts are
        asked at least. Up to 60 texts come first, then up to 20 of them twice more, then up to 100 texts.

        Parameters
        ----------
        budget : int
            Questions that the run plans for.
        held_out : int
            Labelled texts for which the head has an answer of its own.
        experts : int
            Each is asked about all texts, the first alone a second time.

        Examples
        --------
        >>> [Size.within(n, 500, capped=True) for n in (90, 200, 800, 5000)]
        [None, Size(texts=20, again=0), Size(texts=60, again=10), Size(texts=100, again=20)]
        """
        most = int(SHARE * budget)
        if not capped:
            most = max(most, FIRST_TEXTS * experts)
        first = min(FIRST_TEXTS, held_out, most // experts)
        again = max(min(MOST_AGAIN, (most - first * experts) // 2, first // 2), 0)
        texts = min(MOST_TEXTS, held_out, (most - 2 * again) // experts)
        return cls(texts, again) if texts >= LEAST_TEXTS else None

    def questions(self, experts: int = 1) -> int:
        """Return how many questions that is in all."""
        return self.texts * experts + 2 * self.again


@dataclass(frozen=True, slots=True)
class Checked:
    """Labelled texts to ask about, the disputed ones first.

    Attributes
    ----------
    questions : tuple of Question
    truth : tuple of str
        The right labels; not always among the options.
    head_right : ndarray of bool, shape (n,)
        Where the head's likeliest label is the right one, the text being held out.
    disputed : ndarray of bool, shape (n,)
        The half on which the head is least sure.
    """

    questions: tuple[Question, ...]
    truth: tuple[str, ...]
    head_right: BoolArray
    disputed: BoolArray

    @classmethod
    def of(cls, problem: Problem, choice: Choice, most: int, options: int, seed: int) -> Self:
        """Choose texts and write out their questions, each with at most so many options.

        No text is an example in its own question.
        """
        places = check_rows(choice, seed, most)
        rows, proba = choice.held_out[places], choice.proba[places]
        truth = problem.y_given[rows]
        order = np.argsort(-proba, axis=1, kind="stable")
        counts = candidate_counts(proba, most=options)
        examples = Examples.of(confirmed(problem, np.full(len(problem.open_texts), -1)))
        questions = []
        for row, ranked, count in zip(rows.tolist(), order, counts, strict=True):
            offered = ranked[:count].tolist()
            shown = nearest_examples(examples, problem.X_given[row], offered, but=-1 - row)
            questions.append(to_question(problem, Asked(-1 - row, tuple(offered), shown), "choose"))
        return cls(
            tuple(questions),
            tuple(problem.labels[number].name for number in truth.tolist()),
            order[:, 0] == truth,
            np.arange(len(rows)) < most // 2,
        )

    def expected(self, place: int) -> str | None:
        """Return the right answer: the label, or "none of these" where the options miss it."""
        truth = self.truth[place]
        return truth if truth in self.questions[place].options else None

    def right(self, verdicts: Mapping[int, Verdict]) -> BoolArray:
        """Tell which answers are right, in the order of their places."""
        return np.array([verdicts[i].label == self.expected(i) for i in sorted(verdicts)], dtype=np.bool_)


def check_rows(choice: Choice, seed: int, most: int) -> IntArray:
    """Choose labelled texts to ask about: half where the head is least sure, half at random."""
    score = margin(choice.proba)
    hard = np.argsort(-score, kind="stable")[: most // 2]
    rest = np.setdiff1d(np.arange(len(choice.held_out)), hard)
    rng = np.random.default_rng([seed, 3])
    drawn = rng.choice(rest, size=min(most - len(hard), len(rest)), replace=False)
    return np.concatenate([hard, np.sort(drawn)])


def trust_in(
    experts: tuple[Expert, Expert | None], labels: Sequence[Label], checked: Checked, again: int, ask: Ask
) -> Trust:
    """Ask about labelled texts whose answer is known; return what that tells of the expert.

    Parameters
    ----------
    experts : tuple of (expert, second expert or None)
    labels : sequence of Label
        With their meanings.
    again : int
        So many of the most disputed texts are asked a second time, and with their options in reverse.
    ask : callable
        Returns the verdicts by the question's place; what could not be answered is left out.
    """
    expert, second = experts
    first = ask(expert, checked.questions)
    some = checked.questions[:again]
    # Of a single option there is no other order.
    reverse = [replace(one, options=one.options[::-1]) for one in some if len(one.options) > 1]
    right, places = checked.right(first), np.array(sorted(first), dtype=np.intp)
    head, disputed = checked.head_right[places], checked.disputed[places]
    return Trust(
        expert.name,
        expert.simulated,
        _compared(right[disputed], head[disputed]),
        _compared(right[~disputed], head[~disputed]),
        _said_none(checked, first),
        _changed(first, ask(AskedAgain(expert), some)) if again else None,
        _changed(first, ask(expert, reverse)) if reverse else None,
        _second(second, checked, first, ask(second, checked.questions)) if second is not None else None,
        _mixed_up(checked, first, {label.name: label.meaning for label in labels}),
    )


def _compared(expert: BoolArray, head: BoolArray) -> Compared | None:
    return Compared.of(Paired.of(expert, head)) if len(expert) else None


def _said_none(checked: Checked, verdicts: Mapping[int, Verdict]) -> Counted | None:
    offered = [verdicts[place].label for place in verdicts if checked.expected(place) is not None]
    return Counted.of(sum(label is None for label in offered), len(offered)) if offered else None


def _changed(first: Mapping[int, Verdict], then: Mapping[int, Verdict]) -> Counted | None:
    """Count the answers that were another one the second time."""
    both = sorted(first.keys() & then.keys())
    changed = sum(first[place].label != then[place].label for place in both)
    return Counted.of(changed, len(both)) if both else None


def _second(
    expert: Expert, checked: Checked, first: Mapping[int, Verdict], then: Mapping[int, Verdict]
) -> SecondOpinion | None:
    both = sorted(first.keys() & then.keys())
    if not both:
        return None
    ours, theirs = ({place: verdicts[place] for place in both} for verdicts in (first, then))
    found = Paired.of(checked.right(ours), checked.right(theirs))
    agreed = sum(ours[place].label == theirs[place].label for place in both)
    return SecondOpinion(
        expert.name, Counted.of(agreed, len(both)), found.second, found.gain, *found.gain_interval()
    )


def _mixed_up(
    checked: Checked, verdicts: Mapping[int, Verdict], meanings: Mapping[str, str]
) -> tuple[MixedUp, ...]:
    """Return the pairs of labels that were taken for each other, where the right one was offered."""
    texts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for place, verdict in sorted(verdicts.items()):
        truth, said = checked.expected(place), verdict.label
        if truth is not None and said is not None and said != truth:
            texts[min(truth, said), max(truth, said)].append(checked.questions[place].text)
    ranked = sorted(texts.items(), key=lambda item: (-len(item[1]), item[0]))[:SHOWN_PAIRS]
    return tuple(
        MixedUp(a, b, len(found), meanings[a] or a, meanings[b] or b, tuple(found[:TEXTS_A_PAIR]))
        for (a, b), found in ranked
    )

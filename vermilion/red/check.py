"""Can the expert be trusted? Measured on labelled texts before the pool is touched."""

from __future__ import annotations

import numpy as np

from vermilion.learn.uncertainty import candidate_counts, margin
from vermilion.red.asking import Desk, Examples, confirmed, nearest_examples, to_question
from vermilion.red.problem import Problem
from vermilion.red.state import Asked
from vermilion.red.training import Choice
from vermilion.types import IntArray

STEP = -1


def check_rows(choice: Choice, seed: int, most: int) -> IntArray:
    """Choose labelled texts to ask about: half where the head is least sure, half at random."""
    rows = choice.held_out
    score = margin(choice.proba)
    hard = np.argsort(-score, kind="stable")[: most // 2]
    rest = np.setdiff1d(np.arange(len(rows)), hard)
    rng = np.random.default_rng([seed, 3])
    drawn = rng.choice(rest, size=min(most - len(hard), len(rest)), replace=False)
    return np.concatenate([hard, np.sort(drawn)])


def check_expert(
    problem: Problem, choice: Choice, desk: Desk, size: tuple[int, int, int]
) -> dict[str, float]:
    """Ask about labelled texts whose answer is known; compare expert and head on the same texts.

    The head's answers are out of fold, the expert sees no example that is the text itself. An option list that
    misses the truth counts as right where the expert says "none of these".

    Parameters
    ----------
    size : tuple of (seed, texts, options)
        Seed of the choice of texts; most texts to ask about; most options of a question.

    Returns
    -------
    dict
        `n`, and the accuracy of `expert` and `head`; the same on the half where the head is least sure, as
        `expert_hard` and `head_hard`.
    """
    seed, most, candidates = size
    places = check_rows(choice, seed, most)
    proba = choice.proba[places]
    rows, truth = choice.held_out[places], problem.y_given[choice.held_out[places]]
    order = np.argsort(-proba, axis=1, kind="stable")
    counts = candidate_counts(proba, most=candidates)
    options_of = [ranked[:count].tolist() for ranked, count in zip(order, counts, strict=True)]
    examples = Examples.of(confirmed(problem, np.full(len(problem.open_texts), -1)))
    asked = [
        Asked(
            -1 - row,
            tuple(options),
            nearest_examples(examples, problem.X_given[row], options, but=-1 - row),
        )
        for row, options in zip(rows.tolist(), options_of, strict=True)
    ]
    verdicts = desk.ask([to_question(problem, item, "choose") for item in asked], STEP)
    answered = sorted(verdicts)
    names = [label.name for label in problem.labels]
    right = np.array([verdicts[i].label == _expected(names, asked[i], int(truth[i])) for i in answered])
    head_right = (order[:, 0] == truth)[answered]
    hard = np.array(answered) < most // 2
    scores = {"n": float(len(answered)), "expert": right.mean(), "head": head_right.mean()}
    if hard.any():
        scores |= {"expert_hard": right[hard].mean(), "head_hard": head_right[hard].mean()}
    return {name: float(value) for name, value in scores.items()}


def _expected(names: list[str], asked: Asked, truth: int) -> str | None:
    return names[truth] if truth in asked.options else None


def advice(scores: dict[str, float]) -> str:
    """Return in one sentence whether the expert is worth its price, as far as the check can tell.

    What counts is the half where the head is least sure: such texts are what a run asks about.

    Examples
    --------
    >>> advice({"n": 60, "expert": 0.9, "head": 0.8})
    'the expert is right on 90 % of 60 labelled texts, the head on 80 %'
    >>> advice({"n": 60, "expert": 0.6, "head": 0.8})[65:]
    '%: it does not beat the head, so its answers are not worth buying'
    """
    expert, head = (round(100 * scores[who]) for who in ("expert", "head"))
    told = f"the expert is right on {expert} % of {scores['n']:.0f} labelled texts, the head on {head} %"
    if "expert_hard" in scores:
        expert, head = (round(100 * scores[who]) for who in ("expert_hard", "head_hard"))
        told += f"; where the head is least sure, on {expert} % and {head} %"
    better = scores.get("expert_hard", scores["expert"]) > scores.get("head_hard", scores["head"])
    return told + ("" if better else ": it does not beat the head, so its answers are not worth buying")

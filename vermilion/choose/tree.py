"""Learning texts whose labels stand under others: a head over all classes, and how deep it places a text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
from sklearn.base import clone

from vermilion.choose.lesson import Learned, Lesson, percent
from vermilion.choose.one_label import learn_one_label
from vermilion.config import Goal
from vermilion.errors import InputError
from vermilion.learn.decision_rules import Tree
from vermilion.learn.hierarchy import Backoff, backoffs, best_backoff, levels, numbered
from vermilion.learn.model_choice import OutOfFold
from vermilion.types import IntArray


def learn_tree(lesson: Lesson) -> Learned:
    """Learn all labels that texts have as one flat task, and choose how sure a label must be to be taken.

    Raises
    ------
    InputError
        Texts have one label only, or an option does not fit the task.
    """
    parents = numbered([label.name for label in lesson.labels], [label.parent for label in lesson.labels])
    classes = np.unique(lesson.codes)
    if len(classes) < 2:
        name = lesson.labels[classes[0]].name
        cure = "add texts of another label"
        raise InputError("texts of two labels at least", f"'{name}' alone", "labels", cure)
    learned = learn_one_label(_flat(lesson, classes))
    rule, tried = _rule(learned.held_out, classes, parents, lesson.settings.goal)
    findings = dict(learned.findings)
    if tried:
        findings["tree"] = {"chosen": asdict(tried[0]), "without_least": asdict(tried[1])}
    lines = (*learned.lines, _tree_line(parents, classes), _least_line(rule, tried))
    head = clone(learned.head).from_tensors(learned.head.to_tensors(), classes)
    return replace(learned, head=head, rule=rule, findings=findings, lines=lines)


def _flat(lesson: Lesson, classes: IntArray) -> Lesson:
    """Return the lesson of the labels that texts have, numbered anew, without a thought of groups."""
    codes = np.searchsorted(classes, lesson.codes).tolist()
    return replace(
        lesson,
        y=tuple((code,) for code in codes),
        labels=tuple(lesson.labels[number] for number in classes.tolist()),
        task="multi-class",
        settings=replace(lesson.settings, task="multi-class", threshold="auto"),
    )


def _rule(
    held_out: OutOfFold | None, classes: IntArray, parents: IntArray, goal: Goal
) -> tuple[Tree, tuple[Backoff, Backoff] | None]:
    """Return the rule, and what it gives on texts held out beside always going down to a class."""
    above = tuple(parents.tolist())
    if goal.by == "fixed" or held_out is None or not len(held_out.rows):
        return Tree(above, goal.value if goal.by == "fixed" else 0.5), None
    proba = np.zeros((len(held_out.rows), len(parents)))
    proba[:, classes] = held_out.proba
    tried = backoffs(proba, classes[held_out.codes], parents)
    best = best_backoff(tried, _loss(goal))
    chosen_by = "hierarchical f1" if goal.by in ("auto", "f1") else str(goal)
    return Tree(above, best.least, chosen_by), (best, tried[0])


def _loss(goal: Goal) -> Callable[[Backoff], float]:
    """Return what is to be small. Costs count labels on the path: those that are wrong, and those that are missing."""
    losses: dict[str, Callable[[Backoff], float]] = {
        "cost": lambda one: goal.value * one.wrong + goal.other * one.missing,
        "precision": lambda one: max(goal.value - one.right, 0.0),
        "recall": lambda one: 1 - one.precision if one.recall >= goal.value else 2 + goal.value - one.recall,
    }
    return losses.get(goal.by, lambda one: -one.f1)


def _tree_line(parents: IntArray, classes: IntArray) -> tuple[str, str]:
    groups = len(parents) - len(classes)
    return (
        "tree",
        f"{len(levels(parents))} levels; {len(classes):,} labels with texts, {groups:,} groups without",
    )


def _least_line(rule: Tree, tried: tuple[Backoff, Backoff] | None) -> tuple[str, str]:
    how = f"{rule.least:.2f} by {rule.chosen_by}" if tried else f"{rule.least:.2f}"
    if tried is None:
        return "a label is taken from", f"{how}, else the group above it"
    best, deepest = tried
    said = (
        f"{how}, else the group above it: of texts held out {percent(best.right)} are placed rightly,"
        f" {percent(best.deep)} as deep as they are labelled; without it {percent(deepest.right)} are placed rightly"
    )
    return "a label is taken from", said + (
        f"; {rule.chosen_by} is out of reach" if not _reached(rule, best) else ""
    )


def _reached(rule: Tree, found: Backoff) -> bool:
    """Tell whether a wanted precision or recall is had on texts held out."""
    kind, _, value = rule.chosen_by.partition(":")
    had = {"precision": found.right, "recall": found.recall}.get(kind, 1.0)
    return kind not in ("precision", "recall") or had >= float(value)

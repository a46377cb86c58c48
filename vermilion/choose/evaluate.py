"""How good a model is on texts whose labels are known: `vermilion evaluate`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vermilion.choose.evaluation import Evaluation, Sliced
from vermilion.choose.evaluation_notes import notes
from vermilion.choose.evaluation_page import render_evaluation
from vermilion.choose.evaluation_pictures import pictures
from vermilion.choose.judging import judge
from vermilion.choose.progress import Progress
from vermilion.errors import InputError
from vermilion.learn.decision_rules import Threshold, Thresholds, Tree
from vermilion.learn.judged import Judged
from vermilion.learn.judged_one import OneLabel
from vermilion.learn.judged_tree import OnePath, in_tree
from vermilion.learn.metrics import estimates, measure, order
from vermilion.learn.metrics_compared import compare
from vermilion.learn.metrics_confusion import confusions
from vermilion.learn.metrics_labels import label_scores
from vermilion.learn.metrics_slices import groups_of, sliced, widest_gaps
from vermilion.types import Label, Texts
from vermilion.world.data import data_hash, read_texts
from vermilion.world.data_columns import read_column
from vermilion.world.data_writer import replacing, write_decisions
from vermilion.world.models import SavedModel
from vermilion.world.pairs import queries_of
from vermilion.world.predictor import Predictor
from vermilion.world.source import BadRows, Columns

EVALUATION, PREDICTIONS, PAGE = "evaluation.json", "predictions.jsonl", "evaluation.html"


@dataclass(frozen=True, slots=True)
class Request:
    """What is evaluated, and how its file is read.

    Attributes
    ----------
    test : str
        The file of texts with their labels.
    model, against : str
        What the models are called, for people; `against` is empty where there is one alone.
    slices : tuple of str
        Columns by whose values texts are compared.
    query : str
        Column that tells which query a pair is a candidate for; empty where the first text of a pair tells.
    """

    test: str
    model: str
    against: str = ""
    slices: tuple[str, ...] = ()
    query: str = ""
    columns: Columns = field(default_factory=Columns)
    skip_bad_rows: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """An evaluation, and what its files are written from."""

    evaluation: Evaluation
    texts: Texts
    judged: Judged
    other: tuple[Judged, tuple[str, ...]] | None
    cells: dict[str, tuple[str | None, ...]]
    left_out: BadRows


def evaluate_file(
    request: Request, model: Predictor, against: Predictor | None, progress: Progress
) -> Result:
    """Read the test file, predict, and measure. Nothing is written.

    Raises
    ------
    InputError
        The file cannot be read, has no labels, or has labels that a model does not know; a column to slice by is not
        there.
    """
    left_out = BadRows()
    skipped = left_out if request.skip_bad_rows else None
    texts = read_texts(request.test, request.columns, labelled=True, skipped=skipped, unanimous=False)
    cells = {name: read_column(texts, name, request.columns, "--slice") for name in request.slices}
    queries = queries_of(texts.texts, _query_cells(request, texts))
    own = judge(model, texts, queries, progress)
    other = (
        None if against is None else _other((model, own), against, judge(against, texts, queries, progress))
    )
    found = _evaluation(request, model, texts, (own, other[0] if other else None), cells)
    evaluation = replace(found, left_out=left_out.count)
    return Result(evaluation, texts, own, other, cells, left_out)


def _query_cells(request: Request, texts: Texts) -> tuple[str | None, ...] | None:
    return read_column(texts, request.query, request.columns, "--query-column") if request.query else None


def _other(
    own: tuple[Predictor, Judged], against: Predictor, judged: Judged
) -> tuple[Judged, tuple[str, ...]]:
    """Return what another model says, with its labels' names; in the tree of the first where it has no groups."""
    names, its = _names(own[0].model.labels), _names(against.model.labels)
    if isinstance(judged, OneLabel) and isinstance(own[1], OnePath) and set(its) <= set(names):
        numbers = np.array([names.index(name) for name in its], dtype=np.int64)
        return in_tree(judged, numbers, own[1]), names
    return judged, its


def _evaluation(
    request: Request,
    model: Predictor,
    texts: Texts,
    both: tuple[Judged, Judged | None],
    cells: dict[str, tuple[str | None, ...]],
) -> Evaluation:
    own, other = both
    saved = model.model
    draws = measure(own, np.random.default_rng(request.seed))
    metrics = estimates(draws)
    comparison = None
    if other is not None:
        comparison = compare(
            draws, measure(other, np.random.default_rng(request.seed)), (own.right, other.right)
        )
    slices = []
    for place, (column, values) in enumerate(cells.items()):
        groups = sliced(own, groups_of(values), np.random.default_rng([request.seed, place]))
        slices.append(Sliced(column, groups, widest_gaps(groups)))
    names, tally = _names(saved.labels), own.label_figures().tally()
    return Evaluation(
        model=request.model,
        test=texts.source,
        sha256=data_hash(texts),
        task=saved.task,
        decision=_decision(saved, names),
        texts=len(texts),
        seed=request.seed,
        names=names,
        known=len(saved.head.classes_),
        metrics={name: metrics[name] for name in order(tuple(metrics))},
        labels=label_scores(tally),
        confusions=confusions(own.mixed(), tally.true.astype(np.int64)),
        pictures=pictures(own, names),
        levels=own.levels(),
        slices=tuple(slices),
        against=request.against,
        comparison=comparison,
        notes=tuple(notes(own, saved.head.classes_, texts, learned_from=_learned_from(model, texts))),
    )


def _names(labels: Sequence[Label]) -> tuple[str, ...]:
    return tuple(label.name for label in labels)


def _decision(model: SavedModel, names: Sequence[str]) -> str:
    """Say in words how probabilities become labels."""
    match model.rule:
        case Threshold(positive, value, by):
            return f"'{names[positive]}' from a probability of {value:.3g} (chosen by {by})"
        case Thresholds(_, by):
            return f"every label from its own threshold (chosen by {by})"
        case Tree(_, least):
            return f"a path down the tree, as long as it is {least:.3g} sure"
    return "the likeliest label"


def _learned_from(model: Predictor, texts: Texts) -> bool:
    """Tell whether the model was learned from this very file."""
    told = model.model.origin.get("data", {})
    return isinstance(told, Mapping) and data_hash(texts) in told.values()


def write_evaluation(folder: Path, result: Result) -> None:
    """Write evaluation.json, predictions.jsonl and evaluation.html, each whole or not at all.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "a folder to write to", f"an error: {error.strerror}", str(folder), "name another"
        ) from None
    told = json.dumps(result.evaluation.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    rows = list(prediction_rows(result))
    page = render_evaluation(result.evaluation, rows)
    for name, content in ((EVALUATION, told + "\n"), (PAGE, page)):
        with replacing(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    write_decisions(folder / PREDICTIONS, rows)


def prediction_rows(result: Result) -> Iterator[dict[str, Any]]:
    """Yield one row a text, errors first, and of these the ones that the model was surest of.

    Texts that stand above their true label in a tree come after the errors.
    """
    judged, names = result.judged, result.evaluation.names
    confidence = judged.confidence
    order = np.lexsort(
        (np.where(judged.placed, confidence, -confidence), judged.placed.astype(int) + judged.right)
    )
    for at in order.tolist():
        row: dict[str, Any] = {
            "id": result.texts.ids[at],
            "text": result.texts.texts[at],
            "right": bool(judged.right[at]),
            **({"placed": bool(judged.placed[at])} if isinstance(judged, OnePath) else {}),
            "true": _said(judged.true[at], names),
            "predicted": _said(judged.predicted[at], names),
            "confidence": round(float(confidence[at]), 6),
        }
        if result.other is not None:
            row["predicted_by_other"] = _said(result.other[0].predicted[at], result.other[1])
        yield row | {name: cells[at] for name, cells in result.cells.items() if name not in row}


def _said(labels: NDArray[Any], names: Sequence[str]) -> str | list[str] | None:
    """Return a row's labels by name: one or none, or a list where there may be several."""
    if np.ndim(labels):
        return [names[number] for number in np.flatnonzero(labels).tolist()]
    return names[int(labels)] if labels >= 0 else None

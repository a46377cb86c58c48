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
from vermilion.choose.evaluation_page import render_evaluation
from vermilion.choose.evaluation_pictures import pictures
from vermilion.choose.judging import judge
from vermilion.choose.progress import Progress
from vermilion.errors import InputError
from vermilion.learn.decision_rules import Threshold, Thresholds, Tree
from vermilion.learn.judged import Judged
from vermilion.learn.metrics import estimates, measure, order
from vermilion.learn.metrics_compared import compare
from vermilion.learn.metrics_confusion import confusions
from vermilion.learn.metrics_labels import Tally, label_scores
from vermilion.learn.metrics_slices import groups_of, sliced, widest_gaps
from vermilion.types import Label, Texts
from vermilion.world.data import data_hash, read_texts
from vermilion.world.data_columns import read_column
from vermilion.world.data_writer import replacing, write_decisions
from vermilion.world.models import SavedModel
from vermilion.world.predictor import Predictor
from vermilion.world.source import BadRows, Columns

EVALUATION, PREDICTIONS, PAGE = "evaluation.json", "predictions.jsonl", "evaluation.html"
FEW_TEXTS, FEW_OF_A_LABEL = 100, 5


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
    """

    test: str
    model: str
    against: str = ""
    slices: tuple[str, ...] = ()
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
    texts = read_texts(request.test, request.columns, labelled=True, skipped=skipped)
    cells = {name: read_column(texts, name, request.columns, "--slice") for name in request.slices}
    own = judge(model, texts, progress)
    other = None if against is None else judge(against, texts, progress)
    found = _evaluation(request, model, texts, (own, other), cells)
    evaluation = replace(found, left_out=left_out.count)
    names = None if against is None or other is None else (other, _names(against.model.labels))
    return Result(evaluation, texts, own, names, cells, left_out)


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
        decision=_decision(model.model, names),
        texts=len(texts),
        seed=request.seed,
        names=names,
        metrics={name: metrics[name] for name in order(tuple(metrics))},
        labels=label_scores(tally),
        confusions=confusions(own.mixed(), tally.true.astype(np.int64)),
        pictures=pictures(own, names),
        slices=tuple(slices),
        against=request.against,
        comparison=comparison,
        notes=tuple(_notes(own, tally, _learned_from(model, texts))),
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


def _notes(judged: Judged, tally: Tally, learned_from: bool) -> Iterator[str]:
    """Yield what a reader must know before he believes the figures."""
    if learned_from:
        yield "The model was learned from this very file: its figures say nothing about new texts."
    n, there, known = len(judged), int((tally.true > 0).sum()), len(tally.true)
    if n < FEW_TEXTS:
        yield f"Only {_counted(n, 'text')}: believe the intervals rather than the values."
    if there < known:
        absent = f"{known - there:,} of the model's {known:,} labels have no text here"
        yield f"{absent}; averages leave them out unless they were predicted."
    few = int(((tally.true > 0) & (tally.true < FEW_OF_A_LABEL)).sum())
    if few and there > 1:
        yield f"{_counted(few, 'label')} with fewer than {FEW_OF_A_LABEL} texts: their own figures say little."
    none = n - int(judged.given.sum())
    if none:
        yield f"{_counted(none, 'text')} got no label; where one is true, that is counted as wrong."


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


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
    """Yield one row a text, errors first, and of these the ones that the model was surest of."""
    judged, names = result.judged, result.evaluation.names
    confidence = judged.confidence
    order = np.lexsort((np.where(judged.right, confidence, -confidence), judged.right))
    for at in order.tolist():
        row: dict[str, Any] = {
            "id": result.texts.ids[at],
            "text": result.texts.texts[at],
            "right": bool(judged.right[at]),
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

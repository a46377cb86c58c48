"""A model's head as an ONNX graph: vectors in, calibrated probabilities out, a column for each label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vermilion.errors import InputError
from vermilion.learn.calibration import LOG_FLOOR
from vermilion.learn.calibrators import IDENTITY, LOWEST_LOG, Calibrator, IsotonicScaling, VectorScaling
from vermilion.learn.label_calibration import LabelScaling, log_odds
from vermilion.learn.stacked_labels import SCALE
from vermilion.learn.subset_head import OWN_SHARES
from vermilion.types import FloatArray
from vermilion.world.models import SavedModel
from vermilion.world.onnx_graph import Graph, blocks_of

VECTORS, PROBABILITIES = "vectors", "probabilities"


def head_onnx(model: SavedModel, dimension: int, *, int8: bool = False) -> bytes:
    """Return a model's head, with its temperature and calibration, as an ONNX model.

    Input `vectors`, float32 of shape (n, dimension), made of length 1 in the graph; output `probabilities`, float32 of
    shape (n, labels), 0 for a group that no text has by itself.

    Parameters
    ----------
    model : SavedModel
    dimension : int
    int8 : bool
        Weights as int8 by rows.

    Raises
    ------
    InputError
        The head, or its calibration, has no ONNX form.
    MissingExtraError
        onnx is not installed.
    """
    if model.kind not in HEADS:
        raise _no_form(f"head {model.kind}")
    graph = Graph(int8=int8)
    scores = HEADS[model.kind](graph, graph.unit_rows(VECTORS), model.head)
    proba = (_several if model.task == "multi-label" else _one)(graph, scores, model)
    wide = _spread(graph, proba, model)
    return graph.model(
        {VECTORS: ("float32", ["batch", dimension])},
        {PROBABILITIES: ("float32", ["batch", len(model.labels)])},
        {PROBABILITIES: wide},
        {"task": model.task, "encoder": model.encoder, "encoder_digest": model.encoder_digest},
    )


def _one(graph: Graph, logits: str, model: SavedModel) -> str:
    sharpness = graph.constant(np.float32(1 / model.temperature))
    proba = graph.add("Softmax", graph.add("Mul", logits, sharpness), axis=-1)
    after = model.calibrator
    return proba if after is None else _calibration(after)(graph, proba, after)


def _several(graph: Graph, odds: str, model: SavedModel) -> str:
    """Scale the log odds themselves: a probability near 0 has lost their last digits."""
    if isinstance(model.calibrator, LabelScaling):
        lowest, highest = log_odds(np.array([0.0, 1.0], dtype=np.float32))
        bounded = graph.add("Clip", odds, graph.constant(lowest), graph.constant(highest))
        scaled = graph.add("Mul", bounded, _row(graph, model.calibrator.scale))
        odds = graph.add("Add", scaled, _row(graph, model.calibrator.bias))
    elif model.calibrator is not None:
        raise _no_form(f"calibration {model.calibrator.method}")
    return graph.add("Sigmoid", odds)


def _calibration(calibrator: Calibrator) -> Callable[[Graph, str, Any], str]:
    if type(calibrator) not in CALIBRATIONS:
        raise _no_form(f"calibration {calibrator.method}")
    return CALIBRATIONS[type(calibrator)]


def _no_form(what: str) -> InputError:
    return InputError(
        "a head and calibration with an ONNX form", what, "the model", "serve it by vermilion serve"
    )


def _spread(graph: Graph, proba: str, model: SavedModel) -> str:
    """Return a column for each label; those of which the head knows nothing are 0."""
    classes = model.head.classes_
    if len(classes) == len(model.labels):
        return proba
    place = np.full(len(model.labels), len(classes), dtype=np.int64)
    place[classes] = np.arange(len(classes))
    return graph.add("Gather", _with_column(graph, proba, 0.0), graph.constant(place), axis=1)


def _with_column(graph: Graph, x: str, value: float) -> str:
    """Return x, shape (n, K), with one more column of a value."""
    first = graph.add("Gather", x, graph.constant(np.array([0], dtype=np.int64)), axis=1)
    filled = graph.add("Expand", graph.constant(np.float32(value)), graph.add("Shape", first))
    return graph.add("Concat", x, filled, axis=1)


# --- heads: the logits, or log odds, of each class


def _flat(graph: Graph, x: str, head: Any) -> str:
    return graph.linear(x, head.coef_, head.intercept_)


def _centroid(graph: Graph, x: str, head: Any) -> str:
    return graph.linear(x, head.centroids_ / head.temperature_)


def _stacked(graph: Graph, x: str, head: Any) -> str:
    said = graph.add("Sigmoid", _flat(graph, x, head.first_))
    beside = graph.add("Concat", x, graph.add("Mul", said, graph.constant(np.float32(SCALE))), axis=1)
    return _flat(graph, beside, head.second_)


def _subset(graph: Graph, x: str, head: Any) -> str:
    """As `SubsetHead._logits`, with the labels of each subset side by side, shape (n, subsets, largest subset)."""
    division = head.division_
    blocks = blocks_of(division.subset_of)

    def in_blocks(values: str) -> str:
        return graph.add("Gather", _with_column(graph, values, -np.inf), graph.constant(blocks), axis=1)

    def of_block(values: str) -> str:
        return graph.add("ReduceMax", values, axes=[2], keepdims=1)

    logits = in_blocks(graph.linear(x, division.own.coef, division.own.intercept))
    noise = graph.linear(x, division.noise.coef, np.maximum(division.noise.intercept, LOG_FLOOR * 100))
    with_noise = graph.add(
        "Concat", logits, graph.add("Unsqueeze", noise, graph.constant(np.array([2], dtype=np.int64))), axis=2
    )
    logs = graph.add("LogSoftmax", with_noise, axis=-1)
    whole = graph.constant(np.arange(blocks.shape[1], dtype=np.int64))
    own = graph.add("Gather", logs, whole, axis=2)
    winners = of_block(own)
    behind = graph.add("Sub", own, winners)
    scores = own
    if head.arbiter_ is not None:
        arbiter = _centroid if head.arbiter == "centroid" else _flat
        told = graph.add("LogSoftmax", arbiter(graph, x, head.arbiter_), axis=-1)
        told = in_blocks(graph.add("Max", told, graph.constant(np.float32(LOG_FLOOR))))
        if share := OWN_SHARES[head.arbiter]:
            told = graph.add("Add", told, graph.add("Mul", own, graph.constant(np.float32(share))))
        scores = told
    first = graph.add("Equal", own, winners)
    only = graph.add("Where", first, scores, graph.constant(np.float32(-np.inf)))
    logits = graph.add("Add", of_block(only), behind)
    flat = graph.add("Flatten", logits, axis=1)
    place = np.empty(len(division.subset_of), dtype=np.int64)
    there = blocks.ravel() < len(place)
    place[blocks.ravel()[there]] = np.flatnonzero(there)
    return graph.add("Gather", flat, graph.constant(place), axis=1)


HEADS: dict[str, Callable[[Graph, str, Any], str]] = {
    "flat": _flat,
    "centroid": _centroid,
    "subset": _subset,
    "one-vs-rest": _flat,
    "stacked": _stacked,
}


# --- calibration: probabilities in, better ones out


def _vector(graph: Graph, proba: str, scaling: Any) -> str:
    logs = graph.add("Max", graph.add("Log", proba), graph.constant(np.float32(LOWEST_LOG)))
    scaled = graph.add("Mul", logs, _row(graph, scaling.scale))
    scaled = graph.add("Add", scaled, _row(graph, scaling.bias))
    none = graph.add("Equal", proba, graph.constant(np.float32(0)))
    scaled = graph.add("Where", none, graph.constant(np.float32(-np.inf)), scaled)
    return graph.add("Softmax", scaled, axis=-1)


def _isotonic(graph: Graph, proba: str, scaling: Any) -> str:
    """Find the corner below each probability, then go along the line from it; in float64, since steps are steep."""
    x, y = np.array(scaling.x, dtype=np.float64), np.array(scaling.y, dtype=np.float64)
    slope = np.append(np.diff(y) / np.diff(x), 0.0)
    wide = graph.add("Cast", proba, to=graph.onnx.TensorProto.DOUBLE)
    inside = graph.add("Clip", wide, graph.constant(x[0]), graph.constant(x[-1]))
    each = graph.add("Unsqueeze", inside, graph.constant(np.array([2], dtype=np.int64)))
    passed = graph.add("GreaterOrEqual", each, graph.constant(x[1:]))
    counts = graph.add("Cast", passed, to=graph.onnx.TensorProto.FLOAT)
    corner = graph.add("ReduceSum", counts, graph.constant(np.array([2], dtype=np.int64)), keepdims=0)
    corner = graph.add("Cast", corner, to=graph.onnx.TensorProto.INT64)
    along = graph.add("Sub", inside, graph.add("Gather", graph.constant(x), corner))
    rise = graph.add("Mul", along, graph.add("Gather", graph.constant(slope), corner))
    curve = graph.add("Add", graph.add("Gather", graph.constant(y), corner), rise)
    mixed = graph.add(
        "Add",
        graph.add("Mul", curve, graph.constant(np.float64(1 - IDENTITY))),
        graph.add("Mul", wide, graph.constant(np.float64(IDENTITY))),
    )
    none = graph.add("Equal", proba, graph.constant(np.float32(0)))
    mixed = graph.add("Where", none, graph.constant(np.float64(0)), mixed)
    total = graph.add("ReduceSum", mixed, graph.constant(np.array([1], dtype=np.int64)), keepdims=1)
    total = graph.add("Max", total, graph.constant(np.float64(np.finfo(np.float32).tiny)))
    return graph.add("Cast", graph.add("Div", mixed, total), to=graph.onnx.TensorProto.FLOAT)


def _row(graph: Graph, values: tuple[float, ...] | FloatArray) -> str:
    return graph.constant(np.asarray(values, dtype=np.float32))


CALIBRATIONS: dict[type, Callable[[Graph, str, Any], str]] = {
    VectorScaling: _vector,
    IsotonicScaling: _isotonic,
}

"""What sets probabilities right beyond a temperature: a scale and a bias for each label, or an isotonic curve.

Both need more rows than a temperature, which is one number: `tried` says how many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

from vermilion.learn.calibration import apply_temperature, log_proba, softmax
from vermilion.learn.calibration_metrics import effective_size
from vermilion.learn.label_calibration import LabelScaling
from vermilion.types import FloatArray, Head, IntArray

# An isotonic curve overfits below a thousand rows (Niculescu-Mizil and Caruana, 2005); a scale and a bias for each
# label want some ten rows for each of the two.
ISOTONIC_LEAST, VECTOR_LEAST_A_LABEL = 1000, 20
ISOTONIC_MOST_CELLS = 2_000_000
# A belief that scales are near 1 and biases near 0, as a standard deviation.
VECTOR_SPREAD = 0.5
LOWEST_LOG = -30.0
# So much of the identity is mixed into a curve, so that it has no flat parts and two labels never become equal.
IDENTITY = 1e-3


@runtime_checkable
class Calibrator(Protocol):
    """Probabilities in, better ones out. A value: equal ones do the same."""

    @property
    def method(self) -> str:
        """Its key in FITS."""
        ...

    def apply(self, proba: FloatArray) -> FloatArray:
        """Return calibrated probabilities, shape (n, K), in the dtype of `proba`; zeros stay zeros."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types that `restore` understands."""
        ...


@dataclass(frozen=True, slots=True)
class VectorScaling:
    """Each label's log-probability has a scale and a bias (Guo et al., 2017). The order of labels may change.

    Examples
    --------
    >>> VectorScaling((1.0, 1.0), (0.0, np.log(3.0))).apply(np.array([[0.5, 0.5]])).round(3).tolist()
    [[0.25, 0.75]]
    """

    scale: tuple[float, ...]
    bias: tuple[float, ...]

    @property
    def method(self) -> str:
        """Its key in FITS."""
        return "vector"

    def apply(self, proba: FloatArray) -> FloatArray:
        """Return calibrated probabilities."""
        logits = _logs(proba)
        logits *= np.asarray(self.scale, dtype=proba.dtype)
        logits += np.asarray(self.bias, dtype=proba.dtype)
        logits[proba == 0] = -np.inf
        return softmax(logits)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"method": self.method, "scale": list(self.scale), "bias": list(self.bias)}


@dataclass(frozen=True, slots=True)
class IsotonicScaling:
    """One rising curve for all probabilities, then rows are made to sum to 1. The order of labels stays.

    One against the rest (Zadrozny and Elkan, 2002), with one curve for all labels, since few have enough rows for
    their own.

    Attributes
    ----------
    x, y : tuple of float
        Corners of the curve, from 0 to 1; it is straight in between.

    Examples
    --------
    >>> IsotonicScaling((0.0, 0.6, 1.0), (0.0, 0.9, 1.0)).apply(np.array([[0.6, 0.4]])).round(2).tolist()
    [[0.6, 0.4]]
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    @property
    def method(self) -> str:
        """Its key in FITS."""
        return "isotonic"

    def apply(self, proba: FloatArray) -> FloatArray:
        """Return calibrated probabilities."""
        curve = np.interp(proba, self.x, self.y).astype(proba.dtype)
        mixed = (1 - IDENTITY) * curve + IDENTITY * proba
        mixed[proba == 0] = 0
        total = mixed.sum(axis=1, keepdims=True)
        shares: FloatArray = mixed / np.maximum(total, np.finfo(proba.dtype).tiny)
        return shares

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"method": self.method, "x": list(self.x), "y": list(self.y)}


SCALED: dict[str, Callable[[tuple[float, ...], tuple[float, ...]], Calibrator]] = {
    "vector": VectorScaling,
    "label": LabelScaling,
}


def restore(told: Mapping[str, Any], n_labels: int) -> Calibrator:
    """Return the calibrator that `to_json` told of.

    Raises
    ------
    ValueError
        The method is unknown, or its numbers do not fit.

    Examples
    --------
    >>> curve = IsotonicScaling((0.0, 1.0), (0.0, 1.0))
    >>> restore(curve.to_json(), 3) == curve
    True
    """
    method = told.get("method")
    if method in SCALED:
        scale, bias = _numbers(told["scale"]), _numbers(told["bias"])
        if not len(scale) == len(bias) == n_labels:
            raise ValueError(
                f"{n_labels} labels need as many scales and biases, got {len(scale)}, {len(bias)}"
            )
        return SCALED[method](scale, bias)
    if method == "isotonic":
        x, y = _numbers(told["x"]), _numbers(told["y"])
        rising = len(x) == len(y) > 0 and all(np.diff(x) > 0) and all(np.diff(y) >= 0)
        if not rising or x[0] < 0 or x[-1] > 1 or y[0] < 0 or y[-1] > 1:
            raise ValueError("an isotonic curve must rise within 0 and 1")
        return IsotonicScaling(x, y)
    raise ValueError(f"calibration method {method!r:.40}")


def _numbers(values: Sequence[float]) -> tuple[float, ...]:
    found = tuple(float(value) for value in values)
    if not np.isfinite(found).all():
        raise ValueError("calibration: a number is not finite")
    return found


@runtime_checkable
class HasLogits(Protocol):
    """A head whose probabilities are the softmax of its logits."""

    def logits(self, X: FloatArray) -> FloatArray:
        """Return fresh logits, shape (n, K), one column a label."""
        ...


def calibrated_proba(
    head: Head, X: FloatArray, temperature: float, after: Calibrator | None = None
) -> FloatArray:
    """Return a head's probabilities at a temperature, and what comes after it applied, shape (n, K).

    Logits are divided before the softmax, which spares a power of every probability: a third of the time at 970 labels.
    """
    if isinstance(head, HasLogits):
        logits = head.logits(X)
        logits *= logits.dtype.type(1 / temperature)
        proba = softmax(logits)
    else:
        proba = apply_temperature(head.predict_proba(X), temperature)
    return proba if after is None else after.apply(proba)


def fit_vector(proba: FloatArray, codes: IntArray, weights: FloatArray) -> VectorScaling:
    """Fit a scale and a bias for each label by weighted log loss, held near 1 and 0 where rows say little.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Held out.
    codes : ndarray of int, shape (n,)
    weights : ndarray of shape (n,)
        Their sum counts as the number of rows.
    """
    logs = _logs(proba.astype(np.float64))
    target = np.zeros_like(logs)
    target[np.arange(len(codes)), codes] = 1
    columns, share = logs.shape[1], np.asarray(weights, dtype=np.float64)[:, None]

    def loss(parameters: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        scale, bias = parameters[:columns], parameters[columns:]
        said = softmax(logs * scale + bias)
        own = np.log(np.maximum(said[np.arange(len(codes)), codes], np.finfo(np.float64).tiny))
        gap = share * (said - target)
        off = np.concatenate([scale - 1, bias]) / VECTOR_SPREAD
        slope = np.concatenate([(gap * logs).sum(axis=0), gap.sum(axis=0)]) + off / VECTOR_SPREAD
        return float(-(share[:, 0] * own).sum() + 0.5 * (off @ off)), slope

    start = np.concatenate([np.ones(columns), np.zeros(columns)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    return VectorScaling(tuple(found[:columns].tolist()), tuple(found[columns:].tolist()))


def fit_isotonic(proba: FloatArray, codes: IntArray, weights: FloatArray) -> IsotonicScaling:
    """Fit one rising curve from probability to frequency, over all rows and labels; shapes as in `fit_vector`."""
    happened = np.zeros(proba.shape, dtype=np.float64)
    happened[np.arange(len(codes)), codes] = 1
    each = np.repeat(np.asarray(weights, dtype=np.float64), proba.shape[1])
    curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    curve.fit(proba.astype(np.float64).ravel(), happened.ravel(), sample_weight=each)
    return IsotonicScaling(
        tuple(np.clip(curve.X_thresholds_, 0, 1).tolist()), tuple(np.clip(curve.y_thresholds_, 0, 1).tolist())
    )


FITS: dict[str, Callable[[FloatArray, IntArray, FloatArray], Calibrator]] = {
    "vector": fit_vector,
    "isotonic": fit_isotonic,
}


def tried(n_labels: int, weights: FloatArray) -> tuple[str, ...]:
    """Return the methods that these rows are enough for; weights of their own make them fewer (Kish).

    Isotonic scaling sorts all rows times labels at once: beyond some millions that takes minutes and gigabytes.

    Examples
    --------
    >>> tried(150, np.ones(2000)), tried(10, np.ones(500)), tried(4, np.ones(1000))
    (('isotonic',), ('vector',), ('vector', 'isotonic'))
    """
    rows = effective_size(weights)
    least = {"vector": VECTOR_LEAST_A_LABEL * n_labels, "isotonic": ISOTONIC_LEAST}
    small = len(weights) * n_labels <= ISOTONIC_MOST_CELLS
    return tuple(name for name in FITS if rows >= least[name] and (small or name != "isotonic"))


def _logs(proba: FloatArray) -> FloatArray:
    logs: FloatArray = np.maximum(log_proba(proba), proba.dtype.type(LOWEST_LOG))
    return logs

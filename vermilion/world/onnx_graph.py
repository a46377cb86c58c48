"""ONNX graphs put together node by node: the door of `onnx`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vermilion.errors import MissingExtraError
from vermilion.types import FloatArray, IntArray

# What ONNX Runtime 1.20 and onnxruntime-web read, and what the packaged MiniLM is written in.
OPSET, IR = 17, 10
PRODUCER = "vermilion"


class Graph:
    """A graph under construction. Values go by name; `add` and `constant` give the name of what they add.

    Parameters
    ----------
    int8 : bool
        Keep `weights` as int8 with a scale a row: a quarter of the size, computed with as float32.

    Raises
    ------
    MissingExtraError
        onnx is not installed.

    Examples
    --------
    >>> graph = Graph()
    >>> doubled = graph.add("Mul", "x", graph.constant(np.float32(2)))
    >>> content = graph.model({"x": ("float32", ["n"])}, {"y": ("float32", ["n"])}, {"y": doubled})
    >>> content[:2].hex()
    '080a'
    """

    def __init__(self, *, int8: bool = False) -> None:
        self.onnx = load_onnx()
        self.int8 = int8
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, operation: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        name = f"{PRODUCER}_{operation.lower()}_{len(self._nodes)}"
        self._nodes.append(self.onnx.helper.make_node(operation, inputs, [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        """Add an array; return its name."""
        name = f"{PRODUCER}_constant_{len(self._constants)}"
        self._constants.append(self.onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def weights(self, rows: FloatArray) -> str:
        """Add a matrix of weights, shape (n, d), as float32 or, where the graph is int8, as int8 by rows."""
        if not self.int8:
            return self.constant(np.asarray(rows, dtype=np.float32))
        whole, scale = as_int8(rows)
        zero = self.constant(np.zeros(len(scale), dtype=np.int8))
        return self.add("DequantizeLinear", self.constant(whole), self.constant(scale), zero, axis=0)

    def linear(self, x: str, coef: FloatArray, intercept: FloatArray | None = None) -> str:
        """Return x times the transpose of `coef`, shape (K, d), plus `intercept`, shape (K,)."""
        more = () if intercept is None else (self.constant(np.asarray(intercept, dtype=np.float32)),)
        return self.add("Gemm", x, self.weights(coef), *more, transB=1)

    def unit_rows(self, x: str) -> str:
        """Return rows of length 1; rows of zeros stay."""
        length = self.add("ReduceL2", x, axes=[-1], keepdims=1)
        return self.add("Div", x, self.add("Max", length, self.constant(np.float32(1e-30))))

    def model(
        self,
        inputs: Mapping[str, tuple[str, list[str | int]]],
        outputs: Mapping[str, tuple[str, list[str | int]]],
        named: Mapping[str, str],
        notes: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return the finished model.

        Parameters
        ----------
        inputs, outputs : mapping of str to (dtype, shape)
            Names in a shape are free dimensions.
        named : mapping of str to str
            The value behind each output.
        notes : mapping of str to str, optional
            Metadata that travels in the file.
        """
        helper = self.onnx.helper
        nodes = [
            *self._nodes,
            *(helper.make_node("Identity", [value], [name]) for name, value in named.items()),
        ]
        graph = helper.make_graph(
            nodes, PRODUCER, self._values(inputs), self._values(outputs), initializer=self._constants
        )
        return self.finished(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)]), notes)

    def finished(self, model: Any, notes: Mapping[str, str] | None = None) -> bytes:
        """Return a model's bytes, checked, with metadata."""
        model.ir_version, model.producer_name = IR, PRODUCER
        self.onnx.helper.set_model_props(model, dict(notes or {}))
        self.onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def extended(self, content: bytes, named: Mapping[str, str], drop: Mapping[str, str]) -> bytes:
        """Return another model with this graph's nodes after its own; they read its outputs by name.

        Parameters
        ----------
        content : bytes
            The model that comes first.
        named : mapping of str to str
            Its new outputs, float32 of two dimensions, and the values behind them.
        drop : mapping of str to str
            Inputs of it that become values of this graph, which may depend on its other inputs only.
        """
        helper, model = self.onnx.helper, self.onnx.load_model_from_string(content)
        first = [node for node in self._nodes if node.output[0] in drop.values()]
        renamed = [helper.make_node("Identity", [value], [name]) for name, value in drop.items()]
        last = [node for node in self._nodes if node not in first]
        ends = [helper.make_node("Identity", [value], [name]) for name, value in named.items()]
        graph = model.graph
        kept = [one for one in graph.input if one.name not in drop]
        nodes = [*first, *renamed, *graph.node, *last, *ends]
        outputs = self._values({name: ("float32", ["batch", "dimension"]) for name in named})
        whole = helper.make_graph(
            nodes, PRODUCER, kept, outputs, initializer=[*graph.initializer, *self._constants]
        )
        return self.finished(helper.make_model(whole, opset_imports=model.opset_import))

    def _values(self, told: Mapping[str, tuple[str, list[str | int]]]) -> list[Any]:
        helper = self.onnx.helper
        return [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
            for name, (dtype, shape) in told.items()
        ]


def as_int8(rows: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """Return rows as whole numbers from -127 to 127 and the scale of each row, shape (n,).

    Examples
    --------
    >>> whole, scale = as_int8(np.array([[1.27, -0.5], [0.0, 0.0]]))
    >>> whole.tolist(), scale.tolist()[1]
    ([[127, -50], [0, 0]], 1.0)
    """
    largest = np.abs(rows).max(axis=1)
    scale = np.where(largest > 0, largest / 127, 1.0).astype(np.float32)
    return np.rint(rows / scale[:, None]).astype(np.int8), scale


def blocks_of(groups: IntArray) -> IntArray:
    """Return the members of each group, shape (groups, largest), filled up with the number past the last.

    Examples
    --------
    >>> blocks_of(np.array([0, 1, 0])).tolist()
    [[0, 2], [1, 3]]
    """
    members = [np.flatnonzero(groups == group) for group in range(int(groups.max()) + 1)]
    filled = np.full((len(members), max(map(len, members))), len(groups), dtype=np.int64)
    for row, own in zip(filled, members, strict=True):
        row[: len(own)] = own
    return filled


def load_onnx() -> Any:
    """Return the library.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError:
        raise MissingExtraError("onnx", "export") from None
    return onnx

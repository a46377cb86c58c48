"""What an ONNX file says of itself, read from its protobuf bytes alone: whether all its weights are inside it.

A tensor may name another file by a path of its own choice; a model that does is not what its hash says, and may read
what it likes. The numbers are those of onnx.proto3, which never change.
"""

from __future__ import annotations

from collections.abc import Iterator

# Of each message the fields that are messages that may hold tensors.
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_GRAPH, _EXTERNAL_DATA, _DATA_LOCATION = 7, 13, 14
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


def check_onnx(content: bytes) -> None:
    """Check that these bytes are an ONNX model whose tensors are all inside it.

    Raises
    ------
    ValueError
        They are not, or a tensor lies in another file.

    Examples
    --------
    >>> check_onnx(b"not a model")
    Traceback (most recent call last):
    ValueError: no ONNX model
    """
    waiting: list[tuple[str, memoryview]] = [("model", memoryview(content))]
    if _GRAPH not in {number for number, _ in _fields(waiting[0][1])}:
        raise ValueError("no ONNX model")
    while waiting:
        kind, message = waiting.pop()
        children = _CHILDREN[kind]
        for number, value in _fields(message):
            if kind == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value)):
                raise ValueError("a tensor lies in another file; save it as one file")
            if number in children:
                if not isinstance(value, memoryview):
                    raise ValueError("no ONNX model")
                waiting.append((children[number], value))


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield number and value of each field of a message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError("no ONNX model")
        if at + size > len(message):
            raise ValueError("no ONNX model, or cut off")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a number of variable length and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("no ONNX model, or cut off")
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise ValueError("no ONNX model")

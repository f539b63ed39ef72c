"""The weights inside an ONNX file, read without a runtime: they are constants of its graph.

https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, of which four messages are needed. Protocol
Buffers' wire format: https://protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callbot.errors import ModelMissing

# field numbers of onnx.proto
_MODEL_GRAPH: Final = 7
_GRAPH_NODE: Final = 1
_NODE_OUTPUT: Final = 2
_NODE_ATTRIBUTE: Final = 5
_ATTRIBUTE_TENSOR: Final = 5
_ATTRIBUTE_GRAPH: Final = 6
_TENSOR_DIMS: Final = 1
_TENSOR_TYPE: Final = 2
_TENSOR_RAW: Final = 9
_FLOAT32: Final = 1

Field = tuple[int, int | memoryview]


def weights(file: Path) -> dict[str, NDArray[np.float32]]:
    """Every float32 constant, by the name it has in the graph, those of branches too.

    Raises ``ModelMissing`` when the file is no such model.
    """
    try:
        found: dict[str, NDArray[np.float32]] = {}
        for number, graph in _fields(memoryview(file.read_bytes())):
            if number == _MODEL_GRAPH and isinstance(graph, memoryview):
                found.update(_of_graph(graph))
    except (IndexError, ValueError) as error:
        raise ModelMissing(f"{file} is not an ONNX model: {error}") from error
    return found


def _of_graph(graph: memoryview) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for number, node in _fields(graph):
        if number != _GRAPH_NODE or not isinstance(node, memoryview):
            continue
        name = ""
        for field, value in _fields(node):
            if not isinstance(value, memoryview):
                continue
            if field == _NODE_OUTPUT:
                name = bytes(value).decode()
            elif field == _NODE_ATTRIBUTE:
                yield from _of_attribute(name, value)


def _of_attribute(name: str, attribute: memoryview) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for number, value in _fields(attribute):
        if not isinstance(value, memoryview):
            continue
        if number == _ATTRIBUTE_GRAPH:
            yield from _of_graph(value)
        elif number == _ATTRIBUTE_TENSOR:
            tensor = _tensor(value)
            if tensor is not None:
                yield name, tensor


def _tensor(message: memoryview) -> NDArray[np.float32] | None:
    shape: list[int] = []
    kind, raw = 0, b""
    for number, value in _fields(message):
        if number == _TENSOR_DIMS:
            shape += [value] if isinstance(value, int) else list(_varints(value))
        elif number == _TENSOR_TYPE and isinstance(value, int):
            kind = value
        elif number == _TENSOR_RAW and isinstance(value, memoryview):
            raw = bytes(value)
    if kind != _FLOAT32 or not raw:
        return None
    return np.frombuffer(raw, "<f4").reshape(shape)


def _fields(message: memoryview) -> Iterator[Field]:
    """Number and value of each field; what has a length is a view of it."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        match key & 7:
            case 0:  # a number
                value, at = _varint(message, at)
                yield key >> 3, value
            case 2:  # bytes, or a message
                length, at = _varint(message, at)
                yield key >> 3, message[at : at + length]
                at += length
            case 1:  # 64 bits
                at += 8
            case 5:  # 32 bits
                at += 4
            case kind:
                raise ValueError(f"a field of kind {kind} at byte {at}")


def _varints(message: memoryview) -> Iterator[int]:
    at = 0
    while at < len(message):
        value, at = _varint(message, at)
        yield value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7

"""What an ONNX file may hold, read from its bytes before anything else looks at it.

Its own packages follow loops without end and files elsewhere on the disk. What ``aulight export`` writes needs neither,
so a file with either is refused. Protobuf is a list of fields: a number with a type, and what it holds
(https://protobuf.dev/programming-guides/encoding); the numbers are those of onnx.proto.
"""

from collections.abc import Iterator

CONTROL = {b"Loop", b"Scan", b"If", b"SequenceMap"}
"""Operators that run graphs of their own, as often as they like."""

_GRAPH, _FUNCTIONS = 7, 25  # of a model
_NODE, _WEIGHT, _SPARSE = 1, 5, 15  # of a graph
_OPERATOR, _ATTRIBUTE, _DOMAIN = 4, 5, 7  # of a node
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS = 5, 6, 10, 11  # of an attribute
_EXTERNAL, _LOCATION = 13, 14  # of a tensor


def check_graph(data: bytes) -> None:
    """Raises ValueError for a model with loops, operators of others, functions, or weights in other files."""
    for number, graph in _fields(memoryview(data)):
        if number == _FUNCTIONS:
            raise ValueError("it defines operators of its own")
        if number != _GRAPH:
            continue
        for part, content in _fields(_message(graph)):
            if part == _NODE:
                _check_node(_message(content))
            elif part == _WEIGHT:
                _check_tensor(_message(content))
            elif part == _SPARSE:
                raise ValueError("it has sparse weights")


def _check_node(node: memoryview) -> None:
    for number, content in _fields(node):
        if number == _OPERATOR and bytes(_message(content)) in CONTROL:
            raise ValueError(f"it has the operator {bytes(_message(content)).decode()}")
        if number == _DOMAIN and bytes(_message(content)) not in (b"", b"ai.onnx"):
            raise ValueError("it has operators that are not of ONNX")
        if number == _ATTRIBUTE:
            for kind, value in _fields(_message(content)):
                if kind in (_SUBGRAPH, _SUBGRAPHS):
                    raise ValueError("it has a graph within a graph")
                if kind in (_TENSOR, _TENSORS):
                    _check_tensor(_message(value))


def _check_tensor(tensor: memoryview) -> None:
    for number, content in _fields(tensor):
        if number == _EXTERNAL or (number == _LOCATION and content != 0):
            raise ValueError("some of its weights are in another file")


def _message(content: memoryview | int) -> memoryview:
    if isinstance(content, int):
        raise ValueError("a number is where more is expected")
    return content


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Number and content of each field: bytes, or a number."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind not in (1, 2, 5):
            raise ValueError("it is no ONNX file")
        length = {1: 8, 5: 4}.get(kind, -1)
        if length < 0:
            length, place = _varint(message, place)
        if length > len(message) - place:
            raise ValueError("it is no ONNX file, or cut short")
        yield key >> 3, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number in groups of 7 bits, the lowest first, and the place after it."""
    value = shift = 0
    while place < len(message) and shift < 70:
        byte = message[place]
        value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return value, place
    raise ValueError("it is no ONNX file, or cut short")

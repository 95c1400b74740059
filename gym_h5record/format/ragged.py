"""Values of varying size as items of fields, and back.

``encode`` turns one text, sequence, graph, choice or JSON text into the items that it
adds to each field; ``decode`` builds the value again. The items of a field of ends
are lengths here; the writer adds them up when it stores them.

``encode`` decodes its own result and gives None if that is not the same value:
Gymnasium's batches do not keep every value of a space.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any, Protocol

import numpy as np
from gymnasium import Space, spaces
from gymnasium.spaces import GraphInstance
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from gym_h5record.display import full_repr
from gym_h5record.format import nodes
from gym_h5record.format.meter import Meter
from gym_h5record.values.exact import identical
from gym_h5record.values.tagged_json import TaggedText, dumps, loads

__all__ = ["ItemReader", "Items", "decode", "encode", "encode_nearest"]

Items = dict[str, list[np.ndarray]]
"""By field: arrays of items, to be joined along the first axis."""

_EDGES, _LINKS = 1, 2
_BATCHED_TO_ARRAYS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary, spaces.Dict, spaces.Tuple)


class ItemReader(Protocol):
    """Reads items of fields: from a file, or from memory."""

    def items(self, field: str, start: int, stop: int) -> np.ndarray:
        """Items ``start`` to ``stop`` of a field, as an array that the caller may keep."""


def encode(node: nodes.Ragged, value: Any) -> Items | None:
    """The items that ``value`` adds to each field of ``node``.

    Returns:
        None if the value would not come back exactly; it is then recorded as an exception.
    """
    items: Items = {field.name: [] for field in node.fields()}
    try:
        _put(node, value, items)
        decoded = decode(node, _Encoded(node, items), 0)
    except Exception:  # noqa: BLE001  # Gymnasium raises anything for a value outside the space
        return None
    return items if identical(value, decoded) else None


def encode_nearest(node: nodes.Json, value: Any, on_repr: Callable[[object], None]) -> Items:
    """The items of a value that ``encode`` refuses, with the nearest value in the place of each inexact part.

    ``on_repr`` is called with every such part, as by ``gym_h5record.values.tagged_json.dumps``; with the whole value
    if it is too large or nested too deep: only its repr is kept then.
    """
    try:
        text = dumps(value, on_repr=on_repr)
        loads(text)
    except ValueError:
        on_repr(value)
        text = dumps(TaggedText(full_repr(value)))
    items: Items = {field.name: [] for field in node.fields()}
    _put_text(node, text, items)
    return items


class _Encoded:
    """Reads the items of one value. Lengths are added up to ends, as in a file."""

    def __init__(self, node: nodes.Ragged, items: Items) -> None:
        self._arrays = {}
        for field in node.fields():
            parts = items[field.name]
            array = np.concatenate(parts) if parts else np.empty((0, *field.shape), field.dtype)
            self._arrays[field.name] = np.cumsum(array) if field.is_ends else array

    def items(self, field: str, start: int, stop: int) -> np.ndarray:
        return self._arrays[field][start:stop]


# Encoding: one function per kind of node --------------------------------------------------


@singledispatch
def _put(node: nodes.Node, value: Any, items: Items) -> None:
    raise TypeError(f"no way to encode {type(node).__name__}")


@_put.register(nodes.Array)
@_put.register(nodes.Scalar)
def _(node: nodes.Array | nodes.Scalar, value: Any, items: Items) -> None:
    _put_batch(node, np.asarray(value)[None], items)


@_put.register
def _(node: nodes.DictOf, value: Any, items: Items) -> None:
    for key, child in node.items:
        _put(child, value[key], items)


@_put.register
def _(node: nodes.TupleOf, value: Any, items: Items) -> None:
    for child, each in zip(node.items, value, strict=True):
        _put(child, each, items)


@_put.register
def _(node: nodes.Text, value: Any, items: Items) -> None:
    _put_text(node, value, items)


@_put.register
def _(node: nodes.Json, value: Any, items: Items) -> None:
    _put_text(node, dumps(value), items)


@_put.register
def _(node: nodes.Sequence, value: Any, items: Items) -> None:
    if node.space.stack:
        _put_stacked(node.items, node.space.feature_space, value, items)
    else:
        _put_list(node.items, value, items)


@_put.register
def _(node: nodes.Graph, value: Any, items: Items) -> None:
    has_edges, has_links = value.edges is not None, value.edge_links is not None
    _put(node.parts, np.uint8(_EDGES * has_edges + _LINKS * has_links), items)
    _put_stacked(node.nodes, node.space.node_space, value.nodes, items)
    if node.edges is not None and node.space.edge_space is not None:
        if has_edges:
            _put_stacked(node.edges, node.space.edge_space, value.edges, items)
        else:
            _put_list(node.edges, (), items)
    _put_list(node.links, value.edge_links if has_links else np.empty((0, 2), np.int32), items)


@_put.register
def _(node: nodes.OneOf, value: Any, items: Items) -> None:
    index, chosen = value
    if type(index) is not np.int64:
        raise TypeError(f"the index of a OneOf is an int64, not a {type(index).__qualname__}")
    _put(node.index, np.int64(index), items)
    for number, branch in enumerate(node.branches):
        _put_list(branch, (chosen,) if number == index else (), items)


def _put_text(node: nodes.Text | nodes.Json, text: str, items: Items) -> None:
    _put_list(node.characters, np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8), items)


def _put_list(node: nodes.ListOf, values: Any, items: Items) -> None:
    items[node.ends].append(np.array([len(values)], np.int64))
    if isinstance(values, np.ndarray) and isinstance(node.item, (nodes.Array, nodes.Scalar)):
        _put_batch(node.item, values, items)
    else:
        for each in values:
            _put(node.item, each, items)


def _put_stacked(node: nodes.ListOf, space: Space[Any], batch: Any, items: Items) -> None:
    """Put a batch as Gymnasium's ``concatenate`` makes it: an array, or a tree of arrays."""
    values: Any
    if isinstance(batch, np.ndarray) or (isinstance(batch, tuple) and _batches_to_tuple(space)):
        values = batch
    else:
        try:
            values = tuple(iterate(batch_space(space, 1), batch))
        except ValueError:
            if any(node.item.fields()):
                raise
            values = ()  # a batch without arrays, such as {}: it does not say how many values it has
    _put_list(node, values, items)


def _put_batch(node: nodes.Array | nodes.Scalar, batch: np.ndarray, items: Items) -> None:
    shape = node.shape if isinstance(node, nodes.Array) else ()
    if type(batch) is not np.ndarray:
        raise TypeError(f"expected a plain array, got a {type(batch).__qualname__}")
    if batch.shape[1:] != shape or not np.can_cast(batch.dtype, node.dtype, "safe"):
        raise ValueError(f"expected items of {node.dtype}{shape}, got {batch.dtype}{batch.shape[1:]}")
    if node.name in items:  # items without elements have no field
        items[node.name].append(batch.astype(node.dtype, copy=True))


# Decoding: one function per kind of node --------------------------------------------------


def decode(node: nodes.Ragged, reader: ItemReader, row: int) -> Any:
    """Build the value of a row.

    Raises:
        ValueError: If the items contradict each other, or the value is larger than ``gym_h5record.limits`` allow.
    """
    return _take(node, Meter(reader.items), row)


@singledispatch
def _take(node: nodes.Node, meter: Meter, at: int) -> Any:
    """Build value number ``at``: of the rows, or of all items of the list that the node is in."""
    raise TypeError(f"no way to decode {type(node).__name__}")


@_take.register
def _(node: nodes.Array, meter: Meter, at: int) -> Any:
    # Reshaped, not indexed: an array of rank 0 must stay an array.
    return _batch(node, meter, at, at + 1).reshape(node.shape)


@_take.register
def _(node: nodes.Scalar, meter: Meter, at: int) -> Any:
    return meter.items(node.name, at, at + 1)[0]


@_take.register
def _(node: nodes.DictOf, meter: Meter, at: int) -> Any:
    meter.objects(len(node.items))
    return {key: _take(child, meter, at) for key, child in node.items}


@_take.register
def _(node: nodes.TupleOf, meter: Meter, at: int) -> Any:
    meter.objects(len(node.items))
    return tuple(_take(child, meter, at) for child in node.items)


@_take.register
def _(node: nodes.Text, meter: Meter, at: int) -> Any:
    return _text(node, meter, at).decode("utf-8", "surrogatepass")


@_take.register
def _(node: nodes.Json, meter: Meter, at: int) -> Any:
    text = _text(node, meter, at).decode("ascii")
    meter.json(text)
    return loads(text)


@_take.register
def _(node: nodes.Sequence, meter: Meter, at: int) -> Any:
    start, stop = _span(node.items, meter, at)
    if node.space.stack:
        return _stacked(node.items.item, node.space.feature_space, meter, start, stop)
    return _take_each(node.items.item, meter, start, stop)


@_take.register
def _(node: nodes.Graph, meter: Meter, at: int) -> Any:
    parts = int(meter.items(node.parts.name, at, at + 1)[0])
    nodes = _stacked(node.nodes.item, node.space.node_space, meter, *_span(node.nodes, meter, at))
    edges = links = None
    if parts & _EDGES and node.edges is not None and node.space.edge_space is not None:
        edges = _stacked(node.edges.item, node.space.edge_space, meter, *_span(node.edges, meter, at))
    if parts & _LINKS:
        links = _batch(node.links.item, meter, *_span(node.links, meter, at))
    return GraphInstance(nodes, edges, links)


@_take.register
def _(node: nodes.OneOf, meter: Meter, at: int) -> Any:
    index = meter.items(node.index.name, at, at + 1)[0]
    if not 0 <= index < len(node.branches):
        raise ValueError(f"choice {index} of {len(node.branches)} branches")
    branch = node.branches[index]
    start, stop = _span(branch, meter, at)
    if stop - start != 1:
        raise ValueError(f"choice {index} has {stop - start} values, expected 1")
    return index, _take(branch.item, meter, start)


def _text(node: nodes.Text | nodes.Json, meter: Meter, at: int) -> bytes:
    start, stop = _span(node.characters, meter, at)
    return _batch(node.characters.item, meter, start, stop).tobytes()


def _span(node: nodes.ListOf, meter: Meter, at: int) -> tuple[int, int]:
    """The items of list number ``at``, as a half-open range."""
    ends = meter.items(node.ends, max(at - 1, 0), at + 1)
    start, stop = (int(ends[0]) if at else 0), int(ends[-1])
    if start > stop:
        raise ValueError(f"list {at} of {node.name} begins at {start} and ends at {stop}")
    return start, stop


def _take_each(item: nodes.Node, meter: Meter, start: int, stop: int) -> tuple[Any, ...]:
    meter.objects(stop - start)
    return tuple(_take(item, meter, index) for index in range(start, stop))


def _batch(node: nodes.Node, meter: Meter, start: int, stop: int) -> np.ndarray:
    if isinstance(node, nodes.Array) and 0 in node.shape:
        meter.objects(stop - start)
        return np.empty((stop - start, *node.shape), node.dtype)
    for field in node.fields():
        meter.bytes((stop - start) * field.item_bytes)
    return meter.items(node.name, start, stop)


def _stacked(item: nodes.Node, space: Space[Any], meter: Meter, start: int, stop: int) -> Any:
    if isinstance(item, (nodes.Array, nodes.Scalar)):
        return _batch(item, meter, start, stop)
    values = _take_each(item, meter, start, stop)
    if _batches_to_tuple(space):
        return values
    empty: Any = create_empty_array(space, len(values))
    return concatenate(space, values, empty) if values else empty


def _batches_to_tuple(space: Space[Any]) -> bool:
    """Whether Gymnasium's batch of values of ``space`` is the tuple of the values."""
    return not isinstance(space, _BATCHED_TO_ARRAYS)

"""Values of varying size to items of fields, and back.

``encode`` turns one text, sequence, graph or choice into the items it adds to
each field; ``decode`` builds the value again from any source of items. Ends
are lengths while they travel and are counted up when they are stored.

Whether a value survives is not argued but tried: ``encode`` decodes what it
made and reports False when that is not identical.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Protocol

import numpy as np
from gymnasium import Space, spaces
from gymnasium.spaces import GraphInstance
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from gym_h5record.format import nodes
from gym_h5record.limits import MAX_LIST_ITEMS, MAX_VALUE_BYTES
from gym_h5record.values.exact import identical

__all__ = ["Items", "Source", "decode", "encode"]


Items = dict[str, list[np.ndarray]]
"""By field: arrays of items, to be joined along the first axis."""

_EDGES, _LINKS = 1, 2


class Source(Protocol):
    """Where the items of fields come from."""

    def items(self, field: str, start: int, stop: int) -> np.ndarray:
        """Items ``start`` to ``stop`` of a field, as an array the caller may keep."""


def encode(node: nodes.Ragged, value: Any) -> Items | None:
    """The items that ``value`` adds to each field of ``node``.

    Returns:
        None if the value cannot be given back exactly; it is then an exception.
    """
    items: Items = {field.name: [] for field in node.fields()}
    try:
        _put(node, value, items)
        decoded = decode(node, _Encoded(node, items), 0)
    except Exception:  # noqa: BLE001  # whatever it is that Gymnasium says, the value is not the space's
        return None
    return items if identical(value, decoded) else None


class _Encoded:
    """The items of one value as a source, lengths counted up to ends."""

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
def _(node: nodes.Array, value: Any, items: Items) -> None:
    _put_batch(node, np.asarray(value)[None], items)


@_put.register(nodes.Scalar)
def _(node: nodes.Scalar, value: Any, items: Items) -> None:
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
    data = np.frombuffer(value.encode("utf-8", "surrogatepass"), np.uint8)
    _put_list(node.characters, data, len(data), items)


@_put.register
def _(node: nodes.Sequence, value: Any, items: Items) -> None:
    if node.space.stack:
        _put_stacked(node.items, node.space.feature_space, value, items)
    else:
        _put_list(node.items, value, len(value), items)


@_put.register
def _(node: nodes.Graph, value: Any, items: Items) -> None:
    has_edges, has_links = value.edges is not None, value.edge_links is not None
    _put(node.parts, np.uint8(_EDGES * has_edges + _LINKS * has_links), items)
    _put_stacked(node.nodes, node.space.node_space, value.nodes, items)
    if node.edges is not None and node.space.edge_space is not None:
        if has_edges:
            _put_stacked(node.edges, node.space.edge_space, value.edges, items)
        else:
            _put_list(node.edges, (), 0, items)
    links = value.edge_links if has_links else np.empty((0, 2), np.int32)
    _put_list(node.links, links, len(links), items)


@_put.register
def _(node: nodes.OneOf, value: Any, items: Items) -> None:
    index, chosen = value
    if type(index) is not np.int64:
        raise TypeError(f"the index of a OneOf is an int64, not a {type(index).__qualname__}")
    _put(node.index, np.int64(index), items)
    for number, branch in enumerate(node.branches):
        _put_list(branch, (chosen,) if number == index else (), int(number == index), items)


def _put_list(node: nodes.ListOf, values: Any, length: int, items: Items) -> None:
    items[node.ends].append(np.array([length], np.int64))
    if isinstance(values, np.ndarray) and isinstance(node.item, (nodes.Array, nodes.Scalar)):
        _put_batch(node.item, values, items)
    else:
        for each in values:
            _put(node.item, each, items)


def _put_stacked(node: nodes.ListOf, space: Space[Any], batch: Any, items: Items) -> None:
    """A batch as Gymnasium's ``concatenate`` makes it: an array, or a tree of them."""
    values: Any
    if isinstance(batch, np.ndarray) or (isinstance(batch, tuple) and _batches_to_tuple(space)):
        values = batch
    else:
        try:
            values = tuple(iterate(batch_space(space, 1), batch))
        except ValueError:
            if any(node.item.fields()):
                raise
            values = ()  # a batch of nothing, such as {}, does not tell how many there are
    _put_list(node, values, len(values), items)


def _put_batch(node: nodes.Array | nodes.Scalar, batch: np.ndarray, items: Items) -> None:
    shape = node.shape if isinstance(node, nodes.Array) else ()
    if type(batch) is not np.ndarray:
        raise TypeError(f"expected a plain array, got a {type(batch).__qualname__}")
    if batch.shape[1:] != shape or not np.can_cast(batch.dtype, node.dtype, "safe"):
        raise ValueError(f"expected items of {node.dtype}{shape}, got {batch.dtype}{batch.shape[1:]}")
    if node.name in items:  # items without elements have no field
        items[node.name].append(batch.astype(node.dtype, copy=True))


# Decoding: one function per kind of node --------------------------------------------------


def decode(node: nodes.Ragged, source: Source, row: int) -> Any:
    """Build the value of a row.

    Args:
        node: What to build.
        source: Gives the items of the fields.
        row: The row.

    Raises:
        ValueError: If the value is larger than any that is recorded.
    """
    return _take(node, _Meter(source), row)


class _Meter:
    """A source of which one value may take no more than so much: lists of nothing can claim any number of items."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._objects_left = MAX_LIST_ITEMS
        self._bytes_left = MAX_VALUE_BYTES

    def items(self, field: str, start: int, stop: int) -> np.ndarray:
        """See ``Source``."""
        return self._source.items(field, start, stop)

    def objects(self, count: int) -> None:
        """Take note of objects that are about to be built."""
        self._objects_left -= count
        if self._objects_left < 0:
            raise ValueError(f"a value of more than {MAX_LIST_ITEMS} objects")

    def bytes(self, count: int) -> None:
        """Take note of bytes that are about to be read."""
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise ValueError(f"a value of more than {MAX_VALUE_BYTES} bytes")


@singledispatch
def _take(node: nodes.Node, source: _Meter, at: int) -> Any:
    """Build the value at position ``at`` of its level: the row, or inside a list the number of the item."""
    raise TypeError(f"no way to decode {type(node).__name__}")


@_take.register(nodes.Array)
def _(node: nodes.Array, source: _Meter, at: int) -> Any:
    # Reshaped, not indexed: an array of rank 0 must stay an array.
    return _batch(node, source, at, at + 1).reshape(node.shape)


@_take.register(nodes.Scalar)
def _(node: nodes.Scalar, source: _Meter, at: int) -> Any:
    return source.items(node.name, at, at + 1)[0]


@_take.register
def _(node: nodes.DictOf, source: _Meter, at: int) -> Any:
    source.objects(len(node.items))
    return {key: _take(child, source, at) for key, child in node.items}


@_take.register
def _(node: nodes.TupleOf, source: _Meter, at: int) -> Any:
    source.objects(len(node.items))
    return tuple(_take(child, source, at) for child in node.items)


@_take.register
def _(node: nodes.Text, source: _Meter, at: int) -> Any:
    start, stop = _span(node.characters, source, at)
    data = _batch(node.characters.item, source, start, stop).tobytes()
    return data.decode("utf-8", "surrogatepass")


@_take.register
def _(node: nodes.Sequence, source: _Meter, at: int) -> Any:
    start, stop = _span(node.items, source, at)
    if node.space.stack:
        return _stacked(node.items.item, node.space.feature_space, source, start, stop)
    return _take_each(node.items.item, source, start, stop)


@_take.register
def _(node: nodes.Graph, source: _Meter, at: int) -> Any:
    parts = int(source.items(node.parts.name, at, at + 1)[0])
    nodes = _stacked(node.nodes.item, node.space.node_space, source, *_span(node.nodes, source, at))
    edges = links = None
    if parts & _EDGES and node.edges is not None and node.space.edge_space is not None:
        edges = _stacked(node.edges.item, node.space.edge_space, source, *_span(node.edges, source, at))
    if parts & _LINKS:
        links = _batch(node.links.item, source, *_span(node.links, source, at))
    return GraphInstance(nodes, edges, links)


@_take.register
def _(node: nodes.OneOf, source: _Meter, at: int) -> Any:
    index = source.items(node.index.name, at, at + 1)[0]
    if not 0 <= index < len(node.branches):
        raise ValueError(f"choice {index} of {len(node.branches)}")
    branch = node.branches[index]
    start, stop = _span(branch, source, at)
    if stop - start != 1:
        raise ValueError(f"choice {index} has {stop - start} values")
    return index, _take(branch.item, source, start)


def _span(node: nodes.ListOf, source: _Meter, at: int) -> tuple[int, int]:
    """Where the items of list number ``at`` begin and end."""
    ends = source.items(node.ends, max(at - 1, 0), at + 1)
    start, stop = (int(ends[0]) if at else 0), int(ends[-1])
    if start > stop:
        raise ValueError(f"list {at} of {node.name} begins at {start} and ends at {stop}")
    return start, stop


def _take_each(item: nodes.Node, source: _Meter, start: int, stop: int) -> tuple[Any, ...]:
    source.objects(stop - start)
    return tuple(_take(item, source, index) for index in range(start, stop))


def _batch(node: nodes.Node, source: _Meter, start: int, stop: int) -> np.ndarray:
    if isinstance(node, nodes.Array) and 0 in node.shape:
        source.objects(stop - start)
        return np.empty((stop - start, *node.shape), node.dtype)
    for field in node.fields():
        source.bytes((stop - start) * field.item_bytes)
    return source.items(node.name, start, stop)


def _stacked(item: nodes.Node, space: Space[Any], source: _Meter, start: int, stop: int) -> Any:
    if isinstance(item, (nodes.Array, nodes.Scalar)):
        return _batch(item, source, start, stop)
    values = _take_each(item, source, start, stop)
    if _batches_to_tuple(space):
        return values
    empty: Any = create_empty_array(space, len(values))
    return concatenate(space, values, empty) if values else empty


def _batches_to_tuple(space: Space[Any]) -> bool:
    """Whether Gymnasium batches values of ``space`` as the tuple of them."""
    return isinstance(space, (spaces.Text, spaces.Sequence, spaces.Graph, spaces.OneOf))

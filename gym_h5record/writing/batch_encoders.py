"""Encoders copy the values of all lanes into a slot of the ring: one closure per node of the schema.

Where the batch is an array of the right dtype and shape, it is copied as a whole. What does not fit goes lane by lane
through the encoders of ``encoders``, which keep any value exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from gym_h5record.format import nodes
from gym_h5record.format import schema as sc
from gym_h5record.format.names import TypeCode, numpy_scalar_code
from gym_h5record.values.lane_values import info_mask, lane_info, lane_value
from gym_h5record.writing.encoders import Encoder, exact_types
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_rows import CODES
from gym_h5record.writing.lane_stacks import LaneStacks

__all__ = ["BatchEncoder", "LaneEncoders", "make_batch_encoder", "make_keys_encoder", "numbers_fit"]

BatchEncoder = Callable[[int, Any, Sequence[int]], None]
"""Copies the values of some lanes into a slot. A batch has an entry for every lane; others do not count."""

LaneEncoders = Callable[[nodes.Node, int], Encoder]
"""Gives the encoder of a node for one lane."""

_EXACT_INTEGER_BYTES = 4  # a float64 holds every integer of so many bytes


def make_batch_encoder(
    node: nodes.Node,
    space: Space[Any] | None,
    journal: Journal,
    schema: sc.Schema,
    lane_encoder: LaneEncoders,
    stacks: Mapping[str, LaneStacks],
) -> BatchEncoder:
    """Make the encoder of a node.

    Args:
        node: The node.
        space: The space of a single environment's value, None for rewards and flags.
        journal: Where the slots are.
        schema: The columns.
        lane_encoder: Gives the encoders for values that are no arrays, or do not fit.
        stacks: The encoders of stacks, by name of their node.
    """
    if node.name in stacks:
        return stacks[node.name].encode
    codes, index = journal.columns[CODES], schema.code_index[node.name]
    if isinstance(node, nodes.DictOf) and isinstance(space, spaces.Dict):
        children = [
            (key, make_batch_encoder(child, space.spaces[key], journal, schema, lane_encoder, stacks))
            for key, child in node.items
        ]
        return _tree_encoder(node, space, codes, index, lane_encoder, children)
    if isinstance(node, nodes.TupleOf) and isinstance(space, spaces.Tuple):
        parts = [
            (place, make_batch_encoder(child, space.spaces[place], journal, schema, lane_encoder, stacks))
            for place, child in enumerate(node.items)
        ]
        return _tree_encoder(node, space, codes, index, lane_encoder, parts)
    column = journal.columns.get(node.name)
    if isinstance(node, nodes.Array):
        return _array_encoder(node, space, column, codes, index, lane_encoder)
    if isinstance(node, nodes.Scalar) and column is not None:
        return _scalar_encoder(node, space, column, codes, index, lane_encoder)

    def encode_each(slot: int, batch: Any, lanes: Sequence[int]) -> None:
        for lane in lanes:
            lane_encoder(node, lane)(slot, lane_value(space, batch, lane))

    return encode_each


def _tree_encoder(
    node: nodes.Node,
    space: Space[Any],
    codes: np.ndarray,
    index: int,
    lane_encoder: LaneEncoders,
    children: list[tuple[Any, BatchEncoder]],
) -> BatchEncoder:
    keys = {key for key, _ in children} if isinstance(node, nodes.DictOf) else None

    def encode(slot: int, batch: Any, lanes: Sequence[int]) -> None:
        if keys is None:
            fits = type(batch) is tuple and len(batch) == len(children)
        else:
            fits = type(batch) is dict and batch.keys() == keys
        if not fits:
            for lane in lanes:
                lane_encoder(node, lane)(slot, batch[lane])
            return
        codes[slot, :, index] = TypeCode.VALUE
        for key, encode_child in children:
            encode_child(slot, batch[key], lanes)

    return encode


def _array_encoder(
    node: nodes.Array,
    space: Space[Any] | None,
    column: np.ndarray | None,
    codes: np.ndarray,
    index: int,
    lane_encoder: LaneEncoders,
) -> BatchEncoder:
    dtype, shape = node.dtype, (codes.shape[1], *node.shape)
    # An entry of a batch of arrays without axes is a number. Only the space knows that it stands for an array.
    is_number = not node.shape and not isinstance(space, (spaces.Box, spaces.MultiBinary, spaces.MultiDiscrete))

    def encode(slot: int, batch: Any, lanes: Sequence[int]) -> None:
        if type(batch) is np.ndarray and batch.dtype == dtype and batch.shape == shape and not is_number:
            if column is not None:
                column[slot] = batch
            codes[slot, :, index] = TypeCode.ARRAY
            return
        for lane in lanes:
            lane_encoder(node, lane)(slot, lane_value(space, batch, lane))

    return encode


def _scalar_encoder(
    node: nodes.Scalar,
    space: Space[Any] | None,
    column: np.ndarray,
    codes: np.ndarray,
    index: int,
    lane_encoder: LaneEncoders,
) -> BatchEncoder:
    num_lanes = codes.shape[1]

    def encode(slot: int, batch: Any, lanes: Sequence[int]) -> None:
        if type(batch) is np.ndarray and batch.shape == (num_lanes,) and numbers_fit(batch, node.dtype):
            column[slot] = batch
            codes[slot, :, index] = numpy_scalar_code(batch.dtype.type)
            return
        for lane in lanes:
            lane_encoder(node, lane)(slot, lane_value(space, batch, lane))

    return encode


def numbers_fit(numbers: np.ndarray, dtype: np.dtype) -> bool:
    """Whether a column of ``dtype`` holds every one of these numbers exactly."""
    if numbers.dtype == dtype:
        return True
    if dtype == np.float64 and numbers.dtype.kind in "iu" and numbers.dtype.itemsize <= _EXACT_INTEGER_BYTES:
        return True
    if numbers.dtype.type not in exact_types(dtype):
        return False
    return numbers.dtype.kind != "f" or not np.isnan(numbers).any()  # conversion may change the bits of a NaN


def make_keys_encoder(
    columns: Sequence[sc.KeyColumn],
    journal: Journal,
    schema: sc.Schema,
    encode_rest: Callable[[int, Any], None],
) -> BatchEncoder:
    """Make the encoder of infos or extras: known keys go into their columns, the others to ``encode_rest``.

    Args:
        columns: The keys that have columns.
        journal: Where the slots are.
        schema: The columns.
        encode_rest: Called with a lane, and a dict of the keys that have no column, or whose values are no arrays.
    """
    codes = journal.columns[CODES]
    num_lanes = codes.shape[1]
    known = {column.key: column.node for column in columns}

    def encode(slot: int, infos: Any, lanes: Sequence[int]) -> None:
        if type(infos) is not dict:
            for lane in lanes:
                encode_rest(lane, infos)
            return
        rest: dict[Any, Any] = {}
        for key, node in known.items():
            values, mask = infos.get(key), info_mask(infos, key, num_lanes)
            if values is None or mask is None or not _put_key(slot, node, values, mask):
                _blank(slot, node)
                if values is not None and mask is not None:
                    rest[key] = values
        rest |= {
            key: values
            for key, values in infos.items()
            if key not in known and info_mask(infos, key, num_lanes) is not None
        }
        if rest:
            rest |= {f"_{key}": infos[f"_{key}"] for key in rest if type(key) is str and f"_{key}" in infos}
            _put_rest(rest, lanes, encode_rest, num_lanes)

    def _put_key(slot: int, node: nodes.Array | nodes.Scalar, values: Any, mask: np.ndarray) -> bool:
        if type(values) is not np.ndarray or values.shape[:1] != (num_lanes,) or values.dtype.kind not in "biuf":
            return False
        if isinstance(node, nodes.Array):
            fits = values.dtype == node.dtype and values.shape[1:] == node.shape and bool(node.shape)
            code: int | None = TypeCode.ARRAY
        else:
            fits, code = values.ndim == 1 and numbers_fit(values, node.dtype), numpy_scalar_code(values.dtype.type)
        if not fits or code is None:
            return False
        column, index = journal.columns.get(node.name), schema.code_index[node.name]
        if column is not None:
            column[slot] = values
            if not mask.all():
                column[slot, ~mask] = 0  # what Gymnasium has put there is nobody's value
        codes[slot, :, index] = np.where(mask, np.uint8(code), np.uint8(TypeCode.ABSENT))
        return True

    def _blank(slot: int, node: nodes.Array | nodes.Scalar) -> None:
        column = journal.columns.get(node.name)
        if column is not None:
            column[slot] = 0
        codes[slot, :, schema.code_index[node.name]] = TypeCode.ABSENT

    return encode


def _put_rest(
    infos: dict[Any, Any], lanes: Sequence[int], encode_rest: Callable[[int, Any], None], num_lanes: int
) -> None:
    for lane in lanes:
        info = lane_info(infos, lane, num_lanes)
        if info:
            encode_rest(lane, info)

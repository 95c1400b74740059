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
from gym_h5record.values.lane_values import has_entries, info_mask, lane_info, lane_value
from gym_h5record.writing.encoders import Encoder, exact_types
from gym_h5record.writing.lane_codes import LaneCodes
from gym_h5record.writing.lane_stacks import LaneStacks

__all__ = ["BatchEncoder", "LaneEncoders", "make_batch_encoder", "make_keys_encoder"]

BatchEncoder = Callable[[int, Any, Sequence[int]], None]
"""Copies the values of some lanes into a slot. A batch has an entry for every lane; others do not count."""

LaneEncoders = Callable[[nodes.Node, int], Encoder]
"""Gives the encoder of a node for one lane."""

_ARRAY, _VALUE = int(TypeCode.ARRAY), int(TypeCode.VALUE)  # to look up a member of an enumeration takes 0.05 us
_ABSENT = np.uint8(TypeCode.ABSENT)
_FALSE, _TRUE = b"\0", b"\1"
_EXACT_INTEGER_BYTES = 4  # a float64 holds every integer of so many bytes


def make_batch_encoder(
    node: nodes.Node,
    space: Space[Any] | None,
    columns: Mapping[str, np.ndarray],
    codes: LaneCodes,
    lane_encoder: LaneEncoders,
    stacks: Mapping[str, LaneStacks],
) -> BatchEncoder:
    """Make the encoder of a node.

    Args:
        node: The node.
        space: The space of a single environment's value, None for rewards and flags.
        columns: The columns of the ring.
        codes: Their type codes.
        lane_encoder: Gives the encoders for values that are no arrays, or do not fit.
        stacks: The encoders of stacks, by name of their node.
    """
    if node.name in stacks:
        return stacks[node.name].encode
    if isinstance(node, nodes.DictOf) and isinstance(space, spaces.Dict):
        children = [
            (key, make_batch_encoder(child, space.spaces[key], columns, codes, lane_encoder, stacks))
            for key, child in node.items
        ]
        return _tree_encoder(node, codes, lane_encoder, children)
    if isinstance(node, nodes.TupleOf) and isinstance(space, spaces.Tuple):
        parts = [
            (place, make_batch_encoder(child, space.spaces[place], columns, codes, lane_encoder, stacks))
            for place, child in enumerate(node.items)
        ]
        return _tree_encoder(node, codes, lane_encoder, parts)
    column = columns.get(node.name)
    if isinstance(node, nodes.Array):
        return _array_encoder(node, space, column, codes, lane_encoder)
    if isinstance(node, nodes.Scalar) and column is not None:
        return _scalar_encoder(node, space, column, codes, lane_encoder)

    def encode_each(slot: int, batch: Any, lanes: Sequence[int]) -> None:
        for lane in lanes:
            lane_encoder(node, lane)(slot, lane_value(space, batch, lane))

    return encode_each


def _tree_encoder(
    node: nodes.Node, codes: LaneCodes, lane_encoder: LaneEncoders, children: list[tuple[Any, BatchEncoder]]
) -> BatchEncoder:
    index = codes.index(node)
    keys = {key for key, _ in children} if isinstance(node, nodes.DictOf) else None

    def encode(slot: int, batch: Any, lanes: Sequence[int]) -> None:
        if keys is None:
            fits = isinstance(batch, tuple) and len(batch) == len(children)
        else:
            fits = isinstance(batch, dict) and batch.keys() == keys
        if not fits:
            for lane in lanes:
                lane_encoder(node, lane)(slot, _odd_value(batch, lane, codes.num_lanes))
            return
        codes.put(slot, index, _VALUE)
        for key, encode_child in children:
            encode_child(slot, batch[key], lanes)

    return encode


def _odd_value(batch: Any, lane: int, num_lanes: int) -> Any:
    """The value of a lane in a batch that is not as its space has it."""
    if isinstance(batch, dict):
        return {key: _odd_value(part, lane, num_lanes) for key, part in batch.items()}
    return batch[lane] if has_entries(batch, num_lanes) else batch


def _array_encoder(
    node: nodes.Array,
    space: Space[Any] | None,
    column: np.ndarray | None,
    codes: LaneCodes,
    lane_encoder: LaneEncoders,
) -> BatchEncoder:
    index, dtype, shape = codes.index(node), node.dtype, (codes.num_lanes, *node.shape)
    # An entry of a batch of arrays without axes is a number. Only the space knows that it stands for an array.
    is_number = not node.shape and not isinstance(space, (spaces.Box, spaces.MultiBinary, spaces.MultiDiscrete))

    def encode(slot: int, batch: Any, lanes: Sequence[int]) -> None:
        if type(batch) is np.ndarray and batch.dtype == dtype and batch.shape == shape and not is_number:
            if column is not None:
                column[slot] = batch
            codes.put(slot, index, _ARRAY)
            return
        for lane in lanes:
            lane_encoder(node, lane)(slot, lane_value(space, batch, lane))

    return encode


def _scalar_encoder(
    node: nodes.Scalar,
    space: Space[Any] | None,
    column: np.ndarray,
    codes: LaneCodes,
    lane_encoder: LaneEncoders,
) -> BatchEncoder:
    index, shape, dtype = codes.index(node), (codes.num_lanes,), node.dtype
    usual = numpy_scalar_code(dtype.type)

    def encode(slot: int, batch: Any, lanes: Sequence[int]) -> None:
        if type(batch) is np.ndarray and batch.shape == shape:
            code = usual if batch.dtype == dtype else _code_if_fits(batch, dtype)
            if code is not None:
                column[slot] = batch
                codes.put(slot, index, code)
                return
        for lane in lanes:
            lane_encoder(node, lane)(slot, lane_value(space, batch, lane))

    return encode


def _code_if_fits(numbers: np.ndarray, dtype: np.dtype) -> int | None:
    """The type code of numbers of another type, if a column of ``dtype`` holds every one of them exactly."""
    kind, code = numbers.dtype.kind, numpy_scalar_code(numbers.dtype.type)
    if dtype == np.float64 and kind in "iu" and numbers.dtype.itemsize <= _EXACT_INTEGER_BYTES:
        return code
    if numbers.dtype.type not in exact_types(dtype):
        return None
    has_nan = kind == "f" and _TRUE in (numbers != numbers).tobytes()  # ``isnan`` and ``any`` take twice as long
    return None if has_nan else code  # conversion may change the bits of a NaN


def make_keys_encoder(
    keys: Sequence[sc.KeyColumn],
    columns: Mapping[str, np.ndarray],
    codes: LaneCodes,
    encode_rest: Callable[[int, Any], None],
) -> BatchEncoder:
    """Make the encoder of infos or extras: known keys go into their columns, the others to ``encode_rest``.

    Args:
        keys: The keys that have columns.
        columns: The columns of the ring.
        codes: Their type codes.
        encode_rest: Called with a lane, and a dict of the keys that have no column, or whose values are no arrays.
    """
    num_lanes = codes.num_lanes
    known = {each.key: _KeyEncoder(each.node, columns.get(each.node.name), codes) for each in keys}

    def encode(slot: int, infos: Any, lanes: Sequence[int]) -> None:
        if type(infos) is not dict:
            for key_encoder in known.values():
                key_encoder.blank(slot)
            for lane in lanes:
                encode_rest(lane, infos)
            return
        if not infos and not known:
            return
        rest: dict[Any, Any] = {}
        for key, key_encoder in known.items():
            values, mask = infos.get(key), info_mask(infos, key, num_lanes)
            if values is None or mask is None or not key_encoder.encode(slot, values, mask):
                key_encoder.blank(slot)
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

    return encode


class _KeyEncoder:
    """Writes the values that a batch of infos has for one key.

    Args:
        node: The node of the key.
        column: Its column in the ring, None for arrays without elements.
        codes: The type codes.
    """

    def __init__(self, node: nodes.Array | nodes.Scalar, column: np.ndarray | None, codes: LaneCodes) -> None:
        self._node, self._column, self._codes = node, column, codes
        self._index = codes.index(node)

    def encode(self, slot: int, values: Any, mask: np.ndarray) -> bool:
        """Write the values of the lanes in ``mask``, ``(lanes,)`` bool. Returns whether the column holds them."""
        if type(values) is not np.ndarray or values.shape[:1] != mask.shape or values.dtype.kind not in "biuf":
            return False
        code = self._code(values)
        if code is None:
            return False
        if self._column is not None:
            self._column[slot] = values
        if _FALSE not in mask.tobytes():  # ``all`` takes 1.3 us, this 0.3
            self._codes.put(slot, self._index, code)
            return True
        if self._column is not None:
            self._column[slot, ~mask] = 0  # what Gymnasium has put there is no value of the environment
        self._codes.put_each(slot, self._index, np.where(mask, np.uint8(code), _ABSENT))
        return True

    def blank(self, slot: int) -> None:
        """Write that no lane has the key."""
        if self._column is not None:
            self._column[slot] = 0
        self._codes.put(slot, self._index, TypeCode.ABSENT)

    def _code(self, values: np.ndarray) -> int | None:
        """The type code of the values of all lanes, None if they do not fit the column."""
        node = self._node
        if isinstance(node, nodes.Array):
            return _ARRAY if values.dtype == node.dtype and values.shape[1:] == node.shape and node.shape else None
        if values.ndim != 1:
            return None
        return numpy_scalar_code(node.dtype.type) if values.dtype == node.dtype else _code_if_fits(values, node.dtype)


def _put_rest(
    infos: dict[Any, Any], lanes: Sequence[int], encode_rest: Callable[[int, Any], None], num_lanes: int
) -> None:
    for lane in lanes:
        info = lane_info(infos, lane, num_lanes)
        if info:
            encode_rest(lane, info)

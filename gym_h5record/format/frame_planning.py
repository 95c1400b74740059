"""Plans the columns of frames from the first frame: nothing declares what an environment renders."""

from __future__ import annotations

from typing import Any

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format.names import link_name
from gym_h5record.format.nodes import Array, DictOf, Node, Opaque, Text, TupleOf
from gym_h5record.values.exact import foreign_array, storable

__all__ = ["FRAME_KINDS", "plan_frame"]

FRAME_KINDS = ("render", "cameras")
"""Kinds of frames that have columns of their own. Those of the other kinds are observations, or are not recorded."""

_RGBD = ("rgb", "depth")


def plan_frame(kind: str, value: Any) -> Node | None:
    """Plan the columns of frames.

    Args:
        kind: Kind of the frame source.
        value: The first frame: a picture, or for cameras a dict with a picture of each. A picture is an array, a text,
            or a tuple of an RGB and a depth array.

    Returns:
        ``Opaque`` where the value is no picture; None if the frames have no columns of their own.
    """
    if kind not in FRAME_KINDS:
        return None
    if type(value) is not dict:
        return _plan_picture(fmt.FRAMES, value)
    taken: set[str] = set()
    items = ((key, _plan_picture(f"{fmt.FRAMES}/{link_name(key, taken)}", each)) for key, each in value.items())
    return DictOf(fmt.FRAMES, tuple(items))


def _plan_picture(name: str, value: Any) -> Node:
    if isinstance(value, str):
        return Text(name)
    if type(value) is tuple and len(value) == len(_RGBD):
        parts = [_plan_array(f"{name}/{part}", each) for part, each in zip(_RGBD, value, strict=True)]
        return Opaque(name) if any(isinstance(each, Opaque) for each in parts) else TupleOf(name, tuple(parts))
    return _plan_array(name, value)


def _plan_array(name: str, value: Any) -> Array | Opaque:
    array = foreign_array(value)
    array = value if array is None else array
    is_array = type(array) is np.ndarray and storable(array.dtype)
    return Array(name, array.dtype, array.shape) if is_array else Opaque(name)

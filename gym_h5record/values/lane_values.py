"""The value of one environment in what a vector environment gives: Gymnasium's batches and infos, taken apart."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from gymnasium.vector.utils import concatenate, create_empty_array

__all__ = [
    "final_info",
    "final_observation",
    "has_entries",
    "in_batch",
    "info_in_batch",
    "info_mask",
    "lane_info",
    "lane_value",
    "lanes_where",
    "map_batch",
    "without_finals",
]

_FINALS = ("final_obs", "final_info", "_final_obs", "_final_info")


def lanes_where(mask: np.ndarray) -> list[int]:
    """The lanes for which a mask, ``(lanes,)`` bool, is true. ``np.flatnonzero`` takes three times as long."""
    lanes: list[int] = mask.nonzero()[0].tolist()
    return lanes


def lane_value(space: Space[Any] | None, batch: Any, lane: int) -> Any:
    """The value of one environment in a batch.

    Args:
        space: The space of a single environment, None for rewards and flags.
        batch: As ``gymnasium.vector.utils.batch_space`` has it: an array, a dict or tuple of batches, or a tuple with
            one value per environment for spaces that are not batched.
        lane: Which environment.
    """
    if isinstance(space, spaces.Dict) and isinstance(batch, dict):
        return {key: lane_value(each, batch[key], lane) for key, each in space.spaces.items()}
    if isinstance(space, spaces.Tuple) and isinstance(batch, tuple):
        return tuple(lane_value(each, part, lane) for each, part in zip(space.spaces, batch, strict=True))
    value = batch[lane]
    is_array = isinstance(space, (spaces.Box, spaces.MultiBinary, spaces.MultiDiscrete)) and not space.shape
    return np.asarray(value) if is_array else value


def map_batch(space: Space[Any] | None, batch: Any, function: Callable[[Any], Any]) -> Any:
    """A batch with ``function`` applied to every array and tuple of values in it."""
    if isinstance(space, spaces.Dict) and isinstance(batch, dict):
        return {key: map_batch(each, batch[key], function) for key, each in space.spaces.items()}
    if isinstance(space, spaces.Tuple) and isinstance(batch, tuple):
        return tuple(map_batch(each, part, function) for each, part in zip(space.spaces, batch, strict=True))
    return function(batch)


def lane_info(infos: dict[Any, Any], lane: int, num_lanes: int) -> dict[Any, Any]:
    """The info of one environment: the entries of the keys whose masks say that it has them.

    Gymnasium pairs each ``key`` with a mask ``_key``, and fills the entries of other environments with zeros. A key
    without a mask holds for all environments, as those of ale-py's ``AtariVectorEnv`` do; a value that has not an entry
    for each of them is the value of all.

    Args:
        infos: The infos of a vector environment.
        lane: Which environment.
        num_lanes: How many there are.
    """
    info: dict[Any, Any] = {}
    for key, values in infos.items():
        mask = info_mask(infos, key, num_lanes)
        if mask is not None and mask[lane]:
            info[key] = lane_info(values, lane, num_lanes) if type(values) is dict else _entry(values, lane, num_lanes)
    return info


def final_observation(space: Space[Any], infos: Any, lane: int) -> Any:
    """The last observation of an environment that was reset since, as in ``SAME_STEP`` mode; None if it is not told.

    Gymnasium gives it as ``infos["final_obs"]``, a batch or an array of objects. Other packages still use its name of
    Gymnasium 0.29, ``"final_observation"``.
    """
    observations = infos.get("final_obs", infos.get("final_observation")) if type(infos) is dict else None
    if observations is None:
        return None
    is_batch = not (isinstance(observations, np.ndarray) and observations.dtype.kind == "O")
    return lane_value(space, observations, lane) if is_batch else observations[lane]


def final_info(infos: Any, lane: int, num_lanes: int) -> Any:
    """The last info of an environment that was reset since, empty if it is not told."""
    infos = infos.get("final_info") if type(infos) is dict else None
    return lane_info(infos, lane, num_lanes) if type(infos) is dict else {}


def without_finals(infos: Any) -> Any:
    """Infos without what they tell of episodes before a reset within a step."""
    return {key: values for key, values in infos.items() if key not in _FINALS} if type(infos) is dict else infos


def _entry(values: Any, lane: int, num_lanes: int) -> Any:
    return values[lane] if has_entries(values, num_lanes) else values


def has_entries(values: Any, num_lanes: int) -> bool:
    """Whether values are a batch with an entry for each environment: an array of any library, a list or a tuple."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__getitem__"):
        return False
    try:
        return len(values) == num_lanes
    except TypeError:  # an array without axes
        return False


def in_batch(space: Space[Any], value: Any) -> Any:
    """A value as it is in the batch of a vector environment: a Python number is one of NumPy there."""
    try:
        batch: Any = concatenate(space, [value], create_empty_array(space, 1))  # type: ignore[arg-type]  # None for custom spaces
    except (ValueError, TypeError, KeyError):  # a value outside of its space, which is then compared as it is
        return value
    return lane_value(space, batch, 0)


def info_in_batch(info: Any, recorded: Any = None) -> Any:
    """An info as Gymnasium's vector environments have it: Python's numbers become NumPy's, in dicts too.

    All numbers of a key get the type of the first environment that has it, and lose what that type cannot hold: the
    type of the ``recorded`` info tells which it was.
    """
    if type(info) is not dict:
        return info
    known = recorded if type(recorded) is dict else {}
    return {key: _entry_in_batch(value, known.get(key)) for key, value in info.items()}


def _entry_in_batch(value: Any, recorded: Any) -> Any:
    if isinstance(value, dict):
        return info_in_batch(dict(value), recorded)
    if not isinstance(value, (bool, int, float, np.number)):
        return value
    kind = type(recorded) if isinstance(recorded, (np.number, np.bool_)) else np.dtype(type(value)).type
    try:
        array = np.zeros(1, kind)
        array[0] = value
    except (OverflowError, ValueError):  # Gymnasium raises it too
        return value
    return array[0]


def info_mask(infos: dict[Any, Any], key: Any, num_lanes: int) -> np.ndarray | None:
    """Which environments have a key of their infos, ``(num_lanes,)`` bool, read-only; None if the key is a mask."""
    if type(key) is str and key.startswith("_") and key[1:] in infos and _is_mask(infos[key], num_lanes):
        return None
    mask = infos.get(f"_{key}") if type(key) is str else None
    return mask if _is_mask(mask, num_lanes) else _all_lanes(num_lanes)


@lru_cache(maxsize=8)
def _all_lanes(num_lanes: int) -> np.ndarray:
    mask = np.ones(num_lanes, np.bool_)
    mask.flags.writeable = False
    return mask


def _is_mask(values: Any, num_lanes: int) -> bool:
    return isinstance(values, np.ndarray) and values.dtype == np.bool_ and values.shape == (num_lanes,)

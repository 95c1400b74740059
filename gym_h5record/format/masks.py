"""Masks: named subsets of the episodes of a recording, as ``docs/format.md`` has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Field
from gym_h5record.limits import MAX_MASKS
from gym_h5record.values.tagged_json import parse_json

__all__ = ["check_mask", "check_mask_size", "is_mask_name", "mask_field", "mask_names", "read_mask_names"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_INT64 = np.dtype(np.int64)


def is_mask_name(name: object) -> bool:
    """Whether the format allows a name: up to 64 letters, digits, ``_``, ``.`` and ``-``, the first no ``.`` or ``-``.

    Example:
        >>> is_mask_name("20_percent"), is_mask_name("../train")
        (True, False)
    """
    return type(name) is str and _NAME.fullmatch(name) is not None


def read_mask_names(text: str) -> list[str]:
    """The names in the attribute ``mask_names``.

    Raises:
        ValueError: If it is no list of different names of masks.
    """
    names = parse_json(text)
    if type(names) is not list or len(names) > MAX_MASKS or not all(map(is_mask_name, names)):
        raise ValueError(f"expected a list of at most {MAX_MASKS} names of masks, found {text!r:.80}")
    if len(set(names)) != len(names):
        raise ValueError(f"a name is there twice: {text!r:.80}")
    return names


def mask_names(attributes: Mapping[str, Any]) -> list[str]:
    """The names of the masks of a recording, from the attributes of its ``/metadata``.

    Raises:
        CorruptRecordingError: If they cannot be read.
    """
    try:
        return read_mask_names(str(attributes.get(fmt.MASK_NAMES, "[]")))
    except ValueError as error:
        raise CorruptRecordingError(f"/{fmt.METADATA} {fmt.MASK_NAMES} cannot be read: {error}") from error


def mask_field(name: str) -> Field:
    """The dataset of a mask."""
    return Field(f"{fmt.MASKS}/{name}", _INT64)


def check_mask_size(name: str, count: int, num_episodes: int) -> None:
    """Make sure that a mask has no more numbers than there are episodes, before they are read.

    Raises:
        CorruptRecordingError: If it has more.
    """
    if count > num_episodes:
        raise CorruptRecordingError(f"/{fmt.MASKS}/{name} has {count} numbers, there are {num_episodes} episodes")


def check_mask(name: str, numbers: np.ndarray, num_episodes: int) -> None:
    """Make sure that the numbers of a mask rise, and are numbers of episodes.

    Raises:
        CorruptRecordingError: If they do not.
    """
    wrong = (numbers < 0) | (numbers >= num_episodes)
    if wrong.any():
        raise CorruptRecordingError(
            f"/{fmt.MASKS}/{name} names episode {numbers[wrong][0]}, there are {num_episodes} episodes"
        )
    if (numbers[1:] <= numbers[:-1]).any():
        raise CorruptRecordingError(f"/{fmt.MASKS}/{name} does not list its episodes in rising order")

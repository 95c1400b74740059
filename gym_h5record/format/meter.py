"""Limits the size of one ragged value while it is decoded, before memory is taken for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gym_h5record.limits import MAX_LIST_ITEMS, MAX_VALUE_BYTES, MAX_VALUES
from gym_h5record.values.tagged_json import num_values

__all__ = ["Meter"]


class Meter:
    """Reads the items of one value and limits its size: lists of arrays without elements can claim any length.

    Args:
        items: Reads items of a field, from one number to another.
    """

    def __init__(self, items: Callable[[str, int, int], np.ndarray]) -> None:
        self.items = items
        self._objects_left = MAX_LIST_ITEMS
        self._bytes_left = MAX_VALUE_BYTES
        self._json_left = MAX_VALUES

    def objects(self, count: int) -> None:
        """Count objects before they are built."""
        self._objects_left -= count
        if self._objects_left < 0:
            raise ValueError(f"a value has more than {MAX_LIST_ITEMS} objects")

    def bytes(self, count: int) -> None:
        """Count bytes before they are read."""
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise ValueError(f"a value has more than {MAX_VALUE_BYTES} bytes")

    def json(self, text: str) -> None:
        """Count the values in a JSON text before they are read."""
        count = sum(map(text.count, ",[{"))  # strings may hold them too
        self._json_left -= count if count <= self._json_left else num_values(text)
        if self._json_left < 0:
            raise ValueError(f"a value has more than {MAX_VALUES} values in JSON")

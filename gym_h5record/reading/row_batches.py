"""What is done with arrays that are given to a caller: every array of a batch, and those that are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["map_leaves", "read_only", "with_padding"]


def with_padding(leaf: Any, known: np.ndarray) -> Any:
    """A batch of known rows with padding in the places of the others.

    Args:
        leaf: The batch of the known rows: an array or a list.
        known: Which rows these are, ``(n,)`` bool.
    """
    if isinstance(leaf, list):
        values = iter(leaf)
        return [next(values) if is_known else None for is_known in known.tolist()]
    padded = np.zeros((len(known), *leaf.shape[1:]), leaf.dtype)
    padded[known] = leaf
    return padded


def read_only(array: np.ndarray) -> np.ndarray:
    """The array, for an object that keeps it: who changed it would change what the next one reads."""
    array.flags.writeable = False
    return array


def map_leaves(batch: Any, function: Callable[[Any], Any]) -> Any:
    """A batch with ``function`` applied to every array and list in it."""
    if isinstance(batch, dict):
        return {key: map_leaves(each, function) for key, each in batch.items()}
    if isinstance(batch, tuple):
        return tuple(map_leaves(each, function) for each in batch)
    return function(batch)

"""What is done with every array of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["map_leaves", "with_padding"]


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


def map_leaves(batch: Any, function: Callable[[Any], Any]) -> Any:
    """A batch with ``function`` applied to every array and list in it."""
    if isinstance(batch, dict):
        return {key: map_leaves(each, function) for key, each in batch.items()}
    if isinstance(batch, tuple):
        return tuple(map_leaves(each, function) for each in batch)
    return function(batch)

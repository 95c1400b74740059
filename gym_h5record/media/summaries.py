"""Values in a few words: for the cells of tables, and for the lines below frames."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

__all__ = ["summary"]

_MAX_ITEMS = 8


def summary(value: Any) -> str:
    """A value in a few words, for a table cell.

    Example:
        >>> import numpy as np
        >>> summary({"position": np.array([0.123456, -1.0]), "camera": np.zeros((84, 84), np.uint8)})
        'position=[0.123 -1] camera=84x84 uint8'
    """
    if isinstance(value, np.ndarray) and value.ndim:
        return _array(value)
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.3g}"
    if isinstance(value, Mapping):
        return _joined((f"{key}={summary(each)}" for key, each in value.items()), len(value))
    if isinstance(value, (list, tuple)):
        return f"({_joined(map(summary, value), len(value))})"
    return str(value)


def _array(array: np.ndarray) -> str:
    if array.ndim > 1 or array.size > _MAX_ITEMS:
        return f"{'x'.join(map(str, array.shape))} {array.dtype}"
    return f"[{' '.join(map(summary, array))}]"


def _joined(parts: Iterable[str], count: int) -> str:
    shown = " ".join(itertools.islice(parts, _MAX_ITEMS))
    return f"{shown} ..." if count > _MAX_ITEMS else shown

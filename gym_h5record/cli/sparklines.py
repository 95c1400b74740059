"""A line of returns or lengths within a line of text, drawn with blocks of eight heights."""

from __future__ import annotations

import sys

import numpy as np

__all__ = ["bar", "sparkline"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_NO_BLOCK = " "


def sparkline(values: np.ndarray, width: int = 32) -> str:
    """Numbers as blocks, the lowest as the lowest block. Of more numbers than ``width``, means of neighbours are shown.

    NaN and infinities are blanks. Fewer than two numbers, arrays, and terminals without these characters give "".

    Args:
        values: ``(n,)``.
        width: The most characters.
    """
    if values.ndim != 1 or len(values) < 2 or not _can_be_printed():
        return ""
    with np.errstate(all="ignore"):
        points = np.array([part.mean() for part in np.array_split(values.astype(np.float64), min(len(values), width))])
        finite = np.isfinite(points)
        if not finite.any():
            return ""
        scaled = points / max(float(np.abs(points[finite]).max()), np.finfo(np.float64).tiny)  # no span overflows
        low, high = scaled[finite].min(), scaled[finite].max()
        heights = (scaled - low) / (high - low) * (len(_BLOCKS) - 1) if high > low else np.zeros(len(points))
    pairs = zip(heights.tolist(), finite.tolist(), strict=True)
    return "".join(_BLOCKS[round(height)] if known else _NO_BLOCK for height, known in pairs)


def bar(fraction: float, width: int) -> str:
    """A bar for a fraction of the longest one, which has ``width`` characters."""
    return (_BLOCKS[-1] if _can_be_printed() else "#") * round(fraction * width)


def _can_be_printed() -> bool:
    """Whether stdout has these characters: a terminal of the C locale shows escapes in their place."""
    try:
        _BLOCKS.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True

"""A sparkline: a small line without axes, as inline SVG."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["MAX_LINES", "MAX_POINTS", "sparkline_svg"]

MAX_POINTS = 200
"""Points of a line. Of more values, the means of neighbours are shown."""

MAX_LINES = 4
"""Lines, where each value has several components."""

_WIDTH_PX, _HEIGHT_PX, _MARGIN_PX = 320, 48, 3


def sparkline_svg(values: np.ndarray) -> str:
    """A line through values, in the colour of the text around it; "" if fewer than two of them are finite.

    Args:
        values: ``(n,)``, or ``(n, *shape)`` for a line of each of the first four components. They may be NaN or
            infinite: such values are no points of the line.

    Example:
        >>> svg = sparkline_svg(np.array([1.0, np.nan, 2.0, 0.0]))
        >>> svg[svg.index("points") : svg.index(" />")]
        'points="3,24 212.3,3 317,45"'
    """
    with np.errstate(all="ignore"):  # means of infinities
        columns = np.asarray(values, np.float64).reshape(len(values), math.prod(values.shape[1:]))[:, :MAX_LINES]
        points = _means(columns)
        finite = np.isfinite(points)
        if not len(points) or finite.sum(axis=0).max(initial=0) < 2:
            return ""
        scaled = points / max(float(np.abs(points[finite]).max()), np.finfo(np.float64).tiny)  # no span overflows
        low, high = scaled[finite].min(), scaled[finite].max()
        span = high - low
        heights = (scaled - low) / span if span else np.full(points.shape, 0.5)
    across = _MARGIN_PX + np.linspace(0, 1, len(points)) * (_WIDTH_PX - 2 * _MARGIN_PX)
    down = _HEIGHT_PX - _MARGIN_PX - heights * (_HEIGHT_PX - 2 * _MARGIN_PX)
    lines = [_line(across[finite[:, each]], down[finite[:, each], each]) for each in range(points.shape[1])]
    size = f'width="{_WIDTH_PX}" height="{_HEIGHT_PX}" viewBox="0 0 {_WIDTH_PX} {_HEIGHT_PX}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(lines)}</svg>'


def _means(columns: np.ndarray) -> np.ndarray:
    """At most 200 rows, each the mean of its share of the rows of ``columns``."""
    if len(columns) <= MAX_POINTS:
        return columns
    bounds = np.linspace(0, len(columns), MAX_POINTS + 1).astype(np.int64)
    means: np.ndarray = np.add.reduceat(columns, bounds[:-1], axis=0) / np.diff(bounds)[:, None]
    return means


def _line(across: np.ndarray, down: np.ndarray) -> str:
    points = " ".join(f"{x:.4g},{y:.4g}" for x, y in zip(across.tolist(), down.tolist(), strict=True))
    return f'<polyline fill="none" stroke="currentColor" points="{points}" />'

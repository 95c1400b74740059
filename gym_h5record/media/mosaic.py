"""Puts the pictures of several panels beside each other, and says how large the result is shown."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from gym_h5record.errors import OptionError
from gym_h5record.media.lettering import Lettering

__all__ = ["MAX_SIDE_PX", "Mosaic", "shown_size"]

MAX_SIDE_PX = 16_384
"""Pixels of the longer side of a picture. H.264 has no larger ones."""

_WANTED_PX = 320  # of the longer side, if the caller gives no scale: small pictures are enlarged by a whole number
_GAP_PX = 2  # between panels
_IN_ONE_ROW = 3
_HEADER_PX = 14  # size of the font
_GROUND = 24


class Mosaic:
    """Panels in one row, or in a grid of as many rows as columns if there are more than three.

    Small panels are enlarged by a whole number, up to the height of the tallest.

    Args:
        sizes: Height and width of the pictures of each panel.
        fixed: The numbers of the panels that are not enlarged.

    Attributes:
        size: Height and width of all panels together, in pixels, before they are scaled.
    """

    def __init__(self, sizes: Sequence[tuple[int, int]], fixed: Collection[int] = ()) -> None:
        tallest = max(height for height, _ in sizes)
        self._factors = [1 if at in fixed else max(1, tallest // height) for at, (height, _) in enumerate(sizes)]
        shown = [(height * each, width * each) for (height, width), each in zip(sizes, self._factors, strict=True)]
        self._columns = len(sizes) if len(sizes) <= _IN_ONE_ROW else math.ceil(math.sqrt(len(sizes)))
        grid = [shown[first : first + self._columns] for first in range(0, len(shown), self._columns)]
        widths = [max(row[at][1] for row in grid if at < len(row)) for at in range(self._columns)]
        heights = [max(height for height, _ in row) for row in grid]
        self._lefts = [sum(widths[:at]) + at * _GAP_PX for at in range(self._columns)]
        self._tops = [sum(heights[:at]) + at * _GAP_PX for at in range(len(grid))]
        self._shown = shown
        self.size = (self._tops[-1] + heights[-1], self._lefts[-1] + widths[-1])

    def compose(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """The picture of all panels, ``(height, width, 3)`` uint8; that of a single panel is its own picture."""
        if len(pictures) == 1:
            return pictures[0]
        canvas = np.full((*self.size, 3), _GROUND, np.uint8)
        for at, (picture, factor) in enumerate(zip(pictures, self._factors, strict=True)):
            row, column = divmod(at, self._columns)
            enlarged = np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1) if factor > 1 else picture
            height, width = self._shown[at]
            top, left = self._tops[row], self._lefts[column]
            canvas[top : top + height, left : left + width] = enlarged
        return canvas

    def header(self, labels: Sequence[str], scale: float) -> np.ndarray:
        """The names of the panels above their columns, as ``(height, width)`` uint8 in the width of the shown picture.

        A grid has one line for each of its rows.
        """
        lettering = Lettering(_HEADER_PX)
        width = shown_size(self.size, scale)[1]
        strip = np.zeros((lettering.height * len(self._tops), width), np.uint8)
        edges = [*self._lefts, self.size[1]]
        for at, label in enumerate(labels):
            row, column = divmod(at, self._columns)
            left, right = (min(round(edge * scale), width) for edge in edges[column : column + 2])
            line = lettering.fitted(label, max(right - left - 4, 0))
            strip[row * lettering.height : (row + 1) * lettering.height, left : left + line.shape[1]] = line
        return strip

    def usual_scale(self) -> float:
        """The scale if the caller gives none: a whole number that makes the longer side about 320 pixels long."""
        return float(max(1, round(_WANTED_PX / max(self.size))))


def shown_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Height and width of a picture that is shown ``scale`` times as large.

    Raises:
        OptionError: If the scale is no positive number, or the picture would have more than 16,384 pixels on a side.

    Example:
        >>> shown_size((210, 160), 1.5)
        (315, 240)
    """
    if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not (0 < scale < math.inf):
        raise OptionError(f"scale: expected a positive number, got {scale!r:.80}")
    shown = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    if max(shown) > MAX_SIDE_PX:
        raise OptionError(f"a picture of {shown[1]} by {shown[0]} pixels is too large: choose a smaller scale.")
    return shown

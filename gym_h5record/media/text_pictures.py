r"""Text frames as pictures: each character in a cell of its own, so that maps keep their columns.

The colours of terminals, such as the red ground of the agent in FrozenLake (``\x1b[41m``), are drawn. All other
control sequences are left out.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator

import numpy as np

from gym_h5record.media.lettering import Lettering

__all__ = ["TextPainter", "text_size"]

MAX_COLUMNS, MAX_LINES = 240, 120
"""Characters of a line, and lines, that are drawn."""

_MIN_CELL_PX = 12
_WANTED_PX = 320  # height of a picture, if its cells may be so high
_ASPECT = 0.6  # of a cell

_COLOURS = ((40, 44, 52), (205, 49, 49), (13, 148, 66), (190, 150, 0), (36, 114, 200), (170, 60, 170), (17, 148, 180))
_PALE = (230, 237, 243)
_GROUND = (13, 17, 23)

_SEQUENCE = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])|\x1b[^\[]")


def text_size(text: str) -> tuple[int, int]:
    r"""Lines and columns that a text takes, at most 120 and 240.

    Example:
        >>> text_size("ab\x1b[41mc\x1b[0m\nd")
        (2, 3)
    """
    lines = [_SEQUENCE.sub("", line) for line in text.splitlines()[:MAX_LINES]]
    return len(lines), min(max(map(len, lines), default=0), MAX_COLUMNS)


class TextPainter:
    """Draws texts of up to some lines and columns, all in pictures of one size.

    Args:
        lines: How many lines there are at most.
        columns: How many characters a line has at most.
        cell_px: How high the cell of a character may be, in pixels. Maps of many lines have smaller ones.

    Attributes:
        size: Height and width of a picture, in pixels.
    """

    def __init__(self, lines: int, columns: int, cell_px: int = 40) -> None:
        lines, columns = max(1, lines), max(1, columns)
        self._cell_height = min(max(_WANTED_PX // lines, _MIN_CELL_PX), cell_px)
        self._cell_width = math.ceil(self._cell_height * _ASPECT)
        self._lettering = Lettering(round(self._cell_height * 0.75))
        self._lines, self._columns = lines, columns
        self.size = (lines * self._cell_height, columns * self._cell_width)
        self._cell = functools.lru_cache(maxsize=4096)(self._draw_cell)

    def paint(self, text: str) -> np.ndarray:
        """A text as ``(height, width, 3)`` uint8."""
        picture = np.full((*self.size, 3), _GROUND, np.uint8)
        high, wide = self._cell_height, self._cell_width
        for row, line in enumerate(_cells(text, self._lines)):
            for column, (character, ink, ground) in enumerate(line[: self._columns]):
                if character != " " or ground != _GROUND:
                    cell = self._cell(character, ink, ground)
                    picture[row * high : (row + 1) * high, column * wide : (column + 1) * wide] = cell
        return picture

    def _draw_cell(self, character: str, ink: tuple[int, int, int], ground: tuple[int, int, int]) -> np.ndarray:
        glyph = self._lettering.glyph(character if character.isprintable() else " ")
        cover = np.zeros((self._cell_height, self._cell_width), np.float32)
        glyph = glyph[: self._cell_height, : self._cell_width]
        top, left = (self._cell_height - glyph.shape[0]) // 2, (self._cell_width - glyph.shape[1]) // 2
        cover[top : top + glyph.shape[0], left : left + glyph.shape[1]] = glyph / np.float32(255)
        mixed = np.array(ground) + cover[:, :, None] * (np.array(ink) - np.array(ground))
        cell: np.ndarray = mixed.round().astype(np.uint8)
        return cell


_Cell = tuple[str, tuple[int, int, int], tuple[int, int, int]]


def _cells(text: str, max_lines: int) -> Iterator[list[_Cell]]:
    """The characters of each line, with the colours of their ink and ground."""
    ink, ground = _PALE, _GROUND
    for line in text.splitlines()[:max_lines]:
        cells: list[_Cell] = []
        end = 0
        for sequence in _SEQUENCE.finditer(line):
            cells += [(character, ink, ground) for character in line[end : sequence.start()]]
            end = sequence.end()
            if sequence[2] == "m":
                ink, ground = _colours(sequence[1] or "0", ink, ground)
        cells += [(character, ink, ground) for character in line[end:]]
        yield cells


def _colours(
    codes: str, ink: tuple[int, int, int], ground: tuple[int, int, int]
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """The colours after a sequence such as ``"1;31"``."""
    for code in [int(each[:3]) for each in codes.split(";") if each]:
        if code == 0:
            ink, ground = _PALE, _GROUND
        elif code in (7, 27):
            ink, ground = ground, ink
        elif 30 <= code <= 37 or 90 <= code <= 97:
            ink = (*_COLOURS, _PALE)[code % 10]
        elif 40 <= code <= 47 or 100 <= code <= 107:
            ground = (*_COLOURS, _PALE)[code % 10]
        elif code in (39, 49):
            ink, ground = (_PALE, ground) if code == 39 else (ink, _GROUND)
    return ink, ground

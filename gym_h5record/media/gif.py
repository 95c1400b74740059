"""Animated GIFs, written frame by frame: memory does not grow with their length."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gym_h5record.media.films import Film
from gym_h5record.media.mosaic import shown_size

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["GifFilm", "frame_delays"]

_MAX_FPS = 50  # browsers play faster GIFs slowly
_COLOURS, _GREYS = 256, 8
_LOOP_FOR_EVER = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
_TRAILER = b";"


def frame_delays(length: int, fps: float) -> list[tuple[int, int]]:
    """Which frames a GIF shows, and for how many milliseconds.

    A GIF counts in hundredths of a second. Delays are rounded so that their sum stays
    right. Above 50 frames per second, frames are left out.

    Example:
        >>> frame_delays(3, 30)
        [(0, 30), (1, 40), (2, 30)]
    """
    stride = math.ceil(fps / _MAX_FPS)
    ends_cs = [round(100 * min(k + stride, length) / fps) for k in range(0, length, stride)]
    return [(k * stride, 10 * max(2, end - start)) for k, (start, end) in enumerate(pairwise([0, *ends_cs]))]


class GifFilm(Film):
    """Writes a GIF that repeats for ever.

    Of a frame, only the rows that differ from the frame before are stored, with a palette of their own: up to 256
    colours are exact, 248 where lines of text stand below the picture.

    Args:
        path: The file.
        size: Height and width of the pictures.
        scale: How many times as large they are shown.
        header: The lines above them, ``(height, width)`` uint8, as wide as the shown picture; or None.
        caption_height: Pixels of the lines below them.
    """

    def __init__(
        self, path: Path, size: tuple[int, int], *, scale: float, header: np.ndarray | None, caption_height: int
    ) -> None:
        self._height, self._width = shown_size(size, scale)
        self._is_whole = self._height % size[0] == 0 and self._width == size[1] * (self._height // size[0])
        self._header = header
        self._top = 0 if header is None else len(header)
        self._caption_height = caption_height
        self._shown: np.ndarray | None = None  # the pictures of the last frame
        self._caption: np.ndarray | None = None
        self._waiting: tuple[Image, tuple[int, int]] | None = None
        self._duration_ms = 0
        self._file = path.open("wb")
        self._file.write(_screen(self._width, self._top + self._height + caption_height))

    def add(self, picture: np.ndarray, caption: np.ndarray | None, duration_ms: int) -> None:
        """Add a frame; one that equals the frame before is shown by showing that one longer."""
        first, last = self._changed_rows(picture)
        if caption is not None and (self._caption is None or not np.array_equal(caption, self._caption)):
            last = len(picture)
            first = min(first, last)
        else:
            caption = None if self._shown is not None else caption
        if self._shown is None or last > first or caption is not None:
            self._write_waiting()
            self._waiting = self._image(picture, first, last, caption)
            self._duration_ms = 0
            self._shown = picture.copy()
            self._caption = self._caption if caption is None else caption
        self._duration_ms += duration_ms

    def close(self) -> None:
        """Write the last frame."""
        self._write_waiting()
        self._file.write(_TRAILER)
        self._file.close()

    def abandon(self) -> None:
        """Close the file after an error."""
        self._file.close()

    def _changed_rows(self, picture: np.ndarray) -> tuple[int, int]:
        """The first row of the picture that is not as it was, and the row behind the last one."""
        if self._shown is None:
            return 0, len(picture)
        rows = np.flatnonzero((picture != self._shown).any(axis=(1, 2)))
        return (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (len(picture), len(picture))

    def _image(
        self, picture: np.ndarray, first: int, last: int, caption: np.ndarray | None
    ) -> tuple[Image, tuple[int, int]]:
        """The part of a frame that is stored, and where it stands."""
        from PIL import Image

        colours = _COLOURS if self._caption_height == 0 and self._header is None else _COLOURS - _GREYS
        if not self._is_whole:
            first, last = 0, len(picture)
        factor = self._height // len(picture) if self._is_whole else 1
        top = self._top + first * factor
        palette: list[int] = []
        parts: list[np.ndarray] = []
        if last > first:
            image = self._scaled(Image.fromarray(np.ascontiguousarray(picture[first:last])))
            indexed = image.quantize(colours, dither=Image.Dither.NONE)
            palette = (indexed.getpalette() or [])[: 3 * colours]
            size = (self._width, (last - first) * factor if self._is_whole else self._height)
            parts = [np.asarray(indexed.resize(size, Image.Resampling.NEAREST))]
        if self._shown is None and self._header is not None:
            top, parts = 0, [_greys(self._header, colours), *parts]
        if caption is not None:
            parts.append(_greys(caption, colours))
        whole = Image.fromarray(np.concatenate(parts))
        greys = [each * 255 // (_GREYS - 1) for each in range(_GREYS) for _ in range(3)]
        whole.putpalette((palette + [0] * (3 * colours - len(palette)) + greys)[: 3 * _COLOURS])
        return whole, (0, top)

    def _scaled(self, image: Any) -> Any:
        """A picture in its shown size, unless it is enlarged by a whole number: then its indices are enlarged."""
        from PIL import Image

        return image if self._is_whole else image.resize((self._width, self._height), Image.Resampling.LANCZOS)

    def _write_waiting(self) -> None:
        from PIL.GifImagePlugin import getdata

        if self._waiting is not None:
            image, offset = self._waiting
            for block in getdata(image, offset, duration=self._duration_ms, disposal=1, include_color_table=True):
                self._file.write(block)


def _screen(width: int, height: int) -> bytes:
    """The beginning of the file: its size, no palette for all frames, and that it repeats."""
    return b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + b"\x70\0\0" + _LOOP_FOR_EVER


def _greys(strip: np.ndarray, first: int) -> np.ndarray:
    """Lines of text as indices of the last eight colours of a palette."""
    indices: np.ndarray = (first + (strip.astype(np.uint16) * (_GREYS - 1) + 127) // 255).astype(np.uint8)
    return indices

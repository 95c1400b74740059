"""A panel's values as pictures of one size, read block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.display import reward_text
from gym_h5record.errors import OptionError
from gym_h5record.format import nodes
from gym_h5record.limits import num_elements
from gym_h5record.media.panels import Kind, Panel
from gym_h5record.media.text_pictures import TextPainter, text_size
from gym_h5record.reading.columns import Column
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.thumbnails import newest_picture

__all__ = ["PanelView", "blocks_of_frames"]

_BLOCK_BYTES = 4 << 20
_MAX_BLOCK = 128


@dataclass(frozen=True)
class _Range:
    """The lowest and the highest finite number of the frames that are shown."""

    low: float
    high: float


class PanelView:
    """The pictures of a panel.

    Args:
        decoder: Reads values.
        panel: The panel.
        start: The address of the first row of the episode.
        frames: Which frames of the episode are shown, ``(n,)`` int64.
        bgr: Whether pictures of three channels are blue, green, red.
        cell_px: How high a character of text may be.

    Attributes:
        label: What is written above the pictures.
        size: Height and width of the pictures, in pixels.
    """

    def __init__(
        self, decoder: Decoder, panel: Panel, start: int, frames: np.ndarray, *, bgr: bool, cell_px: int
    ) -> None:
        self.panel = panel
        self.label = panel.name
        self._bgr = bgr
        last = int(frames.max())
        self._column: Column = Column(decoder, panel.node, start, last + 1, has_padding=False)
        self._range = _Range(0.0, 1.0)
        self._painter: TextPainter | None = None
        if panel.kind is Kind.TEXT:
            sizes = np.array([text_size(value) for value in self._all(frames) if isinstance(value, str)] or [(1, 1)])
            self._painter = TextPainter(int(sizes[:, 0].max()), int(sizes[:, 1].max()), cell_px)
            self.size = self._painter.size
            return
        if panel.kind is Kind.NUMBERS:
            self._range = self._range_of(frames)
            self.label = f"{panel.name}: {reward_text(self._range.low)} to {reward_text(self._range.high)}"
        shape = panel.node.shape if isinstance(panel.node, (nodes.Array, nodes.Stack)) else ()
        picture = newest_picture(np.broadcast_to(np.uint8(0), shape), panel.min_side_px)
        if picture is None:  # a frame of cameras that is no picture by its shape is no panel
            raise OptionError(f"{panel.name} is no picture: it has the shape {shape}")
        self.size = (picture.shape[0], picture.shape[1])

    @property
    def bytes_per_frame(self) -> int:
        """Bytes of a value in memory; of text, a guess."""
        node = self.panel.node
        if isinstance(node, (nodes.Array, nodes.Stack)):
            return num_elements(node.shape) * node.dtype.itemsize
        return 1 << 12

    def pictures(self, frames: np.ndarray) -> list[np.ndarray]:
        """The pictures of some frames of the episode, each ``(height, width, 3)`` uint8 in the size of the panel.

        A value that is no picture is shown as a dark one.

        Args:
            frames: Their numbers in the episode, ``(n,)`` int64.
        """
        return [self._picture(value) for value in self._values(frames)]

    def _picture(self, value: Any) -> np.ndarray:
        if self._painter is not None:
            return self._painter.paint(value if isinstance(value, str) else "")
        picture = newest_picture(value, self.panel.min_side_px) if isinstance(value, np.ndarray) else None
        if picture is None or picture.dtype.kind not in "biuf":
            return np.full((*self.size, 3), 32, np.uint8)
        if picture.dtype != np.uint8:
            picture = _as_bytes(picture, self._range)
        rgb = np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture
        return _in_size(rgb[:, :, ::-1] if self._bgr else rgb, self.size)

    def _values(self, frames: np.ndarray) -> Any:
        first, last = int(frames[0]), int(frames[-1])
        if last - first == len(frames) - 1:
            return self._column[first : last + 1]
        return self._column[frames]

    def _all(self, frames: np.ndarray) -> Iterator[Any]:
        for block in blocks_of_frames(frames, self.bytes_per_frame):
            yield from self._values(block)

    def _range_of(self, frames: np.ndarray) -> _Range:
        low, high = np.inf, -np.inf
        for value in self._all(frames):
            picture = newest_picture(value, self.panel.min_side_px) if isinstance(value, np.ndarray) else None
            if picture is not None and picture.dtype.kind in "biuf":
                finite = picture[np.isfinite(picture)]
                if finite.size:
                    low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        return _Range(low, high) if low <= high else _Range(0.0, 0.0)


def blocks_of_frames(frames: np.ndarray, bytes_per_frame: int) -> Iterator[np.ndarray]:
    """Frame numbers in blocks of at most 4 MiB and 128 frames."""
    size = max(1, min(_BLOCK_BYTES // max(bytes_per_frame, 1), _MAX_BLOCK))
    for first in range(0, len(frames), size):
        yield frames[first : first + size]


def _as_bytes(numbers: np.ndarray, within: _Range) -> np.ndarray:
    """Numbers as bytes: 0 for the lowest of the range, 255 for the highest, 0 for NaN."""
    span = within.high - within.low
    with np.errstate(all="ignore"):
        scaled = (numbers.astype(np.float64) - within.low) * (255 / span if span else 1.0)
        scaled = np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0)
    picture: np.ndarray = scaled.clip(0, 255).round().astype(np.uint8)
    return picture


def _in_size(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture in the size of its panel: a later picture of a camera may have another one."""
    if picture.shape[:2] == size:
        return picture
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))

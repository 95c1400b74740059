"""Contact sheets: evenly spaced frames of an episode in a grid, as PNG."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gym_h5record.display import printable, reward_text
from gym_h5record.errors import OptionError
from gym_h5record.media.headlines import headline
from gym_h5record.media.lettering import font
from gym_h5record.media.mosaic import shown_size
from gym_h5record.media.picture_options import PictureOptions
from gym_h5record.media.returns import running_returns
from gym_h5record.media.shown_frames import ShownFrames, num_frames
from gym_h5record.media.targets import check_target, written_target
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recorded_file import RecordedFile

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

__all__ = ["ENDINGS", "SheetReport", "Tile", "contact_sheet", "evenly_spaced", "write_sheet"]

ENDINGS = (".png",)
"""The endings of the names of contact sheets."""

_MAX_ACROSS = 50
_TILE_WIDTH_PX = (160, 256)
_MARGIN_PX = 20
_GAP_PX = 12
_LABEL_PX = 18
_TITLE_PX = 32
_LABEL_SIZE, _TITLE_SIZE = 12, 16

_PAPER, _FRAME, _INK, _PALE, _END = "#ffffff", "#d0d7de", "#1f2328", "#59636e", "#cf222e"


@dataclass(frozen=True)
class SheetReport:
    """What was written.

    Attributes:
        path: The file.
        episode: The number of the episode.
        num_frames: How many frames it shows.
        width: Pixels of a line.
        height: Lines.
        cameras: The names of the panels that are shown.
    """

    path: Path
    episode: int
    num_frames: int
    width: int
    height: int
    cameras: tuple[str, ...]


@dataclass(frozen=True)
class Tile:
    """One frame of a contact sheet, with a label below its left and its right end.

    The left label is red if the episode ends with this frame.
    """

    picture: np.ndarray
    left: str
    right: str
    is_end: bool = False


def write_sheet(
    episode: Episode,
    file: RecordedFile,
    out: str | os.PathLike[str],
    options: PictureOptions,
    *,
    columns: int,
    rows: int,
) -> SheetReport:
    """Write the contact sheet of an episode.

    Args:
        episode: The episode.
        file: The file of its recording.
        out: The picture.
        options: Which frames it shows.
        columns: Frames in a row, at most 50.
        rows: Rows, at most 50.

    Raises:
        RecordingError: As of ``Episode.sheet``.
    """
    target = check_target(out, ENDINGS, mode=options.mode, recording=file.path)
    for name, across in (("columns", columns), ("rows", rows)):
        if isinstance(across, bool) or not isinstance(across, int) or not 1 <= across <= _MAX_ACROSS:
            raise OptionError(f"{name}: expected an integer from 1 to {_MAX_ACROSS}, got {across!r:.80}")
    frames = evenly_spaced(num_frames(episode, options.limit), columns * rows)
    shown = ShownFrames(episode, file.decoder, np.array(frames), options)
    returns = running_returns(episode, max(frames))
    tiles = [
        Tile(
            picture=picture,
            left=f"step {frame:,}",
            right=f"return {reward_text(returns[frame])}",
            is_end=frame == episode.length and episode.complete,
        )
        for frame, picture in zip(frames, shown.pictures(), strict=True)
    ]
    sheet = contact_sheet(tiles, _title(episode, file, shown), columns, options.scale)
    with written_target(target) as partial:
        sheet.save(partial, "PNG", optimize=True)
    return SheetReport(target, episode.number, len(tiles), sheet.width, sheet.height, shown.cameras)


def _title(episode: Episode, file: RecordedFile, shown: ShownFrames) -> str:
    names = ", ".join(shown.labels) if len(shown.labels) > 1 or shown.labels != shown.cameras else ""
    parts = [str(file.metadata.get("env_name") or ""), headline(episode), names]
    return printable("   ".join(part for part in parts if part))


def evenly_spaced(length: int, count: int) -> list[int]:
    """Up to ``count`` of the numbers below ``length``, the first and the last included.

    Example:
        >>> evenly_spaced(11, 3), evenly_spaced(2, 5)
        ([0, 5, 10], [0, 1])
    """
    count = min(length, count)
    return [round(k * (length - 1) / max(1, count - 1)) for k in range(count)]


def contact_sheet(tiles: Sequence[Tile], title: str, columns: int, scale: float | None = None) -> Image:
    """Labelled frames in a grid, row by row.

    A tile is ``scale`` times as wide as the first frame, or 160 to 256 pixels wide if ``scale`` is None.

    Raises:
        OptionError: If the scale is no positive number, or makes frames too large.
    """
    from PIL import Image, ImageDraw

    first = tiles[0].picture
    height, width = shown_size(first.shape[:2], scale or _tile_scale(first.shape[1]))
    labels = [font(_LABEL_SIZE).getlength(f"{tile.left}   {tile.right}") for tile in tiles]
    across, down = max(width, math.ceil(max(labels))) + _GAP_PX, height + _LABEL_PX + _GAP_PX
    columns = min(columns, len(tiles))
    inner_px = max(columns * across - _GAP_PX, math.ceil(font(_TITLE_SIZE).getlength(title)))
    rows = math.ceil(len(tiles) / columns)
    size = (2 * _MARGIN_PX + inner_px, 2 * _MARGIN_PX + _TITLE_PX + rows * down - _GAP_PX)
    shown_size(size, 1.0)  # not too large
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN_PX, _MARGIN_PX), title, fill=_INK, font=font(_TITLE_SIZE))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        left, top = _MARGIN_PX + column * across, _MARGIN_PX + _TITLE_PX + row * down
        sheet.paste(_resized(tile.picture, (width, height)), (left, top))
        draw.rectangle((left - 1, top - 1, left + width, top + height), outline=_FRAME)
        _label(draw, tile, left, left + across - _GAP_PX, top + height)
    return sheet


def _label(draw: ImageDraw, tile: Tile, left: int, right: int, top: int) -> None:
    letters, baseline = font(_LABEL_SIZE), top + _LABEL_PX - 4
    draw.text((left, baseline), tile.left, fill=_END if tile.is_end else _PALE, font=letters, anchor="ls")
    draw.text((right, baseline), tile.right, fill=_INK, font=letters, anchor="rs")


def _tile_scale(width: int) -> float:
    """The scale that makes a frame as wide as a tile; small frames grow by a whole number, which keeps pixels sharp."""
    narrow, wide = _TILE_WIDTH_PX
    return wide / width if width > wide else float(math.ceil(narrow / max(1, width)))


def _resized(picture: np.ndarray, size: tuple[int, int]) -> Image:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    whole = size[0] % image.width == 0 and size[1] % image.height == 0
    return image.resize(size, Image.Resampling.NEAREST if whole else Image.Resampling.LANCZOS)

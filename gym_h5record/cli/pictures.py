"""Pictures of an episode: an animated GIF, or a contact sheet as PNG.

Frames go in, the bytes of a picture file come out. ``commands/replay.py`` chooses the
rows. Pillow is imported when a picture is made.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gym_h5record.cli.program import CommandError
from gym_h5record.display import printable

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

__all__ = [
    "Pictures",
    "Tile",
    "animated_gif",
    "check_targets",
    "contact_sheet",
    "evenly_spaced",
    "frame_delays",
    "write_picture",
]

_MAX_SIDE_PX = 16_384  # a larger picture is a mistyped --scale
_GIF_MAX_FPS = 50  # browsers play faster GIFs slowly

# The contact sheet.
_TILE_WIDTH_PX = (160, 256)
_MARGIN_PX = 20
_GAP_PX = 12
_LABEL_PX = 18
_TITLE_PX = 32
_LABEL_SIZE, _TITLE_SIZE = 12, 16

_PAPER, _FRAME, _INK, _PALE, _END = "#ffffff", "#d0d7de", "#1f2328", "#59636e", "#cf222e"


# The pictures among the frames --------------------------------------------------------------------


class Pictures:
    """The picture of each row: of several cameras that of the first one that gives RGB, of an RGB-D pair the RGB.

    Attributes:
        camera: The name of the camera; None if the frames are not of cameras.

    Raises:
        CommandError: If the frames are text or depth.
    """

    def __init__(self, frames: Sequence[Any]) -> None:
        self._frames = frames
        first = frames[0]
        self.camera: str | None = None
        if isinstance(first, dict):
            self.camera = next((name for name, each in first.items() if not _no_picture(_rgb(each))), None)
            if self.camera is None:
                given = ", ".join(f"{name}: {_no_picture(_rgb(each))}" for name, each in first.items())
                raise CommandError(f"no camera gives pictures that can be shown ({printable(given)}).")
        elif isinstance(first, str) or _is_depth(first):
            what = "text" if isinstance(first, str) else "depth"
            raise CommandError(
                f'the frames are {what}: no picture is made of them. Record with render_mode="rgb_array" for pictures.'
            )

    def __getitem__(self, row: int) -> Any:
        frame = self._frames[row]
        return _rgb(frame.get(self.camera) if isinstance(frame, dict) else frame)


def _rgb(frame: Any) -> Any:
    return frame[0] if isinstance(frame, tuple) and frame else frame


def _is_depth(frame: Any) -> bool:
    return isinstance(frame, np.ndarray) and frame.dtype.kind == "f" and frame.ndim == 2


def _no_picture(frame: Any) -> str:
    """What a frame is if it is no picture; "" if it is one."""
    if isinstance(frame, str):
        return "text"
    if not isinstance(frame, np.ndarray):
        return type(frame).__name__
    return "" if frame.dtype == np.uint8 and _is_picture(frame.shape) else f"{frame.dtype} of shape {frame.shape}"


# Animated GIF -------------------------------------------------------------------------------------


def frame_delays(length: int, fps: float) -> list[tuple[int, int]]:
    """Which frames a GIF shows, and for how many milliseconds.

    A GIF counts in hundredths of a second. Delays are rounded so that their sum stays
    right. Above 50 frames per second, frames are left out.

    Example:
        >>> frame_delays(3, 30)
        [(0, 30), (1, 40), (2, 30)]
    """
    stride = math.ceil(fps / _GIF_MAX_FPS)
    ends_cs = [round(100 * min(k + stride, length) / fps) for k in range(0, length, stride)]
    return [(k * stride, 10 * max(2, end - start)) for k, (start, end) in enumerate(pairwise([0, *ends_cs]))]


def animated_gif(frames: Iterable[Any], delays_ms: Sequence[int], scale: float = 1.0) -> bytes:
    """An animated GIF that repeats for ever, ``scale`` times as wide as a frame."""
    from PIL.Image import Dither

    images: list[Image] = []
    for frame in frames:
        image = _image(frame, scale, images[0].size if images else None)
        # Each frame has its own palette, so that a frame of up to 256 colours is exact.
        images.append(image.quantize(256, dither=Dither.NONE))
    output = io.BytesIO()
    images[0].save(output, "GIF", save_all=True, append_images=images[1:], duration=list(delays_ms), loop=0)
    return output.getvalue()


# Contact sheet ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """One frame of a contact sheet, with a label below its left and its right end.

    The left label is red if the episode ends with this frame.
    """

    frame: Any
    left: str
    right: str
    is_end: bool = False


def evenly_spaced(length: int, count: int) -> list[int]:
    """Up to ``count`` of the numbers below ``length``, the first and the last included.

    Example:
        >>> evenly_spaced(11, 3), evenly_spaced(2, 5)
        ([0, 5, 10], [0, 1])
    """
    count = min(length, count)
    return [round(k * (length - 1) / max(1, count - 1)) for k in range(count)]


def contact_sheet(tiles: Sequence[Tile], title: str, columns: int, scale: float | None = None) -> bytes:
    """A PNG of labelled frames in a grid, row by row.

    A tile is ``scale`` times as wide as the first frame, or 160 to 256 pixels wide if ``scale`` is None.
    """
    from PIL import Image, ImageDraw

    first = _image(tiles[0].frame, scale or _tile_scale(tiles[0].frame))
    width, height = first.size
    labels = [_font(_LABEL_SIZE).getlength(f"{tile.left}   {tile.right}") for tile in tiles]
    across, down = max(width, math.ceil(max(labels))) + _GAP_PX, height + _LABEL_PX + _GAP_PX
    columns = min(columns, len(tiles))
    inner_px = max(columns * across - _GAP_PX, math.ceil(_font(_TITLE_SIZE).getlength(title)))
    rows = math.ceil(len(tiles) / columns)
    size = (2 * _MARGIN_PX + inner_px, 2 * _MARGIN_PX + _TITLE_PX + rows * down - _GAP_PX)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN_PX, _MARGIN_PX), title, fill=_INK, font=_font(_TITLE_SIZE))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        left, top = _MARGIN_PX + column * across, _MARGIN_PX + _TITLE_PX + row * down
        sheet.paste(_image(tile.frame, 1.0, first.size), (left, top))
        draw.rectangle((left - 1, top - 1, left + width, top + height), outline=_FRAME)
        _label(draw, tile, left, left + across - _GAP_PX, top + height)
    output = io.BytesIO()
    sheet.save(output, "PNG", optimize=True)
    return output.getvalue()


def _label(draw: ImageDraw, tile: Tile, left: int, right: int, top: int) -> None:
    font, baseline = _font(_LABEL_SIZE), top + _LABEL_PX - 4
    draw.text((left, baseline), tile.left, fill=_END if tile.is_end else _PALE, font=font, anchor="ls")
    draw.text((right, baseline), tile.right, fill=_INK, font=font, anchor="rs")


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _tile_scale(frame: Any) -> float:
    """The scale that makes a frame as wide as a tile; small frames grow by a whole number, which keeps pixels sharp."""
    narrow, wide = _TILE_WIDTH_PX
    width = np.shape(frame)[1] if np.ndim(frame) > 1 else narrow
    return wide / width if width > wide else float(math.ceil(narrow / max(1, width)))


# Frames as images ---------------------------------------------------------------------------------


def _image(frame: Any, scale: float, size: tuple[int, int] | None = None) -> Image:
    """A frame as an image, ``scale`` times as large or of the given size."""
    from PIL import Image

    what = _no_picture(frame)
    if what:
        raise CommandError(f"a frame is no picture: expected uint8 of shape (height, width, 3), found {what}.")
    image = Image.fromarray(frame[:, :, 0] if frame.shape[2:] == (1,) else frame).convert("RGB")
    wanted = size or (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if max(wanted) > _MAX_SIDE_PX:
        raise CommandError(f"a picture of {wanted[0]} by {wanted[1]} pixels is too large: choose a smaller --scale.")
    if wanted == image.size:
        return image
    whole = wanted[0] % image.width == 0 and wanted[1] % image.height == 0
    return image.resize(wanted, Image.Resampling.NEAREST if whole else Image.Resampling.LANCZOS)


def _is_picture(shape: tuple[int, ...]) -> bool:
    return min(shape, default=0) > 0 and (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)))


# Picture files ------------------------------------------------------------------------------------


def check_targets(targets: Iterable[Path], recording: Path, *, overwrite: bool) -> None:
    """Refuse a picture that cannot be written before any work is done. The recording is never overwritten."""
    for target in targets:
        if not target.parent.is_dir():
            raise CommandError(f"cannot write {target}: the directory {target.parent} does not exist.")
        if target.exists() and recording.exists() and target.samefile(recording):
            raise CommandError(f"cannot write {target}: it is the recording itself.")
        if target.exists() and not overwrite:
            raise CommandError(f"{target} exists: choose another name, or replace it with --overwrite.")


def write_picture(target: Path, picture: bytes, *, overwrite: bool) -> None:
    """Write the bytes of a picture."""
    try:
        with target.open("wb" if overwrite else "xb") as file:
            file.write(picture)
    except OSError as error:
        raise CommandError(f"cannot write {target}: {error.strerror}") from error

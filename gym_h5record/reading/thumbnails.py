"""Which arrays are pictures, and small pictures of a recording as PNG.

The pictures are those of its frames, or of observations that look like pictures.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from gym_h5record.format import nodes
from gym_h5record.format.schema import Schema

__all__ = [
    "MAX_PNG_BYTES",
    "MAX_SIDE_PX",
    "MIN_SIDE_PX",
    "newest_picture",
    "picture_in",
    "picture_kind",
    "picture_node",
    "png_thumbnail",
]

MAX_SIDE_PX = 160
"""Pixels of the longer side of a thumbnail."""

MAX_PNG_BYTES = 40_000
"""Bytes of a thumbnail. One of noise in 256 colours, the largest that there can be, has 27,000."""

MIN_SIDE_PX = 8
"""Smaller arrays of observations, such as the view of MiniGrid, are numbers rather than pictures."""

_OVERSAMPLING = 4  # of a larger picture every n-th pixel is taken before it is scaled: one of 8K takes 0.5 s otherwise


def picture_node(schema: Schema) -> nodes.Array | nodes.Stack | None:
    """The node of the pictures of a recording: the first one among the frames, else among the observations."""
    roots = [schema.observation] if schema.frame is None else [schema.frame, schema.observation]
    for root in roots:
        for node in root.walk():
            if isinstance(node, (nodes.Array, nodes.Stack)) and node.dtype == np.uint8 and picture_kind(node.shape):
                return node
    return None


def picture_in(value: Any) -> np.ndarray | None:
    """The picture in a value, ``(height, width)`` or ``(height, width, 3)`` uint8; None if it is no picture.

    A picture of four channels is shown without the last one, of a stack of frames the newest frame.

    Example:
        >>> picture_in(np.zeros((4, 84, 84), np.uint8)).shape, picture_in(np.zeros((210, 160, 3), np.uint8)).shape
        ((84, 84), (210, 160, 3))
        >>> picture_in("text")
    """
    return newest_picture(value) if isinstance(value, np.ndarray) and value.dtype == np.uint8 else None


def newest_picture(array: np.ndarray, min_side_px: int = MIN_SIDE_PX) -> np.ndarray | None:
    """The picture that an array of any dtype is by its shape, ``(height, width)`` or ``(height, width, 3)``.

    Args:
        array: A picture, one with its channels in front, or a stack of pictures, of which the last one is taken.
        min_side_px: The least height and width of a picture.

    Returns:
        A view; None if the array has the shape of no picture.

    Example:
        >>> newest_picture(np.zeros((4, 3, 96, 96), np.float32)).shape
        (96, 96, 3)
    """
    picture, kind = array, picture_kind(array.shape, min_side_px)
    if kind == "stack":
        picture, kind = picture[-1], picture_kind(picture.shape[1:], min_side_px)
    if kind == "channels first":
        picture = np.moveaxis(picture, 0, -1)
    if kind is None or kind == "stack":
        return None
    return picture if picture.ndim == 2 else picture[:, :, 0] if picture.shape[2] == 1 else picture[:, :, :3]


def png_thumbnail(picture: np.ndarray) -> bytes:
    """A picture of at most 160 pixels in each direction, as the bytes of a PNG file, of which there are at most 40,000.

    Args:
        picture: ``(height, width)`` or ``(height, width, 3)`` uint8.
    """
    from PIL import Image

    height, width = picture.shape[:2]
    every = max(1, max(height, width) // (_OVERSAMPLING * MAX_SIDE_PX))
    image = Image.fromarray(np.ascontiguousarray(picture[::every, ::every])).convert("RGB")
    scale = min(1.0, MAX_SIDE_PX / max(image.size))
    if scale < 1:
        wanted = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(wanted, Image.Resampling.LANCZOS)
    png = _png(image)
    return png if len(png) <= MAX_PNG_BYTES else _png(image.quantize(256))


def _png(image: Any) -> bytes:
    output = io.BytesIO()
    image.save(output, "PNG", optimize=True)
    return output.getvalue()


def picture_kind(shape: tuple[int, ...], min_side_px: int = MIN_SIDE_PX) -> str | None:
    """What kind of picture an array of this shape is; None if it is none.

    Args:
        shape: The shape of the array.
        min_side_px: The least height and width of a picture.

    Returns:
        ``"grey"`` for ``(height, width)``, ``"colour"`` for 1, 3 or 4 channels behind, ``"channels first"`` for 1 or 3
        channels in front, ``"stack"`` for two or more of these in front of each other.

    Example:
        >>> picture_kind((84, 84)), picture_kind((210, 160, 3)), picture_kind((3, 96, 96)), picture_kind((4, 84, 84))
        ('grey', 'colour', 'channels first', 'stack')
    """
    if len(shape) == 2 and min(shape) >= min_side_px:
        return "grey"
    if len(shape) == 3 and shape[2] in (1, 3, 4) and min(shape[:2]) >= min_side_px:
        return "colour"
    if len(shape) == 3 and shape[0] in (1, 3) and min(shape[1:]) >= min_side_px:
        return "channels first"
    inner = picture_kind(shape[1:], min_side_px) if len(shape) in (3, 4) and shape[0] >= 2 else None
    return "stack" if inner is not None and inner != "stack" else None

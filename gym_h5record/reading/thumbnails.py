"""Small pictures of a recording, as PNG: of its frames, or of observations that look like pictures."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from gym_h5record.format import nodes
from gym_h5record.format.schema import Schema

__all__ = ["MAX_PNG_BYTES", "MAX_SIDE_PX", "picture_in", "picture_node", "png_thumbnail"]

MAX_SIDE_PX = 160
"""Pixels of the longer side of a thumbnail."""

MAX_PNG_BYTES = 40_000
"""Bytes of a thumbnail. One of noise in 256 colours, the largest that there can be, has 27,000."""

_MIN_SIDE_PX = 8  # smaller arrays of uint8, such as the view of MiniGrid, are numbers rather than pictures
_OVERSAMPLING = 4  # of a larger picture every n-th pixel is taken before it is scaled: one of 8K takes 0.5 s otherwise


def picture_node(schema: Schema) -> nodes.Array | nodes.Stack | None:
    """The node of the pictures of a recording: the first one among the frames, else among the observations."""
    roots = [schema.observation] if schema.frame is None else [schema.frame, schema.observation]
    for root in roots:
        for node in root.walk():
            if isinstance(node, (nodes.Array, nodes.Stack)) and node.dtype == np.uint8 and _picture(node.shape):
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
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8:
        return None
    picture: np.ndarray = value
    kind = _picture(picture.shape)
    if kind == "stack":
        picture, kind = picture[-1], _picture(picture.shape[1:])
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


def _picture(shape: tuple[int, ...]) -> str | None:
    """What kind of picture an array of this shape is; None if it is none."""
    if len(shape) == 2 and min(shape) >= _MIN_SIDE_PX:
        return "grey"
    if len(shape) == 3 and shape[2] in (1, 3, 4) and min(shape[:2]) >= _MIN_SIDE_PX:
        return "colour"
    if len(shape) == 3 and shape[0] in (1, 3) and min(shape[1:]) >= _MIN_SIDE_PX:
        return "channels first"
    return "stack" if len(shape) in (3, 4) and shape[0] >= 2 and _picture(shape[1:]) in ("grey", "colour") else None

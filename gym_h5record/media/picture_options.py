"""What videos and contact sheets have in common: which frames they show, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["PictureOptions"]


@dataclass(frozen=True)
class PictureOptions:
    """Options of ``Episode.video`` and ``Episode.sheet``, which describe them.

    Attributes:
        scale: How many times as large the pictures are shown, None for the usual size.
        cameras: The names of the panels that are shown, None for all.
        bgr: Whether pictures of three channels are blue, green, red.
        limit: Only the first so many steps.
        mode: ``"x"`` for a new file, ``"w"`` to replace one.
    """

    scale: float | None = None
    cameras: Sequence[str] | None = None
    bgr: bool = False
    limit: int | None = None
    mode: str = "x"

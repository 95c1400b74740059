"""The frames of an episode that a video or a contact sheet shows, each as one picture of all panels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gym_h5record.errors import OptionError
from gym_h5record.media.mosaic import Mosaic
from gym_h5record.media.panels import Kind, choose_panels
from gym_h5record.media.picture_options import PictureOptions
from gym_h5record.media.views import PanelView, blocks_of_frames
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.episodes import Episode

__all__ = ["ShownFrames", "num_frames"]

_LARGE_CELL_PX, _SMALL_CELL_PX = 40, 18  # of characters: where there is only text, and beside pictures


class ShownFrames:
    """Some frames of an episode. Memory holds a few of them at a time.

    All panels show the same row of the recording. Where the range of numbers or the size of texts has to be known, the
    frames are read twice.

    Args:
        episode: The episode.
        decoder: Reads its values.
        frames: The numbers of the frames, ``(n,)`` int64 in ascending order.
        options: Which cameras, and the order of the colours.

    Attributes:
        frames: The numbers of the frames.
        mosaic: How the panels are put together.
        cameras: The names of the panels that are shown.
        labels: Their names, each with the range of its numbers.

    Raises:
        OptionError: If there is no panel of one of these names.
        RenderModeError: If the recording has nothing that can be shown.
    """

    def __init__(self, episode: Episode, decoder: Decoder, frames: np.ndarray, options: PictureOptions) -> None:
        panels = choose_panels(decoder.schema, options.cameras)
        self.frames = frames
        cell_px = _LARGE_CELL_PX if all(panel.kind is Kind.TEXT for panel in panels) else _SMALL_CELL_PX
        self._views = [
            PanelView(decoder, panel, episode.address, frames, bgr=options.bgr, cell_px=cell_px) for panel in panels
        ]
        texts = [at for at, panel in enumerate(panels) if panel.kind is Kind.TEXT]  # letters stay as large as they are
        self.mosaic = Mosaic([view.size for view in self._views], texts)
        self.cameras = tuple(panel.name for panel in panels)
        self.labels = tuple(view.label for view in self._views)

    def header(self, scale: float) -> np.ndarray | None:
        """The names of the panels and the ranges of numbers; None if there is one panel without a range."""
        if len(self._views) == 1 and self._views[0].panel.kind is not Kind.NUMBERS:
            return None
        return self.mosaic.header(self.labels, scale)

    def pictures(self) -> Iterator[np.ndarray]:
        """The picture of each frame, ``(height, width, 3)`` uint8."""
        for block in blocks_of_frames(self.frames, sum(view.bytes_per_frame for view in self._views)):
            for pictures in zip(*(view.pictures(block) for view in self._views), strict=True):
                yield self.mosaic.compose(pictures)


def num_frames(episode: Episode, limit: int | None) -> int:
    """How many frames show the first ``limit`` steps of an episode: one more than steps.

    Raises:
        OptionError: If the limit is no positive integer or None.
    """
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, (int, np.integer)) or limit < 1):
        raise OptionError(f"limit: expected a positive integer or None, got {limit!r:.80}")
    return min(episode.length if limit is None else int(limit), episode.length) + 1

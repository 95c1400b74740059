"""``Pictured``: the pictures that an episode can make of itself. The work is done in ``media/``.

``media`` is a room above this one. A method here imports it when it is called, so that a program that only reads
loads none of it. The import contracts in ``pyproject.toml`` allow it to this module and to ``trainable.py``.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gym_h5record.reading.recorded_file import RecordedFile

if TYPE_CHECKING:
    from gym_h5record.media.sheets import SheetReport
    from gym_h5record.media.videos import VideoReport

__all__ = ["Pictured"]


class Pictured(ABC):
    """An episode with frames. A subclass says which."""

    @property
    @abstractmethod
    def _file(self) -> RecordedFile:
        """The file of its recording."""

    def video(
        self,
        out: str | os.PathLike[str],
        *,
        scale: float | None = None,
        overlay: Sequence[str] = ("step", "action", "reward", "return"),
        fps: float | None = None,
        cameras: Sequence[str] | None = None,
        bgr: bool = False,
        limit: int | None = None,
        mode: str = "x",
        on_progress: Callable[[int, int], None] | None = None,
    ) -> VideoReport:
        """Make a video of the episode: an MP4 or an animated GIF, as the name of the file says.

        It shows the frames, or, in a recording without frames, those observations that are like pictures: grey ones,
        ones with their channels in front, and of stacks the newest frame. Several cameras stand beside each other, and
        all show the same row of the recording. Text is drawn character by character. Numbers that are no bytes, such as
        depth, are shown in grey, from black for the lowest number of the episode to white for the highest; both are
        written above. Memory holds a few frames at a time.

        Args:
            out: The video, a name that ends with ``.mp4`` or ``.gif``. MP4 needs the extra ``video``.
            scale: How many times as large the pictures are shown. None for a whole number that makes the longer side
                about 320 pixels long, and 1 for larger pictures.
            overlay: What is written below each frame: some of ``"step"``, ``"action"``, ``"reward"`` and ``"return"``;
                ``()`` for the pictures alone. Action and reward are those of the step taken from the frame,
                ``actions[step]``; the return is the sum of the rewards before it.
            fps: Frames per second, 0.1 to 1000. None for those of the recording, or 30 if it does not say. A GIF leaves
                out frames beyond 50 per second, and takes as long as it should.
            cameras: Which pictures are shown, in this order: names of cameras, ``"frames"``, or paths of observations
                such as ``"observations/pixels"``. None for all frames.
            bgr: Whether pictures of three channels are blue, green, red, as OpenCV has them. Otherwise they are RGB.
            limit: Only the first so many steps.
            mode: ``"x"`` for a new file, ``"w"`` to replace one. The file gets its name when it is complete.
            on_progress: Called after each frame with the frames that are done, and with how many there are.

        Returns:
            The path of the file, the size of its frames in pixels, how many there are, and which cameras.

        Raises:
            OptionError: If an option is wrong, or the name of the file fits no format.
            RenderModeError: If the recording has nothing that can be shown.
            RecordingExistsError: If the file exists, and the mode is ``"x"``.
            RecordingPathError: If the directory of the file does not exist.
            MissingDependencyError: If the video is an MP4, and PyAV is not installed.
            WriterError: If writing fails, for example because the disk is full.
            CorruptRecordingError: If a frame cannot be read.
        """
        from gym_h5record.media.picture_options import PictureOptions
        from gym_h5record.media.videos import write_video

        options = PictureOptions(scale, cameras, bgr, limit, mode)
        episode: Any = self  # its class is defined above this module
        return write_video(episode, self._file, out, options, overlay=overlay, fps=fps, on_progress=on_progress)

    def sheet(
        self,
        out: str | os.PathLike[str],
        *,
        columns: int = 5,
        rows: int = 3,
        scale: float | None = None,
        cameras: Sequence[str] | None = None,
        bgr: bool = False,
        limit: int | None = None,
        mode: str = "x",
    ) -> SheetReport:
        """Make a contact sheet of the episode: evenly spaced frames in a grid, with step and return, as a PNG.

        It shows what ``video`` shows.

        Args:
            out: The picture, a name that ends with ``.png``.
            columns: Frames in a row, at most 50.
            rows: Rows, at most 50. The first and the last frame of the episode are on the sheet.
            scale: How many times as large the frames are shown. None for frames 160 to 256 pixels wide.
            cameras: Which pictures are shown, as in ``video``.
            bgr: Whether pictures of three channels are blue, green, red.
            limit: Only the first so many steps.
            mode: ``"x"`` for a new file, ``"w"`` to replace one.

        Returns:
            The path of the file, its size in pixels, how many frames it shows, and which cameras.

        Raises:
            RecordingError: As of ``video``.
        """
        from gym_h5record.media.picture_options import PictureOptions
        from gym_h5record.media.sheets import write_sheet

        options = PictureOptions(scale, cameras, bgr, limit, mode)
        episode: Any = self  # as above
        return write_sheet(episode, self._file, out, options, columns=columns, rows=rows)

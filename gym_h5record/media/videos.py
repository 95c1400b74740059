"""Videos of episodes: ``to_video``, and what ``episode.video`` does."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gym_h5record.errors import OptionError
from gym_h5record.media.captions import OVERLAYS, Captions
from gym_h5record.media.films import Film
from gym_h5record.media.gif import GifFilm, frame_delays
from gym_h5record.media.headlines import choose_episode
from gym_h5record.media.mosaic import shown_size
from gym_h5record.media.mp4 import Mp4Film
from gym_h5record.media.picture_options import PictureOptions
from gym_h5record.media.shown_frames import ShownFrames, num_frames
from gym_h5record.media.targets import check_target, written_target
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recorded_file import RecordedFile
from gym_h5record.reading.recording import Recording

__all__ = ["ENDINGS", "OnProgress", "VideoReport", "to_video", "write_video"]

ENDINGS = (".mp4", ".gif")
"""The endings of the names of videos."""

OnProgress = Callable[[int, int], None]
"""Called with the frames that are done, and with how many there are."""

_DEFAULT_FPS = 30.0
_MIN_FPS, _MAX_FPS = 0.1, 1000.0


@dataclass(frozen=True)
class VideoReport:
    """What was written.

    Attributes:
        path: The file.
        episode: The number of the episode.
        num_frames: Frames of the episode that are shown: one more than steps. A GIF leaves out those beyond 50 frames
            per second.
        fps: Frames per second.
        width: Pixels of a line.
        height: Lines.
        cameras: The names of the panels that are shown.
    """

    path: Path
    episode: int
    num_frames: int
    fps: float
    width: int
    height: int
    cameras: tuple[str, ...]


def to_video(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    episode: int | None = None,
    scale: float | None = None,
    overlay: Sequence[str] = OVERLAYS,
    fps: float | None = None,
    cameras: Sequence[str] | None = None,
    bgr: bool = False,
    limit: int | None = None,
    mode: str = "x",
    on_progress: OnProgress | None = None,
) -> VideoReport:
    """Make a video of an episode of a recording: an MP4 or an animated GIF, as the name of the file says.

    Args:
        path: The recording.
        out: The video, a name that ends with ``.mp4`` or ``.gif``. MP4 needs the extra ``video``.
        episode: The number of the episode, negative from the end; None for the first one with a step.
        scale: As in ``Episode.video``, and so all that follows.
        overlay: What is written below each frame.
        fps: Frames per second.
        cameras: Which pictures are shown.
        bgr: Whether pictures of three channels are blue, green, red.
        limit: Only the first so many steps.
        mode: ``"x"`` for a new file, ``"w"`` to replace one.
        on_progress: Called after each frame with the frames that are done, and with how many there are.

    Raises:
        SelectionError: If there is no such episode.
        RecordingError: As of ``Recording`` and of ``Episode.video``.

    Example:
        >>> import gymnasium as gym
        >>> import gym_h5record as h5r
        >>> with h5r.RecordToHDF5(gym.make("FrozenLake-v1", render_mode="ansi"), tmp_path / "lake.h5") as env:
        ...     observation, info = env.reset(seed=0)
        ...     result = env.step(1)
        >>> report = h5r.to_video(tmp_path / "lake.h5", tmp_path / "lake.gif")
        >>> report.num_frames, report.cameras
        (2, ('frames',))
    """
    target = check_target(out, ENDINGS, mode=mode, recording=Path(path))
    with Recording(path) as recording:
        return choose_episode(recording, episode).video(
            target,
            scale=scale,
            overlay=overlay,
            fps=fps,
            cameras=cameras,
            bgr=bgr,
            limit=limit,
            mode=mode,
            on_progress=on_progress,
        )


def write_video(
    episode: Episode,
    file: RecordedFile,
    out: str | os.PathLike[str],
    options: PictureOptions,
    *,
    overlay: Sequence[str],
    fps: float | None,
    on_progress: OnProgress | None,
) -> VideoReport:
    """Write the video of an episode.

    Args:
        episode: The episode.
        file: The file of its recording.
        out: The video.
        options: Which frames it shows.
        overlay: What is written below each frame.
        fps: Frames per second, None for those of the recording.
        on_progress: Called after each frame.

    Raises:
        RecordingError: As of ``Episode.video``.
    """
    target = check_target(out, ENDINGS, mode=options.mode, recording=file.path)
    ending, speed, count = target.suffix.lower(), _speed(fps, file.fps), num_frames(episode, options.limit)
    frames, durations_ms = np.arange(count), None
    if ending == ".gif":
        frames, durations_ms = np.array(frame_delays(count, speed)).T
    shown = ShownFrames(episode, file.decoder, frames, options)
    scale = shown.mosaic.usual_scale() if options.scale is None else options.scale
    height, width = shown_size(shown.mosaic.size, scale)
    captions = Captions(episode, overlay, width, count - 1)
    header = shown.header(scale) if overlay else None
    with written_target(target) as partial:
        film = _open_film(partial, ending, shown.mosaic.size, speed, scale, header, captions.height)
        with film:
            for at, picture in enumerate(shown.pictures()):
                duration_ms = 0 if durations_ms is None else int(durations_ms[at])
                film.add(picture, captions.of_frame(int(frames[at])), duration_ms)
                if on_progress is not None:
                    on_progress(at + 1, len(frames))
    full_height = height + captions.height + (0 if header is None else len(header))
    return VideoReport(target, episode.number, count, speed, width, full_height, shown.cameras)


def _open_film(
    path: Path,
    ending: str,
    size: tuple[int, int],
    fps: float,
    scale: float,
    header: np.ndarray | None,
    caption_height: int,
) -> Film:
    if ending == ".gif":
        return GifFilm(path, size, scale=scale, header=header, caption_height=caption_height)
    return Mp4Film(path, size, fps=fps, scale=scale, header=header, caption_height=caption_height)


def _speed(fps: float | None, recorded: float) -> float:
    """Frames per second: what is asked for, else what was recorded, else 30."""
    if fps is None:
        return recorded if _MIN_FPS <= recorded <= _MAX_FPS else _DEFAULT_FPS
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not _MIN_FPS <= fps <= _MAX_FPS:
        raise OptionError(f"fps: expected a number from {_MIN_FPS:g} to {_MAX_FPS:g}, got {fps!r:.80}")
    return float(fps) if math.isfinite(fps) else _DEFAULT_FPS

"""What the commands that write pictures share: their options, and messages that name them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click

from gym_h5record.cli.program import CommandError
from gym_h5record.display import printable
from gym_h5record.errors import RecordingExistsError
from gym_h5record.media.targets import check_target

__all__ = ["cameras_text", "check_picture", "picture_options"]

_MIN_FPS, _MAX_FPS = 0.1, 1000.0


def picture_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of pictures to a command: ``fps``, ``scale``, ``cameras``, ``bgr``, ``overwrite``."""

    @click.option(
        "--fps", type=click.FloatRange(_MIN_FPS, _MAX_FPS), help="Frames per second.  [default: the recording's]"
    )
    @click.option(
        "--scale",
        type=click.FloatRange(0.05, 20),
        help="Enlarges the frames.  [default: small ones to about 320 pixels; contact sheet: 160 to 256 pixels wide]",
    )
    @click.option(
        "--camera",
        "cameras",
        multiple=True,
        metavar="NAME",
        help="Show this camera, or this leaf such as observations/pixels. May be repeated.  "
        "[default: all frames, or else observations that are like pictures]",
    )
    @click.option("--bgr", is_flag=True, help="The colours of the frames are blue, green, red.")
    @click.option("--overwrite", is_flag=True, help="Replace picture files that exist.")
    @functools.wraps(command)
    def with_options(**options: Any) -> None:
        command(**options)

    return with_options


def check_picture(target: Path, endings: Collection[str], recording: Path, *, overwrite: bool) -> None:
    """Refuse a picture that cannot be written, before any work is done.

    Raises:
        CommandError: If it exists, and is not to be replaced.
        RecordingError: If it cannot be written for another reason.
    """
    try:
        check_target(target, endings, mode="w" if overwrite else "x", recording=recording)
    except RecordingExistsError as error:
        raise CommandError(f"{target} exists: choose another name, or replace it with --overwrite.") from error


def cameras_text(cameras: Collection[str]) -> str:
    """The names of several cameras behind the name of a file; "" for one.

    Example:
        >>> cameras_text(["front", "wrist/depth"]), cameras_text(["frames"])
        (' (front, wrist/depth)', '')
    """
    return f" ({', '.join(map(printable, cameras))})" if len(cameras) > 1 else ""

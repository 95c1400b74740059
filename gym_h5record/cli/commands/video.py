"""``gym-h5record video``: write an episode as an MP4 or an animated GIF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gym_h5record.cli.output import file_bytes, print_json, show_line, size_text
from gym_h5record.cli.parameters import GivenPath
from gym_h5record.cli.pictures import cameras_text, check_picture, picture_options
from gym_h5record.cli.progress import row_progress
from gym_h5record.display import counted
from gym_h5record.media.captions import OVERLAYS
from gym_h5record.media.headlines import choose_episode
from gym_h5record.media.videos import ENDINGS, VideoReport
from gym_h5record.reading.recording import Recording

__all__ = ["video_command"]

_NONE = "none"


def _parse_overlay(context: click.Context, parameter: click.Parameter, text: str) -> list[str]:
    """Parse names such as ``step,return``; ``none`` for no name."""
    names = [] if text == _NONE else [part.strip() for part in text.split(",")]
    if not set(names) <= {*OVERLAYS}:
        raise click.BadParameter(f"expected {_NONE} or some of {','.join(OVERLAYS)}, got {text!r}", context, parameter)
    return names


@click.command("video")
@click.argument("path", type=GivenPath())
@click.option(
    "-o",
    "--output",
    type=GivenPath(),
    help="The file to write; its name ends with .mp4 or .gif.  [default: PATH with .mp4]",
)
@click.option(
    "--episode", type=int, metavar="K", help="Number of the episode; -1 is the last.  [default: the first with a step]"
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N steps.  [default: all]")
@click.option(
    "--overlay",
    default=",".join(OVERLAYS),
    show_default=True,
    callback=_parse_overlay,
    metavar="NAME,...|none",
    help="What is written below each frame.",
)
@picture_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and no progress.")
def video_command(
    *,
    path: Path,
    output: Path | None,
    episode: int | None,
    overlay: Sequence[str],
    cameras: Sequence[str],
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write an episode of the recording PATH as a video.

    Shows the frames, several cameras beside each other; in a recording without
    frames, observations that are like pictures. MP4 needs the extra "video".

    \b
    Examples:
      gym-h5record video run.h5
      gym-h5record video run.h5 --episode -1 -o last.gif --scale 1 --overlay none
    """  # noqa: D301  # click's mark for a paragraph that is not wrapped
    target = path.with_suffix(ENDINGS[0]) if output is None else output
    check_picture(target, ENDINGS, path, overwrite=overwrite)
    mode = "w" if overwrite else "x"
    with (
        Recording(path) as recording,
        row_progress(target.name, "frames", is_shown=not as_json) as on_progress,
    ):
        report = choose_episode(recording, episode).video(
            target, overlay=overlay, cameras=cameras or None, mode=mode, on_progress=on_progress, **options
        )
    if as_json:
        print_json(_as_json(path, report))
    else:
        show_line(_as_line(target, report))


def _as_line(target: Path, report: VideoReport) -> str:
    facts = [
        f"episode {report.episode}",
        counted(report.num_frames, "frame"),
        f"{report.fps:g} per second",
        f"{report.width}x{report.height}{cameras_text(report.cameras)}",
        size_text(file_bytes(report.path)),
    ]
    return f"wrote {target}: {', '.join(facts)}"


def _as_json(path: Path, report: VideoReport) -> dict[str, Any]:
    return {
        "path": str(path),
        "video": str(report.path),
        "episode": report.episode,
        "frames": report.num_frames,
        "fps": report.fps,
        "width": report.width,
        "height": report.height,
        "cameras": report.cameras,
        "bytes": file_bytes(report.path),
    }

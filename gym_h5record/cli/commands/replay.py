"""``gym-h5record replay``: show an episode in the terminal, or write pictures of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from gym_h5record.cli.evaluation_options import or_evaluate
from gym_h5record.cli.output import plain_table, print_json, safe, safe_line, show
from gym_h5record.cli.parameters import GivenPath
from gym_h5record.cli.pictures import cameras_text, check_picture, picture_options
from gym_h5record.cli.playback import Step, play
from gym_h5record.cli.progress import row_progress
from gym_h5record.display import printable
from gym_h5record.media import sheets
from gym_h5record.media.headlines import choose_episode, describe_end, headline
from gym_h5record.media.summaries import summary
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording

__all__ = ["replay_command"]

_SHOWN_STEPS = 20


@click.command("replay")
@click.argument("path", type=GivenPath())
@click.option(
    "--episode", type=int, metavar="K", help="Number of the episode; -1 is the last.  [default: the first with a step]"
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Only the first N steps.  [default: {_SHOWN_STEPS} in the terminal, otherwise all]",
)
@click.option("--gif", type=GivenPath(), help="Write the frames as an animated GIF.")
@click.option("--png", type=GivenPath(), help="Write evenly spaced frames as a contact sheet.")
@click.option(
    "--columns", type=click.IntRange(1, 50), default=5, show_default=True, help="Columns of the contact sheet."
)
@click.option("--rows", type=click.IntRange(1, 50), default=3, show_default=True, help="Rows of the contact sheet.")
@picture_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@or_evaluate
def replay_command(
    *,
    path: Path,
    episode: int | None,
    limit: int | None,
    gif: Path | None,
    png: Path | None,
    columns: int,
    rows: int,
    as_json: bool,
    overwrite: bool,
    fps: float | None,
    **options: Any,
) -> None:
    """Play one episode of the recording PATH without an environment.

    Shows the recorded steps. With --policy, compares the actions of a policy with the
    recorded actions instead. A GIF or PNG shows the frames, several cameras beside
    each other; in a recording without frames, observations that are like pictures.

    \b
    Examples:
      gym-h5record replay run.h5 --episode 3 --limit 50
      gym-h5record replay run.h5 --gif run.gif --png run.png
      gym-h5record replay run.h5 --policy my_agent:act
      gym-h5record replay run.h5 --policy my_agent:act --closed-loop --episodes 0,3-5
    """  # noqa: D301  # click's mark for a paragraph that is not wrapped
    if gif is not None:
        check_picture(gif, (".gif",), path, overwrite=overwrite)
    if png is not None:
        check_picture(png, sheets.ENDINGS, path, overwrite=overwrite)
    with Recording(path) as recording:
        chosen = choose_episode(recording, episode)
        reset, steps = play(path, chosen, limit if limit or as_json else _SHOWN_STEPS)
        described = _describe(chosen, *reset, steps) if as_json else {}
        if not as_json:
            _show(chosen, *reset, steps)
        options |= {"limit": limit, "cameras": options["cameras"] or None, "mode": "w" if overwrite else "x"}
        written: dict[str, Path] = {}
        cameras: tuple[str, ...] = ()
        if gif is not None:
            with row_progress(gif.name, "frames", is_shown=not as_json) as on_progress:
                cameras = chosen.video(gif, fps=fps, overlay=(), on_progress=on_progress, **options).cameras
            written["gif"] = gif
        if png is not None:
            cameras = chosen.sheet(png, columns=columns, rows=rows, **options).cameras
            written["png"] = png
    if as_json:
        names = {kind: str(target) for kind, target in written.items()} | ({"cameras": cameras} if written else {})
        print_json({"path": str(path), **described, **names})
        return
    for target in written.values():
        click.echo(f"wrote {printable(target)}{cameras_text(cameras)}")


def _show(episode: Episode, observation: Any, info: dict[str, Any], steps: list[Step]) -> None:
    click.echo(headline(episode))
    click.echo()
    show(_step_table(episode, observation, info, steps))
    if len(steps) < episode.length:
        click.echo(f"... {episode.length - len(steps):,} more; show them with --limit {episode.length}")


def _describe(episode: Episode, observation: Any, info: dict[str, Any], steps: list[Step]) -> dict[str, Any]:
    return {
        "episode": episode.number,
        "length": episode.length,
        "return": episode.total_reward,
        "seed": episode.seed,
        "terminated": episode.terminated,
        "truncated": episode.truncated,
        "complete": episode.complete,
        "reset": {"observation": summary(observation), "info": info},
        "steps": [step.as_json() for step in steps],
    }


def _step_table(episode: Episode, observation: Any, info: dict[str, Any], steps: list[Step]) -> Table:
    table = plain_table()
    for name in ("step", "action", "reward", "return"):
        table.add_column(name, justify="right", no_wrap=True, max_width=20)
    table.add_column("end", no_wrap=True)
    table.add_column("observation")
    table.add_column("info")
    table.add_row("reset", "", "", "", "", safe_line(summary(observation)), safe_line(summary(info)))
    for step in steps:
        table.add_row(
            str(step.number),
            safe(summary(step.action)),
            safe(summary(step.reward)),
            summary(step.total) if np.ndim(step.total) else f"{step.total:g}",
            describe_end(episode) if step.number == episode.length - 1 else "",
            safe_line(summary(step.observation)),
            safe_line(summary(step.info)),
        )
    return table

"""``gym-h5record replay``: show an episode in the terminal, or write pictures of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from gym_h5record.cli.evaluation_options import or_evaluate
from gym_h5record.cli.output import plain_table, print_json, safe, safe_line, show, summary
from gym_h5record.cli.parameters import GivenPath
from gym_h5record.cli.pictures import (
    Pictures,
    Tile,
    animated_gif,
    check_targets,
    contact_sheet,
    evenly_spaced,
    frame_delays,
    write_picture,
)
from gym_h5record.cli.playback import Step, choose_episode, describe_end, play
from gym_h5record.cli.program import CommandError
from gym_h5record.cli.returns import running_returns
from gym_h5record.display import counted, printable, reward_text
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording

__all__ = ["replay_command"]

_SHOWN_STEPS = 20
_DEFAULT_FPS = 30.0
_MIN_FPS, _MAX_FPS = 0.1, 1000.0


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
@click.option("--fps", type=click.FloatRange(_MIN_FPS, _MAX_FPS), help="Speed of the GIF.  [default: the recording's]")
@click.option(
    "--columns", type=click.IntRange(1, 50), default=5, show_default=True, help="Columns of the contact sheet."
)
@click.option("--rows", type=click.IntRange(1, 50), default=3, show_default=True, help="Rows of the contact sheet.")
@click.option(
    "--scale",
    type=click.FloatRange(0.05, 20),
    help="Enlarges the frames.  [default: 1; contact sheet: frames 160 to 256 pixels wide]",
)
@click.option("--overwrite", is_flag=True, help="Replace picture files that exist.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@or_evaluate
def replay_command(
    *,
    path: Path,
    episode: int | None,
    limit: int | None,
    gif: Path | None,
    png: Path | None,
    fps: float | None,
    columns: int,
    rows: int,
    scale: float | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Play one episode of the recording PATH without an environment.

    Shows the recorded steps. With --policy, compares the actions of a policy with the
    recorded actions instead. Of several cameras, a GIF or PNG shows the first one
    that gives RGB pictures.

    \b
    Examples:
      gym-h5record replay run.h5 --episode 3 --limit 50
      gym-h5record replay run.h5 --gif run.gif --png run.png
      gym-h5record replay run.h5 --policy my_agent:act
      gym-h5record replay run.h5 --policy my_agent:act --closed-loop --episodes 0,3-5
    """  # noqa: D301  # click's mark for a paragraph that is not wrapped
    pictures = {kind: target for kind, target in (("gif", gif), ("png", png)) if target is not None}
    check_targets(pictures.values(), path, overwrite=overwrite)
    with Recording(path) as recording:
        chosen = choose_episode(recording, episode)
        reset, steps = play(path, chosen, limit if limit or as_json else _SHOWN_STEPS)
        num_frames = min(limit or chosen.length, chosen.length) + 1
        frames = _pictures_of(recording, chosen) if pictures else None
        if frames is not None and gif is not None:
            if fps is None:
                fps = recording.fps if _MIN_FPS <= recording.fps <= _MAX_FPS else _DEFAULT_FPS
            shown = frame_delays(num_frames, fps)
            picture = animated_gif((frames[at] for at, _ in shown), [delay for _, delay in shown], scale or 1.0)
            write_picture(gif, picture, overwrite=overwrite)
        if frames is not None and png is not None:
            title = f"{recording.metadata.get('env_name')}   {_headline(chosen)}"
            tiles = _tiles(chosen, frames, evenly_spaced(num_frames, columns * rows))
            write_picture(png, contact_sheet(tiles, printable(title), columns, scale), overwrite=overwrite)
        if as_json:
            written = {kind: str(target) for kind, target in pictures.items()}
            written |= {} if frames is None or frames.camera is None else {"camera": frames.camera}
            print_json({"path": str(path), **_describe(chosen, *reset, steps), **written})
            return
        click.echo(_headline(chosen))
        click.echo()
        show(_step_table(chosen, *reset, steps))
        if len(steps) < chosen.length:
            click.echo(f"... {chosen.length - len(steps):,} more; show them with --limit {chosen.length}")
    camera = "" if frames is None or frames.camera is None else f" (camera {printable(frames.camera)})"
    for target in pictures.values():
        click.echo(f"wrote {printable(target)}{camera}")


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


def _headline(episode: Episode) -> str:
    parts = [counted(episode.length, "step"), f"return {reward_text(episode.total_reward)}", describe_end(episode)]
    if episode.seed is not None:
        parts.append(f"seed {episode.seed}")
    return f"episode {episode.number}: {', '.join(parts)}"


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


def _pictures_of(recording: Recording, episode: Episode) -> Pictures:
    if episode.frames is None:
        raise CommandError(
            f"{recording.path} has no frames to make a picture of; record it with --frames render, "
            'or in Python from an environment with render_mode="rgb_array".'
        )
    return Pictures(episode.frames)


def _tiles(episode: Episode, frames: Pictures, numbers: Sequence[int]) -> list[Tile]:
    """The tiles of a contact sheet; each tells the return of the steps before its frame."""
    returns = running_returns(episode, max(numbers))
    return [
        Tile(
            frame=frames[number],
            left=f"step {number:,}",
            right=f"return {reward_text(returns[number])}",
            is_end=number == episode.length and episode.complete,
        )
        for number in numbers
    ]

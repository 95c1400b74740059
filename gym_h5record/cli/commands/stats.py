"""``gym-h5record stats``: statistics of returns, lengths and the values of every leaf, as tables or plots."""

from __future__ import annotations

from pathlib import Path

import click

from gym_h5record.cli.json_statistics import statistics_json
from gym_h5record.cli.output import print_json, show_line
from gym_h5record.cli.parameters import GivenPath
from gym_h5record.cli.pictures import check_picture
from gym_h5record.cli.progress import row_progress
from gym_h5record.cli.statistics_tables import show_statistics
from gym_h5record.media import plots
from gym_h5record.media.timelines import reward_timeline
from gym_h5record.reading.recording import Recording

__all__ = ["stats_command"]

_SHOWN_EPISODES = 10


@click.command("stats")
@click.argument("path", type=GivenPath())
@click.option(
    "--select",
    "choice",
    metavar="CONDITION",
    help='Only these episodes: a condition such as "total_reward > 100 and complete", or the name of a mask.',
)
@click.option("--elements", is_flag=True, help="A row for each element of an array of at most 64.")
@click.option(
    "--last",
    type=click.IntRange(min=0),
    default=_SHOWN_EPISODES,
    show_default=True,
    metavar="N",
    help="Show the newest N episodes.",
)
@click.option("--plot", type=GivenPath(), help="Draw returns, lengths, actions and rewards into this PNG file.")
@click.option("--overwrite", is_flag=True, help="Replace the PNG file if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with all episodes.")
def stats_command(
    *,
    path: Path,
    choice: str | None,
    elements: bool,
    last: int,
    plot: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Show statistics of the values of the recording PATH.

    Tells returns and lengths, how often each action was taken, and mean, deviation,
    minimum and maximum of every leaf. Reads every step once, and no frames. Returns
    and lengths leave incomplete episodes out. Plots need the extra "plot".

    \b
    Examples:
      gym-h5record stats run.h5
      gym-h5record stats run.h5 --select complete --plot run.png
    """  # noqa: D301  # click's mark for a paragraph that is not wrapped
    if plot is not None:
        check_picture(plot, plots.ENDINGS, path, overwrite=overwrite)
    with Recording(path) as recording:
        chosen = recording if choice is None else recording.select(choice)
        with row_progress(path.name, "steps", is_shown=not as_json) as on_progress:
            statistics = chosen.stats(on_progress=on_progress)
        if not as_json:
            show_statistics(path, statistics, last=last, elements=elements)
        if plot is not None:
            title = f"{path.name}   {recording.metadata.get('env_name') or ''}"
            plots.write_plot(statistics, reward_timeline(chosen.steps), title, plot, mode="w" if overwrite else "x")
    if as_json:
        written = {} if plot is None else {"plot": str(plot)}
        print_json({"path": str(path), **statistics_json(statistics), **written})
    elif plot is not None:
        show_line(f"wrote {plot}")

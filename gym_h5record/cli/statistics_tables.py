"""Statistics as the tables that ``stats`` shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from gym_h5record.cli.json_statistics import MAX_ELEMENTS, pooled_numbers
from gym_h5record.cli.output import make_console, plain_table, safe, safe_line, show, show_line
from gym_h5record.cli.sparklines import bar, sparkline
from gym_h5record.display import counted, printable, reward_text
from gym_h5record.training.leaf_statistics import LeafStatistics
from gym_h5record.training.statistics import EpisodeStatistics, Statistics

__all__ = ["show_statistics"]

_MAX_BARS = 24  # rows of a histogram
_BAR = 30  # characters of its longest bar


def show_statistics(path: Path, statistics: Statistics, *, last: int, elements: bool) -> None:
    """Print the tables.

    Args:
        path: The recording.
        statistics: Its statistics.
        last: How many of the newest episodes have a row.
        elements: Whether elements of small arrays have rows of their own.
    """
    incomplete = f" ({statistics.num_incomplete:,} incomplete)" if statistics.num_incomplete else ""
    episodes = f"{counted(statistics.num_episodes, 'episode')}{incomplete}"
    show_line(f"{path}: {episodes}, {counted(statistics.num_steps, 'step')}")
    click.echo()
    show(_episode_summary(statistics))
    if statistics.success_rate is not None:
        known = int((~np.isnan(statistics.episodes.success)).sum())
        click.echo(f"success  {statistics.success_rate:.1%} of {counted(known, 'episode')}")
    for leaf in statistics.values():
        if leaf.histogram:
            click.echo()
            show(_histogram_table(leaf.name, leaf.histogram))
    click.echo()
    show(_leaf_table(statistics, elements=elements))
    for name, reason in statistics.skipped.items():
        show_line(f"left out: {name}: {reason}")
    if last and statistics.num_episodes:
        click.echo()
        show(_episode_table(statistics.episodes, last))
        if statistics.num_episodes > last:
            click.echo(f"... {statistics.num_episodes - last:,} before them; show them with --last N")


def _numeric_table(first: str, *names: str) -> Table:
    table = plain_table()
    table.add_column(first, no_wrap=True, overflow="ellipsis")
    for name in names:
        table.add_column(name, justify="left" if name in ("shape", "line", "end") else "right", no_wrap=True)
    return table


def _episode_summary(statistics: Statistics) -> Table:
    """Returns and lengths of complete episodes, with a line through them in the order of the episodes."""
    table = _numeric_table("", "mean", "std", "min", "median", "max", "line")
    table.columns[-1].header = ""
    complete = statistics.episodes.complete
    for name, leaf, values in (
        ("returns", statistics.returns, statistics.episodes.returns[complete]),
        ("lengths", statistics.lengths, statistics.episodes.lengths[complete]),
    ):
        if not leaf.count:
            table.add_row(name, "no complete episode")
        elif leaf.shape == ():
            numbers = (leaf.mean, leaf.std, leaf.min, leaf.quantile(0.5), leaf.max)
            table.add_row(name, *map(_number, numbers), sparkline(values, _line_width()))
        else:
            numbers = (leaf.mean, leaf.std, leaf.min, leaf.quantile(0.5), leaf.max)
            table.add_row(name, *(safe_line(reward_text(each)) for each in numbers))
    return table


def _line_width() -> int:
    return 24 if make_console().width < 100 else 48


def _histogram_table(name: str, histogram: dict[int, int]) -> Table:
    """How often each value occurs, as numbers, percents and bars; the most frequent ones of many."""
    table = _numeric_table(printable(name), "steps", "%", "line")
    table.columns[-1].header = ""
    total, most = sum(histogram.values()), max(histogram.values())
    shown = sorted(sorted(histogram, key=lambda value: -histogram[value])[:_MAX_BARS])
    for value in shown:
        count = histogram[value]
        table.add_row(str(value), f"{count:,}", f"{100 * count / total:.1f}", bar(count / most, _BAR))
    if len(histogram) > len(shown):
        others = total - sum(histogram[value] for value in shown)
        table.add_row("others", f"{others:,}", f"{100 * others / total:.1f}", "")
    return table


def _leaf_table(statistics: Statistics, *, elements: bool) -> Table:
    has_missing = any(leaf.num_missing for leaf in statistics.values())
    has_nonfinite = any(np.any(leaf.num_nonfinite) for leaf in statistics.values())
    gaps = [*(["missing"] if has_missing else []), *(["not finite"] if has_nonfinite else [])]
    table = _numeric_table("leaf", "shape", "mean", "std", "min", "max", *gaps)
    for leaf in statistics.values():
        missing = [f"{leaf.num_missing:,}"] if has_missing else []
        nonfinite = [f"{int(np.sum(leaf.num_nonfinite)):,}"] if has_nonfinite else []
        for row in _leaf_rows(leaf, elements=elements):
            table.add_row(*row, *missing, *nonfinite)
    return table


def _leaf_rows(leaf: LeafStatistics, *, elements: bool) -> Iterator[tuple[Any, ...]]:
    shape = "x".join(map(str, leaf.shape))
    if elements and leaf.shape and np.prod(leaf.shape) <= MAX_ELEMENTS:
        for index in np.ndindex(leaf.shape):
            numbers = (leaf.mean[index], leaf.std[index], leaf.min[index], leaf.max[index])
            yield (safe(f"{leaf.name}[{', '.join(map(str, index))}]"), shape, *map(_number, numbers))
    else:
        yield (safe(leaf.name), shape, *map(_number, pooled_numbers(leaf).values()))


def _episode_table(episodes: EpisodeStatistics, last: int) -> Table:
    has_success = not np.isnan(episodes.success).all()
    table = _numeric_table("episode", "return", "steps", *(["success"] if has_success else []), "end")
    for at in range(max(0, len(episodes) - last), len(episodes)):
        success = episodes.success[at]
        text = "" if np.isnan(success) else "yes" if success else "no"
        table.add_row(
            str(episodes.numbers[at]),
            safe_line(reward_text(episodes.returns[at])),
            f"{episodes.lengths[at]:,}",
            *([text] if has_success else []),
            "complete" if episodes.complete[at] else "incomplete",
        )
    return table


def _number(value: Any) -> str:
    return f"{float(value):,.4g}" if abs(float(value)) < 1e6 else f"{float(value):.3g}"

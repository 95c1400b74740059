"""Plots of statistics as PNG, drawn by matplotlib (the extra ``plot``): returns, lengths, actions, rewards."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gym_h5record.display import counted, printable
from gym_h5record.errors import MissingDependencyError
from gym_h5record.format import names as fmt
from gym_h5record.media.targets import check_target, written_target
from gym_h5record.media.timelines import RewardTimeline
from gym_h5record.training.leaf_statistics import LeafStatistics
from gym_h5record.training.statistics import EpisodeStatistics, Statistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ENDINGS", "write_plot"]

ENDINGS = (".png",)
"""The endings of the names of plots."""

_SIZE_INCHES, _DOTS_PER_INCH = (12, 7.5), 100
_MAX_LINES = 4  # components of a return or a reward that are drawn
_MAX_BARS = 64
_ROLLING = 20  # episodes of the mean that is drawn through returns and lengths
_BLUE, _PALE_BLUE, _RED = "#0969da", "#b6d5fb", "#cf222e"
_LINES = (_BLUE, "#bf8700", "#1a7f37", "#8250df")


def write_plot(
    statistics: Statistics, rewards: RewardTimeline, title: str, out: str | os.PathLike[str], *, mode: str = "x"
) -> Path:
    """Plot statistics into a PNG file.

    Args:
        statistics: The statistics of some steps.
        rewards: The rewards of these steps.
        title: Stands above the plots.
        out: The picture, a name that ends with ``.png``.
        mode: ``"x"`` for a new file, ``"w"`` to replace one.

    Raises:
        MissingDependencyError: If matplotlib is not installed.
        RecordingError: If the file cannot be written, as of ``Episode.sheet``.
    """
    target = check_target(out, ENDINGS, mode=mode)
    figure = _library("matplotlib.figure").Figure(_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    figure.suptitle(printable(title), parse_math=False)
    (returns, lengths), (actions, reward) = figure.subplots(2, 2)
    _by_episode(returns, statistics.episodes, statistics.episodes.returns, "return")
    _by_episode(lengths, statistics.episodes, statistics.episodes.lengths, "steps")
    _actions(actions, statistics)
    _rewards(reward, rewards)
    with written_target(target) as partial:
        figure.savefig(partial, format="png", metadata={"Software": None})
    return target


def _library(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            'plots need matplotlib, which is not installed: pip install "gym_h5record[plot]"'
        ) from error


def _prepare(axes: Axes, title: str, across: str, up: str) -> None:
    axes.set_title(printable(title), loc="left", parse_math=False)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _count_across(axes: Axes) -> None:
    """Mark only whole numbers on the axis from left to right."""
    axes.xaxis.set_major_locator(_library("matplotlib.ticker").MaxNLocator(integer=True))


def _no_data(axes: Axes, why: str) -> None:
    axes.text(0.5, 0.5, printable(why), ha="center", va="center", transform=axes.transAxes, parse_math=False)


def _by_episode(axes: Axes, episodes: EpisodeStatistics, values: np.ndarray, name: str) -> None:
    """A dot for each episode, hollow if it is incomplete, and a line through the means of the last ones."""
    num_incomplete = int((~episodes.complete).sum())
    note = f", {num_incomplete:,} incomplete" if num_incomplete else ""
    _prepare(axes, f"{name.capitalize()} by episode ({counted(len(episodes), 'episode')}{note})", "episode", name)
    _count_across(axes)
    columns = values.reshape(len(values), -1)[:, :_MAX_LINES].astype(np.float64)
    for column, colour in zip(columns.T, _LINES, strict=False):
        whole = episodes.complete
        axes.plot(episodes.numbers[whole], column[whole], ".", color=colour, alpha=0.6)
        axes.plot(episodes.numbers[~whole], column[~whole], "o", markerfacecolor="none", color=_RED)
        if whole.sum() >= _ROLLING:
            sums = np.convolve(column[whole], np.ones(_ROLLING), "valid")
            axes.plot(episodes.numbers[whole][_ROLLING - 1 :], sums / _ROLLING, "-", color=colour)
    if not len(values):
        _no_data(axes, "no episode")


def _actions(axes: Axes, statistics: Statistics) -> None:
    """How often each action was taken; of actions that are arrays of numbers, the quantiles of each number."""
    leaves = [leaf for name, leaf in statistics.items() if name == fmt.ACTIONS or name.startswith(f"{fmt.ACTIONS}/")]
    if not leaves:
        _prepare(axes, "Actions", "", "")
        _no_data(axes, "actions have no column of numbers")
        return
    leaf = leaves[0]
    if leaf.histogram is not None:
        _histogram(axes, leaf.name, leaf.histogram)
    else:
        _quantiles(axes, leaf)


def _histogram(axes: Axes, name: str, histogram: dict[int, int]) -> None:
    _prepare(axes, f"{name.capitalize()}: how often", "action", "steps")
    values = sorted(histogram, key=lambda value: -histogram[value])[:_MAX_BARS]
    texts = [str(value) for value in sorted(values)]
    axes.bar(texts, [histogram[value] for value in sorted(values)], color=_BLUE)
    if len(texts) > _MAX_BARS // 2:
        axes.tick_params(axis="x", labelrotation=90, labelsize="x-small")


def _quantiles(axes: Axes, leaf: LeafStatistics) -> None:
    _prepare(axes, f"{leaf.name.capitalize()}: median, half of the values, 5 % to 95 %", "element", "value")
    _count_across(axes)
    low, lower, middle, upper, high = leaf.quantile((0.05, 0.25, 0.5, 0.75, 0.95)).reshape(5, -1)[:, :_MAX_BARS]
    places = np.arange(len(middle))
    axes.vlines(places, low, high, color=_PALE_BLUE, linewidth=2)
    axes.vlines(places, lower, upper, color=_BLUE, linewidth=6)
    axes.plot(places, middle, "o", color="white", markeredgecolor=_BLUE)


def _rewards(axes: Axes, rewards: RewardTimeline) -> None:
    what = "each step" if rewards.steps_per_bin == 1 else f"means of {counted(rewards.steps_per_bin, 'step')}"
    _prepare(axes, f"Reward by step: {what}", "step of the recording", "reward")
    _count_across(axes)
    if not len(rewards.steps):
        _no_data(axes, "no step")
    for at, colour in zip(range(rewards.mean.shape[1]), _LINES, strict=False):
        low, high = rewards.low[:, at], rewards.high[:, at]
        axes.fill_between(rewards.steps, low, high, step="post", color=colour, alpha=0.3, linewidth=0)
        axes.plot(rewards.steps, rewards.mean[:, at], "-", color=colour, linewidth=1, drawstyle="steps-post")

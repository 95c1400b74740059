"""One episode beside its recording, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gym_h5record import format as fmt
from gym_h5record.compare import ABSENT, Difference, first_difference
from gym_h5record.errors import SnapshotError
from gym_h5record.printable import printable
from gym_h5record.reader import Episode
from gym_h5record.resimulate.reports import Divergence
from gym_h5record.resimulate.rerun import Outcome, Rerun
from gym_h5record.tagged import tag, untag
from gym_h5record.tree import identical

__all__ = ["IGNORED_INFOS", "REFUSALS", "Comparison", "check_episode", "error_text", "row_difference"]

IGNORED_INFOS = ("episode/t",)
"""What tells the time of day: how long ``RecordEpisodeStatistics`` has waited."""

REFUSALS = ("reset", fmt.ACTIONS)
"""Leaves of what the environment raised at."""

_MAX_ERROR = 300  # characters
_STEP_LEAVES = (fmt.REWARDS, fmt.TERMINATIONS, fmt.TRUNCATIONS)


@dataclass(frozen=True)
class Comparison:
    """How to compare.

    Attributes:
        atol: How far floating numbers may be apart.
        ignore: Paths into infos that are not compared, such as ``"episode/t"``.
    """

    atol: float
    ignore: Sequence[str]


def check_episode(
    rerun: Rerun, episode: Episode, comparison: Comparison, *, restore: bool, num_steps: int | None = None
) -> tuple[int, Divergence | None]:
    """Run an episode and compare everything that was recorded of it, up to the first difference.

    Args:
        rerun: The environment.
        episode: The episode.
        comparison: How to compare.
        restore: Whether to put back what its reset depended on.
        num_steps: How many of its steps to take, None for all.

    Returns:
        Steps that were taken, and the first difference.

    Raises:
        SnapshotError: If what its reset depended on does not fit the environment.
    """
    try:
        outcome = rerun.begin(episode, restore=restore)
    except SnapshotError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever the environment raises, it did not when it was recorded
        return 0, _raised(episode, 0, "reset", episode.options, error)
    difference = row_difference(episode, 0, outcome, comparison)
    if difference is not None:
        return 0, _divergence(episode, 0, difference)
    length = episode.length if num_steps is None else num_steps
    for step in range(length):
        action = episode.actions[step]
        try:
            outcome = rerun.step(action)
        except Exception as error:  # noqa: BLE001  # likewise
            return step, _raised(episode, step, fmt.ACTIONS, action, error)
        difference = _step_difference(episode, step, outcome, comparison)
        if difference is not None:
            return step + 1, _divergence(episode, step, difference)
        difference = row_difference(episode, step + 1, outcome, comparison)
        if difference is not None:
            return step + 1, _divergence(episode, step + 1, difference)
    return length, None


def _step_difference(episode: Episode, step: int, outcome: Outcome, comparison: Comparison) -> Difference | None:
    columns = (episode.rewards, episode.terminations, episode.truncations)
    for leaf, column, found in zip(_STEP_LEAVES, columns, outcome.step or (), strict=True):
        difference = _compare(leaf, column[step], found, comparison)
        if difference is not None:
            return difference
    return None


def row_difference(episode: Episode, row: int, outcome: Outcome, comparison: Comparison) -> Difference | None:
    """The first difference in what a reset or a step gave to see: observation, frame, info."""
    difference = _compare(fmt.OBSERVATIONS, episode.observations[row], outcome.observation, comparison)
    if difference is None and outcome.frame is not ABSENT and episode.frames is not None:
        difference = _compare(fmt.FRAMES, episode.frames[row], outcome.frame, comparison)
    if difference is None and episode.infos is not None:
        recorded, found = (_without(each, comparison.ignore) for each in (episode.infos[row], outcome.info))
        difference = _compare(fmt.INFOS, recorded, found, comparison)
    return difference


def _compare(leaf: str, recorded: Any, found: Any, comparison: Comparison) -> Difference | None:
    if identical(recorded, found):
        return None
    # What has no form of its own in a file is recorded as something else: arrays of JAX as those of NumPy, say.
    return first_difference(leaf, recorded, untag(tag(found)), atol=comparison.atol)


def _without(info: Any, paths: Sequence[str]) -> Any:
    for path in paths:
        info = _without_one(info, path)
    return info


def _without_one(info: Any, path: str) -> Any:
    if type(info) is not dict:
        return info
    if path in info:  # keys may have slashes themselves
        info = {key: value for key, value in info.items() if key != path}
    key, _, below = path.partition("/")
    return {**info, key: _without_one(info[key], below)} if below and key in info else info


def _raised(episode: Episode, step: int, leaf: str, given: Any, error: Exception) -> Divergence:
    found = error_text(error)  # not the error itself: it may be of any kind, and not every kind can be sent or kept
    return Divergence(episode.number, step, leaf, given, found, None, f"{leaf}: the environment raised {found}")


def error_text(error: Exception) -> str:
    """What an environment raised, in a few hundred printable characters."""
    try:
        return f"{printable(repr(error)):.{_MAX_ERROR}}"
    except Exception:  # noqa: BLE001  # its own code says what it is
        return type(error).__name__


def _divergence(episode: Episode, step: int, difference: Difference) -> Divergence:
    return Divergence(
        episode.number,
        step,
        difference.leaf,
        difference.recorded,
        difference.found,
        difference.largest,
        difference.message,
    )

"""One episode beside its recording, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gym_h5record.display import printable
from gym_h5record.errors import NotReplayableError, SnapshotError
from gym_h5record.format import names as fmt
from gym_h5record.options import check_atol
from gym_h5record.reading.episodes import Episode
from gym_h5record.replay.reports import Divergence
from gym_h5record.replay.rerun import Outcome, Rerun
from gym_h5record.values.differences import ABSENT, Difference, first_difference
from gym_h5record.values.exact import identical
from gym_h5record.values.tagged_json import places_of_text, tag, untag

__all__ = [
    "IGNORED_INFOS",
    "REFUSALS",
    "Checked",
    "Comparison",
    "check_episode",
    "error_text",
    "go_to",
    "make_comparison",
]


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


def make_comparison(atol: float = 0.0, ignore: str | Sequence[str] = ()) -> Comparison:
    """How to compare as a user wants it: besides his paths, what tells the time of day is left out.

    Raises:
        OptionError: If ``atol`` is no number from 0 on.
    """
    return Comparison(check_atol(atol), (*IGNORED_INFOS, *([ignore] if isinstance(ignore, str) else ignore)))


class Checked(NamedTuple):
    """What came of an episode.

    Attributes:
        steps: How many steps were taken.
        divergence: The first difference, if there is one.
        texts: Places of values that the file has as text only, so that nobody knows whether they are the same.
    """

    steps: int
    divergence: Divergence | None
    texts: tuple[str, ...] = ()


def check_episode(
    rerun: Rerun, episode: Episode, comparison: Comparison, *, restore: bool, num_steps: int | None = None
) -> Checked:
    """Run an episode and compare everything that was recorded of it, up to the first difference.

    Args:
        rerun: The environment.
        episode: The episode.
        comparison: How to compare.
        restore: Whether to put back what its reset depended on.
        num_steps: How many of its steps to take, None for all.

    Returns:
        What came of it.

    Raises:
        SnapshotError: If what its reset depended on does not fit the environment.
        NotReplayableError: If the file has an action, or the options of the reset, as text only.
    """
    beside = _Beside(episode, comparison)
    try:
        outcome = rerun.begin(episode, restore=restore)
    except (SnapshotError, NotReplayableError):
        raise
    except Exception as error:  # noqa: BLE001  # whatever the environment raises, it did not when it was recorded
        return Checked(0, _raised(episode, 0, "reset", episode.options, error))
    difference = beside.row(0, outcome)
    if difference is not None:
        return Checked(0, _divergence(episode, 0, difference))
    length = episode.length if num_steps is None else num_steps
    for step in range(length):
        action = episode.actions[step]
        try:
            outcome = rerun.step(action)
        except NotReplayableError:
            raise
        except Exception as error:  # noqa: BLE001  # likewise
            return Checked(step, _raised(episode, step, fmt.ACTIONS, action, error))
        difference = beside.step(step, outcome)
        if difference is not None:
            return Checked(step + 1, _divergence(episode, step, difference))
        difference = beside.row(step + 1, outcome)
        if difference is not None:
            return Checked(step + 1, _divergence(episode, step + 1, difference))
    return Checked(length, None, tuple(beside.texts))


class _Beside:
    """Compares what an environment gives with what was recorded of an episode.

    Attributes:
        texts: Places of what could be compared as text only, in the order in which they were found.
    """

    def __init__(self, episode: Episode, comparison: Comparison) -> None:
        self._episode = episode
        self._comparison = comparison
        self.texts: dict[str, None] = {}

    def step(self, step: int, outcome: Outcome) -> Difference | None:
        """The first difference in reward and flags."""
        episode = self._episode
        columns = (episode.rewards, episode.terminations, episode.truncations)
        for leaf, column, found in zip(_STEP_LEAVES, columns, outcome.step or (), strict=True):
            difference = self._compare(leaf, column[step], found)
            if difference is not None:
                return difference
        return None

    def row(self, row: int, outcome: Outcome) -> Difference | None:
        """The first difference in what a reset or a step gave to see: observation, frame, info."""
        episode, ignore = self._episode, self._comparison.ignore
        difference = self._compare(fmt.OBSERVATIONS, episode.observations[row], outcome.observation)
        if difference is None and outcome.frame is not ABSENT and episode.frames is not None:
            difference = self._compare(fmt.FRAMES, episode.frames[row], outcome.frame)
        if difference is None and episode.infos is not None:
            recorded, found = (_without(each, ignore) for each in (episode.infos[row], outcome.info))
            difference = self._compare(fmt.INFOS, recorded, found)
        return difference

    def _compare(self, leaf: str, recorded: Any, found: Any) -> Difference | None:
        if identical(recorded, found):
            return None
        # What has no form of its own in a file is recorded as something else: arrays of JAX as those of NumPy, say.
        difference = first_difference(leaf, recorded, untag(tag(found)), atol=self._comparison.atol)
        if difference is None:
            self.texts.update((f"{leaf}{place}", None) for place in places_of_text(recorded))
        return difference


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


def go_to(
    rerun: Rerun, chain: Sequence[Episode], num_steps: int, comparison: Comparison, *, restore_all: bool
) -> Divergence | None:
    """Run episodes one after the other, of the last one the first steps only.

    What was hidden at the reset may show in any step: a reward, say, that running statistics scale.

    Args:
        rerun: The environment; ``rerun.last`` is what it gave last.
        chain: The episodes.
        num_steps: How many steps of the last one to take.
        comparison: How to compare the last one.
        restore_all: Whether to restore every episode's snapshot, not only the first one's.

    Returns:
        Where the last episode first differs, if it does.
    """
    before = chain[:-1]
    if before:
        rerun.play(before, before[-1].length, restore_all=restore_all)
    restore = restore_all or not before
    return check_episode(rerun, chain[-1], comparison, restore=restore, num_steps=num_steps).divergence

"""Runs one episode again and compares it with its recording, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gym_h5record.display import printable
from gym_h5record.errors import DivergedError, NotReplayableError, SnapshotError
from gym_h5record.format import names as fmt
from gym_h5record.options import check_atol
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.replay.reports import Divergence
from gym_h5record.replay.rerun import Outcome, Rerun
from gym_h5record.values.differences import ABSENT, Difference, first_difference
from gym_h5record.values.exact import identical
from gym_h5record.values.tagged_json import places_of_text, tag, untag

__all__ = [
    "IGNORED_INFOS",
    "RAISED",
    "Checked",
    "ComparisonRules",
    "check_episode",
    "diverged_error",
    "error_text",
    "go_to",
    "make_comparison_rules",
]


IGNORED_INFOS = ("episode/t",)
"""Paths into infos that are never compared: ``RecordEpisodeStatistics`` puts the elapsed seconds there."""

RAISED = ("reset", fmt.ACTIONS)
"""Leaves of a ``Divergence`` where the environment raised an error, at a reset or at an action."""

_MAX_ERROR = 300  # characters
_STEP_LEAVES = (fmt.REWARDS, fmt.TERMINATIONS, fmt.TRUNCATIONS)


@dataclass(frozen=True)
class ComparisonRules:
    """How values are compared.

    Attributes:
        atol: How far floating numbers may be apart.
        ignore: Paths into infos that are not compared, such as ``"episode/t"``.
    """

    atol: float
    ignore: Sequence[str]


def make_comparison_rules(atol: float = 0.0, ignore: str | Sequence[str] = ()) -> ComparisonRules:
    """The rules for two options of a user; ``IGNORED_INFOS`` are added.

    Raises:
        OptionError: If ``atol`` is no number from 0 on.
    """
    return ComparisonRules(check_atol(atol), (*IGNORED_INFOS, *([ignore] if isinstance(ignore, str) else ignore)))


class Checked(NamedTuple):
    """The result of ``check_episode``.

    Attributes:
        num_steps: How many steps were taken.
        divergence: The first difference, None if there is none.
        texts: Places of values that the file has only as text. The text is equal; the values may still differ.
    """

    num_steps: int
    divergence: Divergence | None
    texts: tuple[str, ...] = ()


def check_episode(
    rerun: Rerun, episode: Episode, rules: ComparisonRules, *, restore: bool, num_steps: int | None = None
) -> Checked:
    """Run an episode and compare all of its recorded values, up to the first difference.

    Args:
        rerun: The environment.
        episode: The episode.
        rules: How to compare.
        restore: Whether to restore the snapshot of the episode.
        num_steps: How many steps to take, None for all.

    Raises:
        SnapshotError: If the snapshot does not fit the environment.
        NotReplayableError: If the file has an action, or the options of the reset, only as text.
    """
    comparison = _EpisodeComparison(episode, rules)
    try:
        outcome = rerun.begin(episode, restore=restore)
    except (SnapshotError, NotReplayableError):
        raise
    except Exception as error:  # noqa: BLE001  # any error of the environment is a divergence: it raised none before
        return Checked(0, _raised(episode, 0, "reset", episode.options, error))
    difference = comparison.row(0, outcome)
    if difference is not None:
        return Checked(0, _divergence(episode, 0, difference))
    length = episode.length if num_steps is None else num_steps
    for step in range(length):
        action = episode.actions[step]
        try:
            outcome = rerun.step(action)
        except NotReplayableError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            return Checked(step, _raised(episode, step, fmt.ACTIONS, action, error))
        difference = comparison.step(step, outcome)
        if difference is not None:
            return Checked(step + 1, _divergence(episode, step, difference))
        difference = comparison.row(step + 1, outcome)
        if difference is not None:
            return Checked(step + 1, _divergence(episode, step + 1, difference))
    return Checked(length, None, tuple(comparison.texts))


def go_to(
    rerun: Rerun, episodes: Sequence[Episode], num_steps: int, rules: ComparisonRules, *, restore_all: bool
) -> Divergence | None:
    """Run episodes one after the other, and of the last one only the first steps.

    The last episode is compared at every step, not only at its end: hidden state may show in any value, such as a
    reward that running statistics scale.

    Args:
        rerun: The environment; ``rerun.last`` is the outcome of the last step.
        episodes: The episodes.
        num_steps: How many steps of the last episode to take.
        rules: How to compare the last episode.
        restore_all: Whether to restore every episode's snapshot, or only that of the first one.

    Returns:
        The first difference in the last episode, None if there is none.
    """
    before = episodes[:-1]
    rerun.play(before, restore_all=restore_all)
    restore = restore_all or not before
    return check_episode(rerun, episodes[-1], rules, restore=restore, num_steps=num_steps).divergence


def diverged_error(recording: Recording, where: Divergence | None) -> DivergedError:
    """The error to raise if ``go_to`` found a difference."""
    return DivergedError(
        f"{recording.path}: the environment is not where the recording was: {where}. "
        "Is it made like the recorded one? gym_h5record.verify compares all episodes."
    )


# Comparing ----------------------------------------------------------------------------------------


class _EpisodeComparison:
    """Compares outcomes with the recorded values of an episode.

    Attributes:
        texts: Places of values that could be compared only as text, in the order in which they were found.
    """

    def __init__(self, episode: Episode, rules: ComparisonRules) -> None:
        self._episode = episode
        self._rules = rules
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
        """The first difference in observation, frame and info."""
        episode, ignore = self._episode, self._rules.ignore
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
        # The recorder converts values without an exact form, such as arrays of JAX: do the same before comparing.
        difference = first_difference(leaf, recorded, untag(tag(found)), atol=self._rules.atol)
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
    if path in info:  # the key itself may contain slashes
        info = {key: value for key, value in info.items() if key != path}
    key, _, below = path.partition("/")
    return {**info, key: _without_one(info[key], below)} if below and key in info else info


# Reporting ----------------------------------------------------------------------------------------


def error_text(error: Exception) -> str:
    """The error of an environment as printable text of at most 300 characters."""
    try:
        return f"{printable(repr(error)):.{_MAX_ERROR}}"
    except Exception:  # noqa: BLE001  # the error's own __repr__ may raise
        return type(error).__name__


def _raised(episode: Episode, step: int, leaf: str, given: Any, error: Exception) -> Divergence:
    found = error_text(error)  # not the error itself: a worker process could not always pickle it
    return Divergence(episode.number, step, leaf, given, found, None, f"{leaf}: the environment raised {found}")


def _divergence(episode: Episode, step: int, difference: Difference) -> Divergence:
    leaf, recorded, found = difference.leaf, difference.recorded, difference.found
    return Divergence(episode.number, step, leaf, recorded, found, difference.largest, difference.message)

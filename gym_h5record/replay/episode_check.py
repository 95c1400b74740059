"""Runs one episode again and compares it with its recording, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple, cast

from gym_h5record.display import printable
from gym_h5record.errors import DivergedError, NotReplayableError, SnapshotError
from gym_h5record.format import names as fmt
from gym_h5record.options import check_atol
from gym_h5record.reading.episodes import Episode
from gym_h5record.replay.reports import Divergence
from gym_h5record.replay.rerun import Outcome, Rerun
from gym_h5record.values.differences import ABSENT, first_difference
from gym_h5record.values.exact import identical
from gym_h5record.values.tagged_json import places_of_text, tag, untag

__all__ = [
    "IGNORED_INFOS",
    "RAISED",
    "Checked",
    "ComparisonRules",
    "check_episode",
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
    """How far floating numbers may be apart, and which paths into infos are not compared."""

    atol: float
    ignore: Sequence[str]


def make_comparison_rules(atol: float = 0.0, ignore: str | Sequence[str] = ()) -> ComparisonRules:
    """Two options of a user as rules: ``atol`` is checked, ``IGNORED_INFOS`` are added."""
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
    """Run an episode, or its first steps, and compare all of its recorded values, up to the first difference.

    Raises:
        SnapshotError: If the snapshot is to be restored, and does not fit the environment.
        NotReplayableError: If the file has an action, or the options of the reset, only as text.
    """
    comparison = _EpisodeComparison(episode, rules)
    try:
        outcome = rerun.begin(episode, restore=restore)
    except (SnapshotError, NotReplayableError):
        raise
    except Exception as error:  # noqa: BLE001  # any error of the environment is a divergence: it raised none before
        return Checked(0, _raised(episode, 0, "reset", episode.options, error))
    divergence = comparison.row(0, outcome)
    if divergence is not None:
        return Checked(0, divergence)
    length = episode.length if num_steps is None else num_steps
    for step in range(length):
        action = episode.actions[step]
        try:
            outcome = rerun.step(action)
        except NotReplayableError:
            raise
        except Exception as error:  # noqa: BLE001  # as above
            return Checked(step, _raised(episode, step, fmt.ACTIONS, action, error))
        divergence = comparison.step(step, outcome) or comparison.row(step + 1, outcome)
        if divergence is not None:
            return Checked(step + 1, divergence)
    return Checked(length, None, tuple(comparison.texts))


def go_to(
    rerun: Rerun, episodes: Sequence[Episode], num_steps: int, rules: ComparisonRules, *, restore_all: bool
) -> Outcome:
    """Run episodes one after the other, and of the last one only the first steps; the outcome of the last step.

    The last episode is compared at every step, not only at its end: hidden state may show in any value, such as a
    reward that running statistics scale. ``restore_all`` says whether to restore every episode's snapshot, or only
    that of the first one.

    Raises:
        DivergedError: At the first difference in the last episode.
    """
    *before, last = episodes
    rerun.play(before, restore_all=restore_all)
    checked = check_episode(rerun, last, rules, restore=restore_all or not before, num_steps=num_steps)
    if checked.divergence is not None:
        raise DivergedError(
            f"{rerun.recording.path}: the environment is not where the recording was: {checked.divergence}. "
            "Is it made like the recorded one? gym_h5record.verify compares all episodes."
        )
    return cast("Outcome", rerun.last)  # check_episode has at least begun the episode


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

    def step(self, step: int, outcome: Outcome) -> Divergence | None:
        """The first difference in reward and flags."""
        episode = self._episode
        recorded = (episode.rewards[step], episode.terminations[step], episode.truncations[step])
        return self._first_difference(step, zip(_STEP_LEAVES, recorded, outcome.step or (), strict=True))

    def row(self, row: int, outcome: Outcome) -> Divergence | None:
        """The first difference in observation, frame and info."""
        return self._first_difference(row, self._row_values(row, outcome))

    def _row_values(self, row: int, outcome: Outcome) -> Iterator[tuple[str, Any, Any]]:
        """Leaf, recorded and found value of each column; a frame is read only if the observation is equal."""
        episode, ignore = self._episode, self._rules.ignore
        yield fmt.OBSERVATIONS, episode.observations[row], outcome.observation
        if outcome.frame is not ABSENT and episode.frames is not None:
            yield fmt.FRAMES, episode.frames[row], outcome.frame
        if episode.infos is not None:
            yield fmt.INFOS, reduce(_without, ignore, episode.infos[row]), reduce(_without, ignore, outcome.info)

    def _first_difference(self, at: int, values: Iterable[tuple[str, Any, Any]]) -> Divergence | None:
        for leaf, recorded, found in values:
            if identical(recorded, found):
                continue
            # The recorder converts values without an exact form, such as arrays of JAX: do the same before comparing.
            difference = first_difference(leaf, recorded, untag(tag(found)), atol=self._rules.atol)
            if difference is not None:
                return Divergence(self._episode.number, at, **vars(difference))
            self.texts.update((f"{leaf}{place}", None) for place in places_of_text(recorded))
        return None


def _without(info: Any, path: str) -> Any:
    if type(info) is not dict:
        return info
    if path in info:  # the key itself may contain slashes
        info = {key: value for key, value in info.items() if key != path}
    key, _, below = path.partition("/")
    return {**info, key: _without(info[key], below)} if below and key in info else info


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

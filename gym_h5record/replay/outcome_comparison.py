"""Compares what an environment gives with the recorded values of an episode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from gym_h5record.display import printable
from gym_h5record.format import names as fmt
from gym_h5record.options import check_atol
from gym_h5record.reading.episodes import Episode
from gym_h5record.replay.reports import Divergence
from gym_h5record.replay.rerun import Outcome
from gym_h5record.values.differences import ABSENT, first_difference
from gym_h5record.values.exact import identical
from gym_h5record.values.tagged_json import places_of_text, tag, untag

__all__ = [
    "IGNORED_INFOS",
    "ComparisonRules",
    "OutcomeComparison",
    "error_text",
    "make_comparison_rules",
    "raised",
]

IGNORED_INFOS = ("episode/t",)
"""Paths into infos that are never compared: ``RecordEpisodeStatistics`` puts the elapsed seconds there."""

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


class OutcomeComparison:
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


def error_text(error: Exception) -> str:
    """The error of an environment as printable text of at most 300 characters."""
    try:
        return f"{printable(repr(error)):.{_MAX_ERROR}}"
    except Exception:  # noqa: BLE001  # the error's own __repr__ may raise
        return type(error).__name__


def raised(episode: Episode, step: int, leaf: str, given: Any, error: Exception) -> Divergence:
    """The divergence of an environment that raises an error where it raised none when recording."""
    found = error_text(error)  # not the error itself: a worker process could not always pickle it
    return Divergence(episode.number, step, leaf, given, found, None, f"{leaf}: the environment raised {found}")


def _without(info: Any, path: str) -> Any:
    if type(info) is not dict:
        return info
    if path in info:  # the key itself may contain slashes
        info = {key: value for key, value in info.items() if key != path}
    key, _, below = path.partition("/")
    return {**info, key: _without(info[key], below)} if below and key in info else info

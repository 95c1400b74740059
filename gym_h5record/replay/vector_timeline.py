"""The resets and steps of a vector environment, from the episodes of its lanes.

The file has each lane by itself. A step of the vector environment gives every lane a step, with these exceptions: in
``NEXT_STEP`` mode, the step after the end of an episode resets its lane; in ``DISABLED`` mode, nothing is recorded of a
lane that has ended and waits for its reset. The recorded times say when such a reset came; without times it is taken to
come right after the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gymnasium.vector import AutoresetMode

from gym_h5record.errors import NotReplayableError
from gym_h5record.format.names import Origin
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording

__all__ = ["LanesReset", "LanesStepped", "sessions_of", "timeline"]

_UNKNOWN = float("inf")
"""The time of what has none, in seconds: later than everything."""


@dataclass(frozen=True)
class LanesReset:
    """A call of ``reset``.

    Attributes:
        begun: The episode that begins in each lane that is reset.
        is_full: Whether these are all lanes.
    """

    begun: dict[int, Episode]
    is_full: bool


@dataclass(frozen=True)
class LanesStepped:
    """A call of ``step``.

    Attributes:
        stepped: The episode of each lane that takes a step, and how many steps it has taken before.
        begun: The episode that begins in each lane that the environment itself resets.
    """

    stepped: dict[int, tuple[Episode, int]]
    begun: dict[int, Episode]


def sessions_of(recording: Recording) -> list[list[list[Episode]]]:
    """The episodes of each lane, for each session: a recorder that appends begins to count resets from 0.

    Raises:
        NotReplayableError: If a lane has no episode in one of them.
    """
    lanes: list[list[list[Episode]]] = [[] for _ in range(recording.num_envs)]
    for episode in recording.episodes:
        sessions = lanes[episode.env]
        if not sessions or episode.episode_id <= sessions[-1][-1].episode_id:
            sessions.append([])
        sessions[-1].append(episode)
    count = max(map(len, lanes))
    for lane, sessions in enumerate(lanes):
        if len(sessions) < count:
            raise NotReplayableError(f"the file lacks episodes of lane {lane}, which was run together with it")
    return [[sessions[number] for sessions in lanes] for number in range(count)]


def timeline(lanes: Sequence[Sequence[Episode]], mode: AutoresetMode) -> Iterator[LanesReset | LanesStepped]:
    """What was done with the vector environment in a session.

    Args:
        lanes: The episodes of each lane, in order, at least one.
        mode: How the environments were reset.

    Raises:
        NotReplayableError: When the file does not say how a lane went on, and other lanes did.
    """
    cursors = [_Cursor(lane, episodes) for lane, episodes in enumerate(lanes)]
    while True:
        coming = {cursor: cursor.coming() for cursor in cursors if cursor.is_at_end}
        stepping = [cursor for cursor in cursors if not cursor.is_at_end]
        due = _due_resets(coming, stepping, mode)
        if due:
            yield LanesReset({cursor.lane: cursor.begin() for cursor in due}, is_full=len(due) == len(cursors))
            continue
        resetting = [cursor for cursor, episode in coming.items() if _resets_in_step(episode, mode)]
        if not stepping and not resetting:
            return
        for cursor in coming:
            if cursor not in resetting and not (mode is AutoresetMode.DISABLED and cursor.is_over):
                raise NotReplayableError(f"the file has nothing of lane {cursor.lane} {cursor.place}: it went on, too")
        stepped = {cursor.lane: cursor.step() for cursor in stepping}
        if mode is AutoresetMode.SAME_STEP:
            resetting = [cursor for cursor in stepping if cursor.is_at_end and cursor.is_autoreset_next]
        yield LanesStepped(stepped, {cursor.lane: cursor.begin() for cursor in resetting})


class _Cursor:
    """A place between two steps of a lane."""

    def __init__(self, lane: int, episodes: Sequence[Episode]) -> None:
        self.lane = lane
        self._episodes = episodes
        self._at = -1
        self._num_steps = 0

    @property
    def _episode(self) -> Episode | None:
        return self._episodes[self._at] if self._at >= 0 else None

    @property
    def _next(self) -> Episode | None:
        return self._episodes[self._at + 1] if self._at + 1 < len(self._episodes) else None

    @property
    def is_at_end(self) -> bool:
        """Whether the file has no further step of this episode."""
        return self._episode is None or self._num_steps >= self._episode.length

    @property
    def is_over(self) -> bool:
        """Whether the environment has ended the episode."""
        return self._episode is not None and self._episode.complete and self.is_at_end

    @property
    def is_autoreset_next(self) -> bool:
        """Whether the episode after this one was begun by the environment itself."""
        return self._next is not None and self._next.origin is Origin.AUTORESET and self._fits(self._next)

    @property
    def is_reset_twice(self) -> bool:
        """Whether two resets follow, with no step between: the first one is then of fewer lanes than the second."""
        return self._next is not None and not self._next.length and self._at + 2 < len(self._episodes)

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return "before its first episode" if self._episode is None else f"after episode {self._episode.number}"

    def coming(self) -> Episode | None:
        """The episode after this one, None if there is none; an error if others were between them."""
        coming = self._next
        if coming is None or self._fits(coming):
            return coming
        if coming.origin is Origin.STEP_TRIGGER:
            raise NotReplayableError(f"the recording of episode {coming.number} began in the middle of an episode")
        raise NotReplayableError(
            f"the file lacks episodes of lane {self.lane} {self.place}, which a trigger or a discard has left out"
        )

    def begin(self) -> Episode:
        """Go to the first row of the next episode."""
        self._at, self._num_steps = self._at + 1, 0
        return self._episodes[self._at]

    def step(self) -> tuple[Episode, int]:
        """Take a step; the episode, and how many steps were taken before."""
        self._num_steps += 1
        return self._episodes[self._at], self._num_steps - 1

    def time_of_step(self) -> float:
        """When the next step was taken, in seconds; ``_UNKNOWN`` if times were not recorded."""
        return _time(self._episodes[self._at], self._num_steps + 1)

    def _fits(self, coming: Episode) -> bool:
        expected = 0 if self._episode is None else self._episode.episode_id + 1
        return coming.episode_id == expected and coming.origin in (Origin.RESET, Origin.AUTORESET)


def _resets_in_step(coming: Episode | None, mode: AutoresetMode) -> bool:
    return mode is AutoresetMode.NEXT_STEP and coming is not None and coming.origin is Origin.AUTORESET


def _due_resets(
    coming: dict[_Cursor, Episode | None], stepping: Sequence[_Cursor], mode: AutoresetMode
) -> list[_Cursor]:
    """The lanes that the next call of ``reset`` resets, if that comes before the next step."""
    resets = {
        cursor: _time(each, 0) for cursor, each in coming.items() if each is not None and each.origin is Origin.RESET
    }
    if not resets:
        return []
    first = min(resets.values())
    can_wait = mode is AutoresetMode.DISABLED and all(cursor.is_over for cursor in resets)
    if can_wait and stepping and first > min(cursor.time_of_step() for cursor in stepping):
        return []
    due = [cursor for cursor, time in resets.items() if time == first]
    return due if first < _UNKNOWN else [cursor for cursor in due if cursor.is_reset_twice] or due


def _time(episode: Episode, row: int) -> float:
    """When a row came, in seconds; ``_UNKNOWN`` if times were not recorded."""
    return _UNKNOWN if episode.times is None else float(episode.times[row])

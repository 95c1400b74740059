"""The episode index of a recording: what ``/episodes`` says of each episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.claims import check_commit, check_span
from gym_h5record.format.lanes import address, lane_of, row_of
from gym_h5record.limits import MAX_ITEM_BYTES
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.values.tagged_json import loads

__all__ = ["EpisodeIndex"]

_STARTS = f"{fmt.EPISODES}/starts"
_LENGTHS = f"{fmt.EPISODES}/lengths"


class EpisodeIndex:
    """The columns of ``/episodes``, each read when it is first asked for.

    Args:
        storage: Reads them.
        num_episodes: Committed episodes.
        lane_rows: Committed rows of each lane; one number in a recording of a single environment.
        columns: The first entries of some columns, which need not be read again.

    Attributes:
        storage: Reads items of the recording.
        num_episodes: Committed episodes.
        lane_rows: Committed rows of each lane, ``(lanes,)`` int64.
        num_rows: Committed rows of all lanes.
    """

    def __init__(
        self,
        storage: ColumnReader,
        num_episodes: int,
        lane_rows: Sequence[int],
        columns: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.storage = storage
        self._columns: dict[str, np.ndarray] = dict(columns or {})
        self.num_episodes = num_episodes
        self.lane_rows = np.array(lane_rows, np.int64)
        self.num_rows = sum(lane_rows)

    @classmethod
    def committed(cls, storage: ColumnReader) -> EpisodeIndex:
        """The index up to the last commit. A commit that claims more than the file has is an error."""
        index = storage.reading(fmt.COMMIT, lambda: cls._committed(storage))
        storage.check_rows(index.num_rows)
        for name, count in ((fmt.TERMINATIONS, int(index.lane_rows.max())), (_STARTS, index.num_episodes)):
            storage.check_stored(name, count)
        return index

    def later(self) -> EpisodeIndex:
        """The index up to the newest commit. Entries that this index has are not read again, except the newest one.

        The newest episode may have been discarded since, and another one may have its entry.
        """
        index = self.storage.reading(fmt.COMMIT, lambda: self._committed(self.storage))
        if index.num_episodes < self.num_episodes:
            return index
        # Of a vector recording, the newest episode of any lane may have been discarded.
        settled = max(self.num_episodes - len(self.lane_rows), 0) if self._has_lanes else max(self.num_episodes - 1, 0)
        columns = {name: column[:settled] for name, column in self._columns.items()}
        return EpisodeIndex(self.storage, index.num_episodes, index.lane_rows.tolist(), columns)

    @classmethod
    def _committed(cls, storage: ColumnReader) -> EpisodeIndex:
        count = (storage.num_envs or 1) + 1
        if storage.num_envs is not None and storage.length(fmt.COMMIT) != count:
            raise CorruptRecordingError(
                f"/{fmt.COMMIT} has {storage.length(fmt.COMMIT)} numbers, those of {storage.num_envs} lanes are {count}"
            )
        *lane_rows, episodes = storage.items(fmt.COMMIT, 0, count).tolist()
        check_commit(sum(lane_rows) if min(lane_rows) >= 0 else -1, episodes)
        index = cls(storage, episodes, lane_rows)
        if storage.may_move:
            index._check_untorn()
        return index

    @property
    def address_stop(self) -> int:
        """A number behind the addresses of all rows: the number of rows, in a recording without lanes."""
        return int(address(len(self.lane_rows), 0)) if self._has_lanes else self.num_rows

    @property
    def _has_lanes(self) -> bool:
        return self.storage.num_envs is not None

    def _check_untorn(self) -> None:
        """Check that the numbers of ``/commit`` come from the same commit.

        The writer may commit between the two reads. It writes the entry of the running episode before it commits:
        if that entry says that the episode ends before the last row, the number of episodes is the older one.
        """
        if self._has_lanes:
            self.spans  # noqa: B018  # an episode that ends behind the rows of its lane raises
            self._check_running_untorn()
            return
        start, number = self.open_start, self.num_episodes
        if start < self.num_rows and self.storage.length(_STARTS) > number:
            running, length = self._entry(number)
            if running == start and length >= 0 and start + length + 1 < self.num_rows:
                raise CorruptRecordingError(
                    f"/{fmt.COMMIT} claims {number} episodes in {self.num_rows} rows, "
                    f"but episode {number} ends at row {start + length}"
                )

    def _check_running_untorn(self) -> None:
        """The same of lanes: the first entry behind the committed ones that is of a lane says how its episode goes on.

        The rows of some lanes may come from a later commit than those of others: each lane is then right by itself.
        """
        starts, lengths = self.open_spans
        number, num_lanes = self.num_episodes, len(self.lane_rows)
        stop = min(self.storage.length(_STARTS), number + int(lengths.sum()) + len(lengths))  # an episode has a row
        if stop <= number:
            return
        lanes, firsts, sizes = (
            self.storage.items(name, number, stop) for name in (fmt.EPISODE_ENVS, _STARTS, _LENGTHS)
        )
        running = np.full(num_lanes, -1, np.int64)
        running[lane_of(starts)] = row_of(starts)
        known = np.flatnonzero((lanes >= 0) & (lanes < num_lanes) & (sizes >= 0))
        known = known[firsts[known] == running[lanes[known]]]
        _, first_of_lane = np.unique(lanes[known], return_index=True)
        for at in known[first_of_lane].tolist():
            lane, end = int(lanes[at]), int(firsts[at]) + int(sizes[at])
            if end + 1 < self.lane_rows[lane]:
                raise CorruptRecordingError(
                    f"/{fmt.COMMIT} claims {number} episodes, and {self.lane_rows[lane]} rows of lane {lane}, but "
                    f"episode {number + at} ends at row {end}"
                )

    @cached_property
    def open_start(self) -> int:
        """The row after the last episode."""
        if not self.num_episodes:
            return 0
        return sum(self._checked(self.num_episodes - 1, *self._entry(self.num_episodes - 1))) + 1

    @cached_property
    def open_spans(self) -> tuple[np.ndarray, np.ndarray]:
        """First row and number of steps of the episodes that are running, or were when their recorder died.

        Returns:
            Two arrays ``(n,)`` int64. A vector recording has up to one for each lane, the lanes in their order.
        """
        if not self._has_lanes:
            starts = np.array([self.open_start], np.int64)
        else:
            ends = sum(self.spans) + 1
            starts = address(np.arange(len(self.lane_rows)), 0)
            np.maximum.at(starts, lane_of(self.spans[0]), ends)
        lengths = self.lane_rows - row_of(starts) - 1
        return starts[lengths >= 0], lengths[lengths >= 0]

    @property
    def num_running(self) -> int:
        """How many episodes are running, or were running when their recorder died. Their rows follow the last ones."""
        return len(self.open_spans[0])

    def column(self, name: str) -> np.ndarray:
        """A column with one entry per episode; callers must not change it."""
        known = self._columns.get(name)
        if known is None or len(known) < self.num_episodes:
            start = 0 if known is None else len(known)
            more = self.storage.items(f"{fmt.EPISODES}/{name}", start, self.num_episodes)
            known = self._columns[name] = more if known is None else np.concatenate([known, more])
        return known

    def span(self, episode: int) -> tuple[int, int]:
        """First row and number of steps of an episode. An entry that points outside the recording is an error."""
        start, length = int(self.column("starts")[episode]), int(self.column("lengths")[episode])
        if not self._has_lanes:
            return self._checked(episode, start, length)
        lane = self.lane(episode)
        check_span(episode, start, length, int(self.lane_rows[lane]))
        return address(lane, start), length

    def lane(self, episode: int) -> int:
        """The lane of an episode, 0 in a recording of a single environment.

        Raises:
            CorruptRecordingError: If there is no such lane.
        """
        return int(self.lanes[episode]) if self._has_lanes else 0

    @cached_property
    def _numbers_before(self) -> np.ndarray:
        lanes, before = self.lanes, np.full(self.num_episodes, -1, np.int64)
        order = np.argsort(lanes, kind="stable")
        follows = lanes[order][1:] == lanes[order][:-1]
        before[order[1:][follows]] = order[:-1][follows]
        return before

    def number_before(self, episode: int) -> int | None:
        """The number of the episode before one in its lane, None if it is the first."""
        before = int(self._numbers_before[episode]) if self._has_lanes else episode - 1
        return None if before < 0 else before

    @cached_property
    def lanes(self) -> np.ndarray:
        """The lane of each episode, ``(episodes,)`` int64, which no caller may change.

        Raises:
            CorruptRecordingError: If there is no such lane.
        """
        if not self._has_lanes:
            return np.zeros(self.num_episodes, np.int64)
        lanes = self.column("envs")
        wrong = (lanes < 0) | (lanes >= len(self.lane_rows))
        if wrong.any():
            number = int(wrong.argmax())
            raise CorruptRecordingError(f"episode {number} is of lane {lanes[number]}, there are {len(self.lane_rows)}")
        return lanes

    @cached_property
    def spans(self) -> tuple[np.ndarray, np.ndarray]:
        """First row and number of steps of every episode, two arrays ``(episodes,)`` int64, which no caller may change.

        Rows of a vector recording are given by their addresses.

        Raises:
            CorruptRecordingError: If an entry points outside the recording, or the episodes have more rows together
                than the recording.
        """
        starts, lengths = self.column("starts"), self.column("lengths")
        num_rows = self.lane_rows[self.lanes] if self._has_lanes else self.num_rows
        wrong = (starts < 0) | (lengths < 0) | (lengths >= num_rows) | (starts >= num_rows - lengths)
        if wrong.any():
            self.span(int(wrong.argmax()))  # raises
        if int(lengths.sum()) + len(lengths) > self.num_rows:
            raise CorruptRecordingError(
                f"/{fmt.EPISODES} claims {int(lengths.sum())} steps in {len(lengths)} episodes, "
                f"more than {self.num_rows} rows can hold"
            )
        return (address(self.lanes, starts) if self._has_lanes else starts), lengths

    def _entry(self, episode: int) -> tuple[int, int]:
        """First row and number of steps of one episode; nothing else is read."""
        return int(self.storage.item(_STARTS, episode)), int(self.storage.item(_LENGTHS, episode))

    def _checked(self, episode: int, start: int, length: int) -> tuple[int, int]:
        check_span(episode, start, length, self.num_rows)
        return start, length

    def seed_in_json(self, episode: int) -> int:
        """The seed of an episode whose entry says that it does not fit int64."""
        seed = self.json(episode).get("seed")
        if type(seed) is not int:
            raise CorruptRecordingError(f"/{fmt.EPISODE_JSON} lacks the seed of episode {episode}")
        return seed

    def json(self, episode: int) -> dict[str, Any]:
        """The JSON object of an episode: reset options, snapshot, a seed beyond int64."""
        ends = self.column(f"json/{fmt.ENDS}")
        start, stop = int(ends[episode - 1]) if episode else 0, int(ends[episode])
        if stop - start > MAX_ITEM_BYTES:
            raise CorruptRecordingError(f"/{fmt.EPISODE_JSON} of episode {episode} has {stop - start} bytes")
        text = self.storage.items(f"{fmt.EPISODE_JSON}/{fmt.VALUES}", start, stop).tobytes()
        try:
            content = loads(text) if text else {}
        except ValueError as error:
            raise CorruptRecordingError(
                f"/{fmt.EPISODE_JSON} of episode {episode} is no tagged JSON: {error}"
            ) from error
        return content if type(content) is dict else {}

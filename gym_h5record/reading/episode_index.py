"""The episode index of a recording: what ``/episodes`` says of each episode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.claims import check_commit, check_span
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
        num_rows: Committed rows.
        columns: The first entries of some columns, which need not be read again.

    Attributes:
        storage: Reads items of the recording.
        num_episodes: Committed episodes.
        num_rows: Committed rows.
    """

    def __init__(
        self, storage: ColumnReader, num_episodes: int, num_rows: int, columns: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self.storage = storage
        self._columns: dict[str, np.ndarray] = dict(columns or {})
        self.num_episodes = num_episodes
        self.num_rows = num_rows

    @classmethod
    def committed(cls, storage: ColumnReader) -> EpisodeIndex:
        """The index up to the last commit. A commit that claims more than the file has is an error."""
        index = storage.reading(fmt.COMMIT, lambda: cls._committed(storage))
        storage.check_rows(index.num_rows)
        for name, count in ((fmt.TERMINATIONS, index.num_rows), (_STARTS, index.num_episodes)):
            storage.check_stored(name, count)
        return index

    def later(self) -> EpisodeIndex:
        """The index up to the newest commit. Entries that this index has are not read again, except the newest one.

        The newest episode may have been discarded since, and another one may have its entry.
        """
        index = self.storage.reading(fmt.COMMIT, lambda: self._committed(self.storage))
        if index.num_episodes < self.num_episodes:
            return index
        settled = max(self.num_episodes - 1, 0)
        columns = {name: column[:settled] for name, column in self._columns.items()}
        return EpisodeIndex(self.storage, index.num_episodes, index.num_rows, columns)

    @classmethod
    def _committed(cls, storage: ColumnReader) -> EpisodeIndex:
        rows, episodes = (int(count) for count in storage.items(fmt.COMMIT, 0, 2))
        check_commit(rows, episodes)
        index = cls(storage, episodes, rows)
        if storage.may_move:
            index._check_untorn()
        return index

    def _check_untorn(self) -> None:
        """Check that both numbers of ``/commit`` come from the same commit.

        The writer may commit between the two reads. It writes the entry of the running episode before it commits:
        if that entry says that the episode ends before the last row, the number of episodes is the older one.
        """
        start, number = self.open_start, self.num_episodes
        if start < self.num_rows and self.storage.length(_STARTS) > number:
            running, length = self._entry(number)
            if running == start and length >= 0 and start + length + 1 < self.num_rows:
                raise CorruptRecordingError(
                    f"/{fmt.COMMIT} claims {number} episodes in {self.num_rows} rows, "
                    f"but episode {number} ends at row {start + length}"
                )

    @cached_property
    def open_start(self) -> int:
        """The row after the last episode."""
        if not self.num_episodes:
            return 0
        return sum(self._checked(self.num_episodes - 1, *self._entry(self.num_episodes - 1))) + 1

    @property
    def is_open(self) -> bool:
        """Whether rows follow the last episode: an episode is running, or was running when its recorder died."""
        return self.open_start < self.num_rows

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
        return self._checked(episode, int(self.column("starts")[episode]), int(self.column("lengths")[episode]))

    @cached_property
    def spans(self) -> tuple[np.ndarray, np.ndarray]:
        """First row and number of steps of every episode, two arrays ``(episodes,)`` int64, which no caller may change.

        Raises:
            CorruptRecordingError: If an entry points outside the recording, or the episodes have more rows together
                than the recording.
        """
        starts, lengths = self.column("starts"), self.column("lengths")
        wrong = (starts < 0) | (lengths < 0) | (lengths >= self.num_rows) | (starts >= self.num_rows - lengths)
        if wrong.any():
            self.span(int(wrong.argmax()))  # raises
        if int(lengths.sum()) + len(lengths) > self.num_rows:
            raise CorruptRecordingError(
                f"/{fmt.EPISODES} claims {int(lengths.sum())} steps in {len(lengths)} episodes, "
                f"more than {self.num_rows} rows can hold"
            )
        return starts, lengths

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

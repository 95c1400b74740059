"""Episodes of a recording, as a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np

from gym_h5record import format as fmt
from gym_h5record import schema as sc
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import NO_SEED, SEED_IN_JSON, Origin
from gym_h5record.limits import MAX_ITEM_BYTES
from gym_h5record.reader.columns import Column, InfoColumn
from gym_h5record.reader.decode import Decoder
from gym_h5record.reader.storage import Storage
from gym_h5record.states import unpacked_states
from gym_h5record.tagged import loads

__all__ = ["Episode", "EpisodeIndex", "EpisodeList"]

_STARTS = f"{fmt.EPISODES}/starts"
_LENGTHS = f"{fmt.EPISODES}/lengths"


class EpisodeIndex:
    """The columns of ``/episodes``, each read when it is first asked for.

    Args:
        storage: Reads the columns.
        num_episodes: How many are committed.
        num_rows: How many rows are committed.
        columns: What is known of the columns already, from the first entry on.
    """

    def __init__(
        self, storage: Storage, num_episodes: int, num_rows: int, columns: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self._storage = storage
        self._columns: dict[str, np.ndarray] = dict(columns or {})
        self.num_episodes = num_episodes
        self.num_rows = num_rows

    @classmethod
    def committed(cls, storage: Storage) -> EpisodeIndex:
        """The index up to the last commit.

        Raises:
            CorruptRecordingError: If more is committed than there is.
        """
        index = storage.reading(fmt.COMMIT, lambda: cls._committed(storage))
        for name, count in ((fmt.REWARDS, index.num_rows), (_STARTS, index.num_episodes)):
            storage.check_stored(name, count)
        return index

    def later(self) -> EpisodeIndex:
        """The index of the same recording up to the last commit; what this one has is not read again.

        Raises:
            CorruptRecordingError: If more is committed than there is.
        """
        index = self._storage.reading(fmt.COMMIT, lambda: self._committed(self._storage))
        if index.num_episodes < self.num_episodes:
            return index
        return EpisodeIndex(self._storage, index.num_episodes, index.num_rows, self._columns)

    @classmethod
    def _committed(cls, storage: Storage) -> EpisodeIndex:
        rows, episodes = (int(count) for count in storage.items(fmt.COMMIT, 0, 2))
        if not 0 <= episodes <= rows:
            raise CorruptRecordingError(f"/{fmt.COMMIT} claims {rows} rows and {episodes} episodes")
        index = cls(storage, episodes, rows)
        if storage.may_move:
            index._check_untorn()
        return index

    def _check_untorn(self) -> None:
        """Make sure that the two numbers of ``/commit`` are of one commit: one may have been read before the other.

        The entry of the episode that runs is written before the commit, up to the newest row at least.
        """
        start, number = self.open_start, self.num_episodes
        if start < self.num_rows and self._storage.length(_STARTS) > number:
            running, length = self._entry(number)
            if running == start and length >= 0 and start + length + 1 < self.num_rows:
                raise CorruptRecordingError(
                    f"/{fmt.COMMIT} claims {number} episodes in {self.num_rows} rows, "
                    f"but episode {number} ends at row {start + length}"
                )

    @cached_property
    def open_start(self) -> int:
        """First row behind the last episode."""
        if not self.num_episodes:
            return 0
        return sum(self._checked(self.num_episodes - 1, *self._entry(self.num_episodes - 1))) + 1

    @property
    def is_open(self) -> bool:
        """Whether there are rows behind the last episode: one is running, or was when its recorder died."""
        return self.open_start < self.num_rows

    def column(self, name: str) -> np.ndarray:
        """One entry per episode; treat as read-only."""
        known = self._columns.get(name)
        if known is None or len(known) < self.num_episodes:
            start = 0 if known is None else len(known)
            more = self._storage.items(f"{fmt.EPISODES}/{name}", start, self.num_episodes)
            known = self._columns[name] = more if known is None else np.concatenate([known, more])
        return known

    def span(self, episode: int) -> tuple[int, int]:
        """First row and number of steps of an episode.

        Raises:
            CorruptRecordingError: If the entry points outside the recording.
        """
        return self._checked(episode, int(self.column("starts")[episode]), int(self.column("lengths")[episode]))

    def _entry(self, episode: int) -> tuple[int, int]:
        """First row and number of steps of one episode, without reading those of all."""
        return int(self._storage.row(_STARTS, episode)[0]), int(self._storage.row(_LENGTHS, episode)[0])

    def _checked(self, episode: int, start: int, length: int) -> tuple[int, int]:
        if start < 0 or length < 0 or start + length >= self.num_rows:
            raise CorruptRecordingError(
                f"episode {episode} claims rows {start} to {start + length}, the recording has {self.num_rows}"
            )
        return start, length

    def json(self, episode: int) -> dict[str, Any]:
        """What the index keeps of an episode as JSON: reset options, seeds beyond int64."""
        ends = self.column(f"json/{fmt.ENDS}")
        start, stop = int(ends[episode - 1]) if episode else 0, int(ends[episode])
        if stop - start > MAX_ITEM_BYTES:
            raise CorruptRecordingError(f"/{fmt.EPISODE_JSON} of episode {episode} has {stop - start} bytes")
        text = self._storage.items(f"{fmt.EPISODE_JSON}/{fmt.VALUES}", start, stop).tobytes()
        try:
            content = loads(text) if text else {}
        except ValueError as error:
            raise CorruptRecordingError(
                f"/{fmt.EPISODE_JSON} of episode {episode} is no tagged JSON: {error}"
            ) from error
        return content if type(content) is dict else {}


class Episode:
    """One recorded episode: T steps, T + 1 observations, frames and infos.

    Attributes:
        number: Its place in the recording.
        start: Its first row.
        length: T, how many steps it has.
        env: Lane of a vector recording, 0 here.
    """

    def __init__(self, decoder: Decoder, schema: sc.Schema, index: EpisodeIndex, number: int) -> None:
        self._decoder = decoder
        self._schema = schema
        self._index = index
        self.number = number
        self.start, self.length = index.span(number)
        self.env = 0

    def __len__(self) -> int:
        return self.length

    def __repr__(self) -> str:
        end = "terminated" if self.terminated else "truncated" if self.truncated else "incomplete"
        return f"<Episode {self.number}: {self.length} steps, total reward {self.total_reward:g}, {end}>"

    @cached_property
    def observations(self) -> Column:
        """Observations 0 to T."""
        return self._column(self._schema.observation, 1)

    @cached_property
    def frames(self) -> Column | None:
        """Pictures 0 to T, None if the recording has none."""
        node = self._schema.observation if self._schema.linked_frames else self._schema.frame
        return None if node is None else self._column(node, 1)

    @cached_property
    def infos(self) -> InfoColumn | None:
        """Infos 0 to T, None if they were not recorded."""
        return None if self._schema.infos is None else InfoColumn(self._decoder, self.start, self.length + 1)

    @cached_property
    def actions(self) -> Column:
        """Actions 0 to T - 1."""
        return self._column(self._schema.action)

    @cached_property
    def rewards(self) -> Column:
        """Rewards 0 to T - 1."""
        return self._named(fmt.REWARDS)

    @cached_property
    def terminations(self) -> Column:
        """``terminated`` of steps 0 to T - 1."""
        return self._named(fmt.TERMINATIONS)

    @cached_property
    def truncations(self) -> Column:
        """``truncated`` of steps 0 to T - 1."""
        return self._named(fmt.TRUNCATIONS)

    @property
    def total_reward(self) -> float:
        """Sum of the rewards, added in order."""
        return float(self._index.column("returns")[self.number])

    @property
    def terminated(self) -> bool:
        """Whether the last step ended the episode."""
        return bool(self._index.column("terminated")[self.number])

    @property
    def truncated(self) -> bool:
        """Whether the last step cut the episode off."""
        return bool(self._index.column("truncated")[self.number])

    @property
    def complete(self) -> bool:
        """Whether the environment ended the episode; False if recording stopped before."""
        return bool(self._index.column("complete")[self.number])

    @property
    def origin(self) -> Origin:
        """What made the episode begin."""
        code = int(self._index.column("origins")[self.number])
        try:
            return Origin(code)
        except ValueError as error:
            raise CorruptRecordingError(f"episode {self.number} has the unknown origin {code}") from error

    @property
    def episode_id(self) -> int:
        """How many resets of the environment came before this episode's."""
        return int(self._index.column("ids")[self.number])

    @property
    def seed(self) -> int | None:
        """The seed that ``reset`` was given, None if it was given none."""
        seed = int(self._index.column("seeds")[self.number])
        if seed == SEED_IN_JSON:
            kept = self._index.json(self.number)
            if "seed" not in kept:
                raise CorruptRecordingError(f"episode {self.number} has a seed beyond int64, but no JSON says which")
            beyond: int = kept["seed"]
            return beyond
        return None if seed == NO_SEED else seed

    @property
    def options(self) -> dict[str, Any] | None:
        """The options that ``reset`` was given."""
        options: dict[str, Any] | None = self._index.json(self.number).get("options")
        return options

    @property
    def snapshot(self) -> dict[str, bytes]:
        """What the reset that began it depended on, by provider; empty if nothing was taken."""
        try:
            return unpacked_states(self._index.json(self.number).get(fmt.SNAPSHOT, {}))
        except CorruptRecordingError as error:
            raise CorruptRecordingError(f"episode {self.number}: {error}") from error

    def _column(self, node: sc.Node, more: int = 0) -> Column:
        return Column(self._decoder, node, self.start, self.length + more, has_padding=False)

    def _named(self, name: str) -> Column:
        return self._column(self._schema.coded[self._schema.code_index[name]])


class EpisodeList(Sequence[Episode]):
    """Episodes by number; slices are again lists of episodes."""

    def __init__(self, decoder: Decoder, schema: sc.Schema, index: EpisodeIndex, numbers: range) -> None:
        self._decoder = decoder
        self._schema = schema
        self._index = index
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Episode: ...
    @overload
    def __getitem__(self, index: slice) -> EpisodeList: ...
    def __getitem__(self, index: int | slice) -> Episode | EpisodeList:
        """One episode, or a list of some."""
        if isinstance(index, slice):
            return EpisodeList(self._decoder, self._schema, self._index, self._numbers[index])
        if not -len(self) <= index < len(self):
            raise IndexError(f"episode {index} is out of range: there are {len(self)}")
        return Episode(self._decoder, self._schema, self._index, self._numbers[index])

    def __repr__(self) -> str:
        return f"<EpisodeList of {len(self)} episodes>"

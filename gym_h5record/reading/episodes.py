"""The episodes of a recording, as a sequence."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.display import counted, reward_text
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.lanes import lane_of, row_of
from gym_h5record.format.names import NO_SEED, SEED_IN_JSON, Origin
from gym_h5record.format.schema import KeyColumn
from gym_h5record.format.snapshot_text import unpacked_states
from gym_h5record.reading.column_properties import COLUMNS, RowColumns, RowRun
from gym_h5record.reading.columns import Column
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.reading.hints import EPISODE_HINTS, Hinting
from gym_h5record.reading.html import episode_html
from gym_h5record.reading.keyed_rows import KeyedRows
from gym_h5record.reading.pictured import Pictured
from gym_h5record.reading.recorded_file import RecordedFile
from gym_h5record.reading.step_leaves import LeafSource
from gym_h5record.reading.step_spans import StepSpans
from gym_h5record.reading.tables import Tabular

__all__ = ["Episode", "EpisodeList", "episode_position"]


class Episode(Hinting, RowColumns, Tabular, Pictured):
    """One recorded episode: T steps, T + 1 observations, frames and infos.

    Attributes:
        number: Its place in the recording.
        start: Its first row, in its lane if there are any.
        length: T, how many steps it has.
        env: Its lane in a vector recording, else 0.
        address: The address of its first row (``gym_h5record.format.lanes``): ``start`` in a recording without lanes.
    """

    _hints = EPISODE_HINTS

    def __init__(self, decoder: Decoder, index: EpisodeIndex, number: int) -> None:
        self._decoder = decoder
        self._index = index
        self.number = number
        self.address, self.length = index.span(number)
        self.start, self.env = int(row_of(self.address)), int(lane_of(self.address))

    def __len__(self) -> int:
        return self.length

    def __repr__(self) -> str:
        size = counted(self.length, "step")
        end = "terminated" if self.terminated else "truncated" if self.truncated else "incomplete"
        lane = "" if self._index.storage.num_envs is None else f" of lane {self.env}"
        return f"<Episode {self.number}{lane}: {size}, total reward {reward_text(self.total_reward)}, {end}>"

    def _repr_html_(self) -> str:
        return episode_html(self, self._decoder)

    @property
    def num_steps(self) -> int:
        """Its steps: ``length``, under the name that recordings and reports have for it."""
        return self.length

    @property
    def total_reward(self) -> Any:
        """Sum of the rewards, added one by one: a float, or an array of float64 if rewards are arrays."""
        total = self._index.column("returns")[self.number]
        return total.copy() if total.ndim else float(total)

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
        """Whether the environment ended the episode; False if it was reset, or recording stopped, before."""
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
    def number_before(self) -> int | None:
        """The number of the episode before it, in its lane if there are any; None if it is the first one."""
        return self._index.number_before(self.number)

    @property
    def episode_id(self) -> int:
        """How many resets of the environment came before the reset of this episode."""
        return int(self._index.column("ids")[self.number])

    @property
    def seed(self) -> int | None:
        """The seed that was passed to ``reset``, None without one."""
        seed = int(self._index.column("seeds")[self.number])
        if seed == SEED_IN_JSON:
            return self._index.seed_in_json(self.number)
        return None if seed == NO_SEED else seed

    @property
    def options(self) -> dict[str, Any] | None:
        """The options that were passed to ``reset``, None without any."""
        options: dict[str, Any] | None = self._index.json(self.number).get("options")
        return options

    @property
    def snapshot(self) -> dict[str, bytes]:
        """The state of generators and simulator before the reset, by snapshot provider; empty without a snapshot."""
        try:
            return unpacked_states(self._index.json(self.number).get(fmt.SNAPSHOT, {}))
        except CorruptRecordingError as error:
            raise CorruptRecordingError(f"episode {self.number}: {error}") from error

    @cached_property
    def next_observations(self) -> Column:
        """The observation that each step led to, in the rows of ``actions``."""
        node = self._decoder.schema.observation
        return Column(self._decoder, node, self.address + 1, self.length, has_padding=False)

    def to_dict(self) -> dict[str, Any]:
        """All columns as arrays, by name: those that a slice of each gives, without columns that were not recorded.

        ``observations``, ``frames``, ``infos`` and ``times`` have T + 1 values, all others T. Dict and Tuple spaces
        give dicts and tuples of arrays. ``infos`` and ``extras`` are dicts: with an array for each key that has a
        column of its own and is in every row, and a list for every other key, with None in the rows without it.
        """
        run = self._run
        columns = {name: getattr(self, name) for name in COLUMNS}
        keyed = {name: _by_key(columns.pop(name), run.decoder.key_columns(name)) for name in (fmt.INFOS, fmt.EXTRAS)}
        found = {name: _values(column) for name, column in columns.items()} | keyed
        return {name: found[name] for name in COLUMNS if found[name] is not None}

    @property
    def _run(self) -> RowRun:
        storage = self._index.storage
        return RowRun(self._decoder, storage, self.address, self.length + 1, self.length, has_padding=False)

    @property
    def _file(self) -> RecordedFile:
        storage = self._index.storage
        return RecordedFile(storage.handle, storage)

    @property
    def _leaf_source(self) -> LeafSource:
        spans = StepSpans(*(np.array([each], np.int64) for each in (self.number, self.address, self.length)))
        return LeafSource(self._decoder, self._index.storage, spans)


class EpisodeList(Sequence[Episode]):
    """Episodes by position; slices, lists and ranges of integers, and boolean masks give again lists of episodes.

    Args:
        decoder: Reads values.
        index: The episodes of the recording.
        numbers: Which of them are in the list, ``(n,)`` int64.
    """

    def __init__(self, decoder: Decoder, index: EpisodeIndex, numbers: np.ndarray) -> None:
        self._decoder = decoder
        self._index = index
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Episode: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> EpisodeList: ...
    def __getitem__(self, index: int | np.integer[Any] | slice | Sequence[int] | np.ndarray) -> Episode | EpisodeList:
        """One episode, or a list of them."""
        position = episode_position(index, len(self))
        if isinstance(position, int):
            return Episode(self._decoder, self._index, int(self._numbers[position]))
        return EpisodeList(self._decoder, self._index, self._numbers[position])

    def __repr__(self) -> str:
        return f"<EpisodeList of {len(self)} episodes>"


def episode_position(index: Any, count: int) -> int | slice | np.ndarray:
    """Which of ``count`` episodes an index means: one of them, a slice, or their positions as an array of integers.

    Raises:
        IndexError: If one of them does not exist, or a mask has another length.
        TypeError: If it is no index.
    """
    if isinstance(index, slice):
        return index
    is_array = isinstance(index, (list, range)) or (isinstance(index, np.ndarray) and index.ndim > 0)
    try:
        chosen = np.asarray(index) if is_array else operator.index(index)
    except (TypeError, ValueError):  # ValueError: lists of different lengths
        advice = "; recording.select(...) takes names of masks and conditions" if isinstance(index, str) else ""
        raise TypeError(
            "episodes are chosen by an integer, a slice, a list of integers or a boolean mask, "
            f"not by {index!r:.80}{advice}"
        ) from None
    if not isinstance(chosen, int):
        return _positions(chosen if len(chosen) else np.empty(0, np.int64), count)
    if not -count <= chosen < count:
        raise IndexError(f"episode {chosen} is out of range: there are {count}")
    return chosen + count if chosen < 0 else chosen


def _positions(index: np.ndarray, count: int) -> np.ndarray:
    if index.ndim != 1 or index.dtype.kind not in "biu":
        raise TypeError(
            f"episodes are chosen by integers or booleans in one axis, not by an array of {index.dtype}{index.shape}"
        )
    if index.dtype.kind == "b":
        if len(index) != count:
            raise IndexError(f"the mask has {len(index)} entries, there are {count} episodes")
        return np.flatnonzero(index)
    wrong = (index < -count) | (index >= count)
    if wrong.any():
        raise IndexError(f"episode {index[wrong][0]} is out of range: there are {count}")
    positions: np.ndarray = index.astype(np.int64)  # first: int8 has no room for a count of 300
    positions[positions < 0] += count
    return positions


def _values(column: Column | np.ndarray | None) -> Any:
    return column.copy() if isinstance(column, np.ndarray) else None if column is None else column[:]


def _by_key(rows: KeyedRows | None, columns: Sequence[KeyColumn]) -> Any:
    """The values of infos or extras by key; as they are if one of the infos is no dict."""
    if rows is None:
        return None
    values = rows[:]
    if not all(type(each) is dict for each in values):
        return values
    own = {column.key for column in columns}
    keys = dict.fromkeys(key for each in values for key in each)
    return {key: rows[key][:] if key in own else [each.get(key) for each in values] for key in keys}

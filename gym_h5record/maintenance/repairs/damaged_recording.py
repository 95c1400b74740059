"""Read a damaged recording row by row.

All other readers stop at the first damage. Here a row that cannot be read is None, episodes that the index has lost are
told apart by the type codes of their rows, and missing metadata has a default. Rows are counted by their addresses
(``gym_h5record.format.lanes``): in a recording of a single environment, these are their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.claims import check_commit
from gym_h5record.format.lanes import address
from gym_h5record.format.names import TypeCode
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.reading.episodes import Episode
from gym_h5record.storage.checksummed_reader import ChecksummedReader
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.chunk_reader import ChunkReader
from gym_h5record.storage.hdf5.objects import has_group, open_dataset

__all__ = ["DamagedRecording", "ReadableRow", "Span", "read_or"]

T = TypeVar("T")

_TOTALS = ("total_steps", "total_episodes")
_OUTCOME = (fmt.REWARDS, fmt.TERMINATIONS, fmt.TRUNCATIONS)
_DECODE_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RecursionError)
"""The errors that decoding damaged bytes raises; ``CorruptRecordingError`` is a ``ValueError``."""


@dataclass(frozen=True)
class ReadableRow:
    """A row: an observation, and the step taken from it.

    Attributes:
        frame: The picture, None if the recording has none.
        info: The info, empty if the recording has none.
        time_ns: When it came, in nanoseconds since the recording began; None in a recording without times.
        action: The action, None if there is no step.
        extras: What the agent added to the step.
        outcome: Reward, terminated and truncated; each None if there is no step.
        is_last: Whether it is the last row of its episode, so that there is no step.
    """

    observation: Any
    frame: Any
    info: Any
    time_ns: int | None
    action: Any
    extras: Any
    outcome: tuple[Any, ...]
    is_last: bool


@dataclass(frozen=True)
class Span:
    """The rows of one episode, or rows of a lane that the index has no sound entry for.

    Attributes:
        rows: Their addresses.
        episode: None without a sound entry.
        lane: Their lane, 0 in a recording of a single environment.
        before: How many rows the spans before it have.
    """

    rows: range
    episode: Episode | None
    lane: int = 0
    before: int = 0


class DamagedRecording:
    """The readable part of a recording.

    Args:
        handle: The file, opened with ``Access.DAMAGED``.

    Attributes:
        metadata: The attributes of ``/metadata``.
        fps: Frames per second, NaN if unknown.
        row_bytes: Bytes of a row in memory, without values of varying size.
        num_lanes: Lanes of a vector recording, 1 in a recording of a single environment.
        num_rows: Committed rows of all lanes.
        num_episodes: Committed episodes.

    Raises:
        CorruptRecordingError: If the schema cannot be read, or neither ``/commit`` nor the totals in the metadata.
            The totals say nothing of the lanes of a vector recording.
    """

    def __init__(self, handle: Handle) -> None:
        self.metadata = handle.metadata()
        self.fps = read_or(lambda: float(handle.attribute("fps")), float("nan"))
        self.schema: Schema = schema_from_json(str(self.metadata.get("schema")))
        if self.schema.num_envs != handle.num_envs:
            raise CorruptRecordingError(f"{fmt.NUM_ENVS} is {handle.num_envs}, the schema says {self.schema.num_envs}")
        self.num_lanes = handle.num_envs or 1
        self.row_bytes = sum(field.item_bytes for field in self.schema.ring_fields)
        self.has_checksums = has_group(handle.file, fmt.CHECKSUMS)
        self._storage = ChecksummedReader(handle)
        self._storage.expect(all_fields(self.schema))
        self._decoder = Decoder(self._storage, self.schema)
        stored = _stored_rows(handle)
        self._lane_rows, self.num_episodes = self._committed(stored)
        self.num_rows = sum(self._lane_rows)
        self._stops = [min(rows, stored) for rows in self._lane_rows]
        if sum(self._stops) > max(handle.size_bytes, stored):
            raise CorruptRecordingError(
                f"/{fmt.COMMIT} claims {self.num_rows} rows, more than {handle.size_bytes} bytes can hold"
            )

    def spans(self) -> Iterator[Span]:
        """The episodes up to the first unsound entry of their lane, then all other rows, as one span for each lane."""
        starts, unsound, before = [0] * self.num_lanes, set[int](), 0
        index = EpisodeIndex(self._storage, self._indexed_episodes(), self._lane_rows)
        is_there = read_or(lambda: len(index.column("starts")) == len(index.column("lengths")), default=False)
        for number in range(index.num_episodes if is_there else 0):
            lane = index.lane(number)
            episode = read_or(partial(Episode, self._decoder, index, number), None)
            start = starts[lane]
            if lane in unsound or episode is None or episode.start != start or start >= self._stops[lane]:
                unsound.add(lane)
                if len(unsound) == self.num_lanes:
                    break
                continue
            starts[lane] = start + episode.length + 1
            span = self._span(lane, start, starts[lane], episode, before)
            before += len(span.rows)
            yield span
        for lane, (start, stop) in enumerate(zip(starts, self._stops, strict=True)):
            if start < stop:
                yield self._span(lane, start, stop, None, before)
                before += stop - start

    def _span(self, lane: int, start: int, stop: int, episode: Episode | None, before: int) -> Span:
        rows = range(address(lane, start), address(lane, min(stop, self._stops[lane])))
        return Span(rows, episode, lane, before)

    def row(self, row: int) -> ReadableRow | None:
        """A row, None if any part of it cannot be read."""
        return read_or(lambda: self._row(row), None)

    def _row(self, row: int) -> ReadableRow:
        schema, value = self.schema, self._decoder.value
        reward_code = self._storage.item(fmt.TYPES, row)[schema.code_index[fmt.REWARDS]]
        return ReadableRow(
            observation=value(schema.observation, row),
            frame=None if schema.frame is None else value(schema.frame, row),
            info={} if schema.infos is None else self._decoder.keyed(fmt.INFOS, row),
            time_ns=int(self._storage.item(fmt.TIMES, row)) if schema.times else None,
            action=value(schema.action, row),
            extras={} if schema.extras is None else self._decoder.keyed(fmt.EXTRAS, row),
            outcome=tuple(value(schema.node(name), row) for name in _OUTCOME),
            is_last=bool(reward_code == TypeCode.ABSENT),
        )

    def _committed(self, stored: int) -> tuple[list[int], int]:
        """Rows of each lane, and episodes, by ``/commit``.

        Of a single environment they are those of the totals if ``/commit`` is damaged or claims more than is stored.
        """
        commit = read_or(self._commit, None)
        totals = [each for each in map(self.metadata.get, _TOTALS) if isinstance(each, int) and each >= 0]
        has_totals = len(totals) == len(_TOTALS) and self.schema.num_envs is None
        if has_totals and (commit is None or commit[0][0] > stored >= sum(totals)):
            return [sum(totals)], totals[1]
        if commit is None:
            raise CorruptRecordingError(f"/{fmt.COMMIT} cannot be read, so the number of valid rows is unknown")
        return commit

    def _commit(self) -> tuple[list[int], int]:
        *lane_rows, episodes = self._storage.items(fmt.COMMIT, 0, self.num_lanes + 1).tolist()
        check_commit(sum(lane_rows) if min(lane_rows) >= 0 else -1, episodes)
        return lane_rows, episodes

    def _indexed_episodes(self) -> int:
        """How many episodes have a start, a length and a lane in the file: 0 if any start or length is missing."""
        names = ["starts", "lengths"] if self.schema.num_envs is None else ["starts", "lengths", "envs"]
        try:
            for name in names:
                self._storage.check_stored(f"{fmt.EPISODES}/{name}", self.num_episodes)
            if self.schema.num_envs is None:
                return self.num_episodes
            lanes = self._storage.items(fmt.EPISODE_ENVS, 0, self.num_episodes)
        except CorruptRecordingError:
            return 0
        wrong = (lanes < 0) | (lanes >= self.num_lanes)
        return int(wrong.argmax()) if wrong.any() else self.num_episodes


def read_or(read: Callable[[], T], default: T) -> T:
    """Call ``read``; give ``default`` if what it reads is damaged."""
    try:
        return read()
    except _DECODE_ERRORS:
        return default


def _stored_rows(handle: Handle) -> int:
    """How many rows the file has room for, by its size and not by its claims."""
    try:
        # No row can be read without its type codes. Of /dones, which is never compressed, it takes a byte in the file.
        stored = ChunkReader(open_dataset(handle.file, fmt.TYPES), handle.guarded).stored_items(handle.size_bytes)
        return min(stored, handle.size_bytes)
    except (OSError, RuntimeError, ValueError):
        return 0

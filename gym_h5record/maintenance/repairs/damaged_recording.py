"""A damaged recording, of which any part may be unreadable: what is left of it, row by row.

Everything else that reads a recording stops at the first damage. Here a row
that cannot be read is None, an episode that the index does not know is found by
the types of its rows, and what is missing of the metadata has a default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.names import TypeCode
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.reading.episodes import Episode
from gym_h5record.storage.checksummed_reader import CheckedStorage
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.chunks import stored_items
from gym_h5record.storage.hdf5.objects import has_group, open_dataset

__all__ = ["DamagedRecording", "RemainingRow", "Span", "tried"]


T = TypeVar("T")

_TOTALS = ("total_steps", "total_episodes")
_OUTCOME = (fmt.REWARDS, fmt.TERMINATIONS, fmt.TRUNCATIONS)
_DECODE_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RecursionError)
"""What comes of decoding what makes no sense; ``CorruptRecordingError`` is a ``ValueError``."""


@dataclass(frozen=True)
class RemainingRow:
    """All that a row holds: an observation, and the step taken from it.

    Attributes:
        observation: The observation.
        frame: The picture, None if there are none.
        info: The info, empty if there are none.
        action: The action, None if there is no step.
        outcome: Reward and the two flags, likewise.
        is_last: Whether it is the last row of its episode: there is no step.
    """

    observation: Any
    frame: Any
    info: Any
    action: Any
    outcome: tuple[Any, ...]
    is_last: bool


@dataclass(frozen=True)
class Span:
    """The rows of an episode, or rows that the index does not tell apart.

    Attributes:
        rows: Their numbers.
        episode: The episode, None if the index does not know.
    """

    rows: range
    episode: Episode | None


class DamagedRecording:
    """What is left of a recording.

    Args:
        handle: The file, opened with ``Access.DAMAGED``.

    Attributes:
        metadata: Attributes of ``/metadata``.
        fps: Frames per second, NaN if unknown.
        schema: The columns.
        has_checksums: Whether there are checksums of the chunks.
        num_rows: Rows that were committed.
        num_episodes: Episodes that were committed.

    Raises:
        CorruptRecordingError: If the columns cannot be told, or what was committed.
    """

    def __init__(self, handle: Handle) -> None:
        self.metadata = handle.metadata()
        self.fps = tried(lambda: float(handle.attribute("fps")), float("nan"))
        self.schema: Schema = schema_from_json(str(self.metadata.get("schema")))
        self.has_checksums = has_group(handle.file, fmt.CHECKSUMS)
        self._storage = CheckedStorage(handle)
        self._storage.expect(all_fields(self.schema))
        self._decoder = Decoder(self._storage, self.schema)
        stored = _stored_rows(handle)
        self.num_rows, self.num_episodes = self._committed(stored)
        self._stop = min(self.num_rows, stored)

    def spans(self) -> Iterator[Span]:
        """The episodes, as far as the index makes sense, and all rows behind them."""
        start = 0
        index = EpisodeIndex(self._storage, self.num_episodes, self.num_rows)
        for number in range(self._indexed_episodes()):
            episode = self._episode(index, number)
            if episode is None or episode.start != start or start >= self._stop:
                break
            stop = start + episode.length + 1
            yield Span(range(start, min(stop, self._stop)), episode)
            start = stop
        if start < self._stop:
            yield Span(range(start, self._stop), None)

    def row(self, row: int) -> RemainingRow | None:
        """A row, None if any part of it cannot be read."""
        return tried(lambda: self._row(row), None)

    def _row(self, row: int) -> RemainingRow:
        schema, value = self.schema, self._decoder.value
        rewards = self._storage.row(fmt.TYPES, row)[0, schema.code_index[fmt.REWARDS]]
        return RemainingRow(
            observation=value(schema.observation, row),
            frame=None if schema.frame is None else value(schema.frame, row),
            info={} if schema.infos is None else self._decoder.info(row),
            action=value(schema.action, row),
            outcome=tuple(value(schema.coded[schema.code_index[name]], row) for name in _OUTCOME),
            is_last=bool(rewards == TypeCode.ABSENT),
        )

    def _committed(self, stored: int) -> tuple[int, int]:
        """Rows and episodes by ``/commit``; by the totals of the metadata if that makes no sense."""
        rows, episodes = tried(lambda: [int(each) for each in self._storage.items(fmt.COMMIT, 0, 2)], [-1, -1])
        is_sound = 0 <= episodes <= rows
        if is_sound and rows <= stored:
            return rows, episodes
        totals = [each for each in map(self.metadata.get, _TOTALS) if isinstance(each, int) and each >= 0]
        if len(totals) == len(_TOTALS) and (sum(totals) <= stored or not is_sound):
            return sum(totals), totals[1]
        if is_sound:
            return rows, episodes
        raise CorruptRecordingError(f"/{fmt.COMMIT} cannot be read, so nobody knows which rows are valid")

    def _indexed_episodes(self) -> int:
        """How many episodes can be looked up."""
        try:
            for name in ("starts", "lengths"):
                self._storage.check_stored(f"{fmt.EPISODES}/{name}", self.num_episodes)
        except CorruptRecordingError:
            return 0
        return self.num_episodes

    def _episode(self, index: EpisodeIndex, number: int) -> Episode | None:
        return tried(lambda: Episode(self._decoder, self.schema, index, number), None)


def tried(read: Callable[[], T], default: T) -> T:
    """What can be read, or something in its place."""
    try:
        return read()
    except _DECODE_ERRORS:
        return default


def _stored_rows(handle: Handle) -> int:
    """How many rows there can be in the file, whatever it claims."""
    try:
        # Without the types, no row can be read.
        return stored_items(open_dataset(handle.file, fmt.TYPES), handle.size_bytes)
    except (OSError, RuntimeError, ValueError):
        return 0

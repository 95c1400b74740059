"""Whether a recording is put together as the format says: fast, whatever its size.

Every column is opened, its length is compared with ``/commit``, its last item is
read; so are the starts and lengths of the episodes. What is in the columns is the
business of ``gym_h5record.maintenance.validation.validator``. Nothing is decoded here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.maintenance.validation.problems import Problem, make_problem, reason
from gym_h5record.maintenance.validation.target import Target
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.objects import has_link, is_same_object, open_dataset

__all__ = ["Structure", "structure_problems"]


_BLOCK_EPISODES = 1 << 15


def structure_problems(handle: Handle) -> Iterator[Problem]:
    """What is wrong with the structure of an open recording.

    Args:
        handle: The recording, in any state.

    Yields:
        The problems, errors all of them, as they are found; after one that hides
        all others, no more.
    """
    return Structure(handle).problems()


class Structure:
    """The structure of an open recording, and how far it can be relied on once ``problems`` has been through.

    Args:
        handle: The recording, in any state.

    Attributes:
        subject: The recording, None if it cannot be told what is in it.
        broken: Names of the columns that are not to be read.
        is_indexed: Whether the episodes follow each other and lie within the rows.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.subject: Target | None = None
        self.broken: set[str] = set()
        self.is_indexed = False
        self._sound: dict[str, int] = {}  # by column: items that have to be readable

    def problems(self) -> Iterator[Problem]:
        """See ``structure_problems``."""
        try:
            schema = schema_from_json(str(self._handle.metadata().get("schema")))
        except CorruptRecordingError as error:
            yield make_problem("schema", f"/{fmt.METADATA}", reason(error, self._handle.path))
            return
        storage = ColumnReader(self._handle)
        storage.expect(all_fields(schema))
        try:
            index = EpisodeIndex.committed(storage)
        except CorruptRecordingError as error:
            yield make_problem("commit", f"/{fmt.COMMIT}", reason(error, self._handle.path))
            return
        self.subject = Target(self._handle, storage, schema, index.num_rows, index.num_episodes)
        yield from self._column_problems(self.subject)
        if schema.linked_frames and not is_same_object(self._handle.file, fmt.FRAMES, fmt.OBSERVATIONS):
            message = f"the schema says that it is another name of /{fmt.OBSERVATIONS}, but it is not"
            yield make_problem("frames-link", f"/{fmt.FRAMES}", message)
        if not {f"{fmt.EPISODES}/{name}" for name in ("starts", "lengths")} & self.broken:
            yield from self._index_problems(self.subject)

    def _column_problems(self, subject: Target) -> Iterator[Problem]:
        for field in all_fields(subject.schema):
            if field.parent in self.broken:
                self.broken.add(field.name)  # nobody knows how many of its items count
                continue
            problem = self._column_problem(subject, field)
            if problem is not None:
                self.broken.add(field.name)
                yield problem

    def _column_problem(self, subject: Target, field: Field) -> Problem | None:
        place, storage = f"/{field.name}", subject.storage
        try:
            length = storage.length(field.name)
        except CorruptRecordingError as error:
            return make_problem(self._fault(field.name), place, reason(error, self._handle.path))
        try:
            committed, sound = self._counts(subject, field)
            if length < committed:
                return make_problem("column-short", place, f"{committed} items are committed, it has {length}")
            storage.check_stored(field.name, committed)
            storage.items(field.name, max(sound - 1, 0), sound)
            self._sound[field.name] = sound
        except CorruptRecordingError as error:
            return make_problem("column-unreadable", place, reason(error, self._handle.path))
        return None

    def _fault(self, name: str) -> str:
        """What is wrong with a column that the storage does not open."""
        try:
            open_dataset(self._handle.file, name)
        except CorruptRecordingError:
            return "column-unreadable" if has_link(self._handle.file, name) else "column-missing"
        return "column-type"

    def _counts(self, subject: Target, field: Field) -> tuple[int, int]:
        """How many items of a field are committed, and how many of them have to be readable."""
        if field.parent is not None:
            lists = self._sound[field.parent]
            count = int(subject.storage.items(field.parent, lists - 1, lists)[0]) if lists else 0
            return count, count
        if field.name.startswith(f"{fmt.EPISODES}/"):
            return subject.num_episodes, subject.num_episodes
        return subject.num_rows, subject.sound_rows

    def _index_problems(self, subject: Target) -> Iterator[Problem]:
        """Episodes that do not follow each other, or reach beyond the rows."""
        expected = 0
        for low in range(0, subject.num_episodes, _BLOCK_EPISODES):
            high = min(low + _BLOCK_EPISODES, subject.num_episodes)
            try:
                starts, lengths = (
                    subject.storage.items(f"{fmt.EPISODES}/{name}", low, high) for name in ("starts", "lengths")
                )
            except CorruptRecordingError as error:
                place = f"/{fmt.EPISODES} episode {low}"
                yield make_problem("column-unreadable", place, reason(error, self._handle.path))
                return
            problem = _span_problem(starts, lengths, low, expected, subject.num_rows)
            if problem is not None:
                yield problem
                return
            expected = int(starts[-1] + lengths[-1]) + 1
        self.is_indexed = True


def _span_problem(
    starts: np.ndarray, lengths: np.ndarray, first: int, expected_start: int, num_rows: int
) -> Problem | None:
    """The first of some episodes that is not where it should be."""
    # In this order, and each only where the one before it holds: nothing here can overflow.
    outside = (starts < 0) | (lengths < 0) | (starts >= num_rows) | (lengths >= num_rows)
    with np.errstate(over="ignore"):
        expected = np.concatenate([[expected_start], (starts + lengths + 1)[:-1]])
    wrong = outside | (starts != expected)
    if not wrong.any():
        wrong = starts + lengths >= num_rows
    if not wrong.any():
        return None
    at = int(wrong.argmax())
    return make_problem(
        "episode-span",
        f"/{fmt.EPISODES} episode {first + at}",
        f"it starts at row {starts[at]} and has {lengths[at]} steps; it should start at row {expected[at]}, "
        f"and there are {num_rows} rows",
    )

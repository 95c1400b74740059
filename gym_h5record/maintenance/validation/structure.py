"""Check the columns and the episode index of a recording. This is fast for a recording of any size.

Every column is opened, its length is compared with ``/commit``, and its last item is read. The starts and lengths of
all episodes are read. Nothing is decoded: ``gym_h5record.maintenance.validation.values`` does that.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.commit import committed_items
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
    """Find what is wrong with the structure of an open recording.

    Args:
        handle: The recording, in any state.

    Yields:
        The problems, all of them errors, as they are found. Without a schema or ``/commit`` only that one problem.
    """
    return Structure(handle).problems()


class Structure:
    """The structure of an open recording. The attributes hold once ``problems`` has been run through.

    Args:
        handle: The recording, in any state.

    Attributes:
        target: The recording, None if its schema or ``/commit`` cannot be read.
        broken: Names of the columns that must not be read.
        is_indexed: Whether the episodes follow each other and lie within the rows.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.target: Target | None = None
        self.broken: set[str] = set()
        self.is_indexed = False

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
        self.target = Target(self._handle, storage, schema, index.num_rows, index.num_episodes)
        yield from self._column_problems(self.target)
        if schema.linked_frames and not is_same_object(self._handle.file, fmt.FRAMES, fmt.OBSERVATIONS):
            message = f"the schema says that it is another name of /{fmt.OBSERVATIONS}, but it is not"
            yield make_problem("frames-link", f"/{fmt.FRAMES}", message)
        if not {f"{fmt.EPISODES}/{name}" for name in ("starts", "lengths")} & self.broken:
            yield from self._index_problems(self.target)

    def _column_problems(self, target: Target) -> Iterator[Problem]:
        fields = {field.name: field for field in all_fields(target.schema)}
        for field in fields.values():
            if field.parent in self.broken:
                self.broken.add(field.name)  # without its parent, the number of its committed items is unknown
                continue
            problem = self._column_problem(target, field, fields)
            if problem is not None:
                self.broken.add(field.name)
                yield problem

    def _column_problem(self, target: Target, field: Field, fields: dict[str, Field]) -> Problem | None:
        place, storage = f"/{field.name}", target.storage
        try:
            length = storage.length(field.name)
        except CorruptRecordingError as error:
            return make_problem(self._code(field.name), place, reason(error, self._handle.path))
        try:
            sound = committed_items(
                field, fields, target.sound_rows, target.num_episodes, lambda name, at: int(storage.row(name, at)[0])
            )
            committed = target.num_rows if field.axis == "row" else sound
            if length < committed:
                return make_problem("column-short", place, f"{committed} items are committed, it has {length}")
            storage.check_stored(field.name, committed)
            storage.items(field.name, max(sound - 1, 0), sound)
        except CorruptRecordingError as error:
            return make_problem("column-unreadable", place, reason(error, self._handle.path))
        return None

    def _code(self, name: str) -> str:
        """The kind of problem of a column that ``ColumnReader`` refuses to open."""
        try:
            open_dataset(self._handle.file, name)
        except CorruptRecordingError:
            return "column-unreadable" if has_link(self._handle.file, name) else "column-missing"
        return "column-type"

    def _index_problems(self, target: Target) -> Iterator[Problem]:
        """Find the first episode that does not begin behind the one before it, or reaches beyond the rows."""
        expected = 0
        for low in range(0, target.num_episodes, _BLOCK_EPISODES):
            high = min(low + _BLOCK_EPISODES, target.num_episodes)
            try:
                starts, lengths = (
                    target.storage.items(f"{fmt.EPISODES}/{name}", low, high) for name in ("starts", "lengths")
                )
            except CorruptRecordingError as error:
                place = f"/{fmt.EPISODES} episode {low}"
                yield make_problem("column-unreadable", place, reason(error, self._handle.path))
                return
            problem = _span_problem(starts, lengths, low, expected, target.num_rows)
            if problem is not None:
                yield problem
                return
            expected = int(starts[-1] + lengths[-1]) + 1
        self.is_indexed = True


def _span_problem(
    starts: np.ndarray, lengths: np.ndarray, first: int, expected_start: int, num_rows: int
) -> Problem | None:
    """Find the first episode of a block that has the wrong start or reaches beyond the rows."""
    # Each step relies on the one before it, so that no sum overflows int64.
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

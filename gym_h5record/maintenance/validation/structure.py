"""Check the columns and the episode index of a recording. This is fast for a recording of any size.

Every column is opened, its length is compared with ``/commit``, and its last item is read. The starts and lengths of
all episodes are read. Nothing is decoded: ``gym_h5record.maintenance.validation.values`` does that.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.maintenance.validation.problems import Problem, make_problem, reason
from gym_h5record.maintenance.validation.target import Target
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.objects import has_link, is_same_object, open_dataset

__all__ = ["Structure"]

_BLOCK_EPISODES = 1 << 15
_SPANS = (f"{fmt.EPISODES}/starts", f"{fmt.EPISODES}/lengths")


class Structure:
    """The structure of an open recording, in any state: what is wrong with it, and which parts can be relied on.

    Args:
        handle: The file.
        storage: Reads the columns; None to make a reader of its own. A lane has one that reads it alone.
        schema: The columns, None to read them from the file.

    Attributes:
        target: The recording, None if its schema or ``/commit`` cannot be read.
        broken: Names of the columns that must not be read.
        is_indexed: Whether the episodes follow each other and lie within the rows.
        problems: All of them errors. Without a schema or ``/commit`` only that one problem.
    """

    def __init__(self, handle: Handle, storage: ColumnReader | None = None, schema: Schema | None = None) -> None:
        self._handle = handle
        self._storage, self._schema = storage, schema
        self.target: Target | None = None
        self.broken: set[str] = set()
        self.is_indexed = False
        self.problems = list(self._problems())

    def _problems(self) -> Iterator[Problem]:
        try:
            schema = self._schema or schema_from_json(str(self._handle.metadata().get("schema")))
        except CorruptRecordingError as error:
            yield make_problem("schema", f"/{fmt.METADATA}", reason(error, self._handle.path))
            return
        if self._schema is None and schema.num_envs != self._handle.num_envs:
            message = f"it has {schema.num_envs} lanes, the attribute {fmt.NUM_ENVS} says {self._handle.num_envs}"
            yield make_problem("schema", f"/{fmt.METADATA}", message)
            return
        storage = self._storage or ColumnReader(self._handle)
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
        if not self.broken.intersection(_SPANS):
            problem = self._index_problem(self.target)
            self.is_indexed = problem is None
            if problem is not None:
                yield problem

    def _column_problems(self, target: Target) -> Iterator[Problem]:
        for field in target.fields.values():
            if field.parent in self.broken:
                self.broken.add(field.name)  # without its parent, the number of its committed items is unknown
                continue
            problem = self._column_problem(target, field)
            if problem is not None:
                self.broken.add(field.name)
                yield problem

    def _column_problem(self, target: Target, field: Field) -> Problem | None:
        place, storage = f"/{field.name}", target.storage
        try:
            length = storage.length(field.name)
        except CorruptRecordingError as error:
            return make_problem(self._code(field.name), place, reason(error, self._handle.path))
        try:
            sound = target.committed(field, target.sound_rows)
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

    def _index_problem(self, target: Target) -> Problem | None:
        """The first episode that does not begin behind the one before it, or reaches beyond the rows."""
        next_start, num_rows = 0, target.num_rows
        for low in range(0, target.num_episodes, _BLOCK_EPISODES):
            high = min(low + _BLOCK_EPISODES, target.num_episodes)
            try:
                starts, lengths = (target.storage.items(name, low, high) for name in _SPANS)
            except CorruptRecordingError as error:
                place = f"/{fmt.EPISODES} episode {low}"
                return make_problem("column-unreadable", place, reason(error, self._handle.path))
            ends = starts + lengths  # overflows only in entries that are wrong by themselves
            expected = np.concatenate([[next_start], ends[:-1] + 1])
            wrong = (starts < 0) | (lengths < 0) | (starts >= num_rows) | (lengths >= num_rows)
            wrong |= (starts != expected) | (ends >= num_rows)
            if wrong.any():
                at = int(wrong.argmax())
                return make_problem(
                    "episode-span",
                    f"/{fmt.EPISODES} episode {low + at}",
                    f"it starts at row {starts[at]} and has {lengths[at]} steps; "
                    f"it should start at row {expected[at]}, and there are {num_rows} rows",
                )
            next_start = int(ends[-1]) + 1
        return None

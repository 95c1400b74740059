"""The hot path: append one row to the journal at every step.

A row holds an observation and the step taken from it. So the action and the reward go into the newest row, and the
observation that the step led to opens the next one. Nothing here compresses, locks or waits, unless the ring is full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic, monotonic_ns
from typing import Any, NoReturn

import numpy as np

from gym_h5record.errors import RecordingClosedError
from gym_h5record.format import names as fmt
from gym_h5record.format.names import NO_SEED, SEED_IN_JSON, Origin, RowFlag
from gym_h5record.format.schema import Schema
from gym_h5record.values.tagged_json import tag, tag_anything
from gym_h5record.writing.encoders import make_dict_encoder, make_encoder
from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.journal_rows import BLOB_ENDS, FLAGS
from gym_h5record.writing.ring import Ring
from gym_h5record.writing.segments import pack_begin, without_segments
from gym_h5record.writing.session import Session
from gym_h5record.writing.stack_encoder import StackEncoder
from gym_h5record.writing.step_batch import StepBatch
from gym_h5record.writing.unslotted import UnslottedRow

__all__ = ["RowWriter", "begin_json"]

_HEAD = int(Control.HEAD)  # to look up a member of an enumeration takes 0.05 us a step
_PIECES = 8  # of the ring: how much of it is filled before the writer sees it
_INT64_MAX = np.iinfo(np.int64).max


class RowWriter:
    """Appends rows to the journal of a session that has been laid out.

    Args:
        session: The session.
        schema: Its columns.

    Attributes:
        schema: Its columns.
    """

    def __init__(self, session: Session, schema: Schema) -> None:
        self._session = session
        self.schema = schema
        self._numbers = {field.name: number for number, field in enumerate(schema.ragged_fields)}
        self._unslotted = UnslottedRow()
        self._step, self._row = self._unslotted.step, self._unslotted.row
        self._stacks: dict[str, StackEncoder] = {}
        self._last_row_blob = b""
        self._head = session.journal.control[Control.HEAD]
        self._blob_head = session.journal.blob_head
        self._limit = self._blob_limit = 0
        self._is_unfinished = False  # whether a row is being written, or was when an error came
        self._bind()

    # What the recorder calls --------------------------------------------------------------------

    def begin_episode(
        self, observation: Any, info: Any, frame: Any, begin: dict[str, Any], time_ns: int | None = None
    ) -> None:
        """Open an episode with its first row.

        Args:
            observation: The first observation.
            info: The info that came with it.
            frame: The rendered picture, if the schema has frames.
            begin: What ``begin_json`` gives.
            time_ns: When the environment was reset, on the monotonic clock; None for now.
        """
        self._forget_unfinished()
        for stack in self._stacks.values():
            stack.restart()
        if monotonic() >= self._session.due_s:
            self._session.tick()
        slot = self._next_slot()
        self._put_row(slot, observation, info, frame, time_ns)
        self._publish(slot, RowFlag.FIRST, pack_begin(begin))

    def put_action(self, action: Any, extras: dict[str, Any] | None = None) -> None:
        """Record the action before the environment gets it: environments may change it in place.

        Args:
            action: The action.
            extras: What the agent adds to the step.
        """
        if monotonic() >= self._session.due_s:
            self._session.tick()
        if self._is_unfinished:  # a step that raised
            self._forget_unfinished()
        self._is_unfinished = True
        slot = self._open_slot
        self._encode_action(slot, action)
        if extras or self._has_extra_columns:
            self._encode_extras(slot, extras or {})

    def put_step(
        self,
        observation: Any,
        reward: Any,
        terminated: Any,
        truncated: Any,
        info: Any,
        frame: Any,
        time_ns: int | None = None,
    ) -> None:
        """Record the outcome of the step, and append the row of the observation it led to.

        ``time_ns`` is when the step returned, on the monotonic clock; None for now.
        """
        slot = self._open_slot
        self._encode_reward(slot, reward)
        self._encode_terminated(slot, terminated)
        self._encode_truncated(slot, truncated)
        slot = self._next_slot()
        self._put_row(slot, observation, info, frame, time_ns)
        self._publish(slot, RowFlag.LAST if terminated or truncated else 0)

    def put_batch(self, batch: StepBatch) -> None:
        """Record many steps at once, and append the rows that they led to."""
        if self._is_unfinished:
            self._forget_unfinished()
        self._is_unfinished = True
        journal, at = self._journal, 0
        while at < batch.num_steps:
            if monotonic() >= self._session.due_s:
                self._session.tick()
            if self._head >= self._limit:
                self._limit = self._session.make_room()
            # Not all at once: the writer works on one piece while the next one is copied.
            count = min(self._limit - self._head, batch.num_steps - at, max(journal.capacity_rows // _PIECES, 1))
            batch.write(journal, self._head, at, count)
            at += count
            for slots in journal.slots(self._head, self._head + count):
                journal.columns[BLOB_ENDS][slots] = self._blob_head
                journal.columns[FLAGS][slots] = 0
            self._open_slot = (self._head + count - 1) & self._mask
            if at == batch.num_steps and batch.is_ended:
                self._flags[self._open_slot] = RowFlag.LAST
            self._last_row_blob = b""
            self._head += count
            self._control[_HEAD] = self._head
        self._is_unfinished = False

    def end_episode(self) -> None:
        """Mark the newest row as the last of its episode, although its step was neither terminated nor truncated."""
        self._mark(RowFlag.LAST)

    def discard_episode(self) -> None:
        """Mark the newest episode, which runs or has ended, as discarded: ``Drain`` leaves it out of the file."""
        self._mark(RowFlag.LAST | RowFlag.DISCARDED)

    def _mark(self, flags: RowFlag) -> None:
        """Mark the newest published row. An interrupted row may have left another open slot, or another journal."""
        if self._session.journal is not self._journal:
            self._bind()
        self._flags[(self._head - 1) & self._mask] |= flags
        self._control[Control.EVENTS] += 1

    def repeat_last_row(self, begin: dict[str, Any]) -> None:
        """Open an episode with a copy of the newest row: the agent steps on after the end of the last episode."""
        self._forget_unfinished()
        blob = self._last_row_blob
        if self._stacks:
            blob = without_segments(blob, self._stack_numbers)
            for stack in self._stacks.values():
                stack.repeat()
            blob += self._row.pack(self._numbers)
            self._row.clear()
        old, new = self._open_slot, self._next_slot()
        for column in self._journal.columns.values():
            column[new] = column[old]
        self._publish(new, RowFlag.FIRST, pack_begin(begin) + blob)
        self._last_row_blob = blob

    def note_inexact(self, name: str, part: object) -> None:
        """Tell the user, once, of an object without an exact form that the column ``name`` has got."""
        self._unslotted.note_inexact(name, part)

    def release(self) -> None:
        """Drop the journal; from here on every method raises ``RecordingClosedError``.

        The encoders refer to this object and it to them. Without this, only the garbage collector would unmap the
        64 MiB of the journal: 8 ms within a later step.
        """
        self.__dict__.clear()
        self.__class__ = _ReleasedRowWriter

    def _forget_unfinished(self) -> None:
        """Roll back to the last published row: one that raised may have left segments and moved the blob head."""
        if self._session.journal is not self._journal:  # the interrupt came while the journal was replaced
            self._bind()
        self._head = self._control[_HEAD]
        self._open_slot = (self._head - 1) & self._mask
        self._blob_head = self._journal.blob_start(self._head)
        self._step.clear()
        self._row.clear()

    # One row --------------------------------------------------------------------------------------

    def _put_row(self, slot: int, observation: Any, info: Any, frame: Any, time_ns: int | None) -> None:
        self._encode_observation(slot, observation)
        if self._encode_frame is not None:
            self._encode_frame(slot, frame)
        if self._encode_infos is not None:
            self._encode_infos(slot, info)
        if self._times is not None:
            self._times[slot] = (monotonic_ns() if time_ns is None else time_ns) - self._began_ns

    def _next_slot(self) -> int:
        if self._head >= self._limit:
            self._limit = self._session.make_room()
        return self._head & self._mask

    def _publish(self, slot: int, flags: int, segments: bytes = b"") -> None:
        """Count the row in ``slot``. A crash before this leaves no trace of the row."""
        row, step = self._row, self._step
        if segments or row.segments or row.exceptions or step.segments or step.exceptions:
            slot = self._write_segments(slot, segments)
        elif self._last_row_blob:
            self._last_row_blob = b""
        self._blob_ends[slot] = self._blob_head
        self._flags[slot] = flags
        self._open_slot = slot
        self._head += 1
        self._control[_HEAD] = self._head
        self._is_unfinished = False

    def _write_segments(self, slot: int, segments: bytes) -> int:
        row_blob = self._row.pack(self._numbers)
        data = segments + self._step.pack(self._numbers) + row_blob
        self._step.clear()
        self._row.clear()
        if self._blob_head + len(data) > self._blob_limit:
            self._blob_limit = self._session.make_blob_room(len(data))
            if self._session.journal is not self._journal:  # replaced by a larger one
                self._bind()
                slot = self._head & self._mask
        self._journal.write_blob(self._blob_head, data)
        self._blob_head += len(data)
        self._last_row_blob = row_blob
        return slot

    # The journal ----------------------------------------------------------------------------------

    def _bind(self) -> None:
        """Bind what the hot path uses of the session's journal, so that a step looks nothing up."""
        journal, schema = self._session.journal, self.schema
        self._journal = journal
        self._control = journal.control
        self._mask = journal.mask
        self._flags = journal.columns[FLAGS].data
        self._blob_ends = journal.columns[BLOB_ENDS].data
        self._blob_head = journal.blob_head
        self._blob_limit = journal.control[Control.BLOB_TAIL] + journal.blob_bytes
        self._limit = journal.control[Control.TAIL] + journal.usable_rows
        self._open_slot = (self._head - 1) & self._mask
        unslotted = self._unslotted
        ring = Ring(journal, schema, unslotted.note_foreign, unslotted.note_inexact, self._stacks)
        step_scalars = {node.name: node for node in schema.coded[: schema.num_step_codes]}
        step_encoders = {
            name: make_encoder(step_scalars[name], ring, unslotted.keep_step_value, self._step.segments)
            for name in (fmt.REWARDS, fmt.TERMINATIONS, fmt.TRUNCATIONS)
        }
        self._encode_reward = step_encoders[fmt.REWARDS]
        self._encode_terminated = step_encoders[fmt.TERMINATIONS]
        self._encode_truncated = step_encoders[fmt.TRUNCATIONS]
        self._encode_action = make_encoder(schema.action, ring, unslotted.keep_step_value, self._step.segments)
        self._encode_observation = make_encoder(schema.observation, ring, unslotted.keep_row_value, self._row.segments)
        self._encode_frame = None
        if schema.frame is not None:
            self._encode_frame = make_encoder(schema.frame, ring, unslotted.keep_row_value, self._row.segments)
        self._encode_infos = (
            None if schema.infos is None else make_dict_encoder(schema.infos, ring, unslotted.keep_other_infos)
        )
        self._encode_extras = make_dict_encoder(schema.extras or (), ring, unslotted.keep_other_extras)
        self._has_extra_columns = bool(schema.extras)
        self._stack_numbers = {self._numbers[name] for stack in self._stacks.values() for name in stack.ragged_fields}
        self._times = journal.columns[fmt.TIMES].data if schema.times else None
        self._began_ns = self._session.began_ns


class _ReleasedRowWriter(RowWriter):
    """A row writer after ``release``, also in a thread that is in the middle of a method.

    ``__getattr__`` on ``RowWriter`` itself would do, but Python then looks up every attribute the slow way: 40 % more
    instructions per step (valgrind, CPython 3.11).
    """

    def __getattr__(self, name: str) -> NoReturn:
        raise RecordingClosedError("the recording has been closed: nothing is recorded any more.")


def begin_json(
    seed: Any,
    options: Any,
    origin: Origin,
    episode_id: int,
    on_repr: Callable[[object], None] | None = None,
    snapshot: Mapping[str, bytes] | None = None,
) -> dict[str, Any]:
    """How an episode began, in the form that ``IndexWriter`` takes.

    Args:
        seed: The seed that ``reset`` was given, or None.
        options: The options that ``reset`` was given, or None.
        origin: Why the episode began.
        episode_id: How many resets there were before.
        on_repr: Called with every object in the options that has no exact form.
        snapshot: The state that the reset depended on, by name of its provider.
    """
    small = isinstance(seed, (int, np.integer)) and 0 <= seed <= _INT64_MAX
    column = NO_SEED if seed is None else int(seed) if small else SEED_IN_JSON
    more: dict[str, Any] = {} if options is None else {"options": tag_anything(options, on_repr)}
    if column == SEED_IN_JSON:
        more["seed"] = tag(int(seed) if isinstance(seed, np.integer) else seed)  # as in the column
    columns = {"seeds": column, "ids": episode_id, "origins": int(origin)}
    return {"columns": columns, "json": more, "snapshot": dict(snapshot or {})}

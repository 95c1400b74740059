"""The hot path: one row into the journal at every step.

A row holds an observation, and the step taken from it once that is known. So
``put_action`` and the reward go into the row of the last observation, and the
new observation opens the next row. Nothing here compresses, locks or waits,
unless the ring is full.
"""

from __future__ import annotations

import json
import warnings
from time import monotonic
from typing import Any, NoReturn

import numpy as np

from gym_h5record.errors import RecordingClosedError, RecordingWarning
from gym_h5record.format import names as fmt
from gym_h5record.format.names import RowFlag, TypeCode
from gym_h5record.format.schema import Schema
from gym_h5record.values.tagged_json import IN_ITS_PLACE, tag
from gym_h5record.writing.encoders import Ring, Segments, make_infos_put, make_put
from gym_h5record.writing.journal_format import Control, Segment, pack_segment
from gym_h5record.writing.journal_header import BLOB_ENDS, FLAGS
from gym_h5record.writing.session import Session

__all__ = ["RowWriter"]


class _Extras:
    """What a row, or the step that leads to it, has beyond its slots."""

    def __init__(self, exceptions_number: int) -> None:
        self.segments: Segments = []
        self.exceptions: dict[str, Any] = {}
        self._exceptions_number = exceptions_number

    def clear(self) -> None:
        self.segments.clear()
        self.exceptions.clear()

    def pack(self, numbers: dict[str, int]) -> bytes:
        """All of it as segments."""
        packed = [pack_segment(numbers[name], data) for name, data in self.segments]
        if self.exceptions:
            text = json.dumps(self.exceptions, separators=(",", ":")).encode()
            packed.append(pack_segment(self._exceptions_number, text))
        return b"".join(packed)


class RowWriter:
    """Appends rows to the journal of a session that has been laid out.

    Args:
        session: The session.
        schema: Its columns.
    """

    def __init__(self, session: Session, schema: Schema) -> None:
        self._session = session
        self._schema = schema
        self._numbers = {field.name: number for number, field in enumerate(schema.ragged_fields)}
        self._step = _Extras(Segment.STEP_EXCEPTIONS)
        self._row = _Extras(Segment.ROW_EXCEPTIONS)
        self._last_row_blob = b""
        self._warned: set[str] = set()
        self._head = session.journal.control[Control.HEAD]
        self._limit = self._blob_limit = 0
        self._bind()

    # What the recorder calls --------------------------------------------------------------------

    def begin_episode(self, observation: Any, info: Any, frame: Any, begin: dict[str, Any]) -> None:
        """Open an episode with its first row.

        Args:
            observation: The first observation.
            info: The info that came with it.
            frame: The rendered picture, if the schema has frames.
            begin: What ``begin_json`` gives.
        """
        self._forget_unfinished()
        if monotonic() >= self._session.due_s:
            self._session.tick()
        slot = self._next_slot()
        self._put_row(slot, observation, info, frame)
        self._publish(slot, RowFlag.FIRST, self._pack_begin(begin))

    def put_action(self, action: Any) -> None:
        """Keep the action that is about to be taken; environments may change it in place."""
        if monotonic() >= self._session.due_s:
            self._session.tick()
        if self._step.segments or self._step.exceptions:  # left by a step that raised
            self._step.clear()
        self._put_action(self._open_slot, action)

    def put_step(self, observation: Any, reward: Any, terminated: Any, truncated: Any, info: Any, frame: Any) -> None:
        """Append what the environment answered to the action."""
        slot = self._open_slot
        self._put_reward(slot, reward)
        self._put_terminated(slot, terminated)
        self._put_truncated(slot, truncated)
        slot = self._next_slot()
        self._put_row(slot, observation, info, frame)
        self._publish(slot, RowFlag.LAST if terminated or truncated else 0)

    def end_episode(self) -> None:
        """Mark the newest row as the last of its episode, although nothing said so."""
        self._flags[self._open_slot] |= RowFlag.LAST
        self._control[Control.EVENTS] += 1

    def repeat_last_row(self, begin: dict[str, Any]) -> None:
        """Open an episode with a copy of the newest row: the agent steps on after the end."""
        self._forget_unfinished()
        blob = self._last_row_blob
        old, new = self._open_slot, self._next_slot()
        for column in self._journal.columns.values():
            column[new] = column[old]
        self._publish(new, RowFlag.FIRST, self._pack_begin(begin) + blob)
        self._last_row_blob = blob

    def release(self) -> None:
        """Let go of the journal; from here on every method raises ``RecordingClosedError``.

        The encoders refer to the journal and it to them: without this, 64 MiB of mapped file
        would wait for the garbage collector, which takes 8 ms within some later step to unmap it.
        """
        self.__dict__.clear()

    def __getattr__(self, name: str) -> NoReturn:
        """Called for attributes that are gone: after ``release``, also in a thread that is within a method."""
        raise RecordingClosedError("the recording has been closed: nothing is recorded any more.")

    def _forget_unfinished(self) -> None:
        """Roll back to the last published row.

        A row that raised or was interrupted may have left partial segments and moved the blob head.
        """
        if self._session.journal is not self._journal:  # the interrupt came while the journal was replaced
            self._bind()
        self._open_slot = (self._head - 1) & self._mask
        self._blob_head = self._journal.blob_start(self._head)
        self._step.clear()
        self._row.clear()

    # One row --------------------------------------------------------------------------------------

    def _put_row(self, slot: int, observation: Any, info: Any, frame: Any) -> None:
        self._put_observation(slot, observation)
        if self._put_frame is not None:
            self._put_frame(slot, frame)
        if self._put_infos is not None:
            self._put_infos(slot, info)

    def _next_slot(self) -> int:
        if self._head >= self._limit:
            self._limit = self._session.make_room()
        return self._head & self._mask

    def _publish(self, slot: int, flags: int, segments: bytes = b"") -> None:
        """Make the row in ``slot`` count. Until here a crash leaves no trace of it."""
        row, step = self._row, self._step
        if segments or row.segments or row.exceptions or step.segments or step.exceptions:
            slot = self._write_segments(slot, segments)
        elif self._last_row_blob:
            self._last_row_blob = b""
        self._blob_ends[slot] = self._blob_head
        self._flags[slot] = flags
        self._open_slot = slot
        self._head += 1
        self._control[Control.HEAD] = self._head

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

    def _pack_begin(self, begin: dict[str, Any]) -> bytes:
        text = json.dumps({"columns": begin["columns"], "json": begin["json"]}).encode()
        data = pack_segment(Segment.EPISODE, text)
        for name, state in begin.get("snapshot", {}).items():
            data += pack_segment(Segment.SNAPSHOT, f"{name}\0".encode() + state)
        return data

    # What does not fit ----------------------------------------------------------------------------

    def _odd_step(self, name: str, value: Any) -> int:
        self._step.exceptions[name] = self._tag(name, value)
        return TypeCode.EXCEPTION

    def _odd_row(self, name: str, value: Any) -> int:
        self._row.exceptions[name] = self._tag(name, value)
        return TypeCode.EXCEPTION

    def _tag(self, name: str, value: Any) -> Any:
        self._warn_once(
            name,
            f"/{name}: got {_describe(value)}, which is not what its column holds. "
            "It is kept as text, which is slow; further ones are kept without this warning.",
        )
        return self._tag_anything(name, value)

    def _tag_anything(self, name: str, value: Any) -> Any:
        def on_repr(part: object) -> None:
            self._warn_once(
                f"{name} {type(part).__qualname__}",
                f"/{name}: an object of type {type(part).__module__}.{type(part).__qualname__} has no exact form in "
                f"the file; {IN_ITS_PLACE}.",
            )

        try:
            return tag(value, on_repr=on_repr)
        except ValueError:  # nested too deep, or in itself
            on_repr(value)
            return {"$repr": [type(value).__qualname__, repr(value)]}

    def _note_foreign(self, name: str, value: Any, stored: Any) -> None:
        what = "NumPy arrays" if isinstance(stored, np.ndarray) else type(stored).__qualname__
        self._warn_once(
            f"{name} {type(value).__qualname__}",
            f"/{name}: values of type {type(value).__qualname__} are recorded as {what}.",
        )

    def _put_other_infos(self, rest: Any) -> None:
        text = json.dumps(self._tag_anything(fmt.INFOS, rest), separators=(",", ":")).encode()
        length = np.int64(len(text)).tobytes()
        self._row.segments += [(f"{fmt.INFOS_JSON}/{fmt.ENDS}", length), (f"{fmt.INFOS_JSON}/{fmt.VALUES}", text)]

    def _warn_once(self, key: str, message: str) -> None:
        if key not in self._warned:
            self._warned.add(key)
            warnings.warn(message, RecordingWarning, stacklevel=2)

    # The journal ----------------------------------------------------------------------------------

    def _bind(self) -> None:
        """Take everything the hot path touches from the session's journal."""
        journal, schema = self._session.journal, self._schema
        self._journal = journal
        self._control = journal.control
        self._mask = journal.mask
        self._flags = journal.columns[FLAGS].data
        self._blob_ends = journal.columns[BLOB_ENDS].data
        self._blob_head = journal.blob_head
        self._blob_limit = journal.control[Control.BLOB_TAIL] + journal.blob_bytes
        self._limit = journal.control[Control.TAIL] + journal.usable_rows
        self._open_slot = (self._head - 1) & self._mask
        ring = Ring(journal, schema, self._note_foreign)
        step_scalars = {node.name: node for node in schema.coded[: schema.num_step_codes]}
        step_puts = {
            name: make_put(step_scalars[name], ring, self._odd_step, self._step.segments)
            for name in (fmt.REWARDS, fmt.TERMINATIONS, fmt.TRUNCATIONS)
        }
        self._put_reward = step_puts[fmt.REWARDS]
        self._put_terminated = step_puts[fmt.TERMINATIONS]
        self._put_truncated = step_puts[fmt.TRUNCATIONS]
        self._put_action = make_put(schema.action, ring, self._odd_step, self._step.segments)
        self._put_observation = make_put(schema.observation, ring, self._odd_row, self._row.segments)
        self._put_frame = (
            None if schema.frame is None else make_put(schema.frame, ring, self._odd_row, self._row.segments)
        )
        self._put_infos = None if schema.infos is None else make_infos_put(schema, ring, self._put_other_infos)


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} of type {type(value).__qualname__}"

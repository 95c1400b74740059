"""The hot path: append one row to the journal at every step.

A row holds an observation and the step taken from it. So the action and the reward go into the newest row, and the
observation that the step led to opens the next one. Nothing here compresses, locks or waits, unless the ring is full.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, NoReturn

import numpy as np

from gym_h5record.errors import RecordingClosedError, RecordingWarning
from gym_h5record.format import names as fmt
from gym_h5record.format.names import NO_SEED, SEED_IN_JSON, Origin, RowFlag, TypeCode
from gym_h5record.format.schema import Schema
from gym_h5record.values.tagged_json import IN_ITS_PLACE, tag
from gym_h5record.writing.encoders import Ring, Segments, make_encoder, make_infos_encoder
from gym_h5record.writing.journal_format import Control, Segment, pack_segment
from gym_h5record.writing.journal_rows import BLOB_ENDS, FLAGS
from gym_h5record.writing.session import Session

__all__ = ["RowWriter", "begin_json"]

_INT64_MAX = np.iinfo(np.int64).max


class _Extras:
    """The segments and exceptions of a row, or of the step that leads to it: all that has no slot."""

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
        """Record the action before the environment gets it: environments may change it in place."""
        if monotonic() >= self._session.due_s:
            self._session.tick()
        if self._step.segments or self._step.exceptions:  # left by a step that raised
            self._step.clear()
        self._encode_action(self._open_slot, action)

    def put_step(self, observation: Any, reward: Any, terminated: Any, truncated: Any, info: Any, frame: Any) -> None:
        """Record the outcome of the step, and append the row of the observation it led to."""
        slot = self._open_slot
        self._encode_reward(slot, reward)
        self._encode_terminated(slot, terminated)
        self._encode_truncated(slot, truncated)
        slot = self._next_slot()
        self._put_row(slot, observation, info, frame)
        self._publish(slot, RowFlag.LAST if terminated or truncated else 0)

    def end_episode(self) -> None:
        """Mark the newest row as the last of its episode, although its step was neither terminated nor truncated."""
        self._flags[self._open_slot] |= RowFlag.LAST
        self._control[Control.EVENTS] += 1

    def repeat_last_row(self, begin: dict[str, Any]) -> None:
        """Open an episode with a copy of the newest row: the agent steps on after the end of the last episode."""
        self._forget_unfinished()
        blob = self._last_row_blob
        old, new = self._open_slot, self._next_slot()
        for column in self._journal.columns.values():
            column[new] = column[old]
        self._publish(new, RowFlag.FIRST, self._pack_begin(begin) + blob)
        self._last_row_blob = blob

    def release(self) -> None:
        """Drop the journal; from here on every method raises ``RecordingClosedError``.

        The encoders refer to this object and it to them. Without this, only the garbage collector would unmap the
        64 MiB of the journal: 8 ms within a later step.
        """
        self.__dict__.clear()
        self.__class__ = _ReleasedRowWriter

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
        self._encode_observation(slot, observation)
        if self._encode_frame is not None:
            self._encode_frame(slot, frame)
        if self._encode_infos is not None:
            self._encode_infos(slot, info)

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

    # Values that do not fit -----------------------------------------------------------------------

    def _keep_step_value(self, name: str, value: Any) -> int:
        self._step.exceptions[name] = self._tag(name, value)
        return TypeCode.EXCEPTION

    def _keep_row_value(self, name: str, value: Any) -> int:
        self._row.exceptions[name] = self._tag(name, value)
        return TypeCode.EXCEPTION

    def _tag(self, name: str, value: Any) -> Any:
        self._warn_once(
            name,
            f"/{name}: got {_describe(value)}, which its column cannot hold. "
            "It is kept as text, which is slow. Later ones are kept in the same way, without a warning.",
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
        except ValueError:  # nested too deep, or contains itself
            on_repr(value)
            return {"$repr": [type(value).__qualname__, repr(value)]}

    def _note_foreign(self, name: str, value: Any, stored: Any) -> None:
        what = "NumPy arrays" if isinstance(stored, np.ndarray) else type(stored).__qualname__
        self._warn_once(
            f"{name} {type(value).__qualname__}",
            f"/{name}: values of type {type(value).__qualname__} are recorded as {what}.",
        )

    def _keep_other_infos(self, rest: Any) -> None:
        text = json.dumps(self._tag_anything(fmt.INFOS, rest), separators=(",", ":")).encode()
        length = np.int64(len(text)).tobytes()
        self._row.segments += [(f"{fmt.INFOS_JSON}/{fmt.ENDS}", length), (f"{fmt.INFOS_JSON}/{fmt.VALUES}", text)]

    def _warn_once(self, key: str, message: str) -> None:
        if key not in self._warned:
            self._warned.add(key)
            warnings.warn(message, RecordingWarning, stacklevel=2)

    # The journal ----------------------------------------------------------------------------------

    def _bind(self) -> None:
        """Bind what the hot path uses of the session's journal, so that a step looks nothing up."""
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
        step_encoders = {
            name: make_encoder(step_scalars[name], ring, self._keep_step_value, self._step.segments)
            for name in (fmt.REWARDS, fmt.TERMINATIONS, fmt.TRUNCATIONS)
        }
        self._encode_reward = step_encoders[fmt.REWARDS]
        self._encode_terminated = step_encoders[fmt.TERMINATIONS]
        self._encode_truncated = step_encoders[fmt.TRUNCATIONS]
        self._encode_action = make_encoder(schema.action, ring, self._keep_step_value, self._step.segments)
        self._encode_observation = make_encoder(schema.observation, ring, self._keep_row_value, self._row.segments)
        self._encode_frame = (
            None if schema.frame is None else make_encoder(schema.frame, ring, self._keep_row_value, self._row.segments)
        )
        self._encode_infos = None if schema.infos is None else make_infos_encoder(schema, ring, self._keep_other_infos)


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
    more: dict[str, Any] = {} if options is None else {"options": tag(options, on_repr=on_repr)}
    if column == SEED_IN_JSON:
        more["seed"] = tag(seed)
    columns = {"seeds": column, "ids": episode_id, "origins": int(origin)}
    return {"columns": columns, "json": more, "snapshot": dict(snapshot or {})}


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} of type {type(value).__qualname__}"

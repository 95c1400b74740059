"""The hot path of vector environments: append a tick, with a row of every lane or of some, to the journal.

As in ``row_writer``, a row holds an observation and the step taken from it. So actions and rewards go into the newest
row of each lane, and the observations that the steps led to open the next ones. Batches are copied as whole arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic, monotonic_ns
from typing import Any

import numpy as np
from gymnasium import Space

from gym_h5record.errors import RecordingClosedError, RecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format import nodes
from gym_h5record.format.names import RowFlag
from gym_h5record.format.schema import Schema
from gym_h5record.values.lane_values import lanes_where
from gym_h5record.writing.batch_encoders import BatchEncoder, make_batch_encoder, make_keys_encoder
from gym_h5record.writing.batch_rows import BatchRows
from gym_h5record.writing.encoders import Encoder, make_dict_encoder, make_encoder
from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.journal_rows import BLOB_ENDS, FLAGS
from gym_h5record.writing.lane_codes import LaneCodes
from gym_h5record.writing.lane_stacks import LaneStacks, StackOfLane
from gym_h5record.writing.lane_unslotted import LaneUnslotted
from gym_h5record.writing.ring import Ring
from gym_h5record.writing.segments import pack_begin
from gym_h5record.writing.session import Session

__all__ = ["LaneRowWriter"]

_HEAD, _LAST = int(Control.HEAD), int(RowFlag.LAST)  # to look up a member of an enumeration takes 0.05 us


class LaneRowWriter:
    """Appends ticks to the journal of a session that has been laid out for lanes.

    Args:
        session: The session.
        schema: Its columns.
        spaces: The observation and the action space of a single environment.
    """

    def __init__(self, session: Session, schema: Schema, spaces: tuple[Space[Any], Space[Any]]) -> None:
        self._session = session
        self.schema = schema
        self._spaces = spaces
        self._num_lanes = schema.num_envs or 1
        self._all = range(self._num_lanes)
        self._numbers = {field.name: number for number, field in enumerate(schema.ragged_fields)}
        self._unslotted = LaneUnslotted(self._num_lanes)
        self._stacks = {
            node.name: LaneStacks(node, self._num_lanes, self._unslotted)
            for node in schema.observation.walk()
            if isinstance(node, nodes.Stack)
        }
        self._newest = np.zeros(self._num_lanes, np.int64)  # the tick of the newest row of each lane
        self._is_running = np.zeros(self._num_lanes, np.bool_)  # whether it waits for its step
        self._open_slots: list[int] = []
        self._head = session.journal.control[Control.HEAD]
        self._limit = self._blob_limit = 0
        self._is_unfinished = False  # whether a tick is being written, or was when an error came
        self._bind()

    # What the recorder calls --------------------------------------------------------------------

    def begin_episodes(
        self, rows: BatchRows, begins: Mapping[int, Mapping[str, Any] | None], time_ns: int | None = None
    ) -> None:
        """Append the first rows of episodes: after a reset of some lanes, or of all.

        Args:
            rows: What ``reset`` gave.
            begins: For each lane that was reset, what ``begin_json`` gives; None for a reset without anything to keep.
            time_ns: When they were reset, on the monotonic clock; None for now.
        """
        self.roll_back()
        if monotonic() >= self._session.due_s:
            self._session.tick()
        flags = np.full(self._num_lanes, RowFlag.ABSENT, np.uint8)
        flags[list(begins)] = RowFlag.FIRST
        if self._head >= self._limit - 1:  # the last slot is for the step that others wait for
            is_old = self._newest < self._head - self._journal.capacity_rows // 2
            waiting = lanes_where(self._is_running & is_old & (flags == RowFlag.ABSENT))
            if waiting:
                raise RecordingError(
                    f"lane {waiting[0]} waits for a step since {self._head - int(self._newest[waiting[0]])} resets of "
                    "other lanes: step it, or reset it too"
                )
        self._append(rows, flags, sorted(begins), time_ns, begins)

    def put_actions(self, actions: Any, extras: Any, lanes: Sequence[int]) -> None:
        """Record the actions before the environments get them: environments may change them in place.

        Args:
            actions: The batch of actions.
            extras: What the agent adds to the steps: a dict of arrays with an entry for every lane.
            lanes: The lanes that take a step.
        """
        if monotonic() >= self._session.due_s:
            self._session.tick()
        if self._is_unfinished:  # a step that raised
            self.roll_back()
        self._is_unfinished = True
        for slot in self._open_slots:
            here = self._lanes_in(slot, lanes)
            self._encode_actions(slot, actions, here)
            if extras or self._has_extra_columns:
                self._encode_extras(slot, extras or {}, here)

    def put_step(
        self,
        rewards: Any,
        terminations: Any,
        truncations: Any,
        rows: BatchRows,
        flags: np.ndarray,
        lanes: Sequence[int],
        present: Sequence[int] | None = None,
        finals: Mapping[int, tuple[Any, Any]] | None = None,
        begins: Mapping[int, Mapping[str, Any] | None] | None = None,
        time_ns: int | None = None,
    ) -> None:
        """Record the outcome of the steps, and append the rows of the observations they led to.

        Args:
            rewards: The rewards.
            terminations: ``(lanes,)`` bool.
            truncations: ``(lanes,)`` bool.
            rows: What the step gave.
            flags: The ``RowFlag`` of each row, ``(lanes,)`` uint8.
            lanes: The lanes that took a step; others may have been reset instead.
            present: The lanes that have a row, those whose flag is not ``RowFlag.ABSENT``; None for all.
            finals: Observation and info of the lanes whose row is not in ``rows``, because they were reset since.
            begins: How the episodes of rows with ``RowFlag.FIRST`` began, as of ``begin_episodes``.
            time_ns: When the step returned, on the monotonic clock; None for now.
        """
        missed = () if present is None else {*lanes_where(self._is_running)}.difference(lanes)
        if missed:  # an error has cut their step short: the ring would wait for them for ever
            self.mark(sorted(missed), RowFlag.LAST)
        for slot in self._open_slots:
            here = self._lanes_in(slot, lanes)
            self._encode_rewards(slot, rewards, here)
            self._encode_terminations(slot, terminations, here)
            self._encode_truncations(slot, truncations, here)
        self._append(rows, flags, self._all if present is None else present, time_ns, begins or {}, finals)

    def mark(self, lanes: Sequence[int], flags: RowFlag) -> None:
        """Mark the newest row of these lanes, such as the last of its episode, or of one that is discarded."""
        if self._session.journal is not self._journal:
            self._bind()
        for lane in lanes:
            self._flags[int(self._newest[lane]) & self._mask, lane] |= flags
        self._is_running[list(lanes)] = False
        self._find_open_slots()
        self._control[Control.EVENTS] += 1

    def roll_back(self) -> None:
        """Roll back to the last published tick: an error may have cut the next one short."""
        if self._session.journal is not self._journal:  # the interrupt came while the journal was replaced
            self._bind()
        self._head = self._control[_HEAD]
        self._blob_head = self._journal.blob_start(self._head)
        if self._is_unfinished:
            for stack in self._stacks.values():
                stack.restart()
            self._codes.forget()
        self._unslotted.clear()
        self._is_unfinished = False

    def release(self) -> None:
        """Drop the journal; from here on every method raises ``RecordingClosedError``."""
        self.__dict__.clear()
        self.__class__ = _ReleasedLaneRowWriter

    # One tick -------------------------------------------------------------------------------------

    def _append(
        self,
        rows: BatchRows,
        flags: np.ndarray,
        lanes: Sequence[int],
        time_ns: int | None,
        begins: Mapping[int, Mapping[str, Any] | None],
        finals: Mapping[int, tuple[Any, Any]] | None = None,
    ) -> None:
        self._is_unfinished = True
        slot = self._next_slot()
        if begins and self._stacks:
            for stack in self._stacks.values():
                stack.restart(list(begins))
        self._codes.begin(slot)
        usual = [lane for lane in lanes if lane not in finals] if finals else lanes
        self._encode_observations(slot, rows.observations, usual)
        if self._encode_frames is not None:
            self._encode_frames(slot, rows.frames, lanes)
        if self._encode_infos is not None:
            self._encode_infos(slot, rows.infos, usual)
        for lane, (observation, info) in finals.items() if finals else ():
            self._put_final(slot, lane, observation, info)
        if self._times is not None:
            self._times[slot] = (monotonic_ns() if time_ns is None else time_ns) - self._began_ns
        begun = [pack_begin(begin, lane) for lane, begin in begins.items() if begin is not None] if begins else ()
        self._publish(slot, flags, lanes, b"".join(begun))

    def _put_final(self, slot: int, lane: int, observation: Any, info: Any) -> None:
        self._lane_encoder(self.schema.observation, lane)(slot, observation)
        if self.schema.infos is not None:
            keep = self._unslotted.of(lane).keep_other_infos
            make_dict_encoder(self.schema.infos, self._ring(lane), keep)(slot, info)

    def _next_slot(self) -> int:
        if self._head >= self._limit:
            self._limit = self._session.make_room()
        return self._head & self._mask

    def _publish(self, slot: int, flags: np.ndarray, lanes: Sequence[int], segments: bytes) -> None:
        """Count the tick in ``slot``. A crash before this leaves no trace of its rows."""
        if segments or self._unslotted.is_any:
            slot = self._write_segments(slot, segments)
        self._flags[slot] = flags
        self._blob_ends[slot] = self._blob_head
        is_whole = len(lanes) == self._num_lanes
        if is_whole:
            self._newest[:] = self._head
            np.less(flags, _LAST, out=self._is_running)
        else:
            self._newest[lanes] = self._head
            self._is_running[lanes] = flags[lanes] < _LAST
        self._head += 1
        self._control[_HEAD] = self._head
        self._is_unfinished = False
        if is_whole:
            self._open_slots = [slot]
        else:
            self._find_open_slots()

    def _find_open_slots(self) -> None:
        """The slots of the newest rows that wait for their step: one, unless some lanes have been reset since."""
        self._open_slots = [tick & self._mask for tick in np.unique(self._newest[self._is_running]).tolist()]

    def _lanes_in(self, slot: int, lanes: Sequence[int]) -> Sequence[int]:
        """Those of the lanes whose newest row is in a slot."""
        if len(self._open_slots) == 1:
            return lanes
        return [lane for lane in lanes if int(self._newest[lane]) & self._mask == slot]

    # What has no slot ---------------------------------------------------------------------------------

    def _write_segments(self, slot: int, segments: bytes) -> int:
        data = segments + self._unslotted.pack(self._numbers)
        self._unslotted.clear()
        if self._blob_head + len(data) > self._blob_limit:
            self._blob_limit = self._session.make_blob_room(len(data))
            if self._session.journal is not self._journal:  # replaced by a larger one
                self._bind()
                slot = self._head & self._mask
        self._journal.write_blob(self._blob_head, data)
        self._blob_head += len(data)
        return slot

    # The journal ----------------------------------------------------------------------------------

    def _lane_encoder(self, node: nodes.Node, lane: int) -> Encoder:
        """The encoder of one node for one lane; made when it is first needed."""
        unslotted, encoder = self._unslotted.of(lane), self._encoders.get((node.name, lane))
        if encoder is None:
            of_step = node.name in self._step_names
            keep = unslotted.keep_step_value if of_step else unslotted.keep_row_value
            segments = (unslotted.step if of_step else unslotted.row).segments
            encoder = self._encoders[node.name, lane] = make_encoder(node, self._ring(lane), keep, segments)
        return encoder

    def _ring(self, lane: int) -> Ring:
        unslotted = self._unslotted.of(lane)
        stacks = {name: StackOfLane(each, lane) for name, each in self._stacks.items()}
        return Ring(self._journal, self.schema, unslotted.note_foreign, unslotted.note_inexact, stacks, lane)

    def _bind(self) -> None:
        """Bind what the hot path uses of the session's journal, so that a step looks nothing up."""
        journal, schema = self._session.journal, self.schema
        self._journal, self._control, self._mask = journal, journal.control, journal.mask
        self._flags, self._blob_ends = journal.columns[FLAGS], journal.columns[BLOB_ENDS].data
        self._blob_head = journal.blob_head
        self._blob_limit = journal.control[Control.BLOB_TAIL] + journal.blob_bytes
        self._limit = journal.control[Control.TAIL] + journal.usable_rows
        self._encoders: dict[tuple[str, int], Encoder] = {}
        self._step_names = {node.name for node in schema.coded[: schema.num_step_codes]}
        columns, codes = journal.columns, LaneCodes(journal, schema)
        self._codes = codes
        for stack in self._stacks.values():
            stack.bind(columns, codes)
        observation_space, action_space = self._spaces

        def encoder(node: nodes.Node, space: Space[Any] | None) -> Any:
            return make_batch_encoder(node, space, columns, codes, self._lane_encoder, self._stacks)

        self._encode_observations = encoder(schema.observation, observation_space)
        self._encode_actions = encoder(schema.action, action_space)
        self._encode_rewards = encoder(schema.node(fmt.REWARDS), None)
        self._encode_terminations = encoder(schema.node(fmt.TERMINATIONS), None)
        self._encode_truncations = encoder(schema.node(fmt.TRUNCATIONS), None)
        self._encode_frames = None if schema.frame is None else encoder(schema.frame, None)
        self._encode_infos: BatchEncoder | None = None
        if schema.infos is not None:
            self._encode_infos = make_keys_encoder(schema.infos, columns, codes, self._unslotted.keep_infos)
        self._encode_extras = make_keys_encoder(schema.extras or (), columns, codes, self._unslotted.keep_extras)
        self._has_extra_columns = bool(schema.extras)
        self._times = journal.columns[fmt.TIMES] if schema.times else None
        self._began_ns = self._session.began_ns
        self._find_open_slots()


class _ReleasedLaneRowWriter(LaneRowWriter):
    """A lane row writer after ``release``, also in a thread that is in the middle of a method."""

    def __getattr__(self, name: str) -> Any:
        raise RecordingClosedError("the recording has been closed: nothing is recorded any more.")

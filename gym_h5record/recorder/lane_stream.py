"""The episodes of a vector environment, from its first values to ticks of a session: ``episode_stream`` for lanes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format.column_planning import plan_columns, plan_keys
from gym_h5record.notices import warn
from gym_h5record.recorder.ending import EndingStream
from gym_h5record.recorder.episode_stream import EpisodeStream, array_bytes, kept_copy
from gym_h5record.recorder.recorded_env import RecordedEnv
from gym_h5record.values.lane_values import lane_info, lane_value
from gym_h5record.writing.batch_rows import BatchRows
from gym_h5record.writing.deferred_signals import signals_held
from gym_h5record.writing.lane_row_writer import LaneRowWriter
from gym_h5record.writing.session import Session

__all__ = ["LaneStream", "VectorStep"]

Begins = Mapping[int, Mapping[str, Any] | None]


class VectorStep(NamedTuple):
    """What a step of a vector environment is recorded as.

    Attributes:
        rewards: The rewards.
        terminations: ``(lanes,)`` bool.
        truncations: ``(lanes,)`` bool.
        rows: The observations that the steps led to, with infos and frames.
        flags: The ``RowFlag`` of each row, ``(lanes,)`` uint8.
        stepped: The lanes that took a step; others were reset instead, or are not recorded.
        present: The lanes that have a row; None for all.
        finals: Observation and info of the lanes that were reset since their step.
        begins: How the episodes of rows with ``RowFlag.FIRST`` began.
    """

    rewards: Any
    terminations: Any
    truncations: Any
    rows: BatchRows
    flags: np.ndarray
    stepped: Sequence[int]
    present: Sequence[int] | None
    finals: Mapping[int, tuple[Any, Any]]
    begins: Begins


class LaneStream(EndingStream[LaneRowWriter]):
    """The episodes of the lanes of a vector environment on their way into a session, which the first reset opens.

    The columns are fixed by the first rows and the first step (``docs/decisions/0001``). Until that step the first rows
    wait here, as copies.

    Args:
        session: The recording.
        recorded: The facts about the environment.
        num_lanes: How many lanes are recorded.
    """

    def __init__(self, session: Session, recorded: RecordedEnv, num_lanes: int) -> None:
        super().__init__(session)
        self._recorded = recorded
        self._num_lanes = num_lanes
        self._single = EpisodeStream(session, recorded)  # checks whether the environment may be appended
        self._first: _FirstRows | None = None

    @property
    def has_first_rows(self) -> bool:
        """Whether the first rows wait for the first step."""
        return self._first is not None

    def open(self) -> None:
        """Open the session, if it is not open; check that this environment may be appended to its recording."""
        self._single.open()

    def begin_episodes(self, rows: BatchRows, begins: Begins) -> None:
        """Begin an episode in the lanes that ``begins`` names."""
        self.record_waiting()  # they still wait if no step was taken since the last reset
        if self.rows is not None:
            self.rows.begin_episodes(rows, begins)
            return
        self.open()
        header_bytes = 2 * len(json.dumps(dict(self._recorded.attributes))) + (64 << 10)
        self.session.reserve(array_bytes((rows.observations, rows.frames), set()), header_bytes)
        kept = BatchRows(kept_copy(rows.observations), kept_copy(rows.infos), kept_copy(rows.frames))
        self._first = _FirstRows(kept, dict(begins), time.monotonic_ns())

    def put_first_step(self, actions: Any, extras: dict[str, Any], step: VectorStep) -> None:
        """Fix the columns by the first rows and the first step, and record both."""
        rows = self._lay_out((actions, extras, step))
        rows.put_actions(actions, extras, step.stepped)
        self.put_step(step)

    def put_step(self, step: VectorStep) -> None:
        """Record a step whose actions have been recorded."""
        rows = self.rows
        if rows is None:
            self.session.check_not_closing()
            return
        rows.put_step(
            *(step.rewards, step.terminations, step.truncations, step.rows, step.flags, step.stepped),
            present=step.present,
            finals=step.finals,
            begins=step.begins,
        )

    def record_waiting(self) -> None:
        """Record the first rows without a step, if they still wait."""
        if self._first is not None:
            self._lay_out(None)

    def drop_waiting(self) -> None:
        """See ``EndingStream``."""
        self._first = None

    def _lay_out(self, step: tuple[Any, dict[str, Any], VectorStep] | None) -> LaneRowWriter:
        session, recorded = self.session, self._recorded
        first, self._first = self._first, None
        if first is None:
            raise RuntimeError("there are no first rows")
        schema = self._schema(first, step)
        with session.kept_open(), signals_held():  # an interrupt between the two lines would lose ``rows``
            session.lay_out(schema, recorded.fps, {**recorded.attributes, "created_at": session.began_at})
            schema = schema if session.existing is None else session.existing.schema
            rows = self.rows = LaneRowWriter(session, schema, recorded.spaces)
        rows.begin_episodes(first.rows, first.begins, first.time_ns)
        return rows

    def _schema(self, first: _FirstRows, step: tuple[Any, dict[str, Any], VectorStep] | None) -> Any:
        """Plan the columns by the values of the first lane, and by the infos of all lanes."""
        spaces, num_lanes = self._recorded.spaces, self._num_lanes
        lane = min(first.begins)
        values = (
            lane_value(spaces[0], first.rows.observations, lane),
            _info(first.rows.infos, lane, num_lanes),
            None if first.rows.frames is None else first.rows.frames[lane],
        )
        dicts = [_info(first.rows.infos, each, num_lanes) for each in range(num_lanes)]
        first_step = None
        if step is not None:
            actions, extras, result = step
            dicts += [_info(result.rows.infos, each, num_lanes) for each in range(num_lanes)]
            dicts += [info for _, info in result.finals.values()]
            first_step = (
                lane_value(spaces[1], actions, lane),
                {key: values[lane] for key, values in extras.items()},
                lane_value(spaces[0], result.rows.observations, lane),
                result.rewards[lane],
                _info(result.rows.infos, lane, num_lanes),
            )
        schema = plan_columns(
            *(values, spaces, self._recorded.frames, first_step),
            infos=self._recorded.infos,
            times=self._recorded.times,
            warn=warn,
        )
        infos = None
        if self._recorded.infos:
            infos = plan_keys(fmt.INFOS, [each for each in dicts if type(each) is dict])
        return replace(schema, infos=infos, num_envs=num_lanes)


def _info(infos: Any, lane: int, num_lanes: int) -> Any:
    return lane_info(infos, lane, num_lanes) if type(infos) is dict else infos


@dataclass(frozen=True)
class _FirstRows:
    """The first rows of a recording, while they wait for the first step."""

    rows: BatchRows
    begins: dict[int, Mapping[str, Any] | None]
    time_ns: int

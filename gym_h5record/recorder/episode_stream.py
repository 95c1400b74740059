"""The episodes of one environment, from its first values to rows of a session.

The wrapper decides what is recorded and when an episode begins; an ``EpisodeStream`` turns that into columns and rows.
Gymnasium's interface, triggers and ``on_error`` belong to ``gym_h5record.recorder.wrapper``.
"""

from __future__ import annotations

import copy
import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format.column_planning import plan_columns
from gym_h5record.format.names import NUMPY_SCALARS, Origin
from gym_h5record.limits import MAX_DEPTH
from gym_h5record.notices import warn
from gym_h5record.recorder.append_check import check_same
from gym_h5record.recorder.ending import EndingStream
from gym_h5record.recorder.recorded_env import RecordedEnv
from gym_h5record.values.tagged_json import no_exact_form, tag_anything, untag
from gym_h5record.writing.deferred_signals import signals_held
from gym_h5record.writing.options import Existing
from gym_h5record.writing.row_writer import RowWriter, begin_json
from gym_h5record.writing.session import Session

__all__ = ["IMMUTABLE", "EpisodeStream", "array_bytes", "kept_copy", "warn_of_repr"]

IMMUTABLE = frozenset({int, float, bool, str, bytes, type(None), *NUMPY_SCALARS})
"""Types whose values need no copy to be kept."""


class EpisodeStream(EndingStream[RowWriter]):
    """The episodes of one environment on their way into a session, which the first of them opens.

    The columns are fixed by the first row and the first step (``docs/decisions/0001``). Until that step the first row
    waits here, as a copy. Every method may raise the errors of ``Session``; all but ``close``, ``abandon`` and
    ``release`` raise ``RecordingClosedError`` once the session is closing.

    Args:
        session: The recording; it may serve other streams too.
        recorded: The facts about the environment.

    Attributes:
        recorded: The facts about the environment; may be replaced before the first episode.
    """

    def __init__(self, session: Session, recorded: RecordedEnv) -> None:
        super().__init__(session)
        self.recorded = recorded
        self._first_row: _FirstRow | None = None

    @property
    def has_first_row(self) -> bool:
        """Whether the first row waits for the first step."""
        return self._first_row is not None

    def open(self) -> None:
        """Open the session, if it is not open; check that this environment may be appended to its recording."""
        self.session.open(self._check_append)

    def begin_episode(
        self, observation: Any, info: Any, frame: Any, begin: dict[str, Any], time_ns: int | None = None
    ) -> RowWriter | None:
        """Begin an episode.

        Args:
            observation: The first observation.
            info: The info that came with it.
            frame: The rendered picture, None if there are none.
            begin: How the episode began, from ``begin_json``.
            time_ns: When it began, on the monotonic clock; None for now.

        Returns:
            The writer for its steps; None if its first step goes to ``record_first_step``.
        """
        self.lay_out_first_row()  # one still waits if the last episode had no step
        rows = self.rows
        if rows is not None:
            rows.begin_episode(observation, info, frame, begin, time_ns)
            return rows
        self.open()
        header_bytes = 2 * len(json.dumps(dict(self.recorded.attributes))) + (64 << 10)
        self.session.reserve(array_bytes((observation, frame), set()), header_bytes)
        # Environments reuse their buffers, so the row is kept as a copy.
        inexact: list[object] = []
        kept_info = untag(tag_anything(info, on_repr=inexact.append))
        time_ns = time.monotonic_ns() if time_ns is None else time_ns
        self._first_row = _FirstRow(kept_copy(observation), kept_info, kept_copy(frame), begin, time_ns, inexact)
        return None

    def record_first_step(
        self,
        action: Any,
        extras: dict[str, Any],
        result: tuple[Any, Any, Any, Any, Any],
        frame: Any,
        time_ns: int | None = None,
    ) -> RowWriter:
        """Fix the columns by the first row and the first step, and record both; the step alone if the row is recorded.

        Args:
            action: The action of the step.
            extras: What the agent adds to the step.
            result: What ``env.step`` returned.
            frame: The rendered picture after the step.
            time_ns: When the step returned, on the monotonic clock; None for now.
        """
        self.session.check_not_closing()
        first, rows = self._first_row, self.rows
        observation, reward, terminated, truncated, info = result
        if first is not None:
            rows = self._lay_out(first, (action, extras, observation, reward, info))
        if rows is None:
            raise RuntimeError("there is no first row")
        rows.put_action(action, extras)
        rows.put_step(observation, reward, terminated, truncated, info, frame, time_ns)
        return rows

    def lay_out_first_row(self) -> RowWriter | None:
        """Record the first row without a step, if it still waits.

        Returns:
            The writer it went to, None if no row waited.
        """
        return None if self._first_row is None else self._lay_out(self._first_row, None)

    def step_on(self, episode_id: int, origin: Origin = Origin.AFTER_DONE) -> RowWriter | None:
        """Begin an episode with the newest row: the agent steps on after the end of the last episode.

        Args:
            episode_id: Number of the last reset.
            origin: How the episode begins. Where the last one is discarded, it continues none of the file.

        Returns:
            The writer for its steps, None if there is no row yet.
        """
        rows = self.rows
        if rows is not None and self._first_row is None:
            rows.repeat_last_row(begin_json(None, None, origin, episode_id))
            return rows
        self.session.check_not_closing()
        return None

    def discard_episode(self) -> None:
        """Forget the newest episode."""
        if self._first_row is not None:
            self._first_row = None  # nothing of it has been written
        elif self.rows is not None:
            self.rows.discard_episode()

    def record_waiting(self) -> None:
        """See ``EndingStream``."""
        self.lay_out_first_row()

    def drop_waiting(self) -> None:
        """See ``EndingStream``."""
        self._first_row = None

    def _check_append(self, existing: Existing) -> None:
        recorded, path = self.recorded, self.session.options.path
        check_same(
            existing.schema,
            existing.metadata,
            recorded.attributes,
            path,
            cameras=recorded.cameras,
            infos=recorded.infos,
            times=recorded.times,
        )
        if recorded.has_user_metadata:
            warn(f"{path} keeps the metadata it began with; the new metadata is not recorded.")
        if existing.metadata.get("env_spec") != recorded.attributes["env_spec"]:
            warn(
                f"{path} keeps the env_spec it began with; this environment has another one. "
                "To re-simulate the appended episodes, pass an environment made like this one."
            )

    def _lay_out(self, first: _FirstRow, step: tuple[Any, Any, Any, Any, Any] | None) -> RowWriter:
        """Fix the columns by the first values, and write the first row."""
        session, recorded = self.session, self.recorded
        self._first_row = None
        schema = plan_columns(
            (first.observation, first.info, first.frame),
            recorded.spaces,
            recorded.frames,
            step,
            infos=recorded.infos,
            times=recorded.times,
            warn=warn,
        )
        with session.kept_open(), signals_held():  # an interrupt between the two lines would lose ``rows``
            session.lay_out(schema, recorded.fps, {**recorded.attributes, "created_at": session.began_at})
            rows = self.rows = RowWriter(session, schema if session.existing is None else session.existing.schema)
        rows.begin_episode(first.observation, first.info, first.frame, first.begin, first.time_ns)
        for part in first.inexact:
            rows.note_inexact(fmt.INFOS, part)
        return rows


def kept_copy(value: Any) -> Any:
    """A copy of a value that the environment or its agent may change later."""
    if type(value) in IMMUTABLE:
        return value
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001  # the value's own code may raise anything; a tensor in a gradient raises
        return untag(tag_anything(value, on_repr=warn_of_repr))


def warn_of_repr(part: object) -> None:
    """Warn the user of an object that has no exact form in the file."""
    warn(no_exact_form(part))


@dataclass(frozen=True)
class _FirstRow:
    """The first row of a recording, while it waits for the first step."""

    observation: Any
    info: Any
    frame: Any
    begin: dict[str, Any]
    time_ns: int
    inexact: list[object]  # parts of the info without an exact form


def array_bytes(value: Any, seen: set[int], levels: int = MAX_DEPTH) -> int:
    """Bytes of the arrays in a value, to size the journal.

    A value may contain itself: every dict, tuple and list counts once, and is noted in ``seen``.
    """
    if isinstance(value, np.ndarray):
        return value.nbytes
    if levels and isinstance(value, (dict, tuple, list)) and id(value) not in seen:
        seen.add(id(value))
        values = value.values() if isinstance(value, dict) else value
        return sum(array_bytes(each, seen, levels - 1) for each in values)
    return 8

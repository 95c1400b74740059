"""The episodes of one environment, from its first values to rows of a session.

The wrapper decides what is recorded, and when an episode begins; an ``EpisodeStream`` turns
that into columns and rows. Gymnasium's interface, triggers and what to do about a failure
belong to ``gym_h5record.recorder.wrapper``.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Space

from gym_h5record.errors import RecordingWarning
from gym_h5record.format.names import Origin
from gym_h5record.format.planning import plan_columns
from gym_h5record.recorder.append_check import check_same
from gym_h5record.values.tagged_json import no_exact_form, tag, untag
from gym_h5record.writing.deferred_signals import signals_held
from gym_h5record.writing.index_writer import begin_json
from gym_h5record.writing.options import Existing
from gym_h5record.writing.row_writer import RowWriter
from gym_h5record.writing.session import Session

__all__ = ["EpisodeStream", "FirstRow", "RecordedEnv", "array_bytes", "kept_copy", "warn", "warn_of_repr"]


@dataclass(frozen=True)
class RecordedEnv:
    """What is recorded.

    Attributes:
        attributes: Text attributes of ``/metadata``.
        spaces: The observation and the action space.
        fps: Frames per second to play it with, NaN if unknown.
        frames: Kind of the frame source.
        infos: Whether infos are recorded.
        has_user_metadata: Whether some of the attributes are the user's own.
    """

    attributes: Mapping[str, str]
    spaces: tuple[Space[Any], Space[Any]]
    fps: float
    frames: str
    infos: bool
    has_user_metadata: bool


class EpisodeStream:
    """The episodes of one environment on their way into a session. The file is opened with the first one.

    Columns are fixed when the first step has shown what steps look like (``docs/decisions/0001``). Until then the
    first row waits here, as a copy. Every method may raise what ``Session`` raises; all but ``close``, ``abandon`` and
    ``release`` raise ``RecordingClosedError`` once the session is closing.

    Args:
        session: The recording; it may serve other streams too.
        recorded: What is recorded.

    Attributes:
        session: The recording.
        rows: Takes rows, None until a step has shown what the columns are, and after ``release``.
    """

    def __init__(self, session: Session, recorded: RecordedEnv) -> None:
        self.session = session
        self._recorded = recorded
        self._first_row: FirstRow | None = None
        self.rows: RowWriter | None = None

    @property
    def has_first_row(self) -> bool:
        """Whether a first row waits for the step that shows what the columns are."""
        return self._first_row is not None

    def open(self) -> None:
        """Open the session, if it is not open; check that this environment may be appended to its recording."""
        self.session.open(self._check_append)

    def begin_episode(self, observation: Any, info: Any, frame: Any, begin: dict[str, Any]) -> RowWriter | None:
        """Begin an episode.

        Args:
            observation: The first observation.
            info: The info that came with it.
            frame: The rendered picture, None if there are none.
            begin: What ``begin_json`` gives.

        Returns:
            Where its steps go, None if the first of them is to go to ``record_first_step``.
        """
        self.lay_out_first_row()  # left over if the last episode had no step
        rows = self.rows
        if rows is not None:
            rows.begin_episode(observation, info, frame, begin)
            return rows
        self.open()
        header_bytes = 2 * len(json.dumps(dict(self._recorded.attributes))) + (64 << 10)
        self.session.reserve(array_bytes(observation) + array_bytes(frame), header_bytes)
        # Environments reuse their buffers, so the row is kept as a copy.
        kept_info = untag(tag(info, on_repr=warn_of_repr))
        self._first_row = FirstRow(kept_copy(observation), kept_info, copy.deepcopy(frame), begin)
        return None

    def record_first_step(self, action: Any, result: tuple[Any, Any, Any, Any, Any], frame: Any) -> RowWriter:
        """Lay out the columns by the first row and the step that has followed it, and record both.

        Args:
            action: What the step was given.
            result: What it gave.
            frame: The rendered picture after it.
        """
        self.session.check_not_closing()
        if self._first_row is None:
            raise RuntimeError("there is no first row")
        observation, reward, terminated, truncated, info = result
        rows = self._lay_out(self._first_row, (action, info))
        rows.put_action(action)
        rows.put_step(observation, reward, terminated, truncated, info, frame)
        return rows

    def lay_out_first_row(self) -> RowWriter | None:
        """Record the first row, if there is one, although no step has followed it.

        Returns:
            Where it went, None if there was none.
        """
        return None if self._first_row is None else self._lay_out(self._first_row, None)

    def step_on(self, episode_id: int) -> RowWriter | None:
        """Begin an episode with the newest row: the agent steps on after the end.

        Returns:
            Where its steps go, None if there is no row yet.
        """
        rows = self.rows
        if rows is not None and self._first_row is None:
            rows.repeat_last_row(begin_json(None, None, Origin.AFTER_DONE, episode_id))
            return rows
        self.session.check_not_closing()
        return None

    def close(self) -> None:
        """Record a first row that no step has followed, and complete the file. May be called again."""
        try:
            if self.session.is_open:
                self.lay_out_first_row()
        finally:
            self.session.begin_closing()
            self.release()
            self.session.close()

    def abandon(self) -> None:
        """Let go of the file without touching it: called in a forked child."""
        self.session.abandon()
        self.release()

    def release(self) -> None:
        """Let go of the rows: a thread that still records gets ``RecordingClosedError``."""
        if self.rows is not None:
            self.rows.release()
        self.rows = self._first_row = None

    def _check_append(self, existing: Existing) -> None:
        recorded, path = self._recorded, self.session.options.path
        check_same(existing.schema, existing.metadata, recorded.attributes, path, infos=recorded.infos)
        if recorded.has_user_metadata:
            warn(f"{path} keeps the metadata it began with; the one given is not recorded.")
        if existing.metadata.get("env_spec") != recorded.attributes["env_spec"]:
            warn(
                f"{path} keeps the env_spec it began with; this environment has another one. "
                "To simulate the episodes that are appended again, pass an environment made like this one."
            )

    def _lay_out(self, first: FirstRow, step: tuple[Any, Any] | None) -> RowWriter:
        """Fix the columns by the first values seen, and write the first row."""
        session, recorded = self.session, self._recorded
        self._first_row = None
        schema = plan_columns(
            (first.observation, first.info, first.frame),
            recorded.spaces,
            recorded.frames,
            step,
            infos=recorded.infos,
            warn=warn,
        )
        with session.kept_open(), signals_held():  # an interrupt between the two lines would lose the columns
            session.lay_out(schema, recorded.fps, recorded.attributes)
            rows = self.rows = RowWriter(session, schema if session.existing is None else session.existing.schema)
        rows.begin_episode(first.observation, first.info, first.frame, first.begin)
        return rows


def kept_copy(value: Any) -> Any:
    """A copy of a value that the environment or its agent may change later."""
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001  # the value's own code refuses, as a tensor that is part of a gradient does
        return untag(tag(value, on_repr=warn_of_repr))


def warn(message: str) -> None:
    """Warn the user."""
    warnings.warn(message, RecordingWarning, stacklevel=2)


def warn_of_repr(part: object) -> None:
    """Warn the user of an object that has no exact form in the file."""
    warn(no_exact_form(part))


@dataclass(frozen=True)
class FirstRow:
    """The first row of a recording, until a step has followed it."""

    observation: Any
    info: Any
    frame: Any
    begin: dict[str, Any]


def array_bytes(value: Any) -> int:
    """Bytes of the arrays in a value, to size the journal."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(array_bytes, value.values()))
    if isinstance(value, (tuple, list)):
        return sum(map(array_bytes, value))
    return 8

"""One recording being made: from the first values of an environment to the complete file.

The wrapper decides what is recorded, and when an episode begins; a tape turns
that into a session, columns and rows. Gymnasium's interface, triggers and what
to do about a failure are not its business.
"""

from __future__ import annotations

import copy
import json
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
from gymnasium import Space

from gym_h5record.errors import RecordingClosedError, RecordingWarning
from gym_h5record.format.names import Origin
from gym_h5record.format.planning import plan_columns
from gym_h5record.recorder.append_check import check_same
from gym_h5record.values.tagged_json import no_exact_form, tag, untag
from gym_h5record.writing.deferred_signals import signals_held
from gym_h5record.writing.index_writer import begin_json
from gym_h5record.writing.options import Options
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
    """Where the rows of a recorder go. The file is opened with the first episode.

    Every method may raise what ``Session`` raises, and all but ``close`` and ``abandon``
    raise ``RecordingClosedError`` once one of those two has been called: at the end of a
    program its main thread closes what another may still be recording.

    Args:
        options: How to record.
        subject: What is recorded.

    Attributes:
        rows: Takes rows, None until a step has shown what the columns are.
    """

    def __init__(self, options: Options, subject: RecordedEnv) -> None:
        self._options = options
        self._subject = subject
        self._session: Session | None = None
        self._first_row: FirstRow | None = None
        self.rows: RowWriter | None = None
        self._is_over = False
        self._laying_out = threading.RLock()  # against being closed meanwhile

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` has done its work."""
        return self._is_over and (self._session is None or self._session.is_closed)

    @property
    def has_first_row(self) -> bool:
        """Whether a first row waits for the step that shows what the columns are."""
        return self._first_row is not None

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
        self._check_open()  # now that there are no rows: whoever closes says so before letting go of them
        if self._session is None:
            self._session = self._opened(array_bytes(observation) + array_bytes(frame))
            if self._is_over:  # closed by another thread, which knew nothing of the session
                self._session.close()
                self._check_open()
        # Environments reuse their buffers: what is kept until the first step is kept as a copy.
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
        self._check_open()
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
        self._check_open()
        return None

    def tick(self) -> None:
        """Notice a writer that has failed although no row is written, if it is time to look."""
        self._check_open()
        if self._session is not None and monotonic() >= self._session.due_s:
            self._session.tick()

    def flush(self) -> None:
        """Return once every row so far is committed in the file."""
        self._check_open()
        if self._session is not None:
            self._session.flush()

    def close(self) -> None:
        """Complete the file. May be called again; after an interrupt, that goes on where it was."""
        try:
            self.lay_out_first_row()
        finally:
            self._release()
            if self._session is not None:
                self._session.close()

    def abandon(self) -> None:
        """Let go of the file without touching it: called in a forked child."""
        self._laying_out = threading.RLock()  # a thread that holds the other one is not in this process
        session, self._session = self._session, None
        if session is not None:
            session.abandon()
        self._release()

    def _check_open(self) -> None:
        if self._is_over:
            raise RecordingClosedError(f"{self._options.path} has been closed: nothing is recorded any more.")

    def _release(self) -> None:
        with self._laying_out:
            self._is_over = True
            if self.rows is not None:
                self.rows.release()
            self.rows = self._first_row = None

    def _opened(self, row_bytes: int) -> Session:
        attributes, path = self._subject.attributes, self._options.path
        session = Session(self._options, row_bytes, header_bytes=2 * len(json.dumps(dict(attributes))) + (64 << 10))
        if session.existing is not None:
            existing = session.existing
            try:
                check_same(existing.schema, existing.metadata, attributes, path, infos=self._subject.infos)
                if self._subject.has_user_metadata:
                    warn(f"{path} keeps the metadata it began with; the one given is not recorded.")
                if existing.metadata.get("env_spec") != attributes["env_spec"]:
                    warn(
                        f"{path} keeps the env_spec it began with; this environment has another one. "
                        "To simulate the episodes that are appended again, pass an environment made like this one."
                    )
            except BaseException:  # whatever it is: the lock and the journal must not be left
                session.close()
                raise
        return session

    def _lay_out(self, first: FirstRow, step: tuple[Any, Any] | None) -> RowWriter:
        """Fix the columns by the first values seen, and write the first row."""
        session, subject = self._session, self._subject
        if session is None:
            raise RuntimeError("a first row without a session")
        self._first_row = None
        schema = plan_columns(
            (first.observation, first.info, first.frame),
            subject.spaces,
            subject.frames,
            step,
            infos=subject.infos,
            warn=warn,
        )
        with self._laying_out, signals_held():  # it is done once
            self._check_open()
            session.lay_out(schema, subject.fps, subject.attributes)
            rows = self.rows = RowWriter(session, schema if session.existing is None else session.existing.schema)
        rows.begin_episode(first.observation, first.info, first.frame, first.begin)
        return rows


def kept_copy(value: Any) -> Any:
    """A copy of what an environment or its agent goes on with."""
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001  # its own code says no, as arrays do that are part of a gradient
        return untag(tag(value, on_repr=warn_of_repr))


def warn(message: str) -> None:
    """Tell the user."""
    warnings.warn(message, RecordingWarning, stacklevel=2)


def warn_of_repr(part: object) -> None:
    """Tell the user of an object that has no exact form in the file."""
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

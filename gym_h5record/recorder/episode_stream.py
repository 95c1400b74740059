"""The episodes of one environment, from its first values to rows of a session.

The wrapper decides what is recorded and when an episode begins; an ``EpisodeStream`` turns that into columns and rows.
Gymnasium's interface, triggers and ``on_error`` belong to ``gym_h5record.recorder.wrapper``.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import Space

from gym_h5record.errors import RecordingWarning
from gym_h5record.format.column_planning import plan_columns
from gym_h5record.format.names import Origin
from gym_h5record.recorder.append_check import check_same
from gym_h5record.recorder.provenance import describe_environment, frames_per_second, user_metadata
from gym_h5record.values.tagged_json import no_exact_form, tag, untag
from gym_h5record.writing.deferred_signals import signals_held
from gym_h5record.writing.options import Existing
from gym_h5record.writing.row_writer import RowWriter, begin_json
from gym_h5record.writing.session import Session

__all__ = ["EpisodeStream", "RecordedEnv", "describe_recorded", "kept_copy", "warn", "warn_of_repr"]


@dataclass(frozen=True)
class RecordedEnv:
    """The facts about an environment that its recording needs.

    Attributes:
        attributes: Text attributes of ``/metadata``.
        spaces: The observation and the action space.
        fps: Frames per second, NaN if unknown.
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
    """The episodes of one environment on their way into a session, which the first of them opens.

    The columns are fixed by the first row and the first step (``docs/decisions/0001``). Until that step the first row
    waits here, as a copy. Every method may raise the errors of ``Session``; all but ``close``, ``abandon`` and
    ``release`` raise ``RecordingClosedError`` once the session is closing.

    Args:
        session: The recording; it may serve other streams too.
        recorded: The facts about the environment.

    Attributes:
        session: The recording.
        rows: Takes rows. None before the columns are fixed, and after ``release``.
    """

    def __init__(self, session: Session, recorded: RecordedEnv) -> None:
        self.session = session
        self._recorded = recorded
        self._first_row: _FirstRow | None = None
        self.rows: RowWriter | None = None

    @property
    def has_first_row(self) -> bool:
        """Whether the first row waits for the first step."""
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
            begin: How the episode began, from ``begin_json``.

        Returns:
            The writer for its steps; None if its first step goes to ``record_first_step``.
        """
        self.lay_out_first_row()  # one still waits if the last episode had no step
        rows = self.rows
        if rows is not None:
            rows.begin_episode(observation, info, frame, begin)
            return rows
        self.open()
        header_bytes = 2 * len(json.dumps(dict(self._recorded.attributes))) + (64 << 10)
        self.session.reserve(_array_bytes(observation) + _array_bytes(frame), header_bytes)
        # Environments reuse their buffers, so the row is kept as a copy.
        kept_info = untag(tag(info, on_repr=warn_of_repr))
        self._first_row = _FirstRow(kept_copy(observation), kept_info, copy.deepcopy(frame), begin)
        return None

    def record_first_step(self, action: Any, result: tuple[Any, Any, Any, Any, Any], frame: Any) -> RowWriter:
        """Fix the columns by the first row and the first step, and record both.

        Args:
            action: The action of the step.
            result: What ``env.step`` returned.
            frame: The rendered picture after the step.
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
        """Record the first row without a step, if it still waits.

        Returns:
            The writer it went to, None if no row waited.
        """
        return None if self._first_row is None else self._lay_out(self._first_row, None)

    def step_on(self, episode_id: int) -> RowWriter | None:
        """Begin an episode with the newest row: the agent steps on after the end of the last episode.

        Returns:
            The writer for its steps, None if there is no row yet.
        """
        rows = self.rows
        if rows is not None and self._first_row is None:
            rows.repeat_last_row(begin_json(None, None, Origin.AFTER_DONE, episode_id))
            return rows
        self.session.check_not_closing()
        return None

    def close(self) -> None:
        """Record the first row if it still waits, and complete the file. May be called again."""
        try:
            if self.session.is_open:
                self.lay_out_first_row()
        finally:
            self.session.begin_closing()
            self.release()
            self.session.close()

    def abandon(self) -> None:
        """Drop the session without touching its files: a forked child shares them with its parent."""
        self.session.abandon()
        self.release()

    def release(self) -> None:
        """Drop the writer of rows. A thread that still records gets ``RecordingClosedError``."""
        if self.rows is not None:
            self.rows.release()
        self.rows = self._first_row = None

    def _check_append(self, existing: Existing) -> None:
        recorded, path = self._recorded, self.session.options.path
        check_same(existing.schema, existing.metadata, recorded.attributes, path, infos=recorded.infos)
        if recorded.has_user_metadata:
            warn(f"{path} keeps the metadata it began with; the new metadata is not recorded.")
        if existing.metadata.get("env_spec") != recorded.attributes["env_spec"]:
            warn(
                f"{path} keeps the env_spec it began with; this environment has another one. "
                "To re-simulate the appended episodes, pass an environment made like this one."
            )

    def _lay_out(self, first: _FirstRow, step: tuple[Any, Any] | None) -> RowWriter:
        """Fix the columns by the first values, and write the first row."""
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
        with session.kept_open(), signals_held():  # an interrupt between the two lines would lose ``rows``
            session.lay_out(schema, recorded.fps, recorded.attributes)
            rows = self.rows = RowWriter(session, schema if session.existing is None else session.existing.schema)
        rows.begin_episode(first.observation, first.info, first.frame, first.begin)
        return rows


def kept_copy(value: Any) -> Any:
    """A copy of a value that the environment or its agent may change later."""
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001  # the value's own code may raise anything; a tensor in a gradient raises
        return untag(tag(value, on_repr=warn_of_repr))


def warn(message: str) -> None:
    """Warn the user."""
    warnings.warn(message, RecordingWarning, stacklevel=2)


def warn_of_repr(part: object) -> None:
    """Warn the user of an object that has no exact form in the file."""
    warn(no_exact_form(part))


def describe_recorded(
    env: gym.Env[Any, Any], frames: str, metadata: Mapping[str, Any] | None, *, infos: bool
) -> RecordedEnv:
    """Gather the facts about an environment that its recording needs.

    Args:
        env: The environment inside the recorder.
        frames: Kind of the frame source.
        metadata: The user's metadata.
        infos: Whether infos are recorded.

    Raises:
        MetadataError: If the user's metadata cannot be stored.
    """
    return RecordedEnv(
        attributes={**describe_environment(env), **user_metadata(metadata), "frames": frames},
        spaces=(env.observation_space, env.action_space),
        fps=frames_per_second(env),
        frames=frames,
        infos=bool(infos),
        has_user_metadata=bool(metadata),
    )


@dataclass(frozen=True)
class _FirstRow:
    """The first row of a recording, while it waits for the first step."""

    observation: Any
    info: Any
    frame: Any
    begin: dict[str, Any]


def _array_bytes(value: Any) -> int:
    """Bytes of the arrays in a value, to size the journal."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(_array_bytes, value.values()))
    if isinstance(value, (tuple, list)):
        return sum(map(_array_bytes, value))
    return 8

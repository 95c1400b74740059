"""Which steps of an environment go into the file: triggers, ``keep``, first steps, malformed results.

``RecordToHDF5`` steps the environment and hands most steps straight to ``EpisodeRecorder.rows``; everything that a
step rarely needs is here. How values become rows belongs to ``EpisodeStream``.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

import gymnasium as gym

from gym_h5record.display import short_repr
from gym_h5record.format.names import Origin
from gym_h5record.recorder.ending import EndingRecorder
from gym_h5record.recorder.episode_stream import EpisodeStream, kept_copy, warn_of_repr
from gym_h5record.recorder.episode_summary import EpisodeTally, Keep
from gym_h5record.recorder.frame_sources import FrameSource
from gym_h5record.recorder.snapshots.snapshot_set import SnapshotSet
from gym_h5record.recorder.triggers import Schedule
from gym_h5record.writing.row_writer import RowWriter, begin_json

__all__ = ["MALFORMED", "STEP_RESULT", "EpisodeRecorder"]

STEP_RESULT = "(observation, reward, terminated, truncated, info), with flags that are true or false"

MALFORMED = (TypeError, ValueError, RuntimeError)
"""What taking a malformed result of ``step`` apart raises; an array of several flags is neither true nor false."""


class EpisodeRecorder(EndingRecorder[EpisodeStream]):
    """Decides which steps of one environment are recorded.

    Args:
        stream: Where they go.
        schedule: The triggers.
        frame_source: Gives the picture of a row.
        snapshots: Takes the state that a reset depends on.
        on_error: The option of the recorder.
        keep: The option of the recorder.

    Attributes:
        rows: Takes the steps of the running episode; None unless it is being recorded.
        tally: Adds up the running episode if ``keep`` will be asked about it, else None.
        watches_steps: Whether ``after_step`` is to be called after every step, not only after the last of an episode.
    """

    def __init__(
        self,
        stream: EpisodeStream,
        schedule: Schedule,
        frame_source: FrameSource,
        snapshots: SnapshotSet,
        on_error: str,
        keep: Keep | None,
    ) -> None:
        super().__init__(stream, on_error)
        self.rows: RowWriter | None = None
        self.tally: EpisodeTally | None = None
        self.watches_steps = schedule.watches_steps or keep is not None
        self._schedule = schedule
        self._frame_source = frame_source
        self._snapshots = snapshots
        self._keep = keep
        self._is_recording = False  # whether the running episode is recorded
        self._can_discard = False  # whether the newest row belongs to an episode that may be discarded

    # A reset --------------------------------------------------------------------------------------

    def before_reset(self, env: gym.Env[Any, Any], seed: int | None, options: Any) -> dict[str, Any] | None:
        """Take the snapshot, before the environment changes the options or draws from a generator.

        Returns:
            How the coming episode begins, None if the recording is closed.
        """
        self.drop_extras()
        stream = self.open_stream
        if stream is not None and stream.rows is None and self._schedule.records_everything:
            with self.errors.applied():
                stream.open()  # the writer process loads while the environment resets
        if self.open_stream is None:
            self.warn_of_end()
            return None
        snapshot = self._snapshots.take(env, is_bare=seed is None and options is None)
        return begin_json(seed, options, Origin.RESET, self._schedule.episode_id + 1, warn_of_repr, snapshot)

    def after_reset(self, env: gym.Env[Any, Any], result: Any, seed: int | None, begin: dict[str, Any]) -> None:
        """End the episode before, and begin one unless the triggers say no."""
        try:
            self._ask_keep()
        finally:
            try:
                self._snapshots.complete(env, begin["snapshot"])
                self._begin_episode(result, seed, begin)
            except BaseException as error:
                self.lose_track()
                if not self.errors.goes_on_after(error):
                    raise

    def _begin_episode(self, result: Any, seed: int | None, begin: dict[str, Any]) -> None:
        recorded, stream = self._schedule.on_reset(), self.open_stream
        if stream is None:
            return
        if not _has_parts(result, 2):
            self.stop_after_malformed("reset", result, "(observation, info)")
            return
        if self.rows is not None and not recorded:
            self.rows.end_episode()
        self._is_recording, self._can_discard = recorded, False
        if recorded:
            observation, info = result
            self.rows = stream.begin_episode(observation, info, self._frame_source.capture(), begin)
            self._note_beginning(seed, info)
        else:
            stream.lay_out_first_row()
            self.rows = None

    # A step that is not simply the next one -------------------------------------------------------

    def before_unrecorded_step(self, action: Any) -> tuple[Any, dict[str, Any]] | None:
        """Before a step while ``rows`` is None: begin an episode, if the agent steps on after the last one has ended.

        Returns:
            The action and the extras if this is the first step of the recording, else None. If ``rows`` is not None
            now, the step is the next one of an episode.
        """
        stream = self.open_stream
        if stream is None or self._schedule.episode_id < 0:
            self.extras = None
            if stream is not None:
                self.notices.warn("step() was called before the first reset(): the step is not recorded.")
            return None
        with self.errors.applied():
            if monotonic() >= stream.session.due_s:
                stream.session.tick()
            if self._is_recording:
                origin = Origin.AFTER_DONE if self._can_discard else Origin.STEP_TRIGGER  # if the last one is discarded
                self.rows = stream.step_on(self._schedule.episode_id, origin)
        if self.rows is not None:
            self._note_beginning(None, None)
            return None
        extras, self.extras = self.extras or {}, None
        return (kept_copy(action), extras) if self._is_recording and stream.has_first_row else None

    def after_unrecorded_step(self, first: tuple[Any, dict[str, Any]] | None, result: Any) -> None:
        """Record the first step of a recording; begin a recording if the step trigger says so."""
        stream = self.open_stream
        if stream is None:
            return
        if not _has_parts(result, 5) or not _are_flags(*result[2:4]):
            self.stop_after_malformed("step", result, STEP_RESULT)
            return
        is_first = first is not None and (stream.has_first_row or self.rows is not None)  # flushed during the step
        try:
            if first is not None and is_first:
                self.rows = stream.record_first_step(*first, result, self._frame_source.capture())
            else:
                self._watch_step(result[0], result[4])
        except BaseException as error:
            self.lose_track()
            if not self.errors.goes_on_after(error):
                raise
        if is_first:
            self.after_step(result)

    def after_step(self, result: Any) -> None:
        """After a recorded step that needs more than its row: it ends the episode, or there is a tally or a trigger."""
        observation, reward, terminated, truncated, info = result
        if self.tally is not None:
            self.tally.add(reward, terminated, truncated, info)
        try:
            if terminated or truncated:
                self.rows = None
                self._ask_keep()
        finally:
            with self.errors.applied():
                self._watch_step(observation, info)

    def _watch_step(self, observation: Any, info: Any) -> None:
        """Begin a new recording here if the step trigger says so."""
        stream = self.open_stream
        if stream is None or not self._schedule.on_step():
            return
        ended, self.rows, self._is_recording = self.rows, None, False
        try:
            if ended is not None:
                ended.end_episode()
                self._ask_keep()
        finally:
            self._can_discard = False
            begin = begin_json(None, None, Origin.STEP_TRIGGER, self._schedule.episode_id)
            self.rows = stream.begin_episode(observation, info, self._frame_source.capture(), begin)
            self._is_recording = True
            self._note_beginning(None, info)

    def _note_beginning(self, seed: int | None, info: Any) -> None:
        """An episode has begun: it may be discarded, and ``keep`` will be asked about it."""
        self._can_discard = True
        self.tally = None if self._keep is None else EpisodeTally(seed, info)

    # What the agent says --------------------------------------------------------------------------

    def discard_episode(self) -> None:
        """Forget the newest episode, whether it runs or has ended."""
        stream = self.open_stream
        if stream is None or not self._can_discard:
            self.notices.warn("discard_episode() found no recorded episode to forget.")
            return
        self.rows = self.tally = None
        self._is_recording = self._can_discard = False
        with self.errors.applied():
            stream.discard_episode()

    def _ask_keep(self) -> None:
        """Ask ``keep`` about the episode that has ended, if it has not been asked."""
        tally, self.tally = self.tally, None
        if tally is not None and self._keep is not None and not self._keep(tally.summary()):
            is_recording = self._is_recording
            self.discard_episode()
            self._is_recording = is_recording  # an agent that steps on after the end begins a new episode

    # When recording ends, or fails ----------------------------------------------------------------

    def stop_after_malformed(self, method: str, result: Any, expected: str) -> None:
        """Go on as the environment alone would: one of an older interface returns other values than Gymnasium's."""
        if self.rows is not None:
            self.rows.end_episode()
        self.lose_track()
        self.notices.warn(
            f"{method}() of the environment returned {short_repr(result)}, expected {expected}. "
            "It is passed on, and nothing is recorded until the next reset.",
            method,
        )

    def lose_track(self) -> None:
        """Record nothing more of this episode: the environment is ahead of its recording."""
        self.rows, self.tally, self._is_recording = None, None, False

    def flush(self) -> None:
        """Return once every step so far is committed in the HDF5 file."""
        stream = self.open_stream
        if stream is not None:
            with self.errors.applied():
                rows = stream.lay_out_first_row()
                self.rows = rows if rows is not None and self._is_recording else self.rows
                stream.session.flush()

    def ask_keep_at_end(self) -> None:
        """See ``EndingRecorder``."""
        self._ask_keep()

    def forget_rows(self) -> None:
        """See ``EndingRecorder``."""
        self.rows = None


def _has_parts(result: Any, number: int) -> bool:
    return isinstance(result, (tuple, list)) and len(result) == number


def _are_flags(terminated: Any, truncated: Any) -> bool:
    try:
        bool(terminated or truncated)
    except MALFORMED:
        return False
    return True

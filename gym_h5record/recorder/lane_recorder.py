"""Which steps of a vector environment go into the file, and as what: ``episode_recorder`` for lanes.

The three autoreset modes of Gymnasium differ in what a step returns for an environment whose episode has ended:

- ``NEXT_STEP``: its final observation. The next step resets it instead of stepping it, and ignores its action.
- ``SAME_STEP``: the first observation of its next episode. The final one is in ``infos["final_obs"]``.
- ``DISABLED``: its final observation. The caller resets it, with ``options={"reset_mask": mask}``.

In all of them, a lane gets the rows that a recording of its environment alone would have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from gym_h5record.display import short_repr
from gym_h5record.format.names import Origin, RowFlag
from gym_h5record.recorder.ending import EndingRecorder
from gym_h5record.recorder.episode_recorder import MALFORMED
from gym_h5record.recorder.episode_stream import kept_copy, warn_of_repr
from gym_h5record.recorder.lane_batches import LaneBatches, mask_or_problem, seeds_of
from gym_h5record.recorder.lane_states import LaneStates
from gym_h5record.recorder.lane_stream import LaneStream, VectorStep
from gym_h5record.recorder.on_error import FAILURES
from gym_h5record.recorder.snapshots.lane_snapshots import LaneSnapshots
from gym_h5record.values.lane_values import lanes_where
from gym_h5record.writing.batch_rows import BatchRows
from gym_h5record.writing.row_writer import begin_json

__all__ = ["LaneRecorder"]

_RETURNED = "{}() of the environment returned {}, expected {}."
_STEP_RESULT = "(observations, rewards, terminations, truncations, infos), each with an entry for every environment"
_FALSE, _TRUE = b"\0", b"\1"
_FIRST, _LAST = np.uint8(RowFlag.FIRST), np.uint8(RowFlag.LAST)


class LaneRecorder(EndingRecorder[LaneStream]):
    """Decides which steps of the lanes of a vector environment are recorded.

    Args:
        stream: Where they go.
        mode: How the environments are reset.
        batches: Takes batches apart.
        states: How the episodes stand.
        snapshots: Takes the state that resets depend on.
        on_error: The option of the recorder.
    """

    def __init__(
        self,
        stream: LaneStream,
        mode: AutoresetMode,
        batches: LaneBatches,
        states: LaneStates,
        snapshots: LaneSnapshots,
        on_error: str,
    ) -> None:
        super().__init__(stream, on_error)
        self._mode, self._batches, self._states, self._snapshots = mode, batches, states, snapshots
        self._all = range(len(states.is_over))
        self._watches_steps = states.schedules[0].watches_steps
        self._has_reset = False
        self._pending: tuple[Any, dict[str, Any]] | None = None  # actions and extras of the first step of all
        self._refused: str | None = None  # why the call that the environment is in cannot be recorded
        self._stepped: Sequence[int] = ()
        self._autoreset: dict[int, dict[str, bytes]] = {}  # snapshots of lanes that the coming step resets instead

    # A reset --------------------------------------------------------------------------------------

    def before_reset(self, seed: Any, options: Any, num_envs: int) -> dict[int, dict[str, Any]] | None:
        """Read the mask and take the snapshots, before the environment changes the options or draws from a generator.

        Returns:
            How the episode of each lane that is reset begins; None if the recording is closed.
        """
        self.drop_extras()
        mask, self._refused = mask_or_problem(options, num_envs)
        others = options if mask is None else {key: options[key] for key in options if key != "reset_mask"} or None
        stream = self.open_stream
        if stream is None:
            self.warn_of_end()
            return None
        if stream.rows is None and self._states.records_everything:
            with self.errors.applied():
                stream.open()  # the writer process loads while the environment resets
        seeds = seeds_of(seed, num_envs)
        lanes = self._batches.reset_lanes(mask)
        return {lane: self._begin(lane, seeds[self._batches.env(lane)], others) for lane in lanes}

    def _begin(self, lane: int, seed: Any, options: Any) -> dict[str, Any]:
        snapshot = self._snapshots.take(lane, is_bare=seed is None and options is None)
        episode_id = self._states.episode_id(lane) + 1
        return begin_json(seed, options, Origin.RESET, episode_id, warn_of_repr, snapshot)

    def after_reset(self, result: Any, begins: dict[int, dict[str, Any]]) -> None:
        """End the episodes before, and begin one in every lane that was reset, unless the triggers say no."""
        states = self._states
        if self._refused is not None:
            self._stop(self._refused)
            return
        try:
            self._discard(states.unwanted(begins))
            self._snapshots.complete({lane: begin["snapshot"] for lane, begin in begins.items()})
            stream = self.open_stream
            if stream is None:
                return
            try:
                rows = self._batches.rows(*result)
            except (*MALFORMED, LookupError):
                self._stop(_RETURNED.format("reset", short_repr(result), "(observations, infos)"))
                return
            self._end([lane for lane in states.running() if lane in begins])
            recorded = {lane: begins[lane] for lane in states.reset(list(begins))}
            self._has_reset = True
            if recorded:
                stream.begin_episodes(rows, recorded)
                states.begin(recorded, rows.infos)
        except BaseException as error:
            states.lose_track()
            if not self.errors.goes_on_after(error):
                raise

    # A step ---------------------------------------------------------------------------------------

    def before_step(self, actions: Any) -> None:
        """Record the actions, before the environments change them."""
        stream, states = self.open_stream, self._states
        extras, self.extras = self.extras or {}, None
        self._pending = None
        taken, self._refused = self._batches.actions(actions)
        if stream is None or not self._has_reset or self._refused is not None:
            if stream is not None and not self._has_reset:
                self.notices.warn("step() was called before the first reset(): the step is not recorded.")
            return
        stepped = states.is_recording > states.is_over  # recorded, and not over
        self._stepped, self._autoreset = self._all, {}
        if _FALSE in stepped.tobytes():  # all() takes 1.3 us, this 0.3
            self._stepped = lanes_where(stepped)
            over = lanes_where(states.is_over) if self._mode is AutoresetMode.NEXT_STEP else ()
            self._autoreset = {lane: self._snapshots.take(lane) for lane in over}
        try:
            if stream.rows is None:
                self._pending = kept_copy(taken), extras
            else:
                stream.rows.put_actions(taken, extras, self._stepped)
        except FAILURES as error:
            if not self.errors.goes_on_after(error):
                raise

    def after_step(self, result: Any) -> None:
        """Record the outcome of a step."""
        stream = self.open_stream
        if stream is None or not self._has_reset:
            return
        if self._refused is not None:
            self._stop(self._refused)
            return
        try:
            observations, rewards, terminations, truncations, infos = result
            outcome, ended = self._batches.outcome(rewards, terminations, truncations)
            rows = self._batches.rows(observations, infos)
        except (*MALFORMED, LookupError):
            self._stop(_RETURNED.format("step", short_repr(result), _STEP_RESULT))
            return
        try:
            self._record_step(stream, outcome, ended, rows)
        except BaseException as error:
            self._states.lose_track()
            if not self.errors.goes_on_after(error):
                raise

    def _record_step(
        self, stream: LaneStream, outcome: tuple[Any, Any, Any], ended: np.ndarray, rows: BatchRows
    ) -> None:
        states, flags = self._states, ended.view(np.uint8) * _LAST
        has_ended = _TRUE in ended.tobytes()
        begins = self._begun(flags, rows) if self._autoreset else {}
        led_to = rows
        finals: dict[int, tuple[Any, Any]] = {}
        if has_ended and self._mode is AutoresetMode.SAME_STEP:
            led_to, rows, finals = self._batches.finals(rows, lanes_where(ended))
        present: Sequence[int] | None = None
        is_present = states.is_recording > states.is_over  # in DISABLED mode, one that is over waits for its reset
        if _FALSE in is_present.tobytes():
            flags[~is_present] = RowFlag.ABSENT
            present = lanes_where(is_present)
        step = VectorStep(*outcome, led_to, flags, self._stepped, present, finals, begins)
        if present is None or present:
            self._put(stream, step)
        if has_ended:
            states.is_over |= ended
        if states.has_keep:
            states.add_up(step)
            self._discard(states.unwanted(lanes_where(ended)))
        if finals:
            self._begin_in_same_step(stream, rows, list(finals))
        if self._watches_steps:
            self._watch_steps(stream, rows)

    def _put(self, stream: LaneStream, step: VectorStep) -> None:
        if stream.rows is not None:
            stream.put_step(step)
        elif not stream.has_first_rows:  # no lane was recorded before
            stream.begin_episodes(step.rows, step.begins)
        elif self._pending is not None:
            stream.put_first_step(*self._pending, step)

    def _begun(self, flags: np.ndarray, rows: BatchRows) -> dict[int, dict[str, Any] | None]:
        """Note the lanes that this step has reset instead: their rows are the first of episodes."""
        snapshots = self._autoreset
        self._snapshots.complete(snapshots)
        flags[list(snapshots)] = _FIRST
        return self._states.begin_by_itself(snapshots, rows.infos)

    def _begin_in_same_step(self, stream: LaneStream, rows: BatchRows, lanes: Sequence[int]) -> None:
        """Append the first rows of the episodes that the environments in ``SAME_STEP`` mode have begun."""
        recorded = self._states.begin_by_itself({lane: {} for lane in lanes}, rows.infos)
        if recorded:
            stream.begin_episodes(rows, recorded)

    def _watch_steps(self, stream: LaneStream, rows: BatchRows) -> None:
        """Begin a new recording in the lanes whose step trigger says so. A reset in the place of a step is none."""
        states = self._states
        lanes = [lane for lane in self._all if lane not in self._autoreset and states.schedules[lane].on_step()]
        if lanes:
            self._end([lane for lane in states.running() if lane in lanes])
            begins = {lane: begin_json(None, None, Origin.STEP_TRIGGER, states.episode_id(lane)) for lane in lanes}
            stream.begin_episodes(rows, begins)
            states.begin(begins, rows.infos)
            self._end([lane for lane in lanes if states.is_over[lane]])  # an environment that is reset next

    # What the agent says --------------------------------------------------------------------------

    def add_extras(self, extras: Mapping[str, Any]) -> None:
        """Keep extras, as copies, for the coming step. See ``LaneBatches.extras``."""
        kept = self._batches.extras(extras)
        self.extras = kept if self.extras is None else self.extras | kept

    def discard_episode(self, envs: Sequence[int] | None) -> None:
        """Forget the newest episode of some environments, whether it runs or has ended with the last step."""
        lanes = [lane for lane in self._batches.chosen(envs) if self._states.can_discard[lane]]
        if self.open_stream is None or not lanes:
            self.notices.warn("discard_episode() found no recorded episode to forget.")
            return
        self._discard(lanes)

    def _discard(self, lanes: list[int]) -> None:
        stream = self.open_stream
        if not lanes or stream is None:
            return
        with self.errors.applied():
            stream.record_waiting()
            if stream.rows is not None:
                stream.rows.mark(lanes, RowFlag.LAST | RowFlag.DISCARDED)
        self._states.discard(lanes)

    def _end(self, lanes: list[int]) -> None:
        """Mark the newest rows of lanes as the last of their episodes, which their environments did not end."""
        if lanes and (stream := self.open_stream) is not None and stream.rows is not None:
            stream.rows.mark(lanes, RowFlag.LAST)

    # When recording ends, or fails ----------------------------------------------------------------

    def flush(self) -> None:
        """Return once every step so far is committed in the HDF5 file."""
        if (stream := self.open_stream) is not None:
            with self.errors.applied():
                stream.record_waiting()
                stream.session.flush()

    def ask_keep_at_end(self) -> None:
        """See ``EndingRecorder``."""
        self._discard(self._states.unwanted())

    def forget_rows(self) -> None:
        """See ``EndingRecorder``: only the stream has the writer of rows."""

    def _stop(self, what: str) -> None:
        self._end(self._states.running())
        self._states.lose_track()
        self._states.is_over[:] = True
        self._has_reset = False
        self.notices.warn(f"{what} It is passed on, and nothing is recorded until the next reset.")

"""Which steps of a vector environment go into the file: autoreset, triggers, ``keep``: ``episode_recorder`` for lanes.

The three autoreset modes of Gymnasium differ in what a step returns for an environment whose episode has ended:

- ``NEXT_STEP``: its final observation. The next step resets it instead of stepping it, and ignores its action.
- ``SAME_STEP``: the first observation of its next episode. The final one is in ``infos["final_obs"]``.
- ``DISABLED``: its final observation. The caller resets it, with ``options={"reset_mask": mask}``.

In all of them, a lane gets the rows that a recording of its environment alone would have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import finalize

import gymnasium as gym
import numpy as np
from gymnasium import Space
from gymnasium.vector import AutoresetMode

from gym_h5record.display import short_repr
from gym_h5record.errors import EpisodeDataError, OptionError
from gym_h5record.format.names import Origin, RowFlag
from gym_h5record.notices import warn
from gym_h5record.recorder.episode_recorder import MALFORMED
from gym_h5record.recorder.episode_stream import kept_copy, warn_of_repr
from gym_h5record.recorder.episode_summary import EpisodeTally, Keep
from gym_h5record.recorder.lane_stream import LaneStream, VectorStep
from gym_h5record.recorder.living import close_when_dropped
from gym_h5record.recorder.on_error import FAILURES, ErrorPolicy
from gym_h5record.recorder.snapshots.snapshot_set import SnapshotSet
from gym_h5record.recorder.triggers import Schedule
from gym_h5record.recorder.vector_frames import VectorFrames
from gym_h5record.values.lane_values import lane_info, lane_value, map_batch
from gym_h5record.writing.lane_row_writer import Rows
from gym_h5record.writing.row_writer import begin_json

__all__ = ["LaneRecorder"]

_STEP_RESULT = "(observations, rewards, terminations, truncations, infos), each with an entry for every environment"
_FIRST, _LAST = np.uint8(RowFlag.FIRST), np.uint8(RowFlag.LAST)
_FINAL = ("final_obs", "final_info", "_final_obs", "_final_info")


class LaneRecorder:
    """Decides which steps of the lanes of a vector environment are recorded.

    Args:
        stream: Where they go.
        mode: How the environments are reset.
        lanes: The environments that are recorded.
        num_envs: How many environments there are.
        spaces: The observation and the action space of a single environment.
        schedules: The triggers of each lane.
        frames: Gives the pictures.
        snapshots: Takes the state that a reset depends on, for each lane; empty if none is kept.
        envs: The environment of each lane, for snapshots.
        on_error: The option of the recorder.
        keep: The option of the recorder.

    Attributes:
        stream: Where the steps go; None once the recording is closed.
        errors: What to do when the writer has failed.
        extras: What the agent has added to the coming step, or None.
    """

    def __init__(
        self,
        stream: LaneStream,
        mode: AutoresetMode,
        lanes: Sequence[int],
        num_envs: int,
        spaces: tuple[Space[Any], Space[Any]],
        schedules: Sequence[Schedule],
        frames: VectorFrames,
        snapshots: Sequence[SnapshotSet],
        envs: Sequence[gym.Env[Any, Any]],
        on_error: str,
        keep: Keep | None,
    ) -> None:
        self.stream: LaneStream | None = stream
        self.errors = ErrorPolicy(on_error, self.close)
        self.extras: dict[str, Any] | None = None
        self._mode, self._lanes, self._num_envs, self._spaces = mode, list(lanes), num_envs, spaces
        self._schedules, self._frames, self._snapshots, self._envs = schedules, frames, snapshots, envs
        self._keep = keep
        self._all = range(len(self._lanes))
        self._picks = self._lanes != list(range(num_envs))  # whether some environments are not recorded
        count = len(self._lanes)
        self._is_recording = np.zeros(count, np.bool_)  # whether the running episode of each lane is recorded
        self._is_over = np.ones(count, np.bool_)  # whether its episode has ended, and it has not been reset
        self._can_discard = np.zeros(count, np.bool_)
        self._was_discarded = np.zeros(count, np.bool_)  # the next episode says how many resets there were
        self._tallies: dict[int, EpisodeTally] = {}
        self._watches_steps = schedules[0].watches_steps
        self._has_reset = False
        self._pending: tuple[Any, dict[str, Any]] | None = None  # actions and extras of the first step of all
        self._stepped: Sequence[int] = ()
        self._shape = (num_envs,)
        self._autoreset: Sequence[tuple[int, dict[str, bytes]]] = ()  # lanes that the coming step resets instead
        self._finalizer: finalize[Any, Any] | None = None
        self._warned: set[str] = set()

    def close_with(self, owner: object) -> None:
        """Complete the file when ``owner`` is dropped without ``close``."""
        if self.stream is not None:
            self._finalizer = close_when_dropped(owner, self, self.stream)

    @property
    def open_stream(self) -> LaneStream | None:
        """The stream; None once the recording is closed, in this thread or in another one."""
        return None if self.stream is None or self.stream.session.is_closing else self.stream

    # A reset --------------------------------------------------------------------------------------

    def before_reset(self, seed: Any, options: Any) -> tuple[dict[str, Any] | None, dict[int, dict[str, Any]] | None]:
        """Read the mask and take the snapshots, before the environment changes the options or draws from a generator.

        Returns:
            The options to pass on, a copy where the environment may take the mask out of them; and how the episode of
            each lane that is reset begins, None if the recording is closed.

        Raises:
            OptionError: If there is a ``reset_mask`` that is no boolean for each environment.
        """
        if self.extras is not None:
            self.extras = None
            warn("reset() came before the step that the last extras belong to: they are not recorded.")
        mask = None if options is None or "reset_mask" not in options else _checked_mask(options, self._num_envs)
        passed = dict(options) if type(options) is dict and mask is not None else options
        stream = self.open_stream
        if stream is None:
            if not self.errors.has_given_up:
                self._warn_once("the recorder has been closed: the episodes from here on are not recorded.")
            return passed, None
        if stream.rows is None and all(each.records_everything for each in self._schedules):
            with self.errors.applied():
                stream.open()  # the writer process loads while the environment resets
        others = {key: each for key, each in options.items() if key != "reset_mask"} if mask is not None else options
        seeds = _seeds(seed, self._num_envs, mask)
        begins = {}
        for lane in self._all if mask is None else np.flatnonzero(mask[self._lanes]).tolist():
            lane_seed = seeds[self._lanes[lane]]
            begins[lane] = self._begin(lane, lane_seed, others or None, Origin.RESET)
        return passed, begins

    def _begin(self, lane: int, seed: Any, options: Any, origin: Origin) -> dict[str, Any]:
        is_bare = seed is None and options is None
        snapshot = self._snapshots[lane].take(self._envs[lane], is_bare=is_bare) if self._snapshots else {}
        episode_id = self._schedules[lane].episode_id + 1
        return begin_json(seed, options, origin, episode_id, warn_of_repr, snapshot)

    def after_reset(self, result: Any, begins: dict[int, dict[str, Any]]) -> None:
        """End the episodes before, and begin one in every lane that was reset, unless the triggers say no."""
        try:
            self._ask_keep(list(begins))
            self._complete_snapshots(begins)
            stream = self.open_stream
            if stream is None:
                return
            try:
                observations, infos = result
                rows = self._rows(observations, infos)
            except (*MALFORMED, LookupError):
                self._stop_after_malformed("reset", result, "(observations, infos)")
                return
            running = [lane for lane in begins if self._is_recording[lane] and not self._is_over[lane]]
            if running and stream.rows is not None:
                stream.rows.mark(running, RowFlag.LAST)
            recorded = {lane: begin for lane, begin in begins.items() if self._schedules[lane].on_reset()}
            for lane in begins:
                self._is_recording[lane] = lane in recorded
            self._is_over[list(begins)] = self._can_discard[list(begins)] = False
            self._has_reset = True
            if recorded:
                stream.begin_episodes(rows, recorded)
                self._note_beginnings(recorded, rows.infos)
        except BaseException as error:
            self._lose_track()
            if not self.errors.goes_on_after(error):
                raise

    def _complete_snapshots(self, begins: Mapping[int, dict[str, Any]]) -> None:
        for lane, begin in begins.items() if self._snapshots else ():
            self._snapshots[lane].complete(self._envs[lane], begin["snapshot"])

    # A step ---------------------------------------------------------------------------------------

    def before_step(self, actions: Any) -> None:
        """Record the actions, before the environments change them."""
        stream = self.open_stream
        extras, self.extras = self.extras or {}, None
        self._pending = None
        if stream is None or not self._has_reset:
            if stream is not None:
                self._warn_once("step() was called before the first reset(): the step is not recorded.")
            return
        stepped = self._is_recording > self._is_over  # recorded, and not over
        self._stepped = self._all if stepped.all() else np.flatnonzero(stepped).tolist()
        self._autoreset = self._autoresets() if self._mode is AutoresetMode.NEXT_STEP else ()
        try:
            if stream.rows is None:
                self._pending = kept_copy(actions), extras
            else:
                stream.rows.put_actions(self._picked(self._spaces[1], actions), extras, self._stepped)
        except FAILURES as error:
            if not self.errors.goes_on_after(error):
                raise

    def _autoresets(self) -> Sequence[tuple[int, dict[str, bytes]]]:
        """The lanes that the coming step resets instead, each with the snapshot before its reset."""
        if len(self._stepped) == len(self._all):
            return ()
        over = np.flatnonzero(self._is_over).tolist()
        if not self._snapshots:
            return [(lane, {}) for lane in over]
        return [(lane, self._snapshots[lane].take(self._envs[lane], is_bare=True)) for lane in over]

    def after_step(self, result: Any) -> None:
        """Record the outcome of a step."""
        stream = self.open_stream
        if stream is None or not self._has_reset:
            return
        try:
            observations, rewards, terminations, truncations, infos = result
            ended = np.logical_or(terminations, truncations)
            if ended.shape != self._shape or len(rewards) != self._num_envs:
                raise ValueError(ended.shape)
            rows = self._rows(observations, infos)
        except (*MALFORMED, LookupError):
            self._stop_after_malformed("step", result, _STEP_RESULT)
            return
        try:
            if self._picks:
                rewards, terminations, truncations, ended = (
                    each[self._lanes] for each in (rewards, terminations, truncations, ended)
                )
            self._record_step(stream, (rewards, terminations, truncations), ended, rows)
        except BaseException as error:
            self._lose_track()
            if not self.errors.goes_on_after(error):
                raise

    def _record_step(self, stream: LaneStream, outcome: tuple[Any, Any, Any], ended: np.ndarray, rows: Rows) -> None:
        flags = ended * _LAST
        has_ended = bool(flags.any())
        begins = self._begun(flags) if self._autoreset else {}
        finals: dict[int, tuple[Any, Any]] = {}
        if has_ended and self._mode is AutoresetMode.SAME_STEP:
            finals = self._finals(rows, np.flatnonzero(ended).tolist())
            rows = Rows(rows.observations, _without_final(rows.infos), rows.frames)
        present: Sequence[int] | None = None
        if not self._is_recording.all():
            flags[~self._is_recording] = RowFlag.ABSENT
            present = np.flatnonzero(self._is_recording).tolist()
        in_step = self._with_final_frames(rows, finals) if finals else rows
        step = VectorStep(*outcome, in_step, flags, self._stepped, present, finals, begins)
        if present is None or present:
            if stream.rows is None and not stream.has_first_rows:
                stream.begin_episodes(in_step, begins)  # no lane was recorded before
            elif self._pending is not None and stream.rows is None:
                actions, extras = self._pending
                stream.put_first_step(self._picked(self._spaces[1], actions), extras, step)
            else:
                stream.put_step(step)
        if has_ended:
            self._is_over |= ended
        if self._keep is not None:
            self._add_up(step, ended)
        if finals:
            self._begin_in_same_step(stream, rows, list(finals))
        if self._watches_steps:
            self._watch_steps(stream, rows)

    def _begun(self, flags: np.ndarray) -> dict[int, dict[str, Any] | None]:
        """Note the lanes that this step has reset instead: their rows are the first of episodes."""
        begins: dict[int, dict[str, Any] | None] = {}
        for lane, snapshot in self._autoreset:
            if snapshot:
                self._snapshots[lane].complete(self._envs[lane], snapshot)
            flags[lane] = _FIRST
            self._is_over[lane] = False
            self._is_recording[lane] = is_recorded = self._schedules[lane].on_reset()
            if is_recorded:
                begins[lane] = self._told(lane, snapshot)
        return begins

    def _told(self, lane: int, snapshot: dict[str, bytes]) -> dict[str, Any] | None:
        """How an episode begins that the vector environment itself has begun; None if there is nothing to keep."""
        self._can_discard[lane] = True
        if self._keep is not None:
            self._tallies[lane] = EpisodeTally(None, None)
        schedule, was_discarded = self._schedules[lane], self._was_discarded[lane]
        self._was_discarded[lane] = False
        if schedule.records_everything and not was_discarded and not snapshot:
            return None
        return begin_json(None, None, Origin.AUTORESET, schedule.episode_id, snapshot=snapshot)

    def _begin_in_same_step(self, stream: LaneStream, rows: Rows, lanes: Sequence[int]) -> None:
        """Append the first rows of the episodes that the environments in ``SAME_STEP`` mode have begun."""
        recorded: dict[int, Any] = {}
        for lane in lanes:
            self._is_over[lane] = False
            self._is_recording[lane] = self._schedules[lane].on_reset()
            if self._is_recording[lane]:
                recorded[lane] = self._told(lane, {})
        if recorded:
            stream.begin_episodes(rows, recorded)

    def _finals(self, rows: Rows, lanes: Sequence[int]) -> dict[int, tuple[Any, Any]]:
        """The final observation and info of lanes that have been reset within the step."""
        infos, num_envs = rows.infos, len(self._lanes)
        observations = infos.get("final_obs", infos.get("final_observation"))
        found = {}
        for lane in lanes:
            observation = None
            if observations is not None:
                is_batch = not (isinstance(observations, np.ndarray) and observations.dtype.kind == "O")
                observation = lane_value(self._spaces[0], observations, lane) if is_batch else observations[lane]
            if observation is None:
                self._warn_once(
                    'the step gives no final observation in infos["final_obs"] for an environment that it has reset: '
                    "it is recorded as None."
                )
            final = infos.get("final_info")
            found[lane] = observation, lane_info(final, lane, num_envs) if type(final) is dict else {}
        return found

    def _with_final_frames(self, rows: Rows, finals: Mapping[int, Any]) -> Rows:
        """The rows of the step. No picture of an environment that has been reset since was ever rendered."""
        if rows.frames is None:
            return rows
        self._warn_once("the frames of final observations are None: in SAME_STEP mode they are never rendered.")
        frames = [None if lane in finals else frame for lane, frame in enumerate(rows.frames)]
        return Rows(rows.observations, rows.infos, frames)

    def _add_up(self, step: VectorStep, ended: np.ndarray) -> None:
        for lane in step.stepped:
            if lane in self._tallies:
                final = step.finals.get(lane)
                info = lane_info(step.rows.infos, lane, len(self._lanes)) if final is None else final[1]
                self._tallies[lane].add(step.rewards[lane], step.terminations[lane], step.truncations[lane], info)
        self._ask_keep([lane for lane in np.flatnonzero(ended).tolist() if lane in self._tallies])

    def _watch_steps(self, stream: LaneStream, rows: Rows) -> None:
        """Begin a new recording in the lanes whose step trigger says so."""
        begins: dict[int, Any] = {}
        running = []
        for lane in self._all:
            if self._schedules[lane].on_step():
                begins[lane] = begin_json(None, None, Origin.STEP_TRIGGER, self._schedules[lane].episode_id)
                if self._is_recording[lane] and not self._is_over[lane]:
                    running.append(lane)
        if running and stream.rows is not None:
            stream.rows.mark(running, RowFlag.LAST)
        if begins:
            self._is_recording[list(begins)] = True
            self._is_over[list(begins)] = False
            stream.begin_episodes(rows, begins)
            self._note_beginnings(begins, rows.infos)

    def _note_beginnings(self, begins: Mapping[int, Any], infos: Any) -> None:
        self._can_discard[list(begins)] = True
        self._was_discarded[list(begins)] = False
        for lane in begins if self._keep is not None else ():
            seed = begins[lane]["columns"]["seeds"]
            info = lane_info(infos, lane, len(self._lanes)) if type(infos) is dict else infos
            self._tallies[lane] = EpisodeTally(seed if seed >= 0 else None, info)

    # What the agent says --------------------------------------------------------------------------

    def add_extras(self, extras: dict[str, Any]) -> None:
        """Keep extras, as copies, for the coming step.

        Raises:
            EpisodeDataError: If one of them has another number of entries than there are environments.
        """
        kept = {}
        for key, values in extras.items():
            if not hasattr(values, "__len__") or len(values) != self._num_envs:
                raise EpisodeDataError(
                    f"{key}: expected an array with an entry for each of {self._num_envs} environments, got "
                    f"{short_repr(values)}"
                )
            copied = kept_copy(values)
            kept[key] = self._picked(None, np.asarray(copied) if _is_numeric(copied) else list(copied))
        self.extras = kept if self.extras is None else self.extras | kept

    def discard_episode(self, lanes: Sequence[int] | None) -> None:
        """Forget the newest episode of some lanes, whether it runs or has ended with the last step."""
        known = {env: lane for lane, env in enumerate(self._lanes)}
        unknown = [] if lanes is None else [each for each in lanes if each not in known]
        if unknown:
            raise OptionError(f"lanes: expected some of {self._lanes!r:.200}, got {lanes!r:.200}")
        stream = self.open_stream
        chosen = self._all if lanes is None else [known[each] for each in lanes]
        found = [lane for lane in chosen if self._can_discard[lane]]
        if stream is None or not found:
            self._warn_once("discard_episode() found no recorded episode to forget.")
            return
        self._discard(stream, found)

    def _discard(self, stream: LaneStream, lanes: list[int]) -> None:
        with self.errors.applied():
            stream.lay_out_first_rows()
            if stream.rows is not None:
                stream.rows.mark(lanes, RowFlag.LAST | RowFlag.DISCARDED)
        self._was_discarded[lanes] = True
        self._can_discard[lanes] = self._is_recording[lanes] = False
        for lane in lanes:
            self._tallies.pop(lane, None)

    def _ask_keep(self, lanes: Sequence[int]) -> None:
        """Ask ``keep`` about the episodes of lanes that have ended, if it has not been asked."""
        stream = self.open_stream
        if self._keep is None or stream is None:
            return
        for lane in lanes:
            tally = self._tallies.pop(lane, None)
            if tally is not None and not self._keep(tally.summary()) and self._can_discard[lane]:
                self._discard(stream, [lane])

    # When recording ends, or fails ----------------------------------------------------------------

    def flush(self) -> None:
        """Return once every step so far is committed in the HDF5 file."""
        stream = self.open_stream
        if stream is not None:
            with self.errors.applied():
                stream.lay_out_first_rows()
                stream.session.flush()

    def close(self) -> None:
        """Ask ``keep`` about the running episodes, and complete the file. May be called again."""
        stream = self.stream
        if stream is None:
            return
        try:
            if not stream.session.is_closing:
                self._ask_keep(list(self._tallies))
        finally:
            try:
                stream.close()
            finally:
                if stream.session.is_closed:  # else it was interrupted: the next ``close``, or the finalizer, goes on
                    self._let_go()

    def abandon(self) -> None:
        """Stop recording without touching the file: called in a forked child, which shares it."""
        stream = self.stream
        if stream is not None:
            self._let_go()
            stream.abandon()

    def _let_go(self) -> None:
        self.stream = None
        if self._finalizer is not None:
            self._finalizer.detach()

    def _lose_track(self) -> None:
        """Record nothing more before the next reset: the environments are ahead of their recording."""
        self._is_recording[:] = self._can_discard[:] = False
        self._tallies.clear()

    def _stop_after_malformed(self, method: str, result: Any, expected: str) -> None:
        running = np.flatnonzero(self._is_recording & ~self._is_over).tolist()
        stream = self.open_stream
        if running and stream is not None and stream.rows is not None:
            stream.rows.mark(running, RowFlag.LAST)
        self._lose_track()
        self._is_over[:] = True
        self._has_reset = False
        self._warn_once(
            f"{method}() of the environment returned {short_repr(result)}, expected {expected}. "
            "It is passed on, and nothing is recorded until the next reset.",
        )

    # Batches --------------------------------------------------------------------------------------

    def _rows(self, observations: Any, infos: Any) -> Rows:
        """What is recorded of the rows of all lanes.

        Raises:
            ValueError, TypeError, LookupError: If the batch of observations has not an entry for every environment.
        """
        if type(observations) is not np.ndarray or len(observations) != self._num_envs:
            map_batch(self._spaces[0], observations, lambda part: _check_size(part, self._num_envs))
        frames = self._frames.capture() if self._frames.captures else None
        if self._picks:
            observations = self._picked(self._spaces[0], observations)
            infos = _picked_infos(infos, self._lanes, self._num_envs)
        return Rows(observations, infos, frames)

    def _picked(self, space: Space[Any] | None, batch: Any) -> Any:
        """The entries of the recorded environments."""
        if not self._picks:
            return batch
        lanes = self._lanes

        def pick(part: Any) -> Any:
            if isinstance(part, np.ndarray):
                return part[lanes]
            return type(part)(part[lane] for lane in lanes) if isinstance(part, (tuple, list)) else part

        return map_batch(space, batch, pick)

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            warn(message)


def _checked_mask(options: Mapping[str, Any], num_envs: int) -> np.ndarray:
    mask = options["reset_mask"]
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (num_envs,):
        raise OptionError(f"reset_mask: expected a boolean array ({num_envs},), got {short_repr(mask)}")
    return mask.copy()


def _seeds(seed: Any, num_envs: int, mask: np.ndarray | None) -> list[Any]:
    """The seed of each environment: Gymnasium counts up from a single one."""
    if isinstance(seed, (int, np.integer)):
        return [int(seed) + place for place in range(num_envs)]
    if seed is not None and len(seed) == num_envs:
        return list(seed)
    return [None] * num_envs


def _without_final(infos: Any) -> Any:
    return {key: values for key, values in infos.items() if key not in _FINAL} if type(infos) is dict else infos


def _picked_infos(infos: Any, lanes: list[int], num_envs: int) -> Any:
    """The infos of some environments."""
    if type(infos) is dict:
        return {key: _picked_infos(values, lanes, num_envs) for key, values in infos.items()}
    if isinstance(infos, np.ndarray) and infos.shape[:1] == (num_envs,):
        return infos[lanes]
    is_list = isinstance(infos, (list, tuple)) and len(infos) == num_envs
    return [infos[lane] for lane in lanes] if is_list else infos


def _check_size(part: Any, num_envs: int) -> Any:
    if len(part) != num_envs:
        raise ValueError(f"{len(part)} observations of {num_envs} environments")
    return part


def _is_numeric(values: Any) -> bool:
    array = np.asarray(values) if not isinstance(values, (list, tuple)) or not _has_objects(values) else None
    return array is not None and array.dtype.kind in "biuf"


def _has_objects(values: Sequence[Any]) -> bool:
    return any(isinstance(each, (str, bytes, dict, list, tuple)) or each is None for each in values)

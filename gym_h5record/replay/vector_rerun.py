"""``VectorRerun``: takes a vector environment through recorded resets and steps again. It compares nothing."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.vector_frames import choose_vector_frames
from gym_h5record.replay.rerun import Outcome, check_exact
from gym_h5record.replay.vector_timeline import LanesReset, LanesStepped
from gym_h5record.values.differences import ABSENT
from gym_h5record.values.lane_values import final_info, final_observation, lane_info, lane_value, without_finals

__all__ = ["BatchOutcome", "VectorRerun"]


@dataclass(frozen=True)
class BatchOutcome:
    """The result of a reset or a step of all lanes. The arrays are the environment's own, so compare them at once.

    Attributes:
        env: The vector environment.
        observations: The batch of observations.
        infos: The infos of all lanes.
        frames: The pictures of the lanes, None if the recorder rendered none.
        step: Rewards, terminations and truncations; None after a reset.
        has_finals: Whether lanes that have ended were reset within the step, as in ``SAME_STEP`` mode.
    """

    env: VectorEnv[Any, Any, Any]
    observations: Any
    infos: Any
    frames: list[Any] | None
    step: tuple[Any, Any, Any] | None
    has_finals: bool

    def begun(self, lane: int) -> Outcome:
        """The first row of an episode in a lane that has been reset."""
        return self._row(lane)

    def stepped(self, lane: int) -> Outcome:
        """What a lane gives that has taken a step: its final row where it has been reset since."""
        step = self.step and tuple(each[lane] for each in self.step)
        is_final = self.has_finals and step and (step[1] or step[2])
        return replace(self._final(lane) if is_final else self._row(lane), step=step)

    def _row(self, lane: int) -> Outcome:
        infos = without_finals(self.infos) if self.has_finals else self.infos
        observation = lane_value(self.env.single_observation_space, self.observations, lane)
        return Outcome(observation, self._info(infos, lane), ABSENT if self.frames is None else self.frames[lane])

    def _final(self, lane: int) -> Outcome:
        observation = final_observation(self.env.single_observation_space, self.infos, lane)
        info = final_info(self.infos, lane, self.env.num_envs)
        return Outcome(observation, info, ABSENT if self.frames is None else None)

    def _info(self, infos: Any, lane: int) -> Any:
        return lane_info(infos, lane, self.env.num_envs) if type(infos) is dict else infos


class VectorRerun:
    """Resets and steps a vector environment, made like the recorded one, as the recorded agent did.

    Args:
        recording: The recording.
        env: The environment.
        mode: How it resets its environments.
    """

    def __init__(self, recording: Recording, env: VectorEnv[Any, Any, Any], mode: AutoresetMode) -> None:
        self._env = env
        self._has_finals = mode is AutoresetMode.SAME_STEP
        # Rendering may draw random numbers, so render exactly where the recorder did.
        renders = recording.metadata.get("frames") == "render"
        self._frames = choose_vector_frames(env, "render" if renders else False, range(env.num_envs))
        self._idle_action: Any = None

    def apply(self, event: LanesReset | LanesStepped) -> BatchOutcome:
        """Do what was done.

        Raises:
            NotReplayableError: If the file has an action, or the options of the reset, only as text.
        """
        self._frames.forget()
        return self._reset(event) if isinstance(event, LanesReset) else self._step(event)

    def _reset(self, event: LanesReset) -> BatchOutcome:
        options = copy.deepcopy(next(iter(event.begun.values())).options)
        check_exact("reset options", options)
        if not event.is_full:
            mask = np.zeros(self._env.num_envs, np.bool_)
            mask[list(event.begun)] = True
            options = {**(options or {}), "reset_mask": mask}
        observations, infos = self._env.reset(seed=self._seed(event.begun), options=options)
        return BatchOutcome(self._env, observations, infos, self._frames.capture(), None, has_finals=False)

    def _step(self, event: LanesStepped) -> BatchOutcome:
        actions = {lane: episode.actions[step] for lane, (episode, step) in event.stepped.items()}
        for action in actions.values():
            check_exact("an action", action)
        if actions:
            self._idle_action = next(iter(actions.values()))
        # A lane that is reset, or waits, ignores its action: it gets one that is valid.
        batch = [actions.get(lane, self._idle_action) for lane in range(self._env.num_envs)]
        result = self._env.step(_in_batch(self._env.single_action_space, batch))
        observations, rewards, terminations, truncations, infos = result
        step = (rewards, terminations, truncations)
        return BatchOutcome(self._env, observations, infos, self._frames.capture(), step, self._has_finals)

    def _seed(self, begun: Mapping[int, Episode]) -> Any:
        """The argument that gave the lanes their seeds. Gymnasium counts up from a single number."""
        seeds: list[int | None] = [None] * self._env.num_envs
        for lane, episode in begun.items():
            seeds[lane] = episode.seed
        firsts = {None if (seed := seeds[lane]) is None else seed - lane for lane in begun}
        if len(firsts) == 1:
            return firsts.pop()
        takes_arrays = type(self._env.unwrapped).__module__.startswith("ale_py.") and None not in seeds
        return np.array(seeds) if takes_arrays else seeds


def _in_batch(space: Space[Any], actions: Sequence[Any]) -> Any:
    """The batch of actions, in their own dtype: it may be another one than the space declares."""
    if isinstance(space, spaces.Dict) and all(isinstance(each, dict) for each in actions):
        return {key: _in_batch(each, [action[key] for action in actions]) for key, each in space.spaces.items()}
    if isinstance(space, spaces.Tuple) and all(isinstance(each, tuple) for each in actions):
        return tuple(
            _in_batch(each, parts) for each, parts in zip(space.spaces, zip(*actions, strict=True), strict=True)
        )
    is_array = isinstance(space, (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary))
    return np.array(actions) if is_array else tuple(copy.deepcopy(list(actions)))

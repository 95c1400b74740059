"""``executed_actions``: the actions that the Arcade Learning Environment executed when actions stick.

With sticky actions (Machado et al., "Revisiting the Arcade Learning Environment", JAIR 61, 2018) ALE repeats the
previous action in each emulated frame with some probability. It does not report this. But it draws from its own
Mersenne twister, whose state is in the snapshot of the episode. So the episode is run again, and a copy of the twister
makes the same draws. At the end both twisters must be in the same state.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np

from gym_h5record.errors import DivergedError, UnsupportedEnvError
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.snapshots.ale import is_ale, twisters
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.recorder.snapshots.snapshot_set import SnapshotSet, make_snapshot_set
from gym_h5record.replay.branching import RerunSetup, at_branch_point
from gym_h5record.replay.episode_check import go_to
from gym_h5record.replay.lineage import chosen_numbers, since_known_reset
from gym_h5record.replay.outcome_comparison import make_comparison_rules
from gym_h5record.replay.rebuild import EnvFactory, build_env, close_if_built
from gym_h5record.replay.rerun import Outcome, Rerun
from gym_h5record.replay.vector_description import check_lanes_alone

__all__ = ["executed_actions"]

_NOOP = 0
_PADDING = -1
_DRAWS = 2  # per frame: one for each player


def executed_actions(
    path: str | os.PathLike[str],
    episode: int,
    *,
    env: EnvFactory | None = None,
    ignore: str | Sequence[str] = (),
    snapshots: Sequence[SnapshotProvider] = (),
) -> np.ndarray:
    """The actions that ALE executed in an episode, frame by frame.

    The episode is run again and compared with the recording at every step.

    Args:
        path: A recording of an Atari environment, with any wrappers.
        episode: Number of the episode; negative ones count from the end.
        env: The environment, or a function that makes one; None to make it from the file.
        ignore: Paths into infos that are not compared, as for ``verify``.
        snapshots: Providers for simulators that this package does not know.

    Returns:
        An int64 array of shape ``(T, F)``. It has the id of ALE's action for each step and each of its frames (0 is no
        operation, 1 fire, ...). Rows of steps with fewer than F frames end with -1.

    Raises:
        OptionError: If the episode does not exist.
        UnsupportedEnvError: If the recorded environment is not one of ALE.
        NotReplayableError: If the episode cannot be run again, as those of lanes that were stepped together.
        DivergedError: If the environment does something else than was recorded, or ALE's
            generator and its copy are in different states at the end.
    """
    setup = RerunSetup(env, tuple(snapshots), make_comparison_rules(ignore=ignore))
    with Recording(path) as recording, ExitStack() as stack:
        (number,) = chosen_numbers(recording, [episode])
        check_lanes_alone(recording)
        setup = setup.for_lanes_of(recording)
        live = build_env(recording, env)
        stack.callback(close_if_built, live, env)
        if not is_ale(live.unwrapped):
            name = type(live.unwrapped).__qualname__
            raise UnsupportedEnvError(f"{name} is no environment of ALE: no action sticks.")
        episodes = since_known_reset(recording, number)
        with _following(live) as follower:  # before at_branch_point: a branch continues the game of its parent
            begun = at_branch_point(live, recording, episodes[0].number, setup)
            rerun = _FrameCountingRerun(recording, begun, make_snapshot_set(setup.providers), follower)
            go_to(rerun, episodes, episodes[-1].length, setup.rules, restore_all=True)
            follower.check()
    steps = [follower.executed[start:stop] for start, stop in pairwise(rerun.frames)]
    width = max(map(len, steps), default=0)
    return np.array([[*step, *[_PADDING] * (width - len(step))] for step in steps], np.int64).reshape(len(steps), width)


class _FrameCountingRerun(Rerun):
    """Keeps the number of frames before the first step of the last episode, and after each of its steps."""

    def __init__(
        self, recording: Recording, env: gym.Env[Any, Any], snapshots: SnapshotSet, follower: _TwisterFollower
    ) -> None:
        super().__init__(recording, env, snapshots)
        self._follower = follower
        self.frames: list[int] = []

    def begin(self, episode: Episode, *, restore: bool) -> Outcome:
        outcome = super().begin(episode, restore=restore)
        self.frames = [len(self._follower.executed)]
        return outcome

    def step(self, action: Any) -> Outcome:
        outcome = super().step(action)
        self.frames.append(len(self._follower.executed))
        return outcome


@contextmanager
def _following(env: gym.Env[Any, Any]) -> Iterator[_TwisterFollower]:
    inner: Any = env.unwrapped
    follower = _TwisterFollower(inner.ale)
    inner.ale = follower
    try:
        yield follower
    finally:
        inner.ale = follower.ale


class _TwisterFollower:
    """Stands in for ALE's interface and draws the same random numbers as ALE.

    Attributes:
        ale: ALE's interface.
        executed: The action executed in each frame since the last reset of the game.
    """

    def __init__(self, ale: Any) -> None:
        self.ale = ale
        self.executed: list[int] = []
        self._stickiness = float(ale.getFloat("repeat_action_probability"))
        self._twister = np.random.MT19937()
        self._current = _NOOP

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ale, name)

    def reset_game(self) -> None:
        """Reset the game. ALE then repeats no action from before the reset."""
        self.ale.reset_game()
        self._twister.state = self._state()  # type: ignore[assignment]  # the stub wants more keys than NumPy needs
        self._current = _NOOP
        self.executed.clear()

    def act(self, action: Any, *strength: Any) -> Any:
        """Run one frame."""
        draw = self._twister.random_raw(_DRAWS)[0]
        if draw / 2**32 >= self._stickiness:
            self._current = int(action.value)
        self.executed.append(self._current)
        return self.ale.act(action, *strength)

    def check(self) -> None:
        """Raise DivergedError unless ALE's generator is in the state of the copy."""
        found, expected = self._state()["state"], self._twister.state["state"]
        if found["pos"] != expected["pos"] or not np.array_equal(found["key"], expected["key"]):
            raise DivergedError("ALE has drawn random numbers for something else than sticky actions.")

    def _state(self) -> dict[str, Any]:
        *key, position = twisters(self.ale.cloneState(include_rng=True).serialize())[1]
        return {"bit_generator": "MT19937", "state": {"key": np.array(key, np.uint32), "pos": position}}

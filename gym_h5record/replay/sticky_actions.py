"""Which actions the Arcade Learning Environment executed, when actions stick.

With sticky actions (Machado et al., "Revisiting the Arcade Learning Environment", JAIR
61, 2018) each emulated frame goes on with the action before, with some
probability. ALE does not tell; but it decides by its own Mersenne twister, whose state is
part of what was recorded before the reset. So an episode is run again, and the twister
beside it. At the end both have to be in the same state.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np

from gym_h5record.errors import DivergedError, OptionError, UnsupportedEnvError
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.snapshots.ale import is_ale, twisters
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.recorder.snapshots.snapshot_set import SnapshotSet, make_snapshot_set
from gym_h5record.replay.branching import standing
from gym_h5record.replay.episode_check import Comparison, go_to, make_comparison
from gym_h5record.replay.lineage import alone
from gym_h5record.replay.rebuild import EnvFactory, build_env
from gym_h5record.replay.rerun import Outcome, Rerun

__all__ = ["executed_actions"]


_NOOP = 0
_PADDING = -1
_DRAWS = 2  # a frame: one for each player


def executed_actions(
    path: str | os.PathLike[str],
    episode: int,
    env: EnvFactory | None = None,
    *,
    ignore: str | Sequence[str] = (),
    snapshots: Sequence[SnapshotProvider] = (),
) -> np.ndarray:
    """The actions that ALE executed in an episode, frame by frame.

    The episode is run again, and has to give what was recorded at every step.

    Args:
        path: A recording of an Atari environment, wrapped in any way.
        episode: Number of the episode; negative ones count from the end.
        env: The environment, or a function that makes one; None to make it from the file.
        ignore: Paths into infos that are not compared, as for ``verify``.
        snapshots: Providers for simulators that are not known here.

    Returns:
        An int64 array of shape ``(T, F)``: for each step the ids of ALE's actions (0 is no
        operation, 1 fire, ...) in each of its frames; -1 behind the last one of steps that had fewer.

    Raises:
        OptionError: If there is no such episode.
        UnsupportedEnvError: If it is no environment of ALE.
        NotReplayableError: If the episode cannot be run again.
        DivergedError: If the environment does not do again what was recorded, or ALE's
            generator is not where it should be at the end.
    """
    with Recording(path) as recording:
        if not -recording.num_episodes <= episode < recording.num_episodes:
            raise OptionError(f"episode={episode}: {recording.path} has {recording.num_episodes} episodes.")
        live = build_env(recording, env)
        try:
            comparison = make_comparison(ignore=ignore)
            number = recording.episodes[episode].number
            steps = _executed(recording, number, live, comparison, make_snapshot_set(tuple(snapshots)))
        finally:
            if not isinstance(env, gym.Env):
                live.close()
    width = max(map(len, steps), default=0)
    return np.array([[*step, *[_PADDING] * (width - len(step))] for step in steps], np.int64).reshape(len(steps), width)


def _executed(
    recording: Recording, number: int, live: gym.Env[Any, Any], comparison: Comparison, snapshots: SnapshotSet
) -> list[list[int]]:
    if not is_ale(live.unwrapped):
        raise UnsupportedEnvError(f"{type(live.unwrapped).__qualname__} is no environment of ALE: no action sticks.")
    chain = alone(recording, number)
    with _listening(live) as listener:  # also on the way to where a branch begins
        begun = standing(live, recording, chain[0].number, snapshots, comparison)
        rerun = _Counting(recording, begun, snapshots, listener)
        where = go_to(rerun, chain, chain[-1].length, comparison, restore_all=True)
        if where is not None:
            raise DivergedError(f"{recording.path}: the environment does not do what was recorded: {where}.")
        listener.check()
    return [listener.executed[start:stop] for start, stop in pairwise(rerun.frames)]


class _Counting(Rerun):
    """Notes how many frames there were before the episode's first step, and after each of its steps."""

    def __init__(
        self, recording: Recording, env: gym.Env[Any, Any], snapshots: SnapshotSet, listener: _Listener
    ) -> None:
        super().__init__(recording, env, snapshots)
        self._listener = listener
        self.frames: list[int] = []

    def begin(self, episode: Episode, *, restore: bool) -> Outcome:
        outcome = super().begin(episode, restore=restore)
        self.frames = [len(self._listener.executed)]
        return outcome

    def step(self, action: Any) -> Outcome:
        outcome = super().step(action)
        self.frames.append(len(self._listener.executed))
        return outcome


@contextmanager
def _listening(env: gym.Env[Any, Any]) -> Iterator[_Listener]:
    inner: Any = env.unwrapped
    listener = _Listener(inner.ale)
    inner.ale = listener
    try:
        yield listener
    finally:
        inner.ale = listener.ale


class _Listener:
    """Stands before ALE's interface, and follows its generator.

    Attributes:
        ale: The interface.
        executed: What was executed since the game was reset, in each frame.
    """

    def __init__(self, ale: Any) -> None:
        self.ale = ale
        self.executed: list[int] = []
        self._sticks = float(ale.getFloat("repeat_action_probability"))
        self._twister = np.random.MT19937()
        self._current = _NOOP

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ale, name)

    def reset_game(self) -> None:
        """Reset the game: what was executed last is forgotten."""
        self.ale.reset_game()
        self._twister.state = self._state()  # type: ignore[assignment]  # words and position are all it needs
        self._current = _NOOP
        self.executed.clear()

    def act(self, action: Any, *strength: Any) -> Any:
        """One frame."""
        draw = self._twister.random_raw(_DRAWS)[0]
        if draw / 2**32 >= self._sticks:
            self._current = int(action.value)
        self.executed.append(self._current)
        return self.ale.act(action, *strength)

    def check(self) -> None:
        """Make sure that ALE's generator has gone the same way."""
        found, expected = self._state()["state"], self._twister.state["state"]
        if found["pos"] != expected["pos"] or not np.array_equal(found["key"], expected["key"]):
            raise DivergedError("ALE has drawn other random numbers than those that make actions stick.")

    def _state(self) -> dict[str, Any]:
        *key, position = twisters(self.ale.cloneState(include_rng=True).serialize())[1]
        return {"bit_generator": "MT19937", "state": {"key": np.array(key, np.uint32), "pos": position}}

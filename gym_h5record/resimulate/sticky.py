"""Which actions the Arcade Learning Environment executed, when actions stick.

With sticky actions (Machado et al., "Revisiting the Arcade Learning Environment", JAIR
61, 2018) each emulated frame goes on with the action before, with some
probability. ALE does not tell; but it decides by its own Mersenne twister, whose state is
part of what was recorded before the reset. So an episode is run again, and the twister
beside it. At the end both have to be in the same state.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np

from gym_h5record.errors import DivergedError, OptionError, UnsupportedEnvError
from gym_h5record.rebuild import EnvFactory, build_env
from gym_h5record.recording import Recording
from gym_h5record.resimulate.lineage import alone
from gym_h5record.resimulate.rerun import Rerun
from gym_h5record.snapshots import make_snapshots
from gym_h5record.snapshots.ale import twisters

__all__ = ["executed_actions"]

_NOOP = 0
_PADDING = -1
_DRAWS = 2  # a frame: one for each player


def executed_actions(path: str | os.PathLike[str], episode: int, env: EnvFactory | None = None) -> np.ndarray:
    """The actions that ALE executed in an episode, frame by frame.

    Args:
        path: A recording of an Atari environment, wrapped in any way.
        episode: Number of the episode; negative ones count from the end.
        env: The environment, or a function that makes one; None to make it from the file.

    Returns:
        An int64 array of shape ``(T, F)``: for each step the ids of ALE's actions (0 is no
        operation, 1 fire, ...) in each of its frames; -1 behind the last one of steps that had fewer.

    Raises:
        OptionError: If there is no such episode.
        UnsupportedEnvError: If it is no environment of ALE.
        NotReplayableError: If the episode cannot be run again.
        DivergedError: If ALE's generator is not where it should be at the end.
    """
    with Recording(path) as recording:
        if not -recording.num_episodes <= episode < recording.num_episodes:
            raise OptionError(f"episode={episode}: {recording.path} has {recording.num_episodes} episodes.")
        live = build_env(recording, env)
        try:
            steps = _executed(recording, recording.episodes[episode].number, live)
        finally:
            if not isinstance(env, gym.Env):
                live.close()
    width = max(map(len, steps), default=0)
    return np.array([[*step, *[_PADDING] * (width - len(step))] for step in steps], np.int64).reshape(len(steps), width)


def _executed(recording: Recording, number: int, live: gym.Env[Any, Any]) -> list[list[int]]:
    if type(live.unwrapped).__module__ != "ale_py.env":
        raise UnsupportedEnvError(f"{type(live.unwrapped).__qualname__} is no environment of ALE: no action sticks.")
    chain = alone(recording, number)
    rerun = Rerun(recording, live, make_snapshots(()))
    steps: list[list[int]] = []
    with _listening(live) as listener:
        for position, each in enumerate(chain):
            rerun.begin(each, restore=True)
            for step in range(each.length):
                done = len(listener.executed)
                rerun.step(each.actions[step])
                if position == len(chain) - 1:
                    steps.append(listener.executed[done:])
        listener.check()
    return steps


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

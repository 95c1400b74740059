"""What ``times=True`` and extras add to a recorded step.

    python scripts/bench_step.py --rounds 15

An environment that does nothing is recorded in four ways, in turn within a round. Every figure is the median over
rounds, in microseconds a step. The machine should do nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from gym_h5record import RecordToHDF5


class Idle(gym.Env[np.ndarray, Any]):
    """Returns the same observation at every step."""

    observation_space = gym.spaces.Box(-1, 1, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)
    observation = np.zeros(4, np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Begin."""
        return self.observation, {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Go on for ever."""
        return self.observation, 1.0, False, False, {}


def plain(env: Any, steps: int) -> None:
    """Steps without extras."""
    step = env.step
    for _ in range(steps):
        step(1)


def one_extra(env: Any, steps: int) -> None:
    """Steps with one number of the agent."""
    step, add_extras = env.step, env.add_extras
    for _ in range(steps):
        add_extras(value=1.2)
        step(1)


def two_extras(env: Any, steps: int) -> None:
    """Steps with two numbers of the agent."""
    step, add_extras = env.step, env.add_extras
    for _ in range(steps):
        add_extras(log_prob=-0.7, value=1.2)
        step(1)


WAYS: dict[str, tuple[dict[str, Any], Callable[[Any, int], None]]] = {
    "plain": ({}, plain),
    "times=True": ({"times": True}, plain),
    "one extra": ({}, one_extra),
    "two extras": ({}, two_extras),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20_000, help="of a way in a round")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        envs = {}
        for number, (name, (options, take_steps)) in enumerate(WAYS.items()):
            envs[name] = RecordToHDF5(Idle(), Path(folder) / f"{number}.h5", **options)
            envs[name].reset(seed=0)
            take_steps(envs[name], 100)  # the first step fixes the columns
        for _ in range(arguments.rounds):
            for name, (_, take_steps) in WAYS.items():
                start_s = time.perf_counter()
                take_steps(envs[name], arguments.steps)
                found[name].append((time.perf_counter() - start_s) / arguments.steps * 1e6)
        for env in envs.values():
            env.close()
    for name, each in found.items():
        added = statistics.median(us - base for us, base in zip(each, found["plain"], strict=True))
        print(f"{name:12} {statistics.median(each):6.2f} us a step, {added:+5.2f}")


if __name__ == "__main__":
    main()

"""Train a DQN of Stable-Baselines3 on CartPole from a recording: ``gym_h5record.sb3.ReplayBuffer``.

    python scripts/train_dqn.py                       # records into a temporary directory, 1 to 2 minutes
    python scripts/train_dqn.py run.h5 --steps 50000  # keeps the file

It prints the mean return of the greedy policy before and after, and where the samples came from. Only ``--memory-kib``
of the newest steps are kept in memory, so that most samples are read from the file, as in a run whose steps are many
and large. It fails if the policy has not learned. Needs ``pip install "gym_h5record[sb3]"``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import DQN

import gym_h5record as h5r
from gym_h5record.sb3 import ReplayBuffer

MUST_REACH = 100.0  # a random policy reaches 22, the best one 500; DQN reached 143, 500, 500 and 205 with seeds 0 to 3


def mean_return(model: DQN, num_episodes: int = 20) -> float:
    """The mean return of the greedy policy."""
    returns = []
    with gym.make("CartPole-v1") as env:
        for seed in range(num_episodes):
            observation, _ = env.reset(seed=1000 + seed)
            total, is_over = 0.0, False
            while not is_over:
                action, _ = model.predict(observation, deterministic=True)
                observation, reward, terminated, truncated, _ = env.step(int(action))
                total, is_over = total + float(reward), terminated or truncated
            returns.append(total)
    return float(np.mean(returns))


class TimedBuffer(ReplayBuffer):
    """Says how long recording and sampling took."""

    add_s = sample_s = 0.0
    num_samples = 0

    def add(self, *arguments: Any) -> None:
        begin = time.perf_counter()
        super().add(*arguments)
        self.add_s += time.perf_counter() - begin

    def sample(self, batch_size: int, env: Any = None) -> Any:
        begin = time.perf_counter()
        batch = super().sample(batch_size, env)
        self.sample_s += time.perf_counter() - begin
        self.num_samples += batch_size
        return batch


def train(path: Path, num_steps: int, memory_kib: int, seed: int) -> bool:
    """Train, print what happened, and return whether the policy has learned."""
    model = DQN(
        "MlpPolicy",
        gym.make("CartPole-v1"),
        learning_rate=1e-3,
        batch_size=64,
        buffer_size=100_000,
        learning_starts=1000,
        gamma=0.99,
        target_update_interval=10,
        train_freq=256,
        gradient_steps=128,
        exploration_fraction=0.16,
        exploration_final_eps=0.04,
        policy_kwargs={"net_arch": [256, 256]},
        replay_buffer_class=TimedBuffer,
        replay_buffer_kwargs={"path": path, "memory_bytes": memory_kib << 10, "mode": "w"},
        seed=seed,
        device="cpu",
    )
    before, begin = mean_return(model), time.perf_counter()
    model.learn(num_steps)
    wall_s, after = time.perf_counter() - begin, mean_return(model)
    buffer: Any = model.replay_buffer
    buffer.close()
    print(f"{num_steps:,} steps in {wall_s:.0f} s; mean return of 20 episodes: before {before:.1f}, after {after:.1f}")
    print(f"recording took {buffer.add_s:.1f} s, {buffer.add_s / num_steps * 1e6:.0f} microseconds a step")
    print(f"sampling took {buffer.sample_s:.1f} s, {buffer.num_samples / buffer.sample_s:,.0f} transitions a second")
    with h5r.Recording(path) as recording:
        first, last = (recording.returns[part].mean() for part in (slice(10), slice(-10, None)))
        print(f"{path.name}: {recording!r}, {path.stat().st_size / 1e6:.1f} MB")
        print(f"mean return of the first ten recorded episodes {first:.1f}, of the last ten {last:.1f}")
    return after > max(MUST_REACH, before)


def main() -> int:
    """Run with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path, help="the file to make; it is replaced if it exists")
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--memory-kib", type=int, default=64, help="memory for the newest steps")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the network is small: two threads take longer, on a busy machine ten times as long
    with tempfile.TemporaryDirectory() as directory:
        path = arguments.path or Path(directory) / "dqn.h5"
        return 0 if train(path, arguments.steps, arguments.memory_kib, arguments.seed) else 1


if __name__ == "__main__":
    sys.exit(main())

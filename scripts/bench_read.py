"""How fast a recording is read, against plain h5py on the same file and against the live environment.

    pip install "gym_h5record[atari]" && python scripts/bench_read.py --steps 5000 --rounds 5

Makes its own recordings in a temporary folder. Every figure is the median over rounds. What is compared is measured in
turn, within one round, in one process. The machine should do nothing else.

``random frame``, ``frames of ...``: Breakout in RGB, microseconds a frame, against ``dataset[row]`` and
``dataset[start:stop]`` of h5py. ``reward``, ``info``: one exact value at a random step. ``replay``: steps a second of
``ReplayFromHDF5`` with random actions, and of the live environment. ``validate``: milliseconds of
``validate(path, deep=True)``; to compare two versions of the package, run the script with PYTHONPATH set to each
checkout. ``open``: a recording of ``--many`` episodes of 100 steps, opened in a fresh interpreter until one of its
episodes is known, and how much memory that took.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import ale_py
import gymnasium as gym
import h5py
import numpy as np
from gymnasium.spaces import Box, Discrete

import gym_h5record as h5r

RANDOM_FRAMES = 500

OPEN = """
import json, resource, sys, time
import gym_h5record as h5r
h5r.Recording
memory_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start_s = time.perf_counter()
recording = h5r.Recording(sys.argv[1])
episode = recording.episodes[recording.num_episodes // 2]
opened_ms = (time.perf_counter() - start_s) * 1e3
grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_kib) / 1024
start_s = time.perf_counter()
recording.returns
returns_ms = (time.perf_counter() - start_s) * 1e3
print(json.dumps([recording.num_steps, recording.num_episodes, opened_ms, grown_mib, returns_ms]))
"""


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5000, help="steps of the Breakout recording  [5000]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--many", type=int, default=100_000, help="episodes of the large recording, 0 for none  [100000]"
    )
    arguments = parser.parse_args()
    gym.register_envs(ale_py)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "breakout.h5"
        record(path, arguments.steps)
        for name, (ours, theirs) in compare(path, arguments.rounds).items():
            against = (
                ""
                if theirs is None
                else f"   against {theirs:9.2f}   {max(ours, theirs) / min(ours, theirs):.2f} times"
            )
            print(f"{name:38} {ours:9.2f}{against}")
        if arguments.many:
            print_opening(Path(folder) / "many.h5", arguments.many, arguments.rounds)


def record(path: Path, steps: int) -> None:
    """Record Breakout with random actions."""
    with h5r.RecordToHDF5(gym.make("ALE/Breakout-v5"), path) as env:
        env.reset(seed=0)
        env.action_space.seed(0)
        for _ in range(steps):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                env.reset()


def compare(path: Path, rounds: int) -> dict[str, tuple[float, float | None]]:
    """Every figure of one recording: ours, and that of h5py or of the live environment."""
    with h5r.Recording(path) as recording, h5py.File(path) as file:
        measured = [one_round(path, recording, file["observations"], random.Random(each)) for each in range(rounds)]
    return {
        name: (median([each[name][0] for each in measured]), median([each[name][1] for each in measured]))
        for name in measured[0]
    }


def one_round(
    path: Path, recording: h5r.Recording, dataset: h5py.Dataset, chance: random.Random
) -> dict[str, tuple[float, float | None]]:
    """Measure everything once."""
    episodes = list(recording.episodes)
    longest = max(episodes, key=len)
    places = [(each := chance.choice(episodes), chance.randrange(len(each))) for _ in range(RANDOM_FRAMES)]
    rows = [episode.start + step for episode, step in places]
    frames, rewards, infos = (
        [(getattr(episode, name), step) for episode, step in places] for name in ("observations", "rewards", "infos")
    )
    start, stop = longest.start, longest.start + len(longest) + 1
    each_us = 1e6 / RANDOM_FRAMES
    num_rows = sum(len(each) + 1 for each in episodes)
    return {
        "random frame, us": (
            seconds(lambda: [column[step] for column, step in frames]) * each_us,
            seconds(lambda: [dataset[row] for row in rows]) * each_us,
        ),
        "frames of the longest episode in a slice, us": (
            seconds(lambda: longest.observations[:]) * 1e6 / (stop - start),
            seconds(lambda: dataset[start:stop]) * 1e6 / (stop - start),
        ),
        "frames of all episodes, each in a slice, us": (
            seconds(lambda: [len(each.observations[:]) for each in episodes]) * 1e6 / num_rows,
            seconds(lambda: [len(dataset[each.start : each.start + len(each) + 1]) for each in episodes])
            * 1e6
            / num_rows,
        ),
        "a reward, us": (seconds(lambda: [column[step] for column, step in rewards]) * each_us, None),
        "an info, us": (seconds(lambda: [column[step] for column, step in infos]) * each_us, None),
        "replay and live, steps a second": (
            steps_per_second(h5r.ReplayFromHDF5(path)),
            steps_per_second(gym.make("ALE/Breakout-v5")),
        ),
        "validate deep, ms": (seconds(lambda: h5r.validate(path, deep=True)) * 1e3, None),
    }


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    start_s = time.perf_counter()
    call()
    return time.perf_counter() - start_s


def steps_per_second(env: gym.Env, steps: int = 2000) -> float:
    """Steps a second of an environment with random actions, resets included; the first reset is not counted."""
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(steps)]
    start_s = time.perf_counter()
    for action in actions:
        if any(env.step(action)[2:4]):
            env.reset()
    taken_s = time.perf_counter() - start_s
    env.close()
    return steps / taken_s


def median(figures: list) -> float | None:
    """The median, None of nothing."""
    return None if None in figures else statistics.median(figures)


def print_opening(path: Path, num_episodes: int, rounds: int) -> None:
    """Print how long a large recording takes to open."""
    observations = np.random.default_rng(0).normal(size=(101, 4)).astype(np.float32)
    space = Box(-np.inf, np.inf, (4,), np.float32)
    flags = np.zeros(100, np.bool_)
    last = np.arange(100) == 99
    with h5r.Writer(path, observation_space=space, action_space=Discrete(2)) as writer:
        for _ in range(num_episodes):
            writer.append_episode(
                observations=observations, actions=np.zeros(100, np.int64), rewards=np.ones(100), terminations=last,
                truncations=flags,
            )  # fmt: skip
    runs = []
    for _ in range(rounds):
        done = subprocess.run([sys.executable, "-c", OPEN, str(path)], check=True, stdout=subprocess.PIPE)
        runs.append(json.loads(done.stdout))
    steps, episodes, opened_ms, grown_mib, returns_ms = (statistics.median(each) for each in zip(*runs, strict=True))
    print(
        f"open {steps:,} steps in {episodes:,} episodes: {opened_ms:.1f} ms, {grown_mib:.1f} MiB; "
        f"all returns {returns_ms:.1f} ms"
    )


if __name__ == "__main__":
    main()

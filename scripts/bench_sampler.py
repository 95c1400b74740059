"""How fast transitions are sampled from a file, against gathering them from memory.

    pip install "gym_h5record[atari,preprocessing]" && python scripts/bench_sampler.py --steps 20000 --rounds 3

Makes its own recordings in a temporary folder: Breakout in stacks of four 84x84 pictures, HalfCheetah (needs
``gymnasium[mujoco]``) and CartPole. Every figure is the median over rounds; what is compared is measured in turn,
within one round, in one process. The machine should do nothing else. A figure is samples per second, in batches of
``--batch``, and how many times that is the figure of the yardstick: Stable-Baselines3's ``ReplayBuffer.sample`` if it
is installed, else ``gather, copy``.

``gather``: NumPy takes random rows of arrays in memory that hold every observation and every next observation, as an
in-memory buffer has them. ``sb3``: the same from Stable-Baselines3's ``ReplayBuffer``, which makes tensors of them.
``gather, copy``: what that does with NumPy alone, which is to index the arrays and to copy what it found. torchrl and
robomimic are compared if they are installed; see ``scripts/sampling/peers.py``. The others are ``recording.sampler``
with these options, from a file that the operating system has in memory. The sizes are those of the file, and of the
arrays that ``gather`` reads. ``--long 100000`` adds a recording of 10 million steps, and one of 100,000 to compare.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
from sampling.peers import ways_of_peers

import gym_h5record as h5r

COLUMNS = ("observations", "next_observations", "actions", "rewards", "terminations", "dones")
MOST_S = 2.0  # some ways take a second a batch
OPTIONS: dict[str, dict[str, Any]] = {
    "uniform": {},
    "uniform, replace=True": {"replace": True},
    "chunk": {"order": "chunk"},
    'uniform, cache="low_dim"': {"cache": "low_dim"},
    'uniform, cache="compressed"': {"cache": "compressed"},
    'chunk, cache="compressed"': {"cache": "compressed", "order": "chunk"},
    'uniform, cache="all"': {"cache": "all"},
    'chunk, cache="all"': {"cache": "all", "order": "chunk"},
}


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20_000, help="steps of each recording  [20000]")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256, help="samples of a batch  [256]")
    parser.add_argument("--batches", type=int, default=100, help="batches measured in a round  [100]")
    parser.add_argument("--compression", default="gzip", help="of the recordings  [gzip]")
    parser.add_argument("--case", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--long", type=int, default=0, help="episodes of a long recording, 0 for none  [0]")
    arguments = parser.parse_args()
    gym.register_envs(ale_py)
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.case:
            path = Path(folder) / name / f"{name}.h5"
            path.parent.mkdir()
            record(CASES[name](), path, arguments.steps, arguments.compression)
            print_figures(name, path, arguments)
        if arguments.long:
            for num_episodes in (1000, arguments.long):
                print_long(num_episodes, Path(folder) / f"{num_episodes}.h5", arguments)


def stacked_breakout() -> gym.Env:
    """Breakout as DQN sees it."""
    env = gym.wrappers.AtariPreprocessing(gym.make("ALE/Breakout-v5", frameskip=1), frame_skip=4, screen_size=84)
    return gym.wrappers.FrameStackObservation(env, 4)


CASES: dict[str, Callable[[], gym.Env]] = {
    "breakout": stacked_breakout,
    "halfcheetah": lambda: gym.make("HalfCheetah-v5"),
    "cartpole": lambda: gym.make("CartPole-v1"),
}


def record(env: gym.Env, path: Path, steps: int, compression: str) -> None:
    """Record random actions."""
    with h5r.RecordToHDF5(env, path, frames=False, compression=compression) as recorder:
        recorder.reset(seed=0)
        recorder.action_space.seed(0)
        for _ in range(steps):
            if any(recorder.step(recorder.action_space.sample())[2:4]):
                recorder.reset()


def print_figures(name: str, path: Path, arguments: argparse.Namespace) -> None:
    """Measure everything on one recording, and print it."""
    with h5r.Recording(path) as recording:
        ways, memory_bytes = ways_to_sample(recording, arguments.batch, path.parent)
        figures: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(arguments.rounds):
            for way, sample in ways.items():
                sample()
                figures[way].append(arguments.batch / seconds_each(sample, arguments.batches))
    medians = {way: statistics.median(each) for way, each in figures.items()}
    yardstick = medians.get("sb3", medians["gather, copy"])
    print(f"\n{name}, {path.stat().st_size / 2**20:.1f} MiB on disk, {memory_bytes / 2**20:.0f} MiB as arrays")
    for way, figure in medians.items():
        print(f"{way:28} {figure:12,.0f} samples a second   {figure / yardstick:6.2f}")


def ways_to_sample(
    recording: h5r.Recording, batch_size: int, folder: Path
) -> tuple[dict[str, Callable[[], object]], int]:
    """What is compared, and the bytes of the arrays in memory."""
    columns = {name: np.asarray(getattr(recording.steps, name)) for name in COLUMNS}
    ways = {**ways_from_memory(columns, batch_size), **ways_of_peers(recording, columns, batch_size, folder)}
    for way, options in OPTIONS.items():
        sampler = recording.sampler(batch_size, **options)
        ways[way] = lambda sampler=sampler: next(iter(sampler))  # type: ignore[misc]
    return ways, sum(each.nbytes for each in columns.values())


def ways_from_memory(columns: dict[str, np.ndarray], batch_size: int) -> dict[str, Callable[[], object]]:
    """Rows of arrays, taken by NumPy."""
    random, count = np.random.default_rng(0), len(columns["rewards"])
    buffers = [each[:, None] for each in columns.values()]  # with an axis of environments

    def gather() -> list[np.ndarray]:
        rows = random.integers(0, count, batch_size)
        return [np.take(each, rows, axis=0) for each in columns.values()]

    def gather_and_copy() -> list[np.ndarray]:
        rows = np.random.randint(0, count, batch_size)  # as Stable-Baselines3 does
        return [np.array(each[rows, np.zeros_like(rows)]) for each in buffers]

    return {"gather": gather, "gather, copy": gather_and_copy}


def print_long(num_episodes: int, path: Path, arguments: argparse.Namespace) -> None:
    """Write episodes of 100 steps, as small as those of CartPole, and print what opening and sampling them takes."""
    random, count = np.random.default_rng(0), 100
    spaces = {"observation_space": gym.spaces.Box(-1, 1, (4,)), "action_space": gym.spaces.Discrete(2)}
    with h5r.Writer(path, **spaces) as writer:
        for _ in range(num_episodes):
            writer.append_episode(
                observations=random.random((count + 1, 4), np.float32),
                actions=random.integers(0, 2, count),
                rewards=np.ones(count),
                terminations=np.arange(count) == count - 1,
                truncations=np.zeros(count, np.bool_),
            )
    start_s = time.perf_counter()
    with h5r.Recording(path) as recording:
        times = [time.perf_counter() - start_s]
        sampler = recording.sampler(arguments.batch)
        times.append(time.perf_counter() - start_s)
        next(iter(sampler))
        times.append(time.perf_counter() - start_s)
        columns = {name: np.asarray(getattr(recording.steps, name)) for name in COLUMNS}
        ways = {**ways_from_memory(columns, arguments.batch), "sampler": lambda: next(iter(sampler))}
        each = {way: [seconds_each(sample, 1000) for _ in range(arguments.rounds)] for way, sample in ways.items()}
    print(f"\n{num_episodes * count:,} steps in {num_episodes:,} episodes: open {times[0] * 1e3:.1f} ms, ", end="")
    print(f"sampler after {times[1] * 1e3:.0f} ms, first batch after {times[2] * 1e3:.0f} ms, then a batch in ", end="")
    print(", ".join(f"{statistics.median(some) * 1e6:.0f} us ({way})" for way, some in each.items()))


def seconds_each(call: Callable[[], object], count: int) -> float:
    """How long a call takes, on average of ``count`` calls, or of as many as are made in ``MOST_S``."""
    start_s, made = time.perf_counter(), 0
    while made < count and time.perf_counter() - start_s < MOST_S:
        call()
        made += 1
    return (time.perf_counter() - start_s) / made


if __name__ == "__main__":
    main()

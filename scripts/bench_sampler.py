"""How fast transitions are sampled from a file, against gathering them from memory.

    pip install "gym_h5record[atari,preprocessing]" && python scripts/bench_sampler.py --steps 20000 --rounds 3

Makes its own recordings in a temporary folder: Breakout in stacks of four 84x84 pictures, and CartPole. Every figure is
the median over rounds; what is compared is measured in turn, within one round, in one process. The machine should do
nothing else. A figure is samples per second, in batches of ``--batch``, and how many times that is the figure of the
yardstick: Stable-Baselines3's ``ReplayBuffer.sample`` if it is installed, else ``gather, copy``.

``gather``: NumPy takes random rows of arrays in memory that hold every observation and every next observation, as an
in-memory buffer has them. ``sb3``: the same from Stable-Baselines3's ``ReplayBuffer``, which makes tensors of them.
``gather, copy``: what that does with NumPy alone, which is to index the arrays and to copy what it found. The others
are ``recording.sampler`` with these options, from a file that the operating system has in memory. The sizes are those
of the file, and of the arrays that ``gather`` reads.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np

import gym_h5record as h5r

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
    arguments = parser.parse_args()
    gym.register_envs(ale_py)
    with tempfile.TemporaryDirectory() as folder:
        for name, make in (("Breakout 84x84x4", stacked_breakout), ("CartPole", lambda: gym.make("CartPole-v1"))):
            path = Path(folder) / f"{name}.h5"
            record(make(), path, arguments.steps, arguments.compression)
            print_figures(name, path, arguments)


def stacked_breakout() -> gym.Env:
    """Breakout as DQN sees it."""
    env = gym.wrappers.AtariPreprocessing(gym.make("ALE/Breakout-v5", frameskip=1), frame_skip=4, screen_size=84)
    return gym.wrappers.FrameStackObservation(env, 4)


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
        ways, memory_bytes = ways_to_sample(recording, arguments.batch)
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


def ways_to_sample(recording: h5r.Recording, batch_size: int) -> tuple[dict[str, Callable[[], object]], int]:
    """What is compared, and the bytes of the arrays in memory."""
    steps = recording.steps
    names = ("observations", "next_observations", "actions", "rewards", "terminations", "dones")
    arrays = [np.asarray(getattr(steps, name)) for name in names]
    random = np.random.default_rng(0)

    def gather() -> list[np.ndarray]:
        rows = random.integers(0, len(steps), batch_size)
        return [np.take(each, rows, axis=0) for each in arrays]

    def gather_and_copy() -> list[np.ndarray]:
        rows = np.random.randint(0, len(steps), batch_size)  # as Stable-Baselines3 does
        return [np.array(each[rows, np.zeros_like(rows)]) for each in buffers]

    buffers = [each[:, None] for each in arrays]  # with an axis of environments
    ways: dict[str, Callable[[], object]] = {"gather": gather, "gather, copy": gather_and_copy}
    if importlib.util.find_spec("stable_baselines3") is not None:
        buffer = stable_baselines3_buffer(recording, dict(zip(names, arrays, strict=True)))
        ways["sb3"] = lambda: buffer.sample(batch_size)
    for way, options in OPTIONS.items():
        sampler = recording.sampler(batch_size, **options)
        ways[way] = lambda sampler=sampler: next(iter(sampler))  # type: ignore[misc]
    return ways, sum(each.nbytes for each in arrays)


def stable_baselines3_buffer(recording: h5r.Recording, arrays: dict[str, np.ndarray]) -> Any:
    """A buffer of Stable-Baselines3 with all steps in it."""
    import torch
    from stable_baselines3.common.buffers import ReplayBuffer

    torch.set_num_threads(1)  # as the samplers have: a batch is too small for two
    count = len(arrays["rewards"])
    buffer = ReplayBuffer(count, recording.observation_space, recording.action_space, device="cpu")
    for name in ("observations", "next_observations", "rewards", "dones"):
        getattr(buffer, name)[:] = arrays[name][:, None]
    buffer.actions[:] = arrays["actions"].reshape(count, 1, -1)
    buffer.full = True
    return buffer


def seconds_each(call: Callable[[], object], count: int) -> float:
    """How long a call takes, on average."""
    start_s = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start_s) / count


if __name__ == "__main__":
    main()

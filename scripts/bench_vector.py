"""How much do recorded vector environments slow down? Bare and recorded runs in turn, in one process.

    python scripts/bench_vector.py                                 # every case
    python scripts/bench_vector.py --case cartpole-256 --rounds 9
    python scripts/bench_vector.py --lanes                         # commits, size and memory of 1,024 lanes

Both runs of a round take the same steps with the same actions, in an order that changes from round to round. Ratios are
medians of the ratios within a round, over the steps alone: neither making, nor closing, nor the first ``--warm-up``
steps. What ``close`` takes has a column of its own. The pages of the journal, 64 MiB, are made while it is filled for
the first time: with a warm-up that fills it, the steps after that are measured.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

import gym_h5record as h5r


def atari(**options: Any) -> Any:
    """Eight environments of Breakout in ale-py's vector environment."""
    from ale_py.vector_env import AtariVectorEnv

    return AtariVectorEnv("breakout", num_envs=8, **options)


@dataclass(frozen=True)
class Case:
    """A vector environment, and how many steps of it are taken.

    Attributes:
        title: Its line in the table.
        make: Makes it.
        num_steps: Vector steps.
        target: The ratio to reach.
    """

    title: str
    make: Callable[[], Any]
    num_steps: int
    target: float


CASES = {
    "atari-84": Case("AtariVectorEnv of 8, 4x84x84", atari, 1500, 0.90),
    "atari-rgb": Case(
        "AtariVectorEnv of 8, RGB 210x160",
        lambda: atari(grayscale=False, stack_num=1, img_height=210, img_width=160),
        1200,
        0.90,
    ),
    "cartpole-256": Case("CartPoleVectorEnv of 256", lambda: CartPoleVectorEnv(256), 20_000, 0.5),
    "sync-cartpole-8": Case(
        "SyncVectorEnv of 8 CartPoles",
        lambda: gym.make_vec("CartPole-v1", num_envs=8, vectorization_mode="sync"),
        20_000,
        0.8,
    ),
}


def run(case: Case, path: Path | None, warm_up: int) -> tuple[float, float, float]:
    """Steps a second, bytes per step of one environment, seconds of ``close``; recorded if there is a path."""
    envs = case.make()
    num_envs = envs.num_envs
    actions = np.random.default_rng(0).integers(0, envs.single_action_space.n, (case.num_steps + warm_up, num_envs))
    if path is not None:
        envs = h5r.vector.RecordToHDF5(envs, path)
    envs.reset(seed=0)
    for each in actions[:warm_up]:
        envs.step(each)
    begun_s = perf_counter()
    for each in actions[warm_up:]:
        envs.step(each)
    took_s = perf_counter() - begun_s
    closing_s = perf_counter()
    envs.close()
    close_s = perf_counter() - closing_s
    size_bytes = 0 if path is None else path.stat().st_size
    return case.num_steps / took_s, size_bytes / (len(actions) * num_envs), close_s


def compare(case: Case, rounds: int, warm_up: int, folder: Path) -> str:
    """The line of a case."""
    ratios, bare, recorded, closes_s = [], [], [], []
    for number in range(rounds):
        order = (False, True) if number % 2 else (True, False)
        rates = {}
        for is_recorded in order:
            path = folder / f"{number}.h5" if is_recorded else None
            rates[is_recorded], size, close_s = run(case, path, warm_up)
            if path is not None:
                step_bytes = size
                closes_s.append(close_s)
                path.unlink()
        ratios.append(rates[True] / rates[False])
        bare.append(rates[False])
        recorded.append(rates[True])
    return (
        f"{case.title:34} {median(bare):9.0f} {median(recorded):9.0f} {median(ratios):7.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}) {case.target:7.2f} {step_bytes:10.1f} {median(closes_s):6.2f} s"
    )


def many_lanes(folder: Path) -> None:
    """Print what commits, the file and memory are like with 1,024 lanes."""
    path, num_envs = folder / "lanes.h5", 1024
    actions = np.random.default_rng(0).integers(0, 2, (100, num_envs))
    envs = h5r.vector.RecordToHDF5(CartPoleVectorEnv(num_envs), path, writer="inline", flush_interval_s=1e6)
    envs.reset(seed=0)
    took_ms: dict[int, list[float]] = {}
    for first, ticks in ((0, 1), (1, 1), (2, 1), (3, 10), (13, 10), (23, 50)):
        for step in range(first, first + ticks):
            envs.step(actions[step])
        begun_s = perf_counter()
        envs.flush()
        took_ms.setdefault(ticks, []).append(1000 * (perf_counter() - begun_s))
    for step in range(73, 100):
        envs.step(actions[step])
    envs.close()
    for ticks, each in took_ms.items():
        print(f"1,024 lanes: a commit of {ticks} steps takes {median(each):.1f} ms")
    print(f"1,024 lanes: a file of 100 steps has {path.stat().st_size / 1e6:.2f} MB")
    path.unlink()
    envs = h5r.vector.RecordToHDF5(CartPoleVectorEnv(num_envs), path)
    envs.reset(seed=0)
    for number in range(4000):
        envs.step(actions[number % 100])
        if number in (1000, 3999):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"1,024 lanes: after {number + 1} steps the stepping process has had at most {peak:.0f} MiB")
    envs.close()


def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES), help="what to record")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--warm-up", type=int, default=50, help="steps before those that are measured  [50]")
    parser.add_argument("--lanes", action="store_true", help="1,024 lanes instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.lanes:
            many_lanes(Path(folder))
            return
        print(f"{'':34} {'bare':>9} {'recorded':>9} {'ratio':>7} {'':14} {'target':>7} {'bytes/step':>10} {'close':>8}")
        for name in arguments.case:
            print(compare(CASES[name], arguments.rounds, arguments.warm_up, Path(folder)), flush=True)


if __name__ == "__main__":
    main()

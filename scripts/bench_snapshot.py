"""What does a snapshot before every reset cost? Times snapshots beside resets of the bare environment.

    python scripts/bench_snapshot.py                # a few seconds
    python scripts/bench_snapshot.py --pairs 2000

A snapshot keeps everything that a reset depends on. Snapshots and resets take turns; the table shows the medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings

import ale_py
import gymnasium as gym

from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set

ENVIRONMENTS = ("CartPole-v1", "LunarLander-v3", "HalfCheetah-v5", "ALE/Breakout-v5")


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200, help="snapshots and resets of each environment")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    gym.register_envs(ale_py)
    snapshots = make_snapshot_set(())
    print("| environment | snapshot, bytes | snapshot, microseconds | reset, microseconds | share |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in ENVIRONMENTS:
        env = gym.make(name)
        env.reset(seed=1)
        taking, resetting = [], []
        for _ in range(options.pairs):
            env.step(env.action_space.sample())
            started_s = time.perf_counter()
            taken = snapshots.take(env)
            between_s = time.perf_counter()
            env.reset()
            done_s = time.perf_counter()
            snapshots.complete(env, taken)
            taking.append(between_s - started_s + time.perf_counter() - done_s)
            resetting.append(done_s - between_s)
        cost_s, reset_s = statistics.median(taking), statistics.median(resetting)
        num_bytes = sum(map(len, taken.values()))
        print(f"| {name} | {num_bytes:,} | {cost_s * 1e6:.0f} | {reset_s * 1e6:,.0f} | {cost_s / reset_s:.1%} |")
        env.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a recording costs that has just begun: the first reset, a short run, and the close after a few steps.

    python scripts/bench_start.py --env ALE/Breakout-v5 --pairs 20

Every figure is the median over fresh interpreters, bare and recorded in turn. ``first reset`` is the wall time of the
first ``reset``; ``processor`` is the processor time of a run of ``--steps`` steps, imports included, of the stepping
process and of its writer together; ``close`` is the wall time of ``close`` after ten steps. To compare two versions of
the package, run the script with PYTHONPATH set to each checkout.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile

RUN = """
import json, resource, sys, time
import gymnasium as gym

env_id, folder, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
if env_id.startswith("ALE/"):
    import ale_py
    gym.register_envs(ale_py)
env = gym.make(env_id)
if folder:
    import gym_h5record as h5r
    env = h5r.RecordToHDF5(env, f"{folder}/run.h5")
start_s = time.perf_counter()
env.reset(seed=1)
reset_ms = (time.perf_counter() - start_s) * 1e3
env.action_space.seed(1)
for _ in range(steps):
    _, _, terminated, truncated, _ = env.step(env.action_space.sample())
    if terminated or truncated:
        env.reset()
start_s = time.perf_counter()
env.close()
close_ms = (time.perf_counter() - start_s) * 1e3
usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps([reset_ms, close_ms, sum(each.ru_utime + each.ru_stime for each in usages)]))
"""


def run(env_id: str, *, recorded: bool, steps: int) -> list[float]:
    """First reset and close in milliseconds and processor time in seconds, in a fresh interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", RUN, env_id, folder if recorded else "", str(steps)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder)
    figures: list[float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="ALE/Breakout-v5")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    long: dict[bool, list[list[float]]] = {True: [], False: []}
    short = []
    for _ in range(options.pairs):
        for recorded in (False, True):
            long[recorded].append(run(options.env, recorded=recorded, steps=options.steps))
        short.append(run(options.env, recorded=True, steps=10))
    bare, recorded_ = (
        [statistics.median(column) for column in zip(*long[each], strict=True)] for each in (False, True)
    )
    added_ms = statistics.median(b[0] - a[0] for a, b in zip(long[False], long[True], strict=True))
    print(f"{options.env}, {options.pairs} pairs")
    print(f"first reset   bare {bare[0]:.0f} ms, recorded {recorded_[0]:.0f} ms, added {added_ms:.0f} ms")
    print(f"processor     bare {bare[2]:.2f} s, recorded {recorded_[2]:.2f} s, {options.steps} steps")
    print(f"close         {statistics.median(each[1] for each in short):.0f} ms after ten steps")


if __name__ == "__main__":
    main()

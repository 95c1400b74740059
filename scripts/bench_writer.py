"""How fast ``Writer.append_episode`` takes whole episodes: small rows, and pictures.

    python scripts/bench_writer.py --runs 5

Each figure is the median over runs, each in a fresh interpreter. ``rows`` are those of CartPole, in episodes of 500 and
of 20 steps: steps per second. ``pictures`` are frames of CartPole, rendered once: megabytes of pixels per second. The
first number is the rate at which the calls return, the second one counts ``close`` too. To compare two versions of the
package, run the script with PYTHONPATH set to each checkout.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile

RUN = """
import json, sys, time
import gymnasium as gym
import numpy as np
import gym_h5record as h5r
from gymnasium.spaces import Box, Discrete

folder, writer, kind, length, episodes = *sys.argv[1:4], *map(int, sys.argv[4:])
if kind == "pictures":
    env = gym.make("CartPole-v1", render_mode="rgb_array")
    env.reset(seed=1)
    frames = []
    for step in range(30):
        env.step(step % 2)
        frames.append(env.render())
    observations = np.stack([frames[row % len(frames)] for row in range(length + 1)])
    space = Box(0, 255, observations.shape[1:], np.uint8)
    env.close()
else:
    observations = np.random.default_rng(0).normal(size=(length + 1, 4)).astype(np.float32)
    space = Box(-np.inf, np.inf, (4,), np.float32)
episode = {
    "observations": observations,
    "actions": np.arange(length) % 2,
    "rewards": np.ones(length),
    "terminations": np.arange(length) == length - 1,
}
file = h5r.Writer(f"{folder}/run.h5", observation_space=space, action_space=Discrete(2), writer=writer)
file.append_episode(**episode)  # opens the file
start_s = time.perf_counter()
for number in range(episodes):
    file.append_episode(**episode, seed=number)
returned_s = time.perf_counter() - start_s
file.close()
closed_s = time.perf_counter() - start_s
amount = observations[1:].nbytes / 1e6 if kind == "pictures" else length
print(json.dumps([amount * episodes / returned_s, amount * episodes / closed_s]))
"""

CASES = (("rows", 500, 6000), ("rows", 20, 10_000), ("pictures", 60, 40))
"""What is written, steps of an episode, and how many episodes."""


def run(writer: str, kind: str, length: int, episodes: int) -> list[float]:
    """The two rates of a case, in a fresh interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", RUN, folder, writer, kind, str(length), str(episodes)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder)
    figures: list[float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    for kind, length, episodes in CASES:
        for writer in ("process", "inline"):
            runs = [run(writer, kind, length, episodes) for _ in range(options.runs)]
            returned, closed = (statistics.median(column) for column in zip(*runs, strict=True))
            unit = "MB/s" if kind == "pictures" else "steps/s"
            what = f"{episodes} episodes of {length} steps"
            print(f"{kind:8}  {writer:7}  {what:27}  {returned:>9,.0f} {unit}, {closed:>9,.0f} with close")


if __name__ == "__main__":
    main()

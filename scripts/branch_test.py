"""Does a branch at any step of a game go on exactly as the recording did? Branches at random steps and compares.

    python scripts/branch_test.py                              # 100 branches in five games, 3 minutes on 2 cores
    python scripts/branch_test.py --branches 10 --seed 3

Records three RGB episodes of each game, with random actions and no seed. At a branch, the observation and
the info must equal those of the recording. Then the environment is given the recorded actions up to the end
of the episode, and everything that it returns must equal the recording. The exit code is 1 if one bit differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import ale_py
import gymnasium as gym
import numpy as np

import gym_h5record as h5r
from gym_h5record.values.exact import identical

GAMES = ("Breakout", "MsPacman", "Pong", "Qbert", "SpaceInvaders")
STEPS = 300


def record(path: Path, game: str) -> None:
    """Record three episodes."""
    env = h5r.RecordToHDF5(gym.make(f"ALE/{game}-v5"), path, writer="inline")
    env.action_space.seed(2)
    for _ in range(3):
        env.reset()
        for _ in range(STEPS):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                break
    env.close()


def goes_on(path: Path, episode: h5r.Episode, step: int) -> bool:
    """Branch, take the recorded actions, and compare everything with the recording."""
    env, observation, info = h5r.branch(path, episode.number, step, lookahead_steps=0)
    assert episode.infos is not None
    same = identical(observation, episode.observations[step]) and identical(info, episode.infos[step])
    for at in range(step, episode.length):
        observation, reward, terminated, truncated, info = env.step(episode.actions[at])
        found = (observation, reward, terminated, truncated, info)
        recorded = (
            *(episode.observations[at + 1], episode.rewards[at]),
            *(episode.terminations[at], episode.truncations[at], episode.infos[at + 1]),
        )
        same = same and identical(found, recorded)
    env.close()
    return same


def main() -> int:
    """Branch in every game, and print the table."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--branches", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    gym.register_envs(ale_py)
    rng = np.random.default_rng(options.seed)
    lines = [
        "| game | branches | steps played from there | go on exactly | do not |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    wrong = 0
    with tempfile.TemporaryDirectory() as directory:
        for number, game in enumerate(GAMES):
            path = Path(directory) / f"{game}.h5"
            record(path, game)
            count = options.branches // len(GAMES) + (number < options.branches % len(GAMES))
            exact = steps = 0
            with h5r.Recording(path) as recording:
                for _ in range(count):
                    episode = recording.episodes[int(rng.integers(recording.num_episodes))]
                    step = int(rng.integers(episode.length + 1))
                    exact += goes_on(path, episode, step)
                    steps += episode.length - step
            wrong += count - exact
            lines.append(f"| {game} | {count} | {steps:,} | {exact} | {count - exact} |")
            print(lines[-1], file=sys.stderr, flush=True)
    print("\n".join(lines))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())

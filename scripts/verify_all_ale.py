"""Does every game of ALE re-simulate bit for bit? Records each game and verifies it in fresh processes.

    python scripts/verify_all_ale.py                             # all v5 games, 10 minutes on 2 cores
    python scripts/verify_all_ale.py --games Breakout,Pong --steps 300
    python scripts/verify_all_ale.py --output table.md

Records three episodes of each game in one process, with random actions and the game's own sticky actions,
and cuts the middle episode short. The first reset is seeded in every other game; later resets never are.
Then each of the two later episodes is run again alone, in a process of its own, from the file, and
observations, rewards, flags and infos are compared. The exit code is 1 if an episode is not exact.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import ale_py
import gymnasium as gym

import gym_h5record as h5r

CUT = 0.6  # of the steps, for the episode in the middle


@dataclass(frozen=True)
class Found:
    """The result of one game: how many episodes were exact, and the problems of the others."""

    game: str
    seeded: bool
    steps: int
    exact: int
    other: tuple[str, ...]


def games() -> list[str]:
    """Ids of all v5 games."""
    gym.register_envs(ale_py)
    return sorted(each for each in gym.registry if each.startswith("ALE/") and each.endswith("-v5"))


def record(path: Path, game: str, steps: int, *, seeded: bool) -> None:
    """Record three episodes."""
    gym.register_envs(ale_py)
    env = h5r.RecordToHDF5(gym.make(game), path, writer="inline")
    env.action_space.seed(11)
    for episode in range(3):
        env.reset(seed=5 if seeded and not episode else None)
        for _ in range(int(steps * CUT) if episode == 1 else steps):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                break
    env.close()


def check(path: Path, episode: int) -> tuple[int, str]:
    """Verify one episode; its number of steps, and the problem, empty if it is exact."""
    (report,) = h5r.verify(path, episodes=[episode]).episodes
    is_exact = report.verdict is h5r.Verdict.EXACT and report.independent
    return report.num_steps, "" if is_exact else f"episode {episode}: {report.divergence or report.reason}"


def run(game: str, number: int, steps: int, directory: Path) -> Found:
    """Record a game and verify two episodes, each part in a process of its own."""
    path, seeded = directory / f"{number}.h5", number % 2 == 0
    results = []
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as fresh:
        fresh.submit(record, path, game, steps, seeded=seeded).result()
        results = [fresh.submit(check, path, episode).result() for episode in (1, 2)]
    path.unlink()
    wrong = tuple(problem for _, problem in results if problem)
    return Found(game, seeded, sum(each for each, _ in results), 2 - len(wrong), wrong)


def table(found: list[Found]) -> str:
    """The result as Markdown."""
    rows = [
        ("seeded first reset", [each for each in found if each.seeded]),
        ("never seeded", [each for each in found if not each.seeded]),
        ("**all**", found),
    ]
    lines = [
        "| ale-py " + ale_py.__version__ + " | games | episodes alone in a fresh process | steps | exact | not exact |"
    ]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, part in rows:
        exact, episodes = sum(each.exact for each in part), 2 * len(part)
        steps = sum(each.steps for each in part)
        lines.append(f"| {name} | {len(part)} | {episodes} | {steps:,} | {exact} | {episodes - exact} |")
    return "\n".join([*lines, *(f"\n{each.game}: {problem}" for each in found for problem in each.other)])


def main() -> int:
    """Verify the games, and print the table."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", help="names without ALE/ and -v5, with commas between them")
    parser.add_argument("--steps", type=int, default=200, help="most steps of an episode")
    parser.add_argument("--output", type=Path, help="also write the table")
    options = parser.parse_args()
    chosen = games()
    if options.games:
        chosen = [f"ALE/{name}-v5" for name in options.games.split(",")]
    found = []
    with tempfile.TemporaryDirectory() as directory:
        for number, game in enumerate(chosen):
            found.append(run(game, number, options.steps, Path(directory)))
            problems = "; ".join(found[-1].other) or "exact"
            print(f"{number + 1}/{len(chosen)} {game}: {problems}", file=sys.stderr, flush=True)
    text = table(found)
    print(text)
    if options.output:
        options.output.write_text(f"{text}\n")
    return int(any(each.other for each in found))


if __name__ == "__main__":
    sys.exit(main())

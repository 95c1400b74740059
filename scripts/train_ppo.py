"""Train PPO on eight CartPoles that are recorded: the weights stay the same, and a kill loses no step.

    python scripts/train_ppo.py                                  # trains, and prints the SHA-256 of the weights
    python scripts/train_ppo.py --record run.h5                  # the same, recorded
    python scripts/train_ppo.py --compare                        # without the recorder, and with both writers
    python scripts/train_ppo.py --kill-at 100 992 2500           # kills trainings after so many vector steps

``--compare`` and ``--kill-at`` compare every value of the files with what the agent gave and got. They fail if one
differs, or if a step is missing. A vector step is a step of all environments. Some of its steps only reset an
environment: they are not recorded. Needs ``pip install "gym_h5record[torch]"``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, median

from ppo.kills import WAYS, record_and_kill
from ppo.played import check_file, play
from ppo.training import Training, make_deterministic, make_envs

import gym_h5record as h5r


def train(seed: int, num_steps: int, path: Path | None = None, writer: str = "process") -> tuple[str, float]:
    """Train to the end, recorded or not, and print how it went.

    Returns:
        The SHA-256 of the weights, and the median of the seconds that a vector step of the environments took.
    """
    begin = time.perf_counter()
    envs = make_envs()
    if path is not None:
        envs = h5r.vector.RecordToHDF5(envs, path, writer=writer)
    training = Training(envs, seed, num_steps)
    weights, trained_s = training.run(), time.perf_counter() - begin
    envs.close()
    closing_s = time.perf_counter() - begin - trained_s
    step_s, ends = median(training.stepping_s), (training.returns[:20], training.returns[-20:])
    print(
        f"{'bare' if path is None else writer}: {len(training.stepping_s):,} vector steps in {trained_s:.1f} s; "
        f"median of a step {step_s * 1e6:.0f} microseconds; close took {closing_s:.2f} s; "
        "mean return of the first 20 episodes {:.0f}, of the last 20 {:.0f}; ".format(*map(mean, ends))
        + f"weights {weights}",
        flush=True,
    )
    return weights, step_s


def acknowledge(seed: int, num_steps: int, path: Path, writer: str, flush_interval_s: float) -> None:
    """Train, and write the number of each vector step that has returned."""
    envs = h5r.vector.RecordToHDF5(make_envs(), path, writer=writer, flush_interval_s=flush_interval_s)
    for count in Training(envs, seed, num_steps).steps():
        os.write(sys.stdout.fileno(), f"{count}\n".encode())
    envs.close()


def compare(folder: Path, seed: int, num_steps: int) -> bool:
    """Train without the recorder and with both writers, and check the files.

    Returns:
        Whether the weights are the same.
    """
    played, (bare, bare_s) = play(seed, num_steps), train(seed, num_steps)
    all_same = True
    for writer in ("process", "inline"):
        path = folder / f"{writer}.h5"
        weights, step_s = train(seed, num_steps, path, writer)
        num_recorded = check_file(path, played)
        print(
            f"{writer}: weights {'the same' if weights == bare else 'DIFFERENT'}; all of {num_recorded:,} recorded "
            f"steps as played; a vector step takes {(step_s - bare_s) * 1e6:.0f} microseconds more; "
            f"{path.stat().st_size / num_recorded:.0f} bytes a step",
            flush=True,
        )
        all_same = all_same and weights == bare
    return all_same


def kill_all(folder: Path, seed: int, num_steps: int, kill_at: list[int]) -> None:
    """Kill trainings after each number of vector steps, in every way, and check the files that are left."""
    for count in kill_at:
        for number, way in enumerate(WAYS):
            path = folder / f"{count}-{number}.h5"
            acknowledged = record_and_kill(path, seed, num_steps, count, way)
            h5r.repair(path)
            num_recorded = check_file(path, play(seed, num_steps, acknowledged))
            print(
                f"killed: {way}; {acknowledged} vector steps acknowledged; none of them is missing; all of "
                f"{num_recorded:,} recorded steps as played",
                flush=True,
            )


def main() -> int:
    """Run with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, metavar="PATH", help="the file to make")
    parser.add_argument("--steps", type=int, default=100_000, help="steps of all environments together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--writer", choices=("process", "inline"), default="process")
    parser.add_argument("--flush-interval-s", type=float, default=1.0)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--acknowledge", action="store_true", help="print the number of each vector step that returned")
    what.add_argument("--compare", action="store_true", help="compare with the training without the recorder")
    what.add_argument("--kill-at", type=int, nargs="+", metavar="COUNT", help="vector steps before a kill")
    arguments = parser.parse_args()
    seed, num_steps, path = arguments.seed, arguments.steps, arguments.record
    if arguments.acknowledge and path is None:
        parser.error("--acknowledge needs --record")
    make_deterministic()
    if arguments.acknowledge:
        acknowledge(seed, num_steps, path, arguments.writer, arguments.flush_interval_s)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if arguments.compare:
            return 0 if compare(Path(folder), seed, num_steps) else 1
        if arguments.kill_at:
            kill_all(Path(folder), seed, num_steps, arguments.kill_at)
            return 0
    train(seed, num_steps, path, arguments.writer)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How fast a video is made of a recording, against the encoder of Gymnasium's ``RecordVideo``.

    pip install "gym_h5record[atari,video]" moviepy && python scripts/bench_video.py --frames 5000 --rounds 3

Records Breakout in RGB as one episode. Every figure is the median over rounds, each way in a process of its own: the
time from the call to the finished file, the time until the first progress is reported, and how much the memory grows.
``RecordVideo`` keeps all frames in memory and gives them to moviepy at the end; that call alone is measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ale_py
import gymnasium as gym
import numpy as np

import gym_h5record as h5r

WAYS = ("to_video", "to_video, no captions, scale 1", "RecordVideo")


def record(path: Path, num_frames: int) -> None:
    """One episode with this many frames: an agent that steps on after the end of a game."""
    env = gym.make("ALE/Breakout-v5", max_num_frames_per_episode=0)
    env.reset(seed=0)
    env.action_space.seed(0)
    with h5r.Writer(path, observation_space=env.observation_space, action_space=env.action_space) as writer:
        frames, actions = [env.reset(seed=0)[0]], []
        while len(frames) < num_frames:
            actions.append(env.action_space.sample())
            frame, _, terminated, truncated, _ = env.step(actions[-1])
            frames.append(env.reset()[0] if terminated or truncated else frame)
        count = len(actions)
        writer.append_episode(
            observations=np.array(frames),
            actions=np.array(actions),
            rewards=np.zeros(count),
            terminations=np.arange(count) == count - 1,
            truncations=np.zeros(count, np.bool_),
        )


def measure(way: str, path: Path, out: Path) -> dict[str, float]:
    """Make the video, in this process."""
    first_s: list[float] = []
    before = peak_mib()

    def note(done: int, total: int) -> None:
        if not first_s:
            first_s.append(time.perf_counter() - start_s)

    if way == "RecordVideo":
        from moviepy.video.io.ImageSequenceClip import ImageSequenceClip

        with h5r.Recording(path) as recording:
            frames = list(np.asarray(recording[0].observations))
        start_s = time.perf_counter()
        ImageSequenceClip(frames, fps=30).write_videofile(str(out), logger=None)
    else:
        options = {} if way == "to_video" else {"overlay": (), "scale": 1}
        start_s = time.perf_counter()
        h5r.to_video(path, out, fps=30, on_progress=note, **options)
    elapsed_s = time.perf_counter() - start_s
    return {"s": elapsed_s, "first_s": first_s[0] if first_s else elapsed_s, "mib": peak_mib() - before}


def peak_mib() -> float:
    """The most memory that this process has had (``ru_maxrss`` would be that of its parent, if it had more)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=3, metavar=("WAY", "RECORDING", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    gym.register_envs(ale_py)
    if arguments.one:
        way, path, out = arguments.one
        print(json.dumps(measure(way, Path(path), Path(out))))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "breakout.h5"
        record(path, arguments.frames)
        for number in range(arguments.rounds):
            for way in WAYS:
                out = Path(folder) / f"{number}.mp4"
                command = [sys.executable, __file__, "--one", way, str(path), str(out)]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                found[way].append({**json.loads(output.splitlines()[-1]), "bytes": out.stat().st_size})
                out.unlink()
    for way, runs in found.items():
        keys = ("s", "first_s", "mib", "bytes")
        s, first_s, mib, size = (statistics.median(run[key] for run in runs) for key in keys)
        ratio = statistics.median(b["s"] / a["s"] for a, b in zip(runs, found["RecordVideo"], strict=True))
        print(f"{way:32} {s:6.2f} s, {ratio:.2f} times as fast as RecordVideo", end="")
        print(f", first progress after {first_s:.2f} s, ", end="")
        print(f"{mib:.0f} MiB of memory, {size / 2**20:.1f} MiB of video")


if __name__ == "__main__":
    main()

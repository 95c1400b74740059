"""Processes killed at random instants: every step that had returned is in the file.

A small matrix; each trial records in a subprocess that counts its completed
steps in a shared file, kills whom it is about to kill, and compares.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record import errors

RECORDER = """
import mmap, os, sys
import ale_py, gymnasium as gym, numpy as np
import gym_h5record as h5r
gym.register_envs(ale_py)
path, env_id, mode, writer, shared = sys.argv[1:]
with open(shared, "r+b") as file:
    counter = np.frombuffer(mmap.mmap(file.fileno(), 16), np.int64)
env = h5r.RecordToHDF5(gym.make(env_id), path, mode=mode, writer=writer, flush_interval_s=0.05)
env.action_space.seed(0)
env.reset(seed=0)
counter[1] = 1  # ready to be killed
while True:
    _, _, terminated, truncated, _ = env.step(env.action_space.sample())
    counter[0] += 1
    if terminated or truncated:
        env.reset()
"""


class Trial:
    """A recorder in a subprocess, and what it says it has done."""

    def __init__(self, path: Path, env_id: str, mode: str, writer: str) -> None:
        shared = path.with_suffix(".counter")
        shared.write_bytes(bytes(16))
        with shared.open("r+b") as file:
            self._counter = np.frombuffer(mmap.mmap(file.fileno(), 16), np.int64)
        command = [sys.executable, "-c", RECORDER, str(path), env_id, mode, writer, str(shared)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self._counter[1]:
            assert self.process.poll() is None, self.process.stderr.read().decode() if self.process.stderr else ""
            assert time.monotonic() < deadline, "the recorder did not start"
            time.sleep(0.005)

    @property
    def completed_steps(self) -> int:
        return int(self._counter[0])

    @property
    def writer_pid(self) -> int:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def end(self) -> str:
        """Wait for the recorder to be gone; what it said."""
        _, stderr = self.process.communicate(timeout=30)
        return stderr.decode()


def check_consistent(path: Path) -> None:
    """Fail unless plain h5py finds contiguous episodes and every row can be decoded."""
    with h5py.File(path) as file:
        rows, episodes = file["commit"][:]
        starts, lengths = file["episodes/starts"][:episodes], file["episodes/lengths"][:episodes]
        if not episodes:  # killed before its first row
            assert rows == 0
            return
        assert starts[0] == 0
        assert (starts[1:] == starts[:-1] + lengths[:-1] + 1).all()
        assert starts[-1] + lengths[-1] + 1 == rows
        dones = file["dones"][:rows]
        assert (dones == file["terminations"][:rows] | file["truncations"][:rows]).all()
        assert not dones[starts + lengths].any()
        assert len(file["observations"][:rows]) == rows


CASES = [
    ("CartPole-v1", "process", "recorder"),
    ("CartPole-v1", "process", "writer"),
    ("CartPole-v1", "process", "both"),
    ("ALE/Breakout-v5", "process", "both"),
    ("ALE/Breakout-v5", "inline", "recorder"),
]


@pytest.mark.skipif(sys.platform != "linux", reason="finds the writer through /proc")
@pytest.mark.parametrize(
    ("env_id", "writer", "victim"), CASES, ids=["-".join(case).replace("/", "_") for case in CASES]
)
def test_no_completed_step_is_lost_when_processes_are_killed(
    env_id: str, writer: str, victim: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.h5"
    chance = random.Random(f"{env_id} {writer} {victim}")
    completed = 0
    for cycle, mode in enumerate(("x", "a", "a")):
        trial = Trial(path, env_id, mode, writer)
        writer_pid = trial.writer_pid if writer == "process" else 0
        time.sleep(chance.uniform(0, 0.4))
        if victim in ("writer", "both"):
            os.kill(writer_pid, signal.SIGKILL)
        if victim in ("recorder", "both"):
            trial.process.kill()
        said = trial.end()
        if victim == "writer":
            assert "WriterError" in said
            assert "the writer process was killed by signal 9" in said
            assert str(path) in said
        completed += trial.completed_steps
        if cycle != 1:  # the second interruption is found by the third recorder, not by repair
            report = h5r.repair(path)
            # A step may have been kept whose return nobody lived to see.
            assert completed <= report.num_steps <= completed + cycle + 1
            check_consistent(path)
            completed = report.num_steps
    left = {each.name for each in tmp_path.iterdir()}
    assert left == {"run.h5", "run.counter"}


def test_an_interrupted_recording_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    trial = Trial(path, "CartPole-v1", "x", "inline")
    time.sleep(0.1)
    with pytest.raises(errors.RecordingInUseError, match="is being recorded"):
        h5r.Recording(path)
    trial.process.kill()
    trial.end()
    with pytest.raises(errors.InterruptedRecordingError, match=r"gym_h5record\.repair\("):
        h5r.Recording(path)
    h5r.repair(path)
    h5r.Recording(path).close()


def test_an_interrupted_recording_is_not_overwritten_by_mode_x(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    trial = Trial(path, "CartPole-v1", "x", "inline")
    trial.process.kill()
    trial.end()
    import gymnasium as gym

    path.unlink(missing_ok=True)  # even if only the journal is left
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), path)
    with pytest.raises(errors.RecordingExistsError, match="an interrupted recording has left"):
        env.reset()
    assert (tmp_path / "run.h5.journal").exists()


FULL_DISK = """
import resource, signal, sys
import gymnasium as gym
import numpy as np
import gym_h5record as h5r

class Noise(gym.Env):
    observation_space = gym.spaces.Box(0, 255, (64, 64), np.uint8)
    action_space = gym.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.integers(0, 256, (64, 64), np.uint8), {}
    def step(self, action):
        return self.np_random.integers(0, 256, (64, 64), np.uint8), 1.0, False, False, {}

path, writer = sys.argv[1:]
env = h5r.RecordToHDF5(Noise(), path, writer=writer, flush_interval_s=0.05)
env.reset(seed=0)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = 2 << 20
if writer == "process":
    import subprocess
    resource.prlimit(env._tape._session._worker._process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
steps = 0
try:
    for _ in range(20000):
        env.step(0)
        steps += 1
except h5r.errors.WriterError as error:
    print(steps)
    print(error)
    try:
        env.close()
    except OSError:
        print("said twice")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process's files")
@pytest.mark.parametrize("writer", ["process", "inline"])
def test_a_full_disk_is_an_error_in_step_and_no_step_is_lost_once_there_is_room(writer: str, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), writer], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    steps, message, *more = done.stdout.splitlines()
    assert not more
    assert str(path) in message
    assert "File too large" in message
    report = h5r.repair(path)
    assert int(steps) <= report.num_steps <= int(steps) + 1
    check_consistent(path)
    with h5r.Recording(path) as recording:
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(0)))
        for row in range(recording.num_rows):
            assert (recording.observations[row] == generator.integers(0, 256, (64, 64), np.uint8)).all()


def test_a_directory_that_vanishes_is_an_error_with_the_path(tmp_path: Path) -> None:
    import shutil

    import gymnasium as gym

    folder = tmp_path / "folder"
    folder.mkdir()
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), folder / "run.h5", flush_interval_s=0.01)
    env.reset(seed=0)
    shutil.rmtree(folder)
    with pytest.raises(errors.WriterError, match=r"run\.h5"):
        for _ in range(2000):
            _, _, terminated, truncated, _ = env.step(0)
            time.sleep(0.001)
            if terminated or truncated:
                env.reset()
    env.close()

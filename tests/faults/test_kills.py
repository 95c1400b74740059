"""Faults that users meet: a killed recorder, a full disk, a directory that vanishes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gymnasium as gym
import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record import errors
from tests.writing import each_writer

pytestmark = pytest.mark.compacted

RECORDER = """
import sys
import gymnasium as gym, gym_h5record as h5r
env = h5r.RecordToHDF5(gym.make("CartPole-v1"), sys.argv[1], writer="inline", flush_interval_s=0.05)
env.reset(seed=0)
env.step(0)
print("recording", flush=True)
while True:
    _, _, terminated, truncated, _ = env.step(env.action_space.sample())
    if terminated or truncated:
        env.reset()
"""


@contextmanager
def recorder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A recorder in a process of its own, which is killed at the end of the block."""
    with subprocess.Popen([sys.executable, "-c", RECORDER, path], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "recording\n"
            yield process
        finally:
            process.kill()


def check_consistent(path: Path) -> None:
    """Fail unless plain h5py finds contiguous episodes and every row can be decoded."""
    with h5py.File(path) as file:
        rows, episodes = file["commit"][:2]
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


def test_the_error_of_an_interrupted_recording_names_repair(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with recorder(path):
        time.sleep(0.1)
        with pytest.raises(errors.RecordingInUseError, match="is being recorded"):
            h5r.Recording(path)
    with pytest.raises(errors.InterruptedRecordingError, match=r"gym_h5record\.repair\("):
        h5r.Recording(path)
    h5r.repair(path)
    h5r.Recording(path).close()


def test_an_interrupted_recording_is_not_overwritten_by_mode_x(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with recorder(path):
        pass
    path.unlink(missing_ok=True)  # the journal alone protects the recording
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
    pid = env._recorder.stream.session._worker._process.pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
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
@each_writer
def test_a_full_disk_is_an_error_in_step_and_repair_then_brings_in_every_step(writer: str, tmp_path: Path) -> None:
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
            assert (recording.rows.observations[row] == generator.integers(0, 256, (64, 64), np.uint8)).all()


def test_the_error_of_a_directory_that_vanishes_names_the_path(tmp_path: Path) -> None:
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

"""Recordings of lanes after a kill: every step that had returned is there, in every lane."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import gym_h5record as h5r
from gym_h5record.values.exact import identical
from tests.scripted import Expected, actions_at, expected_episodes, functions, info, value

pytestmark = pytest.mark.compacted

LENGTHS = [(1, 3), (4, 1, 2), (10**9,), (2,), (7, 1)]
_FLUSH_EVERY = 9
_PATIENCE_S = 60.0


def _record(path: Path, kind: str, mode: AutoresetMode, writer: str, way: str, counter: mmap.mmap) -> None:
    """Record for ever, and count the steps that have returned in shared memory."""
    envs = h5r.vector.RecordToHDF5(
        SyncVectorEnv(functions(kind, LENGTHS), autoreset_mode=mode),
        path,
        writer=writer,
        mode=way,
        flush_interval_s=0.01,
        checksum=True,
    )
    envs.reset(seed=5)
    over = np.zeros(envs.num_envs, np.bool_)
    for step in range(10**9):
        if mode is AutoresetMode.DISABLED and over.any():
            envs.reset(options={"reset_mask": over})
        _, _, terminations, truncations, _ = envs.step(actions_at(step, envs.num_envs))
        over = terminations | truncations
        counter[:8] = (step + 1).to_bytes(8, "little")
        if step % _FLUSH_EVERY == _FLUSH_EVERY - 1:
            envs.flush()


def record_and_kill(path: Path, kind: str, mode: AutoresetMode, writer: str, steps: int, way: str = "x") -> int:
    """Record in a forked process until so many steps are acknowledged, and kill it. A new Python would take a second.

    Returns:
        The steps that were acknowledged.
    """
    counter = mmap.mmap(-1, 8)
    pid = os.fork()
    if not pid:
        try:
            _record(path, kind, mode, writer, way, counter)
        finally:
            os._exit(1)
    deadline_s = time.monotonic() + _PATIENCE_S
    while int.from_bytes(counter[:8], "little") < steps:
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), "the recorder has ended"
        assert time.monotonic() < deadline_s, "the recorder does not move"
        time.sleep(0.0005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return int.from_bytes(counter[:8], "little")


def _wanted(lane: int, mode: AutoresetMode, acknowledged: int) -> list[list[Expected]]:
    """What a lane may have: the acknowledged steps, or one more. An episode begins before or after the step itself."""
    before, after = (_of_lane(lane, mode, steps) for steps in (acknowledged, acknowledged + 1))
    wanted = [before, after]
    if after[-1].length == 0:
        wanted.append(after[:-1])
    if mode is AutoresetMode.DISABLED and before[-1].is_over:
        wanted.append([*before, Expected(lane, before[-1].number + 1)])
    return wanted


def check_lanes(path: Path, kind: str, mode: AutoresetMode, acknowledged: int) -> None:
    """Compare every lane with the environments; one step more than acknowledged may be there."""
    with h5r.Recording(path) as recording:
        for lane in range(len(LENGTHS)):
            found = list(recording.lane(lane))
            lengths = [each.length for each in found]
            wanted = _wanted(lane, mode, acknowledged)
            assert lengths in [[each.length for each in episodes] for episodes in wanted]
            its_episodes = next(each for each in wanted if [its.length for its in each] == lengths)
            for episode, its in zip(found, its_episodes, strict=True):
                rows = [(lane, its.number, step) for step in range(episode.length + 1)]
                assert all(map(identical, episode.observations, [value(kind, *place) for place in rows]))
                assert all(map(identical, episode.infos, [info(*place) for place in rows]))
                assert list(episode.actions) == its.actions


def _of_lane(lane: int, mode: AutoresetMode, steps: int) -> list[Expected]:
    expected = [each for each in expected_episodes(LENGTHS, mode, steps) if each.lane == lane]
    return sorted(expected, key=lambda each: each.number)


@pytest.mark.long
@pytest.mark.sampled(2)
@pytest.mark.parametrize("mode", list(AutoresetMode), ids=[mode.name for mode in AutoresetMode])
@pytest.mark.parametrize(("writer", "kind"), [("process", "tuple"), ("inline", "dict")], ids=["process", "inline"])
def test_no_step_of_any_lane_is_lost(mode: AutoresetMode, writer: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "lanes.h5"
    acknowledged = record_and_kill(path, kind, mode, writer, 61)
    report = h5r.repair(path)
    assert report.ok
    check_lanes(path, kind, mode, acknowledged)
    assert not h5r.validate(path, deep=True)


@pytest.mark.long
def test_lanes_that_were_killed_are_recorded_on(tmp_path: Path) -> None:
    path, mode = tmp_path / "lanes.h5", AutoresetMode.SAME_STEP
    first = record_and_kill(path, "custom", mode, "inline", 40)
    second = record_and_kill(path, "custom", mode, "inline", 23, way="a")
    h5r.repair(path)
    assert not h5r.validate(path, deep=True)
    with h5r.Recording(path) as recording:
        for lane in range(len(LENGTHS)):
            lengths = [each.length for each in recording.lane(lane)]
            places = [each.infos[0]["place"].tolist() for each in recording.lane(lane)]
            wanted = [_wanted(lane, mode, steps) for steps in (first, second)]
            chains = [one + other for one in wanted[0] for other in wanted[1]]
            assert lengths in [[each.length for each in chain] for chain in chains]
            assert places in [[[lane, each.number, 0] for each in chain] for chain in chains]


def test_the_recorder_closes_lanes_when_the_program_ends(tmp_path: Path) -> None:
    program = """
import sys
from gymnasium.vector import AutoresetMode, SyncVectorEnv
import gym_h5record as h5r
from tests.faults.test_lanes_killed import LENGTHS
from tests.scripted import drive, functions
envs = h5r.vector.RecordToHDF5(SyncVectorEnv(functions("box", LENGTHS)), sys.argv[1])
drive(envs, AutoresetMode.NEXT_STEP, 20)
"""
    path = tmp_path / "lanes.h5"
    subprocess.run([sys.executable, "-c", program, os.fspath(path)], check=True)
    check_lanes(path, "box", AutoresetMode.NEXT_STEP, 20)
    assert [each.name for each in tmp_path.iterdir()] == ["lanes.h5"]


def test_dropping_the_wrapper_completes_the_file(tmp_path: Path) -> None:
    def record() -> None:
        envs: Any = h5r.vector.RecordToHDF5(SyncVectorEnv(functions("box", LENGTHS)), tmp_path / "lanes.h5")
        envs.reset()
        envs.step(actions_at(0, len(LENGTHS)))

    record()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        assert recording.num_steps == len(LENGTHS)

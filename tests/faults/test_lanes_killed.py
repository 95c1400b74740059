"""Recordings of lanes after a kill: every step that had returned is there, in every lane."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import gym_h5record as h5r
from gym_h5record.values.exact import identical
from tests.scripted import Expected, actions_at, expected_episodes, functions, info, value

LENGTHS = [(1, 3), (4, 1, 2), (10**9,), (2,), (7, 1)]
_VICTIM = """
import os, sys
from gymnasium.vector import AutoresetMode, SyncVectorEnv
import gym_h5record as h5r
from tests.faults.test_lanes_killed import LENGTHS
from tests.scripted import actions_at, drive, functions

path, kind, mode, writer, flush_every, way = sys.argv[1:]
mode = AutoresetMode[mode]
envs = h5r.vector.RecordToHDF5(
    SyncVectorEnv(functions(kind, LENGTHS), autoreset_mode=mode), path, writer=writer, mode=way, flush_interval_s=0.01
)
for step in range(10**9):
    drive(envs, mode, 1, start=step)
    if step % int(flush_every) == int(flush_every) - 1:
        envs.flush()
    sys.stdout.write(f"{step + 1}\\n")
    sys.stdout.flush()
"""


def record_and_kill(path: Path, kind: str, mode: AutoresetMode, writer: str, steps: int, way: str = "x") -> int:
    """Record until so many steps are acknowledged, and kill the recorder.

    Returns:
        The steps that were acknowledged.
    """
    command = [sys.executable, "-c", _VICTIM, os.fspath(path), kind, mode.name, writer, "9", way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        acknowledged = 0
        for line in victim.stdout or ():
            acknowledged = int(line)
            if acknowledged == steps:
                victim.send_signal(signal.SIGKILL)
        return acknowledged


def check_lanes(path: Path, kind: str, mode: AutoresetMode, acknowledged: int, *, skip: int = 0) -> None:
    """Compare every lane with the environments; one step more than acknowledged may be there."""
    with h5r.Recording(path) as recording:
        for lane in range(len(LENGTHS)):
            found = list(recording.lane(lane))[skip:]
            wanted = [_of_lane(lane, mode, steps) for steps in (acknowledged, acknowledged + 1)]
            shapes = [[each.length for each in episodes] for episodes in wanted]
            if wanted[1][-1].length == 0:  # killed before the first row of an episode that the step also begins
                shapes.append(shapes[1][:-1])
            assert [each.length for each in found] in shapes
            for episode, its in zip(found, wanted[1], strict=False):
                rows = [(lane, its.number, step) for step in range(episode.length + 1)]
                assert all(map(identical, episode.observations, [value(kind, *place) for place in rows]))
                assert all(map(identical, episode.infos, [info(*place) for place in rows]))
                assert list(episode.actions) == its.actions[: episode.length]


def _of_lane(lane: int, mode: AutoresetMode, steps: int) -> list[Expected]:
    expected = [each for each in expected_episodes(LENGTHS, mode, steps) if each.lane == lane]
    return sorted(expected, key=lambda each: each.number)


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=[mode.name for mode in AutoresetMode])
@pytest.mark.parametrize(("writer", "kind"), [("process", "tuple"), ("inline", "dict")], ids=["process", "inline"])
def test_no_step_of_any_lane_is_lost(mode: AutoresetMode, writer: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "lanes.h5"
    acknowledged = record_and_kill(path, kind, mode, writer, 61)
    report = h5r.repair(path)
    assert report.ok
    check_lanes(path, kind, mode, acknowledged)
    assert not h5r.validate(path, deep=True)


def test_lanes_that_were_killed_are_recorded_on(tmp_path: Path) -> None:
    path, mode = tmp_path / "lanes.h5", AutoresetMode.SAME_STEP
    first = record_and_kill(path, "custom", mode, "inline", 40)
    second = record_and_kill(path, "custom", mode, "inline", 23, way="a")
    h5r.repair(path)
    with h5r.Recording(path) as recording:
        episodes = [each.env for each in recording]
    assert not h5r.validate(path, deep=True)
    for lane in range(len(LENGTHS)):
        before = len(_of_lane(lane, mode, first))
        assert episodes.count(lane) in (before + len(_of_lane(lane, mode, steps)) for steps in (second, second + 1))
    check_lanes_after(path, mode, first, second)


def check_lanes_after(path: Path, mode: AutoresetMode, first: int, second: int) -> None:
    """Compare the episodes that were recorded after the first kill."""
    with h5r.Recording(path) as recording:
        for lane in range(len(LENGTHS)):
            skip = [len(_of_lane(lane, mode, steps)) for steps in (first, first + 1)]
            lengths = [each.length for each in recording.lane(lane)]
            wanted = [[each.length for each in _of_lane(lane, mode, steps)] for steps in (second, second + 1)]
            assert any(lengths[each:] == lengths_of for each in skip for lengths_of in wanted)


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

"""Ctrl-C and SIGTERM end a recording cleanly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gym_h5record as h5r
from gym_h5record.cli.interrupts import Interrupts

STEADY = """
import pathlib
calls = 0
def act(observation):
    global calls
    calls += 1
    if calls == 200:
        pathlib.Path("begun").touch()
    return calls % 2
"""

STUCK = """
import pathlib, time
def act(observation):
    pathlib.Path("begun").touch()
    time.sleep(1000)
"""


def start_recording(directory: Path, policy: str, *options: str) -> subprocess.Popen[str]:
    """Start a recording that would never end, and wait until it is under way."""
    (directory / "policy.py").write_text(policy)
    command = [sys.executable, "-m", "gym_h5record", "record", "CartPole-v1", "-o", "run.h5"]
    process = subprocess.Popen(
        [*command, "--steps", "1000000000", "--policy", "policy:act", *options],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (directory / "begun").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("writer", ["process", "inline"])
def test_an_interrupted_recording_is_whole_and_says_so(tmp_path: Path, number: signal.Signals, writer: str) -> None:
    process = start_recording(tmp_path, STEADY, "--writer", writer)
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert errors == ""
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.num_steps >= 200
        assert output.startswith("interrupted: run.h5: ")
        assert f" {recording.num_steps:,} steps" in output
    assert sorted(each.name for each in tmp_path.glob("run*")) == ["run.h5"]


def test_json_is_printed_of_an_interrupted_recording_too(tmp_path: Path) -> None:
    process = start_recording(tmp_path, STEADY, "--json")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    content = json.loads(output)
    assert process.returncode == 3
    assert content["interrupted"] is True
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.num_steps == content["steps"]
        assert [episode.total_reward for episode in recording.episodes] == content["returns"]


def test_a_policy_that_never_returns_is_left_at_the_second_signal(tmp_path: Path) -> None:
    process = start_recording(tmp_path, STUCK)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 3
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert (recording.num_episodes, recording.num_steps) == (1, 0)


def test_the_first_signal_is_noted_and_the_second_raises() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before

"""Atari games on the command line, and what it says when a library for them is missing."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

import gym_h5record as h5r

SCRIPT = Path(__file__).parents[3] / "scripts" / "record_atari.py"


def test_rgb_observations_are_stored_once_and_are_the_frames(cli: Any) -> None:
    pytest.importorskip("ale_py")
    result = cli("record", "ALE/Breakout-v5", "--steps", 12, "--seed", 1)
    assert result.exit_code == 0
    assert result.stdout.startswith("Breakout-v5.h5: 1 episode (1 incomplete), 12 steps")
    with h5r.Recording("Breakout-v5.h5") as recording:
        assert recording.metadata["frames"] == "observation"
        assert recording.rows.frames.shape == (13, 210, 160, 3)
    assert "frames is another name of observations: stored once" in cli("info", "Breakout-v5.h5", "--storage").stdout


def test_preprocessing_and_stacking(cli: Any) -> None:
    pytest.importorskip("ale_py")
    pytest.importorskip("cv2")
    result = cli("record", "ALE/Pong-v5", "-o", "run.h5", "--steps", 5, "--atari-preprocessing", "--frame-stack", 4)
    assert result.exit_code == 0
    with h5r.Recording("run.h5") as recording:
        assert recording.observation_space.shape == (4, 84, 84)
        assert recording.env_spec.kwargs["frameskip"] == 1


def test_preprocessing_of_a_game_that_skips_frames_itself_is_refused(cli: Any) -> None:
    pytest.importorskip("ale_py")
    pytest.importorskip("cv2")
    result = cli("record", "ALE/Pong-v5", "--atari-preprocessing", "--env-kwargs", "frameskip=4")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: --atari-preprocessing does not fit ALE/Pong-v5: Disable frame-skipping")


def test_without_ale_py_the_message_says_what_to_install(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ale_py", None)
    result = cli("record", "ALE/Breakout-v5")
    assert result.exit_code == 1
    assert 'pip install "gym_h5record[atari]"' in result.stderr


def test_without_opencv_the_message_says_what_to_install(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ale_py")
    monkeypatch.setitem(sys.modules, "cv2", None)
    result = cli("record", "ALE/Breakout-v5", "--atari-preprocessing")
    assert result.exit_code == 1
    assert 'pip install "gym_h5record[preprocessing]"' in result.stderr


def test_the_example_script_records_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ale_py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    printed = capsys.readouterr().out
    with h5r.Recording("breakout.h5") as recording:
        assert repr(recording) in printed
        assert all(repr(episode) in printed for episode in recording.episodes)
        assert [episode.complete for episode in recording.episodes] == [True, True, True]

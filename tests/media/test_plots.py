"""Plots of statistics."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image

import gym_h5record as h5r
from gym_h5record.errors import MissingDependencyError, RecordingExistsError
from gym_h5record.media.plots import write_plot
from gym_h5record.media.timelines import reward_timeline

pytest.importorskip("matplotlib")


def plotted(recording: Any, out: Path, title: str = "title", **options: Any) -> np.ndarray:
    assert write_plot(recording.stats(), reward_timeline(recording.steps), title, out, **options) == out
    with Image.open(out) as png:
        assert (png.format, png.size) == ("PNG", (1200, 750))
        return np.asarray(png.convert("RGB"))


def is_blue(pixels: np.ndarray) -> np.ndarray:
    """Where pixels are blue, be they covered by half."""
    found: np.ndarray = pixels[:, :, 2] > pixels[:, :, 0] + 60.0
    return found


def made(path: Path, observation: Any, action: Any) -> h5r.Writer:
    return h5r.Writer(path, observation_space=observation, action_space=action, writer="inline")


def test_each_of_the_four_plots_has_data_and_bars_are_as_high_as_actions_are_frequent(tmp_path: Path) -> None:
    with made(tmp_path / "run.h5", spaces.Discrete(2), spaces.Discrete(2)) as writer:
        for number in range(40):
            writer.begin_episode(0)
            writer.append(int(number % 4 == 0), 0, float(number % 2), number != 7, False)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        pixels = plotted(recording, tmp_path / "run.png", "$\\frac{ \x1b[31m")  # no mathematics, no escapes
    for rows in (slice(60, 340), slice(430, 700)):
        for columns in (slice(60, 590), slice(680, 1200)):
            assert is_blue(pixels[rows, columns]).sum() > 200
    bars = is_blue(pixels[430:700, 60:590]).sum(axis=0)
    rare, frequent = np.percentile(bars[bars > 30], [10, 90])
    assert frequent / rare == pytest.approx(3, rel=0.15)


def test_actions_and_rewards_that_are_arrays_have_plots(tmp_path: Path) -> None:
    space = spaces.Box(-1, 1, (2,), np.float32)
    with made(tmp_path / "run.h5", space, space) as writer:
        writer.begin_episode(np.zeros(2, np.float32))
        for step in range(5):
            action = np.array([step / 5, -step / 5], np.float32)
            writer.append(action, action, np.array([step, -step]), step == 4, False)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert is_blue(plotted(recording, tmp_path / "run.png")[430:700, 60:590]).any()


def test_a_recording_without_steps_or_numbers_has_empty_plots(tmp_path: Path) -> None:
    with made(tmp_path / "run.h5", spaces.Text(5), spaces.Text(5)) as writer:
        writer.begin_episode("a")
    (tmp_path / "run.png").write_text("old")
    with h5r.Recording(tmp_path / "run.h5") as recording:
        # Nothing but the mark of the one episode, in the plots of returns and lengths.
        assert not is_blue(plotted(recording, tmp_path / "run.png", mode="w"))[400:].any()


def test_a_file_is_replaced_only_if_it_may(paintings: Path, tmp_path: Path) -> None:
    (tmp_path / "run.png").write_text("mine")
    with h5r.Recording(paintings) as recording, pytest.raises(RecordingExistsError):
        plotted(recording, tmp_path / "run.png")


def test_without_matplotlib_the_command_that_installs_it_is_told(
    paintings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with (
        h5r.Recording(paintings) as recording,
        pytest.raises(MissingDependencyError, match=r'pip install "gym_h5record\[plot\]"'),
    ):
        plotted(recording, tmp_path / "run.png")

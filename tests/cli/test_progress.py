"""Progress bars: what they show, how often, and where."""

from __future__ import annotations

import io
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from rich.console import Console

from gym_h5record.cli import progress
from gym_h5record.cli.interrupts import Interrupts
from gym_h5record.cli.progress import rollout_progress, row_progress
from gym_h5record.cli.rollout import Limits, RolloutStats, roll_out


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is drawn on a terminal of 100 columns in place of stderr."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    monkeypatch.setattr(progress, "make_console", lambda *, stderr: console)
    return stream


def test_the_bar_of_a_rollout_tells_speed_episodes_last_return_and_bytes(terminal: io.StringIO, tmp_path: Path) -> None:
    path = tmp_path / "run[red]\x1b.h5"
    path.write_bytes(bytes(2_500))
    stats = RolloutStats(steps=51, ended=2, returns=[1.0, 20.0, 3.0], first_s=5.0, last_s=15.0)
    with rollout_progress(path, Limits(episodes=10)) as on_step:
        assert on_step is not None
        on_step(stats)
    drawn = terminal.getvalue()
    for fact in (r"run[red]\x1b.h5", "5 steps/s", "episode 3/10", "return 20", "2.50 kB"):
        assert fact in drawn


def test_the_bar_of_rows_tells_how_many_of_how_many(terminal: io.StringIO) -> None:
    with row_progress("run.h5", "episodes") as on_progress:
        assert on_progress is not None
        on_progress(1_000, 2_000)
    assert "1,000/2,000 episodes" in terminal.getvalue()


def test_a_bar_may_be_drawn_when_the_first_is_done(terminal: io.StringIO) -> None:
    with row_progress("run.h5", "episodes", at_once=False) as on_progress:
        assert on_progress is not None
        assert terminal.getvalue() == ""
        on_progress(1, 4)
        assert "1/4 episodes" in terminal.getvalue()


def test_a_bar_that_was_never_drawn_leaves_nothing(terminal: io.StringIO) -> None:
    with row_progress("run.h5", at_once=False):
        pass
    assert "run.h5" not in terminal.getvalue()


def test_nothing_to_do_is_a_bar_too(terminal: io.StringIO) -> None:
    with row_progress("run.h5") as on_progress:
        assert on_progress is not None
        on_progress(0, 0)
    assert "0/0 rows" in terminal.getvalue()


def test_a_bar_is_not_drawn_more_often_than_needed(
    terminal: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_INTERVAL_S", 60)
    with rollout_progress(tmp_path / "run.h5", Limits(steps=500)) as on_step:
        env = gym.make("CartPole-v1")
        roll_out(env, lambda _: 0, Limits(steps=500), RolloutStats(), seed=0, stop=Interrupts(), on_step=on_step)
    drawn = terminal.getvalue()
    assert drawn.count("steps/s") == 0  # the first step has no speed
    assert drawn.count("episode 1 ") == 2  # after the first step, and once more when Rich closes the bar


def test_without_a_terminal_there_is_no_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with row_progress("run.h5") as on_progress, rollout_progress(tmp_path / "run.h5", Limits()) as on_step:
        assert (on_progress, on_step) == (None, None)
    assert capsys.readouterr() == ("", "")


def test_a_bar_that_is_not_wanted_is_not_drawn(terminal: io.StringIO, tmp_path: Path) -> None:
    with (
        row_progress("run.h5", is_shown=False) as on_progress,
        rollout_progress(tmp_path / "run.h5", Limits(), is_shown=False) as on_step,
    ):
        assert (on_progress, on_step) == (None, None)
    assert terminal.getvalue() == ""


def test_a_return_that_is_an_array_is_shown(terminal: io.StringIO, tmp_path: Path) -> None:
    with rollout_progress(tmp_path / "run.h5", Limits()) as on_step:
        assert on_step is not None
        on_step(RolloutStats(steps=5, ended=1, returns=[np.array([0.5, -2.0])], first_s=1.0, last_s=2.0))
    assert "return [0.5, -2]" in terminal.getvalue()

"""Statistics as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.cli.statistics_tables import show_statistics


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What is printed of a recording, as lists of words, 80 columns wide."""
    monkeypatch.setenv("COLUMNS", "80")

    def tell(path: Path, *, last: int = 10, elements: bool = False) -> list[list[str]]:
        with h5r.Recording(path) as recording:
            show_statistics(Path("run.h5"), recording.stats(), last=last, elements=elements)
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= 80
        return [line.split() for line in lines]

    return tell


def test_returns_lengths_actions_leaves_and_episodes_are_told(told: Any, paintings: Path) -> None:
    lines = told(paintings)
    assert lines[0] == ["run.h5:", "2", "episodes,", "10", "steps"]
    assert ["returns", "8.5", "5.5", "3", "8.5", "14", "█▁"] in lines
    assert ["lengths", "5", "2", "3", "5", "7", "█▁"] in lines
    assert ["2", "2", "20.0", "█" * 20] in lines
    assert ["observations", "2", "1.45", "1.68", "0", "6", "0"] in lines
    assert ["rewards", "1.7", "0.9798", "0.5", "3.5", "0"] in lines
    assert ["1", "3", "3", "complete"] in lines


def test_elements_have_rows_of_their_own(told: Any, paintings: Path) -> None:
    lines = told(paintings, elements=True)
    assert ["observations[0]", "2", "2.4", "1.96", "0", "6", "0"] in lines
    assert ["observations[1]", "2", "0.5", "0", "0.5", "0.5", "0"] in lines


def test_the_newest_episodes_are_shown(told: Any, paintings: Path) -> None:
    lines = told(paintings, last=1)
    assert ["1", "3", "3", "complete"] in lines
    assert ["0", "14", "7", "complete"] not in lines
    assert lines[-1][:5] == ["...", "1", "before", "them;", "show"]
    assert told(paintings, last=0)[-1] == ["left", "out:", "frames:", "frames", "are", "not", "read"]


def test_incomplete_episodes_and_missing_values_are_told(told: Any, treasures: Path) -> None:
    lines = told(treasures)
    assert lines[0] == ["run.h5:", "3", "episodes", "(1", "incomplete),", "13", "steps"]
    assert next(line for line in lines if line[:1] == ["returns"])[:3] == ["returns", "[9.5,", "-0.5]"]
    assert lines[-2][-1] == "incomplete"


def test_success_is_told_where_it_is_known(told: Any, tmp_path: Path) -> None:
    action = spaces.Box(-1, 1, (1,))
    options: Any = {"observation_space": spaces.Discrete(2), "action_space": action, "writer": "inline"}
    with h5r.Writer(tmp_path / "run.h5", **options) as writer:
        for number in range(4):
            writer.begin_episode(0, {"is_success": False})
            writer.append(action.sample(), 0, 1.0, True, False, {"is_success": number == 3})
    lines = told(tmp_path / "run.h5")
    assert ["success", "25.0%", "of", "4", "episodes"] in lines
    assert ["3", "1", "1", "yes", "complete"] in lines


def test_a_recording_without_a_complete_episode_says_so(told: Any, tmp_path: Path) -> None:
    with h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "run.h5", writer="inline") as env:
        env.reset(seed=0)
        env.step(0)
    assert ["returns", "no", "complete", "episode"] in told(tmp_path / "run.h5")


def test_many_actions_are_summed_up(told: Any, tmp_path: Path) -> None:
    options: Any = {"observation_space": spaces.Discrete(2), "action_space": spaces.Discrete(100), "writer": "inline"}
    with h5r.Writer(tmp_path / "run.h5", **options) as writer:
        writer.begin_episode(0)
        for action in range(50):
            writer.append(action, 0, 1.0, action == 49, False)
    assert ["others", "26", "52.0"] in told(tmp_path / "run.h5")

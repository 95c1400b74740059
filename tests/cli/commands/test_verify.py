"""gym-h5record verify: what it says, to people and to programs, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from click.testing import CliRunner, Result
from gymnasium.envs.classic_control import AcrobotEnv

from gym_h5record.cli import main
from tests.paintings import FRAMES, record_paintings
from tests.replay.recordings import record, tamper


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return record(gym.make("Acrobot-v1"), tmp_path / "run.h5")


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["verify", *map(str, arguments)])


def test_an_exact_recording_is_one_line_and_exit_code_0(path: Path) -> None:
    result = run(path)
    assert result.exit_code == 0, result.output
    assert result.output == f"{path}: 3 exact; 67 steps compared\n"


def test_frames_of_cameras_are_said_not_to_be_compared(tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (5,), **FRAMES["cameras"])
    sentence = "frames are not compared: the file does not hold the cameras that took them"
    result = run(path)
    assert result.exit_code == 0, result.output
    assert result.output == f"{sentence}\n{path}: 1 exact; 5 steps compared\n"
    assert json.loads(run(path, "--json").output)["not_compared"] == [sentence]


def test_a_divergence_is_shown_with_its_place_and_exit_code_1(path: Path) -> None:
    tamper(path, "rewards", 1, 5, lambda reward: reward + 0.25)
    result = run(path)
    assert result.exit_code == 1
    assert "step 5, rewards: -0.75 recorded, -1.0 found" in " ".join(result.output.split())
    assert "2 exact, 1 diverged" in result.output


def test_json_has_everything(path: Path) -> None:
    tamper(path, "rewards", 1, 5, lambda reward: reward + 0.25)
    result = run(path, "--json", "--episodes", "1-2,0")
    found = json.loads(result.output)
    assert result.exit_code == 1
    assert [each["episode"] for each in found["episodes"]] == [1, 2, 0]
    assert found["episodes"][0]["divergence"] == {
        "step": 5,
        "leaf": "rewards",
        "recorded": "-0.75",
        "found": "-1.0",
        "largest": 0.25,
        "message": "rewards: -0.75 recorded, -1.0 found",
    }
    assert not found["ok"]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_an_environment_prints_is_not_among_the_json(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loud_envs.py").write_text(
        "from gymnasium.envs.classic_control import AcrobotEnv\n"
        "print('imported')\n"
        "def make():\n    print('made')\n    return AcrobotEnv()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = record(AcrobotEnv(), tmp_path / "run.h5")
    result = run(path, "--env", "loud_envs:make", "--workers", workers, "--json")
    printed = capfd.readouterr()
    assert json.loads(result.stdout)["ok"]
    assert "made" in result.stderr + printed.err
    assert printed.out == ""


def test_where_an_episode_differs_and_why_it_had_no_other_try_is_one_line(tmp_path: Path) -> None:
    path = record(gym.make("Acrobot-v1"), tmp_path / "run.h5", episode_trigger=lambda number: number != 1)
    tamper(path, "rewards", 1, 5, lambda reward: reward + 0.25)
    told = " ".join(run(path).output.split())
    assert "-0.75 recorded, -1.0 found; the recording lacks 1 reset before episode 1" in told


def test_an_environment_that_the_file_cannot_name_is_made_by_a_callable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_envs.py").write_text(
        "from gymnasium.envs.classic_control import AcrobotEnv\ndef make():\n    return AcrobotEnv()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = record(AcrobotEnv(), tmp_path / "run.h5")
    result = run(path)
    assert (result.exit_code, "Traceback" in result.output) == (1, False)
    assert "cannot be made again" in result.output
    assert run(path, "--env", "my_envs:make").exit_code == 0
    assert run(path, "--env", "my_envs:nothing").exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    ["--episodes x", "--episodes 5-3", "--episodes ,", "--workers 0", "--atol -1", "--env x"],
)
def test_wrong_usage_is_exit_code_2(arguments: str, path: Path) -> None:
    assert run(path, *arguments.split()).exit_code == 2


def test_an_episode_that_there_is_not_is_exit_code_1(path: Path) -> None:
    result = run(path, "--episodes", "7")
    assert result.exit_code == 1
    assert "has 3 episodes, there is no [7]" in result.output


def test_an_environment_that_the_file_cannot_make_is_asked_for_with_the_option(tmp_path: Path) -> None:
    result = run(record(AcrobotEnv(), tmp_path / "run.h5"))
    assert result.exit_code == 1
    told = " ".join(result.output.split())
    assert told.endswith("; pass a function that makes it, --env MODULE:CALLABLE.")
    assert "AcrobotEnv cannot be made again: the file has no spec of it" in told
    assert "lambda" not in told

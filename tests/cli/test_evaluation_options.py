"""The options of ``replay --policy``: what runs, what is refused, and with which exit code."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from tests.replay.recordings import record
from tests.treasures import RETURNS

pytestmark = pytest.mark.usefixtures("agent")


def test_an_environment_that_the_file_does_not_name_is_asked_for(cli: Any, counted: Path) -> None:
    result = cli("replay", "run.h5", "--policy", "some_agent:one", "--closed-loop")
    assert result.exit_code == 1
    assert "cannot be made again" in result.stderr


def test_an_error_of_the_policy_keeps_its_traceback(cli: Any, counted: Path) -> None:
    assert isinstance(cli("replay", "run.h5", "--policy", "some_agent:fail").exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--policy some_agent", "expected package.module:callable"),
        ("--closed-loop", "--closed-loop needs --policy."),
        ("--seed 0", "--seed needs --policy."),
        ("--episodes 0", "--episodes needs --policy."),
        ("--policy some_agent:one --seed 0", "--seed needs --closed-loop."),
        ("--policy some_agent:one --env some_agent:make", "--env needs --closed-loop."),
        ("--policy some_agent:one --max-steps 3", "--max-steps needs --closed-loop."),
        ("--policy some_agent:one --episode 0", "--episode cannot be combined with --policy."),
        ("--policy some_agent:one --gif run.gif", "--gif cannot be combined with --policy."),
        ("--policy some_agent:one --episodes x", "expected numbers and ranges"),
    ],
)
def test_wrong_usage_is_2(arguments: str, message: str, cli: Any, counted: Path) -> None:
    result = cli("replay", "run.h5", *arguments.split())
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--policy some_agent:nobody", "cannot import the policy"),
        ("--policy some_agent:one --episodes 7", "has 3 episodes, there is no [7]"),
    ],
)
def test_what_is_not_there_is_1(arguments: str, message: str, cli: Any, counted: Path) -> None:
    result = cli("replay", "run.h5", *arguments.split())
    assert result.exit_code == 1
    assert message in result.stderr


def test_what_a_policy_prints_is_no_json(cli: Any, counted: Path) -> None:
    result = cli("replay", "run.h5", "--policy", "some_agent:talk", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["agreement"]["num_steps"] == 10
    assert "thinking" in result.stderr


def test_infos_that_tell_the_time_can_be_left_out_of_a_closed_loop(cli: Any, tmp_path: Path) -> None:
    record(Clock(gym.make("CartPole-v1")), tmp_path / "run.h5")
    arguments = ("replay", "run.h5", "--policy", "some_agent:one", "--closed-loop", "--env", f"{__name__}:make_clock")
    result = cli(*arguments, "--max-steps", "3", "--json")
    assert "infos/time" in json.loads(result.stdout)["episodes"][0]["reason"]
    result = cli(*arguments, "--max-steps", "3", "--json", "--ignore", "time")
    assert result.exit_code == 0, result.output
    assert [each["reason"] for each in json.loads(result.stdout)["episodes"]] == ["", "", ""]


class Clock(gym.Wrapper[Any, Any, Any, Any]):
    """Tells the time of day with every reset."""

    def reset(self, **options: Any) -> Any:
        observation, info = self.env.reset(**options)
        return observation, {**info, "time": time.perf_counter()}


def make_clock() -> gym.Env[Any, Any]:
    return Clock(gym.make("CartPole-v1"))


def test_a_closed_loop_of_rewards_that_are_arrays_is_1_and_says_what_to_do(cli: Any, treasures: Path) -> None:
    arguments = ("--policy", "some_agent:one", "--closed-loop", "--env", "tests.treasures:DeepSea")
    result = cli("replay", treasures, *arguments)
    assert result.exit_code == 1
    assert "its rewards are arrays of shape (2,)" in result.stderr
    assert "Record the environment in a wrapper that makes one number of each reward" in result.stderr


def test_an_open_loop_compares_actions_whatever_the_rewards(cli: Any, treasures: Path) -> None:
    result = cli("replay", treasures, "--policy", "some_agent:one")
    assert result.exit_code == 0
    assert "7 of 13 actions agree" in result.stdout
    content = json.loads(cli("replay", treasures, "--policy", "some_agent:one", "--json").stdout)
    assert [each["total_reward"] for each in content["episodes"]] == [pytest.approx(each) for each in RETURNS]

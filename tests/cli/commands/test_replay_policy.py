"""``gym-h5record replay --policy``: what it says, to people and to programs, and what it refuses."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from tests.replay.evaluation.policies import record_actions
from tests.replay.recordings import record

AGENT = """
import numpy as np
from gymnasium import spaces
from tests.replay.evaluation.policies import Counter

def one(observation):
    return 1

def pull(observation):
    return np.array([0.5], np.float32)

def none(observation):
    return None

def same(observation):
    return observation % 20

def talk(observation):
    print("thinking")
    return 1

def fail(observation):
    raise ZeroDivisionError("no idea")

def make():
    return Counter(spaces.Discrete(3))
"""


@pytest.fixture(autouse=True)
def _agent(cli: Any, tmp_path: Path) -> Iterator[None]:
    (tmp_path / "some_agent.py").write_text(AGENT)
    yield
    sys.modules.pop("some_agent", None)


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    return record_actions(tmp_path / "run.h5", spaces.Discrete(3), [[0, 1, 2, 1], [1, 1], [2, 2, 2, 0]])


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line]


def test_agreement_is_shown_by_episode_and_overall_with_the_confusion_matrix(cli: Any, counted: Path) -> None:
    result = cli("replay", "run.h5", "--policy", "some_agent:one")
    assert result.exit_code == 0, result.output
    assert words(result.stdout) == [
        ["episode", "steps", "agree"],
        ["0", "4", "50.0", "%"],
        ["1", "2", "100.0", "%", "incomplete"],
        ["2", "4", "0.0", "%"],
        ["all", "10", "40.0", "%"],
        ["recorded", "actions", "in", "rows,", "the", "policy's", "in", "columns"],
        ["action", "0", "1", "2", "recall", "precision"],
        ["0", "0", "2", "0", "0.0", "%", "-"],
        ["1", "0", "4", "0", "100.0", "%", "40.0", "%"],
        ["2", "0", "4", "0", "0.0", "%", "-"],
        f"{counted}: 4 of 10 actions agree (40.0 %)".split(),
    ]


def test_json_has_everything(cli: Any, counted: Path) -> None:
    result = cli("replay", "run.h5", "--policy", "some_agent:one", "--json", "--episodes", "0-1")
    content = json.loads(result.stdout)
    assert (content["path"], content["closed_loop"], content["incomplete"]) == (str(counted), False, [1])
    assert [each["episode"] for each in content["episodes"]] == [0, 1]
    assert [each["agreement"]["rate"] for each in content["episodes"]] == [0.5, 1.0]
    overall = content["agreement"]
    assert (overall["steps"], overall["equal"], overall["confusion"]["counts"]) == (
        6,
        4,
        [[0, 1, 0], [0, 4, 0], [0, 1, 0]],
    )
    assert [each["precision"] for each in overall["confusion"]["scores"]] == [None, 4 / 6, None]


def test_errors_of_continuous_actions_are_shown(cli: Any, tmp_path: Path) -> None:
    record(gym.make("Pendulum-v1"), tmp_path / "pendulum.h5")
    lines = words(cli("replay", "pendulum.h5", "--policy", "some_agent:pull").stdout)
    assert lines[0] == ["episode", "steps", "agree", "mean", "error", "root", "mean", "square", "largest"]
    error = h5r.evaluate(lambda _: 0.5, tmp_path / "pendulum.h5").agreement
    assert error.misfits == error.steps  # of another shape
    content = json.loads(cli("replay", "pendulum.h5", "--policy", "some_agent:pull", "--json").stdout)
    mean = content["agreement"]["error"]["mean_absolute"]
    assert lines[-2][4] == f"{mean:.4g}"


def test_dimensions_are_shown_up_to_a_number(cli: Any, tmp_path: Path) -> None:
    space = spaces.Box(-1, 1, (40,))
    space.seed(0)
    record_actions(tmp_path / "box.h5", space, [[space.sample()]])
    (tmp_path / "wide_agent.py").write_text("import numpy as np\ndef act(observation):\n    return np.zeros(40)\n")
    lines = words(cli("replay", "box.h5", "--policy", "wide_agent:act").stdout)
    assert ["dimension", "mean", "error", "root", "mean", "square", "largest"] in lines
    assert ["...", "8", "more;", "--json", "has", "them", "all"] in lines


def test_what_is_no_action_is_counted(cli: Any, counted: Path) -> None:
    last = cli("replay", "run.h5", "--policy", "some_agent:none").stdout.splitlines()[-1]
    assert last == f"{counted}: 0 of 10 actions agree (0.0 %); 10 not of the form of the action space"


def test_a_matrix_of_18_actions_is_not_broken_into_lines_and_of_more_only_scores_are_shown(
    cli: Any, tmp_path: Path
) -> None:
    for number in (18, 20):
        path = record_actions(tmp_path / f"{number}.h5", spaces.Discrete(number), [list(range(number))])
        result = cli("replay", path.name, "--policy", "some_agent:same")
        matrix = [line for line in words(result.stdout) if len(line) > 8 and line[0].isdigit()]
        assert len(matrix) == (18 if number == 18 else 0)
        header = ["action", "recorded", "chosen", "equal", "recall", "precision"]
        assert (header in words(result.stdout)) == (number == 20)
        assert ["19", "1", "1", "1", "100.0", "%", "100.0", "%"] in words(result.stdout) or number == 18


def test_a_closed_loop_compares_returns(cli: Any, counted: Path) -> None:
    arguments = ("replay", "run.h5", "--policy", "some_agent:one", "--closed-loop", "--env", "some_agent:make")
    result = cli(*arguments)
    assert result.exit_code == 0, result.output
    assert words(result.stdout) == [
        ["episode", "steps", "recorded", "live", "steps", "live", "difference"],
        ["0", "4", "2", "4", "2", "+0"],
        ["1", "2", "1", "4", "2", "incomplete"],
        ["2", "4", "2", "4", "2", "+0"],
        ["return", "mean", "95", "%", "interval"],
        ["recorded", "2", "2", "to", "2"],
        ["live", "2", "2", "to", "2"],
        ["difference", "0", "0", "to", "0"],
        f"{counted}: returns of 2 episodes compared; 1 left out".split(),
    ]
    content = json.loads(cli(*arguments, "--json", "--seed", 3).stdout)
    assert content["difference"] == {"mean": 0.0, "low": 0.0, "high": 0.0, "count": 2}
    assert (content["incomplete"], content["unpaired"]) == ([1], [1])
    assert "none of one episode" in cli(*arguments, "--episodes", "0").stdout


def test_an_episode_that_is_cut_says_so(cli: Any, counted: Path) -> None:
    arguments = ("--policy", "some_agent:one", "--closed-loop", "--env", "some_agent:make", "--max-steps", 3)
    stdout = re.sub(r"\s+", " ", cli("replay", "run.h5", *arguments).stdout)
    assert "cut by --max-steps" in stdout
    assert "returns of 0 episodes compared; 3 left out" in stdout


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
    assert json.loads(result.stdout)["agreement"]["steps"] == 10
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

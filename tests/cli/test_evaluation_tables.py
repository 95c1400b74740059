"""What is printed about the evaluation of a policy, to people and as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from tests.replay.evaluation.policies import record_actions
from tests.replay.recordings import record

pytestmark = pytest.mark.usefixtures("agent")


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
    assert (overall["num_steps"], overall["equal"], overall["confusion"]["counts"]) == (
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
    assert error.misfits == error.num_steps  # of another shape
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

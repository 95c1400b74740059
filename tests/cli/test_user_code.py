"""Policies of the user's own, and what is said when one cannot be had."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.cli.user_code import check_callable_name, check_policy_name, random_policy, running_episodes


def test_a_callable_from_the_current_directory_is_called_with_the_observation(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "leaner.py").write_text("def lean(observation):\n    return int(observation[2] > 0)\n")
    assert cli("record", "CartPole-v1", "-o", "run.h5", "--policy", "leaner:lean").exit_code == 0
    with h5r.Recording("run.h5") as recording:
        episode = recording.episodes[0]
        expected = [int(observation[2] > 0) for observation in episode.observations[:-1]]
        assert list(episode.actions) == expected


def test_a_callable_may_be_inside_something(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "boxed.py").write_text("class Agent:\n    @staticmethod\n    def act(observation):\n        return 1\n")
    assert cli("record", "CartPole-v1", "-o", "run.h5", "--policy", "boxed:Agent.act").exit_code == 0
    with h5r.Recording("run.h5") as recording:
        assert set(recording.episodes[0].actions) == {1}


@pytest.mark.parametrize(
    ("name", "source", "policy", "message"),
    [
        ("absent", "", "not_there_at_all:act", "cannot import the policy .*No module named 'not_there_at_all'"),
        ("empty", "", "empty:act", "cannot import the policy 'empty:act': AttributeError: .*'act'"),
        ("needy", "import not_there_at_all", "needy:act", "cannot import .*No module named 'not_there_at_all'"),
        ("torn", "def", "torn:act", "cannot import the policy 'torn:act': SyntaxError"),
        ("number", "act = 3", "number:act", "the policy 'number:act' is of type int; it must be callable"),
    ],
)
def test_a_policy_that_cannot_be_had_is_one_line_and_no_file(
    cli: Any, tmp_path: Path, painters_closed: list[Any], name: str, source: str, policy: str, message: str
) -> None:
    (tmp_path / f"{name}.py").write_text(source)
    result = cli("record", "Painter-v0", "-o", "run.h5", "--policy", policy)
    assert result.exit_code == 1
    assert re.match(f"error: {message}", result.stderr)
    assert not (tmp_path / "run.h5").exists()
    assert len(painters_closed) == 1


def test_an_error_of_the_policy_keeps_its_traceback_and_the_steps_before_it(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "fragile.py").write_text("def act(observation):\n    return 1 // int(observation[0] < 3)\n")
    result = cli("record", "Painter-v0", "-o", "run.h5", "--policy", "fragile:act")
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)
    with h5r.Recording("run.h5") as recording:
        assert recording.num_steps == 3


def test_an_atari_game_that_runs_again_prints_no_banner(
    cli: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ale_py = pytest.importorskip("ale_py")
    cli("record", "ALE/Pong-v5", "-o", "run.h5", "--steps", 2)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Info)  # as in a process of its own
    capfd.readouterr()
    with running_episodes(tmp_path / "run.h5", as_json=True):
        ale_py.ALEInterface()
    assert capfd.readouterr() == ("", "")


def test_random_actions_are_the_same_for_the_same_seed() -> None:
    first, second = (random_policy(spaces.Discrete(1000), seed=3) for _ in range(2))
    assert [first(None) for _ in range(10)] == [second(None) for _ in range(10)]


@pytest.mark.parametrize("name", ["", "agent", ":act", "agent:", "agent.act"])
def test_a_name_without_module_or_callable_is_wrong_usage(name: str) -> None:
    context, option = click.Context(click.Command("record")), click.Option(["--policy"])
    for check in (check_callable_name, check_policy_name):
        assert check(context, option, "package.agent:Agent.act") == "package.agent:Agent.act"
        with pytest.raises(click.BadParameter, match="expected .*package.module:callable, got"):
            check(context, option, name)
    assert check_callable_name(context, option, None) is None
    assert check_policy_name(context, option, "random") == "random"

"""``gym-h5record stats``: statistics as tables, JSON and plots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import gym_h5record as h5r
from tests.paintings import record_paintings


def test_it_tells_returns_actions_leaves_and_episodes(cli: Any, paintings: Path) -> None:
    result = cli("stats", paintings)
    assert result.exit_code == 0
    assert "2 episodes, 10 steps" in result.stdout
    assert max(map(len, result.stdout.splitlines()[1:])) <= 80
    words = [line.split() for line in result.stdout.splitlines()]
    assert ["rewards", "1.7", "0.9798", "0.5", "3.5", "0"] in words


def test_json_has_all_of_it_in_one_object(cli: Any, paintings: Path) -> None:
    content = json.loads(cli("stats", paintings, "--json").stdout, parse_constant=pytest.fail)
    assert (content["path"], content["steps"]) == (str(paintings), 10)
    assert [each["return"] for each in content["episodes"]] == [14.0, 3.0]
    assert content["leaves"]["rewards"]["max"] == 3.5


@pytest.mark.parametrize(("choice", "steps"), [("total_reward > 10", 7), ("length < 5", 3), ("short", 3)])
def test_episodes_are_chosen_by_a_condition_or_a_mask(cli: Any, tmp_path: Path, choice: str, steps: int) -> None:
    path = record_paintings(tmp_path / "run.h5")
    h5r.add_mask(path, "short", [1])
    assert json.loads(cli("stats", "run.h5", "--select", choice, "--json").stdout)["steps"] == steps


def test_a_plot_is_written(cli: Any, paintings: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    result = cli("stats", paintings, "--plot", "run.png")
    assert result.stdout.endswith("\nwrote run.png\n")
    with Image.open(tmp_path / "run.png") as png:
        assert png.size == (1200, 750)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--plot", "run.jpg"), "expected a name that ends with .png, got .jpg"),
        (("--select", "best"), "best"),
    ],
    ids=["plot", "select"],
)
def test_what_cannot_be_is_one_line(cli: Any, paintings: Path, arguments: tuple[str, ...], message: str) -> None:
    result = cli("stats", paintings, *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert message in result.stderr


def test_a_file_is_replaced_only_if_asked_for(cli: Any, paintings: Path, tmp_path: Path) -> None:
    (tmp_path / "run.png").write_text("mine")
    result = cli("stats", paintings, "--plot", "run.png")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "replace it with --overwrite" in result.stderr

"""``gym-h5record diff``: where two recordings differ, for people and for programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.paintings import record_paintings


@pytest.fixture
def twins(paintings: Path, tmp_path: Path) -> Path:
    """``a.h5`` and ``b.h5``, of which the second may be changed."""
    shutil.copy(paintings, tmp_path / "a.h5")
    return Path(shutil.copy(paintings, tmp_path / "b.h5"))


def shift(path: Path, by: float = 0.25) -> None:
    """Episode 1 begins with row 8."""
    with h5py.File(path, "r+") as file:
        file["observations"][10, 1] += np.float32(by)


def test_twins_are_one_line(cli: Any, twins: Path) -> None:
    result = cli("diff", "a.h5", "b.h5")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "the same in both: 2 episodes, 10 steps\n"


def test_a_difference_is_a_sentence_and_ends_with_1(cli: Any, twins: Path) -> None:
    shift(twins)
    result = cli("diff", "a.h5", "b.h5")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout == (
        "episode 1, step 2, observations[1]: 0.5 in a.h5, 0.75 in b.h5 (largest difference 0.25)\n"
    )


def test_a_tolerance_may_be_given(cli: Any, twins: Path) -> None:
    shift(twins)
    assert cli("diff", "a.h5", "b.h5", "--atol", "0.3").exit_code == 0
    assert cli("diff", "a.h5", "b.h5", "--atol", "0.2").exit_code == 1


def test_metadata_that_differs_is_shown_and_ends_with_0(cli: Any, twins: Path, tmp_path: Path) -> None:
    record_paintings(tmp_path / "c.h5", metadata={"agent_id": "foot"})
    result = cli("diff", "a.h5", "c.h5")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == ["metadata: agent_id: 'hand' in a.h5, 'foot' in c.h5"]


def test_json_says_it_all_in_one_object(cli: Any, twins: Path) -> None:
    shift(twins)
    result = cli("diff", "a.h5", "b.h5", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "paths": ["a.h5", "b.h5"],
        "atol": 0.0,
        "ok": False,
        "episode": 1,
        "step": 2,
        "leaf": "observations[1]",
        "a": 0.5,
        "b": 0.75,
        "largest": 0.25,
        "message": "episode 1, step 2, observations[1]: 0.5 in a.h5, 0.75 in b.h5 (largest difference 0.25)",
        "num_episodes": 1,
        "num_steps": 9,
        "metadata": [],
    }


def test_json_of_twins_has_no_place(cli: Any, twins: Path) -> None:
    result = cli("diff", "a.h5", "b.h5", "--json")
    assert result.exit_code == 0
    content = json.loads(result.stdout)
    assert (content["ok"], content["episode"], content["leaf"]) == (True, None, None)


def test_json_of_what_only_one_has_stays_small(cli: Any, twins: Path, tmp_path: Path) -> None:
    record_paintings(tmp_path / "c.h5", lengths=(7, 3, 2))
    content = json.loads(cli("diff", "a.h5", "c.h5", "--json").stdout)
    assert (content["episode"], content["step"], content["a"], content["b"]) == (2, None, 2, 3)


@pytest.mark.parametrize(
    "arguments", [(), ("a.h5",), ("a.h5", "b.h5", "c.h5"), ("a.h5", "b.h5", "--atol", "-1"), ("a.h5", "b.h5", "--x")]
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...], cli: Any, twins: Path) -> None:
    assert cli("diff", *arguments).exit_code == 2


def test_a_tolerance_that_is_no_number_is_wrong_usage(cli: Any, twins: Path) -> None:
    assert cli("diff", "a.h5", "b.h5", "--atol", "nan").exit_code == 2


def test_what_is_not_there_is_one_line(cli: Any, twins: Path) -> None:
    result = cli("diff", "a.h5", "absent.h5")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: there is no recording at ")


def test_text_from_a_file_does_not_drive_the_terminal(cli: Any, twins: Path) -> None:
    with h5py.File(twins, "r+") as file:
        file["metadata"].attrs["env_name"] = "[bold]x[/bold]\x1b[31m\x07"
    stdout = cli("diff", "a.h5", "b.h5").stdout
    assert not {"\x1b", "\x07"} & set(stdout)
    assert "[bold]x[/bold]" in stdout


def test_a_bar_is_drawn_on_a_terminal(cli: Any, twins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes stderr for a terminal
    monkeypatch.setenv("TERM", "xterm")
    result = cli("diff", "a.h5", "b.h5")
    assert (result.exit_code, result.stdout) == (0, "the same in both: 2 episodes, 10 steps\n")
    assert "rows" in result.stderr
    assert cli("diff", "a.h5", "b.h5", "--json").stderr == ""

"""A user's script that reads a recording passes ``mypy --strict``, and its variables have the types that they have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

USED_AS_IT_SHOULD_BE = """
from typing import Any

import numpy as np
from typing_extensions import assert_type

import gym_h5record as h5r


def mean_reward(column: h5r.Column) -> float:
    return float(np.mean(column))


def positive(rewards: h5r.Column[Any, np.ndarray]) -> np.ndarray:
    return rewards[:] > 0


def use(recording: h5r.Recording) -> None:
    episode = recording.episodes[0]
    for column in (episode.rewards, episode.terminations, episode.truncations):
        assert_type(column[:], np.ndarray)
        assert_type(column[[0, 5]], np.ndarray)
        assert_type(column[[True, False]], np.ndarray)
        assert_type(column[np.array([0, 5])], np.ndarray)
        assert_type(column[positive(episode.rewards)], np.ndarray)
        assert_type(column[range(3)], np.ndarray)
        assert_type(column[...], np.ndarray)
        assert_type(column[3], Any)
        assert_type(column[np.int64(3)], Any)
        assert_type(column[3:5, None], Any)
        assert_type(np.asarray(column), np.ndarray)
        assert_type(column.shape, tuple[int, ...])
        assert_type(column.dtype, np.dtype)
        assert_type(column.ndim, int)
        assert_type(len(column), int)
    total = 0.0
    for reward in episode.rewards:
        total += reward
    assert_type(episode.observations[10:20, 34:194], Any)
    assert_type(episode.actions[0], Any)
    mean_reward(episode.rewards)
    if episode.infos is not None:
        assert_type(episode.infos[0], dict[str, Any])
        assert_type(episode.infos[-3:], list[dict[str, Any]])
        assert_type(episode.infos[[0, 5]], list[dict[str, Any]])
        assert_type(episode.infos["lives"].shape, tuple[int, ...])
        lives: np.ndarray = episode.infos["lives"][:]
        print([info["lives"] for info in episode.infos], lives)
"""

USED_WRONGLY = """
import gym_h5record as h5r


def use(episode: h5r.Episode) -> None:
    episode.rewards[1.5]
    episode.rewards["lives"]
    episode.rewards.total
    episode.rewards[:].total
"""


def check(scripts: dict[str, str], directory: Path, cache: Path) -> list[str]:
    """What mypy says of scripts, without a configuration. They find the package as it is imported here."""
    pytest.importorskip("mypy")
    for name, script in scripts.items():
        (directory / name).write_text(script, encoding="utf-8")
    options = ["--strict", "--config-file=", f"--cache-dir={cache}", "--no-error-summary", "--hide-error-context"]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *scripts],
        cwd=directory,
        env={**os.environ, "MYPYPATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert checked.stderr == ""
    return checked.stdout.splitlines()


@pytest.mark.long
def test_a_script_that_reads_passes_strictly_and_what_no_column_takes_or_has_is_an_error(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # What mypy knows of other packages is kept until the next run of the tests: finding it out takes 10 s.
    kept = getattr(request.config, "cache", None)
    cache = tmp_path if kept is None else kept.mkdir(f"mypy-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")
    found = check({"right.py": USED_AS_IT_SHOULD_BE, "wrong.py": USED_WRONGLY}, tmp_path, cache)
    errors = [line for line in found if ": error: " in line]
    assert [line.split(":")[:2] for line in errors] == [["wrong.py", number] for number in "6789"]
    assert [line.rpartition("[")[2] for line in errors] == ["call-overload]"] * 2 + ["attr-defined]"] * 2
    assert not [line for line in found if line.startswith("right.py")]

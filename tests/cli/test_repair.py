"""``gym-h5record repair``: what it says, does, and leaves alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.writer import Pen, check_pairs, elsewhere, write_pairs


def interrupted(folder: Path) -> Path:
    """A recording of which the last episode is in the journal alone."""
    with Pen(folder / "run.h5") as pen:
        write_pairs(pen, [3, 2])
        pen.flush()
        write_pairs(pen, [4], first_row=7)
        return elsewhere(folder / "run.h5")


def test_an_interrupted_recording_is_completed_and_what_was_done_is_said(cli: Any, tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    result = cli("repair", path)
    assert result.exit_code == 0, result.output
    assert "was interrupted" in result.stdout
    assert "recovered: 5 rows" in result.stdout
    assert "it has 9 steps in 3 episodes" in result.stdout
    check_pairs(path, [3, 2, 4])


def test_a_dry_run_says_the_same_and_changes_nothing(cli: Any, tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    result = cli("repair", path, "--dry-run", "--json")
    said = json.loads(result.stdout)
    assert (result.exit_code, said["num_steps"], said["num_episodes"], said["dry_run"]) == (0, 9, 3, True)
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == before


def test_a_closed_recording_is_left_alone(cli: Any, tmp_path: Path) -> None:
    path = interrupted(tmp_path)
    cli("repair", path)
    data = path.read_bytes()
    result = cli("repair", path)
    assert result.exit_code == 0
    assert "was closed" in result.stdout
    assert path.read_bytes() == data


def test_a_live_recording_is_refused(cli: Any, tmp_path: Path) -> None:
    with Pen(tmp_path / "live.h5") as pen:
        write_pairs(pen, [3])
        result = cli("repair", tmp_path / "live.h5", "--dry-run")
    assert result.exit_code == 1
    assert "being recorded" in result.stderr


def test_nothing_there_is_said(cli: Any, tmp_path: Path) -> None:
    result = cli("repair", tmp_path / "missing.h5")
    assert result.exit_code == 1
    assert "missing.h5" in result.stderr

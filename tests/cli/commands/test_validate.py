"""``gym-h5record validate``: what is wrong, for people and for programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gym_h5record.storage.paths import journal_path
from tests.writing import Pen, elsewhere, write_pairs


@pytest.fixture
def path(paintings: Path, tmp_path: Path) -> Path:
    """A recording that may be spoilt."""
    return Path(shutil.copy(paintings, tmp_path / "run.h5"))


def spoil(path: Path) -> None:
    """Two errors and a warning, one of the errors only to be found in the rows."""
    with h5py.File(path, "r+") as file:
        file["metadata"].attrs.modify("total_steps", np.int64(3))
        file["episodes/returns"][1] = 5.0
        del file["metadata"].attrs["run_id"]


def test_a_good_recording_is_one_line(cli: Any, path: Path) -> None:
    result = cli("validate", "run.h5", "--deep")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "run.h5: no problem found\n", "")


def test_without_deep_it_says_that_rows_were_not_read(cli: Any, path: Path) -> None:
    result = cli("validate", "run.h5")
    assert result.exit_code == 0
    assert result.stdout == "run.h5: no problem found; the rows were not read, --deep reads them\n"


def test_errors_are_shown_with_place_and_remedy_and_end_with_1(cli: Any, path: Path) -> None:
    spoil(path)
    result = cli("validate", "run.h5", "--deep")
    assert result.exit_code == 1
    head, *lines, empty, verdict = result.stdout.splitlines()
    assert head.split() == ["severity", "place", "problem", "and", "remedy"]
    assert (empty, verdict) == ("", "run.h5: 2 errors, 1 warning")
    text = " ".join(" ".join(lines).split())
    for part in ("error /metadata total_steps", "totals: it is 3", "/episodes/returns episode 1", "episode-return:"):
        assert part in text
    assert "-> Copy the readable rows into a new file" in text
    assert "warning /metadata" in text


def test_what_is_only_in_the_rows_is_not_found_without_deep(cli: Any, path: Path) -> None:
    spoil(path)
    result = cli("validate", "run.h5")
    assert result.exit_code == 1
    assert "run.h5: 1 error, 1 warning" in result.stdout


def test_warnings_alone_end_with_0(cli: Any, path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["observations"][2, 0] = np.nan
    result = cli("validate", "run.h5", "--deep")
    assert result.exit_code == 0
    assert "not-finite: it holds nan" in result.stdout
    assert "run.h5: 1 warning\n" in result.stdout


def test_json_says_it_all_in_one_object(cli: Any, path: Path) -> None:
    spoil(path)
    result = cli("validate", "run.h5", "--deep", "--json")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert {name: content[name] for name in ("path", "deep", "errors", "warnings")} == {
        "path": "run.h5",
        "deep": True,
        "errors": 2,
        "warnings": 1,
    }
    assert [each["code"] for each in content["problems"]] == ["metadata-incomplete", "totals", "episode-return"]
    assert content["problems"][2] == {
        "severity": "error",
        "code": "episode-return",
        "place": "/episodes/returns episode 1",
        "message": "it is 5.0, the rewards add up to 3.0",
        "remedy": content["problems"][2]["remedy"],
    }


def test_json_of_a_good_recording_has_no_problems(cli: Any, path: Path) -> None:
    result = cli("validate", "run.h5", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "path": "run.h5",
        "deep": False,
        "errors": 0,
        "warnings": 0,
        "problems": [],
    }


@pytest.mark.parametrize("content", [b"", b"no HDF5", bytes(1000)])
def test_what_is_no_recording_ends_with_1(content: bytes, cli: Any, tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_bytes(content)
    result = cli("validate", "text.h5")
    assert result.exit_code == 1
    assert "not-a-recording: it is not an HDF5 file" in result.stdout


def test_what_is_not_there_is_one_line(cli: Any) -> None:
    result = cli("validate", "absent.h5")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: there is no recording at ")


def test_what_is_being_recorded_is_one_line(cli: Any, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        result = cli("validate", "run.h5")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is being recorded" in result.stderr


def test_an_interrupted_recording_sends_to_repair(cli: Any, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        path = elsewhere(tmp_path / "run.h5")
        assert journal_path(path).exists()
        result = cli("validate", path)
    assert result.exit_code == 1
    assert "gym-h5record repair FILE" in " ".join(result.stdout.split())


@pytest.mark.parametrize("arguments", [(), ("run.h5", "other.h5"), ("run.h5", "--deeper")])
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...], cli: Any, path: Path) -> None:
    assert cli("validate", *arguments).exit_code == 2


def test_lines_fit_into_80_columns_and_have_no_colours(cli: Any, path: Path) -> None:
    spoil(path)
    stdout = cli("validate", "run.h5", "--deep").stdout
    assert max(map(len, stdout.splitlines())) <= 80
    assert "\x1b" not in stdout


def test_text_from_the_file_neither_drives_the_terminal_nor_is_markup(cli: Any, path: Path) -> None:
    evil = "[bold]x[/bold]\x1b[31m\x07"
    with h5py.File(path, "r+") as file:
        file["metadata"].attrs["versions"] = evil
    stdout = cli("validate", "run.h5").stdout
    assert not {"\x1b", "\x07"} & set(stdout)
    assert r"[bold]x[/bold]\x1b[31m\x07" in "".join(stdout.split())


def test_a_bar_is_drawn_on_a_terminal(cli: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes stderr for a terminal
    monkeypatch.setenv("TERM", "xterm")
    result = cli("validate", "run.h5", "--deep")
    assert (result.exit_code, result.stdout) == (0, "run.h5: no problem found\n")
    assert "12/12 rows" in result.stderr
    assert cli("validate", "run.h5", "--deep", "--json").stderr == ""

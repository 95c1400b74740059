"""``gym-h5record repair``: what is told, what is done, and with which exit code it ends."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gym_h5record as h5r
from gym_h5record.maintenance.repairs import repairing
from gym_h5record.maintenance.repairs.repairing import RepairReport, RowCount
from gym_h5record.storage.paths import journal_path
from tests.leftovers import (
    DAMAGED,
    INTERRUPTED,
    closed,
    contents,
    left_appended,
    left_open,
    left_pairs,
    pictures,
    unreadable_chunk,
    vanished,
)
from tests.writing import Pen, check_alone, check_pairs, write_pairs


def facts(stdout: str) -> dict[str, str]:
    """The lines of the table by name; a line without a name belongs to the one before it."""
    found: dict[str, str] = {}
    for line in stdout.split("\n\n")[0].splitlines():
        name, _, value = line.partition("  ") if line[0] != " " else ("", "", line)
        if name:
            found[name] = value.strip()
        else:
            found[[*found][-1]] += f" | {value.strip()}"
    return found


def test_what_a_dead_recorder_left_is_brought_in(cli: Any, tmp_path: Path) -> None:
    path = left_pairs(tmp_path, [3, 2], [5, 0])
    result = cli("repair", path)
    assert (result.exit_code, result.stderr) == (0, "")
    told = facts(result.stdout)
    assert told["found"] == "left by a recorder that died"
    assert told["done"] == (
        "bring in 7 rows that only the journal has | close the episode that was running as incomplete | "
        "remove the journal"
    )
    assert told["has now"] == "10 steps in 4 episodes"
    assert re.fullmatch(r"7 rows, 2 episodes, \d+ B", told["recovered"])
    assert told["lost"] == "nothing"
    check_pairs(path, [3, 2, 5, 0])
    check_alone(path)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(cli: Any, tmp_path: Path) -> None:
    path = left_open(tmp_path, is_committed=False)
    before = contents(path.parent)
    result = cli("repair", path, "--dry-run")
    assert contents(path.parent) == before
    assert result.exit_code == 0
    told = facts(result.stdout)
    assert told["would do"].startswith("bring in 3 rows that only the journal has | close the episode")
    assert told["would have"] == "5 steps in 2 episodes"
    assert told["recovered"].startswith("3 rows, 1 episode, ")
    assert facts(cli("repair", path).stdout)["has now"] == told["would have"]


@pytest.mark.parametrize("option", [(), ("--dry-run",), ("--salvage", "saved.h5")])
def test_a_closed_recording_is_two_facts(cli: Any, tmp_path: Path, option: tuple[str, ...]) -> None:
    closed(tmp_path)
    result = cli("repair", "run.h5", *option)
    assert result.exit_code == 0
    told = facts(result.stdout)
    assert told.pop("has now", None) or told.pop("would have")
    assert told == {"file": "run.h5", "found": "closed: nothing to repair"}
    check_alone(tmp_path / "run.h5")


def test_a_file_without_its_journal_may_have_lost_rows(cli: Any, tmp_path: Path) -> None:
    path = left_pairs(tmp_path, [3, 2], [5])
    journal_path(path).unlink()
    assert json.loads(cli("repair", path, "--dry-run", "--json").stdout)["without_journal"]
    told = facts(cli("repair", path).stdout)
    assert told["done"].endswith(" | do without the journal, which is not there")
    assert told["has now"] == "5 steps in 2 episodes"
    assert (told["recovered"], told["lost"]) == ("nothing", "rows that only the journal had, if there was one")
    check_pairs(path, [3, 2])
    check_alone(path)


def test_a_recorder_that_died_before_its_first_row_left_nothing(cli: Any, tmp_path: Path) -> None:
    INTERRUPTED["journal-reserved"](tmp_path)
    result = cli("repair", "run.h5")
    assert result.exit_code == 0
    assert facts(result.stdout)["done"] == "remove the journal"
    assert list(tmp_path.iterdir()) == []


def test_damage_is_1_and_says_what_is_wrong_what_is_left_and_how_to_save_it(cli: Any, tmp_path: Path) -> None:
    DAMAGED["rewards-short"](tmp_path)
    before = contents(tmp_path)
    result = cli("repair", "run.h5")
    assert (result.exit_code, result.stderr) == (1, "")
    told = facts(result.stdout)
    assert told["found"] == "damaged beyond repair"
    assert told["problem"] == "/rewards: 7 items are committed, it has 5"
    assert told["done"] == "nothing"
    assert told["claims"] == "5 steps in 2 episodes"
    assert told["readable"] == "6 rows, 3 episodes, 252 B"
    assert told["lost"] == "1 row, 1 episode, 42 B"
    assert result.stdout.splitlines()[-1] == (
        "It has not been changed. Save the readable rows: gym-h5record repair run.h5 --salvage NEW.h5"
    )
    assert contents(tmp_path) == before


def test_the_command_that_is_shown_works(cli: Any, tmp_path: Path) -> None:
    path = DAMAGED["rewards-short"](tmp_path).rename(tmp_path / "my run.h5")
    command = cli("repair", path).stdout.splitlines()[-1].partition("gym-h5record ")[2]
    assert command == f"repair '{path}' --salvage NEW.h5"
    assert cli("repair", path, "--salvage", "NEW.h5").exit_code == 0
    assert h5r.Recording(tmp_path / "NEW.h5").num_rows == 6


def test_salvage_copies_what_can_be_read_and_says_what_is_not_in_it(cli: Any, tmp_path: Path) -> None:
    unreadable_chunk(pictures(tmp_path))
    before = contents(tmp_path)
    foreseen = cli("repair", "run.h5", "--salvage", "saved.h5", "--dry-run")
    assert contents(tmp_path) == before
    result = cli("repair", "run.h5", "--salvage", "saved.h5")
    assert contents(tmp_path)["run.h5"] == before["run.h5"]
    assert (foreseen.exit_code, result.exit_code) == (0, 0)
    told = facts(result.stdout)
    assert told["found"] == "damaged beyond repair"
    assert told["done"] == "copy 46 rows in 3 episodes to saved.h5"
    assert facts(foreseen.stdout)["would do"] == told["done"]
    assert told["readable"].startswith("46 rows, 3 episodes, 3")
    assert told["lost"] == "16 rows, 1 episode, 113 kB"
    assert result.stdout.splitlines()[-1] == "Saved in saved.h5. NOT in it: 16 rows, 1 episode, 113 kB."
    assert h5r.Recording(tmp_path / "saved.h5").num_episodes == 3


def test_salvage_says_so_if_nothing_is_lost(cli: Any, tmp_path: Path) -> None:
    DAMAGED["index-missing"](tmp_path)
    result = cli("repair", "run.h5", "--salvage", "saved.h5")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "Saved in saved.h5. Nothing is lost."


@pytest.mark.parametrize("options", [(), ("--salvage", "saved.h5"), ("--salvage", "saved.h5", "--dry-run")])
def test_if_nothing_can_be_read_it_is_1_and_no_file_is_made(cli: Any, tmp_path: Path, options: tuple[str, ...]) -> None:
    path = vanished(tmp_path)
    result = cli("repair", path, *options)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "Nothing of it can be read. Do you have a copy?"
    assert not (tmp_path / "saved.h5").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--dry-run",), "is being recorded: there is nothing to repair"), ((), "is being recorded: its lock")],
    ids=["dry", "wet"],
)
def test_a_live_recording_is_1_and_left_alone(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.setattr("gym_h5record.storage.lock._GLANCE_S", 0.01)
    monkeypatch.setattr(repairing, "PATIENCE_S", 0.05)
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        result = cli("repair", "run.h5", *options)
        assert (result.exit_code, result.stdout) == (1, "")
        assert re.fullmatch(rf"error: .*run\.h5.*({message}).*\n", result.stderr)
        write_pairs(pen, [2], first_row=4)
    check_pairs(tmp_path / "run.h5", [3, 2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, r"there is no recording at .*run\.h5"),
        (lambda folder: (folder / "run.h5").write_bytes(b"text"), r"run\.h5 is not an HDF5 file"),
    ],
    ids=["nothing", "text"],
)
def test_what_is_no_recording_is_one_line(cli: Any, tmp_path: Path, make: Callable[[Path], Any], message: str) -> None:
    make(tmp_path)
    result = cli("repair", "run.h5")
    assert (result.exit_code, result.stdout) == (1, "")
    assert re.match(f"error: .*{message}.*\n$", result.stderr)


def test_a_file_to_save_into_that_exists_is_1(cli: Any, tmp_path: Path) -> None:
    DAMAGED["rewards-short"](tmp_path)
    (tmp_path / "saved.h5").write_bytes(b"precious")
    result = cli("repair", "run.h5", "--salvage", "saved.h5")
    assert result.exit_code == 1
    assert "saved.h5 exists" in result.stderr
    assert (tmp_path / "saved.h5").read_bytes() == b"precious"


def test_wrong_usage_is_2(cli: Any) -> None:
    assert cli("repair").exit_code == 2
    assert cli("repair", "run.h5", "--salvage").exit_code == 2
    assert cli("repair", "run.h5", "--force").exit_code == 2


def test_help_says_what_the_exit_codes_mean(cli: Any) -> None:
    text = " ".join(cli("repair", "--help").stdout.split())
    for part in ("--dry-run", "--salvage NEW", "--json", "exit code is 0", "It is 1", "what is not in the copy"):
        assert part in text


# For programs ----------------------------------------------------------------------------------------


def test_json_has_the_whole_report(cli: Any, tmp_path: Path) -> None:
    path = left_appended(tmp_path, is_committed=False)
    foreseen = json.loads(cli("repair", path, "--dry-run", "--json").stdout)
    found = json.loads(cli("repair", path, "--json").stdout)
    assert foreseen == {**found, "dry_run": True}
    assert found == {
        "path": str(path),
        "dry_run": False,
        "ok": True,
        "found": "interrupted",
        "steps": 10,
        "episodes": 4,
        "recovered": {"rows": 7, "episodes": 2, "bytes": found["recovered"]["bytes"]},
        "lost": {"rows": 0, "episodes": 0, "bytes": 0},
        "actions": ["bring in 7 rows that only the journal has", "remove the journal"],
        "problem": "",
        "readable": {"rows": 0, "episodes": 0, "bytes": 0},
        "salvaged": None,
        "without_journal": False,
    }


def test_json_of_damage_has_the_same_exit_codes(cli: Any, tmp_path: Path) -> None:
    DAMAGED["rewards-short"](tmp_path)
    result = cli("repair", "run.h5", "--json")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert (content["ok"], content["found"], content["readable"]["rows"]) == (False, "damaged", 6)
    result = cli("repair", "run.h5", "--json", "--salvage", "saved.h5")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["salvaged"] == "saved.h5"


def test_text_from_the_file_and_its_name_does_not_drive_the_terminal(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = RepairReport("damaged", problem="\x1b[31m[red]bad\x07", readable=RowCount(1, 1))
    monkeypatch.setattr(h5r, "repair", lambda *each, **more: report)
    result = cli("repair", "a\x1b[31m.h5")
    assert not {"\x1b", "\x07"} & set(result.stdout)
    assert r"\x1b[31m[red]bad\x07" in result.stdout


def test_lines_fit_into_80_columns(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left_pairs(tmp_path, [3], [2])
    monkeypatch.chdir(tmp_path / "left")
    stdout = cli("repair", "run.h5").stdout
    assert max(map(len, stdout.splitlines())) <= 80
    assert not re.search(" +$", stdout, re.MULTILINE)


# Ctrl-C ----------------------------------------------------------------------------------------------


def test_ctrl_c_lets_a_repair_be_completed(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = left_pairs(tmp_path, [3], [2])
    repair = h5r.repair

    def interrupted(*each: Any, **more: Any) -> RepairReport:
        os.kill(os.getpid(), signal.SIGINT)
        return repair(*each, **more)

    monkeypatch.setattr(h5r, "repair", interrupted)
    assert cli("repair", path).exit_code == 0
    check_pairs(path, [3, 2])


@pytest.mark.parametrize("options", [(), ("--salvage", "saved.h5")])
def test_ctrl_c_ends_reading_row_by_row_with_3_and_leaves_nothing(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    unreadable_chunk(pictures(tmp_path), chunk=3)
    before = contents(tmp_path)
    repair = h5r.repair

    def interrupted(*each: Any, **more: Any) -> RepairReport:
        os.kill(os.getpid(), signal.SIGINT)
        return repair(*each, **more)

    monkeypatch.setattr(h5r, "repair", interrupted)
    result = cli("repair", "run.h5", *options)
    assert (result.exit_code, result.stdout, result.stderr) == (3, "", "interrupted\n")
    assert contents(tmp_path) == before

"""``diagnose``: what file and journal hold, and what a repair will make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gym_h5record.errors import NotARecordingError, RecordingPathError
from gym_h5record.maintenance.repairs import diagnosis as module
from gym_h5record.maintenance.repairs.diagnosis import Diagnosis, diagnose, problem_text
from gym_h5record.maintenance.validation.problems import make_problem
from gym_h5record.writing.journal_control import Control
from tests.leftovers import DAMAGED, INTERRUPTED, closed, contents, left_open, left_pairs


def before_and_after(found: Diagnosis) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and episodes in the file, and those that a repair will leave."""
    return (found.num_rows, found.num_episodes), (found.rows_after, found.episodes_after)


def test_a_closed_recording_stays_as_it_is(tmp_path: Path) -> None:
    found = diagnose(closed(tmp_path))
    assert before_and_after(found) == ((7, 2), (7, 2))
    assert (found.num_steps, found.num_running, found.running_after) == (5, 0, 0)
    assert (found.journal, found.journal_bytes, found.problem) == (None, 0, "")


def test_rows_that_only_the_journal_has_are_foreseen_and_nothing_is_changed(tmp_path: Path) -> None:
    path = left_pairs(tmp_path, [3], [2])
    before = contents(path.parent)
    found = diagnose(path)
    assert before_and_after(found) == ((4, 1), (7, 2))
    assert (found.num_steps, found.running_after, found.problem) == (3, 0, "")
    assert found.journal_bytes > 0
    assert contents(path.parent) == before


@pytest.mark.parametrize(("is_committed", "rows", "steps"), [(False, 4, 3), (True, 7, 5)])
def test_an_episode_that_was_running_counts_after_the_repair(
    is_committed: bool, rows: int, steps: int, tmp_path: Path
) -> None:
    found = diagnose(left_open(tmp_path, is_committed=is_committed))
    assert before_and_after(found) == ((rows, 1), (7, 2))
    assert (found.num_steps, found.num_running, found.running_after) == (steps, int(is_committed), 1)


@pytest.mark.parametrize(
    ("name", "before", "after", "discarded"),
    [
        ("discarded", (45, 2), (7, 2), 1),
        ("discarded-committed", (4, 1), (7, 2), 0),
        ("discarded-at-last", (45, 2), (4, 1), 1),
        ("appended-after-discards", (7, 2), (12, 3), 0),
    ],
)
def test_discarded_episodes_are_foreseen(
    name: str, before: tuple[int, int], after: tuple[int, int], discarded: int, tmp_path: Path
) -> None:
    found = diagnose(INTERRUPTED[name](tmp_path))
    assert before_and_after(found) == (before, after)
    assert (found.newly_discarded, found.running_after, found.problem) == (discarded, 0, "")


@pytest.mark.parametrize("name", ["replacing", "replacing-a-text", "nothing-committed"])
def test_a_file_that_is_still_to_be_made_or_replaced_holds_nothing(name: str, tmp_path: Path) -> None:
    found = diagnose(INTERRUPTED[name](tmp_path))
    assert (found.journal_id, found.num_rows, found.problem) == (None, 0, "")
    assert found.rows_after > 0


def test_a_text_without_a_journal_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_text("a text")
    with pytest.raises(NotARecordingError):
        diagnose(tmp_path / "run.h5")


def test_a_journal_that_a_power_cut_made_worthless_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = left_pairs(tmp_path, [3], [2])
    assert diagnose(path).rows_after == 7
    monkeypatch.setattr(module, "is_outlived", lambda journal: True)
    found = diagnose(path)
    assert before_and_after(found) == ((4, 1), (4, 1))
    assert (found.journal, found.outlived_rows, found.problem) == (None, 3, "")
    assert found.outlived is not None
    found.outlived.control[Control.TAIL] = 1 << 40  # claims that cannot be true are not counted
    assert found.outlived_rows == 0


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("rewards-short", "/rewards: 7 items are committed, it has 5"),
        ("cut-short-a-little", "bytes are missing at its end"),
        ("journal-header", "the header of run.h5.journal cannot be read"),
        ("journal-no-journal", "run.h5.journal is no journal"),
        ("journal-of-another-recording", "it is another recording than the one its journal run.h5.journal is for"),
        ("journal-of-a-later-instant", "the journal run.h5.journal has rows"),
        ("journal-segments", "the journal run.h5.journal cannot be drained"),
    ],
)
def test_the_problem_is_of_the_file_the_journal_or_of_both_together(name: str, problem: str, tmp_path: Path) -> None:
    assert problem in diagnose(DAMAGED[name](tmp_path)).problem


def test_a_journal_that_may_not_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "open_left_journal", refuse)
    with pytest.raises(RecordingPathError, match=r"no permission to use .*run\.h5\.journal"):
        diagnose(left_pairs(tmp_path, [3], [2]))


def test_the_text_of_a_problem_is_a_printable_line() -> None:
    assert problem_text(make_problem("ragged", "/actions row 3", "\x1b is odd")) == r"/actions row 3: \x1b is odd"

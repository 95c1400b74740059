"""A left journal is used only if its rows lie in its rings, and belong to the file beside it."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from gym_h5record.errors import CorruptRecordingError, RecordingExistsError, RecordingNotFoundError
from gym_h5record.format.claims import Commit
from gym_h5record.storage.paths import journal_path
from gym_h5record.writing import left_journal
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import HEADER_AT, Control
from gym_h5record.writing.journal_rows import BLOB_ENDS
from gym_h5record.writing.left_journal import (
    DRAIN_ERRORS,
    boot_id,
    check_belongs,
    check_positions,
    damage_as_corrupt,
    is_outlived,
    open_left_journal,
)
from tests.writing import Pen, elsewhere, run_script, write_pairs


def leave(tmp_path: Path, *, flush: bool = False, **options: Any) -> Path:
    """Leave a recording of eight rows; after a flush the first five are in the file."""
    with Pen(tmp_path / "run.h5", **options) as pen:
        write_pairs(pen, [4])
        if flush:
            pen.flush()
        write_pairs(pen, [2], first_row=5)
        return elsewhere(tmp_path / "run.h5")


def left(path: Path) -> Journal:
    journal = open_left_journal(path)
    assert journal is not None
    return journal


# Opening ------------------------------------------------------------------------------------------


def test_the_journal_of_a_dead_recorder_is_opened_with_its_rows(tmp_path: Path) -> None:
    journal = left(leave(tmp_path))
    assert journal.control[Control.HEAD] == 8
    assert journal.columns["observations"][7].tolist() == [7, -7]


@pytest.mark.parametrize("kind", ["none", "unfinished", "not-laid-out"])
def test_a_journal_without_rows_is_none(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    if kind == "unfinished":
        journal_path(path).write_bytes(bytes(3 * HEADER_AT))
    elif kind == "not-laid-out":
        Journal.reserve(journal_path(path), 100, 1000)
    assert open_left_journal(path) is None


def test_another_file_in_its_place_is_corrupt(tmp_path: Path) -> None:
    journal_path(tmp_path / "run.h5").write_bytes(b"another file" * 1000)
    with pytest.raises(CorruptRecordingError, match=r"run\.h5\.journal is no journal"):
        open_left_journal(tmp_path / "run.h5")


@pytest.mark.parametrize("error", [each for each in DRAIN_ERRORS if each is not MemoryError])
def test_every_error_that_damage_raises_is_corrupt(error: type[Exception]) -> None:
    with (
        pytest.raises(CorruptRecordingError, match="it is damaged: .*the cause") as caught,
        damage_as_corrupt("it is damaged"),
    ):
        raise error("the cause")
    assert type(caught.value.__cause__) is error


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "bad disk"), RecordingExistsError("another"), KeyboardInterrupt()]
)
def test_errors_that_say_nothing_of_damage_stay_as_they_are(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, damage_as_corrupt("it is damaged"):
        raise error
    assert caught.value is error


# Positions ----------------------------------------------------------------------------------------


def claim_rows(journal: Journal) -> None:
    journal.control[Control.HEAD] = journal.control[Control.TAIL] + journal.capacity_rows + 1


def go_back(journal: Journal) -> None:
    journal.control[Control.TAIL] = journal.control[Control.HEAD] + 1


def claim_segments(journal: Journal) -> None:
    journal.columns[BLOB_ENDS][5] = journal.blob_bytes + 1


def spoil_boolean(journal: Journal) -> None:
    journal.columns["terminations"].view("u1")[6] = 2


def spoil_header(journal: Journal) -> None:
    journal.header["codec"] = 5


def lose_bytes(journal: Journal) -> None:
    journal.stored_bytes = -(1 << 40)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (claim_rows, "claims rows"),
        (go_back, "claims rows"),
        (claim_segments, "claims segments that do not follow each other"),
        (spoil_boolean, "has booleans for /terminations"),
        (spoil_header, "has codec=5"),
        (lose_bytes, "claims .* bytes, and has"),
    ],
)
def test_positions_that_cannot_be_are_corrupt(damage: Any, words: str, tmp_path: Path) -> None:
    journal = left(leave(tmp_path, flush=True))
    check_positions(journal)
    damage(journal)
    with pytest.raises(CorruptRecordingError, match=words):
        check_positions(journal)


# The file beside it -------------------------------------------------------------------------------


def test_a_journal_belongs_to_the_file_that_it_was_drained_into(tmp_path: Path) -> None:
    path = leave(tmp_path, flush=True)
    journal = left(path)
    journal_id, tail = journal.header["journal_id"], journal.control[Control.TAIL]
    assert check_belongs(path, journal, journal_id, Commit(8, 2, head=8, tail=8, tail_row=8))
    assert check_belongs(path, journal, journal_id, Commit(3, 1, head=8, tail=8, tail_row=3))  # five are discarded
    for head in (tail - 1, 9):
        with pytest.raises(CorruptRecordingError, match="not of the same instant. One of the two files is an older"):
            check_belongs(path, journal, journal_id, Commit(8, 2, head=head))


def test_a_new_recording_without_a_file_gets_one_if_all_its_rows_are_in_the_journal(tmp_path: Path) -> None:
    journal = left(leave(tmp_path))
    assert not check_belongs(tmp_path / "run.h5", journal, None, None)
    journal.control[Control.TAIL] = 2
    with pytest.raises(
        RecordingNotFoundError, match=r"run\.h5 has vanished; its journal run\.h5\.journal continues it"
    ):
        check_belongs(tmp_path / "run.h5", journal, None, None)


@pytest.mark.parametrize("mode", ["x", "w"])
def test_another_recording_is_replaced_by_mode_w_only(mode: str, tmp_path: Path) -> None:
    journal = left(leave(tmp_path, mode=mode))
    if mode == "w":
        assert not check_belongs(tmp_path / "run.h5", journal, "another", Commit(8, 2))
    else:
        with pytest.raises(RecordingExistsError, match="is another recording than the one its journal"):
            check_belongs(tmp_path / "run.h5", journal, "another", Commit(8, 2))


def test_appended_rows_belong_to_a_file_with_the_rows_before_them(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
    with Pen(tmp_path / "run.h5", mode="a") as pen:
        write_pairs(pen, [2], first_row=4)
        path = elsewhere(tmp_path / "run.h5")
    journal = left(path)
    assert check_belongs(path, journal, "of the recorder before", Commit(4, 1))
    with pytest.raises(CorruptRecordingError, match="continues a recording of 4 rows, .* has 5"):
        check_belongs(path, journal, "of the recorder before", Commit(5, 1))
    with pytest.raises(RecordingNotFoundError, match="has vanished"):
        check_belongs(path, journal, None, None)


# The start of the machine -------------------------------------------------------------------------


def test_only_a_durable_journal_of_an_earlier_start_is_outlived(tmp_path: Path) -> None:
    journal = left(leave(tmp_path))
    for durability, boot, outlived in (
        ("process", "another", False),
        ("power", boot_id(), False),
        ("power", "another", True),
    ):
        journal.header.update(durability=durability, boot_id=boot)
        assert is_outlived(journal) is outlived


def test_the_boot_id_is_the_same_for_all_processes() -> None:
    said = run_script("from gym_h5record.writing.left_journal import boot_id; print(boot_id())").stdout
    assert said == f"{boot_id()}\n"


@pytest.mark.skipif(not left_journal._BOOT_ID.exists(), reason="this system has none")
def test_the_boot_id_is_what_the_kernel_says() -> None:
    assert boot_id() == left_journal._BOOT_ID.read_text().strip() != ""


def test_the_boot_id_is_empty_on_a_system_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_journal, "_BOOT_ID", tmp_path / "nothing")
    assert boot_id() == ""

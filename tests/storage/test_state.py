"""The state of a recording, as it is told from outside."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

import gym_h5record as h5r
from gym_h5record.errors import InterruptedRecordingError, NotARecordingError, RecordingNotFoundError
from gym_h5record.storage import state
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.storage.paths import has_journal, journal_path, lock_path
from gym_h5record.storage.state import State, recording_state
from gym_h5record.writing.journal import Journal
from tests.leftovers import INTERRUPTED, closed, contents, cut, left_open, left_pairs, mark_torn
from tests.writing import Pen, each_writer, run_script, write_pairs

WITHOUT_FILE = ("nothing-committed", "one-reset", "journal-reserved", "journal-unfinished", "journal-without-rows")


def test_a_recording_that_was_closed_is_closed(tmp_path: Path) -> None:
    assert recording_state(closed(tmp_path)) is State.CLOSED


@each_writer
def test_a_recording_is_live_from_its_first_reset_until_it_is_closed(writer: str, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Pen(path, writer=writer) as pen:
        assert recording_state(path) is State.LIVE  # although there is no file yet
        write_pairs(pen, [3])
        pen.flush()
        assert path.exists()
        assert recording_state(path) is State.LIVE
    assert recording_state(path) is State.CLOSED
    with Pen(path, mode="a", writer=writer):
        assert recording_state(path) is State.LIVE


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", INTERRUPTED)
def test_whatever_a_dead_recorder_leaves_is_interrupted(name: str, tmp_path: Path) -> None:
    path = INTERRUPTED[name](tmp_path)
    before = contents(path.parent)
    assert recording_state(path) is State.INTERRUPTED
    assert path.exists() == (name not in WITHOUT_FILE)
    assert contents(path.parent) == before


def test_a_lock_file_without_a_holder_means_nothing(tmp_path: Path) -> None:
    path = closed(tmp_path)
    lock_path(path).touch()
    assert recording_state(path) is State.CLOSED
    (tmp_path / "torn").mkdir()
    path = left_pairs(tmp_path / "torn", [3], [2])
    lock_path(path).touch()
    assert recording_state(path) is State.INTERRUPTED


def test_a_lock_that_is_held_makes_it_live_even_if_the_holder_is_this_process(tmp_path: Path) -> None:
    path = left_pairs(tmp_path, [3], [2])
    lock = RecordingLock(path)
    assert recording_state(path) is State.LIVE
    assert recording_state(path, is_ours=True) is State.INTERRUPTED
    lock.release()
    assert recording_state(path) is State.INTERRUPTED


def test_a_lock_on_a_file_that_is_closed_does_not_make_it_live(tmp_path: Path) -> None:
    """The process that holds it has not begun to write, or has ended."""
    path = closed(tmp_path)
    lock = RecordingLock(path)
    assert recording_state(path) is State.CLOSED
    lock.release()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_closed_file_that_has_lost_its_end_is_cut_short(share: float, tmp_path: Path) -> None:
    assert recording_state(cut(closed(tmp_path), share)) is State.CUT_SHORT


def test_a_file_with_a_journal_or_marks_is_interrupted_even_if_it_has_lost_its_end(tmp_path: Path) -> None:
    path = cut(closed(tmp_path), 0.9)
    journal_path(path).touch()
    assert recording_state(path) is State.INTERRUPTED
    journal_path(path).unlink()
    mark_torn(path)
    assert recording_state(path) is State.INTERRUPTED


def test_a_file_that_has_grown_behind_its_end_is_interrupted(tmp_path: Path) -> None:
    path = closed(tmp_path)
    with path.open("ab") as file:
        file.write(b"half a chunk")
    assert recording_state(path) is State.INTERRUPTED


@pytest.mark.parametrize("name", ["some-committed", "open-committed", "released", "appended-committed", "amid-a-sync"])
def test_a_file_that_was_being_written_says_so_without_anything_beside_it(name: str, tmp_path: Path) -> None:
    """As in a copy of it alone."""
    path = INTERRUPTED[name](tmp_path)
    (tmp_path / "copy").mkdir()
    copy = Path(shutil.copy(path, tmp_path / "copy" / "run.h5"))
    assert recording_state(copy) is State.INTERRUPTED
    with h5py.File(copy) as file:  # HDF5 itself reads it
        assert "commit" in file
    with pytest.raises(InterruptedRecordingError, match="its journal is not beside it"):
        h5r.Recording(copy)
    assert [each.code for each in h5r.validate(copy) if each.severity is h5r.Severity.ERROR] == ["interrupted"]
    assert h5r.repair(copy).found == "interrupted"
    assert recording_state(copy) is State.CLOSED
    with h5r.Recording(copy) as recording:
        assert recording.num_rows > 0


@each_writer
def test_whenever_a_file_is_copied_that_is_being_written_it_is_not_taken_for_closed(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, copy, states = tmp_path / "run.h5", tmp_path / "copy.h5", []

    def look() -> None:
        shutil.copy(path, copy)
        states.append(recording_state(copy))

    with Pen(path, writer=writer) as pen:
        for name in ("pwrite", "ftruncate") if writer == "inline" else ():
            call = getattr(os, name)
            monkeypatch.setattr(os, name, lambda *each, call=call: (path.exists() and look(), call(*each))[1])
        for row in range(0, 60, 4):
            write_pairs(pen, [3], first_row=row)
            pen.flush()
            look()
        monkeypatch.undo()
    assert len(states) >= 15
    # Before its first rows, a file is as it was made.
    assert set(states[states.index(State.INTERRUPTED) :]) == {State.INTERRUPTED}
    assert states.index(State.INTERRUPTED) <= 1
    assert recording_state(path) is State.CLOSED


def test_a_recording_that_is_cut_short_is_said_to_lack_bytes_and_what_to_do(tmp_path: Path) -> None:
    path = closed(tmp_path)
    os.truncate(path, path.stat().st_size - 100)
    assert str(state.cut_short_error(path)).startswith(f"{path}: {state.cut_short_text(100)}. Copy it again")
    assert state.cut_short_text(100).startswith("100 bytes are missing at its end: it was cut short")
    assert f"gym-h5record repair {path} --salvage FILE" in str(state.cut_short_error(path))


@pytest.mark.parametrize(("is_torn", "looks"), [(False, 1), (True, 3)])
def test_a_look_at_a_file_reads_its_superblock_once(
    is_torn: bool, looks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, reads = closed(tmp_path), []
    if is_torn:
        mark_torn(path)
    read = state.read_superblock
    monkeypatch.setattr(state, "read_superblock", lambda path: (reads.append(path), read(path))[1])
    assert recording_state(path) is (State.INTERRUPTED if is_torn else State.CLOSED)
    assert len(reads) == looks
    reads.clear()
    recording_state(path, is_ours=True)
    assert len(reads) == 1


def test_nothing_there_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "run.h5", tmp_path / "missing" / "run.h5"):
        with pytest.raises(RecordingNotFoundError, match=r"there is no recording at .*run\.h5"):
            recording_state(path)


@pytest.mark.parametrize("content", [b"", b"a text", b"\x89HDF\r\n\x1a\n"], ids=["empty", "text", "short"])
def test_what_is_no_hdf5_file_is_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(content)
    with pytest.raises(NotARecordingError, match=r"run\.h5 is not an HDF5 file"):
        recording_state(tmp_path / "run.h5")


def test_what_is_no_hdf5_file_is_interrupted_if_a_journal_is_there_to_replace_it(tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(b"a text")
    Journal.reserve(journal_path(tmp_path / "run.h5"), 100, 1000)
    assert recording_state(tmp_path / "run.h5") is State.INTERRUPTED


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["directory", "fifo"])
def test_what_is_no_file_is_said_at_once(make: Callable[[Path], Any], tmp_path: Path) -> None:
    make(tmp_path / "run.h5")
    with pytest.raises(NotARecordingError, match=r"run\.h5 is not a regular file"):
        recording_state(tmp_path / "run.h5")


def test_a_journal_may_be_anything(tmp_path: Path) -> None:
    path = closed(tmp_path)
    assert not has_journal(path)
    for make in (Path.mkdir, os.mkfifo, lambda journal: journal.symlink_to("nowhere")):
        make(journal_path(path))
        assert has_journal(path)
        assert recording_state(path) is State.INTERRUPTED
        journal_path(path).rmdir() if journal_path(path).is_dir() else journal_path(path).unlink()


def test_other_hdf5_files_are_closed(tmp_path: Path) -> None:
    for name, version in (("old.h5", "earliest"), ("new.h5", "latest")):
        with h5py.File(tmp_path / name, "w", libver=version) as file:
            file["x"] = 1
        assert recording_state(tmp_path / name) is State.CLOSED


def test_a_recording_that_is_completed_between_two_looks_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer has let go of the lock, and of the journal before that."""
    path = left_open(tmp_path, is_committed=True)
    (tmp_path / "completed").mkdir()
    completed = closed(tmp_path / "completed")

    def complete(looked_at: Path) -> bool:
        shutil.copy(completed, looked_at)
        journal_path(looked_at).unlink(missing_ok=True)
        return False

    monkeypatch.setattr(state, "is_locked", complete)
    assert recording_state(path) is State.CLOSED


def test_a_recorder_that_begins_between_two_looks_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one lets go after we saw its journal; the next makes a journal before we look at the lock."""
    path = left_open(tmp_path, is_committed=True)
    looks = iter([False, True])
    monkeypatch.setattr(state, "is_locked", lambda path: next(looks))
    assert recording_state(path) is State.LIVE


def test_hdf5_is_not_asked(tmp_path: Path) -> None:
    path = closed(tmp_path)
    script = """
        import sys
        from pathlib import Path
        import h5py
        h5py.File = None
        from gym_h5record.storage.state import recording_state
        print(recording_state(Path(sys.argv[1])).value)
    """
    assert run_script(script, path).stdout == "closed\n"
    assert "h5py" not in vars(sys.modules["gym_h5record.storage.state"])

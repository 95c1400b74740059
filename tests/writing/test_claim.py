"""Claiming a path: a recording there is refused, replaced or continued, and an error names the path."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import gym_h5record as h5r
from gym_h5record.errors import (
    CorruptRecordingError,
    RecordingError,
    RecordingExistsError,
    RecordingInUseError,
    RecordingPathError,
)
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.storage.paths import redo_path
from gym_h5record.writing.claim import acquire_lock, choose_worker, claim_path
from gym_h5record.writing.inline_worker import InlineWorker
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.options import Options, make_options
from gym_h5record.writing.process_worker import ProcessWorker
from tests.writing import Pen, check_alone, check_nothing_left, check_pairs, each_writer, elsewhere, write_pairs


def options_of(path: Path, mode: str = "x", writer: str = "inline") -> Options:
    return make_options(path, mode, "gzip", None, writer, 1.0)


@pytest.mark.parametrize(("writer", "kind"), [("process", ProcessWorker), ("inline", InlineWorker)])
def test_the_worker_is_of_the_kind_that_the_options_ask_for(writer: str, kind: type, tmp_path: Path) -> None:
    lock = RecordingLock(tmp_path / "run.h5")
    assert type(choose_worker(options_of(tmp_path / "run.h5", writer=writer))(lock)) is kind
    lock.release()
    check_nothing_left(tmp_path)  # it has not been started


# The lock -----------------------------------------------------------------------------------------


@each_writer
def test_a_directory_removed_after_construction_is_named(writer: str, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "gone" / "run.h5", writer=writer)
    (tmp_path / "gone").rmdir()
    with pytest.raises(RecordingPathError, match="gone"):
        env.reset()
    env.close()
    check_nothing_left(tmp_path)


@each_writer
def test_a_file_where_the_directory_was_is_named(writer: str, tmp_path: Path) -> None:
    (tmp_path / "gone").write_text("a file")
    with pytest.raises(RecordingPathError, match="gone"):
        Pen(tmp_path / "gone" / "run.h5", writer=writer)


@pytest.mark.parametrize("mode", ["x", "w", "a"])
@pytest.mark.parametrize("suffix", [".lock", ".journal"])
def test_a_directory_in_the_place_of_the_lock_or_journal_is_an_error_with_its_path(
    suffix: str, mode: str, tmp_path: Path
) -> None:
    (tmp_path / f"run.h5{suffix}").mkdir()
    with pytest.raises(RecordingError, match=rf"run\.h5.*{suffix}"):
        Pen(tmp_path / "run.h5", mode=mode)
    assert [path.name for path in tmp_path.iterdir()] == [f"run.h5{suffix}"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC], ids=errno.errorcode.get)
def test_a_lock_that_cannot_be_made_is_an_error_with_its_path(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = os.open

    def refuse(path: Any, *arguments: Any, **more: Any) -> int:
        if str(path).endswith(".lock"):
            raise OSError(code, os.strerror(code), str(path))
        return open_file(path, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(RecordingPathError, match=rf"{os.strerror(code)}.*run\.h5\.lock"):
            Pen(tmp_path / "run.h5")
    check_nothing_left(tmp_path)


@each_writer
def test_two_sessions_on_one_path_are_refused(writer: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer=writer) as pen:
        for mode in ("x", "w"):
            with pytest.raises(RecordingInUseError, match=r"run\.h5"):
                Pen(tmp_path / "run.h5", mode=mode)
        write_pairs(pen, [3])
    check_pairs(tmp_path / "run.h5", [3])


def test_only_appending_waits_for_the_writer_of_a_dead_recorder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, patience = tmp_path / "run.h5", []
    monkeypatch.setattr(RecordingLock, "_acquire", lambda *each: patience.append(each[2]))
    for mode in ("x", "w", "a"):
        acquire_lock(options_of(path, mode))
    assert patience == [0.0, 0.0, 2.0]


# What is at the path ------------------------------------------------------------------------------


def test_an_existing_file_or_journal_is_not_touched_by_mode_x(tmp_path: Path) -> None:
    for name, words in (("run.h5", 'mode="w"'), ("run.h5.journal", 'mode="a"')):
        (tmp_path / name).write_text("mine")
        with pytest.raises(RecordingExistsError, match=words):
            Pen(tmp_path / "run.h5")
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    check_nothing_left(tmp_path)


@each_writer
def test_mode_w_throws_away_what_an_interrupted_recorder_left(writer: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [9])
        pen.flush()
        path = elsewhere(tmp_path / "run.h5")
    with Pen(path, mode="w", writer=writer) as pen:
        write_pairs(pen, [3])
    check_pairs(path, [3])
    check_alone(path)


def test_a_journal_without_columns_is_no_obstacle_to_a_new_recording(tmp_path: Path) -> None:
    Journal.reserve(tmp_path / "run.h5.journal", 100, 1000)  # of a recorder that died in its first reset
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
    check_pairs(tmp_path / "run.h5", [3])
    (tmp_path / "other.h5.journal").write_bytes(b"another file")
    with pytest.raises(RecordingExistsError, match="has left"):
        Pen(tmp_path / "other.h5")


@pytest.mark.parametrize("mode", ["x", "w"])
def test_a_redo_log_is_removed_and_nothing_is_appended_to(mode: str, tmp_path: Path) -> None:
    redo_path(tmp_path / "run.h5").write_bytes(b"of an earlier recorder")
    assert claim_path(options_of(tmp_path / "run.h5", mode)) is None
    assert list(tmp_path.iterdir()) == []


def test_appending_gives_the_columns_rows_and_metadata_of_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    assert claim_path(options_of(path, "a")) is None  # there is none
    with Pen(path) as pen:
        write_pairs(pen, [3, 1])
        left = elsewhere(path)
    for each in (path, left):  # closed, and left by a recorder that died
        existing = claim_path(options_of(each, "a"))
        assert existing is not None
        assert (existing.schema, existing.rows) == (pen.schema, 6)
        assert existing.metadata["total_steps"] == 4
        check_alone(each) if each is left else None


@pytest.mark.parametrize(("mode", "names"), [("x", "run.h5.journal"), ("w", "run.h5.journal"), ("a", "run.h5")])
def test_files_that_cannot_be_read_or_removed_are_an_error_with_their_path(
    mode: str, names: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path / names))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(RecordingPathError, match=rf"cannot record to .*run\.h5: .*Permission denied.*{names}"):
        claim_path(options_of(tmp_path / "run.h5", mode))


def test_a_damaged_recording_is_not_appended_to(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [2000])
    os.truncate(tmp_path / "run.h5", 1000)
    with pytest.raises(CorruptRecordingError, match=r"run\.h5"):
        claim_path(options_of(tmp_path / "run.h5", "a"))

"""The inline worker: it drains when it is asked to, says what failed, and finishes once."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest

import gym_h5record as h5r
from gym_h5record.errors import InterruptedRecordingError, RecordingClosedError, WriterError
from gym_h5record.storage.paths import journal_path, lock_path
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing.commit import Drain
from gym_h5record.writing.inline_worker import InlineWorker
from gym_h5record.writing.journal import Journal
from tests.writing import NEVER_S, Pen, check_alone, check_pairs, elsewhere, open_live, pair, write_pairs


def make_journal(path: Path) -> Journal:
    """A journal that has not been laid out."""
    return Journal.reserve(journal_path(path), 100, 1000)


# When it drains -----------------------------------------------------------------------------------


def test_an_inline_writer_drains_once_in_a_flush_interval_however_short_the_episodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, run = [], Drain.run
    monkeypatch.setattr(Drain, "run", lambda self, **how: (runs.append(1), run(self, **how))[1])
    with Pen(tmp_path / "run.h5", flush_interval_s=NEVER_S) as pen:
        write_pairs(pen, [1] * 50)
        assert len(runs) == 0
    check_pairs(tmp_path / "run.h5", [1] * 50)


def test_an_inline_writer_drains_when_the_flush_interval_is_over(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", flush_interval_s=0.02) as pen:
        pen.begin(pair(0))
        pen.step(pair(1))
        time.sleep(0.03)
        pen.step(pair(2))  # drains before it
        with open_live(tmp_path / "run.h5") as file:
            assert file["commit"][0] >= 2


def test_starting_and_watching_without_columns_make_no_file(tmp_path: Path) -> None:
    worker = InlineWorker(tmp_path / "run.h5", 1.0)
    worker.start()
    worker.watch()
    worker.attach(make_journal(tmp_path / "run.h5"))
    worker.watch()
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5.journal"]
    worker.finish()
    assert list(tmp_path.iterdir()) == []


def test_an_abandoned_worker_leaves_file_and_journal_as_they_are(tmp_path: Path) -> None:
    pen = Pen(tmp_path / "run.h5")
    write_pairs(pen, [3])
    pen.flush()
    write_pairs(pen, [2], first_row=4)
    before = (tmp_path / "run.h5").read_bytes()
    pen.session._worker.abandon()
    pen.session._lock.release()
    assert (tmp_path / "run.h5").read_bytes() == before
    with pytest.raises(InterruptedRecordingError):
        h5r.Recording(tmp_path / "run.h5")
    assert h5r.repair(tmp_path / "run.h5").num_steps == 5
    check_pairs(tmp_path / "run.h5", [3, 2])


# When it fails ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "bad disk"), RuntimeError("HDF5 cannot")], ids=["OSError", "h5py"]
)
def test_an_inline_writer_that_fails_says_what_and_where_and_goes_on_failing(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    pen = Pen(tmp_path / "run.h5")
    write_pairs(pen, [3])
    with monkeypatch.context() as patch:
        patch.setattr(RecordingFile, "commit", fail)
        with pytest.raises(WriterError) as caught:
            pen.flush()
    message = str(caught.value)
    assert caught.value.__cause__ is error
    assert all(
        part in message for part in (str(tmp_path / "run.h5"), str(error.args[-1]), "run.h5.journal", 'mode="a"')
    )
    with pytest.raises(WriterError, match=str(error.args[-1])):
        pen.flush()
    with pytest.raises(WriterError, match=str(error.args[-1])):
        pen.session.tick()
    pen.close()  # raises no second time
    assert journal_path(tmp_path / "run.h5").exists()
    assert not lock_path(tmp_path / "run.h5").exists()
    path = elsewhere(tmp_path / "run.h5")
    assert h5r.repair(path).num_steps == 3
    check_pairs(path, [3])


@pytest.mark.parametrize("where", ["drain", "close"])
def test_an_inline_close_that_fails_says_so_once_and_keeps_the_journal(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    pen = Pen(tmp_path / "run.h5")
    write_pairs(pen, [3])
    with monkeypatch.context() as patch:
        patch.setattr(*((Drain, "run") if where == "drain" else (RecordingFile, "close")), fail)
        with pytest.raises(WriterError, match=r"run\.h5.*No space left"):
            pen.close()
    pen.close()
    path = elsewhere(tmp_path / "run.h5")
    assert h5r.repair(path).num_steps == 3
    check_pairs(path, [3])
    check_alone(path)


def test_after_a_failure_the_next_drain_opens_the_file_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    pen = Pen(tmp_path / "run.h5")
    write_pairs(pen, [3])
    with monkeypatch.context() as patch:
        patch.setattr(RecordingFile, "commit", fail)
        with pytest.raises(WriterError, match="No space left"):
            pen.session._worker.flush()
    pen.session._worker.flush()
    write_pairs(pen, [2], first_row=4)
    pen.close()
    check_pairs(tmp_path / "run.h5", [3, 2])
    check_alone(tmp_path / "run.h5")


# When it ends -------------------------------------------------------------------------------------


def test_a_worker_that_two_threads_finish_is_finished_once(tmp_path: Path) -> None:
    """At the end of a program its main thread closes recordings that another thread may be closing."""
    pen = Pen(tmp_path / "run.h5")
    write_pairs(pen, [5])
    pen.session._worker.finish()
    pen.close()
    check_pairs(tmp_path / "run.h5", [5])
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]


def test_a_worker_that_is_finished_flushes_no_more(tmp_path: Path) -> None:
    worker = InlineWorker(tmp_path / "run.h5", 1.0)
    worker.attach(make_journal(tmp_path / "run.h5"))
    worker.finish()
    for drain in (worker.flush, worker.urge):
        with pytest.raises(RecordingClosedError, match=r"run\.h5 has been closed"):
            drain()
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_cannot_be_removed_is_a_writer_error(tmp_path: Path) -> None:
    worker = InlineWorker(tmp_path / "run.h5", 1.0)
    worker.attach(make_journal(tmp_path / "run.h5"))
    journal_path(tmp_path / "run.h5").unlink()  # with its directory, say
    with pytest.raises(WriterError, match=r"run\.h5 has failed: FileNotFoundError"):
        worker.finish()

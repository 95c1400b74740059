"""The writer process: it ends when all rows are in the file, or leaves its error in the journal."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gym_h5record as h5r
from gym_h5record.storage.lock import RecordingLock, is_locked
from gym_h5record.storage.paths import journal_path, lock_path
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing import writer_process
from gym_h5record.writing.commit import Drain
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control, RecorderState, WriterState
from gym_h5record.writing.worker import LOCK_GONE
from tests.writing import (
    NEVER_S,
    Pen,
    check_alone,
    check_pairs,
    elsewhere,
    open_live,
    pair,
    run_script,
    small_journal,
    wait_until,
    write_pairs,
    writer_pid,
)

pytestmark = pytest.mark.timeout(30)


class Desk:
    """A journal, a lock and a pipe, as a recorder hands them to its writer; the writer runs in this process."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, lengths: list[int] | None) -> None:
        directory.mkdir()
        if lengths is None:
            self.path = directory / "run.h5"
            Journal.reserve(journal_path(self.path), 100, 1000)
        else:
            with Pen(directory / "run.h5") as pen:
                pen.session.tick = lambda: None  # type: ignore[method-assign]
                write_pairs(pen, lengths)
                self.path = elsewhere(directory / "run.h5")
        self.journal = Journal.open(journal_path(self.path))
        self.lock = RecordingLock(self.path)
        self.signals: dict[Any, Any] = {}
        reading, self.writing = os.pipe()
        os.write(self.writing, b".")  # the journal is there
        self._stdin = os.fdopen(reading)
        monkeypatch.setattr(sys, "stdin", self._stdin)
        monkeypatch.setattr(signal, "signal", self.signals.__setitem__)

    def run(self, recorder_pid: int | None = None) -> int:
        """Run the writer; by default for a recorder that is alive."""
        pid = os.getppid() if recorder_pid is None else recorder_pid
        descriptor = os.dup(self.lock.descriptor)
        return writer_process.main([str(self.path), str(descriptor), str(pid)])

    def close(self) -> None:
        self._stdin.close()
        if self.writing is not None:
            os.close(self.writing)
        self.lock.release()


@pytest.fixture
def desks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make desks."""
    made: list[Desk] = []

    def make(lengths: list[int] | None) -> Desk:
        made.append(Desk(tmp_path / str(len(made)), monkeypatch, lengths))
        return made[-1]

    yield make
    for desk in made:
        desk.close()


# In this process ---------------------------------------------------------------------------------


def test_it_drains_completes_the_file_and_ends_when_the_recorder_closes(desks: Any) -> None:
    desk = desks([3, 0, 50])
    desk.journal.control[Control.RECORDER] = RecorderState.CLOSING
    assert desk.run() == 0
    assert desk.journal.control[Control.WRITER] == WriterState.DONE
    assert not journal_path(desk.path).exists()
    assert lock_path(desk.path).exists()  # the recorder's
    check_pairs(desk.path, [3, 0, 50])


@pytest.mark.parametrize(("lengths", "is_crowded"), [([3], False), ([40], True)])
def test_it_looks_more_often_after_rows_have_filled_a_quarter_of_the_ring(
    lengths: list[int], is_crowded: bool, desks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 64)
    desk, waits = desks(lengths), []

    def select(readable: list[int], writable: list[int], odd: list[int], timeout_s: float) -> tuple[list[int], ...]:
        waits.append(timeout_s)
        desk.journal.control[Control.RECORDER] = RecorderState.CLOSING
        return [], [], []

    with monkeypatch.context() as patch:
        patch.setattr("select.select", select)
        assert desk.run() == 0
    assert waits == [writer_process._CROWDED_POLL_S if is_crowded else writer_process._POLL_S]
    check_pairs(desk.path, lengths)


def test_it_completes_the_file_and_gives_the_lock_up_when_the_recorder_is_dead(desks: Any) -> None:
    desk = desks([3, 0, 50])
    assert desk.run(recorder_pid=1 << 30) == 0
    check_pairs(desk.path, [3, 0, 50])
    check_alone(desk.path)


def test_it_removes_a_journal_without_columns(desks: Any) -> None:
    desk = desks(None)
    desk.journal.control[Control.RECORDER] = RecorderState.CLOSING
    assert desk.run() == 0
    assert not desk.path.exists()
    assert not journal_path(desk.path).exists()


def test_it_ignores_signals_meant_for_the_recorder(desks: Any) -> None:
    desk = desks([3])
    desk.journal.control[Control.RECORDER] = RecorderState.CLOSING
    desk.run()
    assert desk.signals == {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_IGN}


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError("HDF5:\n  many lines"),
        KeyError("odd"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_any_error_is_left_in_the_journal_in_one_line(
    error: Exception, desks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Drain, **_: Any) -> None:
        raise error

    desk = desks([3])
    desk.journal.control[Control.RECORDER] = RecorderState.CLOSING
    with monkeypatch.context() as patch:
        patch.setattr(Drain, "run", fail)
        assert desk.run() == 1
    assert desk.journal.control[Control.WRITER] == WriterState.FAILED
    message = desk.journal.read_error()
    assert message.startswith(type(error).__name__)
    assert "\n" not in message
    assert journal_path(desk.path).exists()
    path = elsewhere(desk.path)
    h5r.repair(path)
    check_pairs(path, [3])


def test_an_error_is_left_even_if_the_recorder_is_dead_and_the_lock_is_given_up(
    desks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: RecordingFile, *_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    desk = desks([3])
    with monkeypatch.context() as patch:
        patch.setattr(RecordingFile, "commit", fail)
        assert desk.run(recorder_pid=1 << 30) == 1
    desk.lock.forget()
    assert not is_locked(desk.path)
    assert "No space left" in desk.journal.read_error()
    path = elsewhere(desk.path)
    h5r.repair(path)
    check_pairs(path, [3])


def test_another_file_in_the_place_of_the_recording_is_an_error_and_left_alone(desks: Any) -> None:
    desk = desks([3])
    desk.path.write_text("mine")
    desk.journal.control[Control.RECORDER] = RecorderState.CLOSING
    assert desk.run() == 1
    assert "NotARecordingError" in desk.journal.read_error()
    assert desk.path.read_text() == "mine"
    assert journal_path(desk.path).exists()


def test_an_error_of_any_length_fits_into_the_journal(desks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Drain, **_: Any) -> None:
        raise OSError("ü" * 100_000)

    desk = desks([3])
    desk.journal.control[Control.RECORDER] = RecorderState.CLOSING
    monkeypatch.setattr(Drain, "run", fail)
    assert desk.run() == 1
    assert 1000 < len(desk.journal.read_error()) < 5000
    assert desk.journal.header["creates"]  # the header behind the error is unchanged


# In a process of its own -------------------------------------------------------------------------


def start_writer(path: Path, recorder_pid: int, lock: RecordingLock) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gym_h5record.writing.writer_process",
            str(path),
            str(lock.descriptor),
            str(recorder_pid),
        ],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[lock.descriptor],
        cwd=Path(__file__).parents[2],
    )


def left_behind(tmp_path: Path, lengths: list[int]) -> Path:
    with Pen(tmp_path / "run.h5") as pen:
        pen.session.tick = lambda: None  # type: ignore[method-assign]
        write_pairs(pen, lengths)
        return elsewhere(tmp_path / "run.h5")


def test_it_runs_by_itself_for_a_recorder_that_is_gone(tmp_path: Path) -> None:
    path = left_behind(tmp_path, [3, 5])
    lock = RecordingLock(path)
    writer = start_writer(path, 1 << 30, lock)
    _, errors = writer.communicate(timeout=20)
    assert (writer.returncode, errors) == (0, b"")
    lock.forget()
    check_pairs(path, [3, 5])
    check_alone(path)


def test_a_closed_pipe_means_that_the_recorder_has_ended_or_been_replaced_by_exec(tmp_path: Path) -> None:
    path = left_behind(tmp_path, [3, 5])
    lock, journal = RecordingLock(path), Journal.open(journal_path(path))
    writer = start_writer(path, os.getpid(), lock)
    writer.stdin.write(b".")  # type: ignore[union-attr]
    writer.stdin.flush()  # type: ignore[union-attr]
    wait_until(lambda: journal.control[Control.WRITER] == WriterState.READY)
    lock.forget()
    _, errors = writer.communicate(timeout=20)  # closes the pipe
    assert (writer.returncode, errors) == (0, b"")
    check_pairs(path, [3, 5])
    check_alone(path)


def test_a_writer_whose_recorder_gave_up_while_it_started_touches_nothing(tmp_path: Path) -> None:
    path = left_behind(tmp_path, [3, 5])
    lock = RecordingLock(path)
    lock_path(path).unlink()
    other = RecordingLock(path)
    before = journal_path(path).read_bytes()
    writer = start_writer(path, os.getpid(), lock)
    _, errors = writer.communicate(timeout=20)
    assert (writer.returncode, errors) == (LOCK_GONE, b"")
    assert journal_path(path).read_bytes() == before
    lock.forget()
    other.release()


def test_a_byte_in_the_pipe_wakes_it_up(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer="process", flush_interval_s=NEVER_S) as pen:
        write_pairs(pen, [1])
        pen.flush()
        slowest = 0.0
        for number in range(20):
            write_pairs(pen, [1], first_row=2 + 2 * number)
            start = time.perf_counter()
            pen.flush()
            slowest = max(slowest, time.perf_counter() - start)
        assert slowest < 1  # far from the flush interval
    check_pairs(tmp_path / "run.h5", [1] * 21)


def test_it_drains_after_the_flush_interval_and_not_much_before(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer="process", flush_interval_s=0.2) as pen:
        pen.begin(pair(0))
        pen.flush()
        pen.step(pair(1))
        with open_live(tmp_path / "run.h5") as file:

            def rows() -> int:
                file["commit"].refresh()
                return int(file["commit"][0])

            start = time.monotonic()
            wait_until(lambda: rows() == 2, patience_s=5)
            assert time.monotonic() - start > 0.05


def test_it_takes_hardly_any_processor_time_while_nothing_happens(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer="process") as pen:
        write_pairs(pen, [3])
        pen.flush()
        stat = Path(f"/proc/{writer_pid(tmp_path / 'run.h5')}/stat")

        def ticks() -> int:
            return sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13]))

        before = ticks()
        time.sleep(0.3)
        assert ticks() - before <= 6  # of a hundred per second


def test_a_recorder_killed_while_its_writer_is_stopped_loses_nothing(tmp_path: Path) -> None:
    script = """
        import os, signal, sys
        from pathlib import Path
        from tests.writing import Pen
        from tests.writing import write_pairs
        from tests.writing import writer_pid
        pen = Pen(Path(sys.argv[1]), writer="process", flush_interval_s=0.01)
        write_pairs(pen, [3])
        pid = writer_pid(Path(sys.argv[1]))
        os.kill(pid, signal.SIGSTOP)
        Path(sys.argv[2]).write_text(str(pid))
        write_pairs(pen, [500], first_row=4)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    (tmp_path / "recording").mkdir()
    path, command = tmp_path / "recording" / "run.h5", [sys.executable, "-c", textwrap.dedent(script)]
    try:  # no pipes: the writer would keep them open
        done = subprocess.run([*command, path, tmp_path / "pid"], cwd=Path(__file__).parents[2], check=False)
        assert done.returncode == -signal.SIGKILL
        assert is_locked(path)
    finally:
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGCONT)
    wait_until(lambda: [each.name for each in path.parent.iterdir()] == ["run.h5"])
    check_pairs(path, [3, 500])


def test_recorder_and_writer_killed_one_after_the_other_lose_nothing(tmp_path: Path) -> None:
    script = """
        import os, signal, sys
        from pathlib import Path
        from tests.writing import Pen
        from tests.writing import write_pairs
        from tests.writing import writer_pid
        pen = Pen(Path(sys.argv[1]), writer="process", flush_interval_s=0.01)
        write_pairs(pen, [3, 900])
        os.kill(writer_pid(Path(sys.argv[1])), signal.SIGKILL)
        try:
            write_pairs(pen, [50], first_row=905)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    """
    assert run_script(script, tmp_path / "run.h5", check=False).returncode == -signal.SIGKILL
    report = h5r.repair(tmp_path / "run.h5")
    assert report.num_steps >= 903
    steps = report.num_steps - 903
    check_pairs(tmp_path / "run.h5", [3, 900] if report.num_episodes == 2 else [3, 900, steps], complete=False)
    check_alone(tmp_path / "run.h5")

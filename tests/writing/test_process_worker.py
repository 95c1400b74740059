"""The recorder's end of the writer process: it starts without a wait, and a process that dies loses no row."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import gym_h5record as h5r
from gym_h5record.errors import RecordingClosedError, WriterError
from gym_h5record.storage.lock import is_locked
from gym_h5record.storage.paths import journal_path
from gym_h5record.writing.journal_control import Control, WriterState
from gym_h5record.writing.options import make_options
from gym_h5record.writing.process_worker import ProcessWorker
from gym_h5record.writing.session import Session
from tests.writing import (
    Pen,
    check_alone,
    check_nothing_left,
    check_pairs,
    kill_writer,
    pair,
    run_script,
    small_journal,
    wait_until,
    write_pairs,
    writer_pid,
)

pytestmark = pytest.mark.timeout(30)


def signal_at_start(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> list[int]:
    """Send a signal to every writer process at the instant of its start; returns their process numbers."""
    started, pids = ProcessWorker._started, []

    def signalled(worker: ProcessWorker, interpreter: str) -> subprocess.Popen[bytes]:
        process = started(worker, interpreter)
        os.kill(process.pid, number)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(ProcessWorker, "_started", signalled)
    return pids


# Starting -----------------------------------------------------------------------------------------


def test_the_package_is_found_whatever_the_working_directory_and_the_path_are(tmp_path: Path) -> None:
    script = """
        import os, sys
        sys.path.insert(0, os.getcwd())
        import gym_h5record as h5r, gymnasium as gym
        os.chdir(sys.argv[1])
        env = h5r.RecordToHDF5(gym.make("CartPole-v1"), "a run (1) ключ.h5")
        env.reset(seed=0)
        os.chdir("/")
        env.step(0)
        env.close()
    """
    assert run_script(script, tmp_path).stderr == ""
    assert h5r.Recording(tmp_path / "a run (1) ключ.h5").num_steps == 1
    check_alone(tmp_path / "a run (1) ключ.h5")


def test_opening_starts_the_process_and_does_not_wait_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = signal_at_start(monkeypatch, signal.SIGSTOP)
    session = Session(make_options(tmp_path / "run.h5", "x", "gzip", None, "process", 1.0))
    session.open()
    assert session.is_open
    assert [writer_pid(tmp_path / "run.h5")] == pids
    assert not journal_path(tmp_path / "run.h5").exists()
    os.kill(pids[0], signal.SIGCONT)
    session.close()
    check_nothing_left(tmp_path)


def test_the_process_starts_before_the_environment_resets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids, running = signal_at_start(monkeypatch, signal.SIGSTOP), []

    class Slow(gym.Wrapper[Any, Any, Any, Any]):
        def reset(self, **options: Any) -> Any:
            running.append((*pids, journal_path(tmp_path / "run.h5").exists()))
            return self.env.reset(**options)

    env = h5r.RecordToHDF5(Slow(gym.make("CartPole-v1")), tmp_path / "run.h5")
    env.reset(seed=1)
    env.step(0)  # neither waits: the process is stopped
    assert running == [(writer_pid(tmp_path / "run.h5"), False)]
    os.kill(pids[0], signal.SIGCONT)
    env.close()
    assert h5r.Recording(tmp_path / "run.h5").num_steps == 1
    check_alone(tmp_path / "run.h5")


def test_rows_written_before_the_process_is_ready_are_drained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = signal_at_start(monkeypatch, signal.SIGSTOP)
    with Pen(tmp_path / "run.h5", writer="process") as pen:
        write_pairs(pen, [3, 0, 20])
        assert pen.session.journal.control[Control.WRITER] == WriterState.STARTING
        os.kill(pids[0], signal.SIGCONT)
        pen.flush()
        assert pen.session.journal.control[Control.WRITER] == WriterState.READY
        write_pairs(pen, [2], first_row=26)
    check_pairs(tmp_path / "run.h5", [3, 0, 20, 2])
    check_alone(tmp_path / "run.h5")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_at_the_start_of_the_process_does_not_kill_it(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal_at_start(monkeypatch, number)
    with Pen(tmp_path / "run.h5", writer="process") as pen:
        write_pairs(pen, [3])
        pen.flush()
    check_pairs(tmp_path / "run.h5", [3])
    check_alone(tmp_path / "run.h5")


def test_the_recorder_handles_its_own_signals_again_after_the_start(tmp_path: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with Pen(tmp_path / "run.h5", writer="process"):
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_an_interpreter_that_is_unknown_or_missing_is_a_writer_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for interpreter, cause in (("", "sys.executable is empty"), ("/nonexistent", "FileNotFoundError")):
        monkeypatch.setattr(sys, "executable", interpreter)
        with pytest.raises(WriterError, match=rf'run\.h5 cannot be started: .*{cause}.*writer="inline"'):
            Pen(tmp_path / "run.h5", writer="process")
        check_nothing_left(tmp_path)


@pytest.mark.parametrize("call", ["tick", "flush"])
def test_a_process_that_cannot_load_is_an_error_of_the_next_call_and_close_keeps_every_row(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    pen = Pen(tmp_path / "run.h5", writer="process")
    write_pairs(pen, [3])
    with pytest.raises(WriterError, match=r'run\.h5 cannot be started: it ended with exit code 1.*writer="inline"'):
        wait_until(lambda: getattr(pen.session, call)())
    pen.close()
    check_pairs(tmp_path / "run.h5", [3])
    check_alone(tmp_path / "run.h5")


def test_a_process_that_cannot_load_is_an_error_of_close_and_every_row_is_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    pen = Pen(tmp_path / "run.h5", writer="process")
    pen.session.due_s = float("inf")
    write_pairs(pen, [3])
    with pytest.raises(WriterError, match=r"run\.h5 ended with exit code 1 while recording. All steps are in the file"):
        pen.close()
    check_pairs(tmp_path / "run.h5", [3])
    check_alone(tmp_path / "run.h5")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_signals_meant_for_the_recorder_do_not_stop_its_writer(number: signal.Signals, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer="process") as pen:
        pid = writer_pid(tmp_path / "run.h5")
        assert os.getsid(pid) != os.getsid(0)  # a terminal's signals do not reach it
        os.kill(pid, number)
        write_pairs(pen, [3])
        pen.flush()
    check_pairs(tmp_path / "run.h5", [3])


# Dying while it starts ----------------------------------------------------------------------------

KILLED_AT_START = """
    import os, signal, sys
    from pathlib import Path
    import pytest
    from tests.writing import Pen, write_pairs
    from tests.writing.test_process_worker import signal_at_start
    pids = signal_at_start(pytest.MonkeyPatch(), signal.SIGSTOP)
    pen = Pen(Path(sys.argv[1]), writer="process")
    write_pairs(pen, [3, 2])
    Path(sys.argv[2]).write_text(str(pids[0]))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("number", [signal.SIGCONT, signal.SIGKILL], ids=["it-goes-on", "it-is-killed-too"])
def test_a_recorder_killed_before_its_writer_has_loaded_loses_nothing(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "recording").mkdir()
    path, command = tmp_path / "recording" / "run.h5", [sys.executable, "-c", textwrap.dedent(KILLED_AT_START)]
    # No pipes: the writer would keep them open.
    done = subprocess.run([*command, path, tmp_path / "pid"], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [each.name for each in sorted(path.parent.iterdir())] == ["run.h5.journal", "run.h5.lock"]
    assert is_locked(path)
    os.kill(int((tmp_path / "pid").read_text()), number)
    if number == signal.SIGCONT:
        wait_until(lambda: [each.name for each in path.parent.iterdir()] == ["run.h5"])
    else:
        wait_until(lambda: not is_locked(path))
        assert h5r.repair(path).num_steps == 5
    check_pairs(path, [3, 2])
    check_alone(path)


# Dying while it writes ----------------------------------------------------------------------------


def test_a_killed_writer_is_noticed_by_a_step(tmp_path: Path) -> None:
    pen = Pen(tmp_path / "run.h5", writer="process")
    write_pairs(pen, [3])
    kill_writer(tmp_path / "run.h5")
    with pytest.raises(WriterError, match=r"run\.h5.*killed by signal 9"):
        for _ in range(1000):
            write_pairs(pen, [3])
            time.sleep(0.001)
    pen.close()  # raises no second time


def test_a_killed_writer_is_noticed_by_flush(tmp_path: Path) -> None:
    pen = Pen(tmp_path / "run.h5", writer="process")
    write_pairs(pen, [3])
    kill_writer(tmp_path / "run.h5")
    for _ in range(2):
        with pytest.raises(WriterError, match=r"run\.h5.*killed by signal 9"):
            pen.flush()
    pen.close()


@pytest.mark.parametrize("commit", [False, True], ids=["nothing-committed", "some-committed"])
def test_a_killed_writer_is_noticed_by_close_and_its_work_is_done(commit: bool, tmp_path: Path) -> None:
    pen = Pen(tmp_path / "run.h5", writer="process")
    write_pairs(pen, [3, 1])
    if commit:
        pen.flush()
    write_pairs(pen, [5], first_row=6)
    kill_writer(tmp_path / "run.h5")
    with pytest.raises(WriterError, match=r"run\.h5.*killed by signal 9.*All steps"):
        pen.close()
    check_pairs(tmp_path / "run.h5", [3, 1, 5])
    check_alone(tmp_path / "run.h5")
    pen.close()  # may be called again


def test_a_writer_killed_before_the_first_step_is_noticed_by_close(tmp_path: Path) -> None:
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "run.h5")
    env.reset(seed=1)
    kill_writer(tmp_path / "run.h5")
    with pytest.raises(WriterError, match="killed by signal 9"):
        env.close()
    check_alone(tmp_path / "run.h5")


def test_a_ring_that_is_full_does_not_wait_for_a_dead_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 8)
    pen = Pen(tmp_path / "run.h5", writer="process")
    monkeypatch.setattr(pen.session, "tick", lambda: None)  # it would raise earlier
    kill_writer(tmp_path / "run.h5")
    with pytest.raises(WriterError, match="killed by signal 9"):
        write_pairs(pen, [100])
    pen.close()
    assert h5r.Recording(tmp_path / "run.h5").num_steps >= 5
    check_alone(tmp_path / "run.h5")


def test_a_large_segment_does_not_wait_for_a_dead_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 8)
    pen = Pen(tmp_path / "run.h5", writer="process")
    pen.begin(pair(0))
    kill_writer(tmp_path / "run.h5")
    with pytest.raises(WriterError, match="killed by signal 9"):
        pen.step(pair(1), info={"text": "x" * 500_000})
    pen.close()
    assert h5r.Recording(tmp_path / "run.h5").num_rows == 1


# Ending -------------------------------------------------------------------------------------------


def test_a_worker_that_was_never_started_has_nothing_to_end(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        worker = ProcessWorker(tmp_path / "run.h5", pen.session._lock)
        for method in (worker.watch, worker.flush, worker.finish, worker.cancel, worker.abandon):
            method()


def test_a_worker_that_is_finished_wakes_no_process(tmp_path: Path) -> None:
    pen = Pen(tmp_path / "run.h5", writer="process")
    write_pairs(pen, [3])
    worker = pen.session._worker
    pen.close()
    with pytest.raises((RecordingClosedError, WriterError)):
        worker.urge()
    check_pairs(tmp_path / "run.h5", [3])

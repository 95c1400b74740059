"""A session: it opens cleanly or not at all, says why it failed, and leaves nothing behind."""

from __future__ import annotations

import errno
import gc
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record import errors
from gym_h5record.errors import (
    RecordingError,
    RecordingExistsError,
    RecordingInUseError,
    RecordingPathError,
    WriterError,
)
from gym_h5record.storage.lock import is_locked
from gym_h5record.storage.paths import journal_path, lock_path
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing.drain import Drain
from gym_h5record.writing.journal import Journal
from tests.writing import (
    NEVER_S,
    Pen,
    check_alone,
    check_pairs,
    each_writer,
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


def check_nothing_left(directory: Path) -> None:
    """Fail unless a directory is empty and no writer process of ours is left."""
    assert list(directory.iterdir()) == []
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    commands = [Path(f"/proc/{child}/cmdline").read_text() for child in children]
    assert not [command for command in commands if "gym_h5record.writing" in command]


def kill_writer(path: Path) -> None:
    pid = writer_pid(path)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")


# Opening -----------------------------------------------------------------------------------------


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


@each_writer
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT], ids=errno.errorcode.get)
def test_a_journal_that_cannot_be_made_is_an_error_and_nothing_is_left(
    code: int, writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(RecordingPathError, match=os.strerror(code)) as caught:
        Pen(tmp_path / "run.h5", writer=writer)
    assert str(journal_path(tmp_path / "run.h5")) in str(caught.value)
    check_nothing_left(tmp_path)


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


@pytest.mark.parametrize("call", ["tick", "flush"])
def test_a_writer_process_that_does_not_start_is_said_by_the_next_call_and_close_keeps_every_row(
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


def test_a_writer_process_that_does_not_start_is_said_by_close_and_every_row_is_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    pen = Pen(tmp_path / "run.h5", writer="process")
    pen.session.due_s = float("inf")
    write_pairs(pen, [3])
    with pytest.raises(WriterError, match=r"run\.h5 ended with exit code 1 while recording. All steps have been"):
        pen.close()
    check_pairs(tmp_path / "run.h5", [3])
    check_alone(tmp_path / "run.h5")


@each_writer
def test_two_sessions_on_one_path_are_refused(writer: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer=writer) as pen:
        for mode in ("x", "w"):
            with pytest.raises(RecordingInUseError, match=r"run\.h5"):
                Pen(tmp_path / "run.h5", mode=mode)
        write_pairs(pen, [3])
    check_pairs(tmp_path / "run.h5", [3])


def test_an_existing_file_or_journal_is_not_touched_by_mode_x(tmp_path: Path) -> None:
    for name, words in (("run.h5", 'mode="w"'), ("run.h5.journal", 'mode="a"')):
        (tmp_path / name).write_text("mine")
        with pytest.raises(RecordingExistsError, match=words):
            Pen(tmp_path / "run.h5")
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    check_nothing_left(tmp_path)


@each_writer
def test_a_file_that_appears_after_the_opening_is_not_overwritten(writer: str, tmp_path: Path) -> None:
    pen = Pen(tmp_path / "run.h5", writer=writer)
    (tmp_path / "run.h5").write_bytes(b"not a recording")
    with pytest.raises(RecordingError, match=r"run\.h5"):  # any of them may notice
        write_pairs(pen, [3])
        pen.flush()
        pen.close()
    with suppress(RecordingError):
        pen.close()
    assert (tmp_path / "run.h5").read_bytes() == b"not a recording"
    assert journal_path(tmp_path / "run.h5").exists()  # where the steps still are
    assert not is_locked(tmp_path / "run.h5")


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


@each_writer
def test_appending_goes_on_where_the_file_ends(writer: str, tmp_path: Path) -> None:
    lengths: list[int] = []
    for more in ([3, 0], [20], [1, 1, 40]):
        first_row = sum(lengths) + len(lengths)
        with Pen(tmp_path / "run.h5", mode="a", writer=writer) as pen:
            write_pairs(pen, more, first_row)
        lengths += more
        check_pairs(tmp_path / "run.h5", lengths)
        check_alone(tmp_path / "run.h5")


# A writer that dies ------------------------------------------------------------------------------


def test_a_killed_writer_is_noticed_by_a_step(tmp_path: Path) -> None:
    pen = Pen(tmp_path / "run.h5", writer="process")
    write_pairs(pen, [3])
    kill_writer(tmp_path / "run.h5")
    with pytest.raises(WriterError, match=r"run\.h5.*killed by signal 9"):
        for _ in range(1000):
            write_pairs(pen, [3])
            time.sleep(0.001)
    pen.close()  # it has been said


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
    monkeypatch.setattr(pen.session, "tick", lambda: None)  # which would notice earlier
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_signals_meant_for_the_recorder_do_not_stop_its_writer(number: signal.Signals, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer="process") as pen:
        pid = writer_pid(tmp_path / "run.h5")
        assert os.getsid(pid) != os.getsid(0)  # a terminal's signals do not reach it
        os.kill(pid, number)
        write_pairs(pen, [3])
        pen.flush()
    check_pairs(tmp_path / "run.h5", [3])


# A drain that fails ------------------------------------------------------------------------------


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
    pen.close()  # it has been said
    assert journal_path(tmp_path / "run.h5").exists()
    assert not lock_path(tmp_path / "run.h5").exists()
    path = elsewhere(tmp_path / "run.h5")
    assert h5r.repair(path).num_steps == 3
    check_pairs(path, [3])


@pytest.mark.parametrize("where", ["drain", "close"])
def test_an_inline_close_that_fails_says_so_once_and_keeps_the_journal(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
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


def test_a_failed_growth_of_the_journal_is_an_error_and_earlier_steps_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    small_journal(monkeypatch, 8)
    pen = Pen(tmp_path / "run.h5")
    write_pairs(pen, [3])
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", refuse)
        pen.begin(pair(4), seed=4)
        with pytest.raises(RecordingError, match="No space left"):
            pen.step(pair(5), info={"text": "x" * 500_000})
    pen.step(pair(5), reward=4.0, terminated=True)  # a smaller one still finds room
    pen.close()
    check_pairs(tmp_path / "run.h5", [3, 1])
    check_alone(tmp_path / "run.h5")


# While recording ---------------------------------------------------------------------------------


@each_writer
def test_a_flush_commits_everything_so_far(writer: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer=writer) as pen:
        for episodes in range(1, 5):
            write_pairs(pen, [3], first_row=(episodes - 1) * 4)
            pen.flush()
            with open_live(tmp_path / "run.h5") as file:
                assert file["commit"][:].tolist() == [4 * episodes, episodes]


def test_an_inline_writer_drains_once_in_a_flush_interval_however_short_the_episodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, run = [], Drain.run
    monkeypatch.setattr(Drain, "run", lambda self: (runs.append(1), run(self))[1])
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


# Closing -----------------------------------------------------------------------------------------


@each_writer
def test_close_may_be_called_again_and_leaves_only_the_file(writer: str, tmp_path: Path) -> None:
    pen = Pen(tmp_path / "run.h5", writer=writer)
    write_pairs(pen, [3])
    for _ in range(3):
        pen.close()
    check_alone(tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+"):  # not marked as being written any more
        pass


@each_writer
def test_a_session_that_was_never_laid_out_leaves_nothing(writer: str, tmp_path: Path) -> None:
    from gym_h5record.storage.hdf5.codecs import make_codec
    from gym_h5record.writing.options import Options
    from gym_h5record.writing.session import Session

    options = Options(tmp_path / "run.h5", "x", make_codec("gzip"), writer == "inline", 1.0)
    session = Session(options)
    session.open()
    session.reserve(100, 1000)
    assert {path.name for path in tmp_path.iterdir()} == {"run.h5.journal", "run.h5.lock"}
    session.close()
    check_nothing_left(tmp_path)


@pytest.mark.parametrize(("ending", "writer"), [("sys.exit(3)", "process"), ("raise ValueError('mine')", "inline")])
def test_a_process_that_ends_without_close_completes_the_file(ending: str, writer: str, tmp_path: Path) -> None:
    script = f"""
        import sys
        from pathlib import Path
        import gymnasium as gym
        import gym_h5record as h5r
        env = h5r.RecordToHDF5(gym.make("CartPole-v1"), sys.argv[1], writer=sys.argv[2])
        env.reset(seed=1)
        for _ in range(5):
            env.step(0)
        {ending}
    """
    done = run_script(script, tmp_path / "run.h5", writer, check=False)
    assert ("ValueError: mine" in done.stderr) if "raise" in ending else (done.stderr == "")
    recording = h5r.Recording(tmp_path / "run.h5")
    assert (recording.num_steps, recording.num_episodes) == (5, 1)
    check_alone(tmp_path / "run.h5")


@each_writer
def test_no_file_stays_open_after_close(writer: str, tmp_path: Path) -> None:
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "run.h5", writer=writer)
    env.reset(seed=1)
    env.step(0)
    env.close()
    gc.collect()
    targets = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert not [target for target in targets if str(tmp_path) in target]


def test_fifty_sessions_leak_no_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 8)
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(50):
        with Pen(tmp_path / f"{number}.h5") as pen:
            write_pairs(pen, [2])
    del pen
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    assert len(list(tmp_path.iterdir())) == 50


def test_every_error_is_one_of_ours(tmp_path: Path) -> None:
    assert issubclass(WriterError, RecordingError)
    assert issubclass(RecordingPathError, OSError)
    assert {RecordingExistsError, RecordingInUseError} <= {getattr(errors, name) for name in errors.__all__}


def test_the_journal_holds_only_what_is_not_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 64)
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3] * 100)
        journal = Journal.open(journal_path(tmp_path / "run.h5"))
        assert journal.capacity_rows == 64
        assert np.prod(journal.columns["observations"].shape) == 128


def test_a_worker_that_two_threads_finish_is_finished_once(tmp_path: Path) -> None:
    """At the end of a program its main thread closes what another one is closing."""
    pen = Pen(tmp_path / "run.h5")
    write_pairs(pen, [5])
    pen.session._worker.finish()
    pen.close()
    check_pairs(tmp_path / "run.h5", [5])
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]

"""A session: it opens completely or not at all, raises what failed, and leaves nothing beside the file."""

from __future__ import annotations

import errno
import gc
import os
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record import errors
from gym_h5record.errors import (
    RecordingClosedError,
    RecordingError,
    RecordingExistsError,
    RecordingInUseError,
    RecordingPathError,
    WriterError,
)
from gym_h5record.storage.lock import is_locked
from gym_h5record.storage.paths import journal_path
from gym_h5record.writing import session as session_module
from gym_h5record.writing.inline_worker import InlineWorker
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.options import make_options
from gym_h5record.writing.process_worker import ProcessWorker
from gym_h5record.writing.session import Session
from tests.writing import (
    MOMENT_NS,
    Pen,
    check_alone,
    check_nothing_left,
    check_pairs,
    each_writer,
    open_live,
    pair,
    run_script,
    small_journal,
    write_pairs,
)

pytestmark = pytest.mark.timeout(30)


# Opening -----------------------------------------------------------------------------------------


def test_a_recording_begins_when_it_is_opened(tmp_path: Path) -> None:
    before_ns, before = time.monotonic_ns(), datetime.now(timezone.utc)
    with Pen(tmp_path / "run.h5") as pen:
        assert before_ns <= pen.session.began_ns <= time.monotonic_ns()
        began = datetime.fromisoformat(pen.session.began_at)
        assert began.utcoffset() == timedelta(0)
        assert before <= began <= datetime.now(timezone.utc)


def test_a_recording_that_is_appended_to_began_before(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
    with Pen(tmp_path / "run.h5", mode="a") as pen:
        assert pen.session.existing is not None
        assert pen.session.existing.elapsed_ns == 3 * MOMENT_NS  # what the last row says, the clock says less
        assert 0 <= time.monotonic_ns() - 3 * MOMENT_NS - pen.session.began_ns < 60 * 10**9
        write_pairs(pen, [2], first_row=4)
    check_pairs(tmp_path / "run.h5", [3, 2])


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


@each_writer
def test_a_file_that_appears_after_the_opening_is_not_overwritten(writer: str, tmp_path: Path) -> None:
    pen = Pen(tmp_path / "run.h5", writer=writer)
    (tmp_path / "run.h5").write_bytes(b"not a recording")
    with pytest.raises(RecordingError, match=r"run\.h5"):  # any of the three may raise it
        write_pairs(pen, [3])
        pen.flush()
        pen.close()
    with suppress(RecordingError):
        pen.close()
    assert (tmp_path / "run.h5").read_bytes() == b"not a recording"
    assert journal_path(tmp_path / "run.h5").exists()  # the steps are still in it
    assert not is_locked(tmp_path / "run.h5")


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


WORKERS = {"inline": InlineWorker, "process": ProcessWorker}


@each_writer
@pytest.mark.parametrize("when", ["the path is locked", "it is claimed", "the worker starts", "all is open"])
def test_a_session_that_another_thread_closes_while_it_opens_leaves_nothing(
    when: str, writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name = {
        "the path is locked": (session_module, "acquire_lock"),
        "it is claimed": (session_module, "claim_path"),
        "the worker starts": (WORKERS[writer], "start"),
        "all is open": (Session, "open"),
    }[when]
    function = getattr(owner, name)
    session = Session(make_options(tmp_path / "run.h5", "x", "gzip", None, writer, 1.0))

    def then_close(*arguments: Any, **options: Any) -> Any:
        found = function(*arguments, **options)
        thread = threading.Thread(target=session.close)
        thread.start()
        thread.join()
        return found

    monkeypatch.setattr(owner, name, then_close)
    with pytest.raises(RecordingClosedError, match=r"run\.h5 has been closed"):
        open_and_reserve(session)
    assert session.is_closed
    assert not is_locked(tmp_path / "run.h5")
    check_nothing_left(tmp_path)


@each_writer
def test_closing_waits_for_a_journal_in_the_making_and_removes_it(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(make_options(tmp_path / "run.h5", "x", "gzip", None, writer, 1.0))
    thread, reserve = threading.Thread(target=session.close), Journal.reserve

    def close_meanwhile(*arguments: Any, **options: Any) -> Journal:
        thread.start()
        thread.join(0.05)
        assert not session.is_closing
        return reserve(*arguments, **options)

    monkeypatch.setattr(Journal, "reserve", close_meanwhile)
    open_and_reserve(session)
    thread.join()
    assert session.is_closed
    assert not is_locked(tmp_path / "run.h5")
    check_nothing_left(tmp_path)


def open_and_reserve(session: Session) -> None:
    session.open()
    session.reserve(100, 1000)


@each_writer
def test_a_session_that_failed_to_open_may_be_opened_again(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(make_options(tmp_path / "run.h5", "x", "gzip", None, writer, 1.0))
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "reserve", lambda *_, **__: os.stat(tmp_path / "nothing"))
        with pytest.raises(RecordingPathError, match="cannot make the journal"):
            open_and_reserve(session)
    check_nothing_left(tmp_path)
    assert not session.is_open
    open_and_reserve(session)
    assert session.is_open
    session.close()
    check_nothing_left(tmp_path)


# While recording ---------------------------------------------------------------------------------


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


@each_writer
def test_a_flush_commits_everything_so_far(writer: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer=writer) as pen:
        for episodes in range(1, 5):
            write_pairs(pen, [3], first_row=(episodes - 1) * 4)
            pen.flush()
            with open_live(tmp_path / "run.h5") as file:
                assert file["commit"][:2].tolist() == [4 * episodes, episodes]


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
    session = Session(make_options(tmp_path / "run.h5", "x", "gzip", None, writer, 1.0))
    open_and_reserve(session)
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


def test_twenty_sessions_leak_no_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 8)
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(20):
        with Pen(tmp_path / f"{number}.h5") as pen:
            write_pairs(pen, [2])
    del pen
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    assert len(list(tmp_path.iterdir())) == 20


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

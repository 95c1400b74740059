"""One writer per recording: a second recorder is refused at once, under any name of the file, and the first goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import gym_h5record as h5r
from gym_h5record import errors
from gym_h5record.maintenance.repairs import repairing
from gym_h5record.recorder import living
from gym_h5record.storage.lock import is_locked
from gym_h5record.storage.paths import journal_path, lock_path
from gym_h5record.writing import claim, process_worker
from tests.faults.test_process_life import (
    Counter,
    Nursery,
    check_alone,
    check_complete,
    go_on,
    record,
    steps_in,
    writers_of,
)
from tests.writing import each_writer, wait_until

pytestmark = [
    pytest.mark.compacted,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
    pytest.mark.timeout(60),
]


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("nursery") / "said")
    yield nursery
    nursery.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The recording to make, in a directory of its own, so that tests see every file that is left."""
    (tmp_path / "recording").mkdir()
    return tmp_path / "recording" / "run.h5"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let mode "a" and ``repair`` wait 0.05 s, not ``PATIENCE_S``, for a recorder that may have died."""
    for module in (claim, living, repairing):
        monkeypatch.setattr(module, "PATIENCE_S", 0.05)


# The second --------------------------------------------------------------------------------------

RIVALS = """
    from gym_h5record.recorder import living
    from gym_h5record.writing import claim
    claim.PATIENCE_S = living.PATIENCE_S = float(sys.argv[2])

    def say(*words):
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # in one piece: three threads print

    def attempt(mode):
        began_s = time.monotonic()
        try:
            env = record(path, "inline", mode=mode)
        except h5r.RecordingError as error:
            say(mode, type(error).__name__, time.monotonic() - began_s)
        else:
            say(mode, "recorded", 0)
            env.close()

    threads = [threading.Thread(target=attempt, args=(mode,)) for mode in "xwa"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def check_refused(said: str, mode_x: str) -> None:
    """Fail unless all three rivals were refused, those with modes "x" and "w" at once."""
    found = {mode: (name, float(waited_s)) for mode, name, waited_s in map(str.split, said.splitlines())}
    assert {mode: name for mode, (name, _) in found.items()} == {
        "x": mode_x,
        "w": "RecordingInUseError",
        "a": "RecordingInUseError",
    }
    assert found["x"][1] < 1
    assert found["w"][1] < 1
    assert found["a"][1] < 10


@pytest.mark.long
@pytest.mark.sampled(2)
@each_writer
@pytest.mark.parametrize("begun", [True, False], ids=["with a file", "without a file"])
def test_a_rival_in_another_process_is_refused_in_every_mode_and_the_first_recorder_goes_on(
    begun: bool, writer: str, nursery: Nursery, path: Path
) -> None:
    env = record(path, writer, 5 * begun)
    if begun:
        env.flush()
    usual = begun and writer == "process"
    assert nursery.run(RIVALS, path, claim.PATIENCE_S if usual else 0.05) == 0
    check_refused(nursery.said(), "RecordingExistsError" if begun else "RecordingInUseError")
    go_on(env, 10)
    env.close()
    check_complete(path, 5 * begun + 10)


@each_writer
def test_a_rival_in_a_forked_child_is_refused_in_every_mode_and_its_parent_goes_on(
    writer: str, nursery: Nursery, path: Path
) -> None:
    code = f"""
env = record(path, {writer!r}, 5)
env.flush()
if os.fork():
    assert os.wait()[1] == 0
    go_on(env, 10)
    env.close()
    sys.exit()
"""
    assert nursery.run(code + textwrap.dedent(RIVALS), path, 0.05) == 0, nursery.said()
    check_refused(nursery.said(), "RecordingExistsError")
    check_complete(path, 15)


@pytest.mark.parametrize("mode", ["x", "w", "a"])
def test_a_rival_that_was_refused_may_try_again(mode: str, path: Path, impatient: None) -> None:
    first = record(path, "inline")
    for _ in range(2):
        with pytest.raises(errors.RecordingInUseError, match=r"run\.h5 belongs to another recorder of this program"):
            h5r.RecordToHDF5(Counter(), path, mode=mode, writer="inline")
    go_on(first, 5)
    first.close()
    if mode == "x":
        with pytest.raises(errors.RecordingExistsError):
            h5r.RecordToHDF5(Counter(), path, mode=mode, writer="inline")
        path.unlink()
    second = h5r.RecordToHDF5(Counter(), path, mode=mode, writer="inline")
    second.reset()
    go_on(second, 6)
    second.close()
    assert steps_in(path) == [*range(1, 6)] * (mode == "a") + [*range(1, 7)]
    check_alone(path)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["x", "w", "a"])
def test_one_of_six_processes_that_begin_at_once_records(mode: str, nursery: Nursery, path: Path) -> None:
    code = f"""
        from gym_h5record.recorder import living
        from gym_h5record.writing import claim
        claim.PATIENCE_S = living.PATIENCE_S = 0.05
        (start, starting), (end, ending) = os.pipe(), os.pipe()
        children = []
        for number in range(6):
            children.append(os.fork())
            if not children[-1]:
                os.close(starting)
                try:
                    env = h5r.RecordToHDF5(Counter(), path, mode={mode!r}, writer="inline")
                    os.read(start, 1)  # all children go on when the parent closes the pipe
                    env.reset()
                except h5r.errors.RecordingInUseError:
                    os._exit(1)
                go_on(env, 5)
                os.close(ending)
                os.read(end, 1)  # wait until all other children have ended
                env.close()
                os._exit(0)
        os.close(starting)
        os.close(ending)
        ends = sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
        print(ends)
    """
    assert nursery.run(code, path) == 0, nursery.said()
    assert nursery.said() == "[0, 1, 1, 1, 1, 1]\n"
    check_complete(path, 5)


# Names -------------------------------------------------------------------------------------------


def other_name(kind: str, path: Path) -> Path:
    """Another name of a recording; links lie beside its directory."""
    outside = path.parent.parent
    if kind == "relative":
        return Path(os.path.relpath(path))
    if kind == "dotted":
        return path.parent / ".." / path.parent.name / "." / path.name
    if kind == "symlinked directory":
        (outside / "alias").symlink_to(path.parent)
        return outside / "alias" / path.name
    link = outside / "link.h5"
    if kind == "symlink":
        link.symlink_to(path)
    else:
        link.hardlink_to(path)
    return link


NAMES = ["relative", "dotted", "symlinked directory", "symlink", "hard link"]


@pytest.mark.sampled(5)
@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("mode", ["w", "a"])
def test_two_recorders_never_write_one_file_under_two_names(mode: str, kind: str, path: Path, impatient: None) -> None:
    first = record(path, "inline", 5)
    first.flush()
    inode = path.stat().st_ino
    name = other_name(kind, path)
    second = None
    try:
        second = record(name, "inline", 3, mode=mode)
        second.flush()
    except (errors.RecordingInUseError, errors.RecordingPathError):
        pass
    else:
        assert name.stat().st_ino != inode, "two recorders have the same file"
    go_on(first, 20)
    first.flush()
    assert path.stat().st_ino == inode
    first.close()  # compaction then makes a new file
    if second is not None:
        second.close()
        assert steps_in(name) == [1, 2, 3]
    check_complete(path, 25)


@pytest.mark.parametrize("kind", ["symlink", "hard link"])
def test_a_recording_is_not_repaired_under_another_name_while_it_is_made(
    kind: str, path: Path, impatient: None
) -> None:
    env = record(path, "process", 5)
    env.flush()
    name = other_name(kind, path)
    superblock = path.read_bytes()[:48]
    try:
        report: Any = h5r.repair(name)
    except h5r.RecordingError:
        report = None
    assert report is None or not report.ok
    assert path.read_bytes()[:48] == superblock
    go_on(env, 20)
    env.close()
    check_complete(path, 25)


def test_a_symlink_leads_to_an_interrupted_recording_and_its_journal(nursery: Nursery, path: Path) -> None:
    link = path.parent.parent / "link.h5"
    link.symlink_to(path)
    assert nursery.run("env = record(path, 'inline', 10)\nos._exit(1)", path) == 1
    record(link, "inline", 5, mode="a").close()
    assert steps_in(path) == [*range(1, 11), *range(1, 6)]
    assert link.is_symlink()
    check_alone(path)
    assert nursery.run("env = record(path, 'inline', 10, mode='w')\nos._exit(1)", path) == 1
    h5r.repair(link)
    check_complete(path, 10)


# The lock file -----------------------------------------------------------------------------------


@pytest.mark.sampled(2)
@each_writer
@pytest.mark.parametrize("mode", ["x", "w", "a"])
def test_the_lock_file_of_a_killed_recorder_does_not_stop_the_next_one(
    mode: str, writer: str, nursery: Nursery, path: Path
) -> None:
    code = """
        env = record(path, sys.argv[2], 5)
        env.flush()  # a writer process has loaded
        go_on(env, 5)
        if sys.argv[2] == "process":
            os.kill(env._recorder.stream.session._worker._process.pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert nursery.run(code, path, writer) == -signal.SIGKILL
    assert lock_path(path).exists()
    if mode == "x":
        journal_path(path).unlink()
        path.unlink(missing_ok=True)
    record(path, "inline", 5, mode=mode).close()
    assert steps_in(path) == [*range(1, 11)] * (mode == "a") + [*range(1, 6)]
    check_alone(path)


def test_mode_a_waits_for_the_writer_of_a_killed_recorder(nursery: Nursery, path: Path) -> None:
    code = """
        env = record(path, "process", 5)
        env.flush()  # the writer process has loaded
        go_on(env, 5)
        os.kill(env._recorder.stream.session._worker._process.pid, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert nursery.run(code, path) == -signal.SIGKILL
    (writer_pid,) = writers_of(path)
    timer = threading.Timer(0.3, os.kill, (writer_pid, signal.SIGCONT))
    timer.start()
    try:
        record(path, "inline", 5, mode="a").close()
    finally:
        timer.join()
    assert steps_in(path) == [*range(1, 11), *range(1, 6)]
    check_alone(path)


@pytest.mark.parametrize("content", [b"", b"\0\xff\n" * 9, b"12345"], ids=["empty", "binary", "a number"])
def test_the_content_of_a_lock_file_is_ignored(content: bytes, path: Path) -> None:
    lock_path(path).write_bytes(content)
    record(path, "inline", 5).close()
    check_complete(path, 5)


def put_in_place_of_the_lock(kind: str, path: Path) -> Path:
    """Put a link, a FIFO or a directory in the place of the lock file; the path that must not be touched."""
    target = path.parent.parent / "precious"
    if kind == "symlink":
        target.write_text("precious")
    if kind in ("symlink", "dangling symlink"):
        lock_path(path).symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(lock_path(path))
    else:
        lock_path(path).mkdir()
    return target


ODD_LOCKS = ["symlink", "dangling symlink", "fifo", "directory"]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ODD_LOCKS)
@pytest.mark.parametrize("mode", ["x", "a"])
def test_a_link_fifo_or_directory_in_place_of_the_lock_is_refused_by_name_and_not_followed(
    mode: str, kind: str, path: Path
) -> None:
    target = put_in_place_of_the_lock(kind, path)
    before = lock_path(path).lstat()
    with pytest.raises(errors.RecordingPathError, match=r"run\.h5\.lock"):
        record(path, "inline", mode=mode)
    after = lock_path(path).lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert [each.name for each in path.parent.iterdir()] == ["run.h5.lock"]
    assert target.exists() == (kind == "symlink")
    assert kind != "symlink" or target.read_text() == "precious"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ODD_LOCKS)
def test_readers_and_repair_neither_wait_for_nor_follow_a_link_fifo_or_directory_in_place_of_the_lock(
    kind: str, nursery: Nursery, path: Path
) -> None:
    assert nursery.run("env = record(path, 'inline', 10)\nos._exit(1)", path) == 1
    lock_path(path).unlink()
    target = put_in_place_of_the_lock(kind, path)
    with pytest.raises(h5r.RecordingError):
        h5r.Recording(path)
    with pytest.raises(errors.RecordingPathError, match=r"run\.h5\.lock"):
        h5r.repair(path)
    assert target.exists() == (kind == "symlink")
    (lock_path(path).rmdir if kind == "directory" else lock_path(path).unlink)()
    h5r.repair(path)
    check_complete(path, 10)


@contextmanager
def ordinary_user(directory: Path) -> Iterator[None]:
    """Run the block as an ordinary user: file permissions do not stop root."""
    if os.geteuid() != 0:
        yield
        return
    above = [directory, *directory.parents]
    closed = [(each, each.stat().st_mode) for each in above if each.stat().st_mode & 0o011 != 0o011]
    for each, mode in closed:
        each.chmod(mode | 0o011)
    directory.chmod(0o777)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for each, mode in closed:
            each.chmod(mode)


def test_a_lock_file_that_cannot_be_written_is_an_error_that_names_it(path: Path) -> None:
    lock_path(path).touch()
    lock_path(path).chmod(0o444)
    with (
        ordinary_user(path.parent),
        pytest.raises(errors.RecordingPathError, match=r"Permission denied: .*run\.h5\.lock"),
    ):
        record(path, "inline")
    assert [each.name for each in path.parent.iterdir()] == ["run.h5.lock"]


# Interrupted -------------------------------------------------------------------------------------


def test_after_an_interrupted_close_the_writer_keeps_other_recorders_out(path: Path, impatient: None) -> None:
    env = record(path, "process", 5)
    env.flush()  # the writer process has loaded
    go_on(env, 5)
    (writer_pid,) = writers_of(path)
    os.kill(writer_pid, signal.SIGSTOP)
    timer = threading.Timer(0.2, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            env.close()
        assert is_locked(path)
        with pytest.raises(errors.RecordingInUseError):
            record(path, "inline", 5, mode="a")
    finally:
        os.kill(writer_pid, signal.SIGCONT)
    env.close()
    check_complete(path, 10)
    assert not Path(f"/proc/{writer_pid}").exists()  # not even as a zombie


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the interrupted Popen has no owner
def test_an_interrupt_while_the_writer_starts_does_not_leave_two_writers(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    class Interrupted(subprocess.Popen):  # type: ignore[type-arg]
        def _execute_child(self, *arguments: Any) -> None:
            super()._execute_child(*arguments)
            os.kill(self.pid, signal.SIGSTOP)  # it goes on when the second writer is at work
            started.append(self.pid)
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(process_worker.subprocess, "Popen", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            record(path, "process")
    env = record(path, "process", 5)
    with suppress(ProcessLookupError):
        os.kill(started[0], signal.SIGCONT)
    wait_until(lambda: started[0] not in writers_of(path), 5)
    go_on(env, 5)
    env.close()
    check_complete(path, 10)

"""The lock: one holder at a time, whichever process dies and however; and standard streams that are closed."""

import json
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from gym_h5record.errors import RecordingInUseError, RecordingPathError
from gym_h5record.storage.lock import RecordingLock, check_only_name, is_locked
from gym_h5record.storage.paths import lock_path
from tests.zoo import open_descriptors

_PREAMBLE = """
    import os, sys, time
    from pathlib import Path
    from gym_h5record.errors import RecordingInUseError
    from gym_h5record.errors import RecordingPathError
    from gym_h5record.storage.lock import RecordingLock
    from gym_h5record.storage.lock import is_locked
    recording = Path(sys.argv[1])
"""

_HOLD = """
    lock = RecordingLock(recording)
    print("held", flush=True)
    sys.stdin.read()
    lock.release()
"""

_INHERIT = """
    lock = RecordingLock(recording, descriptor=int(sys.argv[2]))
    print("held", flush=True)
    sys.stdin.read()
    lock.release()
"""

_TRY = """
    try:
        RecordingLock(recording).release()
    except RecordingInUseError:
        print("in use")
    else:
        print("free")
"""


@contextmanager
def other_process(code, recording, *arguments, **options):
    """Another process that runs ``code`` until its standard input is closed, after it has said something."""
    command = [sys.executable, "-c", textwrap.dedent(_PREAMBLE) + textwrap.dedent(code), str(recording), *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, **options) as process:
        try:
            assert process.stdout.readline().strip() == "held"
            yield process
        finally:
            process.stdin.close()
            process.wait(timeout=30)


def tried_elsewhere(recording):
    """What another process finds when it tries to take the lock."""
    command = [sys.executable, "-c", textwrap.dedent(_PREAMBLE) + textwrap.dedent(_TRY), str(recording)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture
def recording(tmp_path):
    return tmp_path / "run.h5"


# In one process -----------------------------------------------------------------------------------


def test_lock_lies_beside_the_recording(recording):
    assert lock_path(recording) == recording.parent / "run.h5.lock"


def test_release_leaves_no_file(recording):
    lock = RecordingLock(recording)
    assert lock_path(recording).exists()
    lock.release()
    assert list(recording.parent.iterdir()) == []


def test_second_lock_in_the_same_process_is_refused(recording):
    lock = RecordingLock(recording)
    with pytest.raises(RecordingInUseError, match=r"run\.h5 is being recorded: its lock run\.h5\.lock is held"):
        RecordingLock(recording)
    lock.release()
    RecordingLock(recording).release()


def test_refused_lock_leaks_no_descriptor(recording):
    lock = RecordingLock(recording)
    before = open_descriptors()
    for _ in range(5):
        with pytest.raises(RecordingInUseError):
            RecordingLock(recording)
    assert open_descriptors() <= before
    lock.release()


def test_recordings_beside_each_other_do_not_share_a_lock(recording):
    locks = [RecordingLock(recording.with_name(name)) for name in ("a.h5", "b.h5", "a")]
    for lock in locks:
        lock.release()


def test_release_may_be_called_again(recording):
    lock = RecordingLock(recording)
    lock.release()
    lock.release()
    lock.forget()


def test_second_release_does_not_take_the_lock_from_its_next_holder(recording):
    first = RecordingLock(recording)
    first.release()
    second = RecordingLock(recording)
    first.release()
    assert is_locked(recording)
    second.release()


def test_released_lock_has_no_descriptor(recording):
    lock = RecordingLock(recording)
    lock.release()
    with pytest.raises(RecordingInUseError, match="has been released"):
        _ = lock.descriptor


def test_lock_file_without_a_holder_means_nothing(recording):
    lock_path(recording).write_bytes(b"")
    assert not is_locked(recording)
    RecordingLock(recording).release()


def test_is_locked_tells_and_makes_no_file(recording):
    assert not is_locked(recording)
    assert list(recording.parent.iterdir()) == []
    lock = RecordingLock(recording)
    assert is_locked(recording)
    assert is_locked(recording)
    lock.release()
    assert not is_locked(recording)


def test_looking_at_a_lock_does_not_take_it(recording):
    lock_path(recording).touch()
    for _ in range(3):
        assert not is_locked(recording)
    RecordingLock(recording).release()


def test_looking_at_a_lock_never_shuts_out_a_recorder(recording):
    done = threading.Event()

    def look():
        while not done.is_set():
            is_locked(recording)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(300):
            RecordingLock(recording).release()
    finally:
        done.set()
        for looker in lookers:
            looker.join()


def test_missing_directory_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        RecordingLock(tmp_path / "missing" / "run.h5")


def test_a_holder_that_unlinks_the_name_late_does_not_make_two_holders(recording, monkeypatch):
    """Between opening the file and locking it, the last holder may remove its name."""
    import fcntl

    last = RecordingLock(recording)
    flock = fcntl.flock

    def release_first(descriptor, operation):
        last.release()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", release_first)
    lock = RecordingLock(recording)
    monkeypatch.undo()
    assert is_locked(recording)
    with pytest.raises(RecordingInUseError):
        RecordingLock(recording)
    lock.release()


def test_only_one_of_many_threads_gets_the_lock(recording):
    barrier, won = threading.Barrier(8), []

    def compete():
        barrier.wait()
        with suppress(RecordingInUseError):
            won.append(RecordingLock(recording))

    threads = [threading.Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    won[0].release()


# Patience -----------------------------------------------------------------------------------------


def test_patience_waits_for_a_holder_that_is_about_to_finish(recording):
    lock = RecordingLock(recording)
    timer = threading.Timer(0.1, lock.release)
    timer.start()
    patient = RecordingLock(recording, patience_s=30)
    timer.join()
    assert is_locked(recording)
    patient.release()


def test_patience_ends(recording):
    lock = RecordingLock(recording)
    start_s = time.monotonic()
    with pytest.raises(RecordingInUseError, match="held by a living process"):
        RecordingLock(recording, patience_s=0.1)
    assert 0.1 <= time.monotonic() - start_s < 10
    lock.release()


# Between processes --------------------------------------------------------------------------------


def test_lock_shuts_out_other_processes(recording):
    lock = RecordingLock(recording)
    assert tried_elsewhere(recording) == "in use"
    lock.release()
    assert tried_elsewhere(recording) == "free"


def test_lock_of_another_process_shuts_us_out(recording):
    with other_process(_HOLD, recording):
        assert is_locked(recording)
        with pytest.raises(RecordingInUseError):
            RecordingLock(recording)
    assert not is_locked(recording)
    assert list(recording.parent.iterdir()) == []


def test_killed_holder_gives_the_lock_up(recording):
    with other_process(_HOLD, recording) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=30)
        assert lock_path(recording).exists()  # no process was left to remove it
        assert not is_locked(recording)
        RecordingLock(recording).release()


def test_inherited_descriptor_keeps_the_lock_when_the_first_holder_lets_go(recording):
    lock = RecordingLock(recording)
    with other_process(_INHERIT, recording, str(lock.descriptor), pass_fds=[lock.descriptor]):
        lock.forget()
        assert lock_path(recording).exists()
        assert is_locked(recording)
        assert tried_elsewhere(recording) == "in use"
    assert not is_locked(recording)
    assert list(recording.parent.iterdir()) == []


def test_killed_heir_leaves_the_lock_to_the_first_holder(recording):
    lock = RecordingLock(recording)
    with other_process(_INHERIT, recording, str(lock.descriptor), pass_fds=[lock.descriptor]) as heir:
        heir.send_signal(signal.SIGKILL)
        heir.wait(timeout=30)
        assert is_locked(recording)
    lock.release()
    assert not is_locked(recording)


def test_lock_is_free_when_both_holders_are_gone(recording):
    lock = RecordingLock(recording)
    with other_process(_INHERIT, recording, str(lock.descriptor), pass_fds=[lock.descriptor]) as heir:
        lock.forget()
        heir.send_signal(signal.SIGKILL)
        heir.wait(timeout=30)
        assert not is_locked(recording)


def test_lock_is_not_inherited_unless_handed_over(recording):
    lock = RecordingLock(recording)
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as child:
        lock.forget()
        assert not is_locked(recording)
        child.stdin.close()
        child.wait(timeout=30)


def test_a_lock_is_current_until_its_file_is_removed(tmp_path):
    lock = RecordingLock(tmp_path / "run.h5")
    assert lock.is_current
    lock_path(tmp_path / "run.h5").unlink()
    assert not lock.is_current
    other = RecordingLock(tmp_path / "run.h5")
    assert other.is_current
    assert not lock.is_current
    lock.forget()
    other.release()
    assert not other.is_current


def test_a_file_with_hard_links_is_refused_and_says_so(tmp_path):
    (tmp_path / "run.h5").touch()
    check_only_name(tmp_path / "run.h5")
    (tmp_path / "other.h5").hardlink_to(tmp_path / "run.h5")
    with pytest.raises(RecordingPathError, match=r"other\.h5 has other names \(hard links\).*Copy the file"):
        check_only_name(tmp_path / "other.h5")


# Standard streams --------------------------------------------------------------------------------

_CLOSE_STREAMS = """
import json, os
from gym_h5record.storage.lock import occupy_standard_streams
said = os.dup(1)
for stream in {closed}:
    os.close(stream)
occupy_standard_streams()
opened = os.open(os.devnull, os.O_RDONLY)
inherited = [stream for stream in range(3) if os.get_inheritable(stream)]
os.write(said, json.dumps([opened, inherited]).encode())
"""


@pytest.mark.parametrize("closed", [[], [0], [1], [1, 2], [0, 1, 2]], ids=str)
def test_closed_streams_are_occupied_here_and_closed_in_programs_that_are_started(closed):
    command = [sys.executable, "-c", _CLOSE_STREAMS.format(closed=closed)]
    said = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    opened, inherited = json.loads(said)
    assert opened > 2
    assert inherited == [stream for stream in range(3) if stream not in closed]

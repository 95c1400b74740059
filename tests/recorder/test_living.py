"""The recorders of a process: completed at its end, abandoned in its forks, and one for each path."""

from __future__ import annotations

import gc
import subprocess
import textwrap
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import gym_h5record as h5r
from gym_h5record.errors import RecordingInUseError
from gym_h5record.recorder import living
from gym_h5record.recorder.living import check_not_recorded, close_when_dropped, enroll
from gym_h5record.storage.lock import RecordingLock
from tests.writing import check_alone, run_script

# The end of a program -----------------------------------------------------------------------------

ENDS = """
    import os, signal, sys, weakref
    from pathlib import Path
    import gymnasium as gym

    assert not {"h5py", "gym_h5record"} & {*sys.modules}
    assert not weakref.finalize._registered_with_atexit

    def make():
        global env
        if mode == "w":
            path.write_bytes(b"to be replaced")
        kind = "inline" if writer == "inline" else "process"
        env = h5r.RecordToHDF5(gym.make("CartPole-v1"), path, mode=mode, writer=kind, flush_interval_s=3600)

    def reset():
        env.reset(seed=0)

    def step():
        for action in (0, 1, 0, 1, 0):
            env.step(action)
        if begun == "begun":
            env.flush()  # there is a file
            env.step(0)
        if writer == "killed":
            os.kill(env._recorder.stream.session._worker._process.pid, signal.SIGKILL)

    for name in sys.argv[3:]:
        path = Path(sys.argv[1]) / name / "run.h5"
        path.parent.mkdir()
        writer, mode, begun = name.split("-")
        if not (pid := os.fork()):
            os.dup2(os.open(path.parent.with_suffix(".said"), os.O_WRONLY | os.O_CREAT), 2)
            exec(sys.argv[2])
            break  # and end, as every program does
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""

PACKAGE = "import gym_h5record as h5r"
H5PY = "import h5py"
TORCH = "made_by_torch = weakref.finalize(weakref.WeakSet(), print)"
"""The first finalizer of a process brings with it the exit function for all of them."""

ORDERS = {
    "the package alone": [PACKAGE, "make()", "reset()", "step()"],
    "torch, the package": [TORCH, PACKAGE, "make()", "reset()", "step()"],
    "h5py, the package": [H5PY, PACKAGE, "make()", "reset()", "step()"],
    "torch, h5py, the package": [TORCH, H5PY, PACKAGE, "make()", "reset()", "step()"],
    "h5py before the reset": [TORCH, PACKAGE, "make()", H5PY, "reset()", "step()"],
    "h5py after the reset": [TORCH, PACKAGE, "make()", "reset()", H5PY, "step()"],
    "h5py at the end": [TORCH, PACKAGE, "make()", "reset()", "step()", H5PY],
}
PROGRAMS = ("inline-x-new", "killed-w-begun")
MORE_PROGRAMS = ("inline-w-begun", "process-x-new", "process-w-begun", "killed-x-new")


@pytest.mark.long
@pytest.mark.sampled(5)
@pytest.mark.parametrize("order", ORDERS)
def test_without_close_the_file_is_complete_whatever_was_imported_in_which_order(order: str, tmp_path: Path) -> None:
    programs = (*PROGRAMS, *MORE_PROGRAMS) if order == "torch, the package" else PROGRAMS
    ended = run_script(ENDS, tmp_path, "\n".join(ORDERS[order]), *programs)
    assert ended.stdout.split() == ["0"] * len(programs)
    for name in programs:
        path, said = tmp_path / name / "run.h5", (tmp_path / f"{name}.said").read_text()
        if name.startswith("killed"):
            assert f"RecordingWarning: the writer process of {path} was killed by signal 9 while recording." in said
            assert "All steps are in the file." in said
            assert "Traceback" not in said
        else:
            assert said == ""
        check_alone(path)
        with h5r.Recording(path) as recording:
            assert recording.lengths.tolist() == [6 if name.endswith("begun") else 5]


class Closable:
    """Counts how often it is closed; may refer to what owns it."""

    def __init__(self) -> None:
        self.closed = 0
        self.owner: Any = None

    def close(self) -> None:
        self.closed += 1


class Owner:
    """Owns a recorder."""

    def __init__(self, recorder: Closable) -> None:
        self.recorder = recorder


def test_a_recorder_is_closed_when_its_owner_is_dropped() -> None:
    stream, recorder = Closable(), Closable()
    owner = Owner(recorder)
    finalizer = close_when_dropped(owner, recorder, stream)
    assert finalizer.alive
    del owner
    assert (recorder.closed, stream.closed) == (1, 0)
    assert not finalizer.alive


def test_the_stream_of_a_recorder_that_refers_to_its_owner_is_closed_when_both_are_dropped() -> None:
    stream, recorder = Closable(), Closable()
    owner = recorder.owner = Owner(recorder)
    close_when_dropped(owner, recorder, stream)
    del owner, recorder
    gc.collect()
    assert stream.closed == 1


def test_a_finalizer_that_is_detached_closes_nothing() -> None:
    stream, recorder = Closable(), Closable()
    owner = Owner(recorder)
    close_when_dropped(owner, recorder, stream).detach()
    del owner
    assert (recorder.closed, stream.closed) == (0, 0)


RECORDERS = """
    import os, sys
    from pathlib import Path
    from gym_h5record.errors import WriterError
    from gym_h5record.recorder.living import enroll

    class Recorder:
        recorded_path = Path("run.h5")

        def __init__(self, name, error=None):
            self.name, self.error = name, error
            enroll(self)

        def abandon(self):
            os.write(1, f"{os.getpid() == parent} {self.name}\\n".encode())

        def complete(self):
            print("completed", self.name, flush=True)
            if self.error is not None:
                raise self.error

    parent = os.getpid()
"""


def run_recorders(code: str) -> subprocess.CompletedProcess[str]:
    return run_script(textwrap.dedent(RECORDERS) + textwrap.dedent(code))


def test_at_the_end_every_recorder_is_completed_whatever_happens_to_another() -> None:
    ended = run_recorders("""
        first, gone = Recorder("first"), Recorder("gone")
        failed, broken = Recorder("failed", WriterError("the disk is full")), Recorder("broken", ZeroDivisionError())
        last = Recorder("last")
        del gone
    """)
    assert sorted(ended.stdout.splitlines()) == [f"completed {name}" for name in ("broken", "failed", "first", "last")]
    assert "RecordingWarning: the disk is full" in ended.stderr
    assert "ZeroDivisionError" in ended.stderr
    assert "raise WriterError" not in ended.stderr


def test_at_the_end_h5py_is_loaded_only_for_recordings_that_are_open() -> None:
    ended = run_recorders("""
        import atexit
        atexit.register(lambda: print("h5py" in sys.modules))
        recorder = Recorder("first")
        recorder.recorded_path = None
    """)
    assert ended.stdout.splitlines() == ["completed first", "False"]


def test_a_child_abandons_the_recorders_that_still_exist_and_the_parent_none() -> None:
    ended = run_recorders("""
        kept, gone = Recorder("kept"), Recorder("gone")
        del gone
        if not os.fork():
            os._exit(0)
        os.wait()
    """)
    assert ended.stdout.splitlines() == ["False kept", "completed kept"]


# One recorder for a path --------------------------------------------------------------------------


@dataclass(eq=False)
class Recorder:
    """Holds a path."""

    recorded_path: Path | None

    def abandon(self) -> None: ...

    def complete(self) -> None: ...


def test_a_path_belongs_to_one_recorder_of_the_program_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    check_not_recorded(path, waits=False)
    recorder = Recorder(path)
    enroll(recorder)
    for waits in (False, True):  # nothing is gained by waiting for oneself
        with pytest.raises(RecordingInUseError, match=r"run\.h5 belongs to another recorder of this program.*Close"):
            check_not_recorded(path, waits=waits)
    check_not_recorded(tmp_path / "other.h5", waits=False)
    recorder.recorded_path = None
    check_not_recorded(path, waits=False)


def test_a_path_belongs_to_no_recorder_that_is_gone(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "run.h5")
    enroll(recorder)
    del recorder
    check_not_recorded(tmp_path / "run.h5", waits=False)


def test_a_path_that_another_process_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(living, "PATIENCE_S", 0.05)
    lock = RecordingLock(tmp_path / "run.h5")
    try:
        for waits in (False, True):
            with pytest.raises(RecordingInUseError, match=r"run\.h5 is being recorded by another process.*Wait"):
                check_not_recorded(tmp_path / "run.h5", waits=waits)
    finally:
        lock.release()
    check_not_recorded(tmp_path / "run.h5", waits=False)


@pytest.mark.parametrize(("waits", "after_s"), [(True, 0.1), (False, 0.01)])
def test_a_lock_that_is_given_up_in_time_is_waited_for(
    waits: bool, after_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer of a dead recorder finishes its work; a process that was killed is gone a moment later."""
    monkeypatch.setattr(living, "_GLANCE_S", 5.0)  # on a busy machine a moment is long
    timer = threading.Timer(after_s, RecordingLock(tmp_path / "run.h5").release)
    timer.start()
    check_not_recorded(tmp_path / "run.h5", waits=waits)
    timer.join()


def test_many_environments_with_one_path_are_told_that_each_needs_its_own(tmp_path: Path) -> None:
    code = """
        import sys, gymnasium as gym, gym_h5record as h5r
        try:
            gym.make_vec("CartPole-v1", 3, "sync", wrappers=[lambda env: h5r.RecordToHDF5(env, sys.argv[1])])
        except h5r.errors.RecordingInUseError as error:
            print(error)
    """
    assert "every environment needs a path of its own" in run_script(code, tmp_path / "run.h5").stdout
    assert not [*tmp_path.iterdir()]

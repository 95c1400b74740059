"""When recording fails: ``on_error="warn"`` warns once and the environment goes on, ``"raise"`` raises."""

from __future__ import annotations

import errno
import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import RecordingPathError, RecordingWarning, WriterError
from gym_h5record.recorder.on_error import ErrorPolicy
from gym_h5record.storage.hdf5 import crash_safe_file
from gym_h5record.storage.lock import is_locked
from gym_h5record.storage.paths import journal_path, spare_path
from gym_h5record.writing import journal
from gym_h5record.writing.journal_control import Control, WriterState
from gym_h5record.writing.row_writer import RowWriter
from tests.writing import each_writer, writer_pid
from tests.zoo import open_descriptors

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform != "linux", reason="limits another process's files, and finds it"),
]

MANY = 600
"""Steps after the failure: enough to fill a disk of 1 MiB."""


class Noise(gym.Env[np.ndarray, np.int64]):
    """Pictures that nothing can compress, and a long text when it is asked for one.

    Attributes:
        text_bytes: Of the texts in the infos from now on.
    """

    observation_space = spaces.Box(0, 255, (48, 48), np.uint8)
    action_space = spaces.Discrete(2)
    text_bytes = 10

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._step = 0
        return self._observe(), {"text": ""}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._step += 1
        return self._observe(), self._step / 3, self._step == 97, False, {"text": "x" * self.text_bytes}

    def _observe(self) -> np.ndarray:
        return self.np_random.integers(0, 256, (48, 48), np.uint8)


class Twins:
    """A recorded environment and one that is not recorded; both get the same calls and must answer the same.

    Attributes:
        recorder: The recorded one.
        steps: How many steps have returned.
        observations: The observations of all resets and steps.
    """

    def __init__(self, path: Path, **options: Any) -> None:
        self.recorder = h5r.RecordToHDF5(Noise(), path, **{"flush_interval_s": 0.01, **options})
        self._twin = Noise()
        self.steps = 0
        self.observations: list[np.ndarray] = []
        self._over = True

    def step(self, count: int = 1) -> None:
        """Step both, or reset them after the end of an episode, and compare."""
        for number in range(count):
            if self._over:
                self.reset()
            self.recorder.unwrapped.text_bytes = self._twin.text_bytes  # type: ignore[attr-defined]
            expected = self._twin.step(0)
            found = self.recorder.step(np.int64(number % 2))
            self._compare(found[0], expected[0])
            assert found[1:] == expected[1:]
            self.steps += 1
            self._over = bool(found[2])

    def reset(self) -> None:
        """Reset both, and compare."""
        seed = None if self.steps else 0
        expected, found = self._twin.reset(seed=seed), self.recorder.reset(seed=seed)
        self._over = False
        self._compare(found[0], expected[0])
        assert found[1] == expected[1]

    def let_the_writer_begin(self) -> None:
        """Wait for the writer process, if there is one, to be ready."""
        session = self.recorder._recorder.stream.session  # type: ignore[union-attr]
        while not session.options.in_process and session.journal.control[Control.WRITER] == WriterState.STARTING:
            time.sleep(0.01)

    def write_long_texts(self) -> None:
        """From now on texts are larger than the journal."""
        self._twin.text_bytes = 1 << 21

    def write_short_texts(self) -> None:
        """From now on texts are short again."""
        self._twin.text_bytes = 10

    def _compare(self, found: np.ndarray, expected: np.ndarray) -> None:
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)
        self.observations.append(expected)


def children() -> list[str]:
    """Process numbers of the children of this process."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@pytest.fixture(autouse=True)
def modest_journals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_MAX_BYTES", 1 << 20)


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """Fail if a process or a descriptor is left."""
    before = open_descriptors(), children()
    yield
    assert (open_descriptors(), children()) == before


@contextmanager
def small_files(limit_bytes: int, pid: int = 0) -> Iterator[None]:
    """Imitate a full disk: files of this process, or of another one, cannot grow beyond a size."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        if pid in (0, *map(int, children())):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


# Ways to fail ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Failure:
    """A way in which recording fails.

    Attributes:
        happens: A context in which it fails; afterwards the cause is removed.
        cause: Words of the message.
        writers: The kinds of writer that can fail in this way.
        at_start: Whether it happens before the first reset.
        loses_everything: Whether the recording itself vanishes.
        is_kept: Whether all steps are in the file once it is closed.
    """

    happens: Callable[[Twins, Path], Any]
    cause: str
    writers: tuple[str, ...] = ("inline", "process")
    at_start: bool = False
    loses_everything: bool = False
    is_kept: bool = False


@contextmanager
def full_disk(twins: Twins, path: Path) -> Iterator[None]:
    is_inline = twins.recorder._recorder.stream.session.options.in_process
    with small_files(1 << 20, 0 if is_inline else writer_pid(path)):
        yield


@contextmanager
def killed_writer(_: Twins, path: Path) -> Iterator[None]:
    os.kill(writer_pid(path), signal.SIGKILL)
    yield


@contextmanager
def vanished_directory(_: Twins, path: Path) -> Iterator[None]:
    shutil.rmtree(path.parent)
    yield


@contextmanager
def no_room_for_the_journal(_: Twins, __: Path) -> Iterator[None]:
    with small_files(1 << 16):
        yield


@contextmanager
def something_in_the_way_of_a_larger_journal(twins: Twins, path: Path) -> Iterator[None]:
    spare_path(path).mkdir()
    twins.write_long_texts()
    twins.step()
    twins.write_short_texts()
    yield
    spare_path(path).rmdir()


@contextmanager
def no_room_for_a_larger_journal(twins: Twins, _: Path) -> Iterator[None]:
    with small_files(1 << 20):
        twins.write_long_texts()
        twins.step()
        twins.write_short_texts()
        yield


@contextmanager
def read_only_disk(_: Twins, __: Path) -> Iterator[None]:
    def refuse(*_: Any) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(crash_safe_file.os, "pwrite", refuse)
        yield


@contextmanager
def another_file_in_its_place(twins: Twins, path: Path) -> Iterator[None]:
    twins.reset()
    path.write_bytes(b"another file")
    yield
    path.unlink()


FAILURES = {
    "full disk": Failure(full_disk, "File too large"),
    "killed writer": Failure(killed_writer, "killed by signal 9", writers=("process",), is_kept=True),
    "vanished directory": Failure(vanished_directory, "No such file", loses_everything=True),
    "no room for the journal": Failure(no_room_for_the_journal, "File too large", at_start=True),
    "something in the way of a larger journal": Failure(
        something_in_the_way_of_a_larger_journal, "journal.new", is_kept=True
    ),
    "no room for a larger journal": Failure(no_room_for_a_larger_journal, "File too large", is_kept=True),
    "read-only disk": Failure(read_only_disk, "Read-only file system", writers=("inline",)),
    "another file in its place": Failure(another_file_in_its_place, "not an HDF5 file", at_start=True),
}

CASES = [
    pytest.param(failure, writer, id=f"{name.replace(' ', '-')}-{writer}")
    for name, failure in FAILURES.items()
    for writer in failure.writers
]
each_case = pytest.mark.parametrize(("failure", "writer"), CASES)


# After the failure -------------------------------------------------------------------------------


def check_kept(path: Path, twins: Twins, steps: int) -> None:
    """Repair if needed; fail unless at least so many steps are kept, with the observations that were given."""
    if journal_path(path).exists():
        h5r.repair(path)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert [each for each in h5r.validate(path, deep=True) if each.severity is h5r.Severity.ERROR] == []
    with h5r.Recording(path) as recording:
        assert recording.num_steps >= steps
        for row in range(recording.num_rows):
            assert np.array_equal(recording.rows.observations[row], twins.observations[row])


@pytest.mark.sampled(5)
@each_case
def test_the_environment_goes_on_and_a_warning_says_why(failure: Failure, writer: str, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "run.h5"
    path.parent.mkdir()
    twins = Twins(path, writer=writer, on_error="warn", checksum=True)
    steps = 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if not failure.at_start:
            twins.step(40)
            twins.let_the_writer_begin()
            if not failure.loses_everything:
                twins.recorder.flush()
            steps = twins.steps
        with failure.happens(twins, path):
            twins.step(MANY)
            if not caught:  # no drain has run yet
                twins.recorder.flush()
            twins.step(100)
            twins.recorder.close()
            twins.recorder.close()
    assert [each.category for each in caught] == [RecordingWarning], [str(each.message) for each in caught]
    message = str(caught[0].message)
    assert str(path) in message
    assert failure.cause in message
    assert "goes on without being recorded" in message
    if failure.loses_everything:
        assert not path.parent.exists()
    elif steps:
        assert journal_path(path).exists() != failure.is_kept
        check_kept(path, twins, steps)
    else:
        assert not path.exists()


@pytest.mark.sampled(5)
@each_case
def test_the_caller_gets_an_error(failure: Failure, writer: str, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "run.h5"
    path.parent.mkdir()
    twins = Twins(path, writer=writer)
    if not failure.at_start:
        twins.step(40)
        twins.let_the_writer_begin()
        if not failure.loses_everything:
            twins.recorder.flush()
    steps = twins.steps
    with pytest.raises((WriterError, RecordingPathError), match=failure.cause) as raised, failure.happens(twins, path):
        for _ in range(MANY):
            twins.step()
        twins.recorder.flush()
        twins.recorder.close()
    assert "run.h5" in str(raised.value)
    twins.recorder.close()  # raises no second time
    spare_path(path).rmdir() if spare_path(path).exists() else None
    if steps and not failure.loses_everything:
        check_kept(path, twins, steps)


# The policy alone ---------------------------------------------------------------------------------


class Ends(list[str]):
    """How often a recording was ended; the first ends raise these errors."""

    def __init__(self, errors: Iterable[Exception]) -> None:
        super().__init__()
        self._errors = iter(errors)

    def close(self) -> None:
        self.append("closed")
        for error in self._errors:
            raise error


def make_policy(on_error: str, *closing_errors: Exception) -> tuple[ErrorPolicy, list[str]]:
    """A policy, and a list that grows with every end of the recording; the first ends raise these errors."""
    ends = Ends(closing_errors)
    return ErrorPolicy(on_error, ends.close), ends


def test_there_are_two_policies() -> None:
    assert [make_policy(each)[0].has_given_up for each in ("raise", "warn")] == [False, False]
    with pytest.raises(h5r.errors.OptionError, match="on_error: expected one of 'raise', 'warn', got 'ignore'"):
        make_policy("ignore")


@pytest.mark.parametrize("error", [WriterError("full"), RecordingPathError("gone")], ids=type)
def test_raise_lets_the_error_through_and_ends_nothing(error: Exception) -> None:
    policy, ends = make_policy("raise")
    with pytest.raises(type(error)) as raised, policy.applied():
        raise error
    assert raised.value is error
    assert (ends, policy.has_given_up) == ([], False)


@pytest.mark.parametrize("error", [WriterError("full"), RecordingPathError("gone")], ids=type)
def test_warn_ends_the_recording_with_a_warning_that_says_why(error: Exception) -> None:
    policy, ends = make_policy("warn")
    told = f"^{error} The environment goes on without being recorded.$"
    with pytest.warns(RecordingWarning, match=told), policy.applied():
        raise error
    assert (ends, policy.has_given_up) == (["closed"], True)
    assert error.__traceback__ is None  # its frames refer to the journal


def test_an_error_at_the_end_is_told_in_the_same_warning() -> None:
    policy, ends = make_policy("warn", WriterError("Nor can it be closed."))
    with pytest.warns(RecordingWarning, match="^The disk is full. Nor can it be closed. The env") as caught:
        assert policy.goes_on_after(WriterError("The disk is full."))
    assert (len(caught), ends) == (1, ["closed"])


@pytest.mark.parametrize("on_error", ["raise", "warn"])
@pytest.mark.parametrize(
    "error", [OSError("the simulator is gone"), ValueError("odd"), KeyboardInterrupt(), MemoryError()], ids=type
)
def test_every_other_error_is_none_of_its_business(error: BaseException, on_error: str) -> None:
    policy, ends = make_policy(on_error)
    with pytest.raises(type(error)) as raised, policy.applied():
        raise error
    assert raised.value is error
    assert not policy.goes_on_after(error)
    assert ends == []


def test_an_error_of_another_kind_at_the_end_is_raised() -> None:
    policy, _ = make_policy("warn", ZeroDivisionError("keep"))
    with pytest.raises(ZeroDivisionError, match="keep"):
        policy.goes_on_after(WriterError("full"))


# The recorder as a whole --------------------------------------------------------------------------


@each_writer
def test_nothing_is_warned_of_when_nothing_fails(writer: str, tmp_path: Path) -> None:
    twins = Twins(tmp_path / "run.h5", writer=writer, on_error="warn")
    twins.step(200)  # warnings are errors here
    twins.recorder.flush()
    twins.recorder.close()
    check_kept(tmp_path / "run.h5", twins, 200)


@pytest.mark.sampled(2)
@each_writer
@pytest.mark.parametrize("on_error", ["raise", "warn"])
def test_a_disk_that_is_full_at_the_end_is_noticed_at_the_end(on_error: str, writer: str, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    twins = Twins(path, writer=writer, on_error=on_error, flush_interval_s=3600.0)
    twins.step(30)
    with (
        full_disk(twins, path) if writer == "process" else small_files(1 << 10),
        small_files(1 << 10, writer_pid(path)) if writer == "process" else warnings.catch_warnings(),
        pytest.warns(RecordingWarning, match="File too large")
        if on_error == "warn"
        else pytest.raises(WriterError, match="File too large"),
    ):
        twins.recorder.close()
    check_kept(path, twins, 30)


@each_writer
def test_a_failure_before_the_first_step_is_one_warning(writer: str, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    twins = Twins(path, writer=writer, on_error="warn")
    twins.reset()
    path.mkdir()
    with pytest.warns(RecordingWarning, match=r"run\.h5") as caught:
        twins.step(200)
        twins.recorder.flush()
        twins.recorder.close()
    assert len(caught) == 1


def test_a_failure_where_the_step_trigger_begins_a_recording_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = h5r.RecordToHDF5(
        Noise(), tmp_path / "run.h5", on_error="warn", writer="inline", step_trigger=lambda n: n in (3, 6)
    )
    env.reset()
    for _ in range(5):
        env.step(np.int64(0))
    assert is_locked(tmp_path / "run.h5")

    def fail(*_: Any) -> Any:
        raise WriterError("the disk is full")

    monkeypatch.setattr(RowWriter, "begin_episode", fail)
    with pytest.warns(RecordingWarning, match="the disk is full"):
        env.step(np.int64(0))
        env.step(np.int64(0))
    env.close()


def test_a_mistake_of_the_caller_is_still_an_error(tmp_path: Path) -> None:
    (tmp_path / "run.h5").touch()
    with pytest.raises(h5r.errors.RecordingExistsError):
        h5r.RecordToHDF5(Noise(), tmp_path / "run.h5", on_error="warn")
    with pytest.raises(RecordingPathError, match="does not exist"):
        h5r.RecordToHDF5(Noise(), tmp_path / "nowhere" / "run.h5", on_error="warn")
    with pytest.raises(h5r.errors.OptionError, match="on_error: expected one of 'raise', 'warn', got 'ignore'"):
        h5r.RecordToHDF5(Noise(), tmp_path / "other.h5", on_error="ignore")


def test_an_error_of_the_environment_is_still_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = h5r.RecordToHDF5(Noise(), tmp_path / "run.h5", on_error="warn", writer="inline")
    env.reset()
    monkeypatch.setattr(Noise, "step", lambda *_: (_ for _ in ()).throw(OSError("the simulator is gone")))
    with pytest.raises(OSError, match="the simulator is gone"):
        env.step(np.int64(0))
    env.close()


def test_a_warning_that_is_made_an_error_leaves_everything_in_order(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    twins = Twins(path, writer="process", on_error="warn")
    twins.step(40)
    twins.recorder.flush()
    os.kill(writer_pid(path), signal.SIGKILL)
    with pytest.raises(RecordingWarning, match="killed by signal 9"):  # warnings are errors here
        for _ in range(MANY):
            twins.recorder.step(np.int64(0))
            time.sleep(0.001)
    twins.recorder.reset()
    for _ in range(50):
        twins.recorder.step(np.int64(0))
    twins.recorder.close()
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]
    with h5r.Recording(path) as recording:
        assert recording.num_steps >= 40


def test_two_failures_at_once_are_one_warning_with_both_causes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.h5"
    twins = Twins(path, writer="inline", on_error="warn")
    twins.step(40)
    twins.recorder.flush()

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fail_from_now_on(*_: Any, **__: Any) -> Any:
        monkeypatch.setattr(crash_safe_file.os, "pwrite", fail)
        fail()

    monkeypatch.setattr(journal.Journal, "reserve", fail_from_now_on)
    both = r"cannot make the journal .*No space left.* recording to .* has failed: .*No space left"
    with pytest.warns(RecordingWarning, match=both) as caught:
        twins.write_long_texts()
        twins.step()
    assert len(caught) == 1
    monkeypatch.undo()
    twins.write_short_texts()
    twins.step(50)
    twins.recorder.close()
    check_kept(path, twins, 40)


@each_writer
def test_nothing_waits_for_the_garbage_collector(writer: str, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    twins = Twins(path, writer=writer, on_error="warn")
    twins.step(40)
    gc.collect()
    gc.disable()
    try:
        with full_disk(twins, path), pytest.warns(RecordingWarning, match="File too large"):
            twins.step(MANY)
        assert str(path) not in Path("/proc/self/maps").read_text()
        assert not [each for each in Path("/proc/self/fd").iterdir() if str(path) in os.path.realpath(each)]
    finally:
        gc.enable()
    twins.recorder.close()


# A disk that is really full ----------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of so many KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={request.param}k", "tmpfs"]
    try:
        done = subprocess.run(["mount", *options, str(place)], capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount: {error}")
    if done.returncode:
        pytest.skip(f"mounting is not permitted: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.sampled(2)
@each_writer
@pytest.mark.parametrize("durability", ["process", "power"])
@pytest.mark.parametrize("small_disk", [1 << 10, 6 << 10], indirect=True, ids=["1-MiB", "6-MiB"])
def test_a_disk_that_fills_up_is_a_warning(small_disk: Path, durability: str, writer: str) -> None:
    path = small_disk / "run.h5"
    twins = Twins(path, writer=writer, durability=durability, on_error="warn")
    with pytest.warns(RecordingWarning, match="No space left on device") as caught:
        twins.step(4 * MANY)
    assert len(caught) == 1
    twins.step(200)
    twins.recorder.close()
    if path.exists():
        with pytest.raises(h5r.errors.InterruptedRecordingError):
            h5r.Recording(path)
        room = small_disk.parent / "room" / "run.h5"
        room.parent.mkdir()
        for each in small_disk.iterdir():  # to a disk with room
            shutil.copy(each, room.parent)
        check_kept(room, twins, 500)
    else:
        assert [*small_disk.iterdir()] == []

"""Recovery: a recorder may die at any instant; afterwards every published row is in the file."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.errors import (
    CorruptRecordingError,
    NotARecordingError,
    RecordingError,
    RecordingExistsError,
    RecordingInUseError,
    RecordingNotFoundError,
    RecordingWarning,
)
from gym_h5record.storage.column_writer import ColumnWriter
from gym_h5record.storage.hdf5.superblock import is_torn
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.storage.paths import journal_path, lock_path
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.recovery import existing_recording, is_interrupted
from gym_h5record.writing.session import Session
from tests.leftovers import mark_torn
from tests.stacking import START, Player, StackingEnv, check_stacks
from tests.writing import (
    PICTURE,
    Pen,
    check_alone,
    check_pairs,
    check_same_content,
    committed,
    each_writer,
    elsewhere,
    everything_env,
    make_schema,
    pair,
    recover,
    small_journal,
    wait_until,
    write_pairs,
)
from tests.zoo import Played, check_identical, check_recorded, play

pytestmark = pytest.mark.timeout(60)


def cut_lengths(lengths: list[int], rows: int) -> list[int]:
    """Lengths of the episodes in the first rows; the last one may have been cut short."""
    cut = []
    for length in lengths:
        if rows <= 0:
            break
        cut.append(min(length, rows - 1))
        rows -= length + 1
    return cut


def cut_played(episodes: list[Played], rows: int) -> list[Played]:
    """What was played in the first rows."""
    cut = []
    for played in episodes:
        if rows <= 0:
            break
        steps = min(len(played.actions), rows - 1)
        more = {name: getattr(played, name)[:steps] for name in ("actions", "rewards", "terminations", "truncations")}
        both = {name: getattr(played, name)[: steps + 1] for name in ("observations", "infos")}
        cut.append(replace(played, **more, **both))
        rows -= steps + 1
    return cut


# Dying at any instant ----------------------------------------------------------------------------


@dataclass
class Instant:
    """The files that a process killed at this instant leaves, and the number of published rows."""

    path: Path
    rows: int


class Photographer:
    """Copies recording and journal at every operation on the file, as ``kill -9`` would leave them.

    The copies lack what HDF5 still has in memory. Of the operations that leave the same files, one is enough.

    Attributes:
        instants: What the copies are of.
        looks: The number of wanted operations, with those that left the files as they were.
    """

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Callable[[int], bool]) -> None:
        self.instants: list[Instant] = []
        self._path = path
        self._wanted = wanted
        self._operations = 0
        self.looks = 0
        self._seen: set[tuple[bytes, ...]] = set()
        for owner, names in ((RecordingFile, ("write", "commit", "start", "close")), (ColumnWriter, ("flush",))):
            for name in names:
                self._wrap(monkeypatch, owner, name)

    def _wrap(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
        method = getattr(owner, name)

        def photographed(*arguments: Any) -> Any:
            self._photograph()
            result = method(*arguments)
            self._photograph()
            return result

        monkeypatch.setattr(owner, name, photographed)

    def _photograph(self) -> None:
        self._operations += 1
        if not self._wanted(self._operations) or not journal_path(self._path).exists():
            return
        self.looks += 1
        files = [each for each in (self._path, journal_path(self._path)) if each.exists()]
        found = tuple(hashlib.sha256(each.read_bytes()).digest() for each in files)
        if found in self._seen:  # the operation before has left the same files
            return
        self._seen.add(found)
        copy = self._path.parent / "instants" / str(self._operations) / self._path.name
        copy.parent.mkdir(parents=True)
        for each in files:
            shutil.copy(each, copy.with_name(each.name))
        journal = Journal.open(journal_path(self._path))
        self.instants.append(Instant(copy, journal.control[Control.HEAD] if journal.is_laid_out else 0))


@pytest.mark.long
def test_a_recorder_killed_at_any_operation_loses_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 16)
    lengths = [3, 0, 20, 1, 2]
    with monkeypatch.context() as patch:
        photographer = Photographer(tmp_path / "run.h5", patch, lambda number: number % 3 == 0)
        with Pen(tmp_path / "run.h5") as pen:
            for number, length in enumerate(lengths):
                write_pairs(pen, [length], first_row=sum(lengths[:number]) + number)
                pen.flush()
    assert photographer.looks > 50
    assert len({instant.rows for instant in photographer.instants}) > 5
    for instant in photographer.instants:
        recover(instant.path)
        check_pairs(instant.path, cut_lengths(lengths, instant.rows), complete=False)
        check_alone(instant.path)


@pytest.mark.long
def test_a_recorder_of_everything_killed_at_any_operation_loses_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 64, max_bytes=1 << 20)
    monkeypatch.setattr(Session, "tick", lambda self: None)
    chance = random.Random(0)
    with monkeypatch.context() as patch:
        photographer = Photographer(tmp_path / "run.h5", patch, lambda number: chance.random() < 0.012)
        env = h5r.RecordToHDF5(everything_env(length=30), tmp_path / "run.h5", writer="inline")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)
            episodes = []
            for lengths in ([30, 9], [30, 0], [30, 30], [2], [30]):
                episodes += play(env, lengths)
                env.flush()
            env.close()
    assert len(photographer.instants) > 10
    for instant in photographer.instants:
        recover(instant.path)
        with h5r.Recording(instant.path) as recording:
            check_recorded(recording, cut_played(episodes, instant.rows))
        check_alone(instant.path)


@pytest.mark.long
def test_a_recorder_whose_ring_is_smaller_than_a_chunk_loses_no_row_when_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 8)
    with monkeypatch.context() as patch:
        photographer = Photographer(tmp_path / "run.h5", patch, lambda number: number % 7 == 0)
        with Pen(tmp_path / "run.h5", make_schema(PICTURE)) as pen:  # sixteen in a chunk
            pen.begin(np.zeros((84, 84), np.uint8))
            for row in range(1, 36):
                pen.step(np.full((84, 84), row, np.uint8))
    assert len({instant.rows for instant in photographer.instants}) > 5
    for instant in photographer.instants:
        recover(instant.path)
        found = h5r.Recording(instant.path).rows.observations
        assert [int(found[row][83, 83]) for row in range(len(found))] == list(range(instant.rows))


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.sampled(5)
@pytest.mark.parametrize("operation", [1, 2, 3, 5, 9, 14, 20, 26, 27, 28, 30, 40, 47, 48, 49, 50, 51, 52, 53])
def test_a_recovery_that_is_killed_is_completed_by_the_next(
    operation: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 64)
    lengths = [3, 0, 20, 1]
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, lengths[:2])
        pen.flush()
        write_pairs(pen, lengths[2:], first_row=5)
        path = elsewhere(tmp_path / "run.h5")
    count = 0

    def kill_at_last() -> None:
        nonlocal count
        count += 1
        if count == operation:
            raise Killed

    with monkeypatch.context() as patch:
        for name in ("write", "commit", "start", "close"):
            method = getattr(RecordingFile, name)
            patch.setattr(RecordingFile, name, lambda *each, _method=method: (kill_at_last(), _method(*each))[1])
        try:
            recover(path)
        except Killed:
            path = elsewhere(path)
    recover(path)
    check_pairs(path, lengths)
    check_alone(path)


def test_recovering_twice_is_harmless(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3, 2])
        path = elsewhere(tmp_path / "run.h5")
    recover(path)
    content, data = committed(path), path.read_bytes()
    recover(path)
    assert path.read_bytes() == data
    check_same_content(committed(path), content)


def test_recovering_again_with_the_journal_still_there_is_harmless(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.begin(pair(4), seed=4)  # will be closed as incomplete
        pen.flush()
        path = elsewhere(tmp_path / "run.h5")
    journal = journal_path(path).read_bytes()
    recover(path)
    content = committed(path)
    for _ in range(2):
        journal_path(path).write_bytes(journal)  # as if it had been killed before removing it
        recover(path)
        check_same_content(committed(path), content)
        check_alone(path)
    check_pairs(path, [3, 0])


def test_a_closed_recording_is_left_alone(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3, 2])
    data, stat = (tmp_path / "run.h5").read_bytes(), (tmp_path / "run.h5").stat()
    assert not is_interrupted(tmp_path / "run.h5")
    recover(tmp_path / "run.h5")
    assert (tmp_path / "run.h5").read_bytes() == data
    assert (tmp_path / "run.h5").stat().st_mtime_ns == stat.st_mtime_ns
    check_alone(tmp_path / "run.h5")


def test_a_torn_file_without_a_journal_is_completed(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.begin(pair(4), seed=4)
        pen.step(pair(5), reward=4.0)
        pen.flush()
        path = elsewhere(tmp_path / "run.h5")
    journal_path(path).unlink()  # lost with the temporary directory it was in, say
    mark_torn(path)
    assert is_interrupted(path)
    recover(path)
    assert not is_torn(path)
    with h5py.File(path) as file:
        assert file["commit"][:2].tolist() == [6, 2]
        assert file["episodes/complete"][:2].tolist() == [True, False]
        assert file["metadata"].attrs["total_steps"] == 4


# Dying while it is made --------------------------------------------------------------------------


def left_journal(tmp_path: Path, lengths: list[int], **options: Any) -> Path:
    """Leave the journal of an inline recorder that never drained, and no file."""
    with Pen(tmp_path / "run.h5", **options) as pen:
        pen.session.tick = lambda: None  # type: ignore[method-assign]
        write_pairs(pen, lengths)
        path = elsewhere(tmp_path / "run.h5")
        assert not path.exists()
        return path


@pytest.mark.parametrize("partial", [None, b"", b"half a file"], ids=["not-begun", "empty", "half"])
def test_a_recorder_killed_before_the_file_has_its_name_loses_no_row(partial: bytes | None, tmp_path: Path) -> None:
    path = left_journal(tmp_path, [3, 2, 0])
    if partial is not None:
        path.with_name("run.h5.partial").write_bytes(partial)
    recover(path)
    check_pairs(path, [3, 2, 0])
    check_alone(path)


def test_a_journal_without_columns_yet_is_thrown_away(tmp_path: Path) -> None:
    Journal.reserve(journal_path(tmp_path / "run.h5"), 100, 1000)
    assert is_interrupted(tmp_path / "run.h5")
    recover(tmp_path / "run.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size_bytes", [0, 100, 8192, 1 << 20], ids=lambda each: f"{each}-zeros")
@pytest.mark.parametrize("appending", [False, True], ids=["new", "appending"])
def test_a_recorder_killed_while_it_makes_its_journal_is_no_hindrance(
    appending: bool, size_bytes: int, tmp_path: Path
) -> None:
    if appending:
        with Pen(tmp_path / "run.h5") as pen:
            write_pairs(pen, [3])
    journal_path(tmp_path / "run.h5").write_bytes(bytes(size_bytes))
    recover(tmp_path / "run.h5")
    if appending:
        check_pairs(tmp_path / "run.h5", [3])
        check_alone(tmp_path / "run.h5")
    else:
        assert list(tmp_path.iterdir()) == []


def test_a_spare_journal_is_thrown_away(tmp_path: Path) -> None:
    path = left_journal(tmp_path, [3])
    path.with_name("run.h5.journal.new").write_bytes(b"half a journal")
    recover(path)
    check_pairs(path, [3])
    check_alone(path)


def test_an_empty_journal_makes_an_empty_recording(tmp_path: Path) -> None:
    path = left_journal(tmp_path, [])
    recover(path)
    assert h5r.Recording(path).num_rows == 0
    check_alone(path)


# What is appended to ------------------------------------------------------------------------------

HOUR_NS = 3600 * 10**9


def closed_recording(tmp_path: Path, created_at: object, *, last_ns: int | None = None, **schema: Any) -> Path:
    """A closed recording of four rows that says when it was created."""
    path = tmp_path / "run.h5"
    with Pen(path, make_schema(**schema)) as pen:
        write_pairs(pen, [3])
    with h5py.File(path, "r+") as file:
        file["metadata"].attrs["created_at"] = created_at
        if last_ns is not None:
            file["times"][3] = last_ns
    return path


def elapsed_ns(path: Path) -> int:
    existing = existing_recording(path)
    assert existing is not None
    return existing.elapsed_ns


def test_times_go_on_by_the_wall_clock(tmp_path: Path) -> None:
    an_hour_ago = datetime.now(timezone(timedelta(hours=5))) - timedelta(hours=1)
    assert HOUR_NS <= elapsed_ns(closed_recording(tmp_path, an_hour_ago.isoformat())) < HOUR_NS + 60 * 10**9


@pytest.mark.parametrize(
    "created_at",
    [
        (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat(),  # the clock has been set back
        datetime.now(timezone.utc).isoformat(),
        "2020-01-01T00:00:00",  # without a zone
        "0001-01-01T00:00:00+00:00",
        "yesterday",
        "",
        5,
    ],
    ids=["later", "now", "without-zone", "long-ago", "no-time", "empty", "a-number"],
)
def test_times_never_go_back_whatever_the_clock_says(created_at: object, tmp_path: Path) -> None:
    assert elapsed_ns(closed_recording(tmp_path, created_at, last_ns=HOUR_NS)) == HOUR_NS


def test_there_is_no_time_without_rows_or_without_times(tmp_path: Path) -> None:
    long_ago = "2020-01-01T00:00:00+00:00"
    assert elapsed_ns(closed_recording(tmp_path, long_ago, times=False)) == 0
    (tmp_path / "run.h5").unlink()
    recover(left_journal(tmp_path, []))
    assert elapsed_ns(tmp_path / "copy" / "run.h5") == 0
    assert existing_recording(tmp_path / "nothing.h5") is None


@pytest.mark.parametrize("last_ns", [-1, 2**63 - 1, -(2**63)])
def test_a_time_that_cannot_be_is_corruption(last_ns: int, tmp_path: Path) -> None:
    path = closed_recording(tmp_path, "2020-01-01T00:00:00+00:00", last_ns=last_ns)
    with pytest.raises(CorruptRecordingError, match=f"/times of the last row is {last_ns}"):
        existing_recording(path)


# Files that have changed -------------------------------------------------------------------------


def check_refused(path: Path, error: type[Exception], words: str | None = None) -> None:
    """Fail unless recovery refuses, and touches neither file nor journal."""
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    for _ in range(2):
        with pytest.raises(error, match=words):
            recover(path)
        assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == before


def test_a_journal_that_is_none_is_left_alone(tmp_path: Path) -> None:
    journal_path(tmp_path / "run.h5").write_bytes(b"my diary" * 5000)
    check_refused(tmp_path / "run.h5", CorruptRecordingError, r"run\.h5\.journal")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"ring": 5}', "\0"], ids=repr)
def test_a_journal_with_a_damaged_header_is_left_alone(text: str, tmp_path: Path) -> None:
    path = left_journal(tmp_path, [3])
    journal = Journal.open(journal_path(path))
    header_bytes = journal.control[Control.HEADER_BYTES]
    journal._map[8192 : 8192 + header_bytes] = text.encode().ljust(header_bytes)
    check_refused(path, CorruptRecordingError, r"run\.h5\.journal")


def test_a_file_that_has_vanished_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 16)
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [40])  # most rows are in the file alone
        path = elsewhere(tmp_path / "run.h5")
    path.unlink()
    check_refused(path, RecordingError, r"run\.h5")


def test_a_file_that_vanished_while_it_was_appended_to_is_an_error(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
    with Pen(tmp_path / "run.h5", mode="a") as pen:
        write_pairs(pen, [3], first_row=4)
        path = elsewhere(tmp_path / "run.h5")
    path.unlink()
    check_refused(path, RecordingNotFoundError, "vanished")


@pytest.mark.parametrize(
    "content", [b"", b"something else", b"\x89HDF\r\n\x1a\n" + bytes(500)], ids=["empty", "text", "hdf"]
)
def test_a_file_of_another_kind_in_its_place_is_left_alone(content: bytes, tmp_path: Path) -> None:
    path = left_journal(tmp_path, [3])
    path.write_bytes(content)
    check_refused(path, NotARecordingError, r"run\.h5")


@pytest.mark.parametrize("lengths", [[3], [9, 1]], ids=["as-long", "longer"])
def test_another_recording_in_its_place_is_left_alone(lengths: list[int], tmp_path: Path) -> None:
    path = left_journal(tmp_path, [3])
    with Pen(tmp_path / "other.h5") as pen:
        write_pairs(pen, lengths)
    shutil.copy(tmp_path / "other.h5", path)
    check_refused(path, RecordingExistsError, r"another recording.*run\.h5\.journal")


def test_a_recording_of_other_length_in_the_place_of_the_appended_one_is_left_alone(tmp_path: Path) -> None:
    for name, lengths in (("run.h5", [3]), ("other.h5", [9, 1])):
        with Pen(tmp_path / name) as pen:
            write_pairs(pen, lengths)
    with Pen(tmp_path / "run.h5", mode="a") as pen:
        write_pairs(pen, [3], first_row=4)
        path = elsewhere(tmp_path / "run.h5")
    shutil.copy(tmp_path / "other.h5", path)
    check_refused(path, CorruptRecordingError, "4 rows.*12")


def test_mode_w_replaces_any_file(tmp_path: Path) -> None:
    path = left_journal(tmp_path, [3], mode="w")
    path.write_bytes(b"something else")
    recover(path)
    check_pairs(path, [3])


def test_a_plain_hdf5_file_that_is_torn_is_no_recording(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "run.h5", "w", libver="v110") as file:
        file["x"] = 1
    with (tmp_path / "run.h5").open("ab") as stream:
        stream.write(b"torn")
    with pytest.raises(NotARecordingError):
        recover(tmp_path / "run.h5")


def test_a_truncated_copy_of_a_closed_recording_is_not_declared_whole(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [2000])
    os.truncate(tmp_path / "run.h5", (tmp_path / "run.h5").stat().st_size * 2 // 3)
    check_refused(tmp_path / "run.h5", CorruptRecordingError, r"run\.h5")


# Afterwards --------------------------------------------------------------------------------------


@each_writer
def test_appending_to_an_interrupted_recording_continues_it(writer: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3, 2])
        pen.flush()
        write_pairs(pen, [20], first_row=7)
        path = elsewhere(tmp_path / "run.h5")
    with Pen(path, mode="a", writer=writer) as pen:
        write_pairs(pen, [5, 0], first_row=28)
    check_pairs(path, [3, 2, 20, 5, 0])
    check_alone(path)


def test_a_recorder_can_be_killed_again_and_again(tmp_path: Path) -> None:
    path, lengths = tmp_path / "run.h5", []
    for life in range(6):
        first_row = sum(lengths) + len(lengths)
        (tmp_path / str(life)).mkdir()
        with Pen(path, mode="a", writer="inline") as pen:
            write_pairs(pen, [4, life], first_row)
            if life % 2:
                pen.flush()
            write_pairs(pen, [life], first_row + 6 + life)
            copy = elsewhere(path)
        lengths += [4, life, life]
        path = copy
    recover(path)
    check_pairs(path, lengths)


def test_a_recording_that_is_being_made_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.writing.PATIENCE_S", 0.05)
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        with pytest.raises(RecordingInUseError, match=r"run\.h5"):
            recover(tmp_path / "run.h5")
    check_pairs(tmp_path / "run.h5", [3])


def test_the_lock_is_free_after_a_recovery_that_failed(tmp_path: Path) -> None:
    journal_path(tmp_path / "run.h5").write_bytes(b"my diary" * 5000)
    with pytest.raises(CorruptRecordingError):
        recover(tmp_path / "run.h5")
    assert not lock_path(tmp_path / "run.h5").exists()
    RecordingLock(tmp_path / "run.h5").release()


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from tests.writing import Pen
    from tests.writing import write_pairs
    pen = Pen(Path(sys.argv[1]), writer=sys.argv[2], flush_interval_s=0.02)
    write_pairs(pen, [3, 0, 5000, 7])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run_killed(path: Path, writer: str) -> None:
    script = textwrap.dedent(KILLED)
    done = subprocess.run([sys.executable, "-c", script, str(path), writer], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -signal.SIGKILL


def test_the_journal_of_a_killed_inline_recorder_is_brought_in(tmp_path: Path) -> None:
    run_killed(tmp_path / "run.h5", "inline")
    assert is_interrupted(tmp_path / "run.h5")
    recover(tmp_path / "run.h5")
    check_pairs(tmp_path / "run.h5", [3, 0, 5000, 7])
    check_alone(tmp_path / "run.h5")


def test_the_writer_of_a_killed_recorder_completes_the_file_by_itself(tmp_path: Path) -> None:
    run_killed(tmp_path / "run.h5", "process")
    wait_until(lambda: [path.name for path in tmp_path.iterdir()] == ["run.h5"])
    check_pairs(tmp_path / "run.h5", [3, 0, 5000, 7])


def test_recovery_waits_for_the_writer_of_a_killed_recorder(tmp_path: Path) -> None:
    run_killed(tmp_path / "run.h5", "process")
    recover(tmp_path / "run.h5")
    check_pairs(tmp_path / "run.h5", [3, 0, 5000, 7])
    check_alone(tmp_path / "run.h5")


def test_no_descriptor_stays_open_after_recovery(tmp_path: Path) -> None:
    path = left_journal(tmp_path, [3])
    recover(path)
    targets = [os.fspath(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert not [target for target in targets if str(path.parent) in target]


def test_numbers_of_a_recovered_recording_are_those_of_a_closed_one(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3, 2, 9])
        path = elsewhere(tmp_path / "run.h5")
    recover(path)
    check_same_content(committed(path), committed(tmp_path / "run.h5"))
    with h5py.File(path) as recovered, h5py.File(tmp_path / "run.h5") as closed:
        assert dict(recovered["metadata"].attrs) == dict(closed["metadata"].attrs)
        assert np.array_equal(recovered["dones"][:17], closed["dones"][:17])


@pytest.mark.long
def test_a_recorder_of_stacks_killed_at_any_operation_loses_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 16)
    monkeypatch.setattr(Session, "tick", lambda self: None)
    parts = [(*START, *["slide"] * 12, "jump"), ("slide", "repeat", "reset fill"), ("slide", "end slide", "slide")]
    parts += [(*["slide"] * 5, "reset jump", "slide"), ("slide", "end slide"), ("slide", "reset fill", "slide")]
    chance = random.Random(1)
    with monkeypatch.context() as patch:
        photographer = Photographer(tmp_path / "run.h5", patch, lambda number: chance.random() < 0.03)
        recorder = h5r.RecordToHDF5(StackingEnv(), tmp_path / "run.h5", writer="inline")
        player, episodes = Player(recorder), []
        for orders in parts:
            episodes = player.perform(orders)
            recorder.flush()
        recorder.close()
    check_stacks(tmp_path / "run.h5", episodes)
    assert len({instant.rows for instant in photographer.instants}) > 5
    observations = [each for episode in episodes for each in episode]
    for instant in photographer.instants:
        recover(instant.path)
        with h5r.Recording(instant.path) as recording:
            check_identical([*recording.rows.observations], observations[: instant.rows], "observations")
            check_identical([*recording.rows.observations[:]], observations[: instant.rows], "a slice of all")
        assert [each for each in h5r.validate(instant.path, deep=True) if each.severity is h5r.Severity.ERROR] == []
        check_alone(instant.path)

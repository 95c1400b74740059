"""``repair``: the public way to complete what a dead recorder left, or to be told why that cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import (
    CorruptRecordingError,
    InterruptedRecordingError,
    NotARecordingError,
    RecordingExistsError,
    RecordingInUseError,
    RecordingNotFoundError,
    RecordingPathError,
    WriterError,
)
from gym_h5record.format import names as fmt
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.maintenance.repairs import repairing
from gym_h5record.maintenance.repairs.repairing import RepairReport, RowCount
from gym_h5record.storage.hdf5 import redo_log
from gym_h5record.storage.hdf5.guarded_file import GuardedFile
from gym_h5record.storage.paths import journal_path, lock_path
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing.journal import Journal
from tests.leftovers import (
    DAMAGED,
    INTERRUPTED,
    closed,
    contents,
    cut,
    left_appended,
    left_everything,
    left_open,
    left_pairs,
    pictures,
    record_until,
    snapshot,
    unreadable_chunk,
)
from tests.writing import (
    Pen,
    check_alone,
    check_pairs,
    elsewhere,
    make_schema,
    run_script,
    wait_until,
    write_pairs,
)
from tests.zoo import ZooEnv

pytestmark = pytest.mark.timeout(60)

every_interruption = pytest.mark.parametrize("name", INTERRUPTED)
every_damage = pytest.mark.parametrize("name", DAMAGED)


def counts(path: Path) -> tuple[int, int]:
    """Rows and episodes that a file says it has, whatever state it is in."""
    if not path.exists() or not path.read_bytes().startswith(b"\x89HDF"):
        return 0, 0
    with GuardedFile(path, redo_log.logged_changes(path)) as unclosed, h5py.File(unclosed, "r") as file:
        rows, episodes = file[fmt.COMMIT][:2].tolist()
        return rows, episodes


def errors(path: Path) -> list[h5r.Problem]:
    """What is wrong with a recording, but for metadata that the tests do not give it."""
    found = [each for each in h5r.validate(path, deep=True) if each.severity is h5r.Severity.ERROR]
    return [each for each in found if not each.code.startswith("metadata")]


# What it reports -------------------------------------------------------------------------------------


@pytest.mark.sampled(7)
@every_interruption
def test_a_dry_run_changes_nothing_and_says_what_then_comes_true(name: str, tmp_path: Path) -> None:
    path = INTERRUPTED[name](tmp_path)
    rows, episodes = (0, 0) if name == "replacing" else counts(path)
    before = contents(path.parent)
    foreseen = h5r.repair(path, dry_run=True)
    assert contents(path.parent) == before
    report = h5r.repair(path)
    assert report == foreseen
    assert (report.found, report.ok, report.problem) == ("interrupted", True, "")
    assert (report.readable, report.lost, report.salvaged) == (RowCount(), RowCount(), None)
    now_rows, now_episodes = counts(path)
    assert report.recovered.rows == max(now_rows - rows, 0)  # fewer where an episode of the file is discarded
    assert report.recovered.episodes == max(now_episodes - episodes, 0)
    assert ("leave out 1 discarded episode" in report.actions) == (name in ("discarded", "discarded-at-last"))
    if not path.exists():
        assert (report.num_steps, report.num_episodes) == (0, 0)
        assert list(path.parent.iterdir()) == []
        return
    check_alone(path)
    with h5r.Recording(path) as recording:
        assert (recording.num_steps, recording.num_episodes) == (report.num_steps, report.num_episodes)
    assert errors(path) == []
    assert h5r.repair(path) == RepairReport("closed", report.num_steps, report.num_episodes)


@pytest.mark.parametrize(
    ("make", "recovered", "actions"),
    [
        (
            "nothing-committed",
            (7, 2),
            (
                "make the file",
                "bring in 7 rows that only the journal has",
                "close the episode that was running as incomplete",
                "remove the journal",
            ),
        ),
        ("all-committed", (0, 0), ("remove the journal",)),
        (
            "open-at-its-reset",
            (1, 1),
            (
                "bring in 1 row that only the journal has",
                "close the episode that was running as incomplete",
                "remove the journal",
            ),
        ),
        ("open-committed", (0, 1), ("close the episode that was running as incomplete", "remove the journal")),
        ("appended", (7, 2), ("bring in 7 rows that only the journal has", "remove the journal")),
        (
            "replacing",
            (7, 2),
            (
                "make the file, in the place of another one",
                "bring in 7 rows that only the journal has",
                "remove the journal",
            ),
        ),
        (
            "flags-alone",
            (0, 0),
            (
                "clear the marks of its writer in the superblock and set the end of the file",
                "do without the journal, which is not there",
            ),
        ),
        ("journal-reserved", (0, 0), ("remove the journal",)),
    ],
)
def test_it_says_in_words_what_it_does(
    make: str, recovered: tuple[int, int], actions: tuple[str, ...], tmp_path: Path
) -> None:
    report = h5r.repair(INTERRUPTED[make](tmp_path))
    assert (report.recovered.rows, report.recovered.episodes) == recovered
    assert report.actions == actions


def test_recovered_bytes_are_those_of_the_rows_before_compression(tmp_path: Path) -> None:
    path = INTERRUPTED["pictures"](tmp_path)  # 40 rows, of which 22 are committed, all in one episode
    with h5py.File(path) as file:
        schema = schema_from_json(file[fmt.METADATA].attrs["schema"])
    row_bytes = sum(field.item_bytes for field in schema.ring_fields) + len(schema.coded)
    assert h5r.repair(path).recovered == RowCount(rows=18, episodes=1, bytes=18 * row_bytes)


def test_recovered_bytes_include_what_varies_in_size(tmp_path: Path) -> None:
    path = left_everything(tmp_path)
    journal = Journal.open(journal_path(path))
    start = counts(path)[0]
    blob_bytes = journal.blob_head - journal.blob_start(start)
    with h5py.File(path) as file:
        schema = schema_from_json(file[fmt.METADATA].attrs["schema"])
    row_bytes = sum(field.item_bytes for field in schema.ring_fields) + len(schema.coded)
    assert h5r.repair(path).recovered == RowCount(8, 2, 8 * row_bytes + blob_bytes)


@pytest.mark.parametrize(
    ("committed", "left"),
    [([3, 2], [5, 0]), ([], [5, 0]), ([3, 2], []), ([], [0]), ([100] * 9, [100] * 9)],
    ids=["some-left", "nothing-committed", "nothing-left", "one-reset", "many"],
)
def test_every_row_is_in_the_file_afterwards(committed: list[int], left: list[int], tmp_path: Path) -> None:
    path, lengths = left_pairs(tmp_path, committed, left), committed + left
    report = h5r.repair(path)
    assert (report.num_steps, report.num_episodes) == (sum(lengths), len(lengths))
    check_pairs(path, lengths)
    check_alone(path)


def test_the_path_may_be_text_or_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = left_pairs(tmp_path, [3], [2])
    monkeypatch.chdir(path.parent)
    assert h5r.repair("run.h5", dry_run=True).num_steps == 5
    assert h5r.repair("run.h5").num_steps == 5
    assert h5r.repair(os.fspath(path)).num_steps == 5


def test_the_path_may_be_a_link(tmp_path: Path) -> None:
    path = left_pairs(tmp_path, [3], [2])
    (tmp_path / "link.h5").symlink_to(path)
    assert h5r.repair(tmp_path / "link.h5").recovered.rows == 3
    check_alone(path)


def test_repairing_again_changes_nothing(tmp_path: Path) -> None:
    path = left_pairs(tmp_path, [3], [2])
    first = h5r.repair(path)
    before = contents(path.parent)
    assert h5r.repair(path) == RepairReport("closed", first.num_steps, first.num_episodes)
    assert contents(path.parent) == before


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_closed_recording_is_left_as_it_is(dry_run: bool, tmp_path: Path) -> None:
    path = closed(tmp_path, [3])
    path.chmod(0o444)
    before = contents(tmp_path)
    assert h5r.repair(path, dry_run=dry_run) == RepairReport("closed", 3, 1)
    assert contents(tmp_path) == before


def test_an_episode_that_was_running_is_incomplete(tmp_path: Path) -> None:
    path = left_open(tmp_path, is_committed=False)
    h5r.repair(path)
    first, last = h5r.Recording(path).episodes
    assert (first.complete, first.length) == (True, 3)
    assert (last.complete, last.terminated, last.truncated) == (False, False, False)
    assert (last.length, last.seed, last.total_reward) == (2, 4, 9.0)


@pytest.mark.parametrize("compression", ["gzip", "zstd", "lz4", "lzf", None])
def test_every_compression_is_repaired(compression: str | None, tmp_path: Path) -> None:
    schema = make_schema(spaces.Box(0, 255, (84, 84), np.uint8))
    with Pen(tmp_path / "run.h5", schema, compression=compression, row_bytes=7056) as pen:
        pen.begin(np.zeros((84, 84), np.uint8))
        for step in range(1, 40):
            pen.step(np.full((84, 84), step, np.uint8))
            if step == 21:
                pen.flush()  # in the middle of a chunk
        path = elsewhere(tmp_path / "run.h5")
    h5r.repair(path)
    found = h5r.Recording(path).rows.observations
    assert [int(found[row][83, 83]) for row in range(40)] == list(range(40))


def test_what_a_power_cut_left_of_a_journal_is_lost_and_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Path] = []

    def leave(env: Any) -> None:
        env.flush()
        for _ in range(3):
            env.step(env.action_space.sample())
        found.append(snapshot(tmp_path / "run.h5"))

    env = ZooEnv(spaces.Discrete(3), length=30)
    record_until(tmp_path / "run.h5", env, [30, 4], leave, durability="power")
    (path,) = found
    rows, episodes = counts(path)
    monkeypatch.setattr("gym_h5record.writing.left_journal.boot_id", lambda: "another life")
    foreseen = h5r.repair(path, dry_run=True)
    report = h5r.repair(path)
    assert report == foreseen
    assert (report.found, report.ok, report.lost.rows) == ("interrupted", True, 3)
    assert report.recovered == RowCount(episodes=1)  # the one that was running
    assert counts(path) == (rows, episodes + 1)
    assert "the journal" in report.actions[-1]
    assert "stopped" in report.actions[-1]


# Who may not be repaired -----------------------------------------------------------------------------


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("writer", ["inline", "process"])
def test_a_recording_that_is_being_made_is_left_alone(
    writer: str, dry_run: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repairing, "PATIENCE_S", 0.05)
    with Pen(tmp_path / "run.h5", writer=writer) as pen:
        write_pairs(pen, [3])
        before = None if writer == "process" else contents(tmp_path)
        with pytest.raises(RecordingInUseError, match=r"run\.h5 is being recorded"):
            h5r.repair(tmp_path / "run.h5", dry_run=dry_run)
        assert before is None or contents(tmp_path) == before
    check_pairs(tmp_path / "run.h5", [3])


def test_a_dry_run_does_not_wait_for_the_recorder(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        start_s = time.monotonic()
        with pytest.raises(RecordingInUseError):
            h5r.repair(tmp_path / "run.h5", dry_run=True)
        assert time.monotonic() - start_s < 1  # a repair waits two seconds


@pytest.mark.parametrize("dry_run", [False, True])
def test_the_lock_of_a_recorder_that_was_killed_before_it_made_a_file_is_removed(dry_run: bool, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    lock_path(path).touch()  # and no process holds it
    with pytest.raises(RecordingNotFoundError, match="no recording"):
        h5r.repair(path, dry_run=dry_run)
    assert [*tmp_path.iterdir()] == ([lock_path(path)] if dry_run else [])


@pytest.mark.parametrize("dry_run", [False, True])
def test_nothing_there_is_said(dry_run: bool, tmp_path: Path) -> None:
    for path in (tmp_path / "run.h5", tmp_path / "missing" / "run.h5"):
        with pytest.raises(RecordingNotFoundError, match=r"run\.h5"):
            h5r.repair(path, dry_run=dry_run)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    "content", [b"", b"a text", bytes(5000), b"\x89HDF\r\n\x1a\n" + bytes(500)], ids=["empty", "text", "zeros", "hdf"]
)
def test_what_is_no_recording_is_said_and_left_alone(content: bytes, dry_run: bool, tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(content)
    with pytest.raises((NotARecordingError, CorruptRecordingError), match=r"run\.h5"):
        h5r.repair(tmp_path / "run.h5", dry_run=dry_run)
    assert (tmp_path / "run.h5").read_bytes() == content
    check_alone(tmp_path / "run.h5")


def test_another_hdf5_file_is_no_recording(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["x"] = 1
    before = contents(tmp_path)
    with pytest.raises(NotARecordingError, match="not a recording"):
        h5r.repair(tmp_path / "run.h5")
    assert contents(tmp_path) == before


def test_a_directory_that_is_not_writable_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = left_pairs(tmp_path, [3], [2])
    before = contents(path.parent)

    def refuse(*arguments: Any, **more: Any) -> None:
        raise PermissionError(13, "Permission denied", str(lock_path(path)))

    monkeypatch.setattr(repairing, "RecordingLock", refuse)
    with pytest.raises(RecordingPathError, match=r"cannot repair .*run\.h5: Permission denied.*has to be writable"):
        h5r.repair(path)
    assert h5r.repair(path, dry_run=True).recovered.rows == 3
    assert contents(path.parent) == before


def test_a_full_disk_is_said_and_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = left_pairs(tmp_path, [3], [200])
    with monkeypatch.context() as patch:

        def fail(*arguments: Any) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(RecordingFile, "commit", fail)
        with pytest.raises(WriterError, match=r"No space left on device.*run it again: gym-h5record repair .*run\.h5"):
            h5r.repair(path)
    assert h5r.repair(path).recovered.rows == 201
    check_pairs(path, [3, 200])


# Beyond repair ---------------------------------------------------------------------------------------


def list_folder(path: Path) -> dict[str, Any]:
    """``contents``, of links and directories as well."""
    return {
        each.name: each.read_bytes() if each.is_file() else each.is_symlink() for each in sorted(path.parent.iterdir())
    } | {f"{each.name} at": os.lstat(each).st_mtime_ns for each in path.parent.iterdir()}


@pytest.mark.sampled(7)
@every_damage
def test_what_is_beyond_repair_is_not_touched_but_reported_and_saved(name: str, tmp_path: Path) -> None:
    path, out = DAMAGED[name](tmp_path), tmp_path / "saved.h5"
    before = list_folder(path)
    foreseen = h5r.repair(path, dry_run=True)
    plain = h5r.repair(path)
    assert plain == foreseen
    assert (plain.found, plain.ok, plain.actions, plain.salvaged) == ("damaged", False, (), None)
    assert plain.problem
    assert plain.recovered == RowCount()
    foreseen = h5r.repair(path, dry_run=True, salvage=out)
    assert list_folder(path) == before
    report = h5r.repair(path, salvage=out)
    assert {name: each for name, each in list_folder(path).items() if not name.startswith("saved.h5")} == before
    assert replace(report, salvaged=None) == foreseen
    assert replace(report, salvaged=None, actions=()) == plain
    if not report.readable.rows:
        assert report.salvaged is None
        assert not out.exists()
        return
    assert report.salvaged == out
    assert report.actions[-1].startswith("copy ")
    with h5r.Recording(out) as saved:
        assert (saved.num_rows, saved.num_episodes) == (report.readable.rows, report.readable.episodes)
    assert errors(out) == []
    assert report.readable.rows + report.lost.rows == report.num_steps + report.num_episodes


@pytest.mark.parametrize(
    ("make", "problem", "readable", "lost"),
    [
        ("cut-short-a-little", "bytes are missing at its end", (601, 1), (0, 0)),
        ("cut-short-to-a-third", "bytes are missing at its end", (0, 0), (601, 1)),
        ("rewards-short", "/rewards: 7 items are committed, it has 5", (6, 3), (1, 1)),
        ("rewards-missing", "there is no /rewards", (2, 2), (5, 2)),  # final observations, which have no reward
        ("index-missing", "there is no /episodes/starts", (7, 2), (0, 0)),
        ("index-beyond-the-rows", "episode 1.*77 steps", (7, 2), (0, 0)),
        ("commit-missing", "there is no /commit", (7, 2), (0, 0)),
        ("schema-missing", "schema", (0, 0), (0, 0)),
        ("last-chunk", "/observations.*decompressed", (48, 2), (14, 1)),
        ("journal-of-another-recording", "another recording than the one its journal", (12, 2), (0, 0)),
        ("journal-of-a-longer-recording", "continues a recording of 7 rows", (2, 1), (0, 0)),
        ("journal-of-a-later-instant", "not of the same instant", (4, 1), (0, 0)),
        ("journal-no-journal", "is no journal", (7, 2), (0, 0)),
        ("journal-positions", "claims rows", (4, 1), (0, 0)),
        ("journal-header", "header of .* cannot be read", (4, 1), (0, 0)),
        ("journal-type", "int64.*/rewards", (4, 1), (0, 0)),
        ("journal-segments", "cannot be drained", (4, 1), (0, 0)),
        ("file-vanished", "has vanished", (0, 0), (0, 0)),
    ],
)
def test_it_says_what_is_wrong_and_what_is_left(
    make: str, problem: str, readable: tuple[int, int], lost: tuple[int, int], tmp_path: Path
) -> None:
    report = h5r.repair(DAMAGED[make](tmp_path))
    assert (report.readable.rows, report.readable.episodes) == readable
    assert (report.lost.rows, report.lost.episodes) == lost
    with pytest.raises(ValueError, match=problem):
        raise ValueError(report.problem)


def test_damage_that_takes_reading_every_row_is_found_if_rows_are_to_be_saved(tmp_path: Path) -> None:
    path = unreadable_chunk(pictures(tmp_path))  # rows 16 to 31
    assert h5r.repair(path).found == "closed"  # quick: it looks at the ends of things
    report = h5r.repair(path, salvage=tmp_path / "saved.h5")
    assert (report.found, report.ok, report.salvaged) == ("damaged", False, tmp_path / "saved.h5")
    assert "/observations row 16" in report.problem
    assert (report.readable.rows, report.readable.episodes) == (46, 3)
    assert report.readable.bytes == 46 * (report.lost.bytes // 16)
    assert (report.lost.rows, report.lost.episodes) == (16, 1)


def test_a_good_recording_is_not_copied(tmp_path: Path) -> None:
    path = closed(tmp_path)
    assert h5r.repair(path, salvage=tmp_path / "saved.h5") == RepairReport("closed", 5, 2)
    check_alone(path)


def test_an_interrupted_recording_is_repaired_rather_than_copied(tmp_path: Path) -> None:
    path = left_pairs(tmp_path, [3], [2])
    report = h5r.repair(path, salvage=tmp_path / "saved.h5")
    assert (report.found, report.ok, report.salvaged, report.num_steps) == ("interrupted", True, None, 5)
    check_pairs(path, [3, 2])


def test_an_interrupted_recording_with_a_damaged_chunk_is_completed_first_then_all_of_it_saved(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(spaces.Box(0, 255, (84, 84), np.uint8)), row_bytes=7056) as pen:
        pen.begin(np.zeros((84, 84), np.uint8))
        for row in range(1, 60):
            pen.step(np.full((84, 84), row, np.uint8))
            if row == 50:
                pen.flush()
        path = snapshot(tmp_path / "run.h5")
    unreadable_chunk(path)
    report = h5r.repair(path, salvage=tmp_path / "saved.h5")
    assert (report.found, report.recovered.rows, report.num_steps) == ("damaged", 9, 59)
    assert (report.readable.rows, report.lost.rows) == (44, 16)
    assert report.actions[0] == "bring in 9 rows that only the journal has"
    assert report.actions[-1] == f"copy 44 rows in 2 episodes to {tmp_path / 'saved.h5'}"
    found = h5r.Recording(tmp_path / "saved.h5").rows.observations
    assert [int(found[row][0, 0]) for row in range(44)] == [*range(16), *range(32, 60)]
    assert not journal_path(path).exists()


@pytest.mark.parametrize("dry_run", [False, True])
def test_the_file_to_save_into_is_never_overwritten(dry_run: bool, tmp_path: Path) -> None:
    path = DAMAGED["rewards-short"](tmp_path)
    (tmp_path / "saved.h5").write_bytes(b"precious")
    for out in (tmp_path / "saved.h5", path):
        with pytest.raises(RecordingExistsError, match="exists"):
            h5r.repair(path, dry_run=dry_run, salvage=out)
    with pytest.raises(RecordingPathError, match="does not exist"):
        h5r.repair(path, dry_run=dry_run, salvage=tmp_path / "missing" / "saved.h5")
    assert (tmp_path / "saved.h5").read_bytes() == b"precious"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_a_copy_that_was_cut_off_is_corrupt_not_interrupted(share: float, tmp_path: Path) -> None:
    path = cut(closed(tmp_path, [600]), share)
    with pytest.raises(CorruptRecordingError, match=r"cut short.*gym-h5record repair .*run\.h5 --salvage FILE"):
        h5r.Recording(path)
    report = h5r.repair(path)
    assert (report.found, report.num_steps, report.num_episodes) == ("damaged", 600, 1)


def test_a_cut_off_copy_with_a_journal_is_not_declared_whole(tmp_path: Path) -> None:
    path = cut(left_appended(tmp_path, is_committed=False), 0.99)
    before = contents(path.parent)
    report = h5r.repair(path)
    assert (report.found, report.ok) == ("damaged", False)
    assert "cut short" in report.problem
    assert contents(path.parent) == before


# Opening ---------------------------------------------------------------------------------------------


def test_the_reader_sends_to_repair_and_reads_afterwards(tmp_path: Path) -> None:
    path = left_pairs(tmp_path, [3], [2])
    with pytest.raises(
        InterruptedRecordingError,
        match=r"gym_h5record\.repair\('.*run\.h5'\) or `gym-h5record repair .*run\.h5`, or go on recording",
    ):
        h5r.Recording(path)
    h5r.repair(path)
    assert h5r.Recording(path).num_steps == 5


@pytest.mark.parametrize("name", ["nothing-committed", "open", "flags-alone-open", "replacing-a-text"])
def test_a_repaired_recording_opens_with_what_a_dry_run_foresaw(name: str, tmp_path: Path) -> None:
    path = INTERRUPTED[name](tmp_path)
    foreseen = h5r.repair(path, dry_run=True)
    h5r.repair(path)
    with h5r.Recording(path) as recording:
        assert (recording.num_steps, recording.num_episodes) == (foreseen.num_steps, foreseen.num_episodes)
    check_alone(path)


def test_repair_leaves_what_was_closed_as_it_is(tmp_path: Path) -> None:
    path = closed(tmp_path)
    before = contents(tmp_path)
    h5r.repair(path)
    assert h5r.Recording(path).num_steps == 5
    assert contents(tmp_path) == before


def test_repair_says_what_cannot_be_repaired(tmp_path: Path) -> None:
    path = DAMAGED["interrupted-with-a-column-missing"](tmp_path)
    report = h5r.repair(path)
    assert not report.ok
    assert "no /actions" in report.problem
    with pytest.raises(RecordingNotFoundError, match="no recording"):
        h5r.repair(tmp_path / "absent.h5")


def test_repair_waits_for_the_writer_of_a_recorder_that_died(tmp_path: Path) -> None:
    script = """
        import os, signal, sys
        from pathlib import Path
        from tests.writing import Pen
        from tests.writing import write_pairs
        pen = Pen(Path(sys.argv[1]), writer="process", flush_interval_s=0.02)
        write_pairs(pen, [3, 0, 5000, 7])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    run_script(script, tmp_path / "run.h5", check=False)
    h5r.repair(tmp_path / "run.h5")
    assert h5r.Recording(tmp_path / "run.h5").num_steps == 5010


def test_repairs_at_the_same_time_take_turns(tmp_path: Path) -> None:
    path = left_pairs(tmp_path, [3, 2], [2000, 5])
    script = """
        import sys, gym_h5record as h5r
        print(h5r.repair(sys.argv[1]).num_steps)
    """
    repairs = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), str(path)],
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert [each.communicate(timeout=30)[0] for each in repairs] == ["2010\n"] * 3
    check_pairs(path, [3, 2, 2000, 5])
    wait_until(lambda: [each.name for each in path.parent.iterdir()] == ["run.h5"])


@pytest.mark.parametrize(
    "left",
    [["partial"], ["lock"], ["partial", "lock"], ["redo"], ["redo", "lock"], ["journal.new"]],  # redo: of a repair
    ids=",".join,
)
def test_what_a_killed_compaction_or_repair_has_left_beside_a_closed_recording_is_removed(
    left: list[str], tmp_path: Path
) -> None:
    left = [f"run.h5.{each}" for each in left]
    with h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "run.h5", writer="inline") as env:
        env.reset(seed=1)
        env.step(0)
    for name in left:
        (tmp_path / name).write_bytes(b"")
    assert h5r.repair(tmp_path / "run.h5", dry_run=True).found == "closed"
    assert {*left} <= {path.name for path in tmp_path.iterdir()}
    assert h5r.repair(tmp_path / "run.h5").found == "closed"
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]

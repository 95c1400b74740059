"""``repair``: the public way to complete what a dead recorder left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import (
    CorruptRecordingError,
    InterruptedRecordingError,
    NotARecordingError,
    RecordingInUseError,
    RecordingNotFoundError,
)
from gym_h5record.journal import Journal, journal_path
from tests.writer import Pen, check_alone, check_pairs, elsewhere, make_schema, run_script, wait_until, write_pairs


def interrupted(tmp_path: Path, committed: list[int], left: list[int]) -> Path:
    """A recording of which the last episodes are in the journal alone."""
    with Pen(tmp_path / "run.h5") as pen:
        pen.session.tick = lambda: None  # type: ignore[method-assign]
        write_pairs(pen, committed)
        if committed:
            pen.flush()
        write_pairs(pen, left, first_row=sum(committed) + len(committed))
        return elsewhere(tmp_path / "run.h5")


@pytest.mark.parametrize(
    ("committed", "left"),
    [([3, 2], [5, 0]), ([], [5, 0]), ([3, 2], []), ([], [0]), ([100] * 9, [100] * 9)],
    ids=["some-left", "nothing-committed", "nothing-left", "one-reset", "many"],
)
def test_the_report_says_what_the_file_holds_now(committed: list[int], left: list[int], tmp_path: Path) -> None:
    path, lengths = interrupted(tmp_path, committed, left), committed + left
    report = h5r.repair(path)
    assert (report.found, report.num_steps, report.num_episodes) == ("interrupted", sum(lengths), len(lengths))
    check_pairs(path, lengths)
    check_alone(path)


def test_the_path_may_be_text_or_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = interrupted(tmp_path, [3], [2])
    monkeypatch.chdir(path.parent)
    assert h5r.repair("run.h5").num_steps == 5
    assert h5r.repair(os.fspath(path)).num_steps == 5


def test_repairing_again_changes_nothing(tmp_path: Path) -> None:
    path = interrupted(tmp_path, [3], [2])
    first = h5r.repair(path)
    data = path.read_bytes()
    assert h5r.repair(path) == h5r.RepairReport("closed", first.num_steps, first.num_episodes)
    assert path.read_bytes() == data


def test_a_closed_recording_is_left_as_it_is(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
    (tmp_path / "run.h5").chmod(0o444)
    data = (tmp_path / "run.h5").read_bytes()
    assert h5r.repair(tmp_path / "run.h5") == h5r.RepairReport("closed", 3, 1)
    assert (tmp_path / "run.h5").read_bytes() == data
    check_alone(tmp_path / "run.h5")


def test_the_reader_sends_to_repair_and_reads_afterwards(tmp_path: Path) -> None:
    path = interrupted(tmp_path, [3], [2])
    with pytest.raises(InterruptedRecordingError, match=r"gym_h5record\.repair\('.*run\.h5'\)"):
        h5r.Recording(path)
    h5r.repair(path)
    assert h5r.Recording(path).num_steps == 5


def test_the_episode_that_was_running_is_incomplete(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.begin(np.zeros(2), seed=7)
        pen.step(np.ones(2), reward=0.5)
        path = elsewhere(tmp_path / "run.h5")
    h5r.repair(path)
    first, last = h5r.Recording(path).episodes
    assert (first.complete, first.length) == (True, 3)
    assert (last.complete, last.terminated, last.truncated) == (False, False, False)
    assert (last.length, last.seed, last.total_reward) == (1, 7, 0.5)


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
    found = h5r.Recording(path).observations
    assert [int(found[row][83, 83]) for row in range(40)] == list(range(40))


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordingNotFoundError, match=r"run\.h5"):
        h5r.repair(tmp_path / "run.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordingNotFoundError, match=r"missing.*run\.h5"):
        h5r.repair(tmp_path / "missing" / "run.h5")


def test_a_recorder_that_died_before_its_first_row_left_nothing_to_repair(tmp_path: Path) -> None:
    Journal.reserve(journal_path(tmp_path / "run.h5"), 100, 1000)
    with pytest.raises(RecordingNotFoundError, match=r"run\.h5"):
        h5r.repair(tmp_path / "run.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"a text", bytes(5000)], ids=["empty", "text", "zeros"])
def test_what_is_no_recording_is_said_and_left_alone(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(content)
    with pytest.raises(NotARecordingError, match=r"run\.h5"):
        h5r.repair(tmp_path / "run.h5")
    assert (tmp_path / "run.h5").read_bytes() == content
    check_alone(tmp_path / "run.h5")


def test_a_recording_that_is_being_made_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gym_h5record.writer.recovery.PATIENCE_S", 0.05)
    with Pen(tmp_path / "run.h5", writer="process") as pen:
        write_pairs(pen, [3])
        with pytest.raises(RecordingInUseError, match=r"run\.h5"):
            h5r.repair(tmp_path / "run.h5")
    check_pairs(tmp_path / "run.h5", [3])


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_a_copy_that_was_cut_off_is_corrupt_not_interrupted_and_repair_does_not_pretend(
    share: float, tmp_path: Path
) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [5000])
    os.truncate(tmp_path / "run.h5", int((tmp_path / "run.h5").stat().st_size * share))
    data = (tmp_path / "run.h5").read_bytes()
    with pytest.raises(CorruptRecordingError, match=r"run\.h5"):
        h5r.Recording(tmp_path / "run.h5")
    report = h5r.repair(tmp_path / "run.h5")
    assert (report.found, report.ok) == ("damaged", False)
    assert (tmp_path / "run.h5").read_bytes() == data


def test_a_repair_that_is_killed_is_done_by_the_next(tmp_path: Path) -> None:
    path = interrupted(tmp_path, [3, 2], [2000, 5])
    for writes in (0, 7, 20):
        copy = path.parent / f"{writes}.h5"
        for each, twin in ((path, copy), (journal_path(path), journal_path(copy))):
            shutil.copy(each, twin)
        script = """
            import os, signal, sys
            from gym_h5record import repair
            from gym_h5record.layout import RecordingFile
            left, write = int(sys.argv[2]), RecordingFile.write
            def killing(*arguments):
                global left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                write(*arguments)
            RecordingFile.write = killing
            repair(sys.argv[1])
        """
        done = run_script(script, copy, writes, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        h5r.repair(copy)
        check_pairs(copy, [3, 2, 2000, 5])


def test_repairs_at_the_same_time_take_turns(tmp_path: Path) -> None:
    path = interrupted(tmp_path, [3, 2], [2000, 5])
    script = """
        import sys, gym_h5record as h5r
        print(h5r.repair(sys.argv[1]).num_steps)
    """
    repairs = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), str(path)],
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert [each.communicate(timeout=30)[0] for each in repairs] == ["2010\n"] * 3
    check_pairs(path, [3, 2, 2000, 5])
    wait_until(lambda: [each.name for each in path.parent.iterdir()] == ["run.h5"])

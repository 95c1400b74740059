"""Drain: it gives the same file, whenever and however often it runs."""

from __future__ import annotations

import errno
import functools
import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning, WriterError
from gym_h5record.format.claims import Commit
from gym_h5record.storage.paths import journal_path
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing import commit as commit_module
from gym_h5record.writing.commit import Drain
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.kept_rows import KeptRows, find_kept_rows
from gym_h5record.writing.recovery import open_drain
from gym_h5record.writing.session import Session
from tests.writing import (
    NEVER_S,
    PICTURE,
    CountingClock,
    Pen,
    check_alone,
    check_pairs,
    check_same_content,
    committed,
    each_writer,
    elsewhere,
    everything_env,
    make_schema,
    open_live,
    pair,
    recover,
    small_journal,
    wait_until,
    write_pairs,
    writer_pid,
)
from tests.zoo import check_recorded, play

pytestmark = pytest.mark.timeout(30)


EPISODES = [20, 3, 0, 25, 1, 20, 15]


class Flushing(h5r.RecordToHDF5[Any, Any]):
    """Flushes when it is told to."""

    flush_after: Iterable[bool]

    def step(self, action: Any) -> Any:
        result = super().step(action)
        if next(self.flush_after):  # type: ignore[call-overload]
            self.flush()
        return result


def record_everything(path: Path, flush_after: Iterable[bool], writer: str = "inline") -> list[Any]:
    env = Flushing(everything_env(length=20), path, snapshots=False, writer=writer, flush_interval_s=NEVER_S)
    env.flush_after = iter(flush_after)
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        CountingClock(patch)
        warnings.simplefilter("ignore", RecordingWarning)
        played = play(env, EPISODES)
        env.close()
    return played


@pytest.fixture(scope="module")
def drained_once(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """The content of a recording that was written by a single drain."""
    path = tmp_path_factory.mktemp("once") / "run.h5"
    runs, run = [], Drain.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "tick", lambda self: None)
        patch.setattr(Drain, "run", lambda self, **how: (runs.append(self), run(self, **how))[1])
        played = record_everything(path, [False] * 999)
    own = [each for each in runs if each._file._path == path]  # recorders of other tests may end meanwhile
    assert len(own) == 1
    check_recorded(h5r.Recording(path), played)
    return committed(path)


# Whenever ----------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_drain_after_every_row_writes_what_one_at_the_end_does(
    drained_once: dict[str, np.ndarray], tmp_path: Path
) -> None:
    record_everything(tmp_path / "run.h5", [True] * 999)
    check_same_content(committed(tmp_path / "run.h5"), drained_once)


@pytest.mark.parametrize(("writer", "seed"), [("inline", 0), ("inline", 1), ("process", 2)])
def test_drains_at_any_moments_write_what_one_at_the_end_does(
    writer: str, seed: int, drained_once: dict[str, np.ndarray], tmp_path: Path
) -> None:
    chance = random.Random(seed)
    often = chance.choice([0.03, 0.2, 0.6])
    record_everything(tmp_path / "run.h5", (chance.random() < often for _ in range(999)), writer)
    check_same_content(committed(tmp_path / "run.h5"), drained_once)


@pytest.mark.sampled(5)
@pytest.mark.parametrize("boundary", [0, 1, 15, 16, 19, 20, 23, 31, 32, 63])
def test_a_drain_at_any_boundary_of_rows_chunks_and_episodes_changes_nothing(
    boundary: int, drained_once: dict[str, np.ndarray], tmp_path: Path
) -> None:
    record_everything(tmp_path / "run.h5", (step == boundary for step in range(999)))
    check_same_content(committed(tmp_path / "run.h5"), drained_once)


@pytest.mark.long
def test_drains_by_the_clock_write_what_one_at_the_end_does(
    drained_once: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CountingClock(monkeypatch)
    env = h5r.RecordToHDF5(
        everything_env(length=20), tmp_path / "run.h5", snapshots=False, writer="inline", flush_interval_s=1e-9
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        play(env, EPISODES)
        env.close()
    check_same_content(committed(tmp_path / "run.h5"), drained_once)


def test_draining_twice_changes_nothing(tmp_path: Path) -> None:
    env = Flushing(everything_env(), tmp_path / "run.h5", snapshots=False, writer="inline", flush_interval_s=NEVER_S)
    env.flush_after = iter([False] * 999)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        for lengths in ([9], [2], [0], [9, 5]):
            play(env, lengths)
            env.flush()
            first, first_bytes = committed(tmp_path / "run.h5", live=True), (tmp_path / "run.h5").read_bytes()
            env.flush()
            env.flush()
            check_same_content(committed(tmp_path / "run.h5", live=True), first)
            assert (tmp_path / "run.h5").read_bytes() == first_bytes
    env.close()


def test_a_drain_may_be_taken_over_by_another_one_at_any_time(
    drained_once: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "tick", lambda self: None)
    CountingClock(monkeypatch)
    env = Flushing(
        everything_env(length=20), tmp_path / "run.h5", snapshots=False, writer="inline", flush_interval_s=NEVER_S
    )

    def drain_anew() -> None:
        drain, file = open_drain(tmp_path / "run.h5", env._recorder.stream.session.journal)  # type: ignore[union-attr]
        drain.run()
        file.close()

    monkeypatch.setattr(env, "flush", drain_anew)
    env.flush_after = (step % 7 == 6 for step in range(999))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        play(env, EPISODES)
        env.close()
    check_same_content(committed(tmp_path / "run.h5"), drained_once)


# However often it fails --------------------------------------------------------------------------


class FullDisk:
    """Lets so many writes and commits through, then there is no space left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
        self.writes_left = writes
        self.calls = 0
        for name in ("write", "commit"):
            self._wrap(monkeypatch, name, getattr(RecordingFile, name))

    def _wrap(self, monkeypatch: pytest.MonkeyPatch, name: str, method: Any) -> None:
        def limited(file: RecordingFile, *arguments: Any) -> None:
            self.calls += 1
            if self.writes_left <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.writes_left -= 1
            method(file, *arguments)

        monkeypatch.setattr(RecordingFile, name, limited)


def write_until_full(path: Path) -> int:
    """Episodes of five steps with texts, drained after every step; how many steps returned."""
    schema = make_schema(spaces.Text(99), spaces.Text(99))
    returned = -1
    with Pen(path, schema, flush_interval_s=1e-9) as pen, pytest.raises(WriterError, match="No space left on device"):
        for step in range(10**6):
            if step % 5 == 0:
                pen.begin(f"observation {step} of {step // 5}")
            returned += 1
            pen.step(f"observation {step + 1} of {step // 5}", action=f"action {step}", reward=step * 0.1)
    return returned


def check_steps(path: Path, at_least: int) -> None:
    recording = h5r.Recording(path)
    assert recording.num_steps >= at_least
    for number, episode in enumerate(recording.episodes):
        first = 5 * number
        assert episode.length == 5 or number == recording.num_episodes - 1
        assert episode.observations[:] == [f"observation {first + k} of {number}" for k in range(episode.length + 1)]
        assert episode.actions[:] == [f"action {first + k}" for k in range(episode.length)]
        assert episode.total_reward == sum((first + k) * 0.1 for k in range(episode.length))


@pytest.mark.sampled(5)
@pytest.mark.parametrize("writes", [0, 1, 7, 19, 20, 21, 22, 23, 24, 25, 26, 30, 41, 42, 43, 44, 45, 60, 77, 100, 150])
def test_a_disk_that_is_full_at_any_write_loses_no_step(
    writes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 64)
    with monkeypatch.context() as patch:
        FullDisk(patch, writes)
        returned = write_until_full(tmp_path / "run.h5")
    path = elsewhere(tmp_path / "run.h5")
    h5r.repair(path)
    check_steps(path, at_least=returned)
    check_alone(path)


def test_a_recording_can_be_repaired_by_the_process_whose_disk_was_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        FullDisk(patch, 60)
        returned = write_until_full(tmp_path / "run.h5")
    h5r.repair(tmp_path / "run.h5")
    check_steps(tmp_path / "run.h5", at_least=returned)
    check_alone(tmp_path / "run.h5")


def test_stepping_on_although_the_disk_was_full_does_not_spoil_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 64)
    schema = make_schema(spaces.Text(99), spaces.Text(99))
    pen = Pen(tmp_path / "run.h5", schema, flush_interval_s=1e-9)
    pen.begin("observation 0 of 0")
    pen.step("observation 1 of 0", action="action 0", reward=0.0)
    for writes in (30, 5, 17):
        with monkeypatch.context() as patch:
            FullDisk(patch, writes)
            with pytest.raises(WriterError):
                for _ in range(99):
                    pen.session.tick()
        for _ in range(3):
            with pytest.raises(WriterError):  # it has failed for good
                pen.session.tick()
            with pytest.raises(WriterError):
                pen.flush()
    pen.close()
    path = elsewhere(tmp_path / "run.h5")
    h5r.repair(path)
    check_steps(path, at_least=1)


SCRIPT_WITH_LITTLE_ROOM = """
    import resource, signal, sys
    from pathlib import Path
    from gym_h5record.errors import WriterError
    from gym_h5record.writing import journal
    from tests.writing import Pen
    from tests.writing import make_schema
    from tests.writing import PICTURE
    import numpy as np

    journal._MAX_BYTES = 1 << 20
    limit = resource.RLIMIT_FSIZE
    signal.signal(signal.SIGXFSZ, lambda *_: resource.setrlimit(limit, (resource.RLIM_INFINITY,) * 2))  # just once
    resource.setrlimit(limit, (4 << 20, resource.RLIM_INFINITY))
    path, writer = Path(sys.argv[1]), sys.argv[2]
    pen = Pen(path, make_schema(PICTURE), writer=writer, row_bytes=7056, flush_interval_s=0.05)
    returned = 0
    try:
        pen.begin(np.random.default_rng(0).integers(0, 256, (84, 84), np.uint8))
        for step in range(1, 10000):
            pen.step(np.random.default_rng(step).integers(0, 256, (84, 84), np.uint8))
            returned = step
    except WriterError as error:
        print(returned, str(error))
    pen.close()
"""


@each_writer
def test_a_file_that_may_not_grow_is_a_writer_error_and_no_step_is_lost(writer: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT_WITH_LITTLE_ROOM), str(tmp_path / "run.h5"), writer],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    returned, _, message = done.stdout.partition(" ")
    assert "File too large" in message
    assert str(tmp_path / "run.h5") in message
    assert "repair" in message or 'mode="a"' in message
    assert journal_path(tmp_path / "run.h5").exists()
    h5r.repair(tmp_path / "run.h5")
    recording = h5r.Recording(tmp_path / "run.h5")
    assert recording.num_steps >= int(returned) > 300
    assert done.returncode == 0  # HDF5 likes to crash after a failed write
    assert writer == "process" or done.stderr == ""
    for row in (*range(0, recording.num_rows, 40), recording.num_rows - 1):
        expected = np.random.default_rng(row).integers(0, 256, (84, 84), np.uint8)
        assert np.array_equal(recording.rows.observations[row], expected), row


# What it writes ----------------------------------------------------------------------------------


def test_steps_that_never_came_are_zero_and_without_type(tmp_path: Path) -> None:
    space = spaces.Tuple((spaces.Discrete(9), spaces.Box(1, 2, (300,), np.float64)))
    action = (np.int64(7), np.full(300, 1.5))
    with Pen(tmp_path / "run.h5", make_schema(action=space)) as pen:
        for length in (3, 0, 1, 5):
            pen.begin(pair(9))
            for step in range(length):
                pen.step(pair(9), action=action, reward=5.0, terminated=length != 5 and step == length - 1)
                pen.flush()
        pen.rows.put_action(action)  # a step that never returns
    last = [3, 4, 6, 12]
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["commit"][:2].tolist() == [13, 4]
        for name in ("actions/0", "actions/1", "rewards", "terminations", "truncations", "dones"):
            assert not file[name][:13][last].any(), name
        codes = h5r.Recording(tmp_path / "run.h5").schema.num_step_codes
        assert codes == 6
        assert not file["types"][:13][last][:, :codes].any()
        others = [row for row in range(13) if row not in last]
        assert file["actions/1"][:13][others].all()
        assert file["types"][:13][others].all()


@each_writer
def test_dones_are_terminations_or_truncations(writer: str, tmp_path: Path) -> None:
    flags = [(False, True), (True, False), (True, True), (False, False)]
    with Pen(tmp_path / "run.h5", writer=writer) as pen:
        for terminated, truncated in flags:
            pen.begin(pair(0))
            pen.step(pair(1))
            pen.step(pair(2), terminated=terminated, truncated=truncated)
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["terminations"][:12].tolist() == [False, False, False] + [False, True, False] * 2 + [False] * 3
        assert (file["dones"][:12] == (file["terminations"][:12] | file["truncations"][:12])).all()
        assert file["dones"][:12].sum() == 3
        assert file["episodes/terminated"][:4].tolist() == [terminated for terminated, _ in flags]
        assert file["episodes/truncated"][:4].tolist() == [truncated for _, truncated in flags]
        assert file["episodes/complete"][:4].tolist() == [True, True, True, False]


def test_the_commit_never_goes_back_and_counts_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 8)
    commits, commit = [], RecordingFile.commit
    monkeypatch.setattr(RecordingFile, "commit", lambda self, new: (commits.append(new), commit(self, new))[1])
    lengths = [3, 0, 0, 50, 7, 1, 1, 20]
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, lengths)
    for numbers in zip(*commits, strict=True):
        assert list(numbers) == sorted(numbers)
    assert len(commits) > 10
    rows = sum(lengths) + len(lengths)
    assert commits[-1] == Commit(rows, len(lengths), head=rows, tail=rows, tail_row=rows)
    assert all(each.episodes <= each.rows for each in commits)
    assert all(each.tail_row == each.tail <= each.head == each.rows for each in commits)  # nothing is discarded


def test_rows_are_released_only_when_they_are_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 64, max_bytes=1 << 20)
    with Pen(tmp_path / "run.h5", make_schema(PICTURE), row_bytes=7056) as pen:
        control, tails = pen.session.journal.control, []
        commit = RecordingFile.commit

        def spy(file: RecordingFile, new: Commit) -> None:
            before = control[Control.TAIL]
            assert before <= file.rows
            commit(file, new)
            assert control[Control.TAIL] == before
            tails.append(before)

        monkeypatch.setattr(RecordingFile, "commit", spy)
        pen.begin(np.zeros((84, 84), np.uint8))
        for _ in range(40):
            pen.step(np.zeros((84, 84), np.uint8))
            pen.flush()
        assert control[Control.TAIL] == 32  # whole chunks only: the other rows will be written again
    assert tails == sorted(tails)


@each_writer
def test_an_empty_journal_makes_an_empty_recording(writer: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer=writer):
        pass
    recording = h5r.Recording(tmp_path / "run.h5")
    assert (recording.num_rows, recording.num_episodes, recording.num_steps) == (0, 0, 0)
    check_alone(tmp_path / "run.h5")


# Discarded episodes ------------------------------------------------------------------------------

DIARY = make_schema(spaces.Dict(picture=PICTURE, words=spaces.Sequence(spaces.Text(9))), spaces.Text(9), times=False)
"""Rows with a column of compressed chunks, sixteen rows each, and with ragged ones."""


def write_diary(
    pen: Pen, episodes: Iterable[tuple[int, bool]], flush_after: Callable[[], bool] = lambda: False, number: int = 0
) -> None:
    """Episodes of these many steps, and whether each is discarded.

    Values follow from the number of the episode among those that are kept. So a recording in which some are discarded
    has to be the one in which they never were.
    """
    for length, is_discarded in episodes:

        def observe(step: int, number: int = number) -> dict[str, Any]:
            picture = np.full((84, 84), 16 * number + step, np.uint8)
            return {"picture": picture, "words": ("some words",) * (step % 3)}

        pen.num_episodes = number
        pen.begin(observe(0), {"note": f"begins {number}"}, seed=number, options={"number": number})
        for step in range(1, length + 1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RecordingWarning)  # the column of the rewards cannot hold all of them
                pen.step(
                    observe(step),
                    action=f"a{number} {step}",
                    reward=2**53 + 1 if step % 5 == 0 else 0.1 * step,
                    terminated=step == length and number % 2 == 0,
                    info={"note": f"{number} {step}"} if step % 2 else {},
                    extras={"why": "because" * (step % 2)},
                )
            if flush_after():
                pen.flush()
        if is_discarded:
            pen.rows.discard_episode()
        if flush_after():
            pen.flush()
        number += not is_discarded


@functools.cache
def diary_without(lengths: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The content of a recording of episodes of these lengths in which nothing was ever discarded."""
    with tempfile.TemporaryDirectory() as folder:
        with Pen(Path(folder) / "run.h5", DIARY, row_bytes=7100) as pen:
            write_diary(pen, [(length, False) for length in lengths])
        return committed(Path(folder) / "run.h5")


def check_diary(path: Path, episodes: Iterable[tuple[int, bool]]) -> None:
    """Fail unless a recording is the one in which the discarded episodes never were, and counts them."""
    expected = diary_without(tuple(length for length, is_discarded in episodes if not is_discarded))
    check_same_content(committed(path), expected)
    discarded = [length for length, is_discarded in episodes if is_discarded]
    with h5py.File(path) as file:
        counts = [int(file["metadata"].attrs[f"discarded_{name}"]) for name in ("episodes", "steps")]
    assert counts == [len(discarded), sum(discarded)]


MIXED = [(5, False), (9, True), (0, True), (40, False), (70, True), (0, False), (3, True), (16, False), (31, True)]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("ring_rows", "often", "writer"),
    [(16, 0.0, "inline"), (64, 0.0, "inline"), (16, 0.4, "inline"), (4096, 0.2, "inline"), (32, 0.1, "process")],
)
def test_a_recording_with_discarded_episodes_is_the_one_in_which_they_never_were(
    ring_rows: int, often: float, writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, ring_rows, max_bytes=8 << 20)
    chance = random.Random(ring_rows)
    with Pen(tmp_path / "run.h5", DIARY, writer=writer, row_bytes=7100) as pen:
        write_diary(pen, MIXED, lambda: chance.random() < often)
    check_diary(tmp_path / "run.h5", MIXED)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("before", "num_rows"), [(0, 63), (1, 62), (1, 63), (10, 53), (10, 54), (16, 47), (20, 200)])
def test_the_recorder_never_waits_for_discarded_rows_that_fill_the_ring(
    num_rows: int, before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 64, max_bytes=1 << 20)
    monkeypatch.setattr(Session, "tick", lambda self: None)  # so that it drains only when the ring is full
    episodes = [(before - 1, False)] * bool(before) + [(num_rows - 1, True), (30, False)]
    with Pen(tmp_path / "run.h5", DIARY, row_bytes=7100) as pen:
        assert pen.session.journal.capacity_rows == 64
        write_diary(pen, episodes)
    check_diary(tmp_path / "run.h5", episodes)


@pytest.mark.parametrize(
    ("num_rows", "writer"), [*((rows, "inline") for rows in (1, 15, 16, 17, 31, 32, 33)), (16, "process")]
)
def test_an_episode_can_be_discarded_until_the_next_one_begins(num_rows: int, writer: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", DIARY, writer=writer, row_bytes=7100) as pen:
        write_diary(pen, [(2, False), (num_rows - 1, False)])
        pen.flush()
        pen.flush()
        pen.rows.discard_episode()
        pen.flush()
        with open_live(tmp_path / "run.h5") as file:
            assert file["commit"][:2].tolist() == [3, 1]
        write_diary(pen, [(20, False)], number=1)
    check_diary(tmp_path / "run.h5", [(2, False), (num_rows - 1, True), (20, False)])


def test_an_episode_that_is_discarded_while_it_is_drained_goes_with_the_next_drain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Pen(tmp_path / "run.h5", DIARY, row_bytes=7100) as pen:
        write_diary(pen, [(5, False), (40, False)])

        def find_kept_rows_then_mark(*arguments: Any) -> KeptRows:
            kept = find_kept_rows(*arguments)
            pen.rows.discard_episode()
            return kept

        with monkeypatch.context() as patch:
            patch.setattr(commit_module, "find_kept_rows", find_kept_rows_then_mark)
            pen.flush()
        pen.flush()
        write_diary(pen, [(3, False)], number=1)
    check_diary(tmp_path / "run.h5", [(5, False), (40, True), (3, False)])


@pytest.mark.parametrize("flushed", ["before", "after", "both"])
def test_a_kill_between_a_commit_and_the_release_of_its_rows_shifts_no_row(flushed: str, tmp_path: Path) -> None:
    """The file is newer than the words of the journal that say where its rows are."""
    with Pen(tmp_path / "run.h5", DIARY, row_bytes=7100) as pen:
        write_diary(pen, [(5, False), (40, False)], lambda: flushed != "after")
        pen.rows.discard_episode()
        if flushed != "before":
            write_diary(pen, [(20, False)], number=1)
        control = pen.session.journal.control
        words = {word: control[word] for word in (Control.TAIL, Control.BLOB_TAIL)}
        pen.flush()
        assert flushed != "after" or control[Control.TAIL] > words[Control.TAIL]
        path = elsewhere(tmp_path / "run.h5")
        left = Journal.open(journal_path(path))
        for word, number in words.items():
            left.control[word] = number
    recover(path)
    more = [] if flushed == "before" else [(20, False)]
    check_diary(path, [(5, False), (40, True), *more])


def test_a_recording_can_be_appended_to_after_all_of_its_episodes_were_discarded(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", DIARY, row_bytes=7100) as pen:
        write_diary(pen, [(20, True), (0, True)])
    for mode_number, episode in enumerate([(7, False), (9, True), (18, False)]):
        with Pen(tmp_path / "run.h5", mode="a", row_bytes=7100) as pen:
            write_diary(pen, [episode], number=int(mode_number > 0))
    episodes = [(20, True), (0, True), (7, False), (9, True), (18, False)]
    check_diary(tmp_path / "run.h5", episodes)


def test_positions_and_rows_of_a_commit_part_where_episodes_are_discarded(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(PICTURE), row_bytes=7100) as pen:
        picture = np.zeros((84, 84), np.uint8)
        commits = []
        for length, is_discarded in [(9, False), (29, True), (29, False), (29, True)]:
            pen.begin(picture)
            for _ in range(length):
                pen.step(picture)
            if is_discarded:
                pen.rows.discard_episode()
            pen.flush()
            commits.append(pen.session._worker._file.committed)  # type: ignore[attr-defined]
    assert commits == [
        Commit(10, 0, head=10, tail=0, tail_row=0),
        Commit(10, 1, head=40, tail=0, tail_row=0),
        Commit(40, 1, discarded_episodes=1, discarded_steps=29, head=70, tail=62, tail_row=32),
        Commit(40, 2, discarded_episodes=1, discarded_steps=29, head=100, tail=62, tail_row=32),
    ]
    file = RecordingFile(tmp_path / "run.h5")
    assert file.committed == Commit(40, 2, 2, 58, head=100, tail=100, tail_row=40)
    file.close()


# The writer process ------------------------------------------------------------------------------


def test_a_writer_that_is_stopped_makes_the_recorder_wait_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 16)
    lengths = [200, 3, 0, 50]
    with Pen(tmp_path / "run.h5", writer="process") as pen:
        pid = writer_pid(tmp_path / "run.h5")
        os.kill(pid, signal.SIGSTOP)
        try:
            thread = threading.Thread(target=write_pairs, args=(pen, lengths))
            thread.start()
            control = pen.session.journal.control
            wait_until(lambda: control[Control.HEAD] > 8)
            time.sleep(0.2)
            assert control[Control.HEAD] <= 16  # it waits, and overwrites nothing
            assert control[Control.TAIL] == 0
            assert thread.is_alive()
        finally:
            os.kill(pid, signal.SIGCONT)
        thread.join()
    check_pairs(tmp_path / "run.h5", lengths)


def test_a_flush_waits_for_a_writer_that_is_stopped(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer="process") as pen:
        write_pairs(pen, [5])
        pid = writer_pid(tmp_path / "run.h5")
        os.kill(pid, signal.SIGSTOP)
        try:
            thread = threading.Thread(target=pen.flush)
            thread.start()
            time.sleep(0.2)
            assert thread.is_alive()
        finally:
            os.kill(pid, signal.SIGCONT)
        thread.join()
        with open_live(tmp_path / "run.h5") as file:
            assert file["commit"][:2].tolist() == [6, 1]


READER = """
    import sys, time, h5py, numpy as np
    path, rows = sys.argv[1], int(sys.argv[2])
    deadline = time.monotonic() + 25
    while True:
        try:
            file = h5py.File(path, "r", swmr=True, locking=False)
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.002)
    seen, last = [], (0, 0)
    while last[0] < rows:
        assert time.monotonic() < deadline, last
        file["commit"].refresh()
        now = tuple(file["commit"][:2].tolist())
        assert now[0] >= last[0] and now[1] >= last[1], (now, last)
        if now != last:
            count, episodes = last = now
            seen.append(now)
            for name in ("observations", "actions", "rewards", "types", "episodes/starts", "episodes/lengths"):
                file[name].refresh()
                assert len(file[name]) >= (episodes if name.startswith("episodes") else count), (name, now)
            numbers = np.arange(count)
            found = file["observations"][:count]
            assert (found[:, 0] == numbers).all() and (found[:, 1] == -numbers).all(), now
            starts, lengths = file["episodes/starts"][:episodes], file["episodes/lengths"][:episodes]
            assert (lengths == 6).all() and (starts == np.arange(episodes) * 7).all(), now
            known = numbers[: episodes * 7]
            expected = np.where(known % 7 == 6, 0, known)
            assert (file["rewards"][: len(known)] == expected).all(), now
        time.sleep(0.001)
    print(len(seen))
"""


@pytest.mark.long
@each_writer
def test_a_reader_in_another_process_sees_every_commit_and_nothing_else(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 64)
    episodes = 150
    reader = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(READER), str(tmp_path / "run.h5"), str(episodes * 7)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with Pen(tmp_path / "run.h5", writer=writer, flush_interval_s=0.005) as pen:
            for episode in range(episodes):
                write_pairs(pen, [6], first_row=episode * 7)
                time.sleep(0.003)
                pen.session.tick()
            pen.flush()
            output, errors = reader.communicate(timeout=25)
    finally:
        reader.kill()
    assert errors == ""
    assert int(output) > 2  # it followed the recording, however slow the machine


def test_a_row_is_visible_within_the_flush_interval_without_any_further_step(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer="process", flush_interval_s=0.05) as pen:
        pen.begin(pair(0))
        pen.flush()
        with open_live(tmp_path / "run.h5") as file:
            pen.step(pair(1))

            def rows() -> int:
                file["commit"].refresh()
                return int(file["commit"][0])

            wait_until(lambda: rows() == 2, patience_s=2)


def test_the_journal_of_a_process_that_is_draining_can_be_looked_at(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer="process") as pen:
        write_pairs(pen, [5])
        other = Journal.open(journal_path(tmp_path / "run.h5"))
        assert other.header["schema"] == pen.session.journal.header["schema"]
        assert other.control[Control.HEAD] == 6
        pen.flush()
        assert other.control[Control.COMMITTED_HEAD] == 6

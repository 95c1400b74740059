"""The episode index of lanes: episodes in the order in which they ended, behind them those that run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing.lane_index import LaneIndexWriter, close_open_episodes, next_starts
from tests.writing import Pen, make_schema, open_live, pair, small_journal, write_pairs
from tests.writing.lane_pen import LanePen

LARGE = spaces.Box(0, 1, (900,), np.float64)
"""Compressed, sixteen in a chunk."""


def o(number: float, lanes: int = 2) -> np.ndarray:
    return np.full((lanes, 2), number, np.float64)


def index(path: Path, *names: str, live: bool = True, more: int = 0) -> list[tuple[Any, ...]]:
    """Columns of the committed entries, and of some behind them."""
    with open_live(path) if live else h5py.File(path) as file:
        count = int(file["commit"][-1]) + more
        return list(zip(*(file[f"episodes/{name}"][:count].tolist() for name in names), strict=True))


def restart(pen: LanePen) -> None:
    """Have another drain go on from the file and the journal."""
    worker: Any = pen.session._worker
    worker._file.discard()
    worker._drain = worker._file = None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


def test_episodes_are_in_the_order_in_which_they_ended_and_the_lower_lane_comes_first(path: Path) -> None:
    with LanePen(path, 3) as pen:
        pen.begin(o(0, 3))
        pen.step(o(1, 3), ended=[2])
        pen.step(o(2, 3), ended=[1, 0], reset=[2])
        pen.step(o(3, 3), ended=[2], reset=[0, 1])
    assert index(path, "envs", "starts", "lengths", live=False) == [
        (2, 0, 1),
        (0, 0, 2),
        (1, 0, 2),
        (2, 2, 1),
        (0, 3, 0),
        (1, 3, 0),
    ]


def test_the_order_does_not_depend_on_when_it_is_committed(tmp_path: Path) -> None:
    found = []
    for flush_every in (1, 3, 100):
        path = tmp_path / f"{flush_every}.h5"
        with LanePen(path, 3) as pen:
            pen.begin(o(0, 3), seeds={0: 5, 1: 6, 2: 7})
            over: list[int] = []
            for step in range(1, 60):
                ended = [lane for lane in range(3) if step % (lane + 3) == 0 and lane not in over]
                pen.step(o(step, 3), ended=ended, reset=over, rewards=np.arange(3) + step / 8)
                over = ended
                if step % flush_every == 0:
                    pen.flush()
        names = ("envs", "starts", "lengths", "returns", "seeds", "ids", "terminated", "complete", "origins")
        found.append(index(path, *names, live=False))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) > 20


def test_an_episode_that_a_reset_cuts_short_ends_with_the_reset(path: Path) -> None:
    with LanePen(path, 3) as pen:
        pen.begin(o(0, 3))
        pen.step(o(1, 3), ended=[1])  # the last row of lane 0 is of this step too
        pen.flush()
        ended = index(path, "envs", "lengths")
        pen.begin(o(2, 3), [2])
        pen.begin(o(3, 3), [0, 1])
        pen.flush()
        assert index(path, "envs", "lengths") == [*ended, (2, 1), (0, 1)] == [(1, 1), (2, 1), (0, 1)]


def test_entries_keep_their_places_where_an_episode_fills_a_chunk_before_it_is_cut_short(path: Path) -> None:
    batch = np.zeros((2, 900))
    with LanePen(path, 2, None, LARGE) as pen:
        pen.begin(batch)
        for _ in range(15):
            pen.step(batch)
        pen.begin(batch, [1])  # its row is in the next chunk: only the rows before it need not stay in the journal
        pen.begin(batch, [1])
        pen.flush()
        ended = index(path, "envs", "starts", "lengths")
        pen.begin(batch, [0])
        pen.flush()
        assert index(path, "envs", "starts", "lengths") == [*ended, (0, 0, 15)] == [(1, 0, 15), (1, 16, 0), (0, 0, 15)]


def test_a_reset_of_all_lanes_ends_their_episodes_together_however_full_the_journal_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 16)
    batch = np.zeros((3, 900))  # 16 rows in a chunk, of which the journal keeps 8
    with LanePen(path, 3, None, LARGE) as pen:
        pen.begin(batch)
        for _ in range(9):
            pen.step(batch)
        pen.flush()
        for _ in range(5):
            pen.step(batch)
        pen.step(batch, ended=[0])
        pen.begin(batch, [0])  # row 16: the rows before it, of lanes 1 and 2 too, could leave the journal
        pen.begin(batch)
        for _ in range(6):
            pen.step(batch)
        pen.flush()
        assert index(path, "envs", "starts", "lengths") == [(0, 0, 15), (0, 16, 0), (1, 0, 15), (2, 0, 15)]


def test_running_episodes_stand_behind_the_committed_entries_by_lane(path: Path) -> None:
    with LanePen(path, 3) as pen:
        pen.begin(o(0, 3), seeds={0: 5, 1: 6, 2: 7})
        pen.step(o(1, 3), ended=[1])
        pen.flush()
        assert index(path, "envs", "seeds", more=2) == [(1, 6), (0, 5), (2, 7)]
        assert pen.session._worker._drain.num_running == 2  # type: ignore[attr-defined]
        pen.step(o(2, 3), ended=[0], reset=[1])
        pen.flush()
        assert index(path, "envs", "seeds", "starts", more=2) == [(1, 6, 0), (0, 5, 0), (1, -1, 2), (2, 7, 0)]


@pytest.mark.parametrize("is_restarted", [False, True], ids=["going on", "another drain"])
def test_how_an_episode_began_survives_the_release_of_its_first_row(is_restarted: bool, path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        small_journal(patch, 8)
        with LanePen(path) as pen:
            pen.begin(o(0), seeds={0: 5, 1: 6}, snapshots={1: {"mine": b"state"}})
            for step in range(1, 40):
                pen.step(o(step), ended=[1] if step == 39 else [], rewards=np.array([1.0, 10.0]))
                if step % 5 == 0:
                    pen.flush()
                    if is_restarted:
                        restart(pen)
    with h5r.Recording(path) as recording:
        assert [(each.env, each.seed, each.total_reward) for each in recording] == [(1, 6, 390), (0, 5, 39)]
        assert recording[0].snapshot["mine"] == b"state"


def test_ids_count_on_after_a_restart_between_two_episodes(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        small_journal(patch, 8)
        with LanePen(path) as pen:
            pen.begin(o(0))
            for step in range(1, 14):
                pen.step(o(step), ended=[0] if step % 2 else [], reset=[] if step % 2 else [0])
                pen.flush()
                restart(pen)
    found = [number for env, number in index(path, "envs", "ids", live=False) if env == 0]
    assert found == list(range(7))


def test_a_dropped_episode_has_no_entry_and_its_rows_begin_again(path: Path) -> None:
    with LanePen(path) as pen:
        pen.begin(o(0), seeds={0: 5, 1: 6})
        pen.step(o(1))
        pen.flush()
        pen.discard(0)
        pen.begin(o(2), [0], seeds={0: 7})
        pen.flush()
        assert index(path, "envs", "seeds", "starts", more=2) == [(0, 7, 0), (1, 6, 0)]


# Closing -------------------------------------------------------------------------------------------


def test_the_rows_behind_the_last_episode_of_each_lane_become_an_incomplete_one(path: Path) -> None:
    with LanePen(path) as pen:
        pen.begin(o(0))
        pen.step(o(1), ended=[0], rewards=np.array([1.0, 10.0]))
        pen.step(o(2), reset=[0], rewards=np.array([2.0, 20.0]))
        pen.step(o(3), rewards=np.array([4.0, 40.0]))
    assert index(path, "envs", "starts", "lengths", "returns", "complete", live=False) == [
        (0, 0, 1, 1, True),
        (0, 2, 1, 4, False),
        (1, 0, 3, 70, False),
    ]


def test_an_episode_whose_last_step_ended_it_is_complete_although_its_mark_was_lost(path: Path) -> None:
    """The recorder was killed between the step and the mark."""
    with LanePen(path) as pen:
        pen.begin(o(0))
        pen.step(o(1), ended=[0, 1])
        head = pen.session.journal.control[16]
        pen.session.journal.columns["journal/flags"][(head - 1) & pen.session.journal.mask] = 0
    assert index(path, "envs", "complete", live=False) == [(0, True), (1, True)]


def test_the_next_starts_are_behind_the_committed_episodes_of_each_lane(path: Path) -> None:
    with LanePen(path, 3) as pen:
        pen.begin(o(0, 3))
        pen.step(o(1, 3), ended=[2])
        pen.step(o(2, 3), ended=[1], stepped=[0, 1])
        pen.flush()
        file: RecordingFile = pen.session._worker._file  # type: ignore[attr-defined]
        assert next_starts(file).tolist() == [0, 3, 2]


def test_a_recording_of_a_single_environment_has_no_lanes_to_close(path: Path) -> None:
    with Pen(path, make_schema()) as pen:
        write_pairs(pen, [2])
        pen.begin(pair(3))
    file = RecordingFile(path)
    with pytest.raises(KeyError):
        close_open_episodes(file)
    file.discard()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("envs", 2, "episode 0 is of lane 2, there are 2"),
        ("envs", -1, "episode 0 is of lane -1, there are 2"),
        ("starts", 9, "episode 0 claims rows 9 to 10, the recording has 2"),
        ("starts", -1, "episode 0 claims rows -1"),
        ("lengths", 2, "episode 0 claims rows 0 to 2, the recording has 2"),
        ("lengths", 1 << 40, "episode 0 claims rows"),
    ],
    ids=lambda each: str(each)[:30],
)
def test_entries_outside_the_recording_are_corruption(name: str, value: int, message: str, path: Path) -> None:
    with LanePen(path) as pen:
        pen.begin(o(0))
        pen.step(o(1), ended=[0, 1])
    with h5py.File(path, "r+") as changed:
        changed[f"episodes/{name}"][0] = value
    file = RecordingFile(path)
    with pytest.raises(CorruptRecordingError, match=message):
        next_starts(file)
    with pytest.raises(CorruptRecordingError, match=message):
        LaneIndexWriter(file, file.committed)  # type: ignore[arg-type]
    file.discard()

"""``salvage`` of vector recordings: every lane comes out as it was, and damage costs a lane its own rows only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.format.names import Origin
from gym_h5record.maintenance.repairs.salvaging import salvage
from tests.lane_recordings import LENGTHS, record_cart_poles, record_lanes, record_with_extras
from tests.leftovers import contents, edited, set_item, snapshot
from tests.scripted import drive, functions, value

FACTS = ("env", "start", "length", "seed", "options", "origin", "episode_id", "complete", "total_reward", "snapshot")


def check_twins(first: Path, second: Path) -> None:
    """Fail unless two recordings have the same episodes, in the same order and lanes, times included."""
    report = h5r.diff(first, second)
    assert report.ok, report.message
    assert not report.metadata
    assert not h5r.validate(second, deep=True)
    with h5r.Recording(first) as one, h5r.Recording(second) as two:
        for episode, twin in zip(one, two, strict=True):
            assert [getattr(episode, name) for name in FACTS] == [getattr(twin, name) for name in FACTS]
            np.testing.assert_array_equal(episode.times, twin.times)
        assert one.metadata["vector"] == two.metadata["vector"]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", ["dict", "tuple", "sequence", "custom", "stacks"])
def test_lanes_that_are_not_damaged_come_out_as_they_were(kind: str, tmp_path: Path) -> None:
    path = record_lanes(tmp_path / "run.h5", kind)
    found = salvage(path, tmp_path / "saved.h5")
    assert (found.rows, found.whole_episodes) == (found.committed_rows, found.committed_episodes)
    check_twins(path, tmp_path / "saved.h5")


def test_missing_pictures_of_final_observations_come_out_as_they_were(tmp_path: Path) -> None:
    with pytest.warns(RecordingWarning, match="frame"):
        path = record_lanes(tmp_path / "run.h5", mode="SAME_STEP", render_mode="rgb_array", frames="render")
    salvage(path, tmp_path / "saved.h5")
    check_twins(path, tmp_path / "saved.h5")


def test_extras_stay_in_their_columns(tmp_path: Path) -> None:
    path = record_with_extras(tmp_path / "run.h5")
    salvage(path, tmp_path / "saved.h5")
    check_twins(path, tmp_path / "saved.h5")
    with h5r.Recording(path) as recording, h5py.File(path) as file, h5py.File(tmp_path / "saved.h5") as saved:
        for each in recording:
            steps = slice(each.start, each.start + each.length)
            for name in ("extras/value", "extras/pair"):
                np.testing.assert_array_equal(file[name][steps, each.env], saved[name][steps, each.env])


def test_the_copy_can_be_verified_and_appended_to(tmp_path: Path) -> None:
    path = record_cart_poles(tmp_path / "run.h5")
    salvage(path, tmp_path / "saved.h5")
    assert h5r.verify(tmp_path / "saved.h5").ok
    envs = gym.make_vec("CartPole-v1", num_envs=3, vectorization_mode="sync")
    recorded = h5r.vector.RecordToHDF5(envs, tmp_path / "saved.h5", mode="a", writer="inline")
    recorded.reset(seed=9)
    recorded.step(np.zeros(3, np.int64))
    recorded.close()
    with h5r.Recording(path) as recording, h5r.Recording(tmp_path / "saved.h5") as saved:
        assert saved.num_episodes == recording.num_episodes + 3
        assert [each.env for each in saved[-3:]] == [0, 1, 2]


def test_lanes_that_were_running_are_saved_up_to_their_last_commit(tmp_path: Path) -> None:
    envs = h5r.vector.RecordToHDF5(
        gym.vector.SyncVectorEnv(functions("box", list(LENGTHS))), tmp_path / "run.h5", writer="inline"
    )
    drive(envs, AutoresetMode.NEXT_STEP, 9)
    envs.flush()
    path = snapshot(tmp_path / "run.h5")
    envs.close()
    before = contents(path.parent)
    salvage(path, tmp_path / "saved.h5")
    assert contents(path.parent) == before
    with h5r.Recording(tmp_path / "run.h5") as recording, h5r.Recording(tmp_path / "saved.h5") as saved:
        assert [(each.env, each.length) for each in saved] == [(each.env, each.length) for each in recording]
        np.testing.assert_array_equal(saved.steps.observations[:], recording.steps.observations[:])


# Damage ----------------------------------------------------------------------------------------------


def without_row(name: str, row: int, lane: int) -> Callable[[h5py.File], object]:
    return set_item(name, (row, lane), 99)


def test_a_lost_row_costs_its_lane_only(tmp_path: Path) -> None:
    path = edited(record_lanes(tmp_path / "run.h5", "box"), without_row("types", 5, 2))
    found = salvage(path, tmp_path / "saved.h5")
    assert (found.rows, found.episodes) == (found.committed_rows - 1, found.committed_episodes + 1)
    with h5r.Recording(path) as recording, h5r.Recording(tmp_path / "saved.h5") as saved:
        for lane in (0, 1, 3):
            assert [each.length for each in saved.lane(lane)] == [each.length for each in recording.lane(lane)]
        first, second = saved.lane(2)
        assert (first.length, second.length, second.origin) == (4, 14, Origin.STEP_TRIGGER)
        np.testing.assert_array_equal(second.observations[0], value("box", 2, 0, 6))
        assert (first.seed, second.seed) == (7, None)
    assert not h5r.validate(tmp_path / "saved.h5", deep=True)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "change",
    [
        set_item("episodes/starts", 3, 1 << 40),
        set_item("episodes/lengths", 3, 10**6),
        set_item("episodes/envs", 3, 4),
        set_item("episodes/envs", 3, -1),
        lambda file: file.__delitem__("episodes/envs"),
    ],
    ids=["start", "length", "lane-beyond", "lane-negative", "no-lanes"],
)
def test_without_sound_entries_every_row_is_saved_in_its_lane(change: Any, tmp_path: Path) -> None:
    path = edited(record_lanes(tmp_path / "run.h5", "box"), change)
    report = h5r.repair(path, salvage=tmp_path / "saved.h5")
    assert (report.found, report.lost.rows) == ("damaged", 0)
    assert not h5r.validate(tmp_path / "saved.h5", deep=True)
    intact = record_lanes(tmp_path / "intact.h5", "box")
    with h5r.Recording(intact) as recording, h5r.Recording(tmp_path / "saved.h5") as saved:
        for lane in range(4):
            rows = [np.concatenate([each.observations[:] for each in one.lane(lane)]) for one in (recording, saved)]
            np.testing.assert_array_equal(*rows)


def test_progress_counts_the_rows_of_all_lanes(tmp_path: Path) -> None:
    path = edited(record_lanes(tmp_path / "run.h5", "box", num_steps=100), set_item("episodes/starts", 3, 1 << 40))
    told: list[tuple[int, int]] = []
    found = salvage(path, None, on_progress=lambda done, rows: told.append((done, rows)))
    assert told == [(0, found.committed_rows), (256, found.committed_rows)]


def test_an_interrupt_removes_the_copy(tmp_path: Path) -> None:
    def stop(done: int, rows: int) -> None:
        if done:
            raise KeyboardInterrupt

    path = record_lanes(tmp_path / "run.h5", "box", num_steps=100)
    with pytest.raises(KeyboardInterrupt):
        salvage(path, tmp_path / "saved.h5", on_progress=stop)
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]


def test_rows_that_are_claimed_and_not_stored_are_not_looked_for(tmp_path: Path) -> None:
    path = edited(record_lanes(tmp_path / "run.h5", "box"), set_item("commit", slice(0, 4), 1 << 60))
    with h5r.Recording(record_lanes(tmp_path / "intact.h5", "box")) as recording:
        assert salvage(path, None).rows == recording.num_rows

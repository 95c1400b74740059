"""The lanes of a recording are checked one by one: what is wrong in one is told with its number."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.maintenance.validation.lanes import Lanes, in_lane, open_lanes
from gym_h5record.maintenance.validation.problems import make_problem
from gym_h5record.storage.handle import Access, Handle
from tests.lane_recordings import record_lanes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    recorded = record_lanes(tmp_path / "run.h5", "dict", mode="SAME_STEP")
    return Path(shutil.copy(recorded, tmp_path / "copy.h5"))


def opened(path: Path, change: Callable[[h5py.File], object] = lambda _: None) -> Lanes:
    with h5py.File(path, "r+") as file:
        change(file)
    return open_lanes(Handle(path, Access.DAMAGED))


def found(lanes: Lanes) -> list[tuple[str, str]]:
    return [(each.code, each.place) for each in lanes.all_problems()]


def test_the_lanes_of_a_whole_recording_have_no_problems_and_their_own_rows_and_episodes(path: Path) -> None:
    lanes = opened(path)
    assert (found(lanes), lanes.problems) == ([], ())
    assert lanes.index is not None
    with h5r.Recording(path) as recording:
        expected = [
            (sum(each.length + 1 for each in recording.lane(lane)), len(recording.lane(lane))) for lane in range(4)
        ]
    targets = [structure.target for structure in lanes.structures]
    assert [(each.num_rows, each.num_episodes) for each in targets if each is not None] == expected


def test_the_place_of_a_problem_names_its_lane() -> None:
    problem = in_lane(make_problem("column-short", "/rewards", "it is short"), 3)
    assert (problem.code, problem.place, problem.message) == ("column-short", "/rewards lane 3", "it is short")


def test_an_episode_out_of_place_is_one_of_its_lane_only(path: Path) -> None:
    with h5r.Recording(path) as recording:
        second = [number for number, each in enumerate(recording) if each.env == 1][1]

    def change(file: h5py.File) -> None:
        file["episodes/starts"][second] += 1

    (problem,) = found(opened(path, change))
    assert problem[1] == "/episodes episode 1 lane 1"


def test_a_column_that_is_short_is_so_in_the_lanes_that_need_more(path: Path) -> None:
    with h5py.File(path) as file:
        rows = file["commit"][:4].tolist()
    shortest = min(rows)
    assert rows.count(shortest) < 4

    def change(file: h5py.File) -> None:
        del file["rewards"]
        file.create_dataset("rewards", data=np.zeros((shortest, 4)), chunks=(shortest, 4), maxshape=(None, 4))

    assert found(opened(path, change)) == [
        ("column-short", f"/rewards lane {lane}") for lane in range(4) if rows[lane] > shortest
    ]


def schema_of_lanes(count: Any) -> Callable[[h5py.File], object]:
    def change(file: h5py.File) -> None:
        content = json.loads(file["metadata"].attrs["schema"])
        file["metadata"].attrs["schema"] = json.dumps({**content, "num_envs": count})

    return change


@pytest.mark.parametrize(
    ("change", "code", "place"),
    [
        (schema_of_lanes(3), "schema", "/metadata"),
        (lambda file: file["metadata"].attrs.__setitem__("schema", "{"), "schema", "/metadata"),
        (lambda file: file["commit"].__setitem__(0, -1), "commit", "/commit"),
        (lambda file: file["episodes/envs"].__setitem__(0, 4), "episode-span", "/episodes/envs"),
        (lambda file: file.__delitem__("episodes/envs"), "episode-span", "/episodes/envs"),
    ],
    ids=["lanes of the schema", "schema", "commit", "lane of an episode", "no lanes of episodes"],
)
def test_what_keeps_lanes_from_being_read_is_a_problem_of_the_whole(
    change: Any, code: str, place: str, path: Path
) -> None:
    lanes = opened(path, change)
    assert found(lanes) == [(code, place)]
    assert lanes.structures == ()
    assert (lanes.index is None) == (code != "episode-span")

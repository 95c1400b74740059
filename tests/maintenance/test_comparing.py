"""``diff``: nothing between twins, and every kind of difference at its place."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.errors import (
    CorruptRecordingError,
    InterruptedRecordingError,
    OptionError,
    RecordingInUseError,
    RecordingNotFoundError,
)
from gym_h5record.format import column_planning
from gym_h5record.maintenance import comparing
from tests.lane_recordings import record_lanes
from tests.made_once import made_once
from tests.maintenance.scripted import LENGTHS, Changes, make, put
from tests.maintenance.validation import code_column
from tests.paintings import FRAMES, record_paintings
from tests.reading import damage_chunk, record
from tests.stacking import START, StackingEnv, record_stacks
from tests.treasures import DeepSea, without_extras
from tests.writing import Pen, elsewhere, write_pairs
from tests.zoo import NAN_WITH_PAYLOAD, NEGATIVE_NAN, SPACES_BY_ID, ZooEnv, some_spaces_by_name
from tests.zoo_recordings import LENGTHS as LENGTHS_OF_THE_ZOO
from tests.zoo_recordings import zoo_recording

# Twins ----------------------------------------------------------------------------------------------


def test_the_same_recorded_twice_is_the_same(script: Path, tmp_path: Path) -> None:
    report = h5r.diff(script, make.__wrapped__(tmp_path / "b.h5"))
    assert report == h5r.DiffReport(
        ok=True, message="the same in both: 3 episodes, 48 steps", num_episodes=3, num_steps=48
    )


@pytest.mark.parametrize("options", [{"compression": "lzf"}, {"compression": None}, {"writer": "process"}])
def test_how_it_is_stored_does_not_matter(options: Any, script: Path, tmp_path: Path) -> None:
    report = h5r.diff(script, make(tmp_path / "b.h5", **options))
    assert (report.ok, report.metadata) == (True, ())


def test_order_of_keys_does_not_matter(script: Path, tmp_path: Path) -> None:
    turn = lambda value: dict(reversed(value.items()))  # noqa: E731
    changes = {(1, 7, "infos"): turn, (1, 8, "observations"): turn}
    assert h5r.diff(script, make(tmp_path / "b.h5", changes)).ok


def test_other_columns_for_the_same_values_do_not_matter(script: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "b.h5", {(0, 0, "infos"): {"k": "text"}})  # /infos/k is JSON from now on
    assert h5r.diff(script, path).leaf == "infos/k"
    other = make(tmp_path / "c.h5", {(0, 0, "infos"): {"k": "text"}, (0, 1, "infos"): put("k", None, 1)})
    with h5py.File(script) as one, h5py.File(path) as another:
        assert "k" in one["infos"]
        assert "k" not in another["infos"]
    assert h5r.diff(path, other).ok


class Odd(ZooEnv):
    """Its infos have one key more."""

    def step(self, action: Any) -> Any:
        observation, *rest, info = super().step(action)
        return observation, *rest, {**info, "odd": len(info)}


@pytest.mark.long
@pytest.mark.sampled(5)
@some_spaces_by_name
def test_recordings_of_every_space_are_the_same_if_their_seeds_are(name: str, tmp_path: Path) -> None:
    first = zoo_recording(name).path
    record(tmp_path / "b.h5", ZooEnv(SPACES_BY_ID[name]), LENGTHS_OF_THE_ZOO)
    record(tmp_path / "c.h5", Odd(SPACES_BY_ID[name]), [1])
    assert h5r.diff(first, tmp_path / "b.h5").ok
    report = h5r.diff(first, tmp_path / "c.h5")
    assert (report.episode, report.step, report.leaf) == (0, 1, "infos/odd")


# Places ---------------------------------------------------------------------------------------------

NAN = float("nan")
BROKEN_OFF = put("words", None, ("a",))

PLACES: dict[str, tuple[tuple[int, int, str], Any, str, float | None]] = {
    "action": ((1, 17, "actions"), np.int64(5), "actions", 2.0),
    "type-of-action": ((1, 17, "actions"), 3, "actions", None),
    "action-outside-the-space": ((0, 2, "actions"), (1, 2), "actions", None),
    "reward": ((1, 39, "rewards"), 2.0, "rewards", 7.75),
    "type-of-reward": ((1, 4, "rewards"), np.float64(1.0), "rewards", None),
    "last-bit-of-reward": ((1, 4, "rewards"), np.nextafter(1.0, 2).item(), "rewards", 2**-52),
    "flag": ((2, 1, "terminations"), True, "terminations", 1.0),
    "other-flag": ((2, 2, "truncations"), True, "truncations", 1.0),
    "pixel": ((1, 9, "observations"), put("picture", (3, 4), 7), "observations/picture[3, 4]", 102.0),
    "final-observation": ((0, 5, "observations"), put("position", 2, 1.5), "observations/position[2]", 0.5),
    "shape": ((0, 3, "observations"), put("position", None, np.zeros(2, np.float32)), "observations/position", None),
    "ragged": ((1, 9, "observations"), BROKEN_OFF, "observations/words", None),
    "word": ((1, 0, "observations"), put("words", None, ("b", "100")), "observations/words[0]", None),
    "frame": ((2, 3, "frames"), lambda frame: frame + np.uint8(1), "frames[0, 0, 0]", 1.0),
    "info": ((1, 22, "infos"), put("k", None, 23), "infos/k", 1.0),
    "element-of-info": ((1, 22, "infos"), put("array", 1, 0.75), "infos/array[1]", 0.25),
    "text-of-info": ((0, 0, "infos"), put("name", None, "x"), "infos/name", None),
    "late-key": ((2, 3, "infos"), put("late", None, 1), "infos/late", None),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize(("place", "change", "leaf", "largest"), PLACES.values(), ids=list(PLACES))
def test_one_change_is_found_at_its_place(
    place: tuple[int, int, str], change: Any, leaf: str, largest: float | None, script: Path, tmp_path: Path
) -> None:
    other = make(tmp_path / "b.h5", {place: change})
    report, back = h5r.diff(script, other), h5r.diff(other, script)
    assert not report.ok
    assert (report.episode, report.step, report.leaf) == (*place[:2], leaf)
    assert report.largest == largest
    assert report.message.startswith(f"episode {place[0]}, step {place[1]}, {leaf}: ")
    assert (report.num_episodes, report.num_steps) == (place[0], sum(LENGTHS[: place[0]]) + place[1])
    assert (back.episode, back.step, back.leaf, back.largest) == (*place[:2], leaf, largest)
    assert (repr(back.a), repr(back.b)) == (repr(report.b), repr(report.a))


def test_the_sentence_names_place_values_and_files(script: Path, tmp_path: Path) -> None:
    report = h5r.diff(script, make(tmp_path / "b.h5", {(1, 17, "observations"): put("position", 1, 0.26)}))
    assert report.message == (
        "episode 1, step 17, observations/position[1]: 0.25 in a.h5, 0.26 in b.h5 (largest difference 0.01)"
    )
    assert (report.a, report.b) == (np.float32(0.25), np.float32(0.26))


def test_files_of_one_name_are_told_apart_by_their_paths(script: Path, tmp_path: Path) -> None:
    report = h5r.diff(script, make(tmp_path / "a.h5", {(1, 17, "rewards"): 0.0}))
    assert f"4.25 in {script}, 0.0 in {tmp_path / 'a.h5'}" in report.message


def test_an_earlier_step_comes_before_an_earlier_column(script: Path, tmp_path: Path) -> None:
    changes = {(1, 17, "observations"): put("position", 1, 0.0), (1, 16, "infos"): put("k", None, 0)}
    report = h5r.diff(script, make(tmp_path / "b.h5", changes))
    assert (report.step, report.leaf) == (16, "infos/k")


def test_within_a_step_columns_have_an_order(script: Path, tmp_path: Path) -> None:
    changes: Changes = {
        (1, 17, "infos"): put("k", None, 0),
        (1, 17, "frames"): np.zeros((6, 8, 3), np.uint8),
        (1, 17, "rewards"): 0.0,
    }
    assert h5r.diff(script, make(tmp_path / "b.h5", changes)).leaf == "rewards"


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_places_do_not_depend_on_how_many_rows_are_looked_at_together(
    rows: int, script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "_MAX_WINDOW_ROWS", rows)
    assert h5r.diff(script, script).ok
    report = h5r.diff(script, make(tmp_path / "b.h5", {(1, 17, "observations"): put("picture", (83, 83), 0)}))
    assert (report.episode, report.step, report.leaf) == (1, 17, "observations/picture[83, 83]")


# Episodes -------------------------------------------------------------------------------------------


def test_a_seed_is_found(script: Path, tmp_path: Path) -> None:
    report = h5r.diff(script, make(tmp_path / "b.h5", seeds={1: 2**70}))
    assert (report.episode, report.step, report.leaf, report.a, report.b) == (1, None, "seed", 1, 2**70)
    assert report.message == f"episode 1, seed: 1 in a.h5, {2**70} in b.h5"


def test_options_are_found(tmp_path: Path) -> None:
    paths = [make(tmp_path / f"{k}.h5", options={2: {"level": (1, k)}}) for k in (0, 1)]
    report = h5r.diff(*paths)
    assert (report.episode, report.step, report.leaf) == (2, None, "options/level[1]")


def test_an_origin_is_found(script: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "b.h5")
    with h5py.File(path, "r+") as file:
        file["episodes/origins"][1] = 1
    report = h5r.diff(script, path)
    assert (report.episode, report.leaf, report.a, report.b) == (1, "origin", "reset", "step trigger")


@pytest.mark.parametrize("name", ["terminated", "truncated", "complete"])
def test_an_end_is_found(name: str, script: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "b.h5")
    with h5py.File(path, "r+") as file:
        file[f"episodes/{name}"][1] ^= True
    report = h5r.diff(script, path)
    assert (report.episode, report.step, report.leaf) == (1, None, name)
    assert report.num_steps == LENGTHS[0]


def test_an_extra_episode_is_found_behind_the_last_that_both_have(script: Path, tmp_path: Path) -> None:
    longer = make(tmp_path / "b.h5", lengths=(*LENGTHS, 2))
    report = h5r.diff(script, longer)
    assert (report.episode, report.step, report.leaf, report.a, report.b) == (3, None, "episodes", 3, 4)
    assert report.message == "episodes: 3 in a.h5, 4 in b.h5"
    assert (report.num_episodes, report.num_steps) == (3, 48)
    assert h5r.diff(longer, script).message == "episodes: 4 in b.h5, 3 in a.h5"


def test_an_extra_step_is_found_behind_the_last_that_both_have(script: Path, tmp_path: Path) -> None:
    shorter = make(tmp_path / "a.h5", {(1, 39, "terminations"): False})
    longer = make(tmp_path / "b.h5", lengths=(5, 41, 3))
    report = h5r.diff(shorter, longer)
    assert (report.episode, report.step, report.leaf, report.a, report.b) == (1, 40, "length", 40, 41)
    assert report.message == "episode 1, step 40, length: 40 in a.h5, 41 in b.h5"
    assert (report.num_episodes, report.num_steps) == (1, 45)
    back = h5r.diff(longer, shorter)
    assert (back.episode, back.step, back.leaf, back.a, back.b) == (1, 40, "length", 41, 40)


def test_a_difference_before_the_end_of_the_shorter_comes_first(script: Path, tmp_path: Path) -> None:
    report = h5r.diff(script, make(tmp_path / "b.h5", lengths=(5, 41, 3)))
    assert (report.episode, report.step, report.leaf) == (1, 39, "terminations")


# Extras and times -----------------------------------------------------------------------------------


@made_once
def record_extras(path: Path, *known: dict[str, Any]) -> Path:
    """Record an episode with a step for each dict of extras."""
    recorder = h5r.RecordToHDF5(DeepSea(), path, writer="inline")
    recorder.reset(seed=0)
    for each in known:
        recorder.add_extras(**each)
        recorder.step(0)
    recorder.close()
    return path


@pytest.mark.parametrize(
    ("change", "leaf"),
    [
        ({"log_prob": -0.5, "text": "b"}, "extras/text"),
        ({"log_prob": np.nextafter(-0.5, 0), "text": "a"}, "extras/log_prob"),
        ({"log_prob": np.float64(-0.5), "text": "a"}, "extras/log_prob"),
        ({"text": "a"}, "extras/log_prob"),
    ],
)
def test_extras_are_compared_step_by_step(change: dict[str, Any], leaf: str, tmp_path: Path) -> None:
    usual = {"log_prob": -0.5, "text": "a"}
    first = record_extras(tmp_path / "a.h5", usual, usual, usual)
    assert h5r.diff(first, record_extras.__wrapped__(tmp_path / "b.h5", usual, usual, usual)).ok
    report = h5r.diff(first, record_extras(tmp_path / "c.h5", usual, usual, change))
    assert (report.ok, report.episode, report.step, report.leaf) == (False, 0, 2, leaf)


def test_extras_in_other_columns_are_the_same(tmp_path: Path) -> None:
    first = record_extras(tmp_path / "a.h5", {"x": 0.5}, {"x": 0.5, "y": 1})
    with h5py.File(first, "r+") as file:
        assert sorted(file["extras"]) == ["json", "x"]
    second = record_extras(tmp_path / "b.h5", {"x": 0.5, "y": 2}, {"x": 0.5, "y": 1})
    report = h5r.diff(first, second)
    assert (report.step, report.leaf) == (0, "extras/y")
    with h5py.File(second, "r+") as file:
        file["types"][0, code_column(second, "extras/y")] = 0
    assert h5r.diff(first, second).ok


def test_a_file_of_a_version_without_extras_is_the_same_as_one_with_none(tmp_path: Path) -> None:
    old = without_extras(record_extras(tmp_path / "a.h5", {}, {}))
    assert h5r.diff(old, record_extras(tmp_path / "b.h5", {}, {})).ok
    report = h5r.diff(old, record_extras(tmp_path / "c.h5", {}, {"x": 1}))
    assert (report.ok, report.episode, report.leaf, report.message) == (False, None, "extras", "extras: only in c.h5")


def test_times_are_not_compared(script: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "b.h5")
    with h5py.File(other, "r+") as file:
        file["times"][:] = 0
    assert h5r.diff(script, other).ok
    assert h5r.diff(script, make(tmp_path / "c.h5", times=False)).ok


# Columns that only one has --------------------------------------------------------------------------


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("kind", "leaf"),
    [
        ("rgb_array", "frames[2, 2, 0]"),
        ("depth_array", "frames[0, 0]"),
        ("ansi", "frames"),
        ("rgbd_tuple", "frames[0][2, 2, 0]"),
        ("cameras", "frames/map/text"),
    ],
)
def test_frames_of_every_kind_are_compared(kind: str, leaf: str, tmp_path: Path) -> None:
    record = record_paintings.__wrapped__  # each anew
    first, same = [record(tmp_path / f"{name}.h5", (4, 3), **FRAMES[kind]) for name in ("a", "b")]
    assert h5r.diff(first, same) == h5r.DiffReport(
        ok=True, message="the same in both: 2 episodes, 7 steps", num_episodes=2, num_steps=7
    )
    other = record_paintings(tmp_path / "c.h5", (4, 3), **FRAMES[kind], repaints=2)
    report = h5r.diff(first, other)
    assert (report.ok, report.episode, report.step, report.leaf) == (False, 0, 2, leaf)


def test_missing_frames_are_named_if_all_else_is_the_same(script: Path, tmp_path: Path) -> None:
    report = h5r.diff(script, make(tmp_path / "b.h5", frames=False))
    assert (report.ok, report.episode, report.step, report.leaf) == (False, None, None, "frames")
    assert (report.a, report.b, report.message) == (True, False, "frames: only in a.h5")
    assert report.num_steps == 48
    assert "frames: 'render' in a.h5, 'none' in b.h5" in report.metadata


def test_missing_infos_are_named_if_all_else_is_the_same(script: Path, tmp_path: Path) -> None:
    report = h5r.diff(make(tmp_path / "b.h5", infos=False), script)
    assert (report.leaf, report.message) == ("infos", "infos: only in a.h5")
    changed = make(tmp_path / "c.h5", {(1, 3, "rewards"): 9.0}, infos=False)
    assert h5r.diff(script, changed).leaf == "rewards"


# Tolerance ------------------------------------------------------------------------------------------


def test_floats_may_be_apart_as_far_as_the_tolerance_goes(script: Path, tmp_path: Path) -> None:
    changes: Changes = {
        (1, 3, "rewards"): 0.751,
        (1, 7, "observations"): put("position", 1, 0.2501),
        (1, 9, "infos"): put("array", 1, 0.5001),
    }
    path = make(tmp_path / "b.h5", changes)
    assert h5r.diff(script, path, atol=0.01).ok
    report = h5r.diff(script, path, atol=0.0005)
    assert (report.step, report.leaf) == (3, "rewards")
    assert h5r.diff(script, path).step == 3


def test_a_pixel_is_never_within_the_tolerance(script: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "b.h5", {(1, 7, "frames"): lambda frame: frame + np.uint8(1)})
    assert h5r.diff(script, path, atol=10).leaf == "frames[0, 0, 0]"


def test_bits_of_nan_matter_without_a_tolerance(tmp_path: Path) -> None:
    one, other = (
        make(tmp_path / name, {(1, 3, "rewards"): value})
        for name, value in (("a.h5", NAN_WITH_PAYLOAD), ("b.h5", NEGATIVE_NAN))
    )
    assert h5r.diff(one, other).leaf == "rewards"
    assert h5r.diff(one, other, atol=1e-9).ok


@pytest.mark.parametrize("atol", [-1, NAN, "1", None])
def test_what_is_no_tolerance_is_refused(atol: Any, script: Path) -> None:
    with pytest.raises(OptionError, match="atol"):
        h5r.diff(script, script, atol=atol)


# Files ----------------------------------------------------------------------------------------------


def test_what_is_not_there_is_an_error(script: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordingNotFoundError):
        h5r.diff(script, tmp_path / "absent.h5")


def test_what_is_being_recorded_is_an_error(script: Path, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        with pytest.raises(RecordingInUseError):
            h5r.diff(script, tmp_path / "run.h5")
        copied = elsewhere(tmp_path / "run.h5")
    with pytest.raises(InterruptedRecordingError):
        h5r.diff(copied, script)


def test_damage_is_an_error(script: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "b.h5")
    damage_chunk(path, "observations/picture", lambda data: data[: len(data) // 2])
    with pytest.raises(CorruptRecordingError):
        h5r.diff(script, path)
    with pytest.raises(CorruptRecordingError):
        h5r.diff(path, script)


def test_ends_that_go_back_are_an_error(script: Path, tmp_path: Path) -> None:
    paths = [make(tmp_path / name) for name in ("b.h5", "c.h5")]
    for path in paths:
        with h5py.File(path, "r+") as file:
            file["observations/words/ends"][3] = 0
    with pytest.raises(CorruptRecordingError):
        h5r.diff(*paths)


def test_episodes_that_share_their_rows_are_an_error(tmp_path: Path) -> None:
    paths = [make(tmp_path / name) for name in ("b.h5", "c.h5")]
    for path in paths:
        with h5py.File(path, "r+") as file:
            file["episodes/starts"][:] = 0
            file["episodes/lengths"][:] = 30
    with pytest.raises(CorruptRecordingError, match="overlap"):
        h5r.diff(*paths)


def test_files_are_left_as_they_are(script: Path, tmp_path: Path) -> None:
    path = make(tmp_path / "b.h5")
    before = path.read_bytes(), script.read_bytes()
    h5r.diff(script, path)
    assert (path.read_bytes(), script.read_bytes()) == before
    assert list(tmp_path.iterdir()) == [path]


def test_progress_is_told_in_rows(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "_MAX_WINDOW_ROWS", 20)
    told: list[tuple[int, int]] = []
    h5r.diff(script, script, on_progress=lambda done, rows: told.append((done, rows)))
    assert told == [(6, 51), (26, 51), (46, 51), (47, 51), (51, 51)]


def test_a_report_does_not_change(script: Path) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        h5r.diff(script, script).ok = False  # type: ignore[misc]


# Stacks ---------------------------------------------------------------------------------------------

STACK_SCRIPT = (*START, *["slide"] * 6, "text", *["slide"] * 6, "reset fill", *["slide"] * 9)
"""Rows 0 to 14 and 15 to 24. The observation of row 8 is no stack."""


def make_stacks(path: Path, *, as_arrays: bool = False) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        if as_arrays:
            patch.setattr(column_planning, "plan_stacks", lambda node, first, second: node)
        record_stacks(path, STACK_SCRIPT, StackingEnv(nest="dict"), writer="inline")
    with h5py.File(path) as file:
        assert isinstance(file["observations/stack"], h5py.Dataset) == as_arrays
    return path


@pytest.fixture(scope="module")
def twin_stacks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two recordings of the same stacks, made one by one; do not change them."""
    folder = tmp_path_factory.mktemp("stacks")
    return make_stacks(folder / "a.h5"), make_stacks(folder / "b.h5")


@pytest.fixture
def two_stacks(twin_stacks: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """Copies of ``twin_stacks``."""
    one, other = (Path(shutil.copy(each, tmp_path)) for each in twin_stacks)
    return one, other


@pytest.fixture(params=[1, 2, 3, 5, 4096])
def rows_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many rows are compared by their bytes at once."""
    monkeypatch.setattr(comparing, "_MAX_WINDOW_ROWS", request.param)
    return int(request.param)


def test_stacks_are_compared_with_whole_arrays_by_value(tmp_path: Path) -> None:
    stacks, arrays = make_stacks(tmp_path / "a.h5"), make_stacks(tmp_path / "b.h5", as_arrays=True)
    assert h5r.diff(stacks, arrays).ok
    assert h5r.diff(arrays, stacks).ok
    with h5py.File(arrays, "r+") as file:
        file["observations/stack"][17, 2, 1, 300] ^= 7
    report = h5r.diff(stacks, arrays)
    assert (report.episode, report.step, report.leaf) == (1, 2, "observations/stack[2, 1, 300]")


@pytest.mark.sampled(5)
@pytest.mark.parametrize(("row", "place"), [(4, (0, 4)), (15, (1, 0)), (20, (1, 5))])
def test_a_frame_that_differs_is_found_where_it_comes(
    row: int, place: tuple[int, int], rows_at_once: int, two_stacks: tuple[Path, Path]
) -> None:
    one, other = two_stacks
    assert h5r.diff(one, other).ok
    with h5py.File(other, "r+") as file:
        file["observations/stack/newest"][row, 1, 300] ^= 7
    report = h5r.diff(one, other)
    assert (report.episode, report.step, report.leaf) == (*place, "observations/stack[3, 1, 300]")


def test_an_earlier_frame_that_differs_is_found(rows_at_once: int, two_stacks: tuple[Path, Path]) -> None:
    one, other = two_stacks
    with h5py.File(other, "r+") as file:
        file["observations/stack/earlier/values"][9 + 1, 0, 5] ^= 7  # of row 15, the first of the second episode
    report = h5r.diff(one, other)
    assert (report.episode, report.step, report.leaf) == (1, 0, "observations/stack[1, 0, 5]")


def test_a_frame_that_no_row_shows_is_found_where_a_stack_goes_on_from_it(
    rows_at_once: int, two_stacks: tuple[Path, Path]
) -> None:
    """Another program may go on from a row whose value is an exception, in files that this package never makes."""
    one, other = two_stacks
    for path in (one, other):
        with h5py.File(path, "r+") as file:
            counts = np.diff(file["observations/stack/earlier/ends"][:], prepend=0)
            assert counts[8:10].tolist() == [3, 3]
            counts[9:13] = 0, 0, 0, 3
            file["observations/stack/earlier/ends"][:] = np.cumsum(counts)
    with h5py.File(other, "r+") as file:
        file["observations/stack/newest"][8, 1, 300] ^= 7
    report = h5r.diff(one, other)
    assert (report.episode, report.step, report.leaf) == (0, 9, "observations/stack[2, 1, 300]")


# Lanes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tuple", "sequence", "custom", "stacks"])
def test_lanes_recorded_twice_are_the_same(kind: str, tmp_path: Path) -> None:
    one, other = (record_lanes.__wrapped__(tmp_path / name, kind) for name in ("a.h5", "b.h5"))  # type: ignore[attr-defined]
    report = h5r.diff(one, other)
    assert report.ok
    with h5r.Recording(one) as recording:
        assert (report.num_episodes, report.num_steps) == (recording.num_episodes, recording.num_steps)


@pytest.mark.parametrize("lane", [0, 1, 2])
def test_a_change_is_found_in_its_lane(lane: int, tmp_path: Path) -> None:
    one, other = (record_lanes(tmp_path / name, "box") for name in ("a.h5", "b.h5"))
    with h5py.File(other, "r+") as file:
        file["rewards"][0, lane] = 99
    with h5r.Recording(one) as recording:
        number = int(recording.lane(lane).numbers[0])
    report = h5r.diff(one, other)
    assert (report.episode, report.step, report.leaf, report.b) == (number, 0, "rewards", 99.0)


def test_stacks_of_lanes_are_compared_from_their_first_row(tmp_path: Path) -> None:
    one, other = (record_lanes(tmp_path / name, "stacks", lengths=((3, 2), (2,))) for name in ("a.h5", "b.h5"))
    assert h5r.diff(one, other).ok
    with h5py.File(other, "r+") as file:
        file["observations/earlier/values"][1, 1, 5, 6] ^= 7  # of the first row of lane 1
    with h5r.Recording(one) as recording:
        number = int(recording.lane(1).numbers[0])
    report = h5r.diff(one, other)
    assert (report.episode, report.step, report.leaf) == (number, 0, "observations[1, 5, 6]")


def test_the_order_in_which_lanes_ended_does_not_matter(tmp_path: Path) -> None:
    one, other = (record_lanes(tmp_path / name, "box", lengths=((2,), (3,)), num_steps=9) for name in ("a.h5", "b.h5"))
    with h5py.File(other, "r+") as file:
        count = int(file["commit"][-1])
        lanes = file["episodes/envs"][:count]
        order = np.argsort(lanes, kind="stable")
        assert (lanes != lanes[order]).any()
        for name in ("envs", "starts", "lengths", "seeds", "ids", "origins", "returns"):
            file[f"episodes/{name}"][:count] = file[f"episodes/{name}"][:count][order]
        for name in ("terminated", "truncated", "complete"):
            file[f"episodes/{name}"][:count] = file[f"episodes/{name}"][:count][order]
    assert h5r.diff(one, other).ok
    with h5py.File(other, "r+") as file:
        file["rewards"][0, 1] = 99
    with h5r.Recording(one) as first, h5r.Recording(other) as second:
        ours, theirs = (int(each.lane(1).numbers[0]) for each in (first, second))
    message = h5r.diff(one, other).message
    assert message.startswith(f"episode {ours} ({theirs} in b.h5), step 0, rewards: 1.015625 in a.h5, 99.0 in b.h5")


def test_another_number_of_lanes_is_a_difference(tmp_path: Path) -> None:
    one = record_lanes(tmp_path / "a.h5", "box", lengths=((2,), (3,)))
    other = record_lanes(tmp_path / "b.h5", "box", lengths=((2,),))
    report = h5r.diff(one, other)
    assert (report.ok, report.episode, report.leaf, report.a, report.b) == (False, None, "num_envs", 2, 1)
    assert report.message == "num_envs: 2 in a.h5, 1 in b.h5"


def test_an_extra_episode_of_a_lane_is_found_behind_all_others(tmp_path: Path) -> None:
    one = record_lanes(tmp_path / "a.h5", "box", lengths=((3,), (9,)), num_steps=9)
    other = record_lanes(tmp_path / "b.h5", "box", lengths=((3,), (9,)), num_steps=9, keep=_has_seed)
    with h5r.Recording(one) as recording:
        assert [(each.env, each.length) for each in recording] == [(0, 3), (0, 3), (1, 9), (0, 1)]
    for report, a, b in ((h5r.diff(one, other), "a", "b"), (h5r.diff(other, one), "b", "a")):
        assert (report.ok, report.leaf, report.episode, report.num_episodes) == (False, "episodes", 1, 2)
        counts = {"a": 3, "b": 1}
        assert report.message == f"lane 0, episodes: {counts[a]} in {a}.h5, {counts[b]} in {b}.h5"


def _has_seed(summary: Any) -> bool:
    """True for the first episode of each lane."""
    return summary.seed is not None

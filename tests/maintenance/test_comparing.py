"""``diff``: nothing between twins, and every kind of difference at its place."""

from __future__ import annotations

import dataclasses
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
from gym_h5record.maintenance import comparing
from tests.maintenance.scripted import LENGTHS, Changes, make, put
from tests.reading import damage_chunk, record
from tests.writing import Pen, elsewhere, write_pairs
from tests.zoo import NAN_WITH_PAYLOAD, NEGATIVE_NAN, ZooEnv, some_spaces

# Twins ----------------------------------------------------------------------------------------------


def test_the_same_recorded_twice_is_the_same(script: Path, tmp_path: Path) -> None:
    report = h5r.diff(script, make(tmp_path / "b.h5"))
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


@some_spaces
def test_recordings_of_every_space_are_the_same_if_their_seeds_are(space: Any, tmp_path: Path) -> None:
    for name, env in (("a.h5", ZooEnv(space)), ("b.h5", ZooEnv(space)), ("c.h5", Odd(space))):
        record(tmp_path / name, env, [4, 9, 0])
    assert h5r.diff(tmp_path / "a.h5", tmp_path / "b.h5").ok
    report = h5r.diff(tmp_path / "a.h5", tmp_path / "c.h5")
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


# Columns that only one has --------------------------------------------------------------------------


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

"""Rows that are stored alike have the same values; of rows that are not nothing is said."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.reading import row_comparison
from gym_h5record.reading.columns import Column
from gym_h5record.reading.decoder import Decoder
from tests.lane_recordings import record_lanes
from tests.reading import record
from tests.stacking import START, StackingEnv, record_stacks
from tests.zoo import SPACES_BY_ID, ZooEnv, some_spaces_by_name
from tests.zoo_recordings import LENGTHS as LENGTHS_OF_THE_ZOO
from tests.zoo_recordings import zoo_recording

COLUMNS = ("observations", "actions", "rewards", "terminations", "truncations", "infos", "extras")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four episodes of a Dict of many things."""
    path = tmp_path_factory.mktemp("alike") / "run.h5"
    record(path)
    return path


@pytest.fixture
def other(path: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copy(path, tmp_path / "other.h5"))


def verdicts(first: Path, second: Path, start: int, stop: int) -> dict[str, bool]:
    with h5r.Recording(first) as one, h5r.Recording(second) as two:
        return {name: getattr(one.rows, name).surely_same(getattr(two.rows, name), start, stop) for name in COLUMNS}


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("decoded")

    for name in ("value", "batch", "keyed"):
        monkeypatch.setattr(Decoder, name, refuse)


@pytest.mark.sampled(5)
@some_spaces_by_name
def test_twins_are_the_same_in_some_spaces_and_no_value_is_decoded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, rows = zoo_recording(name).path, len(zoo_recording(name).observations)
    record(tmp_path / "b.h5", ZooEnv(SPACES_BY_ID[name]), LENGTHS_OF_THE_ZOO)
    forbid_decoding(monkeypatch)
    for span in ((0, rows), (3, 8), (rows, rows), (0, 0)):
        assert set(verdicts(one, tmp_path / "b.h5", *span).values()) == {True}


def test_items_may_stand_at_other_places(path: Path) -> None:
    with h5r.Recording(path) as recording:
        first, last = recording.episodes[0], recording.episodes[3]
        for name in COLUMNS:
            assert getattr(first, name).surely_same(getattr(first, name), 3, 9)
        assert not first.observations.surely_same(last.observations, 0, 5)
        assert first.terminations.surely_same(last.terminations, 0, 5)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("observations/picture", "observations"),
        ("observations/pair/0", "observations"),
        ("actions/picture", "actions"),
        ("rewards", "rewards"),
        ("truncations", "truncations"),
    ],
)
def test_one_item_that_differs_is_noticed_in_its_column_and_its_rows(
    name: str, column: str, path: Path, other: Path
) -> None:
    with h5py.File(other, "r+") as file:
        item = file[name][4]
        file[name][4] = ~item if item.dtype == bool else item + 1
    assert {name for name, same in verdicts(path, other, 0, 20).items() if not same} == {column}
    assert set(verdicts(path, other, 0, 4).values()) == {True}
    assert set(verdicts(path, other, 5, 20).values()) == {True}


def test_types_and_texts_that_differ_are_noticed(path: Path, other: Path) -> None:
    with h5r.Recording(path) as recording:
        code = recording.schema.code_index["observations/pair/0"]
    with h5py.File(other, "r+") as file:
        file["types"][4, code] = 3
        file["infos/json/values"][-1] ^= 1
        file["observations/text/values"][-1] ^= 1
    assert {name for name, same in verdicts(path, other, 0, 47).items() if not same} == {"observations", "infos"}
    assert set(verdicts(path, other, 0, 4).values()) == {True}
    assert not verdicts(path, other, 4, 5)["observations"]


def test_exceptions_belong_to_what_is_stored(tmp_path: Path) -> None:
    paths = []
    for number in (0, 1):
        path = tmp_path / f"{number}.h5"
        rewards = (0.5, 10**40 + number)  # beyond the column
        record(path, ZooEnv(spaces.Discrete(3), rewards=rewards, infos=lambda _: {}), [3])
        paths.append(path)
    assert verdicts(paths[0], paths[0], 0, 4)["rewards"]
    assert not verdicts(*paths, 0, 4)["rewards"]
    assert verdicts(*paths, 0, 1)["rewards"]


def test_other_columns_are_not_compared(path: Path, tmp_path: Path) -> None:
    record(tmp_path / "other.h5", ZooEnv(spaces.Discrete(3), infos=lambda _: {"else": 1}), [20])
    found = verdicts(path, tmp_path / "other.h5", 0, 5)
    assert not any(found[name] for name in ("observations", "actions", "infos"))


def test_more_lists_than_can_be_looked_at_together_are_not_compared(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_comparison, "_MAX_ENDS", 4)
    assert verdicts(path, path, 0, 4)["observations"]
    assert not verdicts(path, path, 0, 5)["observations"]


def test_items_are_read_in_pieces(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_comparison, "_PIECE_BYTES", 1)
    assert set(verdicts(path, path, 2, 25).values()) == {True}


def test_ends_that_go_back_are_not_compared(path: Path, other: Path) -> None:
    with h5py.File(other, "r+") as file:
        file["observations/text/ends"][4] = 0
    assert not verdicts(other, other, 0, 20)["observations"]


def test_ends_beyond_the_items_are_an_error(path: Path, other: Path) -> None:
    with h5py.File(other, "r+") as file:
        file["observations/text/ends"][4:] += 10**9
    with pytest.raises(CorruptRecordingError):
        verdicts(other, other, 0, 20)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (0, 10**6), (3, 2)])
def test_rows_that_are_not_there_are_refused(start: int, stop: int, path: Path) -> None:
    with h5r.Recording(path) as recording, pytest.raises(IndexError, match="are not in both"):
        recording.rows.rewards.surely_same(recording.rows.rewards, start, stop)


def test_a_column_whose_last_row_is_not_committed_is_not_compared(path: Path) -> None:
    with h5r.Recording(path) as recording:
        node, rows = recording.schema.action, recording.num_rows
        whole, running = (Column(recording._file.decoder, node, 0, rows, is_open=is_open) for is_open in (False, True))
        assert whole.surely_same(whole, 0, rows)
        assert not whole.surely_same(running, 0, rows)
        assert not running.surely_same(whole, 0, rows)


def test_booleans_that_are_neither_are_an_error(path: Path, other: Path) -> None:
    with h5py.File(other, "r+") as file:
        file["truncations"].id.write(
            h5py.h5s.ALL,
            h5py.h5s.ALL,
            np.full(file["truncations"].shape, 2, np.uint8),
            file["truncations"].id.get_type(),
        )
    with pytest.raises(CorruptRecordingError):
        verdicts(other, other, 0, 20)


# Stacks -----------------------------------------------------------------------------------------------

STACK_SCRIPT = (*START, *["slide"] * 14, "jump", "slide", "slide")
"""Stacks of four in rows 0 to 18; row 16 does not continue row 15."""


@pytest.fixture
def twins(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "a.h5", tmp_path / "b.h5"
    for path in paths:
        record_stacks(path, STACK_SCRIPT, writer="inline")
    return paths


def test_stacks_are_the_same_and_are_not_put_together(
    twins: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_decoding(monkeypatch)
    for start in range(19):
        assert verdicts(*twins, start, 19)["observations"]
        assert verdicts(*twins, start, start)["observations"]


def test_a_frame_that_differs_is_noticed_in_every_stack_that_has_it(twins: tuple[Path, Path]) -> None:
    with h5py.File(twins[1], "r+") as file:
        frames = file["observations/newest"]
        frames[4] = ~frames[4]
        frames[14] = ~frames[14]
    different = [row for row in range(19) if not verdicts(*twins, row, row + 1)["observations"]]
    assert different == [4, 5, 6, 7, 14, 15]  # row 16 has earlier frames of its own
    assert verdicts(*twins, 8, 14)["observations"]


def test_an_earlier_frame_that_differs_is_noticed_in_every_stack_that_has_it(twins: tuple[Path, Path]) -> None:
    with h5py.File(twins[1], "r+") as file:
        frames = file["observations/earlier/values"]
        frames[0] = ~frames[0]  # the oldest of row 0
        frames[5] = ~frames[5]  # the newest but one of row 16
    different = [row for row in range(19) if not verdicts(*twins, row, row + 1)["observations"]]
    assert different == [0, 1, 2, 3, 16, 17, 18]  # rows 1 to 3 do not show the oldest of row 0, and nothing is said


def test_the_first_stacks_may_stand_at_other_places(tmp_path: Path) -> None:
    orders = ("reset fill", "slide", *["repeat"] * 2, "reset jump", "slide")
    episodes = record_stacks(tmp_path / "run.h5", (*orders, *orders[-2:]), StackingEnv(2, seed=3), writer="inline")
    with h5r.Recording(tmp_path / "run.h5") as recording:
        columns = [episode.observations for episode in recording.episodes]
        for one, other in itertools.product(range(3), repeat=2):
            for row in range(2):
                is_same = episodes[one][row].tobytes() == episodes[other][row].tobytes()
                assert is_same or not columns[one].surely_same(columns[other], row, row + 1)
                if one == other:
                    assert columns[one].surely_same(columns[other], row, row + 1)


def test_stacks_of_lanes_have_no_frames_of_the_lane_before(tmp_path: Path) -> None:
    path = record_lanes(tmp_path / "run.h5", "stacks", lengths=((3, 2), (3, 2)))
    with h5r.Recording(path) as recording, h5r.Recording(path) as twin:
        for episode, other in zip(recording, twin, strict=True):
            assert episode.observations.surely_same(other.observations, 0, episode.length + 1)
        lanes = [recording.lane(lane)[0].observations for lane in range(2)]
        assert not any(lanes[0].surely_same(lanes[1], row, row + 1) for row in range(4))

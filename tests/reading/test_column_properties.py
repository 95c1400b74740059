"""Columns of a run of rows: the rows of a recording and an episode show the same values, each with its own rows."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.reading.column_properties import COLUMNS, RowColumns
from gym_h5record.reading.recording_rows import RecordingRows
from tests.reading import record
from tests.zoo import ZooEnv


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows 0 to 5 and 6 to 8 are episodes, with infos and without frames; do not change it."""
    where = tmp_path_factory.mktemp("row_columns") / "run.h5"
    infos = lambda step: {"step": step}  # noqa: E731
    record(where, ZooEnv(spaces.Discrete(9), spaces.Discrete(5), length=99, infos=infos), [5, 2])
    return where


def values(column: Any) -> list[Any]:
    return [column[row] for row in range(len(column))]


def test_the_columns_are_properties_of_both() -> None:
    assert set(COLUMNS) == {name for name in vars(RowColumns) if not name.startswith("_")}
    assert issubclass(RecordingRows, RowColumns)
    assert issubclass(h5r.Episode, RowColumns)
    assert not any(hasattr(h5r.Recording, name) for name in COLUMNS)


def test_a_recording_has_the_rows_of_its_episodes_and_none_where_no_step_was_taken(path: Path) -> None:
    recording = h5r.Recording(path)
    first, second = recording.episodes
    for name in ("observations", "infos", "times"):
        assert values(getattr(recording.rows, name)) == [*values(getattr(first, name)), *values(getattr(second, name))]
        assert (len(getattr(first, name)), len(getattr(second, name))) == (6, 3)
    for name in ("actions", "rewards", "terminations", "truncations"):
        steps = [values(getattr(each, name)) for each in (first, second)]
        assert values(getattr(recording.rows, name)) == [*steps[0], None, *steps[1], None]
        assert list(map(len, steps)) == [5, 2]
        assert not getattr(recording.rows, name)[5:6].any()
    dones = [each.dones.tolist() for each in (first, second)]
    assert dones == [(each.terminations[:] | each.truncations[:]).tolist() for each in (first, second)]
    assert recording.rows.dones.tolist() == [*dones[0], False, *dones[1], False]
    assert recording.rows.frames is first.frames is None
    assert values(recording.rows.extras) == [{}] * 9
    assert (len(first.extras), len(second.extras)) == (5, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["times", "dones"])
def test_arrays_that_are_kept_cannot_be_changed(name: str, path: Path) -> None:
    with h5r.Recording(path) as recording:
        for rows in (recording.rows, recording.episodes[1]):
            with pytest.raises(ValueError, match="read-only"):
                getattr(rows, name)[0] = 5.0


def test_times_are_seconds(path: Path) -> None:
    with h5r.Recording(path) as recording, h5py.File(path) as file:
        assert recording.rows.times is not None
        assert (recording.rows.times.dtype, recording.rows.times.shape) == (np.float64, (9,))
        assert recording.rows.times.tolist() == [number / 1e9 for number in file["times"][:9].tolist()]
        assert recording.episodes[1].times.tolist() == recording.rows.times[6:].tolist()  # type: ignore[union-attr]


def test_a_step_without_an_action_is_corruption_in_an_episode_and_none_in_a_recording(
    path: Path, tmp_path: Path
) -> None:
    shutil.copy(path, tmp_path / "run.h5")
    with h5r.Recording(path) as recording:
        code = recording.schema.code_index["actions"]
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["types"][3, code] = 0
    recording = h5r.Recording(tmp_path / "run.h5")
    assert recording.rows.actions[3] is None
    with pytest.raises(CorruptRecordingError, match="/actions row 3 has no value"):
        recording.episodes[0].actions[3]


def test_a_column_is_made_once(path: Path) -> None:
    recording = h5r.Recording(path)
    for each in (recording.rows, recording.episodes[0]):
        for name in COLUMNS:
            assert getattr(each, name) is getattr(each, name)


def test_linked_frames_are_the_observations(tmp_path: Path) -> None:
    picture = spaces.Box(0, 255, (8, 8, 3), np.uint8)
    record(tmp_path / "run.h5", ZooEnv(picture, length=3), [3], frames="observation")
    recording = h5r.Recording(tmp_path / "run.h5")
    assert recording.schema.linked_frames
    for each in (recording.rows, recording.episodes[0]):
        assert each.frames is not None
        assert np.array_equal(each.frames[:], each.observations[:])


def test_a_refreshed_recording_has_new_columns_and_the_old_ones_stay(tmp_path: Path) -> None:
    recorder: Any = h5r.RecordToHDF5(ZooEnv(spaces.Discrete(9)), tmp_path / "run.h5", writer="inline")
    recorder.reset(seed=0)
    recorder.step(recorder.action_space.sample())
    recorder.flush()
    recording = h5r.Recording(tmp_path / "run.h5", live=True)
    before = {name: getattr(recording.rows, name) for name in COLUMNS}
    assert (len(before["observations"]), len(before["actions"]), before["actions"][-1]) == (2, 2, None)
    recorder.step(recorder.action_space.sample())
    recorder.close()
    assert not recording.refresh()
    names = ("observations", "infos", "times", "actions", "extras")
    assert [len(before[name]) for name in names] == [2] * 5
    assert [len(getattr(recording.rows, name)) for name in names] == [3] * 5
    assert (before["actions"][-1], recording.rows.actions[1] is None) == (None, False)

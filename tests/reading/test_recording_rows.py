"""``recording.rows``: the rows as the datasets have them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.reading.column_properties import COLUMNS
from tests.reading import record
from tests.zoo import ZooEnv


def test_rows_are_those_of_the_file_padding_included(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", ZooEnv(spaces.Box(0, 9, (3,), np.float32), length=9), [5, 0, 2])
    with h5r.Recording(tmp_path / "run.h5") as recording, h5py.File(tmp_path / "run.h5") as file:
        rows = recording.rows
        assert (len(rows), str(rows)) == (10, "<RecordingRows: 10>")
        for name in ("observations", "rewards", "terminations", "truncations", "dones"):
            assert np.array_equal(getattr(rows, name)[:], file[name][:])
        assert [row for row in range(10) if rows.actions[row] is None] == [5, 6, 9]
        assert rows is recording.rows


def test_a_recording_itself_has_no_columns_that_mix_in_padding() -> None:
    assert [name for name in COLUMNS if hasattr(h5r.Recording, name)] == []

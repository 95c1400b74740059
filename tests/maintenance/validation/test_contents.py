"""Contents: no false alarms, and memory that does not grow with the file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.maintenance.validation import validator
from gym_h5record.storage.hdf5 import chunks as stored
from gym_h5record.storage.hdf5.codecs import decode_chunk
from tests.maintenance.validation import found, record, zoo_env
from tests.writing import Pen, make_schema
from tests.zoo import SPACES

TESTS = Path(__file__).parents[2]
GROUP = 12
GROUPS = [SPACES[start : start + GROUP] for start in range(0, len(SPACES), GROUP)]


@pytest.mark.parametrize("group", GROUPS, ids=[f"{group[0][0]}-to-{group[-1][0]}" for group in GROUPS])
def test_samples_of_every_space_give_no_false_alarm(group: list[tuple[str, spaces.Space]], tmp_path: Path) -> None:
    space = spaces.Dict(group)
    assert found(record(tmp_path / "run.h5", zoo_env(space, space), (1, 0, 2))) == []


@pytest.mark.parametrize("path", sorted((TESTS / "golden").glob("v*.h5")), ids=lambda path: path.stem)
def test_a_golden_recording_has_no_errors(path: Path) -> None:
    assert found(path) == [("not-finite", "/rewards row 2"), ("not-finite", "/observations/box row 3")]


def test_an_empty_recording_is_good(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5"):
        pass
    assert found(tmp_path / "run.h5") == [("metadata-incomplete", "/metadata")]


@pytest.mark.parametrize("compression", ["gzip", None])
def test_memory_does_not_grow_with_the_file(compression: str | None, tmp_path: Path) -> None:
    space = spaces.Box(0, 1, (500, 200), np.float32)  # 400 kB
    rows = 100
    with Pen(tmp_path / "run.h5", make_schema(space, infos=None), row_bytes=400_000, compression=compression) as pen:
        observation = np.zeros(space.shape, np.float32)
        pen.begin(observation)
        for step in range(1, rows):
            pen.step(observation, terminated=step % 40 == 0)
            if step % 40 == 0:
                pen.begin(observation)
    tracemalloc.start()
    assert found(tmp_path / "run.h5") == [("metadata-incomplete", "/metadata")]
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < rows * 400_000 / 3


def test_progress_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validator, "_MAX_BLOCK_ROWS", 16)
    told: list[tuple[int, int]] = []
    h5r.validate(path, deep=True, on_progress=lambda done, rows: told.append((done, rows)))
    assert told == [(16, 34), (32, 34), (34, 34)]
    h5r.validate(path, on_progress=lambda done, rows: told.append((done, rows)))
    assert len(told) == 3


def test_every_chunk_is_read_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = []

    def counting(filter_id: int, data: bytes, size_bytes: int) -> bytes:
        chunks.append(data)
        return decode_chunk(filter_id, data, size_bytes)

    monkeypatch.setattr(stored, "decode_chunk", counting)
    monkeypatch.setattr(validator, "_MAX_BLOCK_ROWS", 4)
    assert found(path) == []
    assert len(chunks) == 1 + 3  # the last one of the pictures first, for the structure

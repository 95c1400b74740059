"""Windows of stacks that are compared by their stored frames alone: what is surely the same is the same."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gym_h5record as h5r
from gym_h5record.values.exact import identical
from tests.properties.strategies import PROFILE
from tests.stacking import START, StackingEnv, record_stacks

MOVES = st.sampled_from(["slide"] * 4 + ["repeat", "jump", "fill", "text", "reset slide", "reset fill", "end slide"])
SCRIPTS = st.lists(MOVES, min_size=1, max_size=9).map(lambda orders: (*START, *orders))

DEPTHS = (2, 4)
"""A stack of three that does not move may be a grey picture, and is stored as a whole."""

RECORDING = settings(PROFILE, max_examples=15)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("windows")
    yield path
    shutil.rmtree(path)


def record(directory: Path, depth: int, script: tuple[str, ...], seed: int) -> Path:
    path = Path(tempfile.mkdtemp(dir=directory)) / "run.h5"
    record_stacks(path, script, StackingEnv(depth, seed=seed), writer="inline")
    return path


def spoil(path: Path, depth: int, kind: str, at: int) -> None:
    """Change one frame in the file, or say that a row has earlier frames that were another one's."""
    with h5py.File(path, "r+") as file:
        if kind != "ends":
            frames = file[f"observations/{kind}"]
            frames[at % len(frames)] ^= 7
            return
        ends = file["observations/earlier/ends"]
        counts = np.diff(ends[:], prepend=0)
        later = np.flatnonzero(counts[1:]) + 1
        if len(later):
            row, other = int(later[at % len(later)]), 1 + at % (len(counts) - 1)
            if not counts[other]:
                counts[row], counts[other] = 0, depth - 1
            ends[:] = np.cumsum(counts)


def windows(one: Any, other: Any) -> Iterator[tuple[bool, bool]]:
    """Of all windows: whether they are surely the same, and whether they are the same."""
    count = min(len(one), len(other))
    same = [identical(one[row], other[row]) for row in range(count)]
    for start in range(count + 1):
        for stop in range(start, count + 1):
            yield one.surely_same(other, start, stop), all(same[start:stop])


@pytest.mark.long
@RECORDING
@given(st.sampled_from(DEPTHS), SCRIPTS, SCRIPTS, st.integers(0, 2))
def test_of_any_two_recordings(
    directory: Path, depth: int, script: tuple[str, ...], other: tuple[str, ...], seed: int
) -> None:
    """Their frames are a few different ones, so that many windows are the same for other reasons."""
    paths = record(directory, depth, script, 0), record(directory, depth, other, seed)
    with h5r.Recording(paths[0]) as one, h5r.Recording(paths[1]) as two:
        for mine in one.episodes:
            for theirs in two.episodes:
                assert all(same for surely, same in windows(mine.observations, theirs.observations) if surely)


@RECORDING
@given(st.sampled_from(DEPTHS), SCRIPTS, st.sampled_from(["newest", "earlier/values", "ends"]), st.integers(0, 99))
def test_of_a_recording_and_a_copy_in_which_something_has_changed(
    directory: Path, depth: int, script: tuple[str, ...], kind: str, at: int
) -> None:
    path = record(directory, depth, script, 1)
    spoilt = Path(shutil.copy(path, path.with_name("spoilt.h5")))
    spoil(spoilt, depth, kind, at)
    with h5r.Recording(path) as one, h5r.Recording(spoilt) as two:
        found = [
            each
            for mine, theirs in zip(one.episodes, two.episodes, strict=True)
            for each in windows(mine.observations, theirs.observations)
        ]
    assert all(same for surely, same in found if surely)


@pytest.mark.long
@RECORDING
@given(st.sampled_from(DEPTHS), SCRIPTS)
def test_of_a_recording_and_its_twin_every_window_is_surely_the_same(
    directory: Path, depth: int, script: tuple[str, ...]
) -> None:
    paths = record(directory, depth, script, 1), record(directory, depth, script, 1)
    with h5r.Recording(paths[0]) as one, h5r.Recording(paths[1]) as two:
        for mine, theirs in zip(one.episodes, two.episodes, strict=True):
            assert all(surely and same for surely, same in windows(mine.observations, theirs.observations))

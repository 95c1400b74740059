"""Values that are read ahead are those that are read one by one, for every kind of column; blocks are bounded."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import nodes
from gym_h5record.format.column_planning import plan_space
from gym_h5record.reading import read_ahead
from gym_h5record.reading.read_ahead import blocks_of, bytes_ahead, exact_values
from gym_h5record.values.exact import identical
from tests.reading import record
from tests.stacking import START, StackingEnv, record_stacks
from tests.writing import everything_env
from tests.zoo import ZooEnv, every_space_by_name
from tests.zoo_recordings import zoo_recording

# Blocks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bytes_per_row", [0, 1, 100_000, 1 << 40])
def test_blocks_follow_each_other_and_grow_up_to_their_limit(bytes_per_row: int) -> None:
    blocks = [*blocks_of(7, 20_000, bytes_per_row)]
    assert [stop for _, stop in blocks[:-1]] == [start for start, _ in blocks[1:]]
    assert (blocks[0][0], blocks[-1][1]) == (7, 20_000)
    sizes = [stop - start for start, stop in blocks]
    most = max(min((4 << 20) // max(bytes_per_row, 1), 4096), 1)
    assert max(sizes) == most
    assert sizes[:3] == [min(size, most) for size in (1, 2, 4)]


def test_no_rows_are_no_block() -> None:
    assert [*blocks_of(3, 3, 8)] == []


def test_blocks_may_be_long_from_the_first_on() -> None:
    assert [*blocks_of(0, 5000, 8, first_rows=5000)] == [(0, 4096), (4096, 5000)]


@pytest.mark.parametrize(
    ("space", "size"),
    [
        (spaces.Box(0, 255, (84, 84), np.uint8), 84 * 84),
        (spaces.Discrete(3), 8),
        (spaces.Box(0, 1, (0, 2), np.float32), 0),
        (spaces.Dict(a=spaces.Discrete(3), b=spaces.Tuple((spaces.Box(0, 1, (2,), np.float32),))), 16),
        (spaces.Box(0, 255, (16, 1024), np.uint8), 16 << 10),
        (spaces.Box(0, 255, (16 * 1024 + 1,), np.uint8), None),
        (spaces.Text(4), None),
        (spaces.Dict(a=spaces.Discrete(3), b=spaces.Sequence(spaces.Discrete(2))), None),
    ],
    ids=["picture", "number", "no elements", "tree", "large", "too large", "text", "tree with a sequence"],
)
def test_rows_are_read_ahead_unless_they_vary_in_size_or_are_large(space: spaces.Space, size: int | None) -> None:
    assert bytes_ahead(plan_space(space, "observations")) == size


def test_a_stack_takes_the_bytes_of_all_its_frames_and_is_large_if_one_of_them_is() -> None:
    assert bytes_ahead(nodes.Stack("observations", np.dtype(np.uint8), (4, 84, 84))) == 4 * 84 * 84
    assert bytes_ahead(nodes.Stack("observations", np.dtype(np.uint8), (4, 210, 160))) is None
    assert bytes_ahead(nodes.Opaque("observations")) is None


# Values -------------------------------------------------------------------------------------------


def check_same_values(recording: h5r.Recording, first: int = 0) -> None:
    """Fail unless every column gives the same values ahead and one by one, in any order."""
    decoder = recording.rows.rewards._decoder
    rows = np.arange(first, recording.num_rows)
    for node in (recording.schema.observation, *recording.schema.coded):
        for some in (rows, rows[::-2], rows[[0, 0]]):
            found = [*exact_values(decoder, node, some)]
            assert identical(found, [decoder.value(node, row) for row in some.tolist()]), node.name


@pytest.mark.sampled(10)
@every_space_by_name
def test_values_of_every_space_are_the_same(name: str) -> None:
    with h5r.Recording(zoo_recording(name).path) as recording:
        check_same_values(recording)


def test_values_with_padding_exceptions_and_many_types_are_the_same(tmp_path: Path) -> None:
    record(tmp_path / "run.h5", everything_env(rewards=(1, 2.5, np.float32(0.1), True, np.int8(3))), [9, 9, 3])
    with h5r.Recording(tmp_path / "run.h5") as recording:
        check_same_values(recording)
        check_same_values(recording, 4)


def test_values_of_stacks_are_the_same(tmp_path: Path) -> None:
    record_stacks(tmp_path / "run.h5", (*START, "slide", "jump", "slide", "text", "slide"), StackingEnv(nest="both"))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        check_same_values(recording)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Rows of pictures and numbers."""
    path = tmp_path / "run.h5"
    record(path, ZooEnv(spaces.Box(0, 255, (9,), np.uint8), spaces.Discrete(3), rewards=(0.5, 1), length=99), [40])
    return path


def test_an_array_is_the_callers_own(path: Path) -> None:
    with h5r.Recording(path) as recording:
        values = [*exact_values(recording.rows.rewards._decoder, recording.schema.observation, np.arange(3))]
    assert all(value.base is None and value.flags.writeable for value in values)


def test_all_is_read_before_the_first_value(path: Path) -> None:
    with h5r.Recording(path) as recording:
        values = exact_values(recording.rows.rewards._decoder, recording.schema.observation, np.arange(3))
    assert len([*values]) == 3


def test_a_type_that_no_number_has_is_an_error_in_its_row(path: Path) -> None:
    with h5r.Recording(path) as recording:
        place = recording.schema.code_index["rewards"]
    with h5py.File(path, "r+") as file:
        file["types"][5, place] = 77
    with h5r.Recording(path) as recording:
        values = exact_values(recording.rows.rewards._decoder, recording.schema.reward, np.arange(9))
        assert [next(values) for _ in range(5)] == [0.5, 1, 0.5, 1, 0.5]
        with pytest.raises(CorruptRecordingError, match="/rewards row 5 has type code 77"):
            next(values)


def test_a_loop_that_stops_early_reads_little(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "_MAX_BLOCK_ROWS", 8)
    with h5r.Recording(path) as recording:
        column, counts = recording.episodes[0].observations, []
        ahead = type(column)._ahead
        monkeypatch.setattr(
            type(column), "_ahead", lambda *arguments: counts.append(arguments[2] - arguments[1]) or ahead(*arguments)
        )
        for row, _ in enumerate(column):
            if row == 20:
                break
    assert counts == [1, 2, 4, 8, 8]

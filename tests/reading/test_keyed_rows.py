"""Infos and extras: dicts by row, and the values of one key as a column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.values.exact import identical
from tests.reading import Reads
from tests.writing import Pen, make_schema, pair

VALUES: list[dict[str, Any]] = [
    {"value": 0.5, "lives": 3, "grid": np.arange(2), "prompt": "go"},
    {"value": np.float32(0.1), "lives": True, "grid": np.arange(2) + 2, "json": {"a": (1, None)}},
    {"value": -0.0, "grid": np.arange(3), "late": b"\0"},
    {"value": 2, "lives": "many", "grid": np.arange(2) + 4},
    {},
]
"""Values of a step and of its row. The first row has the columns ``value``, ``lives`` and ``grid``."""

GROUPS = ("infos", "extras")
each_group = pytest.mark.parametrize("group", GROUPS)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes of five steps; the infos of row 0 are empty, those of the others are the extras of their step."""
    path = tmp_path_factory.mktemp("keyed") / "run.h5"
    with Pen(path, make_schema(infos=VALUES[:1], extras=VALUES[:1])) as pen:
        for _ in range(2):
            pen.begin(pair(0))
            for number, values in enumerate(VALUES):
                pen.step(pair(number), extras=values, info=values)
    return path


def rows_of(group: str, path: Path) -> Any:
    """The rows of the second episode that have ``VALUES``."""
    episode = h5r.Recording(path).episodes[1]
    assert (len(episode.infos), len(episode.extras)) == (6, 5)  # type: ignore[arg-type]
    return getattr(episode, group)


def expected(group: str) -> list[dict[str, Any]]:
    return [{}, *VALUES] if group == "infos" else VALUES


# Rows ---------------------------------------------------------------------------------------------


@each_group
def test_every_row_is_the_dict_that_was_given(group: str, path: Path) -> None:
    rows, wanted = rows_of(group, path), expected(group)
    for row in (0, -1, 2, *range(len(wanted))):
        assert identical(rows[row], wanted[row])
    assert identical([*rows], wanted)


@each_group
@pytest.mark.parametrize("part", [slice(None), slice(1, 3), slice(None, None, -2), slice(-2, None), slice(4, 2)])
def test_a_slice_is_a_list_of_dicts(part: slice, group: str, path: Path) -> None:
    assert identical(rows_of(group, path)[part], expected(group)[part])


@each_group
@pytest.mark.parametrize("index", [[2, 0, 0, -1], np.array([1, 3]), ..., []], ids=repr)
def test_rows_in_any_order_are_a_list_of_dicts(index: Any, group: str, path: Path) -> None:
    wanted = expected(group)
    rows = [wanted[row] for row in np.arange(len(wanted))[index]]
    assert identical(rows_of(group, path)[index], rows)


@each_group
def test_a_mask_chooses_dicts(group: str, path: Path) -> None:
    rows, wanted = rows_of(group, path), expected(group)
    assert identical(rows[[row == wanted[-2] for row in wanted]], [wanted[-2]])
    with pytest.raises(IndexError, match=rf"a mask of 2 does not fit a KeyedRows of {len(wanted)} rows"):
        rows[[True, False]]


@each_group
def test_dicts_have_no_further_axes_and_the_error_names_the_key(group: str, path: Path) -> None:
    with pytest.raises(TypeError, match=rf"has no further axes: it has dicts; .* as in {group}\['value'\]\[:\]$"):
        rows_of(group, path)[1:3, "value"]
    with pytest.raises(TypeError, match=rf"as in {group}\[\"key\"\]\[:\]$"):
        rows_of(group, path)[1:3, 0]


@each_group
def test_the_text_says_what_it_is(group: str, path: Path) -> None:
    rows = rows_of(group, path)
    assert repr(rows) == f"<{group.capitalize()} of {len(rows)} rows>"
    assert repr(rows["value"]) == f"<'value' of {group}, {len(rows)} rows>"


@each_group
@pytest.mark.parametrize("index", [6, -7, 10**20])
def test_a_row_that_is_not_there_is_an_index_error(index: int, group: str, path: Path) -> None:
    with pytest.raises(IndexError, match=f"index {index} is out of range for a KeyedRows of [56] rows"):
        rows_of(group, path)[index]
    with pytest.raises(IndexError, match=f"index {index} is out of range for a KeyValues of [56] rows"):
        rows_of(group, path)["value"][index]


def test_a_file_of_a_version_without_extras_has_none(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(infos=None, extras=None, times=False)) as pen:
        pen.begin(pair(0))
        pen.step(pair(1))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        for each in (recording.rows, recording.episodes[0]):
            assert (each.extras, each.infos, each.times) == (None, None, None)


def test_a_recording_has_the_rows_of_all_episodes_and_nothing_where_no_step_was_taken(path: Path) -> None:
    with h5r.Recording(path) as recording:
        assert identical(recording.rows.extras[:], [*VALUES, {}] * 2)  # type: ignore[index]
        assert identical(recording.rows.infos[:], [{}, *VALUES] * 2)  # type: ignore[index]
        assert recording.rows.extras["value"][5] is None  # type: ignore[index]


# One key ------------------------------------------------------------------------------------------


@each_group
@pytest.mark.parametrize("key", ["value", "lives", "grid", "prompt", "json", "late"])
def test_the_values_of_a_key_are_exact_and_none_where_it_is_not(key: str, group: str, path: Path) -> None:
    values, wanted = rows_of(group, path)[key], [each.get(key) for each in expected(group)]
    assert len(values) == len(wanted)
    assert identical([*values], wanted)
    assert identical(values[-2], wanted[-2])
    assert identical(values[:], wanted)
    assert identical(values[::-2], wanted[::-2])


def test_a_slice_whose_rows_are_all_in_the_column_is_an_array(path: Path) -> None:
    extras = rows_of("extras", path)
    assert identical(extras["value"][:2], np.array([0.5, np.float64(np.float32(0.1))]))
    assert identical(extras["lives"][:2], np.array([3, 1]))
    assert identical(extras["grid"][:2], np.array([[0, 1], [2, 3]]))
    assert identical(extras["grid"][3:4], np.array([[4, 5]]))
    assert identical(extras["value"][2:2], np.empty(0))
    assert np.asarray(extras["grid"][:2], np.float32).tolist() == [[0, 1], [2, 3]]
    assert np.asarray(extras["value"], object).tolist() == [0.5, pytest.approx(0.1), 0.0, 2, None]


def test_a_key_with_a_column_is_a_column(path: Path) -> None:
    extras = rows_of("extras", path)
    assert all(isinstance(extras[key], h5r.Column) for key in ("value", "grid", "prompt"))
    assert (extras["grid"].shape, extras["grid"].dtype, extras["grid"].ndim) == ((5, 2), np.int64, 2)
    assert (extras["value"].shape, extras["value"].dtype, extras["value"].ndim) == ((5,), np.float64, 1)
    assert (extras["value"].size, extras["grid"].nbytes) == (5, 80)


def test_the_array_behind_a_key_is_indexed_as_by_numpy(path: Path) -> None:
    grid = rows_of("extras", path)["grid"]
    assert identical(grid[[3, 0, -2]], np.array([[4, 5], [0, 1], [4, 5]]))
    assert identical(grid[[True, False, False, True, False], 1], np.array([1, 5]))
    assert identical(grid[:2, ::-1], np.array([[1, 0], [3, 2]]))
    assert identical(grid[0, 1], np.int64(1))
    assert identical(grid[np.array([[0, 3]])], np.array([[[0, 1], [4, 5]]]))
    with pytest.raises(IndexError, match="index 2 is out of bounds for axis 1 with size 2"):
        grid[:2, 2]


def test_rows_without_the_key_have_no_further_axes(path: Path) -> None:
    grid = rows_of("extras", path)["grid"]
    with pytest.raises(TypeError, match="in these rows: some values are missing or do not fit"):
        grid[1:3, 0]
    with pytest.raises(TypeError, match="row 4 of .* has no value"):
        grid[4, 0]
    with pytest.raises(TypeError, match="in these rows"):
        grid[2, 0]  # an array of three


def test_a_key_without_a_column_has_the_shape_of_its_rows(path: Path) -> None:
    prompts = rows_of("extras", path)["prompt"]
    assert (prompts.shape, prompts.dtype, prompts.ndim) == ((5,), object, 1)
    assert prompts[[0, -1]] == ["go", None]
    assert np.asarray(prompts).tolist() == ["go", None, None, None, None]
    for take in (lambda: prompts[:, 0], lambda: np.from_dlpack(prompts)):
        with pytest.raises(TypeError, match=r"its key has no column, so that values may be anything"):
            take()


def test_numbers_of_a_key_are_an_array_with_nan_where_the_key_is_not(path: Path) -> None:
    values = rows_of("extras", path)["value"]
    assert np.asarray(values).dtype == object
    assert identical(np.asarray(values).tolist(), values[:])
    assert np.isnan(np.asarray(values, np.float64)).tolist() == [False, False, False, False, True]


def test_a_value_that_fits_no_column_makes_its_slice_a_list(path: Path) -> None:
    extras = rows_of("extras", path)
    assert identical(extras["lives"][2:4], [None, "many"])
    assert identical(extras["grid"][1:3], [np.array([2, 3]), np.arange(3)])


@each_group
def test_a_key_that_no_row_has_is_named_with_those_that_have_columns(group: str, path: Path) -> None:
    with pytest.raises(KeyError) as raised:
        rows_of(group, path)["log_prob"]
    assert raised.value.args[0] == (
        f"no row has 'log_prob' in its {group}; keys with columns of their own: 'value', 'lives', 'grid'"
    )


def test_a_key_that_no_row_has_in_a_file_without_columns(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        pen.begin(pair(0))
        pen.step(pair(1), info=None, extras={"prompt": "go"})
    with h5r.Recording(tmp_path / "run.h5") as recording:
        episode: Any = recording.episodes[0]
        assert [*episode.extras["prompt"]] == ["go"]
        for rows in (episode.extras, episode.infos):
            with pytest.raises(KeyError, match="keys with columns of their own: none"):
                rows["value"]


def test_an_info_that_is_no_dict_has_no_key(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(infos=[{"x": 1}])) as pen:
        pen.begin(pair(0), {"x": 1})
        pen.rows.put_action(0)
        pen.rows.put_step(pair(1), 1.0, False, False, "text", None)
    infos: Any = h5r.Recording(tmp_path / "run.h5").rows.infos
    assert infos[:] == [{"x": 1}, "text"]
    assert infos["x"][:] == [1, None]


def test_a_column_is_read_without_the_json_beside_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = Reads(monkeypatch)
    values = rows_of("extras", path)["grid"]
    reads.take()
    assert isinstance(values[:2], np.ndarray)
    assert reads.take() == {"types", "extras/grid"}
    assert values[1].tolist() == [2, 3]
    assert reads.take() == {"types", "extras/grid"}
    rows = iter(values)
    assert [next(rows).tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    assert reads.take() == {"types", "extras/grid"}


# Bytes, and damage --------------------------------------------------------------------------------


@each_group
def test_rows_with_the_same_bytes_are_surely_the_same_and_of_a_key_nothing_is_said(group: str, path: Path) -> None:
    rows, others = rows_of(group, path), getattr(h5r.Recording(path).episodes[0], group)
    assert rows.surely_same(others, 0, len(rows))
    assert not rows["value"].surely_same(others["value"], 0, 1)


def test_the_step_from_the_newest_row_has_no_extras_before_it_is_committed(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(extras=[{"value": 1.0}])) as pen:
        pen.begin(pair(0))
        pen.step(pair(1), extras={"value": 0.5, "prompt": "go"})
        pen.flush()
        recording: Any = h5r.Recording(tmp_path / "run.h5", live=True)
        taken = recording.rows.extras
        values = taken["value"]
        pen.step(pair(2), extras={"value": 1.5, "prompt": "on"})
        pen.flush()
        for _ in range(2):
            assert taken[:] == [{"value": 0.5, "prompt": "go"}, {}]
            assert (taken[1], taken[-1], values[1], values[:]) == ({}, {}, None, [0.5, None])
            assert not taken.surely_same(taken, 0, 1)
            recording.refresh()
        assert recording.rows.extras[1] == {"value": 1.5, "prompt": "on"}
        assert recording.rows.extras["value"][:2].tolist() == [0.5, 1.5]


@pytest.mark.parametrize("text", [b"nonsense!", b'{"$eval":1'])
def test_text_that_is_no_json_is_corruption_in_its_row_only(text: bytes, path: Path, tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_bytes(path.read_bytes())
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        assert json.loads(file["extras/json/values"][: file["extras/json/ends"][0]].tobytes()) == {"prompt": "go"}
        file["extras/json/values"][: len(text)] = np.frombuffer(text, np.uint8)
    extras: Any = h5r.Recording(tmp_path / "run.h5").episodes[0].extras
    with pytest.raises(CorruptRecordingError, match="/extras/json row 0 is no tagged JSON"):
        extras[0]
    assert identical(extras[1], VALUES[1])
    assert identical(extras["value"][:2], np.array([0.5, np.float64(np.float32(0.1))]))

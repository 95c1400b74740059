"""Success rates, from the info of the last step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gym_h5record as h5r
from tests.writing import Pen, make_schema, pair


def write(path: Path, infos: list[list[dict[str, Any]]], first: dict[str, Any], *, ends: bool = True) -> Path:
    """An episode for each list of infos; ``first`` has the keys with columns."""
    with Pen(path, make_schema(infos=[first])) as pen:
        for each in infos:
            pen.begin(pair(0), {})
            for number, info in enumerate(each, 1):
                pen.step(pair(1), info=info, terminated=ends and number == len(each))
    return path


@pytest.mark.sampled(7)
@pytest.mark.parametrize("key", ["is_success", "success"])
@pytest.mark.parametrize("column", [{}, {"is_success": False, "success": False}, {"other": 1}], ids=str)
@pytest.mark.parametrize(
    "kind", [bool, float, np.float32, np.bool_, lambda value: np.array([value])], ids=lambda kind: kind.__name__
)
def test_the_last_info_says_whether_it_was_a_success(
    tmp_path: Path, key: str, column: dict[str, Any], kind: Any
) -> None:
    infos = [
        [{key: kind(1)}, {key: kind(0)}],
        [{key: kind(0)}, {key: kind(1)}],
        [{}, {key: kind(1)}],
        [{key: kind(1)}, {}],
    ]
    with h5r.Recording(write(tmp_path / "run.h5", infos, column)) as recording:
        stats = recording.stats()
    assert np.array_equal(stats.episodes.success, [0, 1, 1, np.nan], equal_nan=True)
    assert stats.success_rate == pytest.approx(2 / 3)


def test_of_both_keys_the_first_counts(tmp_path: Path) -> None:
    both = [[{"is_success": True, "success": False}], [{"is_success": False, "success": True}]]
    for name, column in (("text", {}), ("columns", {"is_success": True, "success": True}), ("one", {"success": True})):
        with h5r.Recording(write(tmp_path / f"{name}.h5", both, column)) as recording:
            assert recording.stats().episodes.success.tolist() == [1, 0], name


@pytest.mark.parametrize("value", ["yes", None, [1], np.array([1, 0])], ids=str)
def test_what_is_no_number_says_nothing(tmp_path: Path, value: Any) -> None:
    with h5r.Recording(write(tmp_path / "run.h5", [[{"success": value}]], {})) as recording:
        assert np.isnan(recording.stats().episodes.success).all()


def test_success_of_an_unfinished_episode_is_unknown(tmp_path: Path) -> None:
    with h5r.Recording(write(tmp_path / "run.h5", [[{"success": True}]], {}, ends=False)) as recording:
        stats = recording.stats()
    assert (stats.num_incomplete, stats.success_rate) == (1, None)


def test_recordings_without_infos_say_nothing(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(infos=None, extras=None)) as pen:
        pen.begin(pair(0))
        pen.step(pair(1), terminated=True)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.stats().success_rate is None


@pytest.mark.parametrize("column", [{}, {"success": np.zeros(1)}, {"success": np.zeros(())}], ids=str)
def test_an_array_of_one_number_says_it(tmp_path: Path, column: dict[str, Any]) -> None:
    value = np.ones_like(column.get("success", np.zeros(1)))
    with h5r.Recording(write(tmp_path / "run.h5", [[{"success": value}]], column)) as recording:
        assert recording.stats().success_rate == 1.0


@pytest.mark.parametrize("column", [{}, {"success": {"door": True}}], ids=["text", "column"])
def test_a_dict_under_the_key_says_nothing(tmp_path: Path, column: dict[str, Any]) -> None:
    with h5r.Recording(write(tmp_path / "run.h5", [[{"success": {"door": True}}]], column)) as recording:
        assert recording.stats().success_rate is None

"""Values whose types or bytes make no sense, that are not finite, or not in their space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from tests.maintenance.validation import STARTS, code_column, found, only_problem, record, spoiling
from tests.zoo import REWARDS, ZooEnv


def set_code(path: Path, name: str, row: int, code: int) -> None:
    column = code_column(path, name)
    with spoiling(path) as file:
        file["types"][row, column] = code


# Types ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("rewards", 0),
        ("rewards", 1),
        ("rewards", 6),
        ("rewards", 28),
        ("terminations", 2),
        ("observations", 0),
        ("observations", 1),
        ("observations/vector", 2),
        ("observations/words", 1),
        ("observations/choice", 0),
        ("actions", 3),
        ("infos/lives", 255),
        ("infos/lives", 2),
    ],
)
def test_a_type_code_that_a_value_cannot_have_is_found(name: str, code: int, path: Path) -> None:
    set_code(path, name, 3, code)
    assert ("type-code", f"/{name} row 3") in found(path)


def test_an_info_may_be_absent(path: Path) -> None:
    set_code(path, "infos/lives", 3, 0)
    assert found(path) == []


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("rewards", 0.5, 3), ("rewards", 0.5, 5), ("rewards", 0.1, 26), ("infos/lives", 300, 17), ("actions/0", 2, 5)],
)
def test_a_number_that_its_type_cannot_have_is_found(name: str, value: float, code: int, path: Path) -> None:
    set_code(path, name, 3, code)
    with spoiling(path) as file:
        file[name][3] = value
    assert ("type-code", f"/{name} row 3") in found(path)


def test_the_same_mistake_is_told_once_and_counted(path: Path) -> None:
    column = code_column(path, "observations/vector")
    with spoiling(path) as file:
        file["types"][:, column] = 9
    problem = only_problem(path)
    assert problem.place == "/observations/vector row 0"
    assert problem.message.endswith("; likewise 33 more rows")


# Padding -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rewards", "actions/0", "actions/2"])
def test_padding_that_is_not_zero_is_found(name: str, path: Path) -> None:
    with spoiling(path) as file:
        file[name][14] = 1
    assert found(path) == [("padding", f"/{name} row 14")]


@pytest.mark.parametrize("name", ["terminations", "dones"])
def test_flags_in_the_padding_are_found(name: str, path: Path) -> None:
    with spoiling(path) as file:
        file[name][14] = True
    assert ("padding", f"/{name} row 14") in found(path)


def test_nan_is_not_zero(path: Path) -> None:
    with spoiling(path) as file:
        file["rewards"][14] = np.nan
    assert found(path) == [("padding", "/rewards row 14")]


def test_text_in_the_padding_is_found(path: Path) -> None:
    with spoiling(path) as file:
        ends = file["actions/1/ends"]
        ends[14] = ends[13] + 1  # a character of the next action
        ends[15] = max(ends[14:16])
    assert ("padding", "/actions/1 row 14") in found(path)


def test_types_in_the_padding_are_found(path: Path) -> None:
    set_code(path, "rewards", 14, 4)
    assert found(path) == [("padding", "/types row 14")]


# Values that are decoded ---------------------------------------------------------------------------


def test_an_exception_that_is_missing_is_found(path: Path) -> None:
    set_code(path, "observations/vector", 3, 255)
    problem = only_problem(path)
    assert (problem.code, problem.place) == ("undecodable", "/observations/vector row 3")
    assert "/exceptions does not have it" in problem.message


def test_exceptions_that_are_no_json_are_found(path: Path) -> None:
    with spoiling(path) as file:
        file["exceptions/values"][0] = ord("!")
    assert found(path) == [("undecodable", "/rewards row 5")]


def test_infos_that_are_no_json_are_found(path: Path) -> None:
    with spoiling(path) as file:
        file["infos/json/values"][0] = ord("!")
    assert found(path) == [("undecodable", "/infos/json row 1")]


def test_text_that_is_no_utf_8_is_found(path: Path) -> None:
    with spoiling(path) as file:
        file["actions/1/values"][0] = 0xFF
    assert found(path) == [("undecodable", "/actions/1 row 0")]


def test_a_chunk_that_is_damaged_is_found_by_its_rows(path: Path) -> None:
    with spoiling(path) as file:
        file["observations/picture"].id.write_direct_chunk((16, 0, 0), b"no gzip at all")
    problem = only_problem(path)
    assert (problem.code, problem.place) == ("chunk-unreadable", "/observations/picture row 16")


def test_columns_are_read_even_if_nobody_knows_their_types(path: Path) -> None:
    with spoiling(path) as file:
        file["observations/picture"].id.write_direct_chunk((16, 0, 0), b"no gzip at all")
        del file["types"]
    assert found(path) == [("column-missing", "/types"), ("chunk-unreadable", "/observations/picture row 16")]


# What the environment gave and took ----------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["observations/vector", "actions/2"])
def test_numbers_that_are_not_finite_are_a_warning(name: str, value: float, path: Path) -> None:
    with spoiling(path) as file:
        file[name][3, 0] = value
        file[name][5, 1] = value
    problem = only_problem(path)
    assert (problem.code, problem.severity, problem.place) == ("not-finite", "warning", f"/{name} row 3")
    assert problem.message == f"it holds {value}; likewise 1 more row"


def test_a_reward_that_is_not_finite_is_a_warning(tmp_path: Path) -> None:
    env = ZooEnv(spaces.Discrete(2), rewards=[1.0, float("nan"), float("-inf")], infos=lambda step: {})
    problem = only_problem(record(tmp_path / "run.h5", env))
    assert (problem.code, problem.severity, problem.place) == ("not-finite", "warning", "/rewards row 1")


def test_values_of_varying_size_and_exceptions_are_looked_at_too(tmp_path: Path) -> None:
    space = spaces.Sequence(spaces.Box(-np.inf, np.inf, (2,), np.float64))
    path = record(tmp_path / "run.h5", ZooEnv(space, spaces.Discrete(2), REWARDS[:3], infos=lambda step: {}), (5,))
    assert found(path) == []
    with spoiling(path) as file:
        ends = file["observations/ends"][:]
        row = int(np.flatnonzero(np.diff(ends, prepend=0))[0])
        file["observations/values"][0, 1] = np.nan
    assert found(path) == [("not-finite", f"/observations row {row}")]


def test_infos_may_hold_whatever_they_like(tmp_path: Path) -> None:
    env = ZooEnv(spaces.Discrete(2), rewards=[1.0], infos=lambda step: {"x": float("nan"), "y": [float("inf")]})
    assert found(record(tmp_path / "run.h5", env)) == []


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("observations/vector", (3, 1), 1.5),
        ("observations/number", 3, 7),
        ("observations/number", 3, -3),
        ("observations/bits", (3, 0), 2),
        ("observations/grid", (3, 1), 4),
        ("actions/0", 3, -1),
        ("actions/2", (3, 1), -2.5),
    ],
)
def test_a_value_outside_its_space_is_a_warning(name: str, place: Any, value: float, path: Path) -> None:
    with spoiling(path) as file:
        file[name][place] = value
    problem = only_problem(path)
    assert (problem.code, problem.severity, problem.place) == ("out-of-space", "warning", f"/{name} row 3")
    assert "is not in" in problem.message


def test_text_outside_its_space_is_a_warning(path: Path) -> None:
    with spoiling(path) as file:
        file["actions/1/values"][0] = ord("!")
    assert found(path) == [("out-of-space", "/actions/1 row 0")]


class Stray(ZooEnv):
    """Gives one observation that its space does not have."""

    def __init__(self, stray: Any) -> None:
        super().__init__(
            spaces.Dict(a=spaces.Box(0, 1, (2,), np.float32)), spaces.Discrete(2), [1.0], infos=lambda _: {}
        )
        self._stray = stray

    def step(self, action: Any) -> Any:
        observation, *rest = super().step(action)
        return (self._stray if self._step == 3 else observation, *rest)


@pytest.mark.parametrize(
    ("stray", "place"),
    [
        ({"a": np.zeros(2, np.float64)}, "/observations/a row 3"),
        ({"a": "text"}, "/observations/a row 3"),
        ({"a": np.full(2, 3, np.float32)}, "/observations/a row 3"),
        ({"b": 1}, "/observations row 3"),
        (None, "/observations row 3"),
    ],
)
def test_a_value_of_another_type_is_outside_its_space(stray: Any, place: str, tmp_path: Path) -> None:
    path = record(tmp_path / "run.h5", Stray(stray), (5,))
    assert found(path) == [("out-of-space", place)]


def test_columns_that_follow_the_values_are_compared_with_the_space_all_the_same(tmp_path: Path) -> None:
    class Wide(Stray):
        def reset(self, **options: Any) -> Any:
            super().reset(**options)
            return {"a": np.zeros(3, np.float32)}, {}

        def step(self, action: Any) -> Any:
            _, *rest = super().step(action)
            return ({"a": np.zeros(3, np.float32)}, *rest)

    problem = only_problem(record(tmp_path / "run.h5", Wide(None), (5,)))
    assert (problem.code, problem.place) == ("out-of-space", "/observations/a row 0")
    assert problem.message.endswith("; likewise 5 more rows")


def test_without_a_space_nothing_is_outside_of_it(path: Path) -> None:
    with spoiling(path) as file:
        file["observations/number"][3] = 100
        file["metadata"].attrs["observation_space"] = "{}"
    assert [each.code for each in h5r.validate(path, deep=True)] == ["space-unreadable"]


def test_rows_are_looked_at_even_if_the_index_makes_no_sense(path: Path) -> None:
    with spoiling(path) as file:
        file["episodes/starts"][1] = 5
        file["observations/number"][STARTS[3]] = 100
    assert found(path) == [
        ("episode-span", "/episodes episode 1"),
        ("out-of-space", f"/observations/number row {STARTS[3]}"),
    ]

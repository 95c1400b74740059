"""Values whose types or bytes make no sense, that are not finite, or not in their space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.maintenance.validation import validator
from tests.maintenance.validation import STARTS, code_column, found, only_problem, record, spoiling
from tests.reading import damage_chunk
from tests.stacking import START, StackingEnv, record_stacks
from tests.treasures import DeepSea, record_treasures
from tests.zoo import REWARDS, ZooEnv


def set_code(path: Path, name: str, row: int, code: int) -> None:
    column = code_column(path, name)
    with spoiling(path) as file:
        file["types"][row, column] = code


# Types ---------------------------------------------------------------------------------------------


@pytest.mark.sampled(5)
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


def test_columns_are_read_even_if_their_types_are_not_known(path: Path) -> None:
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


# Extras --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"times": False}, {"infos": False, "checksum": True}])
def test_nothing_is_wrong_with_extras_and_times(options: Any, tmp_path: Path) -> None:
    assert found(record_treasures(tmp_path / "run.h5", **options)) == []


def test_extras_may_hold_whatever_they_like(tmp_path: Path) -> None:
    recorder = h5r.RecordToHDF5(DeepSea(), tmp_path / "run.h5", writer="inline")
    recorder.reset()
    for value in (0.5, float("nan"), "text", np.zeros(2), None):
        recorder.add_extras(value=value, other={"x": float("inf")})
        recorder.step(0)
    recorder.step(0)
    recorder.close()
    assert found(tmp_path / "run.h5") == []


@pytest.mark.parametrize(
    ("name", "code"), [("extras/log_prob", 1), ("extras/log_prob", 255), ("extras/values", 4), ("extras/values", 255)]
)
def test_a_type_code_that_extras_cannot_have_is_found(name: str, code: int, treasures: Path) -> None:
    set_code(treasures, name, 2, code)
    assert found(treasures) == [("type-code", f"/{name} row 2")]


def test_extras_may_be_absent(treasures: Path) -> None:
    set_code(treasures, "extras/log_prob", 3, 0)
    assert found(treasures) == []


@pytest.mark.parametrize("name", ["extras/log_prob", "extras/values"])
def test_extras_in_the_padding_are_found(name: str, treasures: Path) -> None:
    with spoiling(treasures) as file:
        file[name][9] = 1
    assert found(treasures) == [("padding", f"/{name} row 9")]


def test_types_of_extras_in_the_padding_are_found(treasures: Path) -> None:
    set_code(treasures, "extras/log_prob", 9, 4)
    assert found(treasures) == [("padding", "/types row 9")]


def test_text_of_extras_in_the_padding_is_found(treasures: Path) -> None:
    with spoiling(treasures) as file:
        ends = file["extras/json/ends"]
        ends[7:9] = ends[6]  # the text of row 7 belongs to the last row now
    assert ("padding", "/extras/json row 9") in found(treasures)


@pytest.mark.parametrize(
    ("text", "reason"), [(b"!", "/extras/json row 1 is no tagged JSON"), (b"[1]", "[1] is not an object")]
)
def test_extras_that_are_no_json_object_are_found(text: bytes, reason: str, treasures: Path) -> None:
    with spoiling(treasures) as file:
        stop = int(file["extras/json/ends"][1])
        file["extras/json/values"][:stop] = np.frombuffer(text.ljust(stop), np.uint8)
    problem = only_problem(treasures)
    assert (problem.code, problem.place) == ("undecodable", "/extras/json row 1")
    assert reason in problem.message


def test_ends_of_extras_that_go_back_are_found(treasures: Path) -> None:
    with spoiling(treasures) as file:
        file["extras/json/ends"][4] = 0
    assert found(treasures)[0] == ("ragged", "/extras/json/ends row 4")


# Times ---------------------------------------------------------------------------------------------


def test_a_time_before_the_one_before_it_is_a_warning(treasures: Path) -> None:
    with spoiling(treasures) as file:
        file["times"][:] = 5 * np.arange(len(file["times"]))
        file["times"][6:8] = 21, 20
    problem = only_problem(treasures)
    assert (problem.severity, problem.code, problem.place) == ("warning", "time-order", "/times row 6")
    assert problem.message == "it is 21 ns, less than the 25 ns before it; likewise 1 more row"
    assert problem.remedy == "Do not compute with the times of these rows; nothing else depends on /times."


def test_times_may_stand_still(treasures: Path) -> None:
    with spoiling(treasures) as file:
        file["times"][:] = 0
    assert found(treasures) == []


def test_no_row_came_before_the_recording_began(treasures: Path) -> None:
    with spoiling(treasures) as file:
        file["times"][0] = -1
    assert only_problem(treasures).message == "it is -1 ns, less than the 0 ns before it"


def test_times_are_compared_across_blocks(treasures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validator, "_MAX_BLOCK_ROWS", 4)
    with spoiling(treasures) as file:
        file["times"][7:9] = 1 << 62, 0
    assert [place for _, place in found(treasures)] == ["/times row 8"]


# Stacks --------------------------------------------------------------------------------------------


def record_floats(path: Path, script: tuple[str, ...] = (*START, *["slide"] * 9), nest: str = "") -> Path:
    """Stacks of four frames that are all finite."""
    record_stacks(path, script, StackingEnv(4, np.int16, nest), writer="inline")
    return path


def test_a_frame_that_is_not_finite_is_in_all_stacks_that_have_it(tmp_path: Path) -> None:
    record_stacks(tmp_path / "run.h5", (*START, *["slide"] * 9), FiniteStacks(4, np.float32), writer="inline")
    assert found(tmp_path / "run.h5") == []
    with spoiling(tmp_path / "run.h5") as file:
        file["observations/newest"][5, 1, 7] = np.nan
    problem = only_problem(tmp_path / "run.h5")
    assert (problem.code, problem.place) == ("not-finite", "/observations row 5")
    assert problem.message == "it holds nan; likewise 3 more rows"


class FiniteStacks(StackingEnv):
    """Of ones and zeros."""

    def _jump(self) -> np.ndarray:
        return np.isfinite(super()._jump()).astype(np.float32)


@pytest.mark.parametrize("block_rows", [1, 4, 1 << 14])
def test_a_stack_outside_of_its_space_is_found(
    block_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validator, "_MAX_BLOCK_ROWS", block_rows)
    env = StackingEnv(3, nest="tuple")
    env.observation_space = spaces.Tuple((spaces.Box(0, 254, (3, 2, 512), np.uint8), spaces.Discrete(3)))
    script = ("reset slide", "slide", *["slide"] * 20, "reset slide", "jump", "slide")
    episodes = record_stacks(tmp_path / "run.h5", script, env, writer="inline")
    stacks = [each[0] for episode in episodes for each in episode]
    outside = [row for row, stack in enumerate(stacks) if stack.max() == 255]
    problem = only_problem(tmp_path / "run.h5")
    assert (problem.code, problem.place) == ("out-of-space", f"/observations/0 row {outside[0]}")
    assert problem.message.endswith(f"; likewise {len(outside) - 1} more rows")


@pytest.mark.parametrize(("name", "item", "row"), [("newest", 5, 0), ("newest", 70, 64), ("earlier/values", 2, None)])
def test_a_frame_that_has_changed_does_not_match_its_checksum(
    name: str, item: int, row: int | None, tmp_path: Path
) -> None:
    record_stacks(tmp_path / "run.h5", (*START, *["slide"] * 80, "jump", "slide"), writer="inline", checksum=True)
    assert found(tmp_path / "run.h5") == []
    with spoiling(tmp_path / "run.h5") as file:
        file[f"observations/{name}"][item, 1, 300] ^= 1
    assert found(tmp_path / "run.h5", deep=False) == []
    place = f"/observations/{name} {'item 0' if row is None else f'row {row}'}"
    assert found(tmp_path / "run.h5") == [("checksum", place)]


def test_frames_that_cannot_be_read_are_found(tmp_path: Path) -> None:
    path = record_floats(tmp_path / "run.h5", (*START, *["slide"] * 200, "jump", "slide"))
    with h5py.File(path) as file:
        rows = file["observations/newest"].chunks[0]
    damage_chunk(path, "observations/newest", lambda data: b"damaged", chunk=1)
    assert found(path) == [("chunk-unreadable", f"/observations/newest row {rows}")]


def test_earlier_frames_that_cannot_be_read_are_found_in_the_rows_that_need_them(tmp_path: Path) -> None:
    path = record_floats(tmp_path / "run.h5", (*START, *["slide"] * 9, "jump", *["slide"] * 5))
    with spoiling(path) as file:
        file["observations/earlier/values"].resize(5, axis=0)
    codes = [code for code, _ in found(path)]
    assert "column-short" in codes

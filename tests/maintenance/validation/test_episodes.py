"""Episodes that say something else than the rows they are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.maintenance.validation import validator
from tests.maintenance.validation import LAST_ROWS, STARTS, found, only_problem, record, spoiling
from tests.writing import Pen, make_schema, pair
from tests.zoo import REWARDS, ZooEnv


@pytest.fixture(params=[1, 4, 1 << 14])
def _block_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many rows are looked at together: nothing depends on it."""
    monkeypatch.setattr(validator, "_MAX_BLOCK_ROWS", request.param)


of_any_block_size = pytest.mark.usefixtures("_block_rows")


@of_any_block_size
def test_a_good_recording_is_good(path: Path) -> None:
    assert found(path) == []


# Flags ---------------------------------------------------------------------------------------------


def test_a_done_that_is_not_terminated_or_truncated_is_found(path: Path) -> None:
    with spoiling(path) as file:
        file["dones"][LAST_ROWS[0] - 1] = False
    problem = only_problem(path)
    assert (problem.code, problem.place) == ("dones", f"/dones row {LAST_ROWS[0] - 1}")
    assert problem.message == "it is False, but terminated or truncated is True"


@of_any_block_size
def test_an_episode_that_goes_on_after_its_end_is_found(path: Path) -> None:
    with spoiling(path) as file:
        file["truncations"][3] = file["dones"][3] = True
    assert found(path) == [("done-early", "/dones row 3")]


@pytest.mark.parametrize("name", ["terminated", "truncated", "complete"])
@pytest.mark.parametrize("episode", [0, 1, 2])
def test_flags_that_are_not_those_of_the_last_step_are_found(name: str, episode: int, path: Path) -> None:
    with spoiling(path) as file:
        flags = file[f"episodes/{name}"]
        flags[episode] = not flags[episode]
    problem = only_problem(path)
    assert (problem.code, problem.place) == ("episode-flags", f"/episodes/{name} episode {episode}")


@of_any_block_size
def test_a_last_step_that_the_index_does_not_know_of_is_found(path: Path) -> None:
    with spoiling(path) as file:
        file["truncations"][LAST_ROWS[1] - 1] = file["dones"][LAST_ROWS[1] - 1] = True
    assert found(path) == [
        ("episode-flags", "/episodes/truncated episode 1"),
        ("episode-flags", "/episodes/complete episode 1"),
    ]


# Returns -------------------------------------------------------------------------------------------


@pytest.mark.sampled(5)
@pytest.mark.parametrize("episode", [0, 3, 4])
@of_any_block_size
def test_a_return_that_is_not_the_sum_of_the_rewards_is_found(episode: int, path: Path) -> None:
    with spoiling(path) as file:
        returns = file["episodes/returns"]
        returns[episode] = np.nextafter(returns[episode], np.inf)  # a single bit
    problem = only_problem(path)
    assert (problem.code, problem.place) == ("episode-return", f"/episodes/returns episode {episode}")


@of_any_block_size
def test_a_reward_that_was_changed_is_found(path: Path) -> None:
    with spoiling(path) as file:
        file["rewards"][STARTS[1] + 3] = 100
    assert ("episode-return", "/episodes/returns episode 1") in found(path)


def test_returns_of_nan_are_compared_as_such(tmp_path: Path) -> None:
    path = record(
        tmp_path / "run.h5", ZooEnv(spaces.Discrete(2), rewards=REWARDS, infos=lambda _: {}, length=15), (15, 3)
    )
    assert [code for code, _ in found(path)] == ["not-finite"]
    with spoiling(path) as file:
        assert np.isnan(file["episodes/returns"][0])
        file["episodes/returns"][0] = 1.0
    assert ("episode-return", "/episodes/returns episode 0") in found(path)


def test_returns_are_unknown_where_the_rewards_cannot_be_read(path: Path) -> None:
    with spoiling(path) as file:
        del file["truncations"]
        file["episodes/returns"][1] = 0.5
    assert found(path) == [("column-missing", "/truncations"), ("episode-return", "/episodes/returns episode 1")]


def test_a_return_of_rewards_that_are_no_numbers_is_nan(tmp_path: Path) -> None:
    path = record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(2), rewards=[1.0, "much", 2.0]), (9, 1))
    with h5r.Recording(path) as recording:
        assert recording.returns.tolist() == [pytest.approx(np.nan, nan_ok=True), 1.0]
    assert found(path) == []
    with spoiling(path) as file:
        file["episodes/returns"][0] = 3.0
    assert only_problem(path).message == "it is 3.0, the rewards add up to nan"


# How episodes began --------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value", "code"), [("seeds", -3, "episode-seed"), ("ids", -1, "episode-id")])
def test_numbers_that_there_are_not_are_found(name: str, value: int, code: str, path: Path) -> None:
    with spoiling(path) as file:
        file[f"episodes/{name}"][2] = value
    problem = only_problem(path)
    assert (problem.code, problem.place) == (code, f"/episodes/{name} episode 2")
    assert f"it is {value}" in problem.message


@pytest.mark.parametrize(("episode", "origin"), [(1, 4), (1, 255), (0, 2), (1, 2)])
def test_an_origin_that_there_is_not_or_that_the_rows_contradict_is_found(
    episode: int, origin: int, path: Path
) -> None:
    with spoiling(path) as file:
        file["episodes/origins"][episode] = origin
    assert found(path) == [("episode-origin", f"/episodes/origins episode {episode}")]


@of_any_block_size
def test_an_agent_that_goes_on_after_the_end_is_fine(tmp_path: Path) -> None:
    class Endless(ZooEnv):
        def reset(self, **options: Any) -> Any:
            super().reset(**options)
            self.action_space.seed(0)
            return self.observation_space.sample(), self._infos(0)

    env = Endless(spaces.Box(0, 1, (2,), np.float32), spaces.Discrete(2), rewards=[1.0], length=3)
    recorder = h5r.RecordToHDF5(env, tmp_path / "run.h5", writer="inline")
    recorder.reset(seed=0)
    for _ in range(8):
        recorder.step(0)
    recorder.close()
    path = tmp_path / "run.h5"
    with spoiling(path) as file:
        assert file["episodes/origins"][:].tolist() == [0, 2, 2]
    assert found(path) == []
    with spoiling(path) as file:
        file["observations"][4, 0] = 0.123
    assert found(path) == [("episode-origin", "/episodes/origins episode 1")]


@pytest.mark.parametrize("text", [b'{"options":!', b"[]", b'"' + b"x" * 20])
def test_json_that_is_none_is_found(text: bytes, path: Path) -> None:
    with spoiling(path) as file:
        values, ends = file["episodes/json/values"], file["episodes/json/ends"]
        start = int(ends[0])
        room = int(ends[1]) - start
        values[start : start + room] = np.frombuffer(text[:room].ljust(room), np.uint8)
    problem = only_problem(path)
    assert (problem.code, problem.place) == ("episode-json", "/episodes/json episode 1")


def test_ends_of_json_that_make_no_sense_are_found(path: Path) -> None:
    with spoiling(path) as file:
        file["episodes/json/ends"][2] = -1
    assert ("ragged", "/episodes/json/ends episode 2") in found(path)


def test_a_seed_that_is_missing_in_the_json_is_found(path: Path) -> None:
    with spoiling(path) as file:
        file["episodes/seeds"][2] = -2
    assert found(path) == [("episode-json", "/episodes/json episode 2")]


@of_any_block_size
def test_large_seeds_and_options_are_fine(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", make_schema(infos=None)) as pen:
        for seed, options in ((2**70, None), (3, {"text": "x" * 3_000_000}), (None, {"a": (1, 2)}), (4, {})):
            pen.begin(pair(0), seed=seed, options=options)
            pen.step(pair(1), terminated=True)
    assert found(tmp_path / "run.h5") == [("metadata-incomplete", "/metadata")]

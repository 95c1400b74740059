"""The running episodes of lanes: what their entries say, however the runs are cut."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from gym_h5record.format.names import Origin, RowFlag
from gym_h5record.writing.lane_episodes import COLUMNS, EpisodeTable, LaneEpisodes, RunOfLanes
from gym_h5record.writing.lane_rows import find_lane_rows
from gym_h5record.writing.row_writer import begin_json

F, L, FL, NONE = RowFlag.FIRST, RowFlag.LAST, RowFlag.FIRST | RowFlag.LAST, RowFlag.ABSENT


class Lanes(LaneEpisodes):
    """Lanes whose rewards are 1, 10, 100, ... and whose step before every last row terminates in even lanes."""

    def __init__(self, count: int, *, shape: tuple[int, ...] = ()) -> None:
        super().__init__(np.zeros(count, np.int64), np.zeros(shape))
        self.shape = shape
        self.table = EpisodeTable()

    def take(self, *flags: list[int], begins: dict[int, Any] | None = None, rewards: Any = None) -> None:
        """Go on by a run with these flags of each lane; all of its rows are released."""
        rows = find_lane_rows(np.array(flags, np.uint8).T, 0, self.rows.copy(), self.starts)
        terms = 10.0**rows.rows if rewards is None else np.asarray(rewards)
        ends = np.zeros((len(rows.rows), 2), np.bool_)
        ends[:-1, 0] = rows.is_last[1:] & (rows.lanes[1:] % 2 == 0)
        ends[:-1, 1] = rows.is_last[1:] & (rows.lanes[1:] % 2 == 1)
        bounds = np.searchsorted(rows.lanes, np.arange(len(self.rows) + 1))
        events = np.flatnonzero(rows.is_last | ((rows.flags & F) != 0))
        run = RunOfLanes(rows, terms.reshape(-1, *self.shape), ends, begins or {})
        self.advance(run, bounds[:-1], bounds[1:], events, self.table)

    def entries(self, *names: str) -> list[tuple[Any, ...]]:
        """These columns of the episodes that have ended."""
        return list(zip(*(self.table.column(name).tolist() for name in names), strict=True))


def begun(seed: int, number: int) -> dict[str, Any]:
    return begin_json(seed, {"level": seed}, Origin.RESET, number)


each_way = pytest.mark.parametrize("is_bare", [True, False], ids=["together", "one by one"])
"""Whether the episodes begin with nothing to keep: they are then taken together."""


def begins_of(is_bare: bool, *positions: int) -> dict[int, Any]:
    return {} if is_bare else {at: begun(at, at) for at in positions}


@each_way
def test_an_episode_has_its_lane_its_rows_and_the_sum_of_its_rewards(is_bare: bool) -> None:
    lanes = Lanes(2)
    lanes.take([F, 0, L, F], [F, L, F, 0], begins=begins_of(is_bare, 0, 3, 4, 6))
    assert lanes.entries("envs", "starts", "lengths", "returns") == [(0, 0, 2, 11), (1, 0, 1, 1)]
    assert lanes.entries("terminated", "truncated", "complete") == [(True, False, True), (False, True, True)]
    assert lanes.starts.tolist() == [3, 2]
    assert lanes.rows.tolist() == [4, 4]


@each_way
def test_several_episodes_of_a_lane_may_end_in_a_run(is_bare: bool) -> None:
    lanes = Lanes(1)
    lanes.take([F, 0, L, FL, F, L, F], begins=begins_of(is_bare, 0, 3, 4, 6))
    assert lanes.entries("starts", "lengths", "returns") == [(0, 2, 11), (3, 0, 0), (4, 1, 10_000)]


@each_way
def test_an_episode_without_steps_is_not_complete(is_bare: bool) -> None:
    lanes = Lanes(1)
    lanes.take([F, L, FL, F], begins=begins_of(is_bare, 0, 2, 3))
    assert lanes.entries("terminated", "truncated", "complete")[1] == (False, False, False)


@each_way
def test_an_episode_that_the_next_reset_ends_is_told_by_its_first_row(is_bare: bool) -> None:
    lanes = Lanes(1)
    lanes.take([F, 0, F, 0], begins=begins_of(is_bare, 0, 2))
    assert lanes.entries("starts", "lengths") == [(0, 1)]
    assert lanes.starts.tolist() == [2]


@each_way
@pytest.mark.parametrize("cut", range(1, 8))
def test_a_cut_at_any_row_changes_nothing(cut: int, is_bare: bool) -> None:
    flags = [F, 0, 0, L, F, 0, L, F]
    lanes = Lanes(2)
    first, second = flags[:cut], flags[cut:]
    for part, at in ((first, 0), (second, cut)):
        begins = [each for each in (0, 4, 7) if at <= each < at + len(part)]
        positions = [each - at for each in begins] + [each - at + len(part) for each in begins]
        lanes.take(part, part, begins=begins_of(is_bare, *positions))
    expected = [(lane, *each) for lane in (0, 1) for each in ((0, 3, 111), (4, 2, 110_000))]
    assert sorted(lanes.entries("envs", "starts", "lengths", "returns")) == expected
    assert lanes.starts.tolist() == [7, 7]


def test_the_flags_of_a_step_before_the_run_are_known() -> None:
    lanes = Lanes(1)
    lanes.take([F, 0])
    lanes.ended_by[0] = [False, True]  # the step from the last row, which leads to the next run
    lanes.take([L])
    assert lanes.entries("terminated", "truncated", "complete") == [(False, True, True)]


# How episodes begin -------------------------------------------------------------------------------


def test_an_episode_has_the_seed_the_id_and_the_options_of_its_reset() -> None:
    lanes = Lanes(2)
    lanes.take([F, L], [F, L], begins={0: begun(5, 8), 2: begun(6, 9)})
    assert lanes.entries("seeds", "ids", "origins") == [(5, 8, Origin.RESET), (6, 9, Origin.RESET)]
    assert lanes.table.texts == [b'{"options":{"level":5}}', b'{"options":{"level":6}}']


def test_an_autoreset_counts_the_id_on_and_has_no_seed() -> None:
    lanes = Lanes(1)
    lanes.take([F, L], begins={0: begun(5, 8)})
    lanes.take([F, L, F, L])
    assert lanes.entries("seeds", "ids", "origins") == [
        (5, 8, Origin.RESET),
        (-1, 9, Origin.AUTORESET),
        (-1, 10, Origin.AUTORESET),
    ]
    assert lanes.table.texts[1:] == [b"{}", b"{}"]


def test_resets_with_and_without_something_to_keep_may_be_in_one_run() -> None:
    lanes = Lanes(2)
    lanes.take([F, L, F, L], [F, L, F, L], begins={0: begun(5, 8), 6: begun(6, 9)})
    assert lanes.entries("envs", "seeds", "ids") == [(0, 5, 8), (0, -1, 9), (1, -1, 0), (1, 6, 9)]


def test_entries_of_running_episodes_say_how_they_began() -> None:
    lanes = Lanes(3)
    lanes.take([F, 0, 0], [F, L, NONE], [NONE, F, 0], begins={0: begun(5, 8), 3: begun(6, 9), 5: begun(7, 10)})
    table = EpisodeTable()
    assert lanes.running(table) == 2
    columns = {name: table.column(name).tolist() for name in COLUMNS}
    assert (columns["envs"], columns["starts"], columns["lengths"]) == ([0, 2], [0, 0], [2, 1])
    assert (columns["seeds"], columns["ids"], columns["complete"]) == ([5, 7], [8, 10], [False, False])
    assert table.texts == [b'{"options":{"level":5}}', b'{"options":{"level":7}}']


def test_entries_of_running_episodes_have_no_return_even_if_a_reward_was_infinite() -> None:
    lanes = Lanes(1)
    lanes.take([F, 0, 0], rewards=[math.inf, -math.inf, 0])
    table = EpisodeTable()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lanes.running(table)
    assert table.column("returns").tolist() == [0]


# Going back and ahead -----------------------------------------------------------------------------


def test_a_dropped_episode_begins_again_at_its_first_row() -> None:
    lanes = Lanes(2)
    lanes.take([F, L, F, 0], [F, 0, 0, 0])
    lanes.drop(0)
    assert (lanes.rows.tolist(), lanes.starts.tolist()) == ([2, 4], [2, 0])
    lanes.take([F, L], [0, L])
    assert lanes.entries("envs", "starts", "lengths", "returns")[1:] == [(0, 2, 1, 100), (1, 0, 5, 11_111)]


def test_a_copy_goes_on_by_itself() -> None:
    lanes = Lanes(1)
    lanes.take([F, 0], begins={0: begun(5, 8)})
    ahead, before = lanes.copy(), lanes.table
    rows = find_lane_rows(np.array([[0], [L], [F]], np.uint8), 0, np.array([2]), np.array([0]))
    ended = EpisodeTable()
    run = RunOfLanes(rows, np.ones(3), np.zeros((3, 2), np.bool_), {2: begun(6, 9)})
    ahead.advance(run, np.array([0]), np.array([3]), np.array([1, 2]), ended)
    assert len(ended) == 1
    assert (lanes.rows.tolist(), lanes.starts.tolist(), lanes.totals.tolist()) == ([2], [0], [11])
    assert (lanes.begins["seeds"].tolist(), lanes.texts) == ([5], {0: b'{"options":{"level":5}}'})
    assert len(before) == 0


# Sums ----------------------------------------------------------------------------------------------


@each_way
@pytest.mark.parametrize("count", [10, 500], ids=["short", "long"])
def test_rewards_are_added_one_by_one_in_every_lane(count: int, is_bare: bool) -> None:
    """``numpy.sum`` adds pairs, which rounds differently."""
    rewards = np.random.default_rng(0).normal(size=3 * (count + 1)) * 10.0 ** np.arange(3 * (count + 1)).clip(0, 9)
    lanes, flags = Lanes(3), [F, *[0] * (count - 1), L]
    lanes.take(flags, flags, flags, rewards=rewards, begins=begins_of(is_bare, 0, count + 1, 2 * count + 2))
    expected = [sum(each[:-1].tolist(), 0.0) for each in rewards.reshape(3, -1)]
    assert lanes.entries("returns") == [(each,) for each in expected]


@each_way
def test_rewards_that_are_arrays_are_added_part_by_part(is_bare: bool) -> None:
    lanes, rewards = Lanes(2, shape=(2,)), [[1, 2], [10, 20], [9, 9], [3, 4], [9, 9], [9, 9]]
    lanes.take([F, 0, L], [F, L, F], rewards=np.array(rewards, float), begins=begins_of(is_bare, 0, 3, 5))
    assert lanes.table.column("returns").tolist() == [[11, 22], [3, 4]]


def test_a_sum_that_overflows_is_infinite_without_a_warning() -> None:
    lanes = Lanes(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lanes.take([F, 0, L], rewards=[1e308, 1e308, 0])
    assert lanes.entries("returns") == [(math.inf,)]


# Tables --------------------------------------------------------------------------------------------


def test_a_table_may_be_put_in_another_order() -> None:
    lanes = Lanes(2)
    lanes.take([F, L], [F, L], begins={0: begun(5, 8), 2: begun(6, 9)})
    table = lanes.table.ordered(np.array([1, 0]))
    assert table.column("envs").tolist() == [1, 0]
    assert table.texts == [b'{"options":{"level":6}}', b'{"options":{"level":5}}']
    assert len(table) == 2


def test_an_empty_table_has_columns_without_entries() -> None:
    table = EpisodeTable().ordered(np.empty(0, np.int64))
    assert len(table) == 0
    assert {name: table.column(name).dtype for name in COLUMNS} == COLUMNS
    assert COLUMNS["envs"] == np.int64

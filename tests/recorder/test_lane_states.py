"""How the episode of each lane stands."""

from __future__ import annotations

from typing import Any

import numpy as np

from gym_h5record.format.names import Origin
from gym_h5record.recorder.episode_summary import EpisodeSummary
from gym_h5record.recorder.lane_states import LaneStates
from gym_h5record.recorder.lane_stream import VectorStep
from gym_h5record.recorder.triggers import Schedule
from gym_h5record.values.exact import identical
from gym_h5record.writing.batch_rows import BatchRows
from gym_h5record.writing.row_writer import begin_json


def states(count: int = 3, keep: Any = None, trigger: Any = None) -> LaneStates:
    return LaneStates([Schedule(trigger) for _ in range(count)], keep)


def begun(found: LaneStates, *lanes: int, infos: Any = None, seeds: Any = None) -> LaneStates:
    """Begin episodes as a reset does."""
    recorded = found.reset(list(lanes))
    begins = {lane: begin_json((seeds or {}).get(lane), None, Origin.RESET, 0) for lane in recorded}
    found.begin(begins, {} if infos is None else infos)
    return found


def step(
    stepped: list[int],
    rewards: list[float],
    ended: list[int] = (),
    infos: Any = None,
    finals: Any = None,  # type: ignore[assignment]
) -> VectorStep:
    count = len(rewards)
    terminations = np.isin(np.arange(count), ended)
    rows = BatchRows(None, {} if infos is None else infos)
    flags, none = np.zeros(count, np.uint8), np.zeros(count, np.bool_)
    return VectorStep(np.array(rewards), terminations, none, rows, flags, stepped, None, finals or {}, {})


def lanes(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(mask).tolist()  # type: ignore[no-any-return]


def test_before_the_first_reset_all_are_over_and_nothing_is_recorded() -> None:
    found = states()
    assert (lanes(found.is_over), lanes(found.is_recording), lanes(found.can_discard)) == ([0, 1, 2], [], [])
    assert found.running() == []
    assert [found.episode_id(lane) for lane in range(3)] == [-1, -1, -1]


def test_a_reset_begins_episodes_in_its_lanes_only() -> None:
    found = begun(states(), 0, 2)
    assert (found.running(), lanes(found.is_over), lanes(found.can_discard)) == ([0, 2], [1], [0, 2])
    assert [found.episode_id(lane) for lane in range(3)] == [0, -1, 0]


def test_a_reset_of_no_lane_changes_nothing() -> None:
    found = begun(states(), 0)
    assert found.reset([]) == []
    assert found.begin_by_itself({}, {}) == {}
    assert (found.running(), found.episode_id(0)) == ([0], 0)


def test_triggers_are_asked_about_the_episodes_of_each_lane() -> None:
    found = states(trigger=lambda number: number == 1)
    assert not found.records_everything
    assert found.reset([0, 1]) == []
    assert found.reset([1, 2]) == [1]
    assert lanes(found.is_recording) == [1]
    assert found.reset([1]) == []
    assert lanes(found.is_recording) == []


def test_an_autoreset_has_nothing_to_keep_unless_it_has_a_snapshot() -> None:
    found = begun(states(), 0, 1, 2)
    assert found.begin_by_itself({0: {}, 2: {}}, {}) == {0: None, 2: None}
    begins = found.begin_by_itself({1: {"mine": b"x"}}, {})
    assert begins[1] is not None
    assert begins[1]["columns"] == {"seeds": -1, "ids": 1, "origins": Origin.AUTORESET}
    assert begins[1]["snapshot"] == {"mine": b"x"}
    assert found.running() == [0, 1, 2]


def test_an_autoreset_says_how_many_there_were_after_a_discarded_episode_and_where_a_trigger_left_some_out() -> None:
    found = begun(states(), 0, 1)
    found.discard([0])
    first = found.begin_by_itself({0: {}}, {})[0]
    assert first is not None
    assert first["columns"]["ids"] == 1
    assert found.begin_by_itself({0: {}}, {}) == {0: None}
    some = states(trigger=lambda number: number == 1)
    begun(some, 0)
    later = some.begin_by_itself({0: {}}, {})[0]
    assert later is not None
    assert later["columns"]["ids"] == 1


def test_a_step_trigger_does_not_make_an_environment_go_on_that_is_over() -> None:
    found = begun(states(), 0, 1)
    found.is_over[1] = True
    found.begin({1: begin_json(None, None, Origin.STEP_TRIGGER, 0)}, {})
    assert lanes(found.is_over) == [1, 2]


def test_a_discarded_episode_is_not_recorded_and_not_discarded_twice() -> None:
    found = begun(states(), 0, 1)
    found.discard([0])
    assert (lanes(found.is_recording), lanes(found.can_discard)) == ([1], [1])


def test_after_an_error_nothing_is_recorded_or_discarded_or_asked_about() -> None:
    asked: list[Any] = []
    found = begun(states(keep=lambda summary: asked.append(summary)), 0, 1)
    found.lose_track()
    assert (found.running(), lanes(found.can_discard), found.unwanted(), asked) == ([], [], [], [])


# ``keep`` ------------------------------------------------------------------------------------------


class Asked:
    """Wants episodes of at least two steps."""

    def __init__(self) -> None:
        self.summaries: list[EpisodeSummary] = []

    def __call__(self, summary: EpisodeSummary) -> bool:
        self.summaries.append(summary)
        return summary.length >= 2


def test_keep_is_asked_once_about_each_lane_with_what_its_steps_added_up_to() -> None:
    asked = Asked()
    found = begun(states(keep=asked), 0, 1, seeds={1: 5})
    found.add_up(step([0, 1], [0.5, 1.0, 9.0]))
    found.add_up(step([1], [9.0, 2.0, 9.0], ended=[1], infos={"n": np.array([1, 2, 3])}))
    assert found.unwanted([1, 0, 2]) == [0]
    assert found.unwanted() == []
    second, first = asked.summaries
    assert (first.length, first.total_reward, first.complete, first.seed) == (1, 0.5, False, None)
    assert (second.length, second.total_reward, second.terminated, second.seed) == (2, 3.0, True, 5)
    assert identical(second.last_info, {"n": np.int64(2)})


def test_the_last_info_of_a_lane_that_was_reset_since_is_its_final_one() -> None:
    asked = Asked()
    found = begun(states(keep=asked), 0)
    found.add_up(step([0], [1.0, 0, 0], ended=[0], infos={"n": np.zeros(3)}, finals={0: (None, {"n": 7})}))
    found.unwanted([0])
    assert asked.summaries[0].last_info == {"n": 7}


def test_an_episode_without_steps_has_the_info_of_its_reset_by_the_caller_or_by_itself() -> None:
    asked = Asked()
    found = begun(states(keep=asked), 0, infos={"n": np.arange(3)})
    found.begin_by_itself({1: {}}, {"n": np.arange(3)})
    assert found.unwanted() == [0, 1]
    assert identical([each.last_info for each in asked.summaries], [{"n": np.int64(0)}, {"n": np.int64(1)}])


def test_an_episode_that_cannot_be_discarded_any_more_is_not_unwanted() -> None:
    found = begun(states(keep=Asked()), 0)
    found.can_discard[0] = False
    assert found.unwanted() == []


def test_without_keep_every_episode_is_wanted() -> None:
    found = begun(states(), 0)
    assert not found.has_keep
    assert found.unwanted() == []

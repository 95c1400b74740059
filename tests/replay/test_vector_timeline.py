"""The resets and steps of a vector environment are found from the episodes of its lanes."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from gym_h5record.errors import NotReplayableError
from gym_h5record.format.names import Origin
from gym_h5record.replay.vector_timeline import LanesReset, sessions_of, timeline

NEXT_STEP, SAME_STEP, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED


@dataclass
class Told:
    """What the timeline asks of an episode. Its rows come at the seconds ``times``."""

    number: int
    episode_id: int
    length: int
    origin: Origin = Origin.RESET
    complete: bool = True
    times: Any = None
    env: int = 0


def lane(*episodes: tuple[int, Origin], times: Any = None, first_id: int = 0) -> Any:
    """The episodes of a lane, from lengths and origins. Only the last one is incomplete."""
    return [
        Told(place, first_id + place, length, origin, place + 1 < len(episodes), times and np.array(times[place]))
        for place, (length, origin) in enumerate(episodes)
    ]


def told(lanes: Any, mode: AutoresetMode) -> list[str]:
    """The timeline in short: ``R`` a reset, ``S`` a step, with ``lane:episode`` for begun episodes and steps."""
    found = []
    for event in timeline(lanes, mode):
        begun = [f"{number}:{episode.number}" for number, episode in event.begun.items()]
        if isinstance(event, LanesReset):
            found.append(f"R{'all' if event.is_full else ''} {' '.join(begun)}")
        else:
            stepped = [f"{number}.{step}" for number, (_, step) in event.stepped.items()]
            found.append("S " + " ".join(stepped) + "".join(f" +{each}" for each in begun))
    return found


RESET, AUTORESET = Origin.RESET, Origin.AUTORESET


def test_in_next_step_mode_the_step_after_an_end_resets_and_steps_nothing() -> None:
    lanes = [lane((1, RESET), (1, AUTORESET)), lane((3, RESET))]
    assert told(lanes, NEXT_STEP) == ["Rall 0:0 1:0", "S 0.0 1.0", "S 1.1 +0:1", "S 0.0 1.2"]


def test_in_same_step_mode_the_step_that_ends_an_episode_begins_the_next() -> None:
    lanes = [lane((1, RESET), (2, AUTORESET)), lane((3, RESET))]
    assert told(lanes, SAME_STEP) == ["Rall 0:0 1:0", "S 0.0 1.0 +0:1", "S 0.0 1.1", "S 0.1 1.2"]


def test_a_reset_of_some_lanes_comes_before_the_next_step() -> None:
    lanes = [lane((1, RESET), (1, RESET)), lane((2, RESET))]
    assert told(lanes, DISABLED) == ["Rall 0:0 1:0", "S 0.0 1.0", "R 0:1", "S 0.0 1.1"]


def test_the_times_say_that_a_lane_waited_for_a_reset_of_all() -> None:
    lanes = [
        lane((1, RESET), (1, RESET), times=[[0, 1], [3, 4]]),
        lane((2, RESET), (1, RESET), times=[[0, 1, 2], [3, 4]]),
    ]
    assert told(lanes, DISABLED) == ["Rall 0:0 1:0", "S 0.0 1.0", "S 1.1", "Rall 0:1 1:1", "S 0.0 1.0"]


def test_the_times_say_that_two_resets_came_one_after_the_other() -> None:
    lanes = [
        lane((1, RESET), (1, RESET), times=[[0, 1], [2, 4]]),
        lane((1, RESET), (1, RESET), times=[[0, 1], [3, 4]]),
    ]
    assert told(lanes, DISABLED) == ["Rall 0:0 1:0", "S 0.0 1.0", "R 0:1", "R 1:1", "S 0.0 1.0"]


@pytest.mark.parametrize("times", [None, ([[0, 1], [2], [3]], [[0, 1], [3]])], ids=["no times", "times"])
def test_of_two_resets_without_a_step_between_the_one_of_fewer_lanes_comes_first(times: Any) -> None:
    first, second = times or (None, None)
    lanes = [lane((1, RESET), (0, RESET), (0, RESET), times=first), lane((1, RESET), (0, RESET), times=second)]
    assert told(lanes, DISABLED) == ["Rall 0:0 1:0", "S 0.0 1.0", "R 0:1", "Rall 0:2 1:1"]


def test_a_lane_that_has_ended_for_good_waits_in_disabled_mode() -> None:
    lanes = [lane((1, RESET)), lane((2, RESET))]
    lanes[0][-1].complete = True
    assert told(lanes, DISABLED) == ["Rall 0:0 1:0", "S 0.0 1.0", "S 1.1"]


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=[mode.name for mode in AutoresetMode])
def test_a_reset_of_all_lanes_may_cut_episodes_off(mode: AutoresetMode) -> None:
    lanes = [lane((1, RESET), (1, RESET)), lane((1, RESET), (1, RESET))]
    for episodes in lanes:
        episodes[0].complete = False
    assert told(lanes, mode) == ["Rall 0:0 1:0", "S 0.0 1.0", "Rall 0:1 1:1", "S 0.0 1.0"]


def test_a_lane_that_stops_before_the_others_is_named() -> None:
    with pytest.raises(NotReplayableError, match="the file has nothing of lane 0 after episode 0: it went on"):
        told([lane((1, RESET)), lane((2, RESET))], NEXT_STEP)


def test_an_episode_that_is_left_out_is_named_when_its_lane_gets_there() -> None:
    lanes = [lane((1, RESET), (1, RESET)), lane((5, RESET))]
    lanes[0][1].episode_id = 2
    events = timeline(lanes, DISABLED)
    assert len([next(events), next(events)]) == 2
    with pytest.raises(NotReplayableError, match="lacks episodes of lane 0 after episode 0, which a trigger or a"):
        next(events)


def test_an_episode_that_a_step_trigger_began_is_named() -> None:
    with pytest.raises(NotReplayableError, match="the recording of episode 0 began in the middle of an episode"):
        told([lane((1, Origin.STEP_TRIGGER))], NEXT_STEP)


def test_first_episodes_that_are_missing_are_named() -> None:
    with pytest.raises(NotReplayableError, match="lacks episodes of lane 0 before its first episode"):
        told([lane((1, RESET), first_id=3)], NEXT_STEP)


def recording(*episodes: tuple[int, int], num_envs: int = 2) -> Any:
    """A recording of episodes with these lanes and ids."""
    told_of = [Told(number, its_id, 1, env=env) for number, (env, its_id) in enumerate(episodes)]
    return SimpleNamespace(num_envs=num_envs, episodes=told_of)


def test_a_session_begins_where_ids_begin_again() -> None:
    found = sessions_of(recording((0, 0), (1, 0), (0, 1), (0, 0), (1, 0)))
    assert [[[each.number for each in lane] for lane in session] for session in found] == [[[0, 2], [1]], [[3], [4]]]


def test_a_lane_without_a_session_is_named() -> None:
    with pytest.raises(NotReplayableError, match="lacks episodes of lane 1"):
        sessions_of(recording((0, 0), (1, 0), (0, 0)))

"""Arrays of an episode: what does not fit together is named before anything is written, the rest is taken apart."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from gym_h5record.errors import EpisodeDataError
from gym_h5record.recorder.given_episode import GivenEpisode, check_episode
from gym_h5record.values.exact import identical
from tests.zoo import ForeignArray

T = 5


def given(**more: Any) -> GivenEpisode:
    """An episode of T steps, but for what is given."""
    fields = {
        "observations": np.arange(2 * (T + 1), dtype=np.float32).reshape(T + 1, 2),
        "actions": np.arange(T),
        "rewards": np.arange(T) / 2,
        **dict.fromkeys(("terminations", "truncations", "infos", "frames", "times")),
        "extras": {},
    }
    return check_episode({**fields, **more})


# Taken apart --------------------------------------------------------------------------------------


def test_a_step_has_the_values_of_its_number_and_those_of_the_row_that_it_leads_to() -> None:
    episode = given(
        infos={"x": np.arange(T + 1)},
        frames=np.arange(T + 1)[:, None],
        extras={"p": list("abcde")},
        terminations=[0] * T,
    )
    assert episode.num_steps == T
    assert identical(episode.observation(0), np.array([0, 1], np.float32))
    assert identical((episode.info(0), episode.frame(0)), ({"x": np.int64(0)}, np.array([0])))
    expected = (
        *(np.int64(3), np.array([8, 9], np.float32), np.float64(1.5), np.bool_(False), np.bool_(False)),
        *({"x": np.int64(4)}, np.array([4]), {"p": "d"}),
    )
    assert identical(episode.step(3), expected)


def test_what_is_not_given_is_none_in_every_row_and_no_flag_is_true() -> None:
    episode = given()
    assert (episode.info(2), episode.frame(2)) == (None, None)
    *_, terminated, truncated, info, frame, extras = episode.step(T - 1)
    assert identical((terminated, truncated, info, frame, extras), (np.bool_(False), np.bool_(False), None, None, {}))


def test_trees_and_lists_are_taken_apart_and_their_values_stay_as_they_are() -> None:
    observations = {"a": np.arange(T + 1), "b": ([(k,) for k in range(T + 1)], np.zeros((T + 1, 2)))}
    episode = given(observations=observations, actions=("vwxyz", [None] * T), rewards=[1, 2.5, True, None, "x"])
    assert identical(episode.observation(3), {"a": np.int64(3), "b": ((3,), np.zeros(2))})
    assert identical(episode.step(1)[:3], (("w", None), {"a": np.int64(2), "b": ((2,), np.zeros(2))}, 2.5))


def test_arrays_of_other_libraries_become_arrays_of_numpy_and_mappings_dicts() -> None:
    episode = given(
        observations=OrderedDict(a=ForeignArray(np.arange(T + 1))), rewards=ForeignArray(np.arange(T) / 2), extras={}
    )
    assert identical(episode.observation(2), {"a": np.int64(2)})
    assert identical(episode.step(3)[2], np.float64(1.5))


def test_the_steps_after_the_first_leave_out_two_rows_and_one_step() -> None:
    times = np.arange(T + 1) * 10
    episode = given(infos={"x": np.arange(T + 1)}, frames=np.arange(T + 1), extras={"p": np.arange(T)})
    after = episode.steps_after_first(times)
    assert (after.actions.tolist(), after.extras["p"].tolist()) == ([1, 2, 3, 4], [1, 2, 3, 4])
    assert (len(after.rewards), len(after.terminations), len(after.truncations)) == (4, 4, 4)
    assert after.observations[:, 0].tolist() == [4, 6, 8, 10]
    assert (after.infos["x"].tolist(), after.frames.tolist()) == ([2, 3, 4, 5], [2, 3, 4, 5])
    assert after.times_ns.tolist() == [20, 30, 40, 50]


@pytest.mark.parametrize("infos", [None, [{}] * (T + 1)])
def test_empty_infos_are_none_in_a_batch(infos: Any) -> None:
    assert given(infos=infos).steps_after_first(np.arange(T + 1)).infos == {}


def test_infos_with_keys_of_their_own_are_in_a_batch_under_a_key_without_a_column() -> None:
    infos = [{}] * T + [{"x": 1}]
    assert given(infos=infos).steps_after_first(np.arange(T + 1)).infos == {"": infos[2:]}


def test_times_are_seconds_and_become_nanoseconds_since_the_recording_began() -> None:
    times = [0, 0.1, 0.2, 1.000000001, 2.5, 1e9 + 0.5]
    expected = [0, 100_000_000, 200_000_000, 1_000_000_001, 2_500_000_000, 10**18 + 5 * 10**8]
    assert given(times=times).times_ns(999).tolist() == expected


def test_rows_without_times_came_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic_ns", lambda: 1234)
    assert given().times_ns(234).tolist() == [1000] * (T + 1)


# What does not fit together -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"observations": np.zeros((T, 2))}, r"observations: expected 6 entries \(T \+ 1; rewards have T = 5\), got 5"),
        ({"observations": {"a": np.zeros(6), "b": (np.zeros(7),)}}, r"observations/b/0: expected 6 entries .* got 7"),
        ({"actions": [0] * 6}, r"actions: expected 5 entries \(T; rewards have T = 5\), got 6"),
        ({"actions": ((0,) * 5, [0])}, "actions/0/0: expected an array or a list, got int"),
        ({"rewards": np.zeros(4)}, r"actions: expected 4 entries \(T; rewards have T = 4\), got 5"),
        ({"rewards": 5.0}, "rewards: expected an array or a list, got float"),
        ({"rewards": None}, "rewards: expected an array or a list, got NoneType"),
        ({"terminations": [True] * 4}, "terminations: expected 5 entries"),
        ({"truncations": np.zeros(6, bool)}, "truncations: expected 5 entries"),
        ({"terminations": [0, 1, 0, 1, 0]}, "terminations: entry 1 is true, but the episode has 5 steps. Split"),
        ({"truncations": [0, 0, 0, 1, 1]}, "truncations: entry 3 is true"),
        ({"terminations": [0, 0, 0, 0, 2]}, "terminations: expected booleans, got int64 with other values"),
        ({"terminations": np.zeros((5, 1), bool)}, r"terminations: expected one boolean per step, .* shape \(5, 1\)"),
        ({"terminations": True}, r"terminations: expected one boolean per step, .* shape \(\)"),
        ({"infos": [{}] * 5}, r"infos: expected 6 entries \(T \+ 1"),
        ({"infos": {"x": np.zeros(5)}}, "infos/x: expected 6 entries"),
        ({"infos": ({},) * 6}, r"infos: expected a list of dicts, or a dict of arrays, got \(\{\}"),
        ({"infos": np.zeros(6)}, "infos: expected a list of dicts, or a dict of arrays, got an array"),
        ({"frames": np.zeros((5, 4, 4, 3))}, "frames: expected 6 entries"),
        ({"extras": {"p": np.zeros(6)}}, "extras/p: expected 5 entries"),
        ({"extras": [{"p": 1}] * 5}, r"extras: expected a dict of arrays, got \[\{"),
        ({"times": np.zeros(5)}, "times: expected 6 entries"),
        ({"times": ["now"] * 6}, "times: expected seconds, got"),
        ({"times": [0, 1, 2, 3, 4, np.nan]}, "times: expected seconds, one finite number per row, got"),
        ({"times": [0, 1, 2, 3, 4, 1e10]}, "times: expected seconds, one finite number per row, got"),
        ({"times": [0, 1, 3, 2, 4, 5]}, "times: entry 3 is less than the entry before it"),
        ({"times": np.zeros((6, 1))}, "times: expected seconds, one finite number per row, got an array"),
    ],
)
def test_a_field_that_does_not_fit_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(EpisodeDataError, match=f"^{message}"):
        given(**fields)


@pytest.mark.parametrize("name", ["terminations", "truncations"])
@pytest.mark.parametrize(
    "flags", [[0, 0, 0, 0, 1], [False] * 4 + [True], np.arange(5) == 4, ForeignArray(np.arange(5) == 4)]
)
def test_the_last_step_may_end_the_episode(name: str, flags: Any) -> None:
    episode = given(**{name: flags})
    assert episode.fields[name].dtype == np.bool_
    assert episode.fields[name].tolist() == [False] * 4 + [True]


def test_an_episode_may_have_no_step() -> None:
    episode = given(observations=np.zeros((1, 2)), actions=[], rewards=[])
    assert episode.num_steps == 0
    assert episode.observation(0).tolist() == [0, 0]

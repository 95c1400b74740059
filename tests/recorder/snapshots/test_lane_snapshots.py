"""Snapshots of lanes: each of its own environment, none where it cannot be reached."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

from gym_h5record.errors import OptionError
from gym_h5record.recorder.snapshots.lane_snapshots import LaneSnapshots


class Numbered(gym.Env[Any, Any]):
    """An environment with a secret."""

    def __init__(self, number: int) -> None:
        self.number = number

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return 0, {}


class Revealing:
    name = "secret"

    def take(self, env: gym.Env[Any, Any]) -> bytes | None:
        inner = env.unwrapped
        return str(inner.number).encode() if isinstance(inner, Numbered) else None

    def restore(self, env: gym.Env[Any, Any], state: bytes) -> None:
        raise NotImplementedError


def snapshots(wanted: Any = True, count: int = 2) -> LaneSnapshots:
    return LaneSnapshots(wanted, [Numbered(10 + lane) for lane in range(count)])


def test_the_snapshot_of_a_lane_is_that_of_its_environment() -> None:
    found = snapshots([Revealing()])
    assert found.are_kept
    assert [found.take(lane)["secret"] for lane in (1, 0)] == [b"11", b"10"]


@pytest.mark.parametrize(("wanted", "count"), [(False, 2), (True, 0)], ids=["not wanted", "out of reach"])
def test_there_are_none_where_they_are_not_wanted_or_out_of_reach(wanted: Any, count: int) -> None:
    found = snapshots(wanted, count)
    assert not found.are_kept
    assert found.take(1) == {}
    taken: dict[int, dict[str, bytes]] = {1: {}}
    found.complete(taken)
    assert taken == {1: {}}


def test_generators_that_a_reset_makes_are_added_to_the_snapshot_of_their_lane_only() -> None:
    envs = [Numbered(10), Numbered(11)]
    found = LaneSnapshots(True, envs)
    taken = {lane: found.take(lane, is_bare=True) for lane in (0, 1)}
    before = dict(taken[0])
    envs[1].np_random  # noqa: B018  # makes it
    found.complete({1: taken[1]})
    assert taken[0] == before
    assert taken[1] != before


def test_a_lane_that_was_reset_with_a_seed_says_nothing_of_the_others() -> None:
    """Whether a reset is bare is remembered from ``take`` to ``complete``, by lane."""
    envs = [Numbered(10), Numbered(11)]
    found = LaneSnapshots(True, envs)
    bare, seeded = found.take(0, is_bare=True), found.take(1, is_bare=False)
    assert [each._is_bare for each in found._sets] == [True, False]
    found.complete({0: bare, 1: seeded})


def test_providers_without_a_name_are_refused() -> None:
    with pytest.raises(OptionError, match="snapshots: expected True, False or providers"):
        snapshots([object()])

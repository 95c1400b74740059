"""Steps by their numbers, read by a sampler and by columns, while a recording grows."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.training.followed_steps import FollowedSteps, in_order
from tests.training.numbered import check_equal, record_numbered

NAMES = ["observations", "next_observations", "actions", "rewards", "terminations", "truncations"]
BOX = spaces.Box(-np.inf, np.inf, (2,), np.float32)


def test_steps_of_a_complete_file_are_those_of_its_columns(tmp_path: Path) -> None:
    path = record_numbered(tmp_path / "a.h5", (7, 1, 0, 5))
    followed = FollowedSteps(path)
    numbers = np.array([12, 0, 0, 7, 3])
    found = followed.take(numbers)
    assert sorted(found) == sorted(NAMES)
    with h5r.Recording(path) as recording:
        for name in NAMES:
            check_equal(found[name], getattr(recording.steps, name)[numbers])
    followed.close()


class Growing:
    """A recording that grows by episodes of random observations, and all its steps."""

    def __init__(self, path: Path) -> None:
        self.writer = h5r.Writer(path, observation_space=BOX, action_space=spaces.Discrete(9), writer="inline")
        self.steps: list[tuple[Any, ...]] = []
        self._random = np.random.default_rng(0)
        self._last: np.ndarray | None = None

    def step(self, *, is_last: bool) -> None:
        before, after = self._last, self._random.normal(size=2).astype(np.float32)
        if before is None:
            before = self._random.normal(size=2).astype(np.float32)
            self.writer.begin_episode(before)
        action, reward = self._random.integers(9), float(self._random.normal())
        self.writer.append(action, after, reward, False, is_last)
        self.steps.append((before, after, action, reward, False, is_last))
        self._last = None if is_last else after

    def check(self, followed: FollowedSteps) -> None:
        numbers = self._random.integers(0, followed.num_steps, 40)
        found = followed.take(numbers)
        for place, name in enumerate(NAMES):
            np.testing.assert_array_equal(found[name], np.array([self.steps[each][place] for each in numbers]))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("length", [1, 3, 10, 1000], ids=["1", "3", "10", "one episode"])
def test_every_step_is_right_while_the_recording_grows(tmp_path: Path, length: int) -> None:
    growing, followed = Growing(tmp_path / "a.h5"), None
    for number in range(1, 121):
        growing.step(is_last=not number % length)
        if not number % 7:
            growing.writer.flush()
            followed = followed or FollowedSteps(tmp_path / "a.h5")
            followed.refresh()
            assert followed.num_steps == number
            growing.check(followed)
    growing.writer.close()
    assert followed is not None
    followed.refresh()
    growing.check(followed)
    followed.close()


@pytest.mark.long
def test_a_sampler_is_made_only_after_many_new_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    sampler = h5r.Recording.sampler

    def counting(recording: h5r.Recording, *arguments: Any, **options: Any) -> Any:
        made.append(recording.num_steps)
        return sampler(recording, *arguments, **options)

    monkeypatch.setattr(h5r.Recording, "sampler", counting)
    growing, followed = Growing(tmp_path / "a.h5"), None
    for _ in range(120):
        growing.step(is_last=True)
        growing.writer.flush()
        followed = followed or FollowedSteps(tmp_path / "a.h5")
        followed.refresh()
        growing.check(followed)
    growing.writer.close()
    assert made[:3] == [1, 2, 3]
    assert all(later > earlier * 9 / 8 for earlier, later in itertools.pairwise(made))
    assert len(made) < 36


def test_two_batches_are_put_together_in_order() -> None:
    is_first = np.array([False, True, True, False])
    found = in_order({"a": np.array([1, 2])}, {"a": np.array([8, 9])}, is_first)
    assert found["a"].tolist() == [8, 1, 2, 9]

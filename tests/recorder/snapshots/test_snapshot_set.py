"""``SnapshotSet``: all providers are asked, also those of users and of installed packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record import errors
from gym_h5record.recorder.snapshots import snapshot_set
from gym_h5record.recorder.snapshots.snapshot_set import SnapshotSet, make_snapshot_set
from tests.recorder.snapshots.nested_envs import Holder, Replacing
from tests.replay.recordings import record


class Hidden(gym.Env[Any, Any]):
    """Keeps the state that its resets depend on in a list, where no built-in provider finds it."""

    observation_space = gym.spaces.Box(0, np.inf, (1,), np.float64)
    action_space = gym.spaces.Discrete(2)

    def __init__(self) -> None:
        self.secret = [1]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.secret[0] = self.secret[0] * 48271 % 2147483647
        return np.array([float(self.secret[0])]), {}

    def step(self, action: Any) -> Any:
        return np.array([float(self.secret[0])]), 1.0, False, False, {}


class Revealing:
    name = "secret"

    def take(self, env: gym.Env[Any, Any]) -> bytes | None:
        inner = env.unwrapped
        return str(inner.secret[0]).encode() if isinstance(inner, Hidden) else None

    def restore(self, env: gym.Env[Any, Any], state: bytes) -> None:
        env.unwrapped.secret[0] = int(state)  # type: ignore[attr-defined]


def test_a_provider_of_the_user_makes_episodes_independent(tmp_path: Path) -> None:
    path = record(Hidden(), tmp_path / "run.h5", snapshots=[Revealing()])
    with h5r.Recording(path) as recording:
        assert recording.episodes[1].snapshot["secret"] == b"48271"
    report = h5r.verify(path, env=Hidden, snapshots=[Revealing()])
    assert report.ok
    assert all(each.independent for each in report.episodes)


def test_without_its_provider_an_episode_is_not_replayable_and_names_the_provider(tmp_path: Path) -> None:
    path = record(Hidden(), tmp_path / "run.h5", snapshots=[Revealing()])
    report = h5r.verify(path, env=Hidden)
    assert not report.ok
    assert report.episodes[1].verdict is h5r.Verdict.NOT_REPLAYABLE
    assert "snapshots of unknown providers, 'secret': pass them with snapshots=[...]" in report.episodes[1].reason


def test_snapshots_false_keeps_none(tmp_path: Path) -> None:
    path = record(gym.make("CartPole-v1"), tmp_path / "run.h5", snapshots=False)
    with h5r.Recording(path) as recording:
        assert [each.snapshot for each in recording.episodes] == [{}, {}, {}]


def test_what_is_no_provider_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(errors.OptionError, match="snapshots: expected True, False or providers"):
        h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "run.h5", snapshots=["dice"])  # type: ignore[list-item]


def test_installed_providers_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_set, "_installed", lambda: (Revealing(),))
    assert make_snapshot_set(True).take(Hidden())["secret"] == b"1"


def test_the_missing_places_are_those_of_generators_inside_objects() -> None:
    snapshots, env = make_snapshot_set(True), Replacing()
    taken = snapshots.take(env)
    assert snapshots.missing(env, taken) == []
    env.game = Holder()
    assert snapshots.missing(env, {**taken, "other": b""}) == ["game.rng"]
    assert snapshots.missing(env, {}) == []
    assert SnapshotSet(()).missing(env, taken) == []


def test_recording_draws_nothing_and_reseeds_nothing(tmp_path: Path) -> None:
    bare, recorded = gym.make("Acrobot-v1"), h5r.RecordToHDF5(gym.make("Acrobot-v1"), tmp_path / "run.h5")
    for env in (bare, recorded):
        env.reset(seed=3)
    for _ in range(5):
        assert bare.reset()[0].tobytes() == recorded.reset()[0].tobytes()
    recorded.close()


def test_a_set_without_providers_takes_and_restores_nothing() -> None:
    assert SnapshotSet(()).take(gym.make("CartPole-v1")) == {}
    SnapshotSet(()).restore(gym.make("CartPole-v1"), {})

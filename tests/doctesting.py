"""What examples may use: ``tmp_path`` and ``cartpole_path`` in docstrings; documents write into an empty folder."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest

import gym_h5record as h5r


def record_cartpole(path: Path, episodes: int = 3, **options: object) -> Path:
    """Record CartPole with random actions; resets and actions are seeded."""
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), path, **options)
    env.action_space.seed(0)
    for episode in range(episodes):
        env.reset(seed=episode)
        done = False
        while not done:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            done = terminated or truncated
    env.close()
    return path


@pytest.fixture(scope="session")
def cartpole_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of three CartPole episodes; do not change it."""
    return record_cartpole(tmp_path_factory.mktemp("cartpole") / "cartpole.h5")


@pytest.fixture(autouse=True)
def doctest_names(doctest_namespace: dict[str, object], request: pytest.FixtureRequest) -> None:
    """Give examples ``tmp_path`` and ``cartpole_path``. Those of a document run in an empty folder."""
    if request.node.__class__.__name__ == "DoctestItem":
        doctest_namespace["tmp_path"] = request.getfixturevalue("tmp_path")
        if request.node.path.suffix == ".md":
            request.getfixturevalue("monkeypatch").chdir(request.getfixturevalue("tmp_path"))
        doctest_namespace["cartpole_path"] = request.getfixturevalue("cartpole_path")

"""Environments of every kind, three episodes each: every one is exact alone, in a process that has not recorded it."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import pytest
from gymnasium import wrappers

from tests.replay.recordings import record

pytestmark = pytest.mark.compacted

gym.register_envs(ale_py)


def _preprocessed(**options: Any) -> gym.Env[Any, Any]:
    env = gym.make("ALE/Breakout-v5", frameskip=1, **options)
    return wrappers.FrameStackObservation(wrappers.AtariPreprocessing(env, noop_max=30), 4)


def _normalized(id: str) -> gym.Env[Any, Any]:
    return wrappers.NormalizeReward(wrappers.NormalizeObservation(gym.make(id)))


Make = Callable[[], gym.Env[Any, Any]]

FAMILIES: dict[str, dict[str, Make]] = {
    "classic control": {
        id: partial(gym.make, id)
        for id in ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1")
    }
    | {"CartPole-v1 rendered": partial(gym.make, "CartPole-v1", render_mode="rgb_array")},
    "toy text": {
        "FrozenLake-v1": partial(gym.make, "FrozenLake-v1", map_name="8x8"),
        "Blackjack-v1": partial(gym.make, "Blackjack-v1", natural=True),
        "Taxi-v4": partial(gym.make, "Taxi-v4", is_rainy=True),
        "CliffWalking-v1": partial(gym.make, "CliffWalking-v1", is_slippery=True),
    },
    "Box2D": {
        "LunarLander-v3": partial(gym.make, "LunarLander-v3"),
        "LunarLander-v3 windy": partial(gym.make, "LunarLander-v3", continuous=True, enable_wind=True),
        "BipedalWalker-v3": partial(gym.make, "BipedalWalker-v3"),
        "CarRacing-v3": partial(gym.make, "CarRacing-v3", domain_randomize=True),
    },
    "MuJoCo": {
        id: partial(gym.make, id)
        for id in ("HalfCheetah-v5", "Ant-v5", "Humanoid-v5", "Reacher-v5", "Pusher-v5", "InvertedPendulum-v5")
    },
    "ALE": {
        "RGB, sticky": partial(gym.make, "ALE/Breakout-v5"),
        "grayscale": partial(gym.make, "ALE/Pong-v5", obs_type="grayscale", full_action_space=True),
        "RAM": partial(gym.make, "ALE/Qbert-v5", obs_type="ram"),
        "frameskip (2, 5)": partial(gym.make, "ALE/SpaceInvaders-v5", frameskip=(2, 5)),
        "continuous": partial(gym.make, "ALE/Breakout-v5", continuous=True),
        "preprocessed, stacked": _preprocessed,
        "sound": partial(gym.make, "ALE/Breakout-v5", sound_obs=True),
        "not sticky": partial(gym.make, "ALE/MsPacman-v5", repeat_action_probability=0.0),
    },
    "statistics": {"normalized": partial(_normalized, "Pendulum-v1")},
}

SLOW = ("Box2D", "MuJoCo", "ALE")
"""Of these, every other environment is seeded; any other one is recorded with a seed and without."""

# Exact only after the episodes before: docs/determinism.md says why.
OUTLIVES_A_RESET = {"BipedalWalker-v3", "normalized"}
NOT_EXACT = {"sound": "observations/sound"}

# One process for each episode; only modules have been loaded in what it is forked from, among them all that ``verify``
# loads at its first use: to load them in each process takes 0.15 s.
VERIFY = """
import importlib, json, os, sys
import gym_h5record as h5r
for name in h5r.__all__:
    getattr(h5r, name)
for name in sys.argv[1].split():
    importlib.import_module(name)
for path in sys.argv[2:]:
    for number in range(3):
        if not os.fork():
            report = h5r.verify(path, episodes=[number]).episodes[0]
            said = [path, number, report.verdict.value, report.independent, str(report.divergence)]
            os.write(1, f"found {json.dumps(said)}\\n".encode())
            os._exit(0)
        os.wait()
"""
MODULES = {"Box2D": "gymnasium.envs.box2d", "MuJoCo": "gymnasium.envs.mujoco.mujoco_env", "ALE": "ale_py.env"}


@pytest.mark.long
@pytest.mark.sampled(5)
@pytest.mark.timeout(240)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_episode_is_exact_in_a_fresh_process(family: str, tmp_path: Path) -> None:
    paths = {}
    for number, (name, make) in enumerate(FAMILIES[family].items()):
        for seed in ((None, 7)[number % 2],) if family in SLOW else (None, 7):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what environments have to say is not about recording
                path = record(make(), tmp_path / f"{len(paths)}.h5", seed)
            paths[str(path)] = name
    command = [sys.executable, "-W", "ignore", "-c", VERIFY, MODULES.get(family, ""), *paths]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=200).stdout
    found = [json.loads(line[6:]) for line in said.splitlines() if line.startswith("found ")]
    assert len(found) == 3 * len(paths)
    for path, number, verdict, independent, divergence in found:
        name = paths[path]
        if name in NOT_EXACT:
            assert verdict == "exact" or NOT_EXACT[name] in divergence  # now and then it is
        else:
            assert verdict == "exact", (name, number, divergence)
            assert independent or name in OUTLIVES_A_RESET, (name, number)

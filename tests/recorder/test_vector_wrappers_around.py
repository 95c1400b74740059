"""Gymnasium's vector wrappers above and below the recorder: the agent sees no difference, the file holds both views."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as wrappers

import gym_h5record as h5r
from gym_h5record.values.exact import identical

Wrap = Callable[[Any], Any]

NUM_ENVS, NUM_STEPS, SEED = 2, 30, 3


def _normalized(envs: Any) -> Any:
    return wrappers.NormalizeObservation(envs)


def _scaled_rewards(envs: Any) -> Any:
    return wrappers.TransformReward(envs, lambda rewards: rewards * 0.5 - 2)


def _scaled_observations(envs: Any) -> Any:
    return wrappers.TransformObservation(envs, lambda observations: observations * np.float32(0.5))


def _turned_actions(envs: Any) -> Any:
    return wrappers.TransformAction(envs, lambda actions: 1 - actions)


def _normalized_rewards(envs: Any) -> Any:
    return wrappers.NormalizeReward(envs)


WRAPPERS: dict[str, Wrap] = {
    "RecordEpisodeStatistics": wrappers.RecordEpisodeStatistics,
    "NormalizeObservation": _normalized,
    "TransformObservation": _scaled_observations,
    "TransformReward": _scaled_rewards,
    "NormalizeReward": _normalized_rewards,
    "TransformAction": _turned_actions,
}

CASES = [
    pytest.param(wrap, mode, id=f"{name}-{mode.name}")
    for name, wrap in WRAPPERS.items()
    for mode in AutoresetMode
    if not (name.endswith("Observation") and mode is AutoresetMode.SAME_STEP)  # Gymnasium refuses these
    and not (name == "NormalizeObservation" and mode is AutoresetMode.DISABLED)  # and masks here
]
MODES = pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)


def _plain(envs: Any) -> Any:
    return envs


def cart_poles(mode: AutoresetMode) -> SyncVectorEnv:
    """Poles that fall after about ten steps, and lanes that end at different times."""
    return SyncVectorEnv([lambda: gym.make("CartPole-v1")] * NUM_ENVS, autoreset_mode=mode)


def drive(envs: Any, mode: AutoresetMode) -> list[tuple[Any, ...]]:
    """Everything that an agent gets in some episodes; clock times, which the wrappers take, are left out."""
    seen: list[tuple[Any, ...]] = [_without_clock(envs.reset(seed=SEED))]
    for step in range(NUM_STEPS):
        actions = np.array([1, int(step % 3 > 0)])
        result = envs.step(actions)
        seen.append(_without_clock(result))
        over = result[2] | result[3]
        if mode is AutoresetMode.DISABLED and over.any():
            seen.append(_without_clock(envs.reset(options={"reset_mask": over})))
    envs.close()
    return seen


def _without_clock(result: tuple[Any, ...]) -> tuple[Any, ...]:
    *values, infos = result
    if "episode" in infos:
        infos = {**infos, "episode": {key: each for key, each in infos["episode"].items() if key not in ("t", "_t")}}
    copied = [np.copy(each) for each in values]
    return (*copied, infos)


def record(path: Path, mode: AutoresetMode, below: Wrap, above: Wrap) -> list[tuple[Any, ...]]:
    """What an agent gets with the recorder between these wrappers."""
    recorded = h5r.vector.RecordToHDF5(below(cart_poles(mode)), path, writer="inline", snapshots=False)
    return drive(above(recorded), mode)


def read(path: Path) -> list[tuple[Any, ...]]:
    """What a recording holds of every episode."""
    with h5r.Recording(path) as recording:
        found = [
            (each.env, each.length, each.complete, each.observations[:], each.rewards[:], each.actions[:])
            for each in recording
        ]
    assert not h5r.validate(path, deep=False)
    return found


@pytest.mark.sampled(5)
@pytest.mark.parametrize(("wrap", "mode"), CASES)
def test_the_agent_gets_the_same_with_the_recorder_below_or_above(
    wrap: Wrap, mode: AutoresetMode, tmp_path: Path
) -> None:
    expected = drive(wrap(cart_poles(mode)), mode)
    assert sum(int((each[2] | each[3]).sum()) for each in expected if len(each) == 5) >= 3
    assert identical(record(tmp_path / "below.h5", mode, _plain, wrap), expected)
    assert identical(record(tmp_path / "above.h5", mode, wrap, _plain), expected)


@MODES
def test_below_a_wrapper_the_file_holds_plain_steps_and_above_transformed_ones(
    mode: AutoresetMode, tmp_path: Path
) -> None:
    for name, below, above in (
        ("plain", _plain, _plain),
        ("below", _plain, _scaled_rewards),
        ("above", _scaled_rewards, _plain),
    ):
        record(tmp_path / f"{name}.h5", mode, below, above)
    plain = read(tmp_path / "plain.h5")
    assert len(plain) >= 4
    assert identical(read(tmp_path / "below.h5"), plain)
    assert identical(read(tmp_path / "above.h5"), [(*each[:4], each[4] * 0.5 - 2, each[5]) for each in plain])


@pytest.mark.parametrize("wrap", [_normalized, _scaled_observations], ids=["normalized", "scaled"])
def test_above_a_wrapper_the_file_holds_transformed_observations(wrap: Wrap, tmp_path: Path) -> None:
    seen = record(tmp_path / "above.h5", AutoresetMode.NEXT_STEP, wrap, _plain)
    episodes = read(tmp_path / "above.h5")
    for lane in range(NUM_ENVS):
        given = [each[0][lane] for each in seen if len(each) == 5 or each is seen[0]]
        first = next(each for each in episodes if each[0] == lane)
        assert identical(first[3], np.stack(given[: first[1] + 1]))


def test_actions_are_those_that_reach_the_recorder(tmp_path: Path) -> None:
    mode = AutoresetMode.SAME_STEP
    record(tmp_path / "above.h5", mode, _turned_actions, _plain)
    record(tmp_path / "below.h5", mode, _plain, _turned_actions)
    above, below = read(tmp_path / "above.h5"), read(tmp_path / "below.h5")
    assert identical(above, [(*each[:5], 1 - each[5]) for each in below])
    assert {*above[0][5].tolist()} <= {0, 1}


def test_statistics_below_the_recorder_are_infos_of_final_steps(tmp_path: Path) -> None:
    record(tmp_path / "above.h5", AutoresetMode.NEXT_STEP, wrappers.RecordEpisodeStatistics, _plain)
    with h5r.Recording(tmp_path / "above.h5") as recording:
        complete = recording.select("complete")
        assert len(complete) >= 3
        for episode in complete:
            statistics = episode.infos[episode.length]["episode"]
            assert (statistics["l"], statistics["r"]) == (episode.length, episode.total_reward)

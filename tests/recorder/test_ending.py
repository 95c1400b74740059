"""How recording ends, the same for single environments and for lanes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv

import gym_h5record as h5r
from tests.writing import run_script

KINDS = {
    "single": ('h5r.RecordToHDF5(gym.make("CartPole-v1")', "0"),
    "lanes": ('h5r.vector.RecordToHDF5(gym.make_vec("CartPole-v1", 2)', "np.zeros(2, int)"),
}

each_kind = pytest.mark.parametrize(("made", "action"), KINDS.values(), ids=KINDS)


@each_kind
def test_a_forked_child_is_told_once_why_nothing_is_recorded(made: str, action: str, tmp_path: Path) -> None:
    code = f"""
        import os, sys, warnings, gymnasium as gym, numpy as np, gym_h5record as h5r
        env = {made}, sys.argv[1], writer="inline")
        env.reset()
        if not os.fork():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                env.step({action})
                env.reset()
                env.reset()
            os.write(1, "\\n".join(str(each.message) for each in caught).encode())
            os._exit(0)
        os.wait()
        env.close()
    """
    assert run_script(code, tmp_path / "run.h5").stdout == (
        "this process is a forked child of the one that records: the episodes from here on are not recorded."
    )
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert {*recording.lengths.tolist()} == {0}


@pytest.mark.parametrize("is_vector", [False, True], ids=["single", "lanes"])
def test_a_closed_recorder_says_once_that_it_records_nothing_and_drops_extras(is_vector: bool, tmp_path: Path) -> None:
    env: Any
    if is_vector:
        env = h5r.vector.RecordToHDF5(CartPoleVectorEnv(2), tmp_path / "run.h5", writer="inline")
    else:
        env = h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "run.h5", writer="inline")
    env.reset()
    env.add_extras(value=np.zeros(2))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        env.reset()
        env.close()
        env.close()
        env.reset()
        env.reset()
    assert [str(each.message) for each in caught] == [
        "reset() came before the step that the last extras belong to: they are not recorded.",
        "the recorder has been closed: the episodes from here on are not recorded.",
    ]

"""Snapshots of MuJoCo: the full integration state before a reset.

Gymnasium's environments reset everything with ``mj_resetData``, then set positions and velocities. Other environments
do not reset warm starts and controls, so the next episode depends on them.
"""

from __future__ import annotations

import sys
from typing import Any

import gymnasium as gym
import numpy as np

from gym_h5record.errors import SnapshotError

__all__ = ["MujocoProvider"]


class MujocoProvider:
    """The ``mjSTATE_INTEGRATION`` of an environment with the attributes ``model`` and ``data``, as float64 numbers."""

    name = "mujoco"

    def take(self, env: gym.Env[Any, Any]) -> bytes | None:
        """See ``SnapshotProvider``."""
        parts = _parts(env)
        if parts is None:
            return None
        mujoco, model, data = parts
        state = np.empty(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_getState(model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        return state.tobytes()

    def restore(self, env: gym.Env[Any, Any], state: bytes) -> None:
        """See ``SnapshotProvider``."""
        parts = _parts(env)
        if parts is None:
            raise SnapshotError(f"a state of MuJoCo cannot be restored into a {type(env.unwrapped).__qualname__}")
        mujoco, model, data = parts
        size = mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION)
        if len(state) != 8 * size:
            raise SnapshotError(f"the recorded state of MuJoCo has {len(state) // 8} numbers, this model's has {size}")
        mujoco.mj_setState(model, data, np.frombuffer(state), mujoco.mjtState.mjSTATE_INTEGRATION)


def _parts(env: gym.Env[Any, Any]) -> tuple[Any, Any, Any] | None:
    mujoco = sys.modules.get("mujoco")
    if mujoco is None:
        return None
    inner = env.unwrapped  # its __dict__ is not read: see generators._generators
    try:
        model, data = getattr(inner, "model", None), getattr(inner, "data", None)
    except Exception:  # noqa: BLE001  # of another environment: a property that may raise any error before the first reset
        return None
    is_mujoco = isinstance(model, mujoco.MjModel) and isinstance(data, mujoco.MjData)
    return (mujoco, model, data) if is_mujoco else None

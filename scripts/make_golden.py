"""Make the golden recording of the current format version: a file that all later versions must open.

    python scripts/make_golden.py
    python scripts/make_golden.py --folder somewhere     # to look at

Writes ``tests/golden/v<version>.h5`` and, beside it, everything that was recorded as tagged
JSON. It refuses to overwrite: a golden file is made once, when a version of the format is released.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.format.names import FORMAT_VERSION
from gym_h5record.values.tagged_json import dumps

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"


class EveryKind(gym.Env[Any, Any]):
    """Observations of every kind of space, and a value that fits none of its columns."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 12}  # noqa: RUF012  # as Gymnasium has it
    render_mode = "rgb_array"
    action_space = spaces.Dict(move=spaces.Box(-1, 1, (2,), np.float16), say=spaces.Text(8))
    observation_space = spaces.Dict(
        [
            ("box", spaces.Box(-np.inf, np.inf, (2,), np.float64)),
            ("rank 0", spaces.Box(0, 9, (), np.uint8)),
            ("a/b", spaces.Discrete(5, start=-1)),
            (3, spaces.MultiBinary(4)),
            ("tuple", spaces.Tuple((spaces.MultiDiscrete([2, 3]), spaces.Text(9, charset="aß😀")))),
            ("sequence", spaces.Sequence(spaces.Dict(x=spaces.Discrete(3), y=spaces.Text(3)))),
            ("stack", spaces.Sequence(spaces.Box(0, 1, (2,), np.float32), stack=True)),
            ("graph", spaces.Graph(spaces.Box(0, 1, (2,), np.float32), spaces.Discrete(2))),
            ("choice", spaces.OneOf([spaces.Discrete(2), spaces.Sequence(spaces.Discrete(4))])),
        ]
    )

    def __init__(self) -> None:
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.steps = 0
        return self.observation_space.sample(), {"lives": 3}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.steps += 1
        observation = self.observation_space.sample()
        if self.steps == 3:
            observation["box"] = [1, None, float("nan")]
        reward = (0.5, 1, np.float32(0.1), float("inf"))[self.steps % 4]
        return (
            observation,
            reward,
            self.steps == 5,
            np.bool_(False),
            {"lives": 3 - self.steps, "note": ("x", self.steps)},
        )

    def render(self) -> np.ndarray:  # type: ignore[override]  # one mode only
        return np.full((4, 5, 3), self.steps, np.uint8)


def play(env: gym.Env[Any, Any]) -> list[dict[str, Any]]:
    """Play three episodes, the middle one cut short; everything that passed."""
    env.action_space.seed(0)
    episodes = []
    for seed, length in ((1, 5), (2, 2), (3, 5)):
        observation, info = env.reset(seed=seed, options={"n": (seed,)})
        seen: dict[str, Any] = {"observations": [observation], "infos": [info], "actions": [], "rewards": []}
        for _ in range(length):
            action = env.action_space.sample()
            observation, reward, _, _, info = env.step(action)
            for name, value in (
                ("observations", observation),
                ("infos", info),
                ("actions", action),
                ("rewards", reward),
            ):
                seen[name].append(value)
        episodes.append(seen)
    return episodes


def main() -> int:
    """Make the files, unless they exist."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=GOLDEN, help="where to write  [default: tests/golden]")
    path = parser.parse_args().folder / f"v{FORMAT_VERSION}.h5"
    if path.exists():
        print(f"{path} exists: a golden file is made once.", file=sys.stderr)
        return 1
    env = h5r.RecordToHDF5(EveryKind(), path, writer="inline", metadata={"run_id": "golden", "note": (1, "ß")})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", h5r.errors.RecordingWarning)  # one value fits no column on purpose
        episodes = play(env)
    env.close()
    path.with_suffix(".json").write_text(dumps(episodes) + "\n")
    print(f"made {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

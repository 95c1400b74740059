"""Vector environments to record, whose every value tells its life, lane, episode and step.

The acts are those of ``courses``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from gym_h5record.recorder.vector_wrapper import RecordToHDF5

from .courses import COURSES, Course, Run

__all__ = ["Place", "acts", "extras_at", "has_lanes", "info_at", "make_envs", "observation_at", "record", "reward_at"]

Place = tuple[int, int, int, int]
"""Life, lane, episode and step."""

_AT = spaces.Box(-1, 2**62, (4,), np.int64)
_RICH = spaces.Dict(
    {
        "at": _AT,
        "text": spaces.Text(40, min_length=0),
        "picture": spaces.Box(0, 255, (64, 64), np.uint8),  # sixteen of them fill a compressed chunk
        "views": spaces.Sequence(spaces.Box(0, 255, (64, 64), np.uint8)),
    }
)


def has_lanes(name: str) -> bool:
    """Whether an environment is a vector environment."""
    return name in COURSES


def observation_at(place: Place, *, is_rich: bool) -> dict[str, Any]:
    """The observation of a place."""
    at = {"at": np.array(place, np.int64)}
    if not is_rich:
        return at
    picture = np.full((64, 64), place[3] % 256, np.uint8)
    picture[:12] = np.random.default_rng(place).integers(0, 256, (12, 64))
    views = tuple(picture[::-1] for _ in range((place[1] + place[3]) % 3))
    return {**at, "text": "ab" * (sum(place) * 7 % 20), "picture": picture, "views": views}


def info_at(place: Place, *, is_rich: bool) -> dict[str, Any]:
    """The info of a place: keys come and go."""
    _, lane, episode, step = place
    found: dict[str, Any] = {}
    if is_rich:
        found["place"] = np.array(place)
        if step % 2:
            found["odd"] = np.float64(step + lane / 4)
        if (step + lane) % 3 == 0:
            found["words"] = f"lane {lane}" * (step % 4 + 1)
        if episode == 2:
            found["late"] = f"{step}"
    return found


def reward_at(place: Place) -> float:
    """The reward of the step that leads to a place."""
    life, lane, episode, step = place
    return life + lane + episode / 8 + step / 64


def extras_at(place: Place) -> dict[str, Any]:
    """What the agent adds to the step from a place."""
    life, lane, episode, step = place
    return {"value": np.float64(life + lane / 8 + step), "note": f"{lane}.{episode}." * (step % 3)}


class LaneEnv(gym.Env[Any, Any]):
    """The environment of a lane."""

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 30}  # noqa: RUF012  # as Gymnasium has it

    def __init__(self, course: Course, life: int, lane: int) -> None:
        self.observation_space = _RICH if course.is_rich else spaces.Dict({"at": _AT})
        self.action_space = spaces.Discrete(100)
        self._course, self._life, self._lane = course, life, lane
        self._episode, self._step = -1, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._episode, self._step = self._episode + 1, 0
        return self._show()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._step += 1
        is_over = self._step >= self._course.length(self._lane, self._episode)
        observation, info = self._show()
        outcome = (is_over and self._episode % 2 == 0, is_over and self._episode % 2 == 1)
        return observation, reward_at(self._place), *outcome, info

    @property
    def _place(self) -> Place:
        return self._life, self._lane, self._episode, self._step

    def _show(self) -> tuple[Any, dict[str, Any]]:
        is_rich = self._course.is_rich
        return observation_at(self._place, is_rich=is_rich), info_at(self._place, is_rich=is_rich)


def make_envs(name: str, life: int = 0) -> SyncVectorEnv:
    """The vector environment of one of ``COURSES``."""
    course = COURSES[name]
    makers = [partial(LaneEnv, course, life, lane) for lane in range(len(course.lengths))]
    return SyncVectorEnv(makers, autoreset_mode=AutoresetMode[course.mode])


def record(name: str, life: int, path: Any, **options: Any) -> RecordToHDF5:
    """Record the vector environment of one of ``COURSES``."""
    course = COURSES[name]
    if course.discards:
        options["keep"] = lambda summary: not (summary.complete and course.refuses(summary.length))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return RecordToHDF5(make_envs(name, life), path, **options)


def action_at(lane: int, episode: int, step: int) -> int:
    """The action of a lane."""
    return (lane + 7 * step + 3 * episode) % 100


def acts(envs: RecordToHDF5, name: str, life: int) -> Iterator[None]:
    """Do what the course says for ever. Yields when an act has returned."""
    course = COURSES[name]
    run = Run(course)
    for number, (kind, lanes, stages) in enumerate(run.acts()):
        if kind == "discard":
            envs.discard_episode(list(lanes))
        elif kind == "reset" and number == 0:
            envs.reset(seed=1000 * life)
        elif kind == "reset":
            mask = np.isin(np.arange(envs.num_envs), lanes)
            envs.reset(options=None if mask.all() else {"reset_mask": mask})
        else:
            places = [(life, lane, *place) for lane, place in enumerate(run.places())]
            if course.is_rich:
                extras = [extras_at(place) for place in places]
                notes = [each["note"] for each in extras]
                envs.add_extras(value=np.array([each["value"] for each in extras]), note=notes)
            envs.step(np.array([action_at(*place[1:]) for place in places]))
        for _ in stages:
            pass
        yield

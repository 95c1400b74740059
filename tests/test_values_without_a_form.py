"""Values that nothing can print, copy or write whole: the environment goes on, and every row is kept."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.values.tagged_json import TaggedText
from tests.zoo import check_identical


class Silent:
    """Has no text."""

    def __repr__(self) -> str:
        raise ZeroDivisionError("no text")


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def containing_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


EXACT: dict[str, Any] = {"huge": 10**5000, "list-of-huge": [-(10**5000)]}
"""Python refuses to print integers of more than 4,300 digits, but not to write them in hexadecimal ones."""

INEXACT: dict[str, tuple[Any, str]] = {
    "silent": (Silent(), "Silent instance at 0x"),
    "list-of-silent": ([Silent()], "Silent instance at 0x"),
    "deep": (nested(150), "[" * 151),
    "too-deep-to-copy": (nested(100_000), "[[[[...]]]]"),
    "itself": (containing_itself(), "[[...]]"),
}
"""Values, and a part of the text that is recorded in the place of each."""

PLACES = ("observation", "info", "reward", "action", "extras", "options", "camera")
STEPS = {place: (1, 2) if place in ("reward", "action", "extras") else (0, 1, 2) for place in PLACES} | {
    "options": (0,)
}
"""Numbers of steps that bring the value; 0 is the reset."""


class Bringer(gym.Env[Any, Any]):
    """Brings a value with one of its steps."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, value: Any, place: str, step: int) -> None:
        self.observation_space = spaces.Box(0, 1, (2,), np.float32)
        self.action_space = spaces.Discrete(3)
        self._value, self._place, self._at, self._steps = value, place, step, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self._steps = 0
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self._steps += 1
        return self._observation(), self.given("reward", 0.5), False, False, self._info()

    def given(self, place: str, usual: Any) -> Any:
        """The value if it is to come here now, else the usual one."""
        return self._value if (place, self._steps) == (self._place, self._at) else usual

    def _observation(self) -> Any:
        return self.given("observation", np.zeros(2, np.float32))

    def _info(self) -> dict[str, Any]:
        return {"lives": 3, "value": self.given("info", None)}


def record(path: Path, value: Any, place: str, step: int) -> None:
    """Record a reset and three steps, one of which brings the value."""
    env = Bringer(value, place, step)
    cameras = {"front": lambda _: env.given("camera", np.zeros((4, 4), np.uint8))}
    recorder = h5r.RecordToHDF5(env, path, writer="inline", frames=cameras if place == "camera" else False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        recorder.reset(options={"value": value} if place == "options" else None)
        for number in (1, 2, 3):
            if (place, number) == ("extras", step):
                recorder.add_extras(value=value)
            recorder.step(value if (place, number) == ("action", step) else 0)
        recorder.close()


def found(path: Path, place: str, step: int) -> Any:
    """What a recording has at the place of the value."""
    with h5r.Recording(path) as recording:
        assert (recording.num_rows, recording.num_steps) == (4, 3)
        (episode,) = recording.episodes
        for column in (episode.observations, episode.infos, episode.actions, episode.rewards, episode.extras):
            assert len([*column]) in (3, 4)  # all of them can be read
        if place == "camera":
            return episode.frames[step]["front"]
        if place == "options":
            return episode.options
        kinds = {"observation": "observations", "info": "infos", "action": "actions", "reward": "rewards"}
        return getattr(episode, kinds.get(place, place))[step - (place in ("action", "reward", "extras"))]


def check_sound(path: Path) -> None:
    assert {each.code for each in h5r.validate(path, deep=True)} <= {"out-of-space"}


AT = [pytest.param(place, step, id=f"{place}-{step}") for place in PLACES for step in STEPS[place]]

IN_TURN = [
    pytest.param(kind, place, step, id=f"{kind}-{place}-{step}")
    for number, kind in enumerate(INEXACT)
    for place in PLACES
    for at, step in enumerate(STEPS[place])
    if kind == "silent" or at == number % len(STEPS[place])
]
"""One kind comes with every step that can bring it, any other one to every place with one step, each with another."""


@pytest.mark.sampled(7)
@pytest.mark.parametrize(("place", "step"), AT)
@pytest.mark.parametrize("kind", EXACT)
def test_a_number_that_cannot_be_printed_comes_back(kind: str, place: str, step: int, tmp_path: Path) -> None:
    value = EXACT[kind]
    record(tmp_path / "run.h5", value, place, step)
    read = found(tmp_path / "run.h5", place, step)
    check_identical(read["value"] if isinstance(read, dict) else read, value, place)
    check_sound(tmp_path / "run.h5")


@pytest.mark.sampled(10)
@pytest.mark.parametrize(("kind", "place", "step"), IN_TURN)
def test_of_anything_else_a_text_is_kept(kind: str, place: str, step: int, tmp_path: Path) -> None:
    value, text = INEXACT[kind]
    record(tmp_path / "run.h5", value, place, step)
    read = found(tmp_path / "run.h5", place, step)
    while type(read) is not TaggedText:  # as much as possible is kept around it
        (read,) = read if isinstance(read, list) else [each for key, each in read.items() if key == "value"]
    assert text in read
    check_sound(tmp_path / "run.h5")

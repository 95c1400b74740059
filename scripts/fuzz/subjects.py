"""The small good recordings from which hostile files are made."""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
import tempfile
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.writing import journal

__all__ = [
    "SUBJECT",
    "SUBJECTS",
    "Scene",
    "good_files",
    "interrupt",
    "make_lanes",
    "make_scene",
    "make_zoo",
    "modest_journals",
    "record",
]

_MODEST_BYTES = 1 << 20


class Scene(gym.Env[Any, Any]):
    """Shows samples of a space, with rewards and infos of changing types. Every run is the same.

    Args:
        space: The observation space.
        length: Steps of an episode.
        frames: Whether it renders pictures.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 12}  # noqa: RUF012  # as Gymnasium has it

    def __init__(self, space: gym.Space[Any], length: int = 3, *, frames: bool = True) -> None:
        self.observation_space = space
        self.action_space = spaces.Discrete(4)
        self.render_mode = "rgb_array" if frames else None
        self._length = length
        self._step = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(0 if seed is None else seed)
        self._step = 0
        return self.observation_space.sample(), {"lives": 3, "position": np.zeros(2), "note": "begins"}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self._step += 1
        rewards: tuple[Any, ...] = (0.5, 2, np.float32(0.1), 2**53 + 1)  # float64 cannot hold the last one
        info = {"lives": 3 - self._step % 2, "position": np.full(2, self._step / 4), "note": ["stands", self._step]}
        return self.observation_space.sample(), rewards[self._step % 4], self._step == self._length, False, info

    def render(self) -> np.ndarray:
        return np.random.default_rng(self._step).integers(0, 9, (20, 16, 3), np.uint8)


class _Plain(Scene):
    """Shows a few numbers, as CartPole does."""

    def __init__(self) -> None:
        super().__init__(spaces.Box(-9, 9, (4,), np.float32), 40, frames=False)
        self.action_space = spaces.Discrete(2)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, _, terminated, truncated, _ = super().step(action)
        return observation, 1.0, terminated, truncated, {}


class _Pictures(Scene):
    """Shows pictures, as an Atari game does."""

    def __init__(self) -> None:
        super().__init__(spaces.Box(0, 255, (105, 80, 3), np.uint8), 8, frames=False)
        self.action_space = spaces.Discrete(18)
        self._picture = np.zeros((105, 80, 3), np.uint8)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        _, _, terminated, truncated, _ = super().step(action)
        self._picture[self._step * 7 : self._step * 7 + 7, 20:60] = self._step * 20
        return self._picture.copy(), 1.0, terminated, truncated, {"lives": 3}


class _Stacks(Scene):
    """Shows stacks of the newest frames, as ``FrameStackObservation`` does; one of them does not slide."""

    def __init__(self) -> None:
        super().__init__(spaces.Box(0, 255, (3, 32, 40), np.uint8), 9, frames=False)
        self._stack = np.zeros((3, 32, 40), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._stack[:] = 7
        return self._stack.copy(), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        _, reward, terminated, truncated, _ = super().step(action)
        self._stack[:-1] = self._stack[1:]
        self._stack[-1] = self._step
        if self._step == 5:
            self._stack[0] = 200
        return self._stack.copy(), reward, terminated, truncated, {}


def make_scene() -> Scene:
    """A scene with few columns: compressed, ragged and JSON ones."""
    return Scene(spaces.Dict(picture=spaces.Box(0, 255, (40, 30), np.uint8), text=spaces.Text(9)))


def make_zoo() -> Scene:
    """A scene with columns of every kind."""
    return Scene(
        spaces.Dict(
            picture=spaces.Box(0, 255, (40, 30), np.uint8),
            vector=spaces.Box(-1, 1, (3,), np.float32),
            number=spaces.Discrete(9),
            pair=spaces.Tuple((spaces.Box(0, 1, (), np.float16), spaces.MultiBinary(3))),
            text=spaces.Text(9),
            words=spaces.Sequence(spaces.Text(4, min_length=0)),
            points=spaces.Sequence(spaces.Box(0, 1, (2,), np.float64), stack=True),
            views=spaces.Sequence(spaces.Box(0, 255, (70, 70), np.uint8)),
            nothing=spaces.Sequence(spaces.Dict()),
            graph=spaces.Graph(spaces.Box(-1, 1, (3,), np.float32), spaces.Discrete(3)),
            choice=spaces.OneOf([spaces.Discrete(4), spaces.Box(0, 1, (2,), np.float32)]),
        )
    )


def make_lanes() -> SyncVectorEnv:
    """Four scenes with few columns; their episodes have different lengths."""
    space = spaces.Dict(picture=spaces.Box(0, 255, (40, 30), np.uint8), text=spaces.Text(9))
    return SyncVectorEnv([partial(Scene, space, length, frames=False) for length in (1, 2, 3, 7)])


def _make_numbers() -> SyncVectorEnv:
    """A few numbers in three lanes, which are reset in the same step."""
    return SyncVectorEnv([_Plain for _ in range(3)], autoreset_mode=AutoresetMode.SAME_STEP)


SUBJECTS: dict[str, tuple[Callable[[], gym.Env[Any, Any] | SyncVectorEnv], dict[str, Any]]] = {
    "a few, gzip": (make_scene, {}),
    "everything, gzip": (make_zoo, {}),
    "pictures, gzip": (_Pictures, {}),
    "pictures, zstd": (_Pictures, {"compression": "zstd"}),
    "numbers, uncompressed": (_Plain, {"compression": None}),
    "stacks, gzip": (_Stacks, {}),
    "lanes, gzip": (make_lanes, {}),
    "lanes of numbers": (_make_numbers, {"compression": None}),
}
"""The recordings by name: the maker of the environment, and options of the recorder."""

SUBJECT = "a few, gzip"
"""The recording from which most hostile files are made."""

EPISODES = 2
"""The number of episodes in a recording; the last one is cut short."""


def modest_journals() -> None:
    """Make the journals of this process small, for a large one takes time to make."""
    journal._MAX_BYTES = _modest_bytes()  # noqa: SLF001  # for tests


def _modest_bytes() -> int:
    return min(journal._MAX_BYTES, _MODEST_BYTES)  # noqa: SLF001  # for tests


@contextmanager
def _same_every_time(name: str) -> Iterator[None]:
    """In the block, recordings of one name have the same bytes every time, on one machine."""
    first = (zlib.crc32(name.encode()) + (1 << 32)) << 64  # so large that it has all digits
    ids = (uuid.UUID(int=number << 31) for number in range(first, first + (1 << 32)))
    begun = {"now.return_value.isoformat.return_value": "2026-01-01T00:00:00+00:00"}
    clock = itertools.count().__next__
    with (
        mock.patch("uuid.uuid4", side_effect=ids),
        mock.patch("gym_h5record.writing.session.datetime", **begun),
        mock.patch("time.monotonic_ns", clock),
        mock.patch("gym_h5record.writing.row_writer.monotonic_ns", clock),
        mock.patch("gym_h5record.writing.lane_row_writer.monotonic_ns", clock),
    ):
        yield


def record(path: Path, subject: str = SUBJECT, episodes: int = EPISODES, **options: Any) -> Path:
    """Record a few episodes; the last one is cut short."""
    make, usual = SUBJECTS[subject]
    modest = mock.patch.object(journal, "_MAX_BYTES", _modest_bytes())  # this recording only: tests make others here
    with warnings.catch_warnings(), modest, _same_every_time(subject):
        warnings.simplefilter("ignore", RecordingWarning)
        env = _start(make(), path, **{"writer": "inline", **usual, **options})
        _play(env, episodes)
        env.close()
    return path


def interrupt(path: Path, subject: str = SUBJECT, episodes: int = EPISODES) -> Path:
    """Record in a process that dies before ``close``. Its last episode is in the journal only."""
    source = "import sys; from {} import die; die(sys.argv[1], sys.argv[2], int(sys.argv[3]))"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", source.format("scripts.fuzz.subjects"), str(path), subject, str(episodes)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 1 or not path.exists():
        raise RuntimeError(f"the recorder did not die as it should: {done.stderr}")
    return path


@functools.cache
def good_files(subject: str = SUBJECT, *, interrupted: bool = False) -> dict[str, bytes]:
    """The contents of the files of a good recording, by the suffix of their name."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "run.h5"
        if interrupted:
            interrupt(path, subject)
        else:
            record(path, subject)
        return {each.name.removeprefix(path.name): each.read_bytes() for each in Path(directory).iterdir()}


def die(path: str, subject: str, episodes: int) -> None:
    """Record and die: the process of ``interrupt`` calls this."""
    make, usual = SUBJECTS[subject]
    modest_journals()
    warnings.simplefilter("ignore", RecordingWarning)
    with _same_every_time(f"{subject}, interrupted"):
        env = _start(make(), path, **{"writer": "inline", "flush_interval_s": 1e6, **usual})
        _play(env, episodes - 1)
        env.flush()
        _play(env, 1, seed=episodes)
    os._exit(1)


def _start(env: gym.Env[Any, Any] | SyncVectorEnv, path: Path | str, **options: Any) -> Any:
    recorder: Any = h5r.vector.RecordToHDF5 if isinstance(env, SyncVectorEnv) else h5r.RecordToHDF5
    return recorder(env, path, **options)


def _play(env: Any, episodes: int, seed: int = 0) -> None:
    env.action_space.seed(seed)
    if hasattr(env, "num_envs"):
        for number in range(seed, seed + episodes):
            env.reset(seed=number, options={"number": number} if number % 2 else None)
            for _ in range(5):
                env.step(env.action_space.sample())
        return
    for number in range(seed, seed + episodes):
        env.reset(seed=number, options={"number": number} if number % 2 else None)
        for _ in range(2 if number % 2 else 1000):
            *_, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                break

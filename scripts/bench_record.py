"""How fast do recorders record, and how well do they store? All in one run, side by side.

    python scripts/bench_record.py                                # every case, every recorder installed
    python scripts/bench_record.py --case breakout --recorders process inline lzf --json out.json
    python scripts/bench_record.py --case cartpole --million      # and whether memory grows

Every recorder steps the same environment with the same seed and the same actions,
one after the other in rounds, the order rotated each round, so that a machine that
slows down slows down everybody. Ratios are medians of the ratios within a round.
Times of single steps come from rounds of their own, memory from processes of their own.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.metadata
import itertools
import json
import os
import platform
import sqlite3
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter, perf_counter_ns
from typing import Any, NamedTuple, Protocol, cast

import gymnasium as gym
import h5py
import numpy as np
from rich.console import Console
from rich.table import Table

import gym_h5record

SEED = 7
MIB = 1 << 20
_READS, _READ_BUDGET_S = 200, 5.0
_MEMORY_TESTS = (("cartpole", 1_000_000), ("breakout", 20_000))
_PACKAGES = "gym_h5record gymnasium ale-py numpy h5py isal minari jax moviepy opencv-python-headless".split()

Env = gym.Env[Any, Any]
Put = Callable[[np.ndarray, Any, float, bool], None]


class Reader(NamedTuple):
    """Random access to what was recorded: how many rows, and how to get one."""

    rows: int
    read: Callable[[int], Any]


# Cases --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An environment to record and how many steps of it."""

    title: str
    env_id: str
    steps: int
    options: dict[str, Any] = field(default_factory=dict)
    is_preprocessed: bool = False
    has_pictures: bool = True

    def make(self, render_mode: str | None = None) -> Env:
        """A new environment."""
        env = gym.make(self.env_id, render_mode=render_mode, **self.options)
        if self.is_preprocessed:
            env = gym.wrappers.FrameStackObservation(gym.wrappers.AtariPreprocessing(env), 4)
        return env

    def actions(self, steps: int) -> list[Any]:
        """The actions that every recorder is given."""
        with self.make() as env:
            env.action_space.seed(SEED)
            return [env.action_space.sample() for _ in range(steps)]


CASES = {
    "breakout": Case("Breakout, RGB", "ale_py:ALE/Breakout-v5", 4000),
    "mspacman": Case("MsPacman, RGB", "ale_py:ALE/MsPacman-v5", 4000),
    "cartpole": Case("CartPole, no frames", "CartPole-v1", 20_000, has_pictures=False),
    "breakout-84": Case("Breakout, 4 x 84 x 84", "ale_py:ALE/Breakout-v5", 3000, {"frameskip": 1}, is_preprocessed=True),
}


# Recorders ----------------------------------------------------------------------------------------


class Recorder(Protocol):
    """One way to record. ``close`` of the wrapped environment completes what it stores."""

    title: str
    requires: tuple[str, ...] = ()
    render_mode: str | None = None

    def wrap(self, env: Env, folder: Path) -> Env:
        """``env``, recorded into ``folder``."""

    @contextmanager
    def open(self, folder: Path, space: gym.Space[Any]) -> Iterator[list[Reader]]:
        """The natural ways to read single observations (or frames) back."""
        yield []

    def frame_bytes(self, folder: Path) -> float | None:
        """Bytes of one stored observation, where the file can tell."""
        return None


class RowWrapper(gym.Wrapper[Any, Any, Any, Any]):
    """Hands every step to ``put``, and calls ``finish`` on close."""

    def __init__(self, env: Env, put: Put, finish: Callable[[], object]) -> None:
        super().__init__(env)
        self._put, self._finish = put, finish

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and hand over the row."""
        result = self.env.step(action)
        self._put(result[0], action, cast(float, result[1]), result[2] or result[3])
        return result

    def close(self) -> None:
        """Finish the recording, then close the environment."""
        self._finish()
        super().close()


def in_blocks(env: Env, num_rows: int, save: Callable[[dict[str, np.ndarray]], None]) -> RowWrapper:
    """Record by calling ``save`` with every ``num_rows`` rows, and with the rest."""
    observations = np.empty((num_rows, *(env.observation_space.shape or ())), env.observation_space.dtype)
    actions, rewards, dones = np.empty(num_rows, np.int64), np.empty(num_rows), np.empty(num_rows, np.bool_)
    columns = {"observations": observations, "actions": actions, "rewards": rewards, "dones": dones}
    filled = 0

    def put(observation: np.ndarray, action: Any, reward: float, done: bool) -> None:
        nonlocal filled
        observations[filled], actions[filled], rewards[filled], dones[filled] = observation, action, reward, done
        filled += 1
        if filled == num_rows:
            save(columns)
            filled = 0

    return RowWrapper(env, put, lambda: save({name: column[:filled] for name, column in columns.items()}))


class Bare(Recorder):
    """The environment itself: what everything is compared with."""

    title = "bare environment"

    def wrap(self, env: Env, folder: Path) -> Env:
        """Nothing around it."""
        return env


class PassThrough(Recorder):
    """A wrapper that does nothing: the least a recorder can cost."""

    title = "pass-through Wrapper"

    def wrap(self, env: Env, folder: Path) -> Env:
        """Gymnasium's base class."""
        return gym.Wrapper(env)


class H5Recorder(Recorder):
    """A recorder whose file is HDF5 with a dataset ``observations``."""

    @contextmanager
    def open(self, folder: Path, space: gym.Space[Any]) -> Iterator[list[Reader]]:
        """Plain h5py."""
        with h5py.File(folder / "run.h5") as file:
            observations = file["observations"]
            yield [Reader(len(observations), observations.__getitem__)]

    def frame_bytes(self, folder: Path) -> float:
        """What the chunks take, for each row."""
        with h5py.File(folder / "run.h5") as file:
            return float(file["observations"].id.get_storage_size() / len(file["observations"]))


@dataclass
class Ours(H5Recorder):
    """The recorder of this package."""

    writer: str

    def __post_init__(self) -> None:
        self.title = f'RecordToHDF5(writer="{self.writer}")'

    def wrap(self, env: Env, folder: Path) -> Env:
        """All options at their defaults but the writer."""
        return gym_h5record.RecordToHDF5(env, folder / "run.h5", writer=self.writer)

    @contextmanager
    def open(self, folder: Path, space: gym.Space[Any]) -> Iterator[list[Reader]]:
        """Plain h5py, and the package's own reader."""
        with super().open(folder, space) as readers:
            if not hasattr(gym_h5record, "Recording"):
                yield readers
                return
            with gym_h5record.Recording(folder / "run.h5") as recording:
                yield [*readers, Reader(readers[0].rows, recording.observations.__getitem__)]


class LzfRecipe(H5Recorder):
    """The widely copied recipe: h5py and LZF, chunks of 100 rows, one resize for each."""

    title = "h5py, LZF, 100-row chunks"

    def wrap(self, env: Env, folder: Path) -> Env:
        """Gather 100 rows, then resize and write."""
        file = h5py.File(folder / "run.h5", "w")

        def save(columns: dict[str, np.ndarray]) -> None:
            for name, rows in columns.items():
                if name not in file:
                    shape = rows.shape[1:]
                    limits = {"maxshape": (None, *shape), "chunks": (100, *shape)}
                    file.create_dataset(name, (0, *shape), rows.dtype, compression="lzf", **limits)
                start = len(file[name])
                file[name].resize(start + len(rows), axis=0)
                file[name][start:] = rows
            if len(columns["dones"]) < 100:
                file.close()

        return in_blocks(env, 100, save)


@dataclass
class SqliteRows(Recorder):
    """A row of SQLite for each step, as BLOB or as JSON text; a commit for 1,000 steps."""

    is_json: bool

    def __post_init__(self) -> None:
        self.title = "SQLite, JSON text" if self.is_json else "SQLite, BLOB"

    def wrap(self, env: Env, folder: Path) -> Env:
        """Insert at every step."""
        database = sqlite3.connect(folder / "run.db")
        database.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, observation, action, reward, done)")
        count = itertools.count(1)

        def put(observation: np.ndarray, action: Any, reward: float, done: bool) -> None:
            stored = json.dumps(observation.tolist()) if self.is_json else observation.tobytes()
            row = (stored, int(action), float(reward), done)
            database.execute("INSERT INTO steps (observation, action, reward, done) VALUES (?, ?, ?, ?)", row)
            if next(count) % 1000 == 0:
                database.commit()

        def finish() -> None:
            database.commit()
            database.close()

        return RowWrapper(env, put, finish)

    @contextmanager
    def open(self, folder: Path, space: gym.Space[Any]) -> Iterator[list[Reader]]:
        """Select by primary key."""
        database = sqlite3.connect(folder / "run.db")

        def read(index: int) -> np.ndarray:
            query = "SELECT observation FROM steps WHERE id = ?"
            (stored,) = database.execute(query, (index + 1,)).fetchone()
            if self.is_json:
                return np.array(json.loads(stored), space.dtype)
            return np.frombuffer(stored, space.dtype).reshape(space.shape or ())

        yield [Reader(database.execute("SELECT count(*) FROM steps").fetchone()[0], read)]
        database.close()


class NpyFiles(Recorder):
    """One ``.npy`` file per column and block of 1,000 steps."""

    title = ".npy per 1,000 steps"

    def wrap(self, env: Env, folder: Path) -> Env:
        """Save when a block is full."""
        count = itertools.count()

        def save(columns: dict[str, np.ndarray]) -> None:
            block = next(count)
            for name, rows in columns.items():
                np.save(folder / f"{name}-{block:06d}.npy", rows)

        return in_blocks(env, 1000, save)

    @contextmanager
    def open(self, folder: Path, space: gym.Space[Any]) -> Iterator[list[Reader]]:
        """Map the file, copy the row."""
        rows = sum(len(np.load(path, mmap_mode="r")) for path in folder.glob("dones-*.npy"))

        def read(index: int) -> np.ndarray:
            path = folder / f"observations-{index // 1000:06d}.npy"
            return np.array(np.load(path, mmap_mode="r")[index % 1000])

        yield [Reader(rows, read)]


class Video(Recorder):
    """Gymnasium's ``RecordVideo``, a lossy MP4 per episode and nothing but pictures."""

    title = "RecordVideo MP4 (lossy)"
    requires = ("moviepy", "cv2")
    render_mode = "rgb_array"

    def wrap(self, env: Env, folder: Path) -> Env:
        """Every episode."""
        return gym.wrappers.RecordVideo(env, str(folder), episode_trigger=lambda _: True)

    @contextmanager
    def open(self, folder: Path, space: gym.Space[Any]) -> Iterator[list[Reader]]:
        """Seek with OpenCV, which is faster at it than moviepy."""
        cv2 = importlib.import_module("cv2")
        videos = [cv2.VideoCapture(str(path)) for path in sorted(folder.glob("*.mp4"))]
        ends = np.cumsum([int(video.get(cv2.CAP_PROP_FRAME_COUNT)) for video in videos])

        def read(index: int) -> np.ndarray:
            number = int(np.searchsorted(ends, index, "right"))
            videos[number].set(cv2.CAP_PROP_POS_FRAMES, index - (ends[number - 1] if number else 0))
            return cast(np.ndarray, videos[number].read()[1])

        yield [Reader(int(ends[-1]), read)]
        for video in videos:
            video.release()


@dataclass
class Minari(Recorder):
    """Minari's ``DataCollector``; without its autoseed, which would change (and slow down) the episodes."""

    is_jpeg: bool

    def __post_init__(self) -> None:
        self.requires = ("minari", "jax", "PIL.Image")
        self.title = "Minari, JPEG of pictures (lossy)" if self.is_jpeg else "Minari, raw"

    def wrap(self, env: Env, folder: Path) -> Env:
        """``close`` creates the dataset: nothing can be loaded before."""
        os.environ["MINARI_DATASETS_PATH"] = str(folder)
        minari = importlib.import_module("minari")

        class Collector(minari.DataCollector):  # type: ignore[misc, name-defined]  # imported when asked for
            def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
                return super().reset(seed=seed, options={**(options or {}), "minari_autoseed": False})

            def close(self) -> None:
                self.create_dataset("bench/run-v0")
                super().close()

        return cast(Env, Collector(env, jpeg_encoding=self.is_jpeg))

    @contextmanager
    def open(self, folder: Path, space: gym.Space[Any]) -> Iterator[list[Reader]]:
        """An episode of the dataset, then the row in it: there is no access to single steps."""
        dataset = importlib.import_module("minari").load_dataset("bench/run-v0")
        metadata = dataset.storage.get_episode_metadata(range(dataset.total_episodes))
        ends = np.cumsum([each["total_steps"] + 1 for each in metadata])

        def read(index: int) -> np.ndarray:
            episode = int(np.searchsorted(ends, index, "right"))
            first = ends[episode - 1] if episode else 0
            return cast(np.ndarray, dataset[episode].observations[index - first])

        yield [Reader(int(ends[-1]), read)]


RECORDERS: dict[str, Recorder] = {
    "bare": Bare(),
    "wrapper": PassThrough(),
    "process": Ours("process"),
    "inline": Ours("inline"),
    "lzf": LzfRecipe(),
    "sqlite": SqliteRows(is_json=False),
    "sqlite-json": SqliteRows(is_json=True),
    "npy": NpyFiles(),
    "video": Video(),
    "minari": Minari(is_jpeg=True),
    "minari-raw": Minari(is_jpeg=False),
}


def lacks(recorder: Recorder, case: Case) -> str | None:
    """Why a case cannot be recorded this way, or None. Imports what is needed."""
    if recorder.render_mode and not case.has_pictures:
        return "needs pictures"
    for module in recorder.requires:
        try:
            importlib.import_module(module)
        except ImportError:
            return "not installed"
    return None

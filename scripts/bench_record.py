"""How fast do recorders record, and how small are their files? Measures all of them side by side, in one run.

    python scripts/bench_record.py                                # every case, every recorder that is installed
    python scripts/bench_record.py --case breakout --recorders process inline lzf --json out.json
    python scripts/bench_record.py --case cartpole --million      # and whether memory grows over a million steps

Every recorder steps the same environment with the same seed and the same actions. Each round runs all
recorders one after the other, in a rotated order, so that a machine that slows down slows down all of them.
Ratios are medians of the ratios within a round. Times of single steps are measured in rounds of their
own, memory in processes of their own.
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
import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import gymnasium as gym
import h5py
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

import gym_h5record

SEED = 7
MIB = 1 << 20
MINARI = ("minari", "jax", "PIL.Image")
MEMORY_TESTS = {"cartpole": 1_000_000, "breakout": 20_000}
PACKAGES = ("gym_h5record", "gymnasium", "ale-py", "numpy", "h5py", "isal", "minari", "jax", "moviepy")
NOTES = """
whole: bare time divided by the recorder's, from wrapping to the end of close; open: wrapping and the first reset;
p99, longest: single steps, without resets; read: a random observation or frame, warm (RecordToHDF5: h5py / Recording);
peak: growth of the stepping process, in brackets without mapped files; helper processes are not counted.
.npy files hold 1,000 steps, SQLite commits every 1,000. JPEG (pictures only) and MP4 are lossy, the others exact.
Minari runs without its autoseed, which would change the episodes, and its close creates the dataset."""

Env = gym.Env[Any, Any]


# Cases --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An environment to record and how many steps of it."""

    title: str
    env_id: str
    steps: int
    options: dict[str, Any] = field(default_factory=dict)
    requires: tuple[str, ...] = ("ale_py",)
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
        env = self.make()
        env.action_space.seed(SEED)
        actions = [env.action_space.sample() for _ in range(steps)]
        env.close()
        return actions


CASES = {
    "breakout": Case("Breakout, RGB", "ale_py:ALE/Breakout-v5", 4000),
    "mspacman": Case("MsPacman, RGB", "ale_py:ALE/MsPacman-v5", 4000),
    "cartpole": Case("CartPole, no frames", "CartPole-v1", 20_000, {}, (), has_pictures=False),
    "breakout-84": Case("Breakout, 4x84x84", "ale_py:ALE/Breakout-v5", 3000, {"frameskip": 1}, ("ale_py", "cv2"), True),
}


# Recorders ----------------------------------------------------------------------------------------


class Reader(NamedTuple):
    """Random access to the rows of a recording."""

    rows: int
    read: Callable[[int], Any]
    row_bytes: float | None = None  # None where the file does not tell


Columns = dict[str, np.ndarray]
Space = gym.Space[Any]


@dataclass(frozen=True)
class Recorder:
    """One way to record."""

    title: str
    wrap: Callable[[Env, Path], Env]  # the files are complete when the wrapped environment is closed
    open_readers: Callable[[Path, Space], list[Reader]] = lambda folder, space: []
    requires: tuple[str, ...] = ()
    needs_pictures: bool = False
    render_mode: str | None = None

    def lacks(self, case: Case) -> str | None:
        """Why a case cannot be recorded this way, or None."""
        if self.needs_pictures and not case.has_pictures:
            return "needs pictures"
        return None if installed(self.requires) else "not installed"


def installed(modules: Iterable[str]) -> bool:
    """Import the modules; whether all of them could be."""
    try:
        for module in modules:
            importlib.import_module(module)
    except ImportError:
        return False
    return True


class StepWrapper(gym.Wrapper[Any, Any, Any, Any]):
    """Hands every step to ``put``, and calls ``finish`` on close."""

    def __init__(self, env: Env, put: Callable[[Any, Any, Any, bool], None], finish: Callable[[], None]) -> None:
        super().__init__(env)
        self._put, self._finish = put, finish

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and hand over the row."""
        result = self.env.step(action)
        self._put(result[0], action, result[1], result[2] or result[3])
        return result

    def close(self) -> None:
        """Finish the recording, then close the environment."""
        self._finish()
        super().close()


def in_blocks(env: Env, num_rows: int, save: Callable[[Columns], None], close: Callable[[], None]) -> Env:
    """Call ``save`` whenever ``num_rows`` rows are full; on close, ``save`` the rest and call ``close``."""
    observations = np.empty((num_rows, *(env.observation_space.shape or ())), env.observation_space.dtype)
    actions, rewards, dones = np.empty(num_rows, np.int64), np.empty(num_rows), np.empty(num_rows, np.bool_)
    columns = {"observations": observations, "actions": actions, "rewards": rewards, "dones": dones}
    filled = 0

    def put(observation: Any, action: Any, reward: Any, done: bool) -> None:
        nonlocal filled
        observations[filled], actions[filled], rewards[filled], dones[filled] = observation, action, reward, done
        filled += 1
        if filled == num_rows:
            save(columns)
            filled = 0

    def finish() -> None:
        if filled:
            save({name: column[:filled] for name, column in columns.items()})
        close()

    return StepWrapper(env, put, finish)


def open_h5(folder: Path, space: Space) -> list[Reader]:
    """Plain h5py."""
    rows = h5py.File(folder / "run.h5")["observations"]
    return [Reader(len(rows), rows.__getitem__, rows.id.get_storage_size() / len(rows))]


def record_ours(env: Env, folder: Path, *, writer: str) -> Env:
    """This package, with default options except ``writer``."""
    return gym_h5record.RecordToHDF5(env, folder / "run.h5", writer=writer)


def open_ours(folder: Path, space: Space) -> list[Reader]:
    """Plain h5py, and this package's own reader."""
    readers = open_h5(folder, space)
    recording = gym_h5record.Recording(folder / "run.h5")
    readers.append(Reader(readers[0].rows, lambda index: recording.rows.observations[index]))
    return readers


def record_lzf(env: Env, folder: Path) -> Env:
    """The widely copied recipe: gather 100 rows, resize by 100, write a chunk of 100."""
    file = h5py.File(folder / "run.h5", "w")

    def save(columns: Columns) -> None:
        for name, rows in columns.items():
            shape = rows.shape[1:]
            if name not in file:
                sizes = {"shape": (0, *shape), "maxshape": (None, *shape), "chunks": (100, *shape)}
                file.create_dataset(name, dtype=rows.dtype, compression="lzf", **sizes)
            start = len(file[name])
            file[name].resize(start + len(rows), axis=0)
            file[name][start:] = rows

    return in_blocks(env, 100, save, file.close)


def record_sqlite(env: Env, folder: Path, *, encode: Callable[[np.ndarray], str | bytes]) -> Env:
    """A row for each step."""
    database = sqlite3.connect(folder / "run.db")
    database.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, observation, action, reward, done)")
    insert = "INSERT INTO steps (observation, action, reward, done) VALUES (?, ?, ?, ?)"
    count = itertools.count(1)

    def put(observation: Any, action: Any, reward: Any, done: bool) -> None:
        database.execute(insert, (encode(observation), int(action), float(reward), done))
        if next(count) % 1000 == 0:
            database.commit()

    def finish() -> None:
        database.commit()
        database.close()

    return StepWrapper(env, put, finish)


def to_json(observation: np.ndarray) -> str:
    """An observation as JSON text, as tutorials store it."""
    return json.dumps(observation.tolist())


def open_sqlite(folder: Path, space: Space) -> list[Reader]:
    """Select by primary key."""
    database = sqlite3.connect(folder / "run.db")

    def read(index: int) -> np.ndarray:
        query = "SELECT observation FROM steps WHERE id = ?"
        (stored,) = database.execute(query, (index + 1,)).fetchone()
        if isinstance(stored, str):
            return np.array(json.loads(stored), space.dtype)
        return np.frombuffer(stored, space.dtype).reshape(space.shape or ())

    return [Reader(database.execute("SELECT count(*) FROM steps").fetchone()[0], read)]


def record_npy(env: Env, folder: Path) -> Env:
    """One file for each column and block of 1,000 steps."""
    count = itertools.count()

    def save(columns: Columns) -> None:
        block = next(count)
        for name, rows in columns.items():
            np.save(folder / f"{name}-{block:06d}.npy", rows)

    return in_blocks(env, 1000, save, lambda: None)


def open_npy(folder: Path, space: Space) -> list[Reader]:
    """Map the file, copy the row."""
    rows = sum(len(np.load(path)) for path in folder.glob("dones-*.npy"))

    def read(index: int) -> np.ndarray:
        path = folder / f"observations-{index // 1000:06d}.npy"
        return np.array(np.load(path, mmap_mode="r")[index % 1000])

    return [Reader(rows, read)]


def locate(index: int, ends: np.ndarray) -> tuple[int, int]:
    """The part that a row is in, and its place in the part. Part k ends before row ``ends[k]``."""
    number = int(np.searchsorted(ends, index, "right"))
    return number, int(index - ends[number - 1]) if number else index


def record_video(env: Env, folder: Path) -> Env:
    """Gymnasium's wrapper, every episode. It stores pictures only."""
    return gym.wrappers.RecordVideo(env, str(folder / "videos"), episode_trigger=lambda _: True)


def open_video(folder: Path, space: Space) -> list[Reader]:
    """Seek with OpenCV: it seeks faster than moviepy."""
    cv2 = importlib.import_module("cv2")
    paths = sorted(folder.glob("videos/*.mp4"), key=lambda path: int(path.stem.rpartition("-")[2]))
    ends = np.cumsum([int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)) for path in paths])

    def read(index: int) -> Any:
        number, offset = locate(index, ends)
        video = cv2.VideoCapture(str(paths[number]))
        video.set(cv2.CAP_PROP_POS_FRAMES, offset)
        return video.read()[1][..., ::-1]

    return [Reader(int(ends[-1]), read)]


def record_minari(env: Env, folder: Path, *, jpeg_encoding: bool) -> Env:
    """Minari's ``DataCollector``. ``close`` creates the dataset, because nothing can be loaded before."""
    os.environ["MINARI_DATASETS_PATH"] = str(folder)
    collector = importlib.import_module("minari").DataCollector(env, jpeg_encoding=jpeg_encoding)
    reset, close = collector.reset, collector.close

    def create_and_close() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata
            collector.create_dataset("bench/run-v0")
        close()

    collector.reset = lambda seed=None, options=None: reset(seed=seed, options={"minari_autoseed": False})
    collector.close = create_and_close
    return collector  # type: ignore[no-any-return]  # imported when asked for


def open_minari(folder: Path, space: Space) -> list[Reader]:
    """Load the episode and take the row: Minari gives no access to single steps."""
    dataset = importlib.import_module("minari").load_dataset("bench/run-v0")
    episodes = dataset.storage.get_episode_metadata(range(dataset.total_episodes))
    ends = np.cumsum([episode["total_steps"] + 1 for episode in episodes])

    def read(index: int) -> Any:
        number, offset = locate(index, ends)
        return dataset[number].observations[offset]

    return [Reader(int(ends[-1]), read)]


RECORDERS = {
    "bare": Recorder("bare environment", lambda env, folder: env),
    "wrapper": Recorder("pass-through Wrapper", lambda env, folder: gym.Wrapper(env)),
    "process": Recorder('RecordToHDF5(writer="process")', partial(record_ours, writer="process"), open_ours),
    "inline": Recorder('RecordToHDF5(writer="inline")', partial(record_ours, writer="inline"), open_ours),
    "lzf": Recorder("h5py, LZF, 100-row chunks", record_lzf, open_h5),
    "sqlite": Recorder("SQLite, BLOB", partial(record_sqlite, encode=np.ndarray.tobytes), open_sqlite),
    "sqlite-json": Recorder("SQLite, JSON text", partial(record_sqlite, encode=to_json), open_sqlite),
    "npy": Recorder(".npy files", record_npy, open_npy),
    "video": Recorder("RecordVideo, MP4", record_video, open_video, ("moviepy", "cv2"), True, "rgb_array"),
    "minari": Recorder("Minari, JPEG", partial(record_minari, jpeg_encoding=True), open_minari, MINARI, True),
    "minari-raw": Recorder("Minari, raw", partial(record_minari, jpeg_encoding=False), open_minari, MINARI),
}


# Measuring ----------------------------------------------------------------------------------------


@dataclass
class Run:
    """The times of one recorder in one round, and the sizes of its files."""

    open_s: float
    loop_s: float
    close_s: float
    last: Any
    disk_bytes: int
    frame_bytes: float | None = None
    read_ms: list[float] = field(default_factory=list)

    @property
    def total_s(self) -> float:
        """Seconds from wrapping to the end of ``close``."""
        return self.open_s + self.loop_s + self.close_s


def drive(env: Env, actions: list[Any], step_ms: list[float] | None = None) -> Any:
    """Step through all actions; returns the last observation."""
    step = env.step if step_ms is None else timed(env.step, step_ms)
    observation = None
    for action in actions:
        observation, _, terminated, truncated, _ = step(action)
        if terminated or truncated:
            env.reset()
    return observation


def timed(step: Callable[[Any], Any], step_ms: list[float]) -> Callable[[Any], Any]:
    """``step``, noting how long each call took."""

    def timed_step(action: Any) -> Any:
        start = perf_counter()
        result = step(action)
        step_ms.append(1000 * (perf_counter() - start))
        return result

    return timed_step


def record(
    case: Case, recorder: Recorder, actions: list[Any], step_ms: list[float] | None = None, *, read: bool = False
) -> Run:
    """Record once into a fresh folder, and measure its files."""
    with tempfile.TemporaryDirectory() as name:
        folder, env = Path(name), case.make(recorder.render_mode)
        gc.collect()
        gc.freeze()  # the collector shall not walk the modules of other recorders
        start = perf_counter()
        env = recorder.wrap(env, folder)
        env.reset(seed=SEED)
        opened = perf_counter()
        last = drive(env, actions, step_ms)
        stepped = perf_counter()
        env.close()
        close_s = perf_counter() - stepped
        disk_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        run = Run(opened - start, stepped - opened, close_s, last, disk_bytes)
        for reader in recorder.open_readers(folder, env.observation_space) if read else ():
            run.frame_bytes = run.frame_bytes or reader.row_bytes
            run.read_ms.append(time_reads(reader))
        return run


def time_reads(reader: Reader, reads: int = 200, budget_s: float = 5.0) -> float:
    """Median milliseconds of up to ``reads`` random reads, fewer if they take longer than the budget."""
    times: list[float] = []
    for index in np.random.default_rng(SEED).integers(reader.rows, size=reads).tolist():
        start = perf_counter()
        reader.read(index)
        times.append(1000 * (perf_counter() - start))
        if sum(times) > 1000 * budget_s:
            break
    return median(times)


def record_in_rounds(case: Case, keys: list[str], steps: int, rounds: int, console: Console) -> dict[str, Any]:
    """Run every recorder in every round, each round beginning with another one.

    Returns:
        The figures, by recorder.
    """
    actions = case.actions(steps)
    runs: dict[str, list[Run]] = {key: [] for key in keys}
    step_ms: dict[str, list[list[float]]] = {key: [] for key in keys}
    figures: dict[str, Any] = {}
    with console.status(case.title) as status:
        for number in range(rounds + (rounds + 1) // 2):
            shift = number % len(keys)
            for key in keys[shift:] + keys[:shift]:
                status.update(f"{case.title}: round {number + 1}, {RECORDERS[key].title}")
                if number >= rounds:
                    step_ms[key].append([])
                    record(case, RECORDERS[key], actions, step_ms[key][-1])
                    continue
                runs[key].append(record(case, RECORDERS[key], actions, read=number == rounds - 1))
                if not np.array_equal(runs[key][-1].last, runs["bare"][0].last):  # the first round begins with it
                    warnings.warn(f"{RECORDERS[key].title} has changed the course of the environment", stacklevel=1)
        for key in keys:
            status.update(f"{case.title}: memory, {RECORDERS[key].title}")
            memory_mib = in_own_process(memory_growth, case, key, steps)
            figures[key] = summarize(runs, key, steps, step_ms[key]) | {"memory_mib": memory_mib}
    return figures


def summarize(runs: dict[str, list[Run]], key: str, steps: int, step_ms: list[list[float]]) -> dict[str, Any]:
    """The figures of one recorder."""
    mine, bare, wrapper = runs[key], runs["bare"], runs["wrapper"]
    return {
        "steps_per_s": median(steps / run.loop_s for run in mine),
        "ratio": median(base.loop_s / run.loop_s for base, run in zip(bare, mine, strict=True)),
        "ratio_with_open_close": median(base.total_s / run.total_s for base, run in zip(bare, mine, strict=True)),
        "added_us": median(1e6 * (run.loop_s - base.loop_s) / steps for base, run in zip(wrapper, mine, strict=True)),
        "open_ms": median(1000 * run.open_s for run in mine),
        "close_ms": median(1000 * run.close_s for run in mine),
        "p99_ms": median(float(np.percentile(times, 99)) for times in step_ms),
        "longest_ms": median(max(times) for times in step_ms),
        "bytes_per_step": mine[-1].disk_bytes / steps,
        "bytes_per_frame": mine[-1].frame_bytes,
        "read_ms": mine[-1].read_ms,
        "loops_s": [run.loop_s for run in mine],
    }


# Memory -------------------------------------------------------------------------------------------


def memory_bytes() -> np.ndarray:
    """Resident bytes of this process: all of them, and those that are neither shared nor mapped from files."""
    _, resident, shared, *_ = map(int, Path("/proc/self/statm").read_text().split())
    return np.array([resident, resident - shared]) * os.sysconf("SC_PAGE_SIZE")


def memory_growth(case: Case, key: str, steps: int, warm_up_percent: int = 0) -> list[float]:
    """The most MiB that a recording adds to this process after the warm-up, sampled every 5 ms."""
    recorder = RECORDERS[key]
    installed(recorder.requires)  # its modules are loaded before memory is counted
    actions, env = case.actions(max(1, steps // 100)), case.make(recorder.render_mode)
    base = peak = memory_bytes()

    def sample() -> None:
        nonlocal peak
        while True:
            peak = np.maximum(peak, memory_bytes())
            time.sleep(0.005)

    def watch() -> None:
        nonlocal base, peak
        base = peak = memory_bytes()
        threading.Thread(target=sample, daemon=True).start()

    if not warm_up_percent:
        watch()
    with tempfile.TemporaryDirectory() as name:
        env = recorder.wrap(env, Path(name))
        env.reset(seed=SEED)
        for percent in range(100):
            if percent == warm_up_percent > 0:
                watch()
            drive(env, actions)
        env.close()
    return [float(growth) / MIB for growth in peak - base]


def in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call the function in a new process, which has used no memory before."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


# Reporting ----------------------------------------------------------------------------------------

FORMATS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "steps_per_s": ("steps/s", "{:,.0f}".format),
    "ratio": ("to bare", "{:.3f}".format),
    "ratio_with_open_close": ("whole", "{:.3f}".format),
    "added_us": ("added\nus/step", "{:+.1f}".format),
    "open_ms": ("open\nms", "{:,.0f}".format),
    "close_ms": ("close\nms", "{:,.0f}".format),
    "p99_ms": ("p99\nms", "{:.3f}".format),
    "longest_ms": ("longest\nms", "{:.2f}".format),
    "bytes_per_step": ("bytes\n/step", "{:,.0f}".format),
    "bytes_per_frame": ("bytes\n/frame", "{:,.0f}".format),
    "read_ms": ("read\nms", lambda times: " / ".join(f"{ms:.3f}" for ms in times)),
    "memory_mib": ("peak\nMiB", lambda growth: "{:.0f} ({:.0f})".format(*growth)),
}


def case_table(case: Case, figures: dict[str, Any], skipped: dict[str, str], steps: int, rounds: int) -> Table:
    """The figures of one case, a row for each recorder."""
    table = Table(
        title=f"{case.title}: {steps:,} steps, median of {rounds} rounds",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title_justify="left",
    )
    table.add_column("recorder", no_wrap=True)
    for header, _ in FORMATS.values():
        table.add_column(header, justify="right", no_wrap=True)
    for key, values in figures.items():
        cells = ["-" if values[name] in (None, []) else form(values[name]) for name, (_, form) in FORMATS.items()]
        table.add_row(RECORDERS[key].title, *cells)
    for key, reason in skipped.items():
        table.add_row(RECORDERS[key].title, reason, style="dim")
    return table


def versions() -> dict[str, str]:
    """The machine, and the versions of the packages."""
    found = {"CPUs": str(os.cpu_count()), "machine": platform.machine(), "Python": platform.python_version()}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES), help="what to record")
    parser.add_argument("--recorders", nargs="+", choices=RECORDERS, default=list(RECORDERS), help="which to compare")
    parser.add_argument("--steps", type=int, help="steps of a recording  [default: by case]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where to write all figures")
    parser.add_argument("--million", action="store_true", help="also record a million steps and print how memory grows")
    return parser.parse_args()


def main() -> None:
    """Measure what the command line says, and print it."""
    arguments = parse_arguments()
    console = Console(width=max(Console().width, 160))
    console.print(", ".join(f"{name} {version}" for name, version in versions().items()))
    results: dict[str, Any] = {"versions": versions(), "cases": {}}
    wanted = ["bare", "wrapper", *(key for key in arguments.recorders if key not in ("bare", "wrapper"))]
    for name in arguments.case:
        case = CASES[name]
        if not installed(case.requires):
            console.print(f"{case.title}: {', '.join(case.requires)} not installed")
            continue
        steps = arguments.steps or case.steps
        skipped = {key: reason for key in wanted if (reason := RECORDERS[key].lacks(case))}
        keys = [key for key in wanted if key not in skipped]
        figures = record_in_rounds(case, keys, steps, arguments.rounds, console)
        console.print(case_table(case, figures, skipped, steps, arguments.rounds))
        results["cases"][name] = {"steps": steps, "rounds": arguments.rounds, "recorders": figures}
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=2))
    console.print(NOTES)
    for (name, steps), key in itertools.product(
        MEMORY_TESTS.items() if arguments.million else (), ("process", "inline")
    ):
        growth = in_own_process(memory_growth, CASES[name], key, steps, 10)
        text = "{:.1f} MiB, {:.1f} without mapped files".format(*growth)
        console.print(
            f"{RECORDERS[key].title}, {steps:,} steps of {CASES[name].title}: growth after the first tenth {text}"
        )


if __name__ == "__main__":
    main()

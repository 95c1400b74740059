"""Following a recording while it is made: what is shown is committed and right, and the recorder is not disturbed.

``scripts/tail_test.py`` does the first part for longer, and kills more.
"""

from __future__ import annotations

import fcntl
import functools
import itertools
import mmap
import multiprocessing
import os
import pickle
import random
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import (
    CorruptRecordingError,
    InterruptedRecordingError,
    RecordingClosedError,
    RecordingNotFoundError,
)
from gym_h5record.storage import handle, state
from gym_h5record.storage.hdf5.lookup3 import lookup3_hash
from gym_h5record.storage.lock import RecordingLock, is_locked
from gym_h5record.storage.paths import journal_path
from gym_h5record.storage.state import State, recording_state
from gym_h5record.values.exact import identical
from tests.writing import (
    Pen,
    each_writer,
    elsewhere,
    make_schema,
    pair,
    run_script,
    wait_until,
    write_pairs,
    writer_pid,
)

LIFE = 1_000_000  # episodes of one recorder have numbers of their own
PATIENCE_S = 30.0
STEPS, FLUSHING, FLUSHED, STOP, LOOKS = range(5)


# What is recorded --------------------------------------------------------------------------------


class Numbered(gym.Env[Any, Any]):
    """Every value says which step of which episode it belongs to, in columns of every kind."""

    metadata: dict[str, Any] = {"render_modes": [], "render_fps": 30}  # noqa: RUF012  # as Gymnasium has it
    observation_space = spaces.Dict(
        number=spaces.Box(0, 2**62, (2,), np.int64),
        text=spaces.Text(60, min_length=0),
        list=spaces.Sequence(spaces.Box(-1e9, 1e9, (2,), np.float32)),
        picture=spaces.Box(0, 255, (64, 64), np.uint8),
        whole=spaces.Box(-1e9, 1e9, (), np.float64),
    )
    action_space = spaces.Dict(move=spaces.Discrete(3), say=spaces.Text(6, min_length=0))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._at = (seed or 0, 0)
        return self._observe(), {"at": 0}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        episode, step = self._at
        self._at = (episode, step + 1)
        # Neither this nor "odd" fits a column: both go into one text, which grows when the step is committed.
        reward = 2**53 + 1 if step % 5 == 3 else float(step)
        return self._observe(), reward, step + 1 == 9 + episode % 7, False, {"at": step + 1, "said": action["say"]}

    def _observe(self) -> dict[str, Any]:
        episode, step = self._at
        picture = np.full((64, 64), step, np.uint8)
        picture[:8] = np.random.default_rng([episode, step]).integers(0, 256, (8, 64))
        return {
            "number": np.array(self._at),
            "text": f"{episode}/{step} " * (step % 4),
            "list": tuple(np.array([episode, each], np.float32) for each in range(step % 3)),
            "picture": picture,
            "whole": f"odd {episode} {step}" if step % 5 == 3 else np.array(float(step)),
        }


RECORDED = {"cartpole": "CartPole-v1", "breakout": "ALE/Breakout-v5", "numbered": ""}
each_recorded = pytest.mark.parametrize("name", RECORDED)


def make(name: str) -> gym.Env[Any, Any]:
    if name == "breakout":
        import ale_py

        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        gym.register_envs(ale_py)
    return gym.make(RECORDED[name]) if RECORDED[name] else Numbered()


def play(env: gym.Env[Any, Any], episode: int) -> Iterator[tuple[Any, ...]]:
    """All that passes in an episode: (None, observation, info), then (action, observation, info, reward, ...)."""
    yield None, *env.reset(seed=episode)
    env.action_space.seed(episode)
    for count in itertools.count(1):
        action = env.action_space.sample()
        observation, reward, terminated, truncated, info = env.step(action)
        yield action, observation, info, reward, terminated, truncated
        if terminated or truncated or (episode % 5 == 4 and count == 7):  # some are left before they end
            return


@dataclass(frozen=True)
class Rehearsal:
    rows: list[tuple[Any, Any]]
    steps: list[tuple[Any, ...]]


@functools.cache
def stage(name: str) -> gym.Env[Any, Any]:
    return make(name)


@functools.lru_cache(maxsize=100)
def rehearse(name: str, episode: int) -> Rehearsal:
    moments = list(play(stage(name), episode))
    steps = [(action, *outcome) for action, _, _, *outcome in moments[1:]]
    return Rehearsal([(observation, info) for _, observation, info, *_ in moments], steps)


# Recorders and readers in processes of their own --------------------------------------------------


def shared_words(path: Path) -> np.ndarray:
    """A few numbers that processes share."""
    with path.with_suffix(".words").open("a+b") as file:
        file.truncate(64)
        return np.frombuffer(mmap.mmap(file.fileno(), 64), np.int64)


def record(path: Path, name: str, life: int, flush_every: int, options: dict[str, Any]) -> None:
    """Record until told to stop."""
    import warnings

    warnings.simplefilter("ignore", h5r.errors.RecordingWarning)  # some values fit no column on purpose
    words = shared_words(path)
    env = h5r.RecordToHDF5(make(name), path, **options)
    for episode in itertools.count(life * LIFE):
        for action, *_ in play(env, episode):
            words[STEPS] += action is not None
            if flush_every and words[STEPS] % flush_every == 0 and words[STEPS] > words[FLUSHING]:
                words[FLUSHING] = words[STEPS]
                env.flush()
                words[FLUSHED] = words[STEPS]
            if words[STOP]:
                env.close()
                return


def read_on_and_on(path: Path) -> None:
    """Be a reader that does not end by itself."""
    words = shared_words(path)
    while True:
        with h5r.Recording(path, live=True) as recording:
            for _ in range(5):
                words[LOOKS] += 1
                recording.refresh()
                if recording.num_rows:
                    recording.rows.observations[-1], recording.rows.rewards[:5]


PROCESSES: Any = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


class Recorder:
    """A recorder in a process of its own."""

    def __init__(self, path: Path, name: str, *, life: int = 0, flush_every: int = 0, **options: Any) -> None:
        self._path = path
        self.words = shared_words(path)
        self.words[:LOOKS] = 0
        options = {"flush_interval_s": 0.005, "mode": "a" if life else "x", **options}
        self.process = PROCESSES.Process(target=record, args=(path, name, life, flush_every, options), daemon=True)
        self.process.start()

    @property
    def steps(self) -> int:
        """How many have returned."""
        return int(self.words[STEPS])

    def wait_for(self, steps: int) -> None:
        def are_there() -> bool:
            assert self.process.is_alive()
            return self.steps >= steps

        wait_until(are_there, PATIENCE_S)

    def close(self) -> None:
        """Have it close the recording."""
        self.words[STOP] = 1
        self.process.join(PATIENCE_S)
        assert self.process.exitcode == 0

    def kill(self, *, writer: bool = False) -> None:
        """Kill it, and its writer with it."""
        if writer:
            os.kill(self.process.pid, signal.SIGSTOP)  # it would do the work of its writer
            os.kill(writer_pid(self._path), signal.SIGKILL)
        self.process.kill()
        self.process.join(PATIENCE_S)
        if writer:  # a dying process holds its lock a little longer than it can be seen
            wait_until(lambda: not is_locked(self._path))


@pytest.fixture
def recorders(tmp_path: Path) -> Iterator[Callable[..., Recorder]]:
    """Makes recorders to ``run.h5``."""
    made: list[Recorder] = []

    def make_one(name: str, **options: Any) -> Recorder:
        made.append(Recorder(tmp_path / "run.h5", name, **options))
        return made[-1]

    yield make_one
    for each in made:
        each.process.kill()
        each.process.join(PATIENCE_S)


def open_live(path: Path) -> h5r.Recording:
    """The recording, as soon as there is a file."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        with suppress(RecordingNotFoundError):
            return h5r.Recording(path, live=True)
        time.sleep(0.002)
    raise TimeoutError(path)


# Comparing ----------------------------------------------------------------------------------------


def check_look(recording: h5r.Recording, name: str, rows: set[int], lives: int = 1) -> None:
    """Fail unless what the recording shows is what was played: its counts, its index, and these rows."""
    num_rows, lengths = recording.num_rows, recording.lengths
    starts = np.concatenate([[0], np.cumsum(lengths + 1)])
    assert recording.num_episodes == len(lengths) == len(recording.returns) == len(recording.episodes)
    assert starts[-1] <= num_rows
    assert recording.num_steps == num_rows - len(lengths) - (starts[-1] < num_rows)
    for row in sorted(rows):
        number = int(np.searchsorted(starts, row, "right")) - 1
        is_running = number == len(lengths)
        end = num_rows if is_running else starts[number + 1]
        seed = running_seed(recording, name, lives) if is_running else recording.episodes[number].seed
        assert seed is not None
        check_row(recording, row, rehearse(name, seed), row - int(starts[number]), is_last=row == end - 1)
        if not is_running:
            check_entry(recording.episodes[number], rehearse(name, seed))


def running_seed(recording: h5r.Recording, name: str, lives: int) -> int:
    """The number of the episode that runs: it is not in the file yet."""
    before = recording.episodes[-1].seed if recording.num_episodes else None
    possible = [0 if before is None else before + 1, *(life * LIFE for life in range(1, lives))]
    start = 0 if before is None else recording.episodes[-1].start + recording.episodes[-1].length + 1
    first = recording.rows.observations[start]
    return next(seed for seed in possible if identical(rehearse(name, seed).rows[0][0], first))


def check_row(recording: h5r.Recording, row: int, played: Rehearsal, at: int, *, is_last: bool) -> None:
    observation, info = played.rows[at]
    assert identical(recording.rows.observations[row], observation), f"observation {row}"
    assert identical(recording.rows.infos[row] if recording.rows.infos else None, info), f"info {row}"
    if recording.rows.frames is not None:
        assert identical(recording.rows.frames[row], observation), f"frame {row}"
    names = ("actions", "rewards", "terminations", "truncations")
    step = tuple(getattr(recording.rows, name)[row] for name in names)
    expected = (None,) * 4 if is_last else played.steps[at]
    assert identical(step, expected), f"step {row}: {step}, expected {expected}"
    rewards, expected = recording.rows.rewards[row : row + 1], [0.0 if is_last else float(expected[1])]
    assert [float(reward) for reward in rewards if reward is not None] == expected
    assert recording.rows.dones[row] == (not is_last and any(step[2:]))


def check_entry(episode: h5r.Episode, played: Rehearsal) -> None:
    flags = tuple(map(bool, played.steps[episode.length - 1][2:])) if episode.length else (False, False)
    assert (episode.terminated, episode.truncated, episode.complete) == (*flags, any(flags))
    assert episode.total_reward == sum(float(reward) for _, reward, *_ in played.steps[: episode.length])


def some_rows(chance: random.Random, num_rows: int) -> set[int]:
    """The newest ones, and some older ones."""
    return {*range(max(0, num_rows - 2), num_rows), *(chance.randrange(num_rows) for _ in range(4 if num_rows else 0))}


# What is shown ------------------------------------------------------------------------------------


@pytest.mark.sampled(2)
@each_recorded
@each_writer
def test_every_look_shows_what_was_recorded_so_far_and_the_last_one_everything(
    name: str, writer: str, recorders: Callable[..., Recorder], tmp_path: Path
) -> None:
    chance = random.Random(f"{name} {writer}")
    recorder = recorders(name, writer=writer)
    recording = open_live(tmp_path / "run.h5")
    assert recording.is_live
    recorder.wait_for(1)
    until_s, looks, seen = time.monotonic() + 0.2, 0, (0, 0, 0)
    while time.monotonic() < until_s or looks < 5:
        assert recording.refresh()
        counts = (recording.num_rows, recording.num_steps, recording.num_episodes)
        assert recording.num_steps <= recorder.steps + 1
        assert all(now >= before for now, before in zip(counts, seen, strict=True))
        check_look(recording, name, some_rows(chance, recording.num_rows))
        seen, looks = counts, looks + 1
    recorder.close()
    assert recording.refresh() is recording.is_live is False
    assert recording.num_steps == recorder.steps == recording.lengths.sum()
    check_look(recording, name, {chance.randrange(recording.num_rows) for _ in range(50)})
    assert recording.refresh() is False


@each_writer
def test_nothing_is_shown_before_it_is_committed_and_everything_is_after(
    writer: str, recorders: Callable[..., Recorder], tmp_path: Path
) -> None:
    recorder = recorders("cartpole", writer=writer, flush_interval_s=3600.0, flush_every=7)
    recorder.wait_for(8)
    recording = open_live(tmp_path / "run.h5")
    shown = set()
    until_s = time.monotonic() + 0.1
    while time.monotonic() < until_s or len(shown) < 3:
        at_least = recorder.words[FLUSHED]
        assert recording.refresh()
        assert at_least <= recording.num_steps <= recorder.words[FLUSHING]
        assert recording.num_steps % 7 == 0
        shown.add(recording.num_steps)
        assert len(recording.rows.observations) == len(recording.rows.dones) == recording.num_rows


def test_the_steps_of_the_running_episode_are_counted(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.begin(pair(4))
        pen.flush()
        recording = h5r.Recording(tmp_path / "run.h5", live=True)
        assert (recording.num_rows, recording.num_steps, recording.num_episodes) == (5, 3, 1)
        pen.step(pair(5))
        pen.step(pair(6))
        assert recording.num_steps == 3
        pen.flush()
        assert recording.num_steps == 3
        assert recording.refresh()
        assert (recording.num_rows, recording.num_steps, recording.num_episodes) == (7, 5, 1)
        assert repr(recording).endswith(": 1 episode, 5 steps>")
    assert not recording.refresh()
    assert (recording.num_rows, recording.num_steps, recording.num_episodes) == (7, 5, 2)


@pytest.mark.filterwarnings("ignore::gym_h5record.errors.RecordingWarning")
def test_the_step_from_the_newest_row_is_not_shown_before_it_is_committed(tmp_path: Path) -> None:
    action = spaces.Dict(move=spaces.Discrete(9), say=spaces.Text(5))
    schema = make_schema(spaces.Box(-1e9, 1e9, (2,), np.float64), action)
    with Pen(tmp_path / "run.h5", schema) as pen:
        pen.begin(pair(0))
        pen.step(pair(1), action={"move": np.int64(3), "say": "one"}, reward=1.5)
        pen.flush()
        recording = h5r.Recording(tmp_path / "run.h5", live=True)
        taken = [
            recording.rows.actions,
            recording.rows.rewards,
            recording.rows.terminations,
            recording.rows.truncations,
        ]
        pen.step(pair(2), action={"move": np.int64(4), "say": "two"}, reward=2**53 + 1, terminated=True)
        pen.flush()
        for column in taken:
            assert column[1] is column[-1] is None
        assert taken[1][:].tolist() == [1.5, 0.0]
        assert taken[1][::-1].tolist() == [0.0, 1.5]
        assert taken[1][1:].tolist() == [0.0]
        assert taken[1][1:1].tolist() == []
        assert np.asarray(taken[2]).tolist() == [False, False]
        assert identical(taken[0][:]["say"], ["one", None])
        assert taken[0][:]["move"].tolist() == [3, 0]
        assert recording.rows.dones.tolist() == [False, False]
        recording.refresh()
        assert recording.rows.actions[1] == {"move": 4, "say": "two"}
        assert recording.rows.rewards[1] == 2**53 + 1
        assert recording.rows.dones.tolist() == [False, True, False]
        assert taken[0][1] is None


@pytest.mark.filterwarnings("ignore::gym_h5record.errors.RecordingWarning")
def test_a_value_that_no_column_holds_is_read_whole_while_the_step_after_it_is_committed(tmp_path: Path) -> None:
    long = "x" * (4096 - len('{"observations":""}'))  # a chunk of text: the next one begins another chunk
    with Pen(tmp_path / "run.h5") as pen:
        pen.begin(long)
        pen.step("no pair")
        pen.flush()
        recording = h5r.Recording(tmp_path / "run.h5", live=True)
        assert recording.rows.observations[0] == long  # it is in memory now where the next text ends, but not the text
        pen.step("but a text", reward=2**53 + 1)  # which now goes on with the reward
        pen.flush()
        assert recording.rows.observations[1] == "no pair"
        assert recording.rows.observations[0] == long


def test_what_was_taken_before_stays_as_it_was(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3, 2])
        pen.flush()
        recording = h5r.Recording(tmp_path / "run.h5", live=True)
        episodes, last, observations = recording.episodes, recording.episodes[-1], recording.rows.observations
        returns = recording.returns
        write_pairs(pen, [4] * 50, first_row=7)
        pen.flush()
        recording.refresh()
        assert (len(episodes), len(recording.episodes)) == (2, 52)
        assert (len(observations), len(recording.rows.observations)) == (7, 257)
        assert observations[:].tolist() == [pair(row).tolist() for row in range(7)]
        assert (last.number, last.length, last.total_reward, last.terminated) == (1, 2, 9.0, True)
        assert last.observations[-1].tolist() == pair(6).tolist()
        assert [episode.total_reward for episode in episodes] == returns.tolist() == [3.0, 9.0]
        assert recording.returns[:2].tolist() == returns.tolist()
    recording.refresh()
    assert last.observations[0].tolist() == pair(4).tolist()
    assert len(episodes) == 2


def test_a_read_that_has_to_open_the_file_again_does_not_end_the_following(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.flush()
        recording = h5r.Recording(tmp_path / "run.h5", live=True)
        write_pairs(pen, [2], first_row=4)
    recording._handle.renew()  # as a read does that fails: it finds the recording closed
    assert (recording.is_live, recording.num_episodes) == (True, 1)
    assert recording.refresh() is False
    assert (recording.is_live, recording.num_episodes) == (False, 2)


# Blocks that are half written ---------------------------------------------------------------------


@contextmanager
def half_written(path: Path, at: int, data: bytes, seconds: float) -> Iterator[None]:
    """Have ``data`` in the place of what is written there, for so long."""
    with path.open("r+b") as file:
        descriptor = file.fileno()
        right = os.pread(descriptor, len(data), at)
        os.pwrite(descriptor, data, at)
        repairing = threading.Timer(seconds, os.pwrite, (descriptor, right, at))
        repairing.start()
        try:
            yield
        finally:
            repairing.join()


def place_of(path: Path, name: str, what: str) -> int:
    """Where the header, or the first chunk, of a dataset is in the file."""
    with h5py.File(path, "r", swmr=True, locking=False) as file:
        dataset = file[name].id
        return int(h5py.h5o.get_info(dataset).addr if what == "header" else dataset.get_chunk_info(0).byte_offset)


@pytest.mark.parametrize("name", ["commit", "rewards", "observations", "episodes/lengths", "types"])
def test_a_half_written_block_is_read_once_it_is_whole(name: str, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Pen(path) as pen:
        write_pairs(pen, [3, 2])
        pen.flush()
        with half_written(path, place_of(path, name, "header") + 20, b"\xff" * 8, 0.03):
            recording = h5r.Recording(path, live=True)
            assert recording.refresh()
            assert recording.num_steps == 5
            assert recording.rows.rewards[:].tolist() == [0, 1, 2, 0, 4, 5, 0]
            assert recording.rows.observations[6].tolist() == pair(6).tolist()


@pytest.mark.timeout(30)
def test_a_block_that_stays_damaged_is_an_error_and_no_hang(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Pen(path) as pen:
        write_pairs(pen, [3])
        pen.flush()
        recording = h5r.Recording(path, live=True)
        with half_written(path, place_of(path, "rewards", "header") + 20, b"\xff" * 8, 1.5):
            recording.refresh()
            with pytest.raises(CorruptRecordingError, match="rewards"):
                recording.rows.rewards[0]
        assert recording.rows.rewards[1] == 1


@pytest.mark.parametrize(("rows", "episodes"), [(9, 1), (9, 0), (4, 2), (4, 3)])
def test_the_numbers_of_two_commits_are_not_mixed(rows: int, episodes: int, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Pen(path) as pen:
        write_pairs(pen, [3, 2])
        pen.begin(pair(7))
        pen.step(pair(8))
        pen.flush()
        recording = h5r.Recording(path, live=True)
        right = (9, 2, 6)
        assert (recording.num_rows, recording.num_episodes, recording.num_steps) == right
        with half_written(path, place_of(path, "commit", "chunk"), np.array([rows, episodes]).tobytes(), 0.03):
            recording.refresh()
        assert (recording.num_rows, recording.num_episodes, recording.num_steps) == right


# The recorder is not disturbed --------------------------------------------------------------------


def test_a_reader_holds_no_lock(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.flush()
        recording = h5r.Recording(tmp_path / "run.h5", live=True)
        recording.refresh()
        assert len(recording.rows.observations[:]) == 4
        with (tmp_path / "run.h5").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.long
@each_writer
def test_a_recording_is_closed_and_gone_on_with_while_a_reader_has_it_open(
    writer: str, recorders: Callable[..., Recorder], tmp_path: Path
) -> None:
    path = tmp_path / "run.h5"
    first = recorders("numbered", writer=writer)
    first.wait_for(20)
    reader = open_live(path)
    first.close()
    late = h5r.Recording(path, live=True)  # finds it closed
    assert not late.is_live
    second = recorders("numbered", writer=writer, life=1)
    second.wait_for(20)
    assert reader.refresh()  # it has not seen that there was an end
    check_look(reader, "numbered", set(range(reader.num_rows)), lives=2)
    assert not late.refresh()
    check_look(late, "numbered", set(range(late.num_rows)))
    second.close()
    assert not reader.refresh()
    assert reader.num_steps == late.num_steps + second.steps
    check_look(reader, "numbered", set(range(reader.num_rows)))


def test_a_recording_that_is_opened_again_shows_what_has_been_appended_meanwhile(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
    with h5r.Recording(tmp_path / "run.h5") as first:
        assert first.rows.rewards[:].tolist() == [0, 1, 2, 0]  # HDF5 has it in memory now
        with Pen(tmp_path / "run.h5", mode="a") as pen:
            write_pairs(pen, [2] * 2000, first_row=4)
        for live in (False, True):
            with h5r.Recording(tmp_path / "run.h5", live=live) as second:
                assert (second.num_episodes, second.num_steps, second.num_rows) == (2001, 4003, 6004)
                assert second.rows.rewards[4:].tolist() == [0 if row % 3 == 0 else row for row in range(4, 6004)]
                assert second.rows.observations[6003].tolist() == pair(6003).tolist()
        assert first.rows.rewards[:].tolist() == [0, 1, 2, 0]
        assert first.rows.observations[3].tolist() == pair(3).tolist()


@pytest.mark.long
def test_readers_killed_at_any_instant_are_not_noticed(recorders: Callable[..., Recorder], tmp_path: Path) -> None:
    chance = random.Random(1)
    recorder = recorders("numbered", flush_interval_s=0.002)
    recorder.wait_for(1)
    open_live(tmp_path / "run.h5").close()
    for _ in range(12):
        reader = PROCESSES.Process(target=read_on_and_on, args=(tmp_path / "run.h5",), daemon=True)
        looks = int(recorder.words[LOOKS])
        reader.start()
        wait_until(lambda before=looks: recorder.words[LOOKS] > before + 1, PATIENCE_S)
        time.sleep(chance.uniform(0, 0.02))
        assert reader.is_alive()
        reader.kill()
        reader.join(PATIENCE_S)
    steps = recorder.steps
    recorder.wait_for(steps + 1)
    recorder.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.num_steps == recorder.steps
        check_look(recording, "numbered", {chance.randrange(recording.num_rows) for _ in range(50)})
    assert h5r.repair(tmp_path / "run.h5").found == "closed"


# The end ------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="finds the writer through /proc")
@each_writer
def test_when_no_writer_is_left_it_is_said_and_after_repair_it_goes_on(
    writer: str, recorders: Callable[..., Recorder], tmp_path: Path
) -> None:
    path = tmp_path / "run.h5"
    recorder = recorders("numbered", writer=writer)
    recorder.wait_for(30)
    recording = open_live(path)
    recorder.kill(writer=writer == "process")
    shown = recording.num_steps
    for _ in range(3):
        with pytest.raises(InterruptedRecordingError, match=f"gym-h5record repair {path}"):
            recording.refresh()
    assert (recording.is_live, recording.num_steps) == (True, shown)
    check_look(recording, "numbered", set(range(min(recording.num_rows, 20))))
    with pytest.raises(InterruptedRecordingError):
        h5r.Recording(path, live=True)
    run_script("import sys, gym_h5record as h5r; h5r.repair(sys.argv[1])", path)
    assert not recording.refresh()
    assert recorder.steps <= recording.num_steps <= recorder.steps + 1
    check_look(recording, "numbered", set(range(recording.num_rows)))


def test_a_recording_that_was_interrupted_and_is_gone_on_with_is_followed_further(
    recorders: Callable[..., Recorder], tmp_path: Path
) -> None:
    first = recorders("numbered", writer="inline")
    first.wait_for(20)
    recording = open_live(tmp_path / "run.h5")
    first.kill()
    steps = first.steps
    second = recorders("numbered", writer="inline", life=1)
    second.wait_for(20)
    assert recording.refresh()
    assert recording.num_steps >= steps
    check_look(recording, "numbered", set(range(recording.num_rows)), lives=2)


def test_when_the_recorder_is_killed_alone_all_its_steps_are_shown(
    recorders: Callable[..., Recorder], tmp_path: Path
) -> None:
    recorder = recorders("numbered", flush_interval_s=3600.0)
    recorder.wait_for(30)
    recording = open_live(tmp_path / "run.h5")
    recorder.kill()
    wait_until(lambda: not recording.refresh(), PATIENCE_S)  # never an error: its writer completes the file
    assert recorder.steps <= recording.num_steps <= recorder.steps + 1
    check_look(recording, "numbered", set(range(recording.num_rows)))


def test_a_recording_that_is_replaced_is_gone_but_what_was_shown_stays(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with Pen(path) as pen:
        write_pairs(pen, [3])
    with Pen(path, make_schema(spaces.Discrete(9)), mode="w") as pen:
        recording = h5r.Recording(path, live=True)  # still the old one: nothing has been recorded yet
        assert recording.is_live
        pen.begin(np.int64(1))
        pen.flush()
        for _ in range(2):
            with pytest.raises(RecordingNotFoundError, match="replaced"):
                recording.refresh()
        assert recording.rows.observations[:].tolist() == [pair(row).tolist() for row in range(4)]
        assert h5r.Recording(path, live=True).rows.observations[0] == 1
        path.unlink()
        with pytest.raises(RecordingNotFoundError):
            recording.refresh()


def test_a_closed_recording_is_not_live(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
    recording = h5r.Recording(tmp_path / "run.h5", live=True)
    assert recording.refresh() is recording.is_live is False
    assert recording.num_steps == 3
    assert h5r.Recording(tmp_path / "run.h5").refresh() is False


def test_refreshing_after_close_is_an_error(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.flush()
        recording = h5r.Recording(tmp_path / "run.h5", live=True)
        recording.close()
        with pytest.raises(RecordingClosedError):
            recording.refresh()


def test_one_recorder_after_another_is_not_taken_for_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        answers = iter([False, True])  # the first one has let go of the lock, then the second one holds it
        monkeypatch.setattr(state, "is_locked", lambda path: next(answers))
        assert recording_state(tmp_path / "run.h5") is State.LIVE
    left = tmp_path / "left"
    left.mkdir()
    with Pen(left / "run.h5") as pen:
        write_pairs(pen, [3])
        copy = elsewhere(left / "run.h5")
    monkeypatch.setattr(state, "is_locked", lambda path: False)
    assert journal_path(copy).exists()
    assert recording_state(copy) is State.INTERRUPTED


def test_a_recorder_that_begins_while_the_file_is_opened_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.flush()
        copy = elsewhere(tmp_path / "run.h5")
    lock = RecordingLock(copy)
    block = bytearray(copy.read_bytes()[:44])
    block[11] = 5  # open for writing
    with copy.open("r+b") as file:
        file.write(block + struct.pack("<I", lookup3_hash(bytes(block))))
    states = iter([State.CLOSED])  # as it was a moment ago: by now HDF5 refuses the file
    monkeypatch.setattr(handle, "recording_state", lambda path: next(states, None) or recording_state(path))
    with h5r.Recording(copy, live=True) as recording:
        assert recording.is_live
        assert recording.num_rows == 4
    lock.release()


# Other processes ----------------------------------------------------------------------------------


def count_in_child(recording: h5r.Recording, queue: Any) -> None:
    queue.put((recording.num_episodes, recording.is_live, recording.refresh(), recording.num_episodes))


def test_a_pickled_recording_follows_on_by_itself(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.flush()
        recording = h5r.Recording(tmp_path / "run.h5", live=True)
        write_pairs(pen, [2], first_row=4)
        pen.flush()
        twin = pickle.loads(pickle.dumps(recording))
        assert (recording.num_episodes, twin.num_episodes, twin.is_live) == (1, 2, True)
        assert twin.rows.rewards[:].tolist() == [0, 1, 2, 0, 4, 5, 0]
        queue = PROCESSES.Queue()
        child = PROCESSES.Process(target=count_in_child, args=(recording, queue))
        child.start()
        assert queue.get(timeout=PATIENCE_S) == (2, True, True, 2)
        child.join(PATIENCE_S)
    assert not twin.refresh()


def follow_in_children(path: Path) -> None:
    """Follow a recording in this process and in forked ones, all at once."""
    recording = h5r.Recording(path, live=True)
    rows = recording.num_rows
    check_look(recording, "numbered", set(range(min(rows, 20))))
    children = []
    for number in range(3):
        pid = os.fork()
        if not pid:
            check_look(recording, "numbered", set(range(min(rows, 20))))
            follow_until(recording, rows + 20 * number)
            os._exit(0)
        children.append(pid)
    follow_until(recording, rows + 20)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 3
    shared_words(path)[STOP] = 1
    while recording.refresh():
        time.sleep(0.001)
    check_look(recording, "numbered", set(range(0, recording.num_rows, 17)))


def follow_until(recording: h5r.Recording, num_rows: int) -> None:
    while recording.num_rows < num_rows:
        assert recording.refresh()
        if recording.num_rows:  # the file is there before the first commit
            check_look(recording, "numbered", {recording.num_rows - 1, 0})


def test_a_forked_child_follows_on_by_itself(recorders: Callable[..., Recorder], tmp_path: Path) -> None:
    recorder = recorders("numbered")
    recorder.wait_for(30)
    open_live(tmp_path / "run.h5").close()
    follower = PROCESSES.Process(target=follow_in_children, args=(tmp_path / "run.h5",))
    follower.start()
    follower.join(2 * PATIENCE_S)
    assert follower.exitcode == 0
    recorder.close()

"""Does a live reader ever see wrong rows? Records, follows, kills recorders and readers, and compares.

    python scripts/tail_test.py                          # 20 minutes on 2 cores
    python scripts/tail_test.py --minutes 0.5 --seed 3
    python scripts/tail_test.py --only lanes             # vector environments only

A recording has up to three lives: a recorder closes it or is killed, and the next recorder appends.
Meanwhile a reader in a process of its own holds the recording open; a reader that is killed is replaced.
The reader refreshes as often as it can. At every look it compares the newest committed rows and some
older ones with the same episodes played again: type and every bit. Recorders count in shared memory
the steps they have taken and the steps they have committed. The exit code is 1 if a row was wrong, beyond
the commit or missing, or if a process hung.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import mmap
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

import ale_py
import numpy as np
from crash.lane_following import Follower
from crash.lanes import has_lanes
from crash.plays import LIFE, rehearse
from crash.recorders import acts
from crash.recorders import record as start_recorder

import gym_h5record as h5r
from gym_h5record.errors import InterruptedRecordingError, RecordingError

_ENVIRONMENTS = ("CartPole-v1", "ALE/Breakout-v5", "Ragged")
_LANES = ("Lanes/SAME_STEP, all kept", "Lanes/DISABLED, all kept", "Lanes/in step", "Lanes/1024")
_MOST_LIVES = 3
_WRITERS = ("process", "inline", "power")  # "power": writer="process" with durability="power"
_ENDS = ("close", "recorder", "writer", "both")
_NEVER_S = 3600.0
_PATIENCE_S = 20.0  # between two looks of a reader, or two steps of a recorder
_OLD_ROWS = 6  # compared at every look, besides the newest


class Word(IntEnum):
    """Words in shared memory: the comments say which process writes each."""

    READY = 0  # recorder: a step has returned
    STEPS = 1  # recorder: steps that have returned
    FLUSHING = 2  # recorder: steps that the last flush was to commit
    FLUSHED = 3  # recorder: steps that the last flush has committed
    STOP = 4  # parent: close the recording
    BROKEN = 5  # parent: a process of this life has been, or is about to be, killed
    LAST = 6  # parent: this life is the last one
    LIVES = 7  # parent: how many lives have begun
    AT_LEAST = 8  # parent: steps of earlier lives
    AT_MOST = 9  # parent: the same, plus a step for each life that was killed: it may not have counted its last step
    LIFE_STEPS = 10  # parent: steps of the first life, if it is over; the next words are those of the other lives
    LOOKS = 16  # reader: calls of refresh
    ROWS = 17  # reader: rows compared
    ERRORS = 18  # reader: errors that the test does not expect
    WRONG = 19  # reader: rows, episodes or counts that differ from the recorded ones
    BEYOND = 20  # reader: looks that showed more steps than had been committed
    MISSING = 21  # reader: looks that showed fewer steps than had been committed
    SHRUNK = 22  # reader: looks that showed less than the look before
    INTERRUPTED = 23  # reader: looks that found the recorder and its writer dead
    ENDED = 24  # reader: it has compared the whole recording, and ends


def make_words(path: Path) -> np.ndarray:
    """The words in a file, shared by all processes that map it."""
    with path.open("a+b") as file:
        file.truncate(256)
        return np.frombuffer(mmap.mmap(file.fileno(), 256), np.int64)


# The recorder ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """One life of a recorder.

    Attributes:
        path: The recording.
        words: The file of the shared words.
        env: One of ``_ENVIRONMENTS`` or ``_LANES``.
        life: The number of this life.
        writer: One of ``_WRITERS``.
        flush_interval_s: As in ``RecordToHDF5``.
        flush_every: Steps between two calls of ``flush``, 0 for none.
    """

    path: str
    words: str
    env: str
    life: int
    writer: str
    flush_interval_s: float
    flush_every: int


def record(task: Record) -> None:
    """Record until the parent sets ``Word.STOP``."""
    words = make_words(Path(task.words))
    is_power = task.writer == "power"
    env = start_recorder(
        task.env,
        task.life,
        task.path,
        mode="a" if task.life else "x",
        writer="process" if is_power else task.writer,
        flush_interval_s=task.flush_interval_s,
        durability="power" if is_power else "process",
    )
    for _ in acts(env, task.env, task.life):
        words[Word.STEPS] += 1
        words[Word.READY] = 1
        if task.flush_every and words[Word.STEPS] % task.flush_every == 0:
            words[Word.FLUSHING] = words[Word.STEPS]
            env.flush()
            words[Word.FLUSHED] = words[Word.FLUSHING]
        if words[Word.STOP]:
            env.close()
            return


# The reader -----------------------------------------------------------------------------------------


def fingerprint(value: Any) -> bytes:
    """A hash of a value's type, structure and bits."""
    if isinstance(value, np.ndarray):
        content = f"{value.dtype}{value.shape}".encode() + value.tobytes()
    elif isinstance(value, np.generic):
        content = str(value.dtype).encode() + value.tobytes()
    elif isinstance(value, dict):
        content = b"".join(fingerprint(each) for item in sorted(value.items()) for each in item)
    elif isinstance(value, (list, tuple)):
        content = b"".join(map(fingerprint, value))
    else:
        content = repr(value).encode()
    return hashlib.blake2b(type(value).__name__.encode() + b" " + content, digest_size=8).digest()


@dataclass(frozen=True)
class Expected:
    """An episode as it must be: fingerprints of rows, steps and rewards, and by length its total and its flags."""

    rows: list[bytes]
    steps: list[bytes]
    rewards: list[bytes]
    totals: list[float]
    ends: list[tuple[bool, bool]]


@cache
def expected(env: str, seed: int) -> Expected:
    """The fingerprints of an episode, played again."""
    played = rehearse(env, seed)
    steps = zip(played.actions, played.rewards, played.terminations, played.truncations, strict=True)
    return Expected(
        [fingerprint([*row]) for row in zip(played.observations, played.infos, strict=True)],
        [fingerprint([*step]) for step in steps],
        [fingerprint(float(reward)) for reward in played.rewards],
        [0.0, *itertools.accumulate(map(float, played.rewards))],
        [
            (False, False),
            *((bool(a), bool(b)) for a, b in zip(played.terminations, played.truncations, strict=True)),
        ],
    )


class Reader:
    """Follows a recording, and compares it with the same episodes played again.

    Args:
        path: The recording.
        env: The environment that is recorded.
        shared: The words of its recorders.
        own: The words of its readers.
        chance: Chooses the rows to compare.
    """

    def __init__(self, path: Path, env: str, shared: np.ndarray, own: np.ndarray, chance: random.Random) -> None:
        self._path, self._env, self._shared, self._own, self._chance = path, env, shared, own, chance
        self._seen = (0, 0, 0)
        self._lanes = Follower(env, chance) if has_lanes(env) else None
        self.problems = 0

    def follow(self) -> None:
        """Look until the recording has ended for good."""
        recording = self._open()
        while True:
            # The lower bound is read before refreshing, the upper one after it. Of the two words of a bound, the one
            # that the parent changes last is read first: a life that begins meanwhile can only widen the bounds.
            at_least = self._shared[Word.AT_LEAST] + self._shared[Word.FLUSHED]
            acts_at_least = self._committed_acts()
            is_last = self._shared[Word.LAST]
            self._own[Word.LOOKS] += 1
            try:
                is_live = recording.refresh()
                self._compare(recording, at_least, acts_at_least)
            except InterruptedRecordingError as error:
                self._own[Word.INTERRUPTED] += 1
                if not self._shared[Word.BROKEN] or "gym-h5record repair" not in str(error):
                    self._complain(Word.ERRORS, f"no process was killed, but: {error}")
                time.sleep(0.002)
                continue
            except Exception as error:  # noqa: BLE001  # any other error is a finding
                self._complain(Word.ERRORS, repr(error))
                is_live = True
            if not is_live and is_last:
                break
            if not is_live or self._chance.random() < 0.02:
                recording.close()
                recording = self._open()
        if self._lanes is None:
            self.compare_all(recording)
        else:
            self._compare_lanes(recording, self._committed_acts(), everything=True)
        self._own[Word.ENDED] = 1

    def _open(self) -> h5r.Recording:
        while True:
            try:
                return h5r.Recording(self._path, live=True)
            except RecordingError as error:  # noqa: PERF203  # the file may not exist yet
                self._own[Word.LOOKS] += 1
                is_early = not self._seen[0] and isinstance(error, FileNotFoundError)
                if not is_early and not (isinstance(error, InterruptedRecordingError) and self._shared[Word.BROKEN]):
                    self._complain(Word.ERRORS, f"opening: {error!r}")
                time.sleep(0.002)

    def _committed_acts(self) -> list[int]:
        """The acts that have been committed, by life. The parent may just begin another life: then it is 0."""
        words = self._shared.copy()
        if (words != self._shared)[: Word.LOOKS].any() or not words[Word.READY]:
            return []
        past = words[Word.LIFE_STEPS :][: words[Word.LIVES] - 1].tolist()
        return [*past, int(words[Word.FLUSHED])]

    def _compare_lanes(self, recording: h5r.Recording, at_least: list[int], *, everything: bool = False) -> None:
        """Compare what a vector recording shows; acts are counted as steps."""
        current = int(self._shared[Word.STEPS])  # before the lives: see ``Trial._live``
        lives = int(self._shared[Word.LIVES])
        at_most = [*self._shared[Word.LIFE_STEPS :][: lives - 1].tolist(), max(current, int(self._shared[Word.STEPS]))]
        at_least = [*at_least, *[0] * lives][:lives]
        sight = self._lanes.look(recording, at_least, at_most, everything=everything)  # type: ignore[union-attr]
        self._own[Word.ROWS] += sight.rows
        for kind, problems in ((Word.WRONG, sight.wrong), (Word.MISSING, sight.missing), (Word.BEYOND, sight.beyond)):
            if problems:
                self._complain(kind, "; ".join(problems[:3]))

    def _compare(self, recording: h5r.Recording, at_least: int, acts_at_least: list[int]) -> None:
        if self._lanes is not None:
            seen = (recording.num_rows, recording.num_steps, recording.num_episodes)
            if any(now < before for now, before in zip(seen, self._seen, strict=True)):
                self._complain(Word.SHRUNK, f"{seen}, seen before {self._seen}")
            self._seen = seen
            self._compare_lanes(recording, acts_at_least)
            return
        seen = (recording.num_rows, recording.num_steps, recording.num_episodes)
        done = self._shared[Word.STEPS] + 1
        # The journal of "Ragged" may become crowded: then its writer commits before it is asked to.
        strict = self._env != "Ragged" and self._shared[Word.FLUSHING]
        if strict and not self._shared[Word.BROKEN] and not self._shared[Word.STOP]:
            done = self._shared[Word.FLUSHING]
        at_most = self._shared[Word.AT_MOST] + done
        where = f"{seen[1]} steps, expected {at_least} to {at_most}, seen before {self._seen}"
        if seen[1] > at_most:
            self._complain(Word.BEYOND, where)
        if seen[1] < at_least:
            self._complain(Word.MISSING, where)
        if any(now < before for now, before in zip(seen, self._seen, strict=True)):
            self._complain(Word.SHRUNK, where)
        self._seen = seen
        rows = {*range(max(0, seen[0] - 3), seen[0])}
        rows |= {self._chance.randrange(seen[0]) for _ in range(_OLD_ROWS) if seen[0]}
        lengths = recording.lengths
        starts = np.concatenate([[0], np.cumsum(lengths + 1)])
        if starts[-1] > seen[0] or len(recording.episodes) != len(lengths):
            self._complain(Word.WRONG, f"{len(lengths)} episodes have {starts[-1]} of {seen[0]} rows")
            return
        rehearsed = expected.cache_info().misses
        for row in sorted(rows, reverse=True):
            self._compare_row(recording, int(row), starts)
            if expected.cache_info().misses > rehearsed:  # playing an episode takes time: look again first
                break
        for number in {len(lengths) - 1, self._chance.randrange(len(lengths) or 1)} - {-1}:
            if number < len(lengths):
                self._compare_episode(recording, number)

    def compare_all(self, recording: h5r.Recording) -> None:
        """Compare every row, or some 4,000 of them if there are more."""
        starts = np.concatenate([[0], np.cumsum(recording.lengths + 1)])
        step = max(1, recording.num_rows // 4000)
        for row in range(0, recording.num_rows, step):
            self._compare_row(recording, row, starts)
        for number in range(0, recording.num_episodes, max(1, recording.num_episodes // 1000)):
            self._compare_episode(recording, number)

    def _compare_row(self, recording: h5r.Recording, row: int, starts: np.ndarray) -> None:
        self._own[Word.ROWS] += 1
        number = int(np.searchsorted(starts, row, "right")) - 1
        is_running = number == len(starts) - 1
        start = int(starts[number])
        at = row - start
        seed = self._running_seed(recording, start) if is_running else recording.episodes[number].seed
        if seed is None:
            self._complain(Word.WRONG, f"row {start} is not the first row of a known episode")
            return
        right = expected(self._env, seed)
        found = fingerprint(
            [recording.rows.observations[row], recording.rows.infos[row] if recording.rows.infos else None]
        )
        if at >= len(right.rows) or found != right.rows[at]:
            self._complain(Word.WRONG, f"row {row} is not row {at} of the episode with seed {seed}")
        columns = (
            recording.rows.actions,
            recording.rows.rewards,
            recording.rows.terminations,
            recording.rows.truncations,
        )
        step = [column[row] for column in columns]
        is_padding = row == (recording.num_rows if is_running else starts[number + 1]) - 1
        if is_padding != (step[0] is None) or (is_padding and (step != [None] * 4 or recording.rows.dones[row])):
            self._complain(Word.WRONG, f"the step of row {row} is {str(step)[:200]}, padding is {is_padding}")
        elif not is_padding and (at >= len(right.steps) or fingerprint(step) != right.steps[at]):
            self._complain(Word.WRONG, f"the step of row {row} is {str(step)[:200]}: not step {at} of seed {seed}")

    def _running_seed(self, recording: h5r.Recording, start: int) -> int | None:
        """The seed of the running episode: it is the next episode of this life, or the first one of a later life."""
        before = recording.episodes[-1].seed if recording.num_episodes else None
        lives = range((-1 if before is None else before // LIFE) + 1, int(self._shared[Word.LIVES]))
        seeds = [*([] if before is None else [before + 1]), *(life * LIFE for life in lives)]
        first = fingerprint(
            [recording.rows.observations[start], recording.rows.infos[start] if recording.rows.infos else None]
        )
        return next((seed for seed in seeds if expected(self._env, seed).rows[0] == first), None)

    def _compare_episode(self, recording: h5r.Recording, number: int) -> None:
        episode = recording.episodes[number]
        right = expected(self._env, episode.seed if episode.seed is not None else -1)
        found = (episode.total_reward, (episode.terminated, episode.truncated), episode.complete)
        at = min(episode.length, len(right.totals) - 1)
        if found != (right.totals[at], right.ends[at], any(right.ends[at])):
            self._complain(Word.WRONG, f"the index says of episode {number}: {found}")
        low = self._chance.randrange(episode.length + 1)
        values = episode.rewards[low : low + 50]
        if [fingerprint(float(value)) for value in values] != right.rewards[low : low + len(values)]:
            self._complain(Word.WRONG, f"rewards {low} to {low + len(values)} of episode {number}: {values}")

    def _complain(self, kind: Word, problem: str) -> None:
        self._own[kind] += 1
        self.problems += 1
        if self.problems < 5:
            print(f"{self._env}: {kind.name.lower()}: {problem}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Follow:
    """The arguments of a reader process; see ``Reader``."""

    path: str
    env: str
    shared: str
    own: str
    seed: int


def follow(task: Follow) -> None:
    """Run a reader."""
    words = make_words(Path(task.shared)), make_words(Path(task.own))
    Reader(Path(task.path), task.env, *words, random.Random(task.seed)).follow()


# The parent -----------------------------------------------------------------------------------------


@dataclass
class Tally:
    """The counts of one environment and one writer."""

    recordings: int = 0
    recorders_killed: int = 0
    readers_killed: int = 0
    looks: int = 0
    rows: int = 0
    errors: int = 0
    wrong: int = 0
    beyond: int = 0
    missing: int = 0
    shrunk: int = 0
    hangs: int = 0

    @property
    def is_good(self) -> bool:
        """Whether all counts of failures are zero."""
        return not any((self.errors, self.wrong, self.beyond, self.missing, self.shrunk, self.hangs))


class HangError(RuntimeError):
    """A process does not make progress."""


@contextmanager
def process(stderr: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run this program's Python with the given arguments; the process is killed at the end of the block."""
    with stderr.open("wb") as file, subprocess.Popen([sys.executable, *command], stderr=file) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()


def command(task: Record | Follow) -> tuple[str, ...]:
    """The arguments that run a task."""
    return str(Path(__file__)), f"--{type(task).__name__.lower()}", json.dumps(asdict(task))


class Trial:
    """One recording, its lives and its readers.

    Args:
        folder: An empty folder.
        env: One of ``_ENVIRONMENTS`` or ``_LANES``.
        writer: One of ``_WRITERS``.
        chance: Chooses the instants, the kills and the repairs.
        tally: Gets the counts.
    """

    def __init__(self, folder: Path, env: str, writer: str, chance: random.Random, tally: Tally) -> None:
        self._path, self._env, self._writer, self._chance, self._tally = folder / "run.h5", env, writer, chance, tally
        self._shared_path, self._own_path, self._stderr = folder / "shared", folder / "own", folder / "stderr"
        self._shared, self._own = make_words(self._shared_path), make_words(self._own_path)
        self._reader: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Run all lives, and compare the whole recording at the end."""
        self._tally.recordings += 1
        lives = self._chance.randint(1, _MOST_LIVES)
        try:
            for life in range(lives):
                self._live(life, is_last=life == lives - 1)
            self._wait_for_the_reader()
            self._compare_at_last()
        except HangError as error:
            self._tally.hangs += 1
            print(f"{self._env} {self._writer}: {error}", file=sys.stderr)
        finally:
            self._kill_reader()
        for name in ("looks", "rows", "errors", "wrong", "beyond", "missing", "shrunk"):
            setattr(self._tally, name, getattr(self._tally, name) + int(self._own[Word[name.upper()]]))

    def _live(self, life: int, *, is_last: bool) -> None:
        words, chance = self._shared, self._chance
        words[Word.AT_MOST] += words[Word.STEPS] + bool(words[Word.BROKEN])
        steps, words[Word.FLUSHED] = int(words[Word.STEPS]), 0
        words[Word.READY] = 0
        if life:
            words[Word.LIFE_STEPS + life - 1] = steps
        words[Word.LIVES] = life + 1  # before the steps: readers of lanes take the larger number for the new life
        words[Word.STEPS] = words[Word.FLUSHING] = words[Word.STOP] = 0
        every = chance.choice((0, 7, 60))
        interval_s = _NEVER_S if every else chance.choice((0.001, 0.01, 0.05))
        task = Record(str(self._path), str(self._shared_path), self._env, life, self._writer, interval_s, every)
        end = chance.choice(_ENDS)
        with process(self._stderr, *command(task)) as recorder:
            self._wait(lambda: words[Word.READY] or recorder.poll() is not None, "the recorder does not start")
            words[Word.BROKEN] = 0
            words[Word.AT_LEAST] += steps  # only now: the rows of the old journal are in the file
            deadline_s = time.monotonic() + chance.uniform(0.1, 6.0)
            while time.monotonic() < deadline_s:
                self._keep_a_reader()
                time.sleep(chance.uniform(0.0, 0.4))
                if chance.random() < 0.1:
                    self._kill_reader()
            self._keep_a_reader()
            self._end(recorder, end)
        if is_last:
            self._repair()
            words[Word.LAST] = 1
        elif end != "close" and chance.random() < 0.5:
            self._repair()

    def _end(self, recorder: subprocess.Popen[bytes], end: str) -> None:
        if end == "close" or (end == "writer" and self._writer == "inline"):
            self._shared[Word.STOP] = 1
            self._wait(lambda: recorder.poll() is not None, "the recorder does not close")
            if recorder.returncode:
                self._complain("the recorder failed")
            return
        self._shared[Word.BROKEN] = 1
        self._tally.recorders_killed += 1
        with suppress(FileNotFoundError, IndexError, ProcessLookupError):
            children = Path(f"/proc/{recorder.pid}/task/{recorder.pid}/children").read_text().split()
            if end in ("writer", "both"):
                os.kill(int(children[0]), signal.SIGKILL)
        if end in ("recorder", "both"):
            recorder.kill()
        self._wait(lambda: recorder.poll() is not None, "the recorder does not end")

    def _repair(self) -> None:
        """Repair the recording; ``repair`` waits for the writer to release the lock."""
        program = "import sys, gym_h5record as h5r; h5r.repair(sys.argv[1])"
        with process(self._stderr, "-c", program, str(self._path)) as repairing:
            self._wait(lambda: repairing.poll() is not None, "repair does not end")
            if repairing.returncode:
                self._complain("repair failed")

    def _complain(self, problem: str) -> None:
        self._tally.errors += 1
        print(f"{self._env} {self._writer}: {problem}: {self._stderr.read_text()[-2000:]}", file=sys.stderr)

    def _wait(self, condition: Any, problem: str) -> None:
        deadline_s = time.monotonic() + _PATIENCE_S
        while not condition():
            if time.monotonic() > deadline_s:
                raise HangError(problem)
            time.sleep(0.002)

    # Readers ------------------------------------------------------------------------------------

    def _keep_a_reader(self) -> None:
        if self._reader is not None and self._reader.poll() is None:
            return
        if self._reader is not None and self._reader.returncode not in (0, -signal.SIGKILL):
            self._complain(f"the reader ended with {self._reader.returncode}")
        seed = self._chance.randrange(1 << 30)
        task = Follow(str(self._path), self._env, str(self._shared_path), str(self._own_path), seed)
        self._reader = subprocess.Popen([sys.executable, *command(task)])

    def _kill_reader(self) -> None:
        if self._reader is not None and self._reader.poll() is None:
            self._reader.kill()
            self._reader.wait()
            self._tally.readers_killed += 1

    def _wait_for_the_reader(self) -> None:
        """Return once a reader has compared the whole recording.

        Raises:
            HangError: If the reader has compared nothing for ``_PATIENCE_S``.
        """
        looks, since_s = -1, time.monotonic()
        while not self._own[Word.ENDED]:
            self._keep_a_reader()
            now = int(self._own[Word.LOOKS] + self._own[Word.ROWS])
            if now != looks:
                looks, since_s = now, time.monotonic()
            if time.monotonic() > since_s + _PATIENCE_S:
                raise HangError("the reader does not move")
            time.sleep(0.01)
        self._reader.wait() if self._reader else None

    def _compare_at_last(self) -> None:
        if has_lanes(self._env):
            return  # the reader has compared all of it
        low = int(self._shared[Word.AT_LEAST] + self._shared[Word.STEPS])
        high = int(self._shared[Word.AT_MOST] + self._shared[Word.STEPS] + 1)
        with h5r.Recording(self._path) as recording:
            if not low <= recording.num_steps <= high:
                self._complain(f"{recording.num_steps} steps in the end, expected {low} to {high}")


def markdown(tallies: dict[tuple[str, str], Tally]) -> str:
    """A line for each environment and writer, and one for all."""
    headings = ("recordings", "recorders killed", "readers killed", "looks", "rows compared")
    headings += ("errors", "wrong", "beyond the commit", "missing", "shrunk", "hangs")
    lines = [f"| recorded | writer | {' | '.join(headings)} |", f"| --- | --- |{' ---: |' * len(headings)}"]
    total = Tally(*(sum(column) for column in zip(*(asdict(each).values() for each in tallies.values()), strict=True)))
    for (env, writer), tally in [*tallies.items(), (("**all**", ""), total)]:
        lines.append(f"| {env} | {writer} | {' | '.join(f'{count:,}' for count in asdict(tally).values())} |")
    return "\n".join(lines)


def main() -> int:
    """Record, follow, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("all", "single", "lanes"), default="all")
    parser.add_argument("--record", help=argparse.SUPPRESS)
    parser.add_argument("--follow", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore", h5r.errors.RecordingWarning)  # some values fit no column on purpose
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    if options.record or options.follow:
        record(Record(**json.loads(options.record))) if options.record else follow(Follow(**json.loads(options.follow)))
        return 0
    envs = {"all": _ENVIRONMENTS + _LANES, "single": _ENVIRONMENTS, "lanes": _LANES}[options.only]
    cases = [*itertools.product(envs, _WRITERS)]
    tallies = {case: Tally() for case in cases}
    chance = random.Random(options.seed)
    deadline_s = time.monotonic() + options.minutes * 60
    for case in itertools.cycle(cases):
        if time.monotonic() > deadline_s:
            break
        with tempfile.TemporaryDirectory() as folder:
            Trial(Path(folder), *case, chance, tallies[case]).run()
    print(markdown(tallies))
    return 0 if all(tally.is_good for tally in tallies.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

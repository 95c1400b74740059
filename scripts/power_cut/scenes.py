"""Records, appends and repairs under a tape, cuts the power at random moments, and looks at what is left."""

from __future__ import annotations

import random
import shutil
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.storage.column_writer import ColumnWriter
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing import journal, session
from gym_h5record.writing.left_journal import boot_id

from ..crash.inspector import Inspector
from ..crash.plays import LIFE, make_env, play
from .history import KILLED, PAGE_BYTES, STYLES, History
from .tally import Tally
from .tape import Tape

__all__ = ["Film", "Life", "film", "film_repair", "look", "moments"]

_EARLIER_START = "an earlier start of the machine"
_NEVER_S = 1e6
_DULL = ("pwrite", "a step", "HDF5")


@dataclass(frozen=True)
class Life:
    """What one recorder does.

    Attributes:
        env: What is recorded, one of ``plays.ENVIRONMENTS``.
        steps: How many.
        flush_every: Steps between two commits.
        number: Its number among the lives of the file.
        mode: As ``RecordToHDF5`` has it; likewise ``durability`` and ``checksum``.
        ring_rows: Room in the journal.
        outlived: Whether the machine is started again before the file is looked at.
    """

    env: str
    steps: int
    flush_every: int
    number: int = 0
    mode: str = "x"
    durability: str = "power"
    checksum: bool = True
    ring_rows: int = 64
    outlived: bool = True


@dataclass
class Film:
    """What happened in a folder, and which steps were promised and acknowledged when.

    Attributes:
        env: What was recorded.
        path: The recording; only its name counts.
        history: What happened.
        before: Promised and acknowledged steps of each earlier life.
        promised: Moments and, from then on, steps of this life that may not be lost.
        acknowledged: Moments and steps of this life that had returned.
    """

    env: str
    path: Path
    history: History
    before: list[tuple[int, int]] = field(default_factory=list)
    promised: list[tuple[int, int]] = field(default_factory=list)
    acknowledged: list[tuple[int, int]] = field(default_factory=list)

    def at(self, moment: int) -> list[tuple[int, int]]:
        """Promised and acknowledged steps of each life at a moment."""
        if not self.acknowledged:
            return self.before
        return [*self.before, (_at(self.promised, moment), _at(self.acknowledged, moment))]


def film(path: Path, life: Life, before: list[tuple[int, int]] = []) -> Film:  # noqa: B006  # not changed
    """Record under a tape.

    Args:
        path: The recording, alone in its folder.
        life: What to record.
        before: Promised and acknowledged steps of each earlier life.
    """
    env = make_env(life.env)
    with _as_a_victim(life), _taped(path) as tape:
        taken = Film(life.env, path, tape.history, before, [(0, 0)], [(0, 0)])
        with _promising(taken, tape):
            recorder = h5r.RecordToHDF5(
                env,
                path,
                mode=life.mode,
                writer="inline",
                durability=life.durability,
                checksum=life.checksum,
                flush_interval_s=_NEVER_S,
            )
            for steps in _steps(recorder, life):
                tape.look("a step")
                taken.acknowledged.append((tape.history.now, steps))
                if steps % life.flush_every == 0:
                    recorder.flush()
            recorder.close()
    return taken


def film_repair(path: Path, env: str, before: list[tuple[int, int]]) -> Film:
    """Repair under a tape."""
    with _taped(path) as tape:
        h5r.repair(path)
    return Film(env, path, tape.history, before)


def moments(history: History, count: int, chance: random.Random, start: float = 0.0) -> Iterator[int]:
    """Random moments, half of them at something else than a write.

    Args:
        history: Of what.
        count: How many.
        chance: Chooses.
        start: Where to begin, as a part of the whole.
    """
    every = range(max(1, int(start * history.now)), history.now + 1)
    special = [moment for moment in every if history.kinds[moment] not in _DULL]
    for number in range(count):
        yield chance.choice(special if number % 2 else every)


def look(
    tally: Tally,
    taken: Film,
    moment: int,
    chance: random.Random,
    place: Path,
    inspector: Inspector,
    *,
    has_power: bool = False,
) -> None:
    """Cut the power at a moment, repair what is left, and compare.

    Args:
        tally: Gets the result.
        taken: What happened.
        moment: When the power is cut.
        chance: Chooses what survives.
        place: The folder to make, and to remove again.
        inspector: Looks at it.
        has_power: Whether only the process is killed: then every step that has returned has to be there.
    """
    taken.history.survive(moment, chance, place, KILLED if has_power else STYLES)
    path = place / taken.path.name
    steps = taken.at(moment)
    if has_power:
        steps = [(acknowledged, acknowledged) for _, acknowledged in steps]
    finding = inspector.inspect(path, taken.env, [acknowledged for _, acknowledged in steps])
    promised = sum(each for each, _ in steps)
    lost = sum(max(0, each - found) for (each, _), found in zip(steps, finding.found, strict=True))
    problems = list(finding.problems)
    opens = finding.opens or _is_without_rows(path, problems)
    is_gone = finding.is_empty or (not promised and any("RecordingNotFoundError" in each for each in problems))
    if is_gone or opens:
        problems = [] if is_gone else [*problems[: finding.opens * len(problems)], *_errors(path)]
    tally.cuts += 1
    tally.promised += promised
    tally.found += sum(finding.found)
    tally.lost += lost
    tally.contradicting += len(finding.contradicting)
    tally.strays += bool(finding.strays)
    tally.empty += is_gone
    tally.opened += opens and not problems
    if lost:
        problems.append(f"{lost} of {promised} steps are lost")
    where = f"{tally.kind}, {taken.env}, moment {moment} of {taken.history.now} ({taken.history.kinds[moment]})"
    tally.problems += [f"{where}: {problem}" for problem in problems]
    shutil.rmtree(place)


def _is_without_rows(path: Path, problems: list[str]) -> bool:
    """Whether the inspection has failed only because there is no episode to look at."""
    if len(problems) != 1 or "zip()" not in problems[0]:
        return False
    with h5r.Recording(path) as recording:
        return recording.num_rows == 0


def _errors(path: Path) -> list[str]:
    """What is wrong with the contents, checksums included."""
    problems = h5r.validate(path, deep=True)
    return [str(problem) for problem in problems if problem.severity is h5r.Severity.ERROR]


@contextmanager
def _taped(path: Path) -> Iterator[Tape]:
    """A tape that also looks after each operation on the HDF5 file, which may have written it by itself."""
    with ExitStack() as stack:
        tape = stack.enter_context(Tape(path.parent))
        for owner, names in (
            (RecordingFile, ("write", "commit", "start", "close")),
            (ColumnWriter, ("write", "flush")),
        ):
            for name in names:
                stack.enter_context(_afterwards(owner, name, tape))
        yield tape


def _afterwards(owner: type, name: str, tape: Tape) -> Any:
    method = getattr(owner, name)

    def looked_at(*arguments: Any) -> Any:
        result = method(*arguments)
        tape.look("HDF5")
        return result

    return mock.patch.object(owner, name, looked_at)


def _promising(taken: Film, tape: Tape) -> Any:
    """What has been acknowledged when a commit begins is promised when it has ended."""
    commit = RecordingFile.commit

    def committed(*arguments: Any) -> None:
        acknowledged = taken.acknowledged[-1][1]
        commit(*arguments)
        taken.promised.append((tape.history.now, acknowledged))

    return mock.patch.object(RecordingFile, "commit", committed)


@contextmanager
def _as_a_victim(life: Life) -> Iterator[None]:
    """With small journals, before the machine is started again."""
    with (
        warnings.catch_warnings(),
        mock.patch.object(journal, "_MAX_CAPACITY_ROWS", life.ring_rows),
        mock.patch.object(journal, "_MIN_BLOB_BYTES", PAGE_BYTES),
        mock.patch.object(journal, "_MAX_BYTES", 1 << 20),
        mock.patch.object(session, "boot_id", return_value=_EARLIER_START if life.outlived else boot_id()),
    ):
        warnings.simplefilter("ignore", RecordingWarning)  # some values fit no column on purpose
        yield


def _steps(env: Any, life: Life) -> Iterator[int]:
    """Play, and count the steps."""
    number = life.number * LIFE
    steps = 0
    while True:
        for moment in play(env, number):
            if moment.action is not None:
                steps += 1
                yield steps
                if steps == life.steps:
                    return
        number += 1


def _at(marks: list[tuple[int, int]], moment: int) -> int:
    return marks[bisect_right(marks, (moment, 1 << 62)) - 1][1]

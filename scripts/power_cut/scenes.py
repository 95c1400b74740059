"""Records, appends and repairs under a tape, cuts the power at random moments, and inspects the files."""

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
from gym_h5record.storage.lane_writer import LaneColumnWriter
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing import journal, session
from gym_h5record.writing.left_journal import boot_id

from ..crash.courses import steps_of
from ..crash.inspector import Inspector
from ..crash.lanes import has_lanes
from ..crash.recorders import acts, load, record
from .history import KILLED, PAGE_BYTES, STYLES, History
from .tally import Tally
from .tape import Tape

__all__ = ["Film", "Life", "film", "film_repair", "look", "moments"]

_EARLIER_START = "an earlier start of the machine"
_NEVER_S = 1e6
_DULL = ("pwrite", "a step", "HDF5")


@dataclass(frozen=True)
class Life:
    """The work of one recorder.

    Attributes:
        env: The environment to record, one of ``plays.ENVIRONMENTS`` without discards, or of ``courses.COURSES``.
        steps: The number of steps; of vector environments, of acts, as below.
        flush_every: Steps between two commits.
        number: Its number among the lives of the file.
        mode: As in ``RecordToHDF5``, and so are ``durability`` and ``checksum``.
        ring_rows: Rows that the journal has room for.
        outlived: Whether the machine counts as restarted before the file is inspected.
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
    """The history of a folder, and when its steps were acknowledged and promised.

    A step is acknowledged when it has returned, and promised when a commit that began later is complete.

    Attributes:
        env: The environment that was recorded.
        path: The recording; only its name counts.
        history: The history of its folder.
        before: Promised and acknowledged steps of each earlier life.
        promised: Pairs of a moment and the steps of this life that are promised from then on.
        acknowledged: Pairs of a moment and the steps of this life that are acknowledged from then on.
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
        life: The work of the recorder.
        before: Promised and acknowledged steps of each earlier life.
    """
    load(life.env)
    with _as_a_victim(life), _taped(path) as tape:
        taken = Film(life.env, path, tape.history, before, [(0, 0)], [(0, 0)])
        with _promising(taken, tape):
            recorder = record(
                life.env,
                life.number,
                path,
                mode=life.mode,
                writer="inline",
                durability=life.durability,
                checksum=life.checksum,
                flush_interval_s=_NEVER_S,
            )
            for steps, _ in zip(range(1, life.steps + 1), acts(recorder, life.env, life.number), strict=False):
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
    """Random moments of a history. Half of them are syncs, renames and other rare events, not writes.

    Args:
        history: The history.
        count: How many moments.
        chance: Chooses them.
        start: The share of the history in which no moment is chosen, from its beginning.
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
    """Cut the power at a moment, and inspect the files that are left.

    Args:
        tally: Gets the result.
        taken: The film of the recording.
        moment: When the power is cut.
        chance: Chooses what survives.
        place: The folder to make, and to remove again.
        inspector: Repairs and checks the files.
        has_power: Whether only the process is killed: then every acknowledged step must be there.
    """
    taken.history.survive(moment, chance, place, KILLED if has_power else STYLES)
    path = place / taken.path.name
    steps = taken.at(moment)
    if has_power:
        steps = [(acknowledged, acknowledged) for _, acknowledged in steps]
    least, most = ([each[place] for each in steps] for place in (0, 1))
    finding = inspector.inspect(path, taken.env, most, None if has_power else least)
    needed = [_needed(taken.env, *each) for each in steps]
    promised = sum(needed)
    lost = sum(max(0, each - found) for each, found in zip(needed, finding.found, strict=True))
    problems = list(finding.problems)
    is_gone = finding.is_empty or (not promised and any("RecordingNotFoundError" in each for each in problems))
    if is_gone:
        problems = []
    elif finding.opens:
        problems += _errors(path)
    tally.cuts += 1
    tally.promised += promised
    tally.found += sum(finding.found)
    tally.lost += lost
    tally.contradicting += len(finding.contradicting)
    tally.strays += bool(finding.strays)
    tally.empty += is_gone
    tally.opened += finding.opens and not problems
    if lost:
        problems.append(f"{lost} of {promised} steps are lost")
    where = f"{tally.kind}, {taken.env}, moment {moment} of {taken.history.now} ({taken.history.kinds[moment]})"
    tally.problems += [f"{where}: {problem}" for problem in problems]
    shutil.rmtree(place)


def _needed(env: str, promised: int, acknowledged: int) -> int:
    """The steps that have to be in the file. With lanes, some of the later acts discard some of them."""
    return min(steps_of(env, promised, acknowledged + 1)[0]) if has_lanes(env) else promised


def _errors(path: Path) -> list[str]:
    """The errors that ``validate`` finds, checksums included."""
    problems = h5r.validate(path, deep=True)
    return [str(problem) for problem in problems if problem.severity is h5r.Severity.ERROR]


@contextmanager
def _taped(path: Path) -> Iterator[Tape]:
    """A tape that also looks after each operation on the HDF5 file: HDF5 writes without calling Python."""
    with ExitStack() as stack:
        tape = stack.enter_context(Tape(path.parent))
        for owner, names in (
            (RecordingFile, ("write", "write_lanes", "write_block", "commit", "start", "close")),
            (ColumnWriter, ("write", "flush")),
            (LaneColumnWriter, ("write", "write_block", "flush")),
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
    """Promise, when a commit has ended, the steps that were acknowledged when it began."""
    commit = RecordingFile.commit

    def committed(*arguments: Any) -> None:
        acknowledged = taken.acknowledged[-1][1]
        commit(*arguments)
        taken.promised.append((tape.history.now, acknowledged))

    return mock.patch.object(RecordingFile, "commit", committed)


@contextmanager
def _as_a_victim(life: Life) -> Iterator[None]:
    """Make journals small, and give them the boot id of an earlier start of the machine if it counts as restarted."""
    with (
        warnings.catch_warnings(),
        mock.patch.object(journal, "_MAX_CAPACITY_ROWS", life.ring_rows),
        mock.patch.object(journal, "_MIN_BLOB_BYTES", PAGE_BYTES),
        mock.patch.object(journal, "_MAX_BYTES", 1 << 20),
        mock.patch.object(session, "boot_id", return_value=_EARLIER_START if life.outlived else boot_id()),
    ):
        warnings.simplefilter("ignore", RecordingWarning)  # some values fit no column on purpose
        yield


def _at(marks: list[tuple[int, int]], moment: int) -> int:
    return marks[bisect_right(marks, (moment, 1 << 62)) - 1][1]

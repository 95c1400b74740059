"""The files that a kill at each write would leave: a victim is stopped there, and its files are copied.

A kernel that copies several pages into a file checks between two pages whether the process
has been killed. So every write over a page boundary of the file has further crash points:
the files with only the pages before the boundary.
"""

from __future__ import annotations

import random
import re
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from .inspector import Inspector
from .lanes import has_lanes
from .processes import Victim
from .scenes import OF_LANES, Scene, prepare, task_of
from .tally import Tally
from .tracing import Stop, writes
from .victim import Repair

__all__ = ["Sampling", "every_write"]

_PAGE_BYTES = 4096
_SIGNATURES = re.compile(rb"OHDR|OCHK|EAHD|EAIB|EASB|EADB|FAHD|FADB|FRHP|FHDB|BTHD|BTLF|BTIN|\x89HDF")
_WRITES_OF_A_REPAIR = 120  # roughly


@dataclass(frozen=True)
class Sampling:
    """How many of the crash points to inspect.

    Attributes:
        every: Inspect the files before every n-th write, 0 for none.
        torn_every: Inspect every n-th write over page boundaries as a torn write, 0 for none.
        tears: At how many of its page boundaries such a write is torn.
        twice_every: At every n-th write, kill a repair of the files as well, 0 for none.
    """

    every: int = 1
    torn_every: int = 1
    tears: int = 1
    twice_every: int = 0


class _Every:
    """Called, it is true once in ``count`` calls, never if ``count`` is 0."""

    def __init__(self, count: int, chance: random.Random) -> None:
        self._count = count
        self._left = chance.randrange(count) if count else -1

    def __call__(self) -> bool:
        now = self._left == 0
        self._left = self._count - 1 if now else self._left - 1
        return now


def every_write(
    folder: Path, inspector: Inspector, chance: random.Random, scene: Scene, sampling: Sampling
) -> tuple[Tally, Tally, Tally]:
    """Inspect the files that a kill would leave at the writes of a scene.

    Args:
        folder: An empty folder to work in.
        inspector: Repairs and checks the files.
        chance: Chooses where writes are torn, and where sampling begins.
        scene: The recording or repair to stop.
        sampling: How many of its writes to inspect.

    Returns:
        The findings between writes, within writes, and after repairs that were killed as well.
    """
    whole, torn = Tally(f"every write: {scene.name}"), Tally(f"torn writes: {scene.name}")
    of_lanes = OF_LANES if has_lanes(scene.env) else ""
    twice = Tally(f"every write: any of these, then any of `repair`{of_lanes}")
    whole_due = _Every(sampling.every * scene.stride, chance)
    torn_due, twice_due = _Every(sampling.torn_every, chance), _Every(sampling.twice_every, chance)
    path = folder / "files" / "run.h5"
    path.parent.mkdir()
    acknowledged = prepare(path, scene)
    copies = _Copies(folder / "copy", path, scene.env, inspector)
    with Victim(task_of(path, scene)) as running:
        running.wait_until_ready()
        for number, stop in enumerate(writes(running.process, path.parent.resolve())):
            now = [*acknowledged, running.counter.steps] if scene.steps else acknowledged
            where = f"{scene.env}, write {number}: {_describe(stop, path.parent)}"
            if whole_due():
                copies.make()
                copies.inspect(whole, now, where)
            tears = _tears(stop)
            if tears and torn_due():
                for tear in sorted(chance.sample(tears, min(sampling.tears, len(tears)))):
                    copies.make(stop, tear)
                    copies.inspect(torn, now, f"{where}, torn after {tear} bytes")
            if twice_due():
                copies.make(stop, chance.choice([0, *tears]))
                copies.inspect(twice, now, f"{where}, then {copies.kill_repair(chance)}")
        if running.process.returncode:
            whole.fail(f"{scene.name}, {scene.env}: the victim failed: {running.complaint()[-500:]}")
    return whole, torn, twice


class _Copies:
    """Makes a copy of a folder as a kill would leave it. The next copy replaces it.

    Args:
        place: The folder of the copy.
        path: The recording, in the folder that is copied.
        env: The environment that it records.
        inspector: Repairs and checks the copy.
    """

    def __init__(self, place: Path, path: Path, env: str, inspector: Inspector) -> None:
        self._path = place / path.name
        self._original = path.parent
        self._env = env
        self._inspector = inspector

    def make(self, stop: Stop | None = None, tear: int = 0) -> None:
        """Copy the folder, and add the first ``tear`` bytes of the write at ``stop``."""
        shutil.rmtree(self._path.parent, ignore_errors=True)
        shutil.copytree(self._original, self._path.parent)
        if stop is not None:
            _write_part(self._path.parent, stop, tear)

    def kill_repair(self, chance: random.Random) -> str:
        """Repair the copy, and kill the repair at a random write, or within it. Some repairs reach their end.

        Returns:
            Words that say where it was killed.
        """
        with Victim(Repair(str(self._path), f"{self._path.parent}.counter", traced=True)) as repairing:
            repairing.wait_until_ready()
            with closing(writes(repairing.process, self._path.parent.resolve())) as stops:
                for number, stop in enumerate(stops):
                    if chance.randrange(_WRITES_OF_A_REPAIR) == 0:
                        tear = chance.choice([0, *_tears(stop)])
                        _write_part(self._path.parent, stop, tear)
                        what = _describe(stop, self._path.parent)
                        return f"repair killed at its write {number}: {what}, after {tear} bytes"
        return "a whole repair"

    def inspect(self, tally: Tally, acknowledged: list[int], where: str) -> None:
        """Have the copy inspected."""
        tally.add(self._inspector.inspect(self._path, self._env, acknowledged), acknowledged, where)


def _write_part(folder: Path, stop: Stop, size_bytes: int) -> None:
    """Write the first ``size_bytes`` of a write to the file of the same name in ``folder``."""
    if size_bytes and stop.path is not None:
        with (folder / stop.path.name).open("r+b") as file:
            file.seek(stop.offset)
            file.write(stop.data[:size_bytes])


def _tears(stop: Stop) -> list[int]:
    """The numbers of bytes before each page boundary that a write runs over."""
    first = -stop.offset % _PAGE_BYTES or _PAGE_BYTES
    return list(range(first, len(stop.data), _PAGE_BYTES))


def _describe(stop: Stop, folder: Path) -> str:
    if stop.path is None:
        return "a store into the journal"
    name = stop.path.name if stop.path != folder else "the folder"
    if not stop.data:
        return f"{stop.call} of {name}"
    kinds = [each.decode("latin-1") for each in _SIGNATURES.findall(stop.data)]
    what = f"metadata {'+'.join(dict.fromkeys(kinds))}" if kinds else "data"
    return f"{stop.call} of {len(stop.data)} bytes at {stop.offset} of {name} ({what})"

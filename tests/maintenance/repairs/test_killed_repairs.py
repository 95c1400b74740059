"""A ``repair`` that is killed at any instant is completed by the next one."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import gym_h5record as h5r
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing import recovery
from tests.leftovers import INTERRUPTED, left_pairs
from tests.writing import check_alone, check_pairs, check_same_content, committed, run_script

pytestmark = pytest.mark.timeout(60)


class Killed(BaseException):
    """Stands for the end of the process."""


class Death:
    """Lets this process die, as far as files are concerned, at its n-th change of one.

    The change itself is made by half if it is a write. From then on nothing is
    changed any more: every further change raises ``Killed``.

    Attributes:
        changes: How many there have been.
        has_come: Whether it is over.
    """

    def __init__(self, at: int) -> None:
        self.changes = 0
        self.has_come = False
        self._at = at

    @contextmanager
    def coming(self) -> Iterator[None]:
        """A context in which it may come."""
        with pytest.MonkeyPatch.context() as patch:
            self._wrap(patch, os, "pwrite", half=lambda file, data, at: (file, data[: len(data) // 2], at))
            for name in ("ftruncate", "replace", "unlink", "truncate"):
                self._wrap(patch, os, name)
            for owner, name in ((RecordingFile, "start"), (RecordingFile, "commit"), (RecordingFile, "close")):
                self._tell(patch, owner, name)
            self._tell(patch, recovery, "clear_write_flags", changes=True)
            try:
                yield
            except BaseException:
                if not self.has_come:  # what the dead say does not matter
                    raise

    def _wrap(
        self, patch: pytest.MonkeyPatch, owner: Any, name: str, half: Callable[..., tuple[Any, ...]] | None = None
    ) -> None:
        function = getattr(owner, name)

        def wrapped(*arguments: Any, **more: Any) -> Any:
            if str(arguments[0]).endswith(".lock"):  # the system lets go of it
                return function(*arguments, **more)
            self.changes += not self.has_come
            if self.changes == self._at and not self.has_come:
                self.has_come = True
                if half is not None:
                    function(*half(*arguments))
            if self.has_come:
                return len(arguments[1]) if name == "pwrite" else None
            return function(*arguments, **more)

        patch.setattr(owner, name, wrapped)

    def _tell(self, patch: pytest.MonkeyPatch, owner: Any, name: str, *, changes: bool = False) -> None:
        function = getattr(owner, name)

        def telling(*arguments: Any) -> Any:
            self.changes += changes
            self.has_come |= changes and self.changes == self._at
            if self.has_come:
                raise Killed
            result = function(*arguments)
            if self.has_come:
                raise Killed
            return result

        patch.setattr(owner, name, telling)


EVERY = 11
"""Of the instants of a repair that is much like another one."""


@pytest.mark.sampled(5)
@pytest.mark.parametrize(
    ("name", "first"),
    [("some-committed", 1), ("nothing-committed", 2), ("flags-alone-open", 3), ("amid-a-sync", 5), ("appended", 8)],
)
def test_a_repair_that_is_killed_at_any_instant_is_done_by_the_next(name: str, first: int, tmp_path: Path) -> None:
    path = INTERRUPTED[name](tmp_path)
    whole = copied(path, "whole")
    report = h5r.repair(whole)
    content = committed(whole)
    for instant in itertools.count(first, EVERY):
        copy = copied(path, f"{instant}")
        death = Death(instant)
        with death.coming():
            h5r.repair(copy)
        if not death.has_come:
            break
        again = h5r.repair(copy)
        assert (again.num_steps, again.num_episodes, again.ok) == (report.num_steps, report.num_episodes, True), instant
        check_same_content(committed(copy), content)
        check_alone(copy)
    assert instant > 3 * EVERY


def copied(path: Path, name: str) -> Path:
    """A recording and all that lies beside it, in another directory."""
    folder = path.parent.parent / "copies" / name
    shutil.copytree(path.parent, folder, ignore=shutil.ignore_patterns("left", "copies"))
    return folder / path.name


@pytest.mark.long
def test_a_repair_that_is_killed_for_real_is_done_by_the_next(tmp_path: Path) -> None:
    path = left_pairs(tmp_path, [3, 2], [2000, 5])
    for writes in (0, 7, 20):
        copy = copied(path, str(writes))
        script = """
            import os, signal, sys
            from gym_h5record import repair
            from gym_h5record.storage.recording_file import RecordingFile
            left, write = int(sys.argv[2]), RecordingFile.write
            def killing(*arguments):
                global left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                write(*arguments)
            RecordingFile.write = killing
            repair(sys.argv[1])
        """
        done = run_script(script, copy, writes, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        h5r.repair(copy)
        check_pairs(copy, [3, 2, 2000, 5])

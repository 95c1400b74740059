"""The contract of whoever drains a session's journal, in this process or in another."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from gym_h5record.errors import WriterError
from gym_h5record.storage.paths import journal_path
from gym_h5record.writing.journal import Journal

__all__ = ["LOCK_GONE", "WRITE_ERRORS", "Worker", "describe_error", "writer_error"]


LOCK_GONE = 75
"""Exit code of a writer process that finds its lock file gone before it has begun."""

WRITE_ERRORS = (OSError, RuntimeError)
"""What h5py raises when a write fails: either."""


class Worker(Protocol):
    """Drains a journal into a recording. Every method but ``abandon`` may raise ``WriterError``.

    Attributes:
        watch_interval_s: How often ``watch`` wants to be called.
    """

    watch_interval_s: float

    def start(self) -> None:
        """Get ready; the journal is not there yet. Waits for nothing."""

    def attach(self, journal: Journal) -> None:
        """Drain ``journal`` from here on: the first one, or one that has taken its place. Waits for nothing."""

    def watch(self) -> None:
        """Do what is due; notice if the work has failed."""

    def flush(self) -> None:
        """Return once everything in the journal is committed."""

    def urge(self) -> None:
        """Drain, or have it drained soon: rows are waiting for room."""

    def finish(self) -> None:
        """Drain the rest, close the file, remove the journal."""

    def cancel(self) -> None:
        """Stop at once, before any row has been written."""

    def abandon(self) -> None:
        """Let go of everything without touching it: called in a forked child."""


def writer_error(path: Path, cause: str) -> WriterError:
    """The error of a worker that failed, with what the user can do."""
    return WriterError(
        f"recording to {path} has failed: {cause}. What was committed is in the file, the rest is kept in "
        f"{journal_path(path).name}; once the cause is gone, gym_h5record.repair({str(path)!r}), or recording with "
        'mode="a", brings it into the file.'
    )


def describe_error(error: Exception) -> str:
    """An error in one line: HDF5's run over several."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"

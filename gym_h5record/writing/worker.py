"""The contract of a worker, which drains the journal of a session, and the words of its errors."""

from __future__ import annotations

from typing import Protocol

from gym_h5record.writing.journal import Journal

__all__ = ["LOCK_GONE", "Worker"]

LOCK_GONE = 75
"""Exit code of a writer process that finds its lock file gone before it has begun."""


class Worker(Protocol):
    """Drains a journal into a recording. Every method but ``abandon`` may raise ``WriterError``.

    Attributes:
        watch_interval_s: How often ``watch`` wants to be called.
    """

    watch_interval_s: float

    def start(self) -> None:
        """Get ready; the journal is not there yet. Waits for nothing."""

    def attach(self, journal: Journal) -> None:
        """Drain ``journal`` from now on: the first one, or a larger one that replaces it. Waits for nothing."""

    def watch(self) -> None:
        """Do what is due, and raise if draining has failed. The session calls this between two steps."""

    def flush(self) -> None:
        """Return once everything in the journal is committed."""

    def urge(self) -> None:
        """Drain now, or make the writer process drain soon: the ring is full."""

    def finish(self) -> None:
        """Drain the remaining rows, close the file, remove the journal."""

    def cancel(self) -> None:
        """Stop at once. No row has been written yet."""

    def abandon(self) -> None:
        """Drop the file and the process without touching them: a forked child shares them with its parent."""

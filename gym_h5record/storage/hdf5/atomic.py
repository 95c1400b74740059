"""A file appears under its name complete, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gym_h5record.storage.paths import closing_descriptor, partial_path

__all__ = ["atomic_path", "sync_directory"]


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` on success.

    Data and directory entry are synced, so that after a power cut the name leads to the old file or to the new one.
    On any error the temporary file is removed.
    """
    target = Path(path)
    partial = partial_path(target)
    partial.unlink(missing_ok=True)  # left by a process that died, or a link that must not be followed
    try:
        yield partial
        with closing_descriptor(os.open(partial, os.O_RDONLY)) as descriptor:
            os.fsync(descriptor)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_directory(target.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in ``directory`` survive a power cut."""
    with closing_descriptor(os.open(directory, os.O_RDONLY)) as descriptor:
        os.fsync(descriptor)

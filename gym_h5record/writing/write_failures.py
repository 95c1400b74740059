"""What happens when writing fails, for example on a full disk: the error of the recorder, and what the user can do."""

from __future__ import annotations

from pathlib import Path

from gym_h5record.errors import WriterError
from gym_h5record.storage.paths import journal_path

__all__ = ["WRITE_ERRORS", "describe_error", "writer_error"]

WRITE_ERRORS = (OSError, RuntimeError)
"""The errors that h5py raises when a write fails."""


def writer_error(path: Path, cause: str) -> WriterError:
    """The error of a worker that failed; says what the user can do."""
    return WriterError(
        f"recording to {path} has failed: {cause}. Committed steps are in the file, the others in "
        f"{journal_path(path).name}. Once the cause is gone, gym_h5record.repair({str(path)!r}), or recording with "
        'mode="a", brings them into the file.'
    )


def describe_error(error: Exception) -> str:
    """An error in one line. Messages of HDF5 have several lines."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"

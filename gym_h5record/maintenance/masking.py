"""``add_mask``: name some episodes of a recording, such as those to train on."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from gym_h5record.errors import (
    InterruptedRecordingError,
    RecordingError,
    RecordingPathError,
    SelectionError,
    WriterError,
)
from gym_h5record.format.masks import is_mask_name
from gym_h5record.limits import MAX_MASKS
from gym_h5record.reading.expression import NAMES
from gym_h5record.reading.recording import Recording
from gym_h5record.reading.selection import EpisodeChoice
from gym_h5record.storage.lock import RecordingLock, check_only_name
from gym_h5record.storage.mask_writer import write_mask
from gym_h5record.storage.paths import given_path
from gym_h5record.storage.state import State, recording_state
from gym_h5record.writing.deferred_signals import signals_held
from gym_h5record.writing.recovery import recover_locked
from gym_h5record.writing.write_failures import WRITE_ERRORS

__all__ = ["add_mask"]


def add_mask(path: str | os.PathLike[str], name: str, episodes: EpisodeChoice, *, replace: bool = False) -> None:
    """Name some episodes of a closed recording, so that ``recording.select(name)`` gives them.

    A kill at any instant leaves the file with the mask or without it. Of a file of more than 256 MiB, it may leave the
    file interrupted for ``repair`` to complete. Recordings that are open show the mask when they are opened again.

    Args:
        path: The recording.
        name: 1 to 64 letters, digits, ``_``, ``.`` and ``-``, the first one no ``.`` or ``-``, and none of the names of
            conditions, such as ``complete``.
        episodes: A part of ``Recording.split``, or anything that ``Recording.select`` takes: numbers, a condition ...
        replace: Whether a mask of this name may be replaced.

    Raises:
        SelectionError: If the name is none, exists, or the episodes cannot be selected.
        RecordingNotFoundError: If there is no file.
        RecordingInUseError: If it is being recorded right now.
        InterruptedRecordingError: If its recorder died.
        CorruptRecordingError: If it is damaged.
        RecordingPathError: If it has hard links, or cannot be written.
        WriterError: If writing fails, for example because the disk is full.

    Example:
        >>> import gym_h5record as h5r
        >>> from shutil import copy
        >>> path = copy(cartpole_path, tmp_path)
        >>> with h5r.Recording(path) as recording:
        ...     parts = recording.split({"train": 0.67, "valid": 0.33}, seed=0)
        >>> for name, part in parts.items():
        ...     h5r.add_mask(path, name, part)
        >>> with h5r.Recording(path) as recording:
        ...     {name: len(numbers) for name, numbers in recording.masks.items()}
        {'train': 2, 'valid': 1}
    """
    target = Path(os.path.realpath(given_path(path)))
    _check_name(name)
    Recording(target).close()  # an error says why it cannot be opened
    check_only_name(target)
    try:
        lock = RecordingLock(target)
    except RecordingError:
        raise
    except OSError as error:
        raise RecordingPathError(f"{target} cannot be changed: {error.strerror}: {error.filename}") from error
    try:
        if recording_state(target, is_ours=True) is not State.CLOSED:
            raise InterruptedRecordingError(
                f"{target} has been appended to meanwhile, and its recorder died: repair it"
            )
        with Recording(target) as recording:
            numbers = np.unique(recording.select(episodes).numbers)
            _check_free(recording, name, replace=replace)
        with signals_held():
            _write(target, name, numbers)
    finally:
        lock.release()


def _check_name(name: object) -> None:
    if not is_mask_name(name):
        raise SelectionError(
            f"{name!r:.80} is no name for a mask: 1 to 64 letters, digits, '_', '.' and '-', the first no '.' or '-'"
        )
    if name in NAMES:
        raise SelectionError(f"a mask cannot be called {name!r}: conditions have this name for something else")


def _check_free(recording: Recording, name: str, *, replace: bool) -> None:
    masks = recording.masks
    if name in masks and not replace:
        raise SelectionError(f"{recording.path} has a mask {name!r} already: choose another name, or replace=True.")
    if name not in masks and len(masks) >= MAX_MASKS:
        raise SelectionError(f"{recording.path} has {len(masks)} masks, and no file has more.")


def _write(path: Path, name: str, numbers: np.ndarray) -> None:
    try:
        write_mask(path, name, numbers)
    except WRITE_ERRORS as error:
        if recording_state(path, is_ours=True) is State.INTERRUPTED:  # a large file, changed in place
            recover_locked(path)
        if isinstance(error, RecordingError):
            raise
        raise WriterError(f"the mask {name!r} cannot be written to {path}: {error}. The file is as it was.") from error

"""``validate``: everything that is wrong with a recording."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from gymnasium import Space

from gym_h5record.errors import (
    CorruptRecordingError,
    FormatVersionError,
    NotARecordingError,
    RecordingError,
    RecordingInUseError,
    RecordingNotFoundError,
)
from gym_h5record.format import names as fmt
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.maintenance.validation.checksums import checksum_problems
from gym_h5record.maintenance.validation.episodes import Episodes
from gym_h5record.maintenance.validation.metadata import metadata_problems
from gym_h5record.maintenance.validation.problems import Findings, Problem, make_problem, reason
from gym_h5record.maintenance.validation.ragged_ends import Lists
from gym_h5record.maintenance.validation.row_blocks import Columns, Rows
from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.maintenance.validation.target import Target
from gym_h5record.maintenance.validation.values import Values
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.hdf5.objects import READ_ERRORS
from gym_h5record.storage.hdf5.superblock import cut_bytes
from gym_h5record.storage.lock import is_locked
from gym_h5record.storage.paths import lock_path, redo_path, spare_path
from gym_h5record.storage.state import State, recording_state

__all__ = ["content_problems", "validate"]


def validate(
    path: str | os.PathLike[str],
    *,
    deep: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Problem]:
    """Find out what is wrong with a recording; nothing is changed.

    Without ``deep`` a recording of any size takes a moment: the metadata is read,
    every column opened, its length and its last item looked at, and the places of
    the episodes compared. With ``deep`` every row is read.

    Args:
        path: The recording; closed, interrupted, damaged, or no recording at all.
        deep: Whether to look at the contents as well: every chunk, type, flag and
            return, NaN, and values outside their space. Memory does not grow with the file.
        on_progress: Called with ``deep``, again and again, with the number of rows that
            have been looked at, and of all rows.

    Returns:
        The problems, in the order they were found. A recording without one of
        severity ``ERROR`` is good.

    Raises:
        RecordingNotFoundError: If there is nothing at the path.
        RecordingInUseError: If it is being recorded right now.

    Example:
        >>> import gym_h5record as h5r
        >>> h5r.validate(cartpole_path, deep=True)
        []
    """
    target = Path(os.path.realpath(path))
    problems: list[Problem] = []
    try:
        state = recording_state(target)
        if state is State.LIVE:
            raise RecordingInUseError(f"{target} is being recorded: it can be validated once that has ended.")
        problems += _state_problems(target, state)
        if target.exists():
            with closing(_open(target, state)) as handle:
                problems.extend(_file_problems(handle, deep=deep, on_progress=on_progress))
    except (RecordingNotFoundError, RecordingInUseError):
        raise
    except FormatVersionError as error:
        problems.append(make_problem("format-version", "/", reason(error, target)))
    except NotARecordingError as error:
        problems.append(make_problem("not-a-recording", "/", reason(error, target)))
    except (RecordingError, OSError, MemoryError, RecursionError) as error:
        problems.append(make_problem("unreadable", "/", reason(error, target)))
    return problems


def _open(path: Path, state: State) -> Handle:
    try:
        return Handle(path, Access.CLOSED if state is State.CLOSED else Access.DAMAGED)
    except (RecordingError, OSError):
        raise
    except READ_ERRORS as error:
        raise CorruptRecordingError(f"{path} cannot be opened: {error}") from error


def _state_problems(path: Path, state: State) -> Iterator[Problem]:
    """What is told from outside."""
    if state is State.INTERRUPTED:
        yield make_problem("interrupted", "/", "it was left by a recorder that died")
    elif state is State.CUT_SHORT:
        message = f"{cut_bytes(path)} bytes are missing at its end: it was cut short after it had been closed"
        yield make_problem("cut-short", "/", message)
    elif not is_locked(path):
        partial = path.with_name(f"{path.name}.partial")  # of atomic_path
        for each in (lock_path(path), spare_path(path), redo_path(path), partial):
            if os.path.lexists(each):
                yield make_problem("left-behind", each.name, "it lies beside the recording, which is closed")


def _file_problems(handle: Handle, *, deep: bool, on_progress: Callable[[int, int], None] | None) -> Iterator[Problem]:
    structure = Structure(handle)
    found = list(structure.problems())
    subject = structure.subject
    spaces: dict[str, Space[Any]] = {}
    yield from metadata_problems(handle, subject, spaces)
    yield from found
    if subject is None:
        return
    if subject.is_settled and structure.is_indexed and subject.is_open:
        message = f"row {subject.num_rows - 1} is committed, but belongs to no episode"
        yield make_problem("rows-left-over", f"/{fmt.COMMIT}", message)
    if deep:
        yield from checksum_problems(structure, subject)
        yield from content_problems(structure, subject, spaces, on_progress)


_BLOCK_BYTES = 4 << 20
_MAX_BLOCK_ROWS = 1 << 14


def content_problems(
    structure: Structure,
    subject: Target,
    spaces: dict[str, Space[Any]],
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Problem]:
    """What is wrong with the contents of an open recording.

    Args:
        structure: Its structure, which has been looked at.
        subject: The recording.
        spaces: Its spaces, by the columns that hold their values; those that cannot be read are not there.
        on_progress: Called with the rows that have been looked at, and with how many there are.

    Returns:
        One problem for each kind and column, in the order they are found.
    """
    findings = Findings()
    columns = Columns(subject, structure.broken, findings)
    lists = Lists(columns, findings)
    episodes = Episodes(subject, columns, lists, findings) if structure.is_indexed else None
    values = Values(subject, lists, findings, spaces)
    size, rows = _block_rows(subject.schema), None
    for start in range(0, subject.whole_rows, size):
        rows = Rows(columns, start, min(start + size, subject.whole_rows), rows)
        last = None if episodes is None else episodes.check(rows)
        values.check(rows, last)
        if on_progress is not None:
            on_progress(rows.stop, subject.whole_rows)
    return findings.problems()


def _block_rows(schema: Schema) -> int:
    """Rows in a block: a power of two, as those of chunks."""
    row_bytes = sum(
        field.item_bytes
        for field in all_fields(schema)
        if field.parent is None and not field.name.startswith(f"{fmt.EPISODES}/")
    )
    fitting = min(_BLOCK_BYTES // row_bytes, _MAX_BLOCK_ROWS)
    return 1 << max(fitting.bit_length() - 1, 0)

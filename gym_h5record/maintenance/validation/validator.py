"""``validate``: everything that is wrong with a recording."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from gymnasium import Space

from gym_h5record.errors import (
    FormatVersionError,
    NotARecordingError,
    RecordingError,
    RecordingInUseError,
    RecordingNotFoundError,
)
from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Stack
from gym_h5record.maintenance.validation.checksums import checksum_problems, lane_checksum_problems
from gym_h5record.maintenance.validation.episodes import EpisodeChecks
from gym_h5record.maintenance.validation.lanes import in_lane, open_lanes
from gym_h5record.maintenance.validation.masks import mask_problems
from gym_h5record.maintenance.validation.metadata import metadata_problems
from gym_h5record.maintenance.validation.problems import Findings, Problem, make_problem, reason
from gym_h5record.maintenance.validation.ragged_ends import RaggedChecks
from gym_h5record.maintenance.validation.row_blocks import RowBlock, TargetColumns
from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.maintenance.validation.target import Target
from gym_h5record.maintenance.validation.value_rules import takes_all
from gym_h5record.maintenance.validation.values import ValueChecks
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.hdf5.objects import hdf5_errors_as_corrupt
from gym_h5record.storage.hdf5.superblock import cut_bytes
from gym_h5record.storage.lock import is_locked
from gym_h5record.storage.paths import given_path, lock_path, partial_path, redo_path, spare_path
from gym_h5record.storage.state import State, cut_short_text, recording_state

__all__ = ["validate"]

_BLOCK_BYTES = 4 << 20
_MAX_BLOCK_ROWS = 1 << 14


def validate(
    path: str | os.PathLike[str],
    *,
    deep: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Problem]:
    """Find out what is wrong with a recording. Nothing is changed.

    Without ``deep`` this is fast for a recording of any size: the metadata is read, every column is opened, its length
    and its last item are checked, and the episodes must follow each other. With ``deep`` every row is read.

    Args:
        path: The recording: closed, interrupted or damaged, or a file that is no recording at all.
        deep: Whether to check the contents too: every chunk, type, flag and return, NaN, times, and values outside
            their space. The memory needed does not grow with the file.
        on_progress: With ``deep``, called after each block with the number of checked rows and the number of all rows.

    Returns:
        The problems, in the order in which they were found. A recording without one of severity ``ERROR`` is good.

    Raises:
        RecordingNotFoundError: If there is neither a file nor a journal at the path.
        RecordingInUseError: If it is being recorded right now.

    Example:
        >>> import gym_h5record as h5r
        >>> h5r.validate(cartpole_path, deep=True)
        []
    """
    real_path = Path(os.path.realpath(given_path(path)))
    problems: list[Problem] = []
    try:
        state = recording_state(real_path)
        if state is State.LIVE:
            raise RecordingInUseError(f"{real_path} is being recorded: validate it once the recorder has closed it.")
        problems += _state_problems(real_path, state)
        if real_path.exists():
            with hdf5_errors_as_corrupt(f"{real_path} cannot be opened"):
                handle = Handle(real_path, Access.CLOSED if state is State.CLOSED else Access.DAMAGED)
            with closing(handle):
                problems.extend(_file_problems(handle, deep=deep, on_progress=on_progress))
    except (RecordingNotFoundError, RecordingInUseError):
        raise
    except FormatVersionError as error:
        problems.append(make_problem("format-version", "/", reason(error, real_path)))
    except NotARecordingError as error:
        problems.append(make_problem("not-a-recording", "/", reason(error, real_path)))
    except (RecordingError, OSError, MemoryError, RecursionError) as error:
        problems.append(make_problem("unreadable", "/", reason(error, real_path)))
    return problems


def _state_problems(path: Path, state: State) -> Iterator[Problem]:
    """Find what can be told without opening the file."""
    if state is State.INTERRUPTED:
        yield make_problem("interrupted", "/", "its recorder died before it closed the file")
    elif state is State.CUT_SHORT:
        yield make_problem("cut-short", "/", cut_short_text(cut_bytes(path)))
    elif not is_locked(path):
        for each in (lock_path(path), spare_path(path), redo_path(path), partial_path(path)):
            if os.path.lexists(each):
                yield make_problem("left-behind", each.name, "it lies beside the recording, which is closed")


def _file_problems(handle: Handle, *, deep: bool, on_progress: Callable[[int, int], None] | None) -> Iterator[Problem]:
    if handle.num_envs is not None:
        yield from _lane_problems(handle, deep=deep, on_progress=on_progress)
        return
    structure = Structure(handle)
    target = structure.target
    spaces: dict[str, Space[Any]] = {}
    yield from metadata_problems(handle, target.totals if target is not None and target.is_settled else None, spaces)
    yield from structure.problems
    if target is None:
        return
    yield from mask_problems(handle, target.num_episodes)
    yield from _leftover_problems(structure, target)
    if deep:
        yield from checksum_problems(structure, target)
        yield from _content_problems(structure, target, spaces, on_progress)


def _leftover_problems(structure: Structure, target: Target) -> Iterator[Problem]:
    if target.is_settled and structure.is_indexed and target.is_open:
        message = f"row {target.num_rows - 1} is committed, but belongs to no episode"
        yield make_problem("rows-left-over", f"/{fmt.COMMIT}", message)


def _lane_problems(handle: Handle, *, deep: bool, on_progress: Callable[[int, int], None] | None) -> Iterator[Problem]:
    """Find what is wrong with a vector recording: each lane is checked as a recording of a single environment."""
    lanes = open_lanes(handle)
    targets = [each.target for each in lanes.structures]
    known = [each for each in targets if each is not None]
    spaces: dict[str, Space[Any]] = {}
    totals = (sum(each.totals[0] for each in known), sum(each.totals[1] for each in known))
    is_settled = bool(known) and len(known) == len(targets) and known[0].is_settled
    yield from metadata_problems(handle, totals if is_settled else None, spaces)
    yield from lanes.all_problems()
    if lanes.index is not None:
        yield from mask_problems(handle, lanes.index.num_episodes)
    if deep:
        yield from lane_checksum_problems(handle, lanes)
    num_rows, done = sum(each.whole_rows for each in known), 0
    for lane, (structure, target) in enumerate(zip(lanes.structures, targets, strict=True)):
        if target is None:
            continue
        found = [*_leftover_problems(structure, target)]
        if deep:
            progress = None if on_progress is None else _counted_on(on_progress, done, num_rows)
            found += _content_problems(structure, target, spaces, progress)
        done += target.whole_rows
        yield from (in_lane(problem, lane) for problem in found)


def _counted_on(on_progress: Callable[[int, int], None], before: int, total: int) -> Callable[[int, int], None]:
    return lambda rows, _: on_progress(before + rows, total)


def _content_problems(
    structure: Structure,
    target: Target,
    spaces: dict[str, Space[Any]],
    on_progress: Callable[[int, int], None] | None,
) -> list[Problem]:
    """Read every row: one problem for each kind and column, in the order in which they are found."""
    columns = TargetColumns(target, structure.broken, Findings(target.fields.values()))
    ragged = RaggedChecks(columns)
    episodes = EpisodeChecks(columns, ragged) if structure.is_indexed else None
    values = ValueChecks(columns, ragged, spaces)
    size, rows = _block_rows(target, spaces.get(fmt.OBSERVATIONS)), None
    for start in range(0, target.whole_rows, size):
        rows = RowBlock(columns, start, min(start + size, target.whole_rows), rows)
        last = None if episodes is None else episodes.check(rows)
        values.check(rows, last)
        if on_progress is not None:
            on_progress(rows.stop, target.whole_rows)
    return columns.findings.problems()


def _block_rows(target: Target, observation_space: Space[Any] | None) -> int:
    """Rows in a block: a power of two like those of chunks, so that each chunk is decoded once.

    Columns in which no value can be wrong, such as pictures, are decoded and not kept.
    """
    observation, frame = target.schema.observation, target.schema.frame
    nodes = () if frame is None else frame.walk()
    unkept = {node.name for node in nodes if takes_all(node, None)}
    unkept |= {observation.name} if takes_all(observation, observation_space) else set()
    fields = [field for field in target.fields.values() if field.axis == "row" and field.name not in unkept]
    row_bytes = sum(field.item_bytes for field in fields)
    row_bytes += sum(node.value_bytes for node in target.schema.observation.walk() if isinstance(node, Stack))
    fitting = min(_BLOCK_BYTES // row_bytes, _MAX_BLOCK_ROWS)
    return 1 << max(fitting.bit_length() - 1, 0)

"""Check the lanes of a vector recording: each of them as a recording of a single environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.maintenance.validation.problems import Problem, make_problem, reason
from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.lane_view import LaneView

__all__ = ["Lanes", "in_lane", "open_lanes"]


@dataclass(frozen=True)
class Lanes:
    """The lanes of a vector recording, in any state.

    Attributes:
        index: The episodes of all lanes; None if they cannot be read.
        structures: The structure of each lane.
        problems: Why lanes or episodes cannot be read.
    """

    index: EpisodeIndex | None
    structures: tuple[Structure, ...]
    problems: tuple[Problem, ...]

    def all_problems(self) -> Iterator[Problem]:
        """What is wrong with the structure of the recording."""
        yield from self.problems
        for lane, structure in enumerate(self.structures):
            for problem in structure.problems:
                yield in_lane(problem, lane)


def in_lane(problem: Problem, lane: int) -> Problem:
    """The problem, with its lane."""
    return replace(problem, place=f"{problem.place} lane {lane}")


def open_lanes(handle: Handle) -> Lanes:
    """Check the structure of every lane of a vector recording."""
    whole = ColumnReader(handle)
    try:
        schema = schema_from_json(str(handle.metadata().get("schema")))
        if schema.num_envs != handle.num_envs:
            raise CorruptRecordingError(f"it says {schema.num_envs} lanes, {fmt.NUM_ENVS} is {handle.num_envs}")
        whole.expect(all_fields(schema))
    except CorruptRecordingError as error:
        return Lanes(None, (), (make_problem("schema", f"/{fmt.METADATA}", reason(error, handle.path)),))
    try:
        index = EpisodeIndex.committed(whole)
    except CorruptRecordingError as error:
        return Lanes(None, (), (make_problem("commit", f"/{fmt.COMMIT}", reason(error, handle.path)),))
    try:
        lanes = index.lanes
    except CorruptRecordingError as error:
        problem = make_problem("episode-span", f"/{fmt.EPISODE_ENVS}", reason(error, handle.path))
        return Lanes(index, (), (problem,))
    return Lanes(index, tuple(_structures(handle, whole, schema, index, lanes)), ())


def _structures(
    handle: Handle, whole: ColumnReader, schema: Schema, index: EpisodeIndex, lanes: np.ndarray
) -> Iterator[Structure]:
    single = replace(schema, num_envs=None)
    for lane, num_rows in enumerate(index.lane_rows.tolist()):
        view = LaneView(handle, whole, lane, num_rows, np.flatnonzero(lanes == lane))
        view.expect(all_fields(single))
        yield Structure(handle, view, single)

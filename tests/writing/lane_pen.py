"""Write recordings of lanes without an environment: ``Pen`` for lanes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from gym_h5record.format.names import Origin, RowFlag
from gym_h5record.format.schema import Schema
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.writing.batch_rows import BatchRows
from gym_h5record.writing.lane_row_writer import LaneRowWriter
from gym_h5record.writing.options import Options
from gym_h5record.writing.row_writer import begin_json
from gym_h5record.writing.session import Session
from tests.writing import NEVER_S, PAIR, make_schema

__all__ = ["LanePen", "lane_schema"]


def lane_schema(num_lanes: int, *planned: Any, **options: Any) -> Schema:
    """``make_schema`` for lanes."""
    return replace(make_schema(*planned, **options), num_envs=num_lanes)


class LanePen:
    """Writes a recording tick by tick, as a recorder of lanes does.

    Args:
        path: The file.
        num_lanes: How many lanes there are.
        schema: Its columns; None for pairs of numbers.
        observation_space: The space of the observation of one lane.
        action_space: The space of its action.
        mode: As of a recorder.
        flush_interval_s: As of a recorder.
        compression: As of a recorder.
        row_bytes: What the session reserves for each slot.
    """

    def __init__(
        self,
        path: Path,
        num_lanes: int = 2,
        schema: Schema | None = None,
        observation_space: gym.Space[Any] = PAIR,
        action_space: gym.Space[Any] = spaces.Discrete(4),  # noqa: B008  # it is never sampled
        *,
        mode: str = "x",
        flush_interval_s: float = NEVER_S,
        compression: str | None = "gzip",
        row_bytes: int = 100,
    ) -> None:
        self.num_lanes = num_lanes
        self.session = Session(Options(path, mode, make_codec(compression), True, flush_interval_s))
        schema = lane_schema(num_lanes, observation_space, action_space) if schema is None else schema
        self.session.open()
        self.session.reserve(row_bytes, 64 << 10)
        self.session.lay_out(schema, 30.0, {})  # more attributes than a recorder has are not compacted
        self.rows = LaneRowWriter(self.session, schema, (observation_space, action_space))
        self._number = 0

    def begin(
        self,
        observations: Any,
        lanes: Iterable[int] | None = None,
        *,
        infos: Any = None,
        frames: Any = None,
        seeds: Mapping[int, int] | None = None,
        snapshots: Mapping[int, dict[str, bytes]] | None = None,
        is_bare: bool = False,
    ) -> None:
        """Begin an episode in these lanes, or in all; a bare one has nothing to keep of its reset."""
        begins: dict[int, Any] = {}
        for lane in range(self.num_lanes) if lanes is None else lanes:
            seed, snapshot = (seeds or {}).get(lane), (snapshots or {}).get(lane)
            begins[lane] = None if is_bare else begin_json(seed, None, Origin.RESET, self._number, snapshot=snapshot)
            self._number += 1
        self.rows.begin_episodes(BatchRows(observations, {} if infos is None else infos, frames), begins)

    def step(
        self,
        observations: Any,
        *,
        actions: Any = None,
        rewards: Any = None,
        ended: Sequence[int] = (),
        truncated: Sequence[int] = (),
        reset: Sequence[int] = (),
        stepped: Sequence[int] | None = None,
        infos: Any = None,
        frames: Any = None,
        extras: Any = None,
        finals: Mapping[int, tuple[Any, Any]] | None = None,
    ) -> None:
        """Append a step.

        Args:
            observations: The batch that the step led to.
            actions: The batch of actions, None for zeros.
            rewards: The rewards, None for ones.
            ended: The lanes whose episode terminates.
            truncated: The lanes whose episode is cut off.
            reset: The lanes that are reset instead of stepped.
            stepped: The lanes that take a step, None for all others than these.
            infos: The infos.
            frames: The pictures.
            extras: What the agent adds.
            finals: Final observation and info of lanes that have been reset since.
        """
        stepped = [lane for lane in range(self.num_lanes) if lane not in reset] if stepped is None else stepped
        flags = np.full(self.num_lanes, RowFlag.ABSENT, np.uint8)
        flags[list(stepped)] = 0
        flags[[*ended, *truncated]] = RowFlag.LAST
        flags[list(reset)] = RowFlag.FIRST
        present = np.flatnonzero(flags != RowFlag.ABSENT).tolist()
        actions = np.zeros(self.num_lanes, np.int64) if actions is None else actions
        rewards = np.ones(self.num_lanes) if rewards is None else rewards
        self.rows.put_actions(actions, extras or {}, stepped)
        self.rows.put_step(
            *(rewards, self._chosen(ended), self._chosen(truncated)),
            BatchRows(observations, {} if infos is None else infos, frames),
            *(flags, stepped),
            present=None if len(present) == self.num_lanes else present,
            finals=finals,
            begins=dict.fromkeys(reset),
        )

    def discard(self, *lanes: int) -> None:
        """Discard the newest episode of some lanes."""
        self.rows.mark(lanes, RowFlag.LAST | RowFlag.DISCARDED)

    def end(self, *lanes: int) -> None:
        """End the newest episode of some lanes."""
        self.rows.mark(lanes, RowFlag.LAST)

    def flush(self) -> None:
        """Commit everything."""
        self.session.flush()

    def close(self) -> None:
        """Complete the file."""
        self.session.close()

    def _chosen(self, lanes: Sequence[int]) -> np.ndarray:
        found = np.zeros(self.num_lanes, np.bool_)
        found[list(lanes)] = True
        return found

    def __enter__(self) -> LanePen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

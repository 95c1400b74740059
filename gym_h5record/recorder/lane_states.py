"""How the episode of each lane stands: whether it is recorded, whether it is over, whether it is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gym_h5record.format.names import Origin
from gym_h5record.recorder.episode_summary import EpisodeTally, Keep
from gym_h5record.recorder.lane_stream import VectorStep
from gym_h5record.recorder.triggers import Schedule
from gym_h5record.values.lane_values import lane_info, lanes_where
from gym_h5record.writing.row_writer import begin_json

__all__ = ["LaneStates"]


class LaneStates:
    """The state of the newest episode of every lane.

    Args:
        schedules: The triggers of each lane.
        keep: Asked about every episode that ends, or None.

    Attributes:
        schedules: As given.
        records_everything: Whether there is no trigger.
        is_recording: Whether the running episode of each lane is recorded, ``(lanes,)`` bool.
        is_over: Whether it has ended and its environment has not been reset, ``(lanes,)`` bool.
        can_discard: Whether the newest row of each lane belongs to an episode that may be discarded, ``(lanes,)`` bool.
    """

    def __init__(self, schedules: Sequence[Schedule], keep: Keep | None) -> None:
        count = len(schedules)
        self.schedules = schedules
        self.records_everything = all(each.records_everything for each in schedules)
        self.is_recording = np.zeros(count, np.bool_)
        self.is_over = np.ones(count, np.bool_)
        self.can_discard = np.zeros(count, np.bool_)
        self._was_discarded = np.zeros(count, np.bool_)  # the next episode says how many resets there were
        self._has_gaps = False  # whether any episode was ever discarded: to ask all lanes takes 2 us at every step
        self._ids = np.full(count, -1, np.int64)  # how many resets there were before the last one
        self._keep = keep
        self._tallies: dict[int, EpisodeTally] = {}

    @property
    def has_keep(self) -> bool:
        """Whether ``keep`` is asked."""
        return self._keep is not None

    def episode_id(self, lane: int) -> int:
        """How many resets of a lane there were before the last one, -1 before the first."""
        return int(self._ids[lane])

    def running(self) -> list[int]:
        """The lanes whose episode is recorded and goes on."""
        return lanes_where(self.is_recording & ~self.is_over)

    def reset(self, lanes: list[int]) -> list[int]:
        """Count the resets of lanes; returns those whose new episode is recorded."""
        at = np.array(lanes, np.int64)  # to index by a list takes 1 us longer
        self._ids[at] += 1
        self.is_over[at] = self.can_discard[at] = False
        if self.records_everything:
            self.is_recording[at] = True
            return lanes
        recorded = [lane for lane in lanes if self.schedules[lane].on_reset()]
        self.is_recording[lanes] = False
        self.is_recording[recorded] = True
        return recorded

    def begin(self, begins: Mapping[int, Mapping[str, Any]], infos: Any) -> None:
        """Note episodes that the recorder has begun. ``infos`` are those of their first rows."""
        lanes = list(begins)
        self.is_recording[lanes] = self.can_discard[lanes] = True
        self._was_discarded[lanes] = False
        for lane in lanes if self._keep is not None else ():
            seed = begins[lane]["columns"]["seeds"]
            self._tallies[lane] = EpisodeTally(seed if seed >= 0 else None, self._info(infos, lane))

    def begin_by_itself(
        self, snapshots: Mapping[int, Mapping[str, bytes]], infos: Any
    ) -> dict[int, dict[str, Any] | None]:
        """Count the resets that the vector environment has made, by itself, of lanes with these snapshots.

        ``infos`` are those of the first rows.

        Returns:
            How the recorded ones of their episodes begin, None where there is nothing to keep of a reset.
        """
        lanes = self.reset(list(snapshots))
        self.can_discard[np.array(lanes, np.int64)] = True
        if self._keep is not None:
            self._tallies |= {lane: EpisodeTally(None, self._info(infos, lane)) for lane in lanes}
        has_gap = self._has_gaps and self._was_discarded[lanes].any()
        if has_gap:
            self._was_discarded[lanes] = False
        if self.records_everything and not has_gap and not any(snapshots.values()):
            return dict.fromkeys(lanes)
        return {
            lane: begin_json(None, None, Origin.AUTORESET, self.episode_id(lane), snapshot=snapshots[lane])
            for lane in lanes
        }

    def add_up(self, step: VectorStep) -> None:
        """Count a step in the episodes that ``keep`` will be asked about."""
        for lane in step.stepped:
            if lane in self._tallies:
                final = step.finals.get(lane)
                info = self._info(step.rows.infos, lane) if final is None else final[1]
                self._tallies[lane].add(step.rewards[lane], step.terminations[lane], step.truncations[lane], info)

    def _info(self, infos: Any, lane: int) -> Any:
        return lane_info(infos, lane, len(self.is_over)) if type(infos) is dict else infos

    def unwanted(self, lanes: Iterable[int] | None = None) -> list[int]:
        """Ask ``keep`` about the episodes of some lanes, or of all, that it has not been asked about yet.

        Returns:
            The lanes whose episodes it does not want.
        """
        found = []
        for lane in list(self._tallies) if lanes is None else lanes:
            tally = self._tallies.pop(lane, None)
            if tally is not None and self._keep is not None and not self._keep(tally.summary()):
                found.append(lane)
        return [lane for lane in found if self.can_discard[lane]]

    def discard(self, lanes: list[int]) -> None:
        """Note that the newest episodes of lanes have been discarded."""
        self._was_discarded[lanes] = self._has_gaps = True
        self.can_discard[lanes] = self.is_recording[lanes] = False
        for lane in lanes:
            self._tallies.pop(lane, None)

    def lose_track(self) -> None:
        """Record nothing more before the next reset: the environments are ahead of their recording."""
        self.is_recording[:] = self.can_discard[:] = False
        self._tallies.clear()

"""How the episode of each lane stands: whether it is recorded, whether it is over, whether it is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gym_h5record.format.names import Origin
from gym_h5record.recorder.episode_summary import EpisodeTally, Keep
from gym_h5record.recorder.lane_stream import VectorStep
from gym_h5record.recorder.triggers import Schedule
from gym_h5record.values.lane_values import lane_info
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
        self._keep = keep
        self._tallies: dict[int, EpisodeTally] = {}

    @property
    def has_keep(self) -> bool:
        """Whether ``keep`` is asked."""
        return self._keep is not None

    def running(self) -> list[int]:
        """The lanes whose episode is recorded and goes on."""
        lanes: list[int] = np.flatnonzero(self.is_recording & ~self.is_over).tolist()
        return lanes

    def reset(self, lanes: Iterable[int]) -> list[int]:
        """Count the resets of lanes; returns those whose new episode is recorded."""
        recorded = []
        for lane in lanes:
            is_recorded = self.schedules[lane].on_reset()
            self.is_over[lane] = self.can_discard[lane] = False
            self.is_recording[lane] = is_recorded
            if is_recorded:
                recorded.append(lane)
        return recorded

    def begin(self, begins: Mapping[int, Mapping[str, Any]], infos: Any) -> None:
        """Note episodes that the recorder has begun. ``infos`` are those of their first rows."""
        lanes = list(begins)
        self.is_recording[lanes] = self.can_discard[lanes] = True
        self.is_over[lanes] = self._was_discarded[lanes] = False
        for lane in lanes if self._keep is not None else ():
            seed = begins[lane]["columns"]["seeds"]
            info = lane_info(infos, lane, len(self.is_over)) if type(infos) is dict else infos
            self._tallies[lane] = EpisodeTally(seed if seed >= 0 else None, info)

    def begin_by_itself(self, lane: int, snapshot: Mapping[str, bytes]) -> dict[str, Any] | None:
        """Note an episode that the vector environment has begun; None if there is nothing to keep of its reset."""
        self.can_discard[lane] = True
        if self._keep is not None:
            self._tallies[lane] = EpisodeTally(None, None)
        was_discarded, self._was_discarded[lane] = self._was_discarded[lane], False
        if self.records_everything and not was_discarded and not snapshot:
            return None
        return begin_json(None, None, Origin.AUTORESET, self.schedules[lane].episode_id, snapshot=snapshot)

    def add_up(self, step: VectorStep) -> None:
        """Count a step in the episodes that ``keep`` will be asked about."""
        for lane in step.stepped:
            if lane in self._tallies:
                final = step.finals.get(lane)
                info = lane_info(step.rows.infos, lane, len(self.is_over)) if final is None else final[1]
                self._tallies[lane].add(step.rewards[lane], step.terminations[lane], step.truncations[lane], info)

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
        self._was_discarded[lanes] = True
        self.can_discard[lanes] = self.is_recording[lanes] = False
        for lane in lanes:
            self._tallies.pop(lane, None)

    def lose_track(self) -> None:
        """Record nothing more before the next reset: the environments are ahead of their recording."""
        self.is_recording[:] = self.can_discard[:] = False
        self._tallies.clear()

"""The steps of some episodes as aligned columns, without the rows from which no step was taken."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Node
from gym_h5record.format.schema import Schema
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.reading.row_batches import map_leaves, read_only
from gym_h5record.reading.step_columns import StepColumn, StepDicts
from gym_h5record.reading.step_leaves import LeafSource
from gym_h5record.reading.step_spans import StepSpans
from gym_h5record.reading.tables import Tabular

__all__ = ["Steps"]


class Steps(Tabular):
    """The steps of a recording, or of some of its episodes: every column has one value per step.

    ``observations[i]`` is the observation before step i, ``next_observations[i]`` the one that it led to. ``frames``,
    ``infos`` and ``times`` belong to ``observations``: the info that a step returned is that of the next step, and for
    the last step of an episode it is ``episode.infos[-1]``.

    Args:
        decoder: Reads values.
        index: The episodes of the recording.
        spans: The episodes of these steps.
    """

    def __init__(self, decoder: Decoder, index: EpisodeIndex, spans: StepSpans) -> None:
        self._decoder = decoder
        self._storage = index.storage
        self._num_rows = index.address_stop
        self._spans = spans

    def __len__(self) -> int:
        return self._spans.num_steps

    def __repr__(self) -> str:
        return f"<Steps: {len(self)}>"

    # The columns ----------------------------------------------------------------------------------

    @cached_property
    def observations(self) -> StepColumn[Any, Any]:
        """The observation before each step."""
        return self._column(self._schema.observation)

    @cached_property
    def next_observations(self) -> StepColumn[Any, Any]:
        """The observation that each step led to; of the last step of an episode the final one."""
        return self._column(self._schema.observation, offset=1)

    @cached_property
    def frames(self) -> StepColumn[Any, Any] | None:
        """The frame before each step; None if the recording has none."""
        schema = self._schema
        node = schema.observation if schema.linked_frames else schema.frame
        return None if node is None else self._column(node)

    @cached_property
    def infos(self) -> StepDicts | None:
        """The info that came with the observation before each step; None if infos were not recorded."""
        return None if self._schema.infos is None else self._dicts(fmt.INFOS)

    @cached_property
    def extras(self) -> StepDicts | None:
        """What the agent added to each step; None in a file without ``/extras``."""
        return None if self._schema.extras is None else self._dicts(fmt.EXTRAS)

    @cached_property
    def actions(self) -> StepColumn[Any, Any]:
        """The actions."""
        return self._column(self._schema.action)

    @cached_property
    def rewards(self) -> StepColumn[Any, np.ndarray]:
        """The rewards."""
        return self._column(self._schema.node(fmt.REWARDS))

    @cached_property
    def terminations(self) -> StepColumn[Any, np.ndarray]:
        """``terminated`` of the steps."""
        return self._column(self._schema.node(fmt.TERMINATIONS))

    @cached_property
    def truncations(self) -> StepColumn[Any, np.ndarray]:
        """``truncated`` of the steps."""
        return self._column(self._schema.node(fmt.TRUNCATIONS))

    @cached_property
    def dones(self) -> np.ndarray:
        """Whether each step ended its episode, terminated or truncated, ``(steps,)`` bool."""
        return read_only(self._items(fmt.DONES, self._spans.rows(self._all)))

    @cached_property
    def times(self) -> np.ndarray | None:
        """When the observation before each step came, ``(steps,)`` float64 in seconds; None without times."""
        return read_only(self._items(fmt.TIMES, self._spans.rows(self._all)) / 1e9) if self._schema.times else None

    @cached_property
    def episodes(self) -> np.ndarray:
        """The number of the episode of each step, ``(steps,)`` int64."""
        return read_only(self._spans.episodes(self._all))

    @cached_property
    def steps(self) -> np.ndarray:
        """The number of each step within its episode, from 0, ``(steps,)`` int64."""
        return read_only(self._spans.steps_in_episode(self._all))

    # Batches --------------------------------------------------------------------------------------

    def batch(self, start: int, stop: int) -> dict[str, Any]:
        """Steps ``start`` to ``stop`` as a dict of batches, by the names of the columns.

        The observations are read once for ``observations`` and ``next_observations``.
        """
        schema, take = self._schema, self._decoder.take
        steps = np.arange(start, stop)
        rows = self._spans.rows(steps)
        needed = np.union1d(rows, rows + 1)
        observations = take(schema.observation, needed)
        return {
            "observations": _picked(observations, np.searchsorted(needed, rows)),
            "actions": take(schema.action, rows),
            "rewards": take(schema.node(fmt.REWARDS), rows),
            "next_observations": _picked(observations, np.searchsorted(needed, rows + 1)),
            "terminations": take(schema.node(fmt.TERMINATIONS), rows),
            "truncations": take(schema.node(fmt.TRUNCATIONS), rows),
            "dones": self._items(fmt.DONES, rows),
            "episodes": self._spans.episodes(steps),
            "steps": self._spans.steps_in_episode(steps),
        }

    # How they are read ----------------------------------------------------------------------------

    @property
    def _schema(self) -> Schema:
        return self._decoder.schema

    @property
    def _leaf_source(self) -> LeafSource:
        return LeafSource(self._decoder, self._storage, self._spans)

    @property
    def _all(self) -> np.ndarray:
        return np.arange(len(self))

    def _column(self, node: Node, offset: int = 0) -> StepColumn[Any, Any]:
        return StepColumn(self._decoder, node, self._num_rows, self._spans, offset)

    def _dicts(self, group: str) -> StepDicts:
        return StepDicts(self._decoder, group, self._num_rows, self._spans)

    def _items(self, name: str, rows: np.ndarray) -> np.ndarray:
        return self._storage.take(name, rows)


def _picked(batch: Any, positions: np.ndarray) -> Any:
    """The rows of a batch at some positions. No two of them share memory, so that a caller may change each."""

    def picked(leaf: Any) -> Any:
        return [deepcopy(leaf[each]) for each in positions.tolist()] if isinstance(leaf, list) else leaf[positions]

    return map_leaves(batch, picked)

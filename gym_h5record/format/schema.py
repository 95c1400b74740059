"""The schema of a recording: which HDF5 datasets it has, and what they hold.

An observation is a tree of nodes (``gym_h5record.format.nodes``), and so is an
action. A schema has both trees, the frame, the reward, the columns of infos and
extras, and the datasets that every recording has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.format import names as fmt
from gym_h5record.format.names import TypeCode
from gym_h5record.format.nodes import Array, Field, Node, Scalar, Stack, Text

__all__ = ["NUMBER_REWARD", "KeyColumn", "Schema", "all_fields"]

_FLAGS = (Scalar(fmt.TERMINATIONS, np.dtype(np.bool_)), Scalar(fmt.TRUNCATIONS, np.dtype(np.bool_)))
_TIMES = Field(fmt.TIMES, np.dtype(np.int64))
NUMBER_REWARD = Scalar(fmt.REWARDS, np.dtype(np.float64))
"""The node of rewards that are single numbers."""


@dataclass(frozen=True)
class KeyColumn:
    """A key of infos or extras that has a column of its own."""

    key: str
    node: Array | Scalar


@dataclass(frozen=True)
class Schema:
    """All columns of a recording.

    Attributes:
        observation: The tree of an observation.
        action: The tree of an action.
        frame: The node of a rendered picture, None if pictures are not stored.
        infos: The info keys with columns of their own, None if infos are not recorded.
        linked_frames: Whether ``/frames`` is another name of ``/observations``.
        reward: The node of a reward: a number, or an array of several.
        extras: The keys of extras with columns of their own, None in a recording without ``/extras``.
        times: Whether there is a time per row.
        num_envs: Lanes of a vector recording; None in a recording of a single environment, which has no lane axis.
    """

    observation: Node
    action: Node
    frame: Node | None
    infos: tuple[KeyColumn, ...] | None
    linked_frames: bool = False
    reward: Array | Scalar = NUMBER_REWARD
    extras: tuple[KeyColumn, ...] | None = None
    times: bool = False
    num_envs: int | None = None

    @cached_property
    def coded(self) -> tuple[Node, ...]:
        """The nodes that have a column of ``/types``, in its order; those of the step come first."""
        frame = () if self.frame is None else self.frame.walk()
        infos = (column.node for column in self.infos or ())
        return (*self._coded_of_step, *self.observation.walk(), *frame, *infos)

    @property
    def return_shape(self) -> tuple[int, ...]:
        """The shape of a reward, and so of a return: ``()`` for a number."""
        return self.reward.shape if isinstance(self.reward, Array) else ()

    def reward_terms(self, rewards: np.ndarray, codes: Callable[[], np.ndarray]) -> np.ndarray:
        """What rewards add to their total: of an exception in a column of integers, which holds no NaN, NaN.

        Args:
            rewards: Rows of ``/rewards``, ``(n, *shape)``.
            codes: Gives the same rows of ``/types``, ``(n, K)``. It is called for integers only.

        Returns:
            ``(n, *shape)``, floats.
        """
        if rewards.dtype.kind == "f":
            return rewards
        terms = rewards.astype(np.float64)
        terms[codes()[:, self.code_index[fmt.REWARDS]] == TypeCode.EXCEPTION] = np.nan
        return terms

    @cached_property
    def code_index(self) -> dict[str, int]:
        """Column of ``/types`` by the name of the node."""
        return {node.name: index for index, node in enumerate(self.coded)}

    def node(self, name: str) -> Node:
        """The node of this name that has a column of ``/types``."""
        return self.coded[self.code_index[name]]

    @cached_property
    def num_step_codes(self) -> int:
        """How many columns of ``/types`` belong to the step taken from a row; they are the first ones."""
        return len(self._coded_of_step)

    @property
    def _coded_of_step(self) -> tuple[Node, ...]:
        extras = (column.node for column in self.extras or ())
        return (*self.action.walk(), self.reward, *_FLAGS, *extras)

    @cached_property
    def ring_fields(self) -> tuple[Field, ...]:
        """Fields with one item of fixed size per row."""
        coded = [field for node in self.coded if isinstance(node, (Array, Scalar)) for field in node.fields()]
        coded += [node.newest for node in self.coded if isinstance(node, Stack)]
        return self._with_lanes((*coded, _TIMES) if self.times else coded)

    @cached_property
    def ragged_fields(self) -> tuple[Field, ...]:
        """Fields of values of varying size, parents before their children."""
        ring = {field.name for field in self.ring_fields}
        return tuple(field for field in (*self.step_fields, *self.row_fields) if field.name not in ring)

    @cached_property
    def step_fields(self) -> tuple[Field, ...]:
        """Fields of the step taken from a row: padding in the last row of an episode."""
        extras = () if self.extras is None else (*(column.node for column in self.extras), Text(fmt.EXTRAS_JSON))
        return self._with_lanes(
            field for node in (self.action, self.reward, *_FLAGS, *extras) for field in node.fields()
        )

    @cached_property
    def row_fields(self) -> tuple[Field, ...]:
        """Fields of the observation, frame, info and time of a row."""
        frame = () if self.frame is None else (self.frame,)
        infos = () if self.infos is None else (*(column.node for column in self.infos), Text(fmt.INFOS_JSON))
        fields = [field for node in (self.observation, *frame, *infos) for field in node.fields()]
        return self._with_lanes((*fields, _TIMES) if self.times else fields)

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """All fields of values: those of steps, those of rows, and the exceptions."""
        return (*self.step_fields, *self.row_fields, *self._with_lanes(Text(fmt.EXCEPTIONS).fields()))

    @cached_property
    def derived_fields(self) -> tuple[Field, ...]:
        """Fields that a writer makes of the values: ``/dones``, and the type codes."""
        types = Field(fmt.TYPES, np.dtype(np.uint8), (len(self.coded),))
        return self._with_lanes((Field(fmt.DONES, np.dtype(np.bool_)), types))

    def _with_lanes(self, fields: Iterable[Field]) -> tuple[Field, ...]:
        return tuple(fields if self.num_envs is None else (replace(each, num_lanes=self.num_envs) for each in fields))


def all_fields(schema: Schema) -> Iterator[Field]:
    """Every dataset of a recording except ``/commit`` and links: first of its schema, last of ``/episodes``."""
    yield from schema.fields
    yield from schema.derived_fields
    if schema.num_envs is not None:
        yield Field(fmt.EPISODE_ENVS, np.dtype(np.int64))
    for name, dtype in fmt.EPISODE_COLUMNS.items():
        yield Field(f"{fmt.EPISODES}/{name}", dtype, schema.return_shape if name == "returns" else ())
    yield from Text(fmt.EPISODE_JSON).fields()

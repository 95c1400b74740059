"""What encoders write to: the slots of a journal, of one lane if there are several."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gym_h5record.format.nodes import Node
from gym_h5record.format.schema import Schema
from gym_h5record.values.exact import base_value
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_rows import CODES

__all__ = ["Ring"]


@dataclass(frozen=True)
class Ring:
    """What encoders write to.

    Attributes:
        journal: The journal.
        schema: The columns.
        note_foreign: Called with a node's name, a value, and the value of another type that is stored for it: a NumPy
            array for an array of another library, a value of Python's own class for one of a derived class.
        note_inexact: Called with a node's name and an object in JSON text that does not come back as it was.
        stacks: The encoders that look at the row before, by name of their node. A larger journal gets the same ones.
        lane: The lane that is written to, None in a recording without lanes.
    """

    journal: Journal
    schema: Schema
    note_foreign: Callable[[str, Any, Any], None]
    note_inexact: Callable[[str, object], None]
    stacks: dict[str, Any] = field(default_factory=dict)
    lane: int | None = None

    def column(self, name: str) -> np.ndarray | None:
        """The slots of a field, ``(capacity_rows, *shape)``; None for one without elements."""
        column = self.journal.columns.get(name)
        return column if column is None or self.lane is None else column[:, self.lane]

    def plain(self, name: str, value: Any, *kinds: type) -> Any:
        """The value as one of these classes if its class is derived from one, else the value itself."""
        base = base_value(value)
        if type(base) not in kinds:
            return value
        self.note_foreign(name, value, base)
        return base

    def codes(self, node: Node) -> memoryview:
        """The codes of a node, a byte for each slot."""
        codes, index = self.journal.columns[CODES], self.schema.code_index[node.name]
        if self.lane is not None:
            index += self.lane * codes.shape[2]
        return codes.data.cast("B")[index :: math.prod(codes.shape[1:])]

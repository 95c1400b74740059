"""What a tick records of the rows of all lanes."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["BatchRows"]


class BatchRows(NamedTuple):
    """Batches with an entry for every lane.

    Attributes:
        observations: The observations, as Gymnasium batches them.
        infos: The infos, as Gymnasium's vector environments give them.
        frames: A picture of each lane, None if there are none.
    """

    observations: Any
    infos: Any
    frames: Any = None

"""Whether episodes were a success, as the info of their last step says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.reading.step_leaves import LeafSource, StepLeaves

__all__ = ["SUCCESS_KEYS", "success_of_rows"]

SUCCESS_KEYS = ("is_success", "success")
"""Info keys that say it: Gymnasium-Robotics has the first one, Meta-World the second. If both are there, the first one
counts."""


def success_of_rows(source: LeafSource, leaves: StepLeaves, rows: np.ndarray) -> np.ndarray:
    """Whether the infos of these rows say "success": 1 or 0, NaN where they do not say, ``(n,)`` float64.

    Args:
        source: What the infos are read from.
        leaves: The leaves of the same source.
        rows: The last row of each episode, ``(n,)`` int64.
    """
    found = np.full(len(rows), np.nan)
    for key in reversed(SUCCESS_KEYS):
        leaf = next((each for each in leaves.leaves if (each.group, each.key) == (fmt.INFOS, key)), None)
        if leaf is not None and not leaf.ancestors and leaf.num_elements == 1:
            known, _ = leaves.known(leaf, rows, leaves.codes(rows))
            found[known] = leaves.values(leaf, rows[known]).reshape(-1) != 0
    for position in np.flatnonzero(leaves.has_text(fmt.INFOS, rows)).tolist():  # the text may have the other key
        found[position] = _success(source.decoder.keyed(fmt.INFOS, int(rows[position])))
    return found


def _success(info: Any) -> float:
    """What one info says. A value that is no single number does not say."""
    if type(info) is not dict:
        return math.nan
    value = next((info[key] for key in SUCCESS_KEYS if key in info), None)
    if isinstance(value, (bool, int, float, np.bool_, np.number)) or (
        isinstance(value, np.ndarray) and value.size == 1
    ):
        return float(bool(value))
    return math.nan

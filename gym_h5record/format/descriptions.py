"""What every dataset of a recording says about itself: a description, a unit, the names of its axes.

They are for people and for other programs, which see them without knowing the format. This package does not read them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Field

__all__ = ["Description", "describe"]

_PICTURE_AXES = ("height", "width", "channel")
_LEAST_PICTURE = 16
"""Observations of fewer pixels in a direction, without colours, are rather boards or maps."""

_TEXTS = {  # short: together with the labels they take a kilobyte, longer ones took five
    fmt.OBSERVATIONS: "Observation of each row",
    fmt.ACTIONS: "Action of the step from each row",
    fmt.REWARDS: "Reward of the step from each row",
    fmt.TERMINATIONS: "Whether the step ended in a final state",
    fmt.TRUNCATIONS: "Whether the step was cut short",
    fmt.DONES: "Terminated or truncated",
    fmt.FRAMES: "Picture of each row",
    fmt.INFOS: "Info of each row",
    fmt.INFOS_JSON: "Infos without a dataset, as JSON",
    fmt.EXTRAS: "Added by the agent to each step",
    fmt.EXTRAS_JSON: "Extras without a dataset, as JSON",
    fmt.TIMES: "Time since the recording began",
    fmt.TYPES: "Python types of the values, as codes",
    fmt.EXCEPTIONS: "Values that fit no dataset, as JSON",
    f"{fmt.EPISODES}/starts": "First row",
    f"{fmt.EPISODES}/lengths": "Number of steps",
    f"{fmt.EPISODES}/returns": "Sum of the rewards",
    f"{fmt.EPISODES}/seeds": "Seed of the reset, -1 for none",
    f"{fmt.EPISODES}/ids": "Number of resets before",
    f"{fmt.EPISODES}/terminated": "Whether it ended in a final state",
    f"{fmt.EPISODES}/truncated": "Whether it was cut short",
    f"{fmt.EPISODES}/complete": "Terminated or truncated",
    f"{fmt.EPISODES}/origins": "Begun by a reset (0, 3), midway (1), after the end (2)",
    fmt.EPISODE_JSON: "Options and snapshot of the reset, as JSON",
    fmt.COMMIT: "Number of valid rows, of valid episodes",
    fmt.POSITIONS: "Numbers of the writer",
    fmt.MASKS: "Numbers of the episodes of a named subset",
}
_UNITS = {fmt.TIMES: "ns"}


@dataclass(frozen=True)
class Description:
    """What a dataset says about itself.

    Attributes:
        text: A short description.
        unit: The unit of its numbers, "" if they have none.
        labels: Names of its axes, "" for an axis without one.
        picture: Whether its items are pictures: "truecolor", "grayscale", or "" if they are none.
    """

    text: str = ""
    unit: str = ""
    labels: tuple[str, ...] = ()
    picture: str = ""


def describe(field: Field) -> Description:
    """The description of the dataset of a field.

    Example:
        >>> describe(Field("times", np.dtype(np.int64))).labels
        ('row',)
    """
    if field.name.startswith(f"{fmt.CHECKSUMS}/"):
        return Description("Number of items, CRC-32", labels=("chunk", *_lane_axis(field), ""))
    picture = _picture(field)
    axes: tuple[str, ...] = ("",) * len(field.shape)
    if picture:
        axes = _PICTURE_AXES[: len(field.shape)]
    elif field.name == fmt.TYPES:
        axes = ("value",)
    is_list = field.name in (fmt.COMMIT, fmt.POSITIONS) or field.name.startswith(f"{fmt.MASKS}/")
    first = "number" if is_list else field.axis
    return Description(_text(field), _UNITS.get(field.name, ""), (first, *_lane_axis(field), *axes), picture)


def _lane_axis(field: Field) -> tuple[str, ...]:
    return () if field.num_lanes is None else ("lane",)


def _text(field: Field) -> str:
    """The text of the nearest name above a field that has one, and what kind of part of it the field is."""
    name = field.name
    while name not in _TEXTS and "/" in name:
        name = name.rpartition("/")[0]
    text = _TEXTS.get(name, "")
    if field.is_ends:
        return f"{text}: ends"
    return f"{text}: items" if field.parent is not None else text


def _picture(field: Field) -> str:
    shape = field.shape
    if field.dtype != np.uint8 or field.name.partition("/")[0] not in (fmt.FRAMES, fmt.OBSERVATIONS):
        return ""
    if len(shape) == 3 and shape[2] == 3:
        return "truecolor"
    is_map = not field.name.startswith(fmt.FRAMES) and len(shape) == 2 and min(shape) < _LEAST_PICTURE
    return "grayscale" if len(shape) == 2 and not is_map else ""

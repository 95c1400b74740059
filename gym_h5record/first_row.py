"""The first row of a recording, and the columns that follow from it.

Columns are fixed when the first step has shown what steps look like
(``docs/decisions/0001``). Until then the first row waits here, as a copy.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import Space

from gym_h5record import format as fmt
from gym_h5record.errors import SchemaMismatchError, UnsupportedSpaceError
from gym_h5record.limits import MAX_ITEM_BYTES
from gym_h5record.schema import MISSING, Array, Node, Schema, plan_infos, plan_space, plan_value
from gym_h5record.spaces import space_from_json
from gym_h5record.tagged import parse_json

__all__ = ["FirstRow", "array_bytes", "check_same", "plan_columns"]


@dataclass(frozen=True)
class FirstRow:
    """The first row of a recording, until a step has followed it."""

    observation: Any
    info: Any
    frame: Any
    begin: dict[str, Any]


def plan_columns(
    first: FirstRow,
    spaces: tuple[Space[Any], Space[Any]],
    frames: str,
    step: tuple[Any, Any] | None,
    *,
    infos: bool,
    warn: Callable[[str], None],
) -> Schema:
    """Plan the columns of a recording.

    Args:
        first: The first row.
        spaces: The observation and the action space.
        frames: Kind of the frame source.
        step: Action and info of the first step, None if there was none.
        infos: Whether infos are recorded.
        warn: Told of values outside their space.
    """
    action, info = (MISSING, None) if step is None else step

    def plan(what: str, space: Space[Any], name: str, value: Any) -> Node:
        if value is not MISSING and not _contains(space, value):
            warn(f"the first {what} is not in the declared space {space}; it is recorded as it is.")
        return plan_space(space, name, value)

    observation = plan("observation", spaces[0], fmt.OBSERVATIONS, first.observation)
    schema = Schema(
        observation=observation,
        action=plan("action", spaces[1], fmt.ACTIONS, action),
        frame=plan_value(fmt.FRAMES, first.frame) if frames == "render" else None,
        infos=plan_infos([each for each in (first.info, info) if type(each) is dict]) if infos else None,
        linked_frames=frames == "observation" and isinstance(observation, Array) and any(observation.fields()),
    )
    for field in schema.fields:
        if field.item_bytes > MAX_ITEM_BYTES:
            raise UnsupportedSpaceError(
                f"/{field.name} would have items of {field.item_bytes} bytes; up to {MAX_ITEM_BYTES} can be recorded."
            )
    return schema


def check_same(
    schema: Schema, metadata: Mapping[str, Any], ours: Mapping[str, str], path: Path, *, infos: bool
) -> None:
    """Make sure that what we record goes with a recording that is there.

    Args:
        schema: The columns of the recording.
        metadata: Its metadata.
        ours: What our metadata would be.
        path: The recording.
        infos: Whether we record infos.

    Raises:
        SchemaMismatchError: If it does not; the message names every difference.
    """
    differences = []
    for name in ("observation_space", "action_space"):
        our_space = space_from_json(json.loads(ours[name]))
        try:
            its_space = space_from_json(parse_json(metadata[name]))
        except (KeyError, TypeError, ValueError) as error:
            differences.append(f"its {name} cannot be read: {error!s:.200}")
            continue
        if its_space != our_space:
            differences.append(f"its {name} is {its_space!s:.1000}, this environment's is {our_space!s:.1000}")
    its_frames = metadata.get("frames")
    if its_frames != ours["frames"]:
        differences.append(f"its frames are {its_frames!r:.80}, here they would be {ours['frames']!r}")
    if (schema.infos is not None) != infos:
        differences.append(f"it is recorded with infos={schema.infos is not None}, here infos={infos}")
    if differences:
        raise SchemaMismatchError(f"cannot append to {path}: {'; '.join(differences)}. Record to another path.")


def array_bytes(value: Any) -> int:
    """Bytes of the arrays in a value, to size the journal."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(map(array_bytes, value.values()))
    if isinstance(value, (tuple, list)):
        return sum(map(array_bytes, value))
    return 8


def _contains(space: Space[Any], value: Any) -> bool:
    """Whether a value is in its space, as far as the space can tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium's own remarks; ours says what happens
        try:
            return space.contains(value)
        except Exception:  # noqa: BLE001  # some fail on their own samples: nothing to warn of
            return True

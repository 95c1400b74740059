"""Checks whether a recorder may append to an existing recording."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gym_h5record.errors import SchemaMismatchError
from gym_h5record.format.metadata import read_attribute
from gym_h5record.format.schema import Schema

__all__ = ["check_same"]


def check_same(
    schema: Schema, metadata: Mapping[str, Any], ours: Mapping[str, str], path: Path, *, infos: bool
) -> None:
    """Check that new rows would have the columns of an existing recording; the error names every difference.

    Args:
        schema: The columns of the existing recording.
        metadata: Its metadata.
        ours: The metadata that this recorder would write.
        path: The existing recording, for the message.
        infos: Whether this recorder records infos.
    """
    differences = []
    for name in ("observation_space", "action_space"):
        our_space = read_attribute(name, ours[name])
        try:
            its_space = read_attribute(name, metadata.get(name))
        except (TypeError, ValueError) as error:
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

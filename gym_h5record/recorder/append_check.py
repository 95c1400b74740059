"""Checks whether a recorder may append to an existing recording."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from gym_h5record.errors import SchemaMismatchError
from gym_h5record.format.metadata import read_attribute
from gym_h5record.format.nodes import DictOf
from gym_h5record.format.schema import Schema
from gym_h5record.values.space_json import same_space

__all__ = ["check_same"]


def check_same(
    schema: Schema,
    metadata: Mapping[str, Any],
    ours: Mapping[str, str],
    path: Path,
    *,
    infos: bool,
    times: bool,
    cameras: Collection[str] = (),
) -> None:
    """Check that new rows would have the columns of an existing recording; the error names every difference.

    Args:
        schema: The columns of the existing recording.
        metadata: Its metadata.
        ours: The metadata that this recorder would write.
        path: The existing recording, for the message.
        infos: Whether this recorder records infos.
        times: Whether this recorder records times.
        cameras: Names of this recorder's cameras.
    """
    differences = []
    for name in ("observation_space", "action_space"):
        our_space = read_attribute(name, ours[name])
        try:
            its_space = read_attribute(name, metadata.get(name))
        except (TypeError, ValueError) as error:
            differences.append(f"its {name} cannot be read: {error!s:.200}")
            continue
        if not same_space(its_space, our_space):
            differences.append(f"its {name} is {its_space!s:.1000}, this environment's is {our_space!s:.1000}")
    differences += _frame_differences(schema, metadata, ours, cameras)
    if (schema.infos is not None) != infos:
        differences.append(f"it is recorded with infos={schema.infos is not None}, here infos={infos}")
    if schema.times != times:
        differences.append(f"it is recorded with times={schema.times}, here times={times}")
    its_vector, our_vector = (read_attribute("vector", each.get("vector", "{}")) for each in (metadata, ours))
    for name in ("num_envs", "lanes", "autoreset_mode"):
        if its_vector.get(name) != our_vector.get(name):
            differences.append(f"its {name} is {its_vector.get(name)!r:.80}, here it is {our_vector.get(name)!r:.80}")
    if schema.extras is None:
        differences.append("it was made by a version without extras")
    if differences:
        raise SchemaMismatchError(f"cannot append to {path}: {'; '.join(differences)}. Record to another path.")


def _frame_differences(
    schema: Schema, metadata: Mapping[str, Any], ours: Mapping[str, str], cameras: Collection[str]
) -> Iterator[str]:
    kind, our_kind = metadata.get("frames"), ours["frames"]
    if kind != our_kind:
        yield f"its frames are {kind!r:.80}, here they would be {our_kind!r}"
    elif kind == "cameras":
        names = [key for key, _ in schema.frame.items] if isinstance(schema.frame, DictOf) else []
        if {*names} != {*cameras}:
            yield f"its cameras are {names!r:.300}, here they are {[*cameras]!r:.300}"
    elif kind == "render":
        mode, our_mode = str(metadata.get("render_mode") or ""), ours.get("render_mode", "")
        if mode and our_mode and mode.removesuffix("_list") != our_mode.removesuffix("_list"):
            yield f"its frames have the render_mode {mode!r:.80}, here they would have {our_mode!r:.80}"

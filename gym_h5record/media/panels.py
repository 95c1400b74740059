"""Which parts of a recording are shown as pictures: a panel for each camera, or for each observation like a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from gym_h5record.display import printable
from gym_h5record.errors import OptionError, RenderModeError
from gym_h5record.format import names as fmt
from gym_h5record.format import nodes
from gym_h5record.format.schema import Schema
from gym_h5record.reading.thumbnails import MIN_SIDE_PX, picture_kind

__all__ = ["Kind", "Panel", "choose_panels"]

MAX_PANELS = 16
"""Panels that are shown if none are named."""


class Kind(Enum):
    """How the values of a panel become a picture.

    Attributes:
        PIXELS: Bytes, shown as they are.
        NUMBERS: Other numbers, such as depth: black is the lowest of all frames that are shown, white the highest.
        TEXT: Text, drawn character by character.
    """

    PIXELS = "pixels"
    NUMBERS = "numbers"
    TEXT = "text"


@dataclass(frozen=True)
class Panel:
    """A part of the frames or the observations that is shown.

    Attributes:
        name: The name of the camera, such as ``"front"`` or ``"wrist/depth"``; the path of an observation, such as
            ``"observations/pixels"``; ``"frames"`` for frames that are not of cameras.
        node: Its values.
        kind: How they become pictures.
        min_side_px: The least height and width of its pictures.
    """

    name: str
    node: nodes.Node
    kind: Kind
    min_side_px: int = 1


def choose_panels(schema: Schema, cameras: Sequence[str] | None = None) -> list[Panel]:
    """The panels of a recording: its frames, or else those observations that are like pictures.

    Args:
        schema: The columns of the recording.
        cameras: The names of the panels to show, in this order; None for all of the frames, or of the observations.

    Raises:
        OptionError: If there is no panel of one of these names.
        RenderModeError: If the recording has nothing that can be shown.
    """
    frames = [] if schema.frame is None else list(_frame_panels(schema.frame))
    observations = list(_observation_panels(schema.observation))
    if schema.linked_frames:
        frames = [Panel(fmt.FRAMES, each.node, each.kind) for each in observations]
    if cameras is not None:
        return _named([*frames, *observations], cameras)
    pictures = [each for each in observations if each.kind is not Kind.TEXT]
    found = (frames or pictures)[:MAX_PANELS]
    if not found:
        raise RenderModeError(
            "the recording has no frames, and no observations that are like pictures. For pictures, record an "
            'environment that is made with render_mode="rgb_array", or give frames={"name": camera}.'
        )
    return found


def _named(panels: list[Panel], cameras: Sequence[str]) -> list[Panel]:
    if isinstance(cameras, str) or not cameras:
        raise OptionError(f"cameras: expected a list of names, got {cameras!r:.80}")
    by_name = {panel.name: panel for panel in reversed(panels)}  # of two with one name, the frame
    for name in cameras:
        if name not in by_name:
            known = ", ".join(printable(each) for each in dict.fromkeys(panel.name for panel in panels)) or "nothing"
            raise OptionError(f"cameras: the recording shows {known:.500}, and no {name!r:.80}")
    return [by_name[name] for name in cameras]


def _frame_panels(frame: nodes.Node) -> Iterator[Panel]:
    for path, node in _leaves(frame, ()):
        kind = _kind(node, 1)
        if kind is not None:
            yield Panel("/".join(path) or fmt.FRAMES, node, kind)


def _observation_panels(observation: nodes.Node) -> Iterator[Panel]:
    for path, node in _leaves(observation, (fmt.OBSERVATIONS,)):
        kind = _kind(node, MIN_SIDE_PX)
        if kind is not None:
            yield Panel("/".join(path), node, kind, MIN_SIDE_PX)


def _leaves(node: nodes.Node, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], nodes.Node]]:
    """The leaves of a tree with their paths: keys as they were given, and the names of the parts of tuples."""
    waiting = [(path, node)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, nodes.DictOf):
            waiting += [((*path, str(key)), child) for key, child in reversed(node.items)]
        elif isinstance(node, nodes.TupleOf):
            waiting += [((*path, child.name.rpartition("/")[2]), child) for child in reversed(node.items)]
        else:
            yield path, node


def _kind(node: nodes.Node, min_side_px: int) -> Kind | None:
    if isinstance(node, nodes.Text):
        return Kind.TEXT
    if not isinstance(node, (nodes.Array, nodes.Stack)) or picture_kind(node.shape, min_side_px) is None:
        return None
    if node.dtype == np.uint8:
        return Kind.PIXELS
    return Kind.NUMBERS if node.dtype.kind in "biuf" else None

"""Which parts of a recording are shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.errors import OptionError, RenderModeError
from gym_h5record.format import nodes
from gym_h5record.format.frame_planning import plan_frame
from gym_h5record.format.schema import Schema
from gym_h5record.media.panels import MAX_PANELS, Kind, choose_panels
from tests.writing import make_schema

RGB = np.zeros((4, 6, 3), np.uint8)
DEPTH = np.zeros((4, 6), np.float32)


def box(*shape: int, dtype: Any = np.uint8) -> spaces.Box:
    return spaces.Box(0, 1, shape, dtype)


def with_frame(frame: Any, space: spaces.Space[Any] | None = None) -> Schema:
    return replace(
        make_schema(space or box(84, 84)), frame=plan_frame("cameras" if isinstance(frame, dict) else "render", frame)
    )


def shown(schema: Schema, cameras: Any = None) -> list[tuple[str, str]]:
    return [(panel.name, panel.kind.value) for panel in choose_panels(schema, cameras)]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (RGB, [("frames", "pixels")]),
        (DEPTH, [("frames", "numbers")]),
        ("text", [("frames", "text")]),
        ((RGB, DEPTH), [("rgb", "pixels"), ("depth", "numbers")]),
        (
            {"map/text": "#", "front": RGB, "wrist": (RGB, DEPTH), "odd": np.zeros(5)},
            [("map/text", "text"), ("front", "pixels"), ("wrist/rgb", "pixels"), ("wrist/depth", "numbers")],
        ),
    ],
    ids=["rgb", "depth", "text", "rgbd", "cameras"],
)
def test_every_frame_that_can_be_shown_has_a_panel(frame: Any, expected: list[tuple[str, str]]) -> None:
    assert shown(with_frame(frame)) == expected


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (box(84, 84), [("observations", "pixels")]),
        (box(4, 84, 84), [("observations", "pixels")]),
        (box(3, 96, 96), [("observations", "pixels")]),
        (box(4, 84, 84, dtype=np.float32), [("observations", "numbers")]),
        (
            spaces.Dict(depth=box(20, 20, 1, dtype=np.float32), pixels=box(20, 20, 3), pos=box(3, dtype=np.float32)),
            [("observations/depth", "numbers"), ("observations/pixels", "pixels")],
        ),
    ],
    ids=["grey", "stack", "channels first", "scaled stack", "dict"],
)
def test_without_frames_observations_like_pictures_have_panels(
    space: spaces.Space[Any], expected: list[tuple[str, str]]
) -> None:
    assert shown(make_schema(space)) == expected


@pytest.mark.parametrize("space", [box(7, 7, 3), box(4, dtype=np.float32), spaces.Discrete(3), spaces.Text(9)], ids=str)
def test_a_recording_without_anything_to_show_is_refused(space: spaces.Space[Any]) -> None:
    with pytest.raises(RenderModeError, match='made with render_mode="rgb_array", or give frames='):
        choose_panels(make_schema(space))


def test_cameras_are_chosen_by_name_in_their_order() -> None:
    schema = with_frame({"front": RGB, "back": RGB}, spaces.Dict(pixels=box(20, 20, 3), text=spaces.Text(9)))
    names = ["observations/pixels", "back", "observations/text"]
    assert [name for name, _ in shown(schema, names)] == names


def test_a_name_that_is_no_camera_is_told_with_those_that_are() -> None:
    with pytest.raises(OptionError, match="the recording shows front, and no 'wrist'"):
        choose_panels(with_frame({"front": RGB}, spaces.Discrete(2)), ["wrist"])


@pytest.mark.parametrize("cameras", ["front", [], ()], ids=repr)
def test_cameras_are_a_list_of_names(cameras: Any) -> None:
    with pytest.raises(OptionError, match="cameras: expected a list of names"):
        choose_panels(with_frame({"front": RGB}, spaces.Discrete(2)), cameras)


def test_linked_frames_are_one_panel() -> None:
    node = nodes.Array("observations", np.dtype(np.uint8), (20, 30, 3))
    schema = Schema(node, nodes.Scalar("actions", np.dtype(np.int64)), None, (), linked_frames=True)
    assert shown(schema) == [("frames", "pixels")]
    assert shown(schema, ["observations"]) == [("observations", "pixels")]


def test_a_great_many_cameras_are_not_all_shown_unless_named() -> None:
    schema = with_frame({str(number): RGB for number in range(MAX_PANELS + 1)})
    assert len(choose_panels(schema)) == MAX_PANELS
    assert choose_panels(schema, [str(MAX_PANELS)])[0].kind is Kind.PIXELS

"""Columns of frames follow the first frame."""

import numpy as np
import pytest

from gym_h5record.format.frame_planning import FRAME_KINDS, plan_frame
from gym_h5record.format.nodes import Array, DictOf, Opaque, Text, TupleOf

U8, F4 = np.dtype(np.uint8), np.dtype(np.float32)
RGB, DEPTH = np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.float32)


class ForeignArray:
    def __array__(self, dtype=None, copy=None):
        return DEPTH.astype(dtype or np.float32)


@pytest.mark.parametrize(
    ("value", "node"),
    [
        (RGB, Array("frames", U8, (4, 5, 3))),
        (RGB[::-1, ::2], Array("frames", U8, (4, 3, 3))),
        (DEPTH, Array("frames", F4, (4, 5))),
        (ForeignArray(), Array("frames", F4, (4, 5))),
        ("A map\n", Text("frames")),
        ("", Text("frames")),
        ((RGB, DEPTH), TupleOf("frames", (Array("frames/rgb", U8, (4, 5, 3)), Array("frames/depth", F4, (4, 5))))),
    ],
    ids=["rgb", "view", "depth", "foreign", "text", "empty text", "rgbd"],
)
def test_a_picture_has_the_columns_of_its_kind(value, node):
    assert plan_frame("render", value) == node


@pytest.mark.parametrize(
    "value",
    [None, 1, 0.5, np.float32(1), [RGB], (), (RGB,), (RGB, None), (RGB, DEPTH, DEPTH), ("a", "b"), RGB.astype(object)],
    ids=repr,
)
def test_what_is_no_picture_is_opaque(value):
    assert plan_frame("render", value) == Opaque("frames")


def test_cameras_have_a_child_each_in_their_order():
    pictures = {"wrist": (RGB, DEPTH), "map/text": "#", "..": RGB, "broken": None, "nested": {"rgb": RGB}}
    assert plan_frame("cameras", pictures) == DictOf(
        "frames",
        (
            (
                "wrist",
                TupleOf(
                    "frames/wrist",
                    (Array("frames/wrist/rgb", U8, (4, 5, 3)), Array("frames/wrist/depth", F4, (4, 5))),
                ),
            ),
            ("map/text", Text("frames/map%2Ftext")),
            ("..", Array("frames/%2E%2E", U8, (4, 5, 3))),
            ("broken", Opaque("frames/broken")),
            ("nested", Opaque("frames/nested")),
        ),
    )


def test_only_pictures_that_are_taken_have_columns():
    assert FRAME_KINDS == ("render", "cameras")
    assert [plan_frame(kind, RGB) for kind in ("observation", "none")] == [None, None]

"""Small pictures: which arrays are pictures, and PNG files of bounded size."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image

from gym_h5record.format import nodes
from gym_h5record.format.schema import Schema
from gym_h5record.reading.thumbnails import (
    MAX_PNG_BYTES,
    MAX_SIDE_PX,
    newest_picture,
    picture_in,
    picture_kind,
    picture_node,
    png_thumbnail,
)
from tests.writing import make_schema

RGB = spaces.Box(0, 255, (20, 30, 3), np.uint8)


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    image.load()
    return image


# Which arrays are pictures ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((20, 30), (20, 30)),
        ((20, 30, 1), (20, 30)),
        ((20, 30, 3), (20, 30, 3)),
        ((20, 30, 4), (20, 30, 3)),
        ((1, 20, 30), (20, 30)),
        ((3, 20, 30), (20, 30, 3)),
        ((4, 20, 30), (20, 30)),
        ((4, 20, 30, 3), (20, 30, 3)),
        ((7, 7, 3), None),
        ((20, 7), None),
        ((20, 30, 0), None),
        ((0, 30, 3), None),
        ((20, 30, 5), None),
        ((30,), None),
        ((), None),
        ((2, 2, 20, 30, 3), None),
        ((4, 3, 20, 30), (20, 30, 3)),
    ],
    ids=str,
)
def test_an_array_of_bytes_is_a_picture_by_its_shape(shape: tuple[int, ...], expected: tuple[int, ...] | None) -> None:
    picture = picture_in(np.zeros(shape, np.uint8))
    assert (None if picture is None else picture.shape) == expected


@pytest.mark.parametrize("value", [np.zeros((20, 30), np.float32), "text", None, ({},), 3], ids=repr)
def test_everything_else_is_no_picture(value: Any) -> None:
    assert picture_in(value) is None


def test_of_a_stack_the_newest_frame_is_shown() -> None:
    stack = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((1, 20, 30), np.uint8)
    picture = picture_in(stack)
    assert picture is not None
    assert np.unique(picture).tolist() == [3]


def test_numbers_of_any_dtype_may_be_pictures_and_small_ones_where_that_is_said() -> None:
    depth = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert newest_picture(depth) is None
    assert newest_picture(depth, 1) is depth
    assert [picture_kind((3, 4), 1), picture_kind((3, 4)), picture_kind((0, 4), 1)] == ["grey", None, None]


def test_channels_in_front_are_put_behind() -> None:
    value = np.random.default_rng(0).integers(0, 255, (3, 20, 30), np.uint8)
    assert np.array_equal(picture_in(value), np.moveaxis(value, 0, -1))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        (make_schema(RGB), "observations"),
        (make_schema(spaces.Dict(a=spaces.Discrete(2), z=spaces.Tuple((RGB,)))), "observations/z/0"),
        (make_schema(frame=np.zeros((9, 9, 3), np.uint8)), "frames"),
        (make_schema(RGB, frame=np.zeros((2, 2, 3), np.uint8)), "observations"),
        (make_schema(), None),
    ],
    ids=["observation", "leaf", "frame", "frame too small", "none"],
)
def test_frames_are_looked_at_before_observations(schema: Schema, name: str | None) -> None:
    node = picture_node(schema)
    assert (node and node.name) == name


def test_linked_frames_are_the_observations() -> None:
    node = nodes.Array("observations", np.dtype(np.uint8), (20, 30, 3))
    schema = Schema(node, nodes.Scalar("actions", np.dtype(np.int64)), None, (), linked_frames=True)
    assert picture_node(schema) is node


# Thumbnails ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (160, 160, 3)], ids=str)
def test_a_small_picture_is_exact(shape: tuple[int, ...]) -> None:
    picture = (np.arange(np.prod(shape)) % 50).astype(np.uint8).reshape(shape)
    image = opened(png_thumbnail(picture))
    expected = picture if len(shape) == 3 else np.repeat(picture[:, :, None], 3, axis=2)
    assert np.array_equal(np.asarray(image.convert("RGB")), expected)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((210, 160, 3), (122, 160)),
        ((480, 640, 3), (160, 120)),
        ((1500, 2000), (160, 120)),
        ((8, 100_000), (160, 1)),
        ((8000, 8, 3), (1, 160)),
    ],
    ids=str,
)
def test_a_large_picture_is_scaled_down(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    image = opened(png_thumbnail(np.full(shape, 7, np.uint8)))
    assert image.size == size
    assert max(size) <= MAX_SIDE_PX
    assert image.convert("RGB").getcolors() == [(size[0] * size[1], (7, 7, 7))]


@pytest.mark.parametrize("shape", [(160, 160, 3), (160, 160), (640, 640, 3)], ids=str)
def test_noise_stays_small(shape: tuple[int, ...]) -> None:
    png = png_thumbnail(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    assert len(png) <= MAX_PNG_BYTES
    assert max(opened(png).size) == MAX_SIDE_PX

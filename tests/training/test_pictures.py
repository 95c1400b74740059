"""Crops and shifts are parts of the recorded pictures, at places that are uniform."""

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import OptionError
from gym_h5record.training import LeafForm, RandomCrop, RandomShift, Window

HEIGHT, WIDTH = 7, 9
STEPS = 60
SHAPES = [(HEIGHT, WIDTH), (HEIGHT, WIDTH, 3), (2, HEIGHT, WIDTH), (2, HEIGHT, WIDTH, 3)]


def record_pictures(path, shape, dtype=np.uint8):
    """One episode. A pixel is made of its row and its column, and the last axis counts on from there."""
    row_axis = len(shape) - (3 if shape[-1] == 3 else 2)
    grid = np.add.outer(np.arange(HEIGHT) * 16, np.arange(WIDTH))
    picture = np.broadcast_to(grid[..., None] if shape[-1] == 3 else grid, shape[row_axis:]).copy()
    if shape[-1] == 3:
        picture += np.arange(3) * 100
    pictures = np.broadcast_to(picture, (STEPS + 1, *shape)).astype(dtype)
    space = spaces.Box(0, 255, shape, dtype)
    with h5r.Writer(path, observation_space=space, action_space=spaces.Discrete(2)) as writer:
        writer.append_episode(
            observations=pictures, actions=np.zeros(STEPS, np.int64), rewards=np.zeros(STEPS), terminations=None,
            truncations=None,
        )  # fmt: skip
    return pictures[0]


def batch_of(path, transforms, window=None):
    with h5r.Recording(path) as recording:
        return recording.sampler(STEPS, window=window, transforms=transforms).batch(0)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("window", [None, Window(observations=(-1, 1))], ids=["value", "window"])
def test_a_crop_is_the_same_part_of_all_pictures_of_a_sample(tmp_path, shape, window):
    picture = record_pictures(tmp_path / "a.h5", shape)
    crop = RandomCrop(["observations", "next_observations"], (4, 5))
    batch = batch_of(tmp_path / "a.h5", [crop], window)
    row_axis = len(shape) - (3 if shape[-1] == 3 else 2)
    expected = (*shape[:row_axis], 4, 5, *shape[row_axis + 2 :])
    assert batch["observations"].shape == (STEPS, *([2] if window else []), *expected)
    assert (batch["observations"] == batch["next_observations"]).all()
    corners = set()
    for sample in batch["observations"]:
        for value in sample if window else [sample]:
            corner = int(value.reshape(-1)[0])
            row, column = divmod(corner, 16)
            part = picture[(slice(None),) * row_axis + (slice(row, row + 4), slice(column, column + 5))]
            assert (value == part).all()
        corners.add((row, column))
    assert {row for row, _ in corners} == {*range(4)}
    assert {column for _, column in corners} == {*range(5)}


def test_two_crops_are_at_different_places(tmp_path):
    record_pictures(tmp_path / "a.h5", (HEIGHT, WIDTH))
    batch = batch_of(tmp_path / "a.h5", [RandomCrop("observations", 4), RandomCrop("next_observations", 4)])
    assert (batch["observations"] != batch["next_observations"]).any(axis=(1, 2)).mean() > 0.8


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (2, HEIGHT, WIDTH), (HEIGHT, WIDTH, 3)], ids=str)
def test_a_shift_moves_the_picture_and_repeats_its_edge(tmp_path, shape):
    picture = record_pictures(tmp_path / "a.h5", shape)
    row_axis = 1 if shape[0] == 2 else 0
    batch = batch_of(tmp_path / "a.h5", [RandomShift("observations", 2)])
    assert batch["observations"].shape == (STEPS, *shape)
    assert (batch["next_observations"] == picture).all()
    moves = set()
    for value in batch["observations"]:
        matches = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if (
                value
                == picture.take(np.clip(np.arange(HEIGHT) + down, 0, HEIGHT - 1), row_axis).take(
                    np.clip(np.arange(WIDTH) + right, 0, WIDTH - 1), row_axis + 1
                )
            ).all()
        ]
        assert len(matches) == 1
        moves.update(matches)
    assert {down for down, _ in moves} == {right for _, right in moves} == {*range(-2, 3)}


def test_axes_say_where_the_rows_and_columns_are():
    forms = {"observations": LeafForm(np.dtype(np.uint8), (9, 9, 6), "value")}  # the last axis has 6 channels
    assert RandomCrop("observations", 5).fit(forms)["observations"].shape == (9, 5, 5)
    assert RandomCrop("observations", 5, axes=(-3, -2)).fit(forms)["observations"].shape == (5, 5, 6)
    assert RandomShift("observations", 5, axes=(-3, -2)).fit(forms) == forms
    values = {"observations": np.arange(9 * 9 * 6).reshape(1, 9, 9, 6)}
    crop = RandomCrop("observations", (9, 8), axes=(-3, -2))

    class First:
        def uniforms(self, count):
            return np.zeros((1, count))

    crop.apply(values, First())
    assert (values["observations"] == np.arange(9 * 9 * 6).reshape(1, 9, 9, 6)[:, :, :8]).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomCrop("observations", 0), "RandomCrop: size expects a positive integer or a pair of them, got 0"),
        (lambda: RandomCrop("observations", (4, 4, 3)), "RandomCrop: size expects"),
        (lambda: RandomCrop("observations", True), "RandomCrop: size expects"),
        (lambda: RandomCrop("observations", 4, axes=(0, 1)), "RandomCrop: axes expects two axes side by side"),
        (lambda: RandomShift("observations", 0), "RandomShift: pixels expects a positive integer, got 0"),
        (lambda: RandomShift("observations", axes=(-1, -2)), "RandomShift: axes expects two axes side by side"),
        (lambda: RandomShift(None), "RandomShift: expected the name of a leaf"),
    ],
    ids=["zero", "three", "bool", "axes", "pixels", "order", "names"],
)
def test_a_wrong_argument_is_one_clear_error(make, message):
    with pytest.raises(OptionError, match=message):
        make()


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (RandomCrop("observations", 8), "RandomCrop: 8x8 is more than observations has, 7x9"),
        (RandomCrop("rewards", 1), r"RandomCrop: rewards has no pictures, its values are float64 of shape \(\)"),
        (RandomShift("frames"), "RandomShift: there is no leaf 'frames' in a batch"),
    ],
    ids=["size", "scalar", "name"],
)
def test_a_leaf_that_does_not_fit_is_an_error_when_the_sampler_is_made(tmp_path, transform, message):
    record_pictures(tmp_path / "a.h5", (HEIGHT, WIDTH))
    with pytest.raises(OptionError, match=message):
        batch_of(tmp_path / "a.h5", [transform])


def test_pictures_of_several_sizes_need_several_transforms():
    forms = {name: LeafForm(np.dtype(np.uint8), shape, "value") for name, shape in (("a", (8, 8)), ("b", (9, 8)))}
    with pytest.raises(OptionError, match="pictures of several sizes, a 8x8, b 9x8: use a transform for each size"):
        RandomCrop(["a", "b"], 4).fit(forms)
    with pytest.raises(OptionError, match="b has pictures without pixels"):
        RandomShift("b").fit({"b": LeafForm(np.dtype(np.uint8), (0, 8), "value")})

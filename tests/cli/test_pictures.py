"""Frames as pictures, and the files they are written to."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from gym_h5record.cli.pictures import (
    Pictures,
    Tile,
    animated_gif,
    check_targets,
    contact_sheet,
    evenly_spaced,
    frame_delays,
    write_picture,
)
from gym_h5record.cli.program import CommandError


def blank(height: int = 20, width: int = 30, colour: int = 0) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


@pytest.mark.parametrize(("length", "count"), [(1, 1), (1, 9), (2, 5), (7, 7), (100, 15), (16, 15)])
def test_evenly_spaced_numbers_begin_and_end_with_the_ends_and_never_repeat(length: int, count: int) -> None:
    numbers = evenly_spaced(length, count)
    assert len(numbers) == min(length, count)
    assert (numbers[0], numbers[-1]) == (0, length - 1)
    assert sorted(set(numbers)) == numbers


@pytest.mark.parametrize("fps", [0.5, 15, 24, 30, 50, 60, 120, 1000])
def test_delays_add_up_to_the_time_it_took_and_none_is_too_short(fps: float) -> None:
    delays = frame_delays(1000, fps)
    assert sum(delay for _, delay in delays) == pytest.approx(1000 / fps * 1000, abs=20)
    assert min(delay for _, delay in delays) >= 20
    assert delays[0][0] == 0


def test_a_gif_keeps_up_to_256_colours_exactly() -> None:
    generator = np.random.default_rng(0)
    colours = generator.integers(0, 256, (5, 200, 3), np.uint8)
    frames = [palette[generator.integers(0, 200, (40, 40))] for palette in colours]
    with Image.open(io.BytesIO(animated_gif(frames, [40] * 5))) as gif:
        shown = [np.asarray(each.convert("RGB")) for each in ImageSequence.Iterator(gif)]
    assert np.array_equal(shown, frames)


def test_frames_of_varying_size_are_shown_at_the_size_of_the_first() -> None:
    with Image.open(io.BytesIO(animated_gif([blank(), blank(10, 10, 200)], [40, 40]))) as gif:
        assert gif.size == (30, 20)
        assert gif.n_frames == 2


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 3), (20, 30, 4)])
def test_grey_and_transparent_pictures_are_pictures(shape: tuple[int, ...]) -> None:
    sheet = contact_sheet([Tile(np.zeros(shape, np.uint8), "left", "right")], "title", 3)
    with Image.open(io.BytesIO(sheet)) as picture:
        assert picture.size >= (30, 20)


@pytest.mark.parametrize(
    "frame", [None, np.zeros((20, 30, 3)), np.zeros((4, 20, 30, 3), np.uint8), blank(0, 5), np.zeros(9, np.uint8)]
)
def test_what_is_no_picture_is_refused(frame: object) -> None:
    with pytest.raises(CommandError, match="a frame is no picture: expected uint8 of shape"):
        contact_sheet([Tile(frame, "left", "right")], "title", 3)


def test_absurd_scales_are_refused() -> None:
    with pytest.raises(CommandError, match="too large: choose a smaller --scale"):
        animated_gif([blank(1, 5000)], [40], scale=20)


def test_tiles_stand_in_a_grid_with_margins_and_a_frame_around_each() -> None:
    tiles = [Tile(blank(100, 160, colour), f"step {colour}", "return 0") for colour in (10, 20, 30)]
    with Image.open(io.BytesIO(contact_sheet(tiles, "title", 2))) as png:
        pixels = np.asarray(png.convert("RGB"))
    found = [np.argwhere((pixels == colour).all(axis=2)) for colour in (10, 20, 30)]
    (first, second, third) = [(corner.min(axis=0), corner.max(axis=0)) for corner in found]
    assert first[0][0] == second[0][0]
    assert first[0][1] == third[0][1]
    assert third[0][0] > first[1][0]
    assert (first[1] - first[0] + 1).tolist() == [100, 160]
    assert (pixels[:15] == 255).all()
    assert (pixels[:, :15] == 255).all()
    assert (pixels[-15:] == 255).all()
    assert (pixels[:, -15:] == 255).all()


def test_labels_never_run_into_each_other() -> None:
    tiles = [Tile(blank(10, 10), "step 1,000,000", "return -123456") for _ in range(3)]
    with Image.open(io.BytesIO(contact_sheet(tiles, "t", 3, scale=1.0))) as png:
        assert png.width > 3 * 150


# Frames of other kinds --------------------------------------------------------------------------------

DEPTH = np.zeros((20, 30), np.float32)


def test_pictures_are_the_frames_themselves() -> None:
    frames = [blank(), None, blank(colour=3)]
    pictures = Pictures(frames)
    assert pictures.camera is None
    assert [pictures[row] for row in range(3)] == frames


def test_of_several_cameras_the_first_with_pictures_is_shown() -> None:
    wrist = [blank(colour=colour) for colour in range(3)]
    frames = [{"text": "#", "depth": DEPTH, "wrist": each, "front": blank()} for each in wrist]
    pictures = Pictures(frames)
    assert pictures.camera == "wrist"
    assert [pictures[row] for row in range(3)] == wrist


def test_of_rgb_and_depth_the_rgb_is_shown() -> None:
    assert Pictures([(blank(colour=4), DEPTH)])[0][0, 0, 0] == 4
    assert Pictures([{"front": (blank(colour=5), DEPTH)}])[0][0, 0, 0] == 5


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ("a map", 'the frames are text: no picture is made of them. Record with render_mode="rgb_array" for pictures.'),
        (DEPTH, "the frames are depth: no picture is made of them."),
        (
            {"map": "#", "depth": DEPTH},
            "no camera gives pictures that can be shown (map: text, depth: float32 of shape",
        ),
    ],
)
def test_frames_that_are_no_pictures_are_refused(frame: object, message: str) -> None:
    with pytest.raises(CommandError, match=re.escape(message)):
        Pictures([frame])


def test_a_frame_that_is_no_picture_of_the_camera_is_refused_where_it_is_shown() -> None:
    pictures = Pictures([{"front": blank()}, {"front": "#"}, None, {"wrist": blank()}])
    for row in range(1, 4):
        with pytest.raises(CommandError, match="a frame is no picture: expected uint8 of shape"):
            animated_gif([pictures[row]], [40])


# Files ------------------------------------------------------------------------------------------------


def test_a_file_that_exists_is_a_target_only_to_be_overwritten(tmp_path: Path) -> None:
    target, recording = tmp_path / "run.png", tmp_path / "run.h5"
    check_targets([target], recording, overwrite=False)
    target.touch()
    with pytest.raises(CommandError, match="run.png exists: choose another name"):
        check_targets([target], recording, overwrite=False)
    check_targets([target], recording, overwrite=True)


def test_the_recording_is_no_target_even_by_another_name(tmp_path: Path) -> None:
    (tmp_path / "run.h5").touch()
    (tmp_path / "link.png").symlink_to("run.h5")
    with pytest.raises(CommandError, match="link.png: it is the recording itself"):
        check_targets([tmp_path / "link.png"], tmp_path / "run.h5", overwrite=True)


def test_a_target_without_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="the directory .*nowhere does not exist"):
        check_targets([tmp_path / "nowhere" / "run.png"], tmp_path / "run.h5", overwrite=True)


def test_a_picture_replaces_a_file_only_if_it_may(tmp_path: Path) -> None:
    write_picture(tmp_path / "run.png", b"first", overwrite=False)
    with pytest.raises(CommandError, match="cannot write .*run.png: File exists"):
        write_picture(tmp_path / "run.png", b"second", overwrite=False)
    assert (tmp_path / "run.png").read_bytes() == b"first"
    write_picture(tmp_path / "run.png", b"third", overwrite=True)
    assert (tmp_path / "run.png").read_bytes() == b"third"

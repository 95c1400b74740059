"""Contact sheets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gym_h5record as h5r
from gym_h5record.errors import OptionError
from gym_h5record.media.sheets import Tile, contact_sheet, evenly_spaced
from tests.paintings import FRAMES, record_paintings


def blank(height: int = 20, width: int = 30, colour: int = 0) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def colours_of(path: Path) -> set[Any]:
    with Image.open(path) as png:
        assert png.format == "PNG"
        return {colour for _, colour in png.convert("RGB").getcolors(1 << 20) or ()}


@pytest.mark.parametrize(("length", "count"), [(1, 1), (1, 9), (2, 5), (7, 7), (100, 15), (16, 15)])
def test_evenly_spaced_numbers_begin_and_end_with_the_ends_and_never_repeat(length: int, count: int) -> None:
    numbers = evenly_spaced(length, count)
    assert len(numbers) == min(length, count)
    assert (numbers[0], numbers[-1]) == (0, length - 1)
    assert sorted(set(numbers)) == numbers


def test_tiles_stand_in_a_grid_with_margins_and_a_frame_around_each() -> None:
    tiles = [Tile(blank(100, 160, colour), f"step {colour}", "return 0") for colour in (10, 20, 30)]
    pixels = np.asarray(contact_sheet(tiles, "title", 2))
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
    assert contact_sheet(tiles, "t", 3, scale=1.0).width > 3 * 150


def test_absurd_scales_are_refused() -> None:
    with pytest.raises(OptionError, match="too large: choose a smaller scale"):
        contact_sheet([Tile(blank(1, 5000), "", "")], "t", 1, scale=20)


def test_a_sheet_shows_the_first_and_the_last_frame(paintings: Path, tmp_path: Path) -> None:
    with h5r.Recording(paintings) as recording:
        report = recording[1].sheet(tmp_path / "run.png", columns=2, rows=1)
    assert {(0, 100, 200), (3, 100, 200)} <= colours_of(tmp_path / "run.png")
    assert not {(1, 100, 200), (2, 100, 200)} & colours_of(tmp_path / "run.png")
    assert (report.episode, report.num_frames, report.cameras) == (1, 2, ("frames",))
    with Image.open(tmp_path / "run.png") as png:
        assert png.size == (report.width, report.height)


def test_a_sheet_of_several_cameras_shows_them_all(tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (5,), **FRAMES["cameras"])
    with h5r.Recording(path) as recording:
        report = recording[0].sheet(tmp_path / "run.png")
    assert report.cameras == ("map/text", "depth", "front", "wrist/rgb", "wrist/depth")
    assert report.num_frames == 6


def test_a_limit_and_a_scale_are_kept(paintings: Path, tmp_path: Path) -> None:
    with h5r.Recording(paintings) as recording:
        small = recording[0].sheet(tmp_path / "a.png", limit=2, scale=1)
        large = recording[0].sheet(tmp_path / "b.png", limit=2, scale=20)
    assert small.num_frames == large.num_frames == 3
    assert large.width > 3 * 320 > small.width


@pytest.mark.parametrize("name", ["columns", "rows"])
@pytest.mark.parametrize("number", [0, 51, 2.0, True], ids=repr)
def test_columns_and_rows_are_integers_up_to_50(paintings: Path, tmp_path: Path, name: str, number: Any) -> None:
    with h5r.Recording(paintings) as recording, pytest.raises(OptionError, match=f"{name}: expected an integer from 1"):
        recording[0].sheet(tmp_path / "run.png", **{name: number})


def test_a_name_that_is_no_png_is_refused(paintings: Path, tmp_path: Path) -> None:
    with h5r.Recording(paintings) as recording, pytest.raises(OptionError, match="ends with .png, got .jpg"):
        recording[0].sheet(tmp_path / "run.jpg")

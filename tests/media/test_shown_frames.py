"""The frames of a video: all panels at the same row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gym_h5record.errors import OptionError
from gym_h5record.media.picture_options import PictureOptions
from gym_h5record.media.shown_frames import ShownFrames, num_frames
from tests.media import opened, record_observations
from tests.paintings import FRAMES, record_paintings


def frames_of(path: Path, numbers: list[int], **options: Any) -> ShownFrames:
    episode, decoder = opened(path)
    return ShownFrames(episode, decoder, np.array(numbers), PictureOptions(**options))


def test_all_cameras_show_the_same_row(tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (7,), **FRAMES["cameras"])
    shown = frames_of(path, list(range(8)), cameras=["front", "wrist/depth", "wrist/rgb"])
    for step, picture in enumerate(shown.pictures()):
        assert picture[5, 5].tolist() == picture[5, 36 + 5].tolist() == [step, 100, 200]
        assert picture[5, 18 + 5, 0] == round(step / 7 * 255)
    assert shown.cameras == ("front", "wrist/depth", "wrist/rgb")
    assert shown.labels == ("front", "wrist/depth: 0 to 1", "wrist/rgb")


def test_only_the_frames_that_are_asked_for_are_shown(tmp_path: Path) -> None:
    shown = frames_of(record_observations(tmp_path / "run.h5", (20, 30)), [0, 2, 4])
    assert [picture[0, 0, 0] for picture in shown.pictures()] == [0, 2, 4]


def test_names_are_written_for_several_panels_and_for_ranges(tmp_path: Path) -> None:
    pixels = record_observations(tmp_path / "pixels.h5", (20, 30))
    depth = record_observations(tmp_path / "depth.h5", (20, 30), "float32")
    assert frames_of(pixels, [0]).header(4.0) is None
    header = frames_of(depth, [0, 1]).header(4.0)
    assert header is not None
    assert header.shape[1] == 120


@pytest.mark.parametrize(("limit", "expected"), [(None, 8), (1, 2), (7, 8), (100, 8), (np.int64(3), 4)])
def test_so_many_steps_have_one_frame_more(paintings: Path, limit: Any, expected: int) -> None:
    assert num_frames(opened(paintings)[0], limit) == expected


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "3"], ids=repr)
def test_a_limit_is_a_positive_integer(paintings: Path, limit: Any) -> None:
    with pytest.raises(OptionError, match="limit: expected a positive integer or None"):
        num_frames(opened(paintings)[0], limit)

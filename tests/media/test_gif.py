"""Animated GIFs: exact, as long as they should be, and written frame by frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from gym_h5record.media.gif import GifFilm, frame_delays

SIZE = (12, 20)


def written(
    path: Path, pictures: list[np.ndarray], scale: float = 1.0, captions: list[np.ndarray] | None = None
) -> Path:
    height = 0 if captions is None else len(captions[0])
    with GifFilm(path, pictures[0].shape[:2], scale=scale, header=None, caption_height=height) as film:
        for at, picture in enumerate(pictures):
            film.add(picture, None if captions is None else captions[at], 40)
    return path


def shown(path: Path) -> list[np.ndarray]:
    with Image.open(path) as gif:
        assert gif.info["loop"] == 0
        return [np.asarray(each.convert("RGB")) for each in ImageSequence.Iterator(gif)]


def durations(path: Path) -> list[int]:
    with Image.open(path) as gif:
        return [each.info["duration"] for each in ImageSequence.Iterator(gif)]


@pytest.mark.parametrize("fps", [0.5, 15, 24, 30, 50, 60, 120, 1000])
def test_delays_add_up_to_the_time_it_took_and_none_is_too_short(fps: float) -> None:
    delays = frame_delays(1000, fps)
    assert sum(delay for _, delay in delays) == pytest.approx(1000 / fps * 1000, abs=20)
    assert min(delay for _, delay in delays) >= 20
    assert delays[0][0] == 0


def test_up_to_256_colours_are_exact(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    colours = generator.integers(0, 256, (5, 200, 3), np.uint8)
    pictures = [palette[generator.integers(0, 200, (40, 40))] for palette in colours]
    assert np.array_equal(shown(written(tmp_path / "a.gif", pictures)), pictures)


def test_a_picture_that_changes_in_some_rows_is_exact_too(tmp_path: Path) -> None:
    pictures = [np.zeros((*SIZE, 3), np.uint8) for _ in range(4)]
    for at in range(1, 4):
        pictures[at][2 + at, 3:5] = (10 * at, 200, 30)
    path = written(tmp_path / "a.gif", pictures, scale=3.0)
    expected = [np.repeat(np.repeat(each, 3, axis=0), 3, axis=1) for each in pictures]
    assert np.array_equal(shown(path), expected)


def test_a_picture_that_does_not_change_is_shown_longer(tmp_path: Path) -> None:
    still, moved = np.zeros((*SIZE, 3), np.uint8), np.full((*SIZE, 3), 9, np.uint8)
    path = written(tmp_path / "a.gif", [still, still, still, moved, moved])
    assert durations(path) == [120, 80]


def test_a_picture_may_change_after_it_was_added(tmp_path: Path) -> None:
    picture = np.zeros((*SIZE, 3), np.uint8)
    with GifFilm(tmp_path / "a.gif", SIZE, scale=1.0, header=None, caption_height=0) as film:
        for at in range(3):
            picture[:] = 50 * at
            film.add(picture, None, 40)
    assert [frame[0, 0, 0] for frame in shown(tmp_path / "a.gif")] == [0, 50, 100]


@pytest.mark.parametrize(("scale", "size"), [(0.5, (6, 10)), (1.7, (20, 34)), (2.0, (24, 40))])
def test_pictures_are_scaled(tmp_path: Path, scale: float, size: tuple[int, int]) -> None:
    pictures = [np.full((*SIZE, 3), 60 * at, np.uint8) for at in range(3)]
    frames = shown(written(tmp_path / "a.gif", pictures, scale))
    assert [(frame.shape[:2], frame[3, 3, 0]) for frame in frames] == [(size, 60 * at) for at in range(3)]


def test_captions_stand_below_and_change_alone(tmp_path: Path) -> None:
    picture = np.full((*SIZE, 3), (1, 2, 3), np.uint8)
    captions = [np.full((5, 20), grey, np.uint8) for grey in (0, 255, 255)]
    path = written(tmp_path / "a.gif", [picture] * 3, captions=captions)
    frames = shown(path)
    assert durations(path) == [40, 80]
    assert [frame[-1, 0].tolist() for frame in frames] == [[0, 0, 0], [255, 255, 255]]
    assert all(np.array_equal(frame[:12], picture) for frame in frames)


def test_a_header_stands_above_all_frames(tmp_path: Path) -> None:
    header = np.full((4, 20), 255, np.uint8)
    with GifFilm(tmp_path / "a.gif", SIZE, scale=1.0, header=header, caption_height=0) as film:
        for at in range(2):
            film.add(np.full((*SIZE, 3), at, np.uint8), None, 40)
    frames = shown(tmp_path / "a.gif")
    assert [frame.shape for frame in frames] == [(16, 20, 3)] * 2
    assert [frame[0, 0, 0] for frame in frames] == [255, 255]
    assert [frame[4, 0, 0] for frame in frames] == [0, 1]


def test_an_abandoned_film_closes_its_file(tmp_path: Path) -> None:
    film = GifFilm(tmp_path / "a.gif", SIZE, scale=1.0, header=None, caption_height=0)
    with pytest.raises(ValueError, match="stop"), film:
        raise ValueError("stop")
    with pytest.raises(ValueError, match="closed file"):
        film.close()

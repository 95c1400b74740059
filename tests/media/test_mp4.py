"""MP4 videos: what a decoder shows of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gym_h5record.errors import MissingDependencyError
from gym_h5record.media.mp4 import Mp4Film

av: Any = pytest.importorskip("av")


def written(path: Path, pictures: list[np.ndarray], **options: Any) -> Path:
    options = {"fps": 25.0, "scale": 1.0, "header": None, "caption_height": 0, **options}
    caption = np.full((options["caption_height"], round(pictures[0].shape[1] * options["scale"])), 255, np.uint8)
    with Mp4Film(path, pictures[0].shape[:2], **options) as film:
        for picture in pictures:
            film.add(picture, caption if len(caption) else None, 0)
    return path


def shown(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(container.streams.video[0])]


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (32, 48)) -> np.ndarray:
    return np.full((*size, 3), colour, np.uint8)


def test_frames_come_back_with_their_colours_in_their_order(tmp_path: Path) -> None:
    colours = [(200, 30, 40), (20, 180, 60), (30, 60, 220), (128, 128, 128), (255, 255, 255), (0, 0, 0)]
    frames = shown(written(tmp_path / "a.mp4", [plain(colour) for colour in colours]))
    assert [frame.shape for frame in frames] == [(32, 48, 3)] * 6
    for frame, colour in zip(frames, colours, strict=True):
        assert np.abs(frame.astype(int) - colour).max() <= 6


@pytest.mark.parametrize("fps", [0.5, 25.0, 29.97, 60.0, 240.0])
def test_it_plays_at_the_speed_that_is_asked_for(tmp_path: Path, fps: float) -> None:
    path = written(tmp_path / "a.mp4", [plain((at, 0, 0)) for at in range(10)], fps=fps)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == pytest.approx(fps, rel=1e-3)
        assert (stream.codec_context.name, stream.codec_context.pix_fmt, stream.frames) == ("h264", "yuv420p", 10)


@pytest.mark.parametrize(
    ("size", "scale", "shape"), [((21, 33), 1.0, (22, 34)), ((21, 33), 3.0, (64, 100)), ((40, 40), 0.5, (20, 20))]
)
def test_odd_sizes_are_padded_and_scales_are_kept(
    tmp_path: Path, size: tuple[int, int], scale: float, shape: tuple[int, int]
) -> None:
    (frame,) = shown(written(tmp_path / "a.mp4", [plain((180, 180, 180), size)], scale=scale))
    assert frame.shape[:2] == shape
    assert frame[5, 5, 0] == pytest.approx(180, abs=4)


def test_pixels_stay_sharp_when_they_are_enlarged(tmp_path: Path) -> None:
    board = np.indices((16, 16)).sum(axis=0) % 2 * 255
    picture = np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8)
    (frame,) = shown(written(tmp_path / "a.mp4", [picture], scale=4.0))
    assert np.abs(frame[2::4, 2::4].astype(int) - picture).max() <= 40


def test_header_and_caption_stand_above_and_below(tmp_path: Path) -> None:
    header = np.full((10, 96), 255, np.uint8)
    path = written(tmp_path / "a.mp4", [plain((200, 30, 40))] * 2, scale=2.0, header=header, caption_height=8)
    for frame in shown(path):
        assert frame.shape[:2] == (10 + 64 + 8, 96)
        assert frame[4, 50].min() > 240
        assert np.abs(frame[40, 50].astype(int) - (200, 30, 40)).max() <= 8
        assert frame[-3, 50].min() > 240


def test_without_pyav_the_command_that_installs_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        MissingDependencyError, match=r'pip install "gym_h5record\[video\]". A name that ends with .gif'
    ):
        written(tmp_path / "a.mp4", [plain((0, 0, 0))])
    assert list(tmp_path.iterdir()) == []


def test_an_abandoned_film_can_be_removed(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        Mp4Film(tmp_path / "a.mp4", (32, 32), fps=25.0, scale=1.0, header=None, caption_height=0) as film,
    ):
        film.add(plain((1, 2, 3), (32, 32)), None, 0)
        raise KeyboardInterrupt
    (tmp_path / "a.mp4").unlink(missing_ok=True)
    assert list(tmp_path.iterdir()) == []

"""Videos of episodes, from the recording to the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image, ImageSequence

import gym_h5record as h5r
from gym_h5record.errors import (
    CorruptRecordingError,
    OptionError,
    RecordingExistsError,
    RenderModeError,
    SelectionError,
)
from gym_h5record.media.videos import to_video
from tests.media import record_observations
from tests.paintings import FRAMES, every_kind_of_frames, record_paintings
from tests.reading import damage_chunk


def frames_of(path: Path) -> list[np.ndarray]:
    with Image.open(path) as gif:
        return [np.asarray(each.convert("RGB")) for each in ImageSequence.Iterator(gif)]


def test_a_gif_holds_every_frame_exactly_at_the_recorded_speed(paintings: Path, tmp_path: Path) -> None:
    report = to_video(paintings, tmp_path / "run.gif", episode=0, scale=1, overlay=())
    with h5r.Recording(paintings) as recording:
        assert np.array_equal(frames_of(tmp_path / "run.gif"), recording[0].frames[:])
    assert (report.path, report.episode, report.num_frames) == (tmp_path / "run.gif", 0, 8)
    assert (report.fps, report.width, report.height, report.cameras) == (25.0, 16, 12, ("frames",))


def test_an_mp4_has_all_frames_and_the_lines_below_them(paintings: Path, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    report = to_video(paintings, tmp_path / "run.mp4", episode=0)
    with av.open(str(tmp_path / "run.mp4")) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(container.streams.video[0])]
    assert len(shown) == report.num_frames == 8
    assert shown[0].shape[:2] == (report.height + report.height % 2, report.width)
    for step, frame in enumerate(shown):
        assert np.abs(frame[100, 160].astype(int) - (step, 100, 200)).max() <= 8
        assert frame[240:].max() > 200  # the caption


@every_kind_of_frames
def test_every_kind_of_frames_has_a_video(kind: str, tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (3,), **FRAMES[kind])
    report = to_video(path, tmp_path / "run.gif", scale=2)
    frames = frames_of(tmp_path / "run.gif")
    assert len(frames) == 4
    assert frames[0].shape == (report.height, report.width, 3)
    assert len({frame.tobytes() for frame in frames}) == 4


@pytest.mark.parametrize("shape", [(20, 30), (4, 20, 30), (3, 20, 30)], ids=str)
def test_observations_like_pictures_have_a_video(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = record_observations(tmp_path / "run.h5", shape)
    report = to_video(path, tmp_path / "run.gif", scale=1, overlay=())
    assert [frame[0, 0, 0] for frame in frames_of(tmp_path / "run.gif")] == [0, 1, 2, 3, 4]
    assert report.fps == 10.0


def test_the_speed_the_limit_and_the_colours_are_chosen(paintings: Path, tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    report = to_video(
        *(paintings, tmp_path / "run.gif"),
        episode=0,
        fps=10,
        limit=3,
        bgr=True,
        scale=1,
        overlay=(),
        on_progress=lambda done, total: progress.append((done, total)),
    )
    assert (report.fps, report.num_frames) == (10.0, 4)
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert frames_of(tmp_path / "run.gif")[2][5, 5].tolist() == [200, 100, 2]
    with Image.open(tmp_path / "run.gif") as gif:
        assert gif.info["duration"] == 100


def test_a_recording_that_does_not_say_its_speed_is_shown_at_30(tmp_path: Path) -> None:
    space = spaces.Box(0, 255, (20, 30), np.uint8)
    options: Any = {"observation_space": space, "action_space": spaces.Discrete(2), "writer": "inline"}
    with h5r.Writer(tmp_path / "run.h5", **options) as writer:
        writer.begin_episode(np.zeros((20, 30), np.uint8))
        writer.append(0, np.ones((20, 30), np.uint8), 0.0, True, False)
    assert to_video(tmp_path / "run.h5", tmp_path / "run.gif").fps == 30.0


@pytest.mark.parametrize("fps", [0, -1, 2000, float("nan"), True, "fast"], ids=repr)
def test_a_speed_is_a_number_in_range(paintings: Path, tmp_path: Path, fps: Any) -> None:
    with pytest.raises(OptionError, match="fps: expected a number from 0.1 to 1000"):
        to_video(paintings, tmp_path / "run.gif", fps=fps)


def test_a_name_of_another_format_is_refused_before_the_recording_is_opened(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="expected a name that ends with .mp4 or .gif, got .avi"):
        to_video(tmp_path / "absent.h5", tmp_path / "run.avi")


def test_a_file_is_replaced_only_if_it_may(paintings: Path, tmp_path: Path) -> None:
    (tmp_path / "run.gif").write_text("mine")
    with pytest.raises(RecordingExistsError):
        to_video(paintings, tmp_path / "run.gif")
    assert (tmp_path / "run.gif").read_text() == "mine"
    to_video(paintings, tmp_path / "run.gif", mode="w")
    assert len(frames_of(tmp_path / "run.gif")) == 8


def test_without_pictures_and_without_the_episode_there_is_no_video(paintings: Path, tmp_path: Path) -> None:
    record_paintings(tmp_path / "run.h5", (2,), frames=False)
    with pytest.raises(RenderModeError):
        to_video(tmp_path / "run.h5", tmp_path / "run.gif")
    with pytest.raises(SelectionError, match="no episode 2"):
        to_video(paintings, tmp_path / "run.gif", episode=2)
    assert not (tmp_path / "run.gif").exists()


@pytest.mark.parametrize("ending", ["gif", "mp4"])
def test_an_interrupt_leaves_no_file(paintings: Path, tmp_path: Path, ending: str) -> None:
    if ending == "mp4":
        pytest.importorskip("av")

    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        to_video(paintings, tmp_path / f"run.{ending}", on_progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_frame_that_cannot_be_read_leaves_no_file(tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (7,))
    damage_chunk(path, "frames", lambda data: b"\0" * len(data))
    with pytest.raises(CorruptRecordingError):
        to_video(path, tmp_path / "run.gif")
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]

"""The values of a panel as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.media.panels import choose_panels
from gym_h5record.media.views import PanelView, blocks_of_frames
from tests.media import opened, record_observations
from tests.paintings import FRAMES, record_paintings


def view_of(path: Path, frames: Any = None, panel: int = 0, *, bgr: bool = False) -> tuple[PanelView, np.ndarray]:
    episode, decoder = opened(path)
    numbers = np.arange(episode.length + 1) if frames is None else np.array(frames)
    chosen = choose_panels(decoder.schema)[panel]
    return PanelView(decoder, chosen, episode.address, numbers, bgr=bgr, cell_px=18), numbers


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((20, 30), (20, 30)),
        ((20, 30, 1), (20, 30)),
        ((20, 30, 3), (20, 30)),
        ((20, 30, 4), (20, 30)),
        ((3, 20, 30), (20, 30)),
        ((4, 20, 30), (20, 30)),
        ((2, 20, 30, 3), (20, 30)),
    ],
    ids=str,
)
def test_observations_like_pictures_are_rgb(tmp_path: Path, shape: tuple[int, ...], size: tuple[int, int]) -> None:
    view, numbers = view_of(record_observations(tmp_path / "run.h5", shape))
    assert view.size == size
    pictures = view.pictures(numbers)
    assert [(each.shape, each.dtype.name, np.unique(each).tolist()) for each in pictures] == [
        ((*size, 3), "uint8", [step]) for step in range(5)
    ]


def test_frames_that_do_not_follow_each_other_are_those_that_are_asked_for(tmp_path: Path) -> None:
    view, numbers = view_of(record_observations(tmp_path / "run.h5", (20, 30)), [0, 1, 4])
    assert [each[0, 0, 0] for each in view.pictures(numbers)] == [0, 1, 4]


def test_blue_green_red_becomes_red_green_blue(tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (2,))
    view, numbers = view_of(path, bgr=True)
    assert view.pictures(numbers)[1][5, 5].tolist() == [200, 100, 1]


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16", "int32"])
def test_numbers_are_grey_from_the_lowest_to_the_highest_of_all_frames(tmp_path: Path, dtype: str) -> None:
    view, numbers = view_of(record_observations(tmp_path / "run.h5", (20, 30), dtype))
    assert view.label == "observations: 0 to 4"
    assert [each[3, 3].tolist() for each in view.pictures(numbers)] == [[grey] * 3 for grey in (0, 64, 128, 191, 255)]


def test_the_range_is_that_of_the_frames_that_are_shown(tmp_path: Path) -> None:
    view, numbers = view_of(record_observations(tmp_path / "run.h5", (20, 30), "float32"), [1, 2])
    assert view.label == "observations: 1 to 2"
    assert [each[3, 3, 0] for each in view.pictures(numbers)] == [0, 255]


@pytest.mark.filterwarnings("ignore::gym_h5record.errors.RecordingWarning")  # NaN is not in the space
def test_depth_that_is_not_finite_is_black_or_white(tmp_path: Path) -> None:
    space = spaces.Box(-np.inf, np.inf, (8, 8), np.float32)
    first = np.full((8, 8), 2, np.float32)
    first[0, :3] = (np.nan, np.inf, -np.inf)
    with h5r.Writer(
        tmp_path / "run.h5", observation_space=space, action_space=spaces.Discrete(2), writer="inline"
    ) as writer:
        writer.begin_episode(first)
        writer.append(0, np.full((8, 8), np.nan, np.float32), 0.0, True, False)
    view, numbers = view_of(tmp_path / "run.h5")
    assert view.label == "observations: 2 to 2"
    first, last = view.pictures(numbers)
    assert first[0, :4, 0].tolist() == [0, 255, 0, 0]
    assert not last.any()


def test_text_is_drawn_in_pictures_of_one_size(tmp_path: Path) -> None:
    view, numbers = view_of(record_paintings(tmp_path / "run.h5", (5,), render_mode="ansi"))
    pictures = view.pictures(numbers)
    assert {each.shape for each in pictures} == {(*view.size, 3)}
    assert len({each.tobytes() for each in pictures}) == 6


def test_every_camera_has_a_view(tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (3,), **FRAMES["cameras"])
    labels = [view_of(path, panel=at)[0].label for at in range(5)]
    assert labels == ["map/text", "depth: 0 to 0.428571", "front", "wrist/rgb", "wrist/depth: 0 to 0.428571"]


@pytest.mark.filterwarnings("ignore::gym_h5record.errors.RecordingWarning")
def test_frames_of_another_size_fill_the_panel_and_what_is_no_picture_is_dark(tmp_path: Path) -> None:
    pictures = iter([np.full((10, 10, 3), 200, np.uint8), np.full((20, 5, 3), 100, np.uint8), "text"])
    env = gym.make("CartPole-v1")
    cameras = {"front": lambda _: next(pictures)}
    with h5r.RecordToHDF5(env, tmp_path / "run.h5", frames=cameras, writer="inline") as recorder:
        recorder.reset(seed=0)
        recorder.step(0)
        recorder.step(0)
    view, numbers = view_of(tmp_path / "run.h5")
    shown = view.pictures(numbers)
    assert [each.shape for each in shown] == [(10, 10, 3)] * 3
    assert [np.unique(each).tolist() for each in shown] == [[200], [100], [32]]


def test_blocks_hold_at_most_4_mib() -> None:
    frames = np.arange(1000)
    assert [len(block) for block in blocks_of_frames(frames, 1 << 20)] == [4] * 250
    assert max(len(block) for block in blocks_of_frames(frames, 1)) == 128
    assert [len(block) for block in blocks_of_frames(frames[:2], 1 << 30)] == [1, 1]
    assert np.array_equal(np.concatenate(list(blocks_of_frames(frames, 100))), frames)

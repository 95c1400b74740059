"""The lines below each frame of a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.errors import OptionError
from gym_h5record.media.captions import OVERLAYS, Captions


class Written(Captions):
    """Notes what is written, too."""

    def texts(self, frame: int) -> dict[str, str]:
        return {name: self._value(name, frame) for line in self._lines for name, _, _ in line}


def captions_of(path: Path, overlay: Any = OVERLAYS, width: int = 320, episode: int = 0) -> Written:
    chosen = h5r.Recording(path)[episode]
    return Written(chosen, overlay, width, chosen.length)


def test_action_and_reward_are_those_of_the_step_that_is_taken_from_the_frame(paintings: Path) -> None:
    captions = captions_of(paintings)
    assert captions.texts(0) == {"step": "0", "action": "0", "reward": "0.5", "return": "0"}
    assert captions.texts(3) == {"step": "3", "action": "3", "reward": "2", "return": "3"}
    assert captions.texts(7) == {"step": "7", "action": "-", "reward": "-", "return": "14"}


def test_what_is_written_is_chosen(paintings: Path) -> None:
    captions = captions_of(paintings, ("return", "step"))
    assert [*captions.texts(1).items()] == [("return", "0.5"), ("step", "1")]


def test_a_wide_picture_has_one_line_and_a_narrow_one_several(paintings: Path) -> None:
    wide, narrow = captions_of(paintings, width=640), captions_of(paintings, width=90)
    assert len(wide._lines) == 1
    assert len(narrow._lines) > 2
    for captions, width in ((wide, 640), (narrow, 90)):
        strip = captions.of_frame(2)
        assert strip is not None
        assert (strip.shape, strip.dtype) == ((captions.height, width), np.uint8)
        assert strip.max() > 200


def test_the_lines_of_two_frames_differ(paintings: Path) -> None:
    captions = captions_of(paintings)
    first, again, second = captions.of_frame(1), captions.of_frame(1), captions.of_frame(2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)


def test_rewards_that_are_arrays_have_a_line_of_their_own(treasures: Path) -> None:
    captions = captions_of(treasures, width=640)
    assert [[name for name, _, _ in line] for line in captions._lines] == [["step", "action"], ["reward"], ["return"]]
    assert captions.texts(5)["return"] == "[9.5, -0.5]"


def test_without_overlay_nothing_is_written(paintings: Path) -> None:
    captions = captions_of(paintings, ())
    assert captions.height == 0
    assert captions.of_frame(0) is None


@pytest.mark.parametrize("overlay", ["step", ("steps",), ("step", 3)], ids=repr)
def test_what_cannot_be_written_is_refused(paintings: Path, overlay: Any) -> None:
    with pytest.raises(OptionError, match="overlay: expected"):
        captions_of(paintings, overlay)


@pytest.mark.parametrize("width", [1, 8, 16])
def test_the_smallest_pictures_have_captions_that_fit(paintings: Path, width: int) -> None:
    strip = captions_of(paintings, width=width).of_frame(3)
    assert strip is not None
    assert strip.shape[1] == width

"""Several panels as one picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gym_h5record.errors import OptionError
from gym_h5record.media.mosaic import Mosaic, shown_size


def blank(size: tuple[int, int], colour: int) -> np.ndarray:
    return np.full((*size, 3), colour, np.uint8)


def test_the_picture_of_one_panel_is_its_own() -> None:
    picture = blank((20, 30), 7)
    assert Mosaic([(20, 30)]).compose([picture]) is picture


def test_panels_stand_beside_each_other() -> None:
    mosaic = Mosaic([(20, 30), (20, 10)])
    picture = mosaic.compose([blank((20, 30), 100), blank((20, 10), 200)])
    assert picture.shape == (*mosaic.size, 3) == (20, 42, 3)
    assert (picture[:, :30] == 100).all()
    assert (picture[:, 32:] == 200).all()


def test_a_small_panel_is_enlarged_by_a_whole_number() -> None:
    small = np.arange(8 * 8 * 3).astype(np.uint8).reshape(8, 8, 3)
    picture = Mosaic([(20, 30), (8, 8)]).compose([blank((20, 30), 0), small])
    assert np.array_equal(picture[:16:2, 32::2], small)
    assert np.array_equal(picture[1:16:2, 33::2], small)


def test_a_panel_may_keep_its_size() -> None:
    assert Mosaic([(20, 30), (8, 8)], [1]).size == (20, 40)


def test_more_than_three_panels_are_a_grid() -> None:
    mosaic = Mosaic([(10, 10)] * 5)
    assert mosaic.size == (22, 34)
    picture = mosaic.compose([blank((10, 10), 50 + at) for at in range(5)])
    assert [picture[5, 5, 0], picture[5, 17, 0], picture[5, 29, 0], picture[17, 5, 0], picture[17, 17, 0]] == [
        50 + at for at in range(5)
    ]


@pytest.mark.parametrize(
    ("size", "scale"), [((210, 160), 2), ((84, 84), 4), ((400, 600), 1), ((12, 16), 20), ((4000, 4000), 1)]
)
def test_small_pictures_are_shown_about_320_pixels_long(size: tuple[int, int], scale: float) -> None:
    assert Mosaic([size]).usual_scale() == scale


def test_the_names_of_panels_stand_above_their_columns() -> None:
    mosaic = Mosaic([(100, 100), (100, 100)])
    header = mosaic.header(["front", ""], 2.0)
    assert header.shape[1] == 404
    assert header[:, :200].any()
    assert not header[:, 204:].any()
    assert len(Mosaic([(10, 10)] * 4).header(["a"] * 4, 1.0)) == 2 * len(header)


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), True, "2"], ids=repr)
def test_a_scale_is_a_positive_number(scale: Any) -> None:
    with pytest.raises(OptionError, match="scale: expected a positive number"):
        shown_size((10, 10), scale)


def test_a_picture_that_is_too_large_is_refused() -> None:
    assert shown_size((1, 1), 16_384) == (16_384, 16_384)
    with pytest.raises(OptionError, match="100000 by 1000 pixels is too large: choose a smaller scale"):
        shown_size((50, 5000), 20)

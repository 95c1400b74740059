"""Text as pictures."""

from __future__ import annotations

import numpy as np
import pytest

from gym_h5record.media.lettering import Lettering, font


def test_a_text_is_as_wide_as_its_glyphs_and_as_high_as_the_font() -> None:
    lettering = Lettering(14)
    line = lettering.line("step 12")
    assert line.shape == (lettering.height, lettering.width("step 12"))
    assert line.dtype == np.uint8
    assert line.max() == 255
    assert np.array_equal(line, np.hstack([lettering.glyph(each) for each in "step 12"]))


def test_a_text_that_is_too_wide_ends_with_three_dots() -> None:
    lettering = Lettering(14)
    width = lettering.width("return 1")
    cut = lettering.fitted("return 123456", width)
    assert cut.shape[1] <= width
    dots = lettering.line("...")
    assert np.array_equal(cut[:, -dots.shape[1] :], dots)
    assert np.array_equal(lettering.fitted("return 1", width), lettering.line("return 1"))


@pytest.mark.parametrize("width", [0, 1, 5])
def test_no_text_is_wider_than_its_place(width: int) -> None:
    assert Lettering(14).fitted("action", width).shape[1] <= width


def test_an_empty_text_has_no_width() -> None:
    assert Lettering(12).line("").shape[1] == 0


def test_a_larger_font_is_higher() -> None:
    assert Lettering(24).height > Lettering(12).height
    assert font(12) is font(12)

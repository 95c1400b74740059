"""Text frames as pictures: cells, colours, sizes."""

from __future__ import annotations

import numpy as np
import pytest

from gym_h5record.media.text_pictures import TextPainter, text_size

LAKE = "  (Down)\nS\x1b[41mF\x1b[0mFF\nFHFH\n"


@pytest.mark.parametrize(
    ("text", "size"),
    [("", (0, 0)), ("ab\ncde\n", (2, 3)), (LAKE, (3, 8)), ("x" * 999, (1, 240)), ("\n" * 999, (120, 0))],
    ids=["empty", "lines", "colours", "wide", "long"],
)
def test_a_text_takes_lines_and_columns_without_its_colours(text: str, size: tuple[int, int]) -> None:
    assert text_size(text) == size


def test_each_character_has_a_cell_of_its_own() -> None:
    painter = TextPainter(2, 3)
    picture = painter.paint("abc\n cb")
    high, wide = painter.size[0] // 2, painter.size[1] // 3
    cells = [[picture[r * high : (r + 1) * high, c * wide : (c + 1) * wide] for c in range(3)] for r in range(2)]
    assert picture.shape == (*painter.size, 3)
    assert np.array_equal(cells[0][1], cells[1][2])  # b
    assert np.array_equal(cells[0][2], cells[1][1])  # c
    assert np.ptp(cells[1][0]) == np.ptp(picture[0, 0])  # a blank has the colour of the ground
    assert not np.array_equal(cells[0][0], cells[0][1])


def test_the_red_ground_of_an_agent_is_drawn() -> None:
    painter = TextPainter(*text_size(LAKE))
    high, wide = painter.size[0] // 3, painter.size[1] // 8
    picture = painter.paint(LAKE)
    assert picture[high + 1, wide + 1].tolist() == [205, 49, 49]
    assert picture[high + 1, 1].tolist() == picture[0, 0].tolist()


@pytest.mark.parametrize(
    "text", ["\x1b[7ma\x1b[27mb", "\x1b[31;1ma\x1b[39mb", "\x1b[94ma\x1b[mb", "\x1b[38;5;9ma", "\x1b]0;t"]
)
def test_control_sequences_are_colours_or_nothing(text: str) -> None:
    painter = TextPainter(1, 12)
    assert painter.paint(text).shape == (*painter.size, 3)


def test_all_texts_have_pictures_of_one_size() -> None:
    painter = TextPainter(2, 4)
    shapes = {painter.paint(text).shape for text in ("", "a", "abcdefgh\nb\nc\nd", "\N{ARTIST PALETTE}\u0000")}
    assert shapes == {(*painter.size, 3)}


def test_cells_are_smaller_where_there_are_many_lines() -> None:
    assert TextPainter(4, 4).size[0] == 4 * 40
    assert TextPainter(4, 4, cell_px=18).size[0] == 4 * 18
    assert TextPainter(100, 10).size[0] == 100 * 12

"""Text from a file, shown."""

from __future__ import annotations

import pytest

from gym_h5record.display import printable, printable_lines


@pytest.mark.parametrize("text", ["", "plain", "Grüße, 日本", "a 'quote' and a \\ backslash"])
def test_what_prints_is_left_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\u202eevil", "\\u202eevil"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("\0\x07", "\\x00\\x07"),
    ],
)
def test_what_drives_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_anything_is_shown_as_its_text() -> None:
    assert printable(7) == "7"
    assert printable(ValueError("\x1b")) == "\\x1b"


def test_lines_stay_lines_and_nothing_else_gets_through() -> None:
    assert printable_lines("first\nsecond\x1b[31m") == "first\nsecond\\x1b[31m"
    assert all(line.isprintable() for line in printable_lines("".join(map(chr, range(0x3000)))).split("\n"))

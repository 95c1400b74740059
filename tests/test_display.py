"""Text for people: short, printable, with nouns in singular or plural."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gym_h5record.display import MAX_SHOWN, counted, full_repr, printable, printable_lines, short_repr


@pytest.mark.parametrize("text", ["", "plain", "Grüße, 日本", "a 'quote' and a \\ backslash"])
def test_printable_text_is_unchanged(text: str) -> None:
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
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_other_values_are_printed_as_their_text() -> None:
    assert printable(7) == "7"
    assert printable(ValueError("\x1b")) == "\\x1b"


def test_line_breaks_are_kept_and_other_control_characters_escaped() -> None:
    assert printable_lines("first\nsecond\x1b[31m") == "first\nsecond\\x1b[31m"
    assert all(line.isprintable() for line in printable_lines("".join(map(chr, range(0x3000)))).split("\n"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        ("text", "'text'"),
        (0.1 + 2**-56, "0.10000000000000002"),
        (np.float32(0.1), "0.1"),
        (np.int8(-3), "-3"),
        (np.str_("a"), "np.str_('a')"),
        (np.zeros((2, 3), np.int8), "an array of int8 (2, 3)"),
        (2**256, "an integer of 257 bits"),
        ({"a": (1, 2)}, "{'a': (1, 2)}"),
        ([1, 2, 3, 4, 5], "[1, 2, 3, 4, ...]"),
        ("\x1b[31m", "'\\x1b[31m'"),
    ],
    ids=lambda each: ascii(each)[:20],
)
def test_a_short_value_is_shown_whole(value: Any, text: str) -> None:
    assert short_repr(value) == text


@pytest.mark.parametrize(
    "value", ["x" * 10**6, "\x1b" * 50, 10**5000, list(range(10**6)), [[[[[[1]]]]]] * 9], ids=range(5)
)
def test_a_long_value_is_shortened(value: Any) -> None:
    assert len(short_repr(value)) <= MAX_SHOWN
    assert short_repr(value).isprintable()


class Mute:
    def __repr__(self) -> str:
        raise ZeroDivisionError("no text")


def nested(levels: int) -> list[Any]:
    return [nested(levels - 1)] if levels else []


def test_a_repr_is_not_shortened() -> None:
    assert full_repr([*range(99)]) == repr([*range(99)])
    assert full_repr(nested(150)) == repr(nested(150))


@pytest.mark.parametrize(
    ("value", "start"),
    [
        (-(10**5000), "an integer of 16610 bits"),
        ({"a": 10**5000}, "{'a': an integer of 16610 bits}"),
        (Mute(), "<Mute instance at 0x"),
        ((1, [Mute()]), "(1, [<Mute instance at 0x"),
    ],
    ids=range(4),
)
def test_what_python_cannot_print_is_shortened(value: Any, start: str) -> None:
    with pytest.raises((ValueError, ZeroDivisionError)):
        repr(value)
    assert full_repr(value).startswith(start)


def test_what_is_nested_too_deep_to_print_is_shortened() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    assert full_repr(value) == "[[[[...]]]]"


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (-1, "-1 rows"), (1_234_567, "1,234,567 rows")]
)
def test_a_noun_is_plural_unless_the_number_is_one(number: int, text: str) -> None:
    assert counted(number, "row") == text

"""What has no slot in the ring becomes segments, and the user hears once of every kind of it."""

from __future__ import annotations

import json
import re
import warnings
from typing import Any

import numpy as np
import pytest

from gym_h5record.errors import RecordingWarning
from gym_h5record.format.names import TypeCode
from gym_h5record.values.tagged_json import untag
from gym_h5record.writing.segments import Segment, unpack_segments
from gym_h5record.writing.unslotted import Unslotted, UnslottedRow
from tests.zoo import ForeignArray

NUMBERS = {"a/values": 0, "a/ends": 1, "infos/json/ends": 2, "infos/json/values": 3}
NUMBERS |= {"extras/json/ends": 4, "extras/json/values": 5}


class Own:
    """An object without an exact form."""


def packed(part: Unslotted) -> list[tuple[int, bytes]]:
    return [(each.number, bytes(each.data)) for each in unpack_segments(part.pack(NUMBERS))]


# Segments -----------------------------------------------------------------------------------------


def test_segments_keep_their_order_and_exceptions_follow_as_one() -> None:
    row = UnslottedRow()
    row.row.segments += [("a/ends", b"two"), ("a/values", b""), ("a/ends", b"one")]
    row.row.exceptions |= {"rewards": 2**53 + 1, "observations": {"$tuple": [1]}}
    assert packed(row.row)[:3] == [(1, b"two"), (0, b""), (1, b"one")]
    assert packed(row.row)[3:] == [
        (Segment.ROW_EXCEPTIONS, json.dumps(row.row.exceptions, separators=(",", ":")).encode())
    ]
    assert packed(row.step) == []


def test_exceptions_of_a_step_are_marked_as_such() -> None:
    row = UnslottedRow()
    row.step.exceptions["actions"] = None
    assert packed(row.step) == [(Segment.STEP_EXCEPTIONS, b'{"actions":null}')]


def test_nothing_is_left_after_clear_and_the_lists_stay_the_same_objects() -> None:
    """The encoders hold the lists."""
    part = UnslottedRow().step
    segments, exceptions = part.segments, part.exceptions
    segments.append(("a/ends", b"x"))
    exceptions["actions"] = 1
    part.clear()
    assert part.pack(NUMBERS) == b""
    assert part.segments is segments
    assert part.exceptions is exceptions


@pytest.mark.parametrize("group", ["infos", "extras"])
def test_other_keys_are_one_text_in_the_segments_of_their_row_or_step(group: str) -> None:
    row, rest = UnslottedRow(), {"note": "añ", 5: (1, 2.5)}
    (row.keep_other_infos if group == "infos" else row.keep_other_extras)(rest)
    part, other = (row.row, row.step) if group == "infos" else (row.step, row.row)
    (ends, length), (values, text) = packed(part)
    assert (ends, values) == (NUMBERS[f"{group}/json/ends"], NUMBERS[f"{group}/json/values"])
    assert int(np.frombuffer(length, np.int64)[0]) == len(text)
    assert untag(json.loads(text)) == rest
    assert packed(other) == []


# Values that do not fit ---------------------------------------------------------------------------


@pytest.mark.parametrize("of_step", [True, False])
def test_a_value_that_does_not_fit_is_an_exception_of_its_step_or_row(of_step: bool) -> None:
    row = UnslottedRow()
    with pytest.warns(RecordingWarning, match=re.escape("/actions: got 'left' of type str, which its column cannot")):
        code = (row.keep_step_value if of_step else row.keep_row_value)("actions", "left")
    assert code == TypeCode.EXCEPTION
    assert (row.step.exceptions, row.row.exceptions) == (
        ({"actions": "left"}, {}) if of_step else ({}, {"actions": "left"})
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.zeros((2, 3), np.uint8), "an array of uint8 with shape (2, 3)"),
        ("x" * 99, f"'{'x' * 27}...{'x' * 28}' of type str"),
        (1.5, "1.5 of type float"),
        (10**5000, "an integer of 16610 bits of type int"),  # Python cannot print it
        (np.float32(0.5), "0.5 of type float32"),
    ],
    ids=["array", "long", "number", "huge", "numpy"],
)
def test_the_warning_describes_the_value(value: Any, shown: str) -> None:
    with pytest.warns(RecordingWarning, match=re.escape(f"/observations: got {shown}, which its column cannot hold")):
        UnslottedRow().keep_row_value("observations", value)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("frames", None, "which is no picture"),
        ("frames/front", 3, "which is no picture"),
        ("frames", np.zeros((2, 2)), "which its column cannot hold"),
        ("frames", "text", "which its column cannot hold"),
        ("frames", (1, 2), "which its column cannot hold"),
        ("frames", {}, "which its column cannot hold"),
        ("frames", ForeignArray(np.zeros(2)), "which its column cannot hold"),
        ("frames_of_mine", None, "which its column cannot hold"),
    ],
)
def test_the_warning_of_a_frame_says_whether_it_is_a_picture_at_all(name: str, value: Any, reason: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        UnslottedRow().keep_row_value(name, value)
    assert f", {reason}. " in str(caught[0].message)


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


def containing_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [nested(150), containing_itself()], ids=["too-deep", "contains-itself"])
def test_a_value_that_no_text_can_hold_is_kept_as_its_repr_and_the_user_hears_of_it(value: Any) -> None:
    row = UnslottedRow()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        row.keep_row_value("observations", value)
        row.keep_other_infos({"x": value})
    assert [str(each.message) for each in caught if "no exact form" in str(each.message)]
    assert row.row.exceptions == {"observations": {"$repr": ["list", repr(value)]}}
    assert json.loads(packed(row.row)[1][1]) == {"$dict": [["x", {"$repr": ["list", repr(value)]}]]}


# Once ---------------------------------------------------------------------------------------------


def test_the_user_hears_of_a_column_once_and_of_every_class_without_an_exact_form_once() -> None:
    row = UnslottedRow()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            row.keep_row_value("observations", "text")
            row.keep_step_value("actions", "text")
            row.keep_row_value("observations", 5)
            row.note_inexact("infos", Own())
            row.note_inexact("infos", object())
            row.note_inexact("extras", Own())
            row.note_foreign("observations", ForeignArray(np.zeros(2)), np.zeros(2))
            row.note_foreign("rewards", np.longdouble(1), 1.0)
    messages = [str(each.message) for each in caught]
    assert len(messages) == len({*messages}) == 7
    assert sum("no exact form" in each for each in messages) == 3
    assert any(each == "/observations: values of type ForeignArray are recorded as NumPy arrays." for each in messages)
    assert any(each == "/rewards: values of type longdouble are recorded as float." for each in messages)


def test_another_recording_warns_anew() -> None:
    for _ in range(2):
        with pytest.warns(RecordingWarning):
            UnslottedRow().keep_row_value("observations", "text")

"""``first_difference``: a place wherever ``identical`` says no, and only there."""

import copy

import numpy as np
import pytest
from gymnasium.spaces import GraphInstance
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.display import MAX_SHOWN
from gym_h5record.values.differences import ABSENT, Difference, first_difference
from gym_h5record.values.exact import identical
from tests.properties.strategies import PROFILE, values
from tests.values.test_exact import DIFFERENT, SAME
from tests.zoo import NAN_WITH_PAYLOAD, NEGATIVE_NAN, every_space, samples

NAN = float("nan")


def found_at(recorded, found, leaf="observations", **options):
    difference = first_difference(leaf, recorded, found, **options)
    assert difference is not None
    assert difference.message.startswith(f"{difference.leaf}: ")
    assert difference.message.isprintable()
    return difference


# As identical ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", SAME, ids=lambda value: type(value).__name__)
def test_a_value_does_not_differ_from_its_copy(value):
    assert first_difference("infos", value, copy.deepcopy(value)) is None


@pytest.mark.parametrize(("first", "second"), DIFFERENT.values(), ids=list(DIFFERENT))
def test_whatever_is_not_identical_is_found_wherever_it_is(first, second):
    found_at(first, second)
    assert found_at([{"deep": (first,)}], [{"deep": (second,)}]).leaf.startswith("observations[0]/deep[0]")


@PROFILE
@given(st.lists(values, min_size=2, max_size=2) | values.map(lambda value: [value, copy.deepcopy(value)]))
def test_there_is_no_difference_exactly_if_values_are_identical(pair):
    difference = first_difference("infos", *pair)
    assert (difference is None) == identical(*pair)
    assert difference is None or difference.message.isprintable()


@PROFILE
@given(values, values)
def test_within_a_tolerance_nothing_differs_that_did_not_before(first, second):
    assert first_difference("infos", first, copy.deepcopy(first), atol=0.5) is None
    if first_difference("infos", first, second) is None:
        assert first_difference("infos", first, second, atol=0.5) is None


@every_space
def test_samples_of_a_space_do_not_differ_from_their_copies(space):
    for value in samples(space, 3):
        assert first_difference("observations", value, copy.deepcopy(value)) is None


# Places ---------------------------------------------------------------------------------------------


def picture(**changed):
    array = np.zeros((4, 20, 3), np.uint8)
    array[3, 17, 0] = changed.get("value", 0)
    return array


def test_an_element_of_an_array_is_named_by_its_index():
    difference = found_at({"picture": picture()}, {"picture": picture(value=200)})
    assert (difference.leaf, difference.recorded, difference.found) == ("observations/picture[3, 17, 0]", 0, 200)
    assert difference.largest == 200.0
    assert difference.message == ("observations/picture[3, 17, 0]: 0 recorded, 200 found (largest difference 200)")


@pytest.mark.parametrize(
    ("leaf", "recorded", "found", "place"),
    [
        ("rewards", 1.0, 2.0, "rewards"),
        ("infos", {"seeds": [1, 2]}, {"seeds": [1, 3]}, "infos/seeds[1]"),
        ("observations", (1, {"a": np.arange(3)}), (1, {"a": np.arange(3) ** 2}), "observations[1]/a[2]"),
        ("observations", np.array(1.0), np.array(2.0), "observations"),
        ("infos", np.array([[1, [2, 3]]], object), np.array([[1, [2, 4]]], object), "infos[0, 1][1]"),
        (
            "observations",
            GraphInstance(np.zeros((2, 3)), None, None),
            GraphInstance(np.eye(2, 3), None, None),
            "observations/nodes[0, 0]",
        ),
        ("infos", {5: 1}, {5: 2}, "infos/5"),
        ("infos", {"a": 1}, {"a": 1, "b": 2}, "infos/b"),
        ("infos", {"a": 1, "b": 2}, {"a": 1}, "infos/b"),
    ],
)
def test_the_leaf_grows_with_the_place(leaf, recorded, found, place):
    assert found_at(recorded, found, leaf).leaf == place


def test_the_first_of_several_differences_is_found():
    recorded, found = {"a": np.zeros(5), "b": 0}, {"a": np.array([0, 0, 1.0, 7, 1]), "b": 1}
    difference = found_at(recorded, found)
    assert (difference.leaf, difference.found, difference.largest) == ("observations/a[2]", 1.0, 7.0)


def test_the_first_element_of_a_large_array_is_found_behind_the_first_block(monkeypatch):
    monkeypatch.setattr("gym_h5record.values.tolerance._BLOCK_ELEMENTS", 8)
    recorded = np.zeros((5, 7))
    found = recorded.copy()
    found[3, 2], found[4, 1] = -1.0, 3.0
    for atol in (0.0, 0.5):
        difference = found_at(recorded, found, atol=atol)
        assert (difference.leaf, difference.largest) == ("observations[3, 2]", 3.0)


def test_a_key_that_is_missing_is_nothing():
    difference = found_at({"a": 1}, {}, "infos")
    assert (difference.recorded, difference.found, difference.message) == (
        1,
        ABSENT,
        "infos/a: 1 recorded, nothing found",
    )


@pytest.mark.parametrize(
    ("recorded", "found", "message"),
    [
        (1, 1.0, "rewards: 1 of type int recorded, 1.0 of type float found"),
        (1.0, np.float64(1.0), "rewards: 1.0 of type float recorded, 1.0 of type numpy.float64 found"),
        (None, 1, "rewards: None recorded, 1 of type int found"),
        (0.0, -0.0, "rewards: 0.0 recorded, -0.0 found"),
        (0.1, 0.1 + 2**-56, "rewards: 0.1 recorded, 0.10000000000000002 found"),
        ([1], [1, 2], "rewards: 1 items recorded, 2 items found"),
        (np.zeros(2), np.zeros(3), "rewards: an array of float64 (2,) recorded, an array of float64 (3,) found"),
        (
            NAN,
            NEGATIVE_NAN,
            "rewards: nan with the bits 7ff8000000000000 recorded, nan with the bits fff8000000000000 found",
        ),
        ("left", "right", "rewards: 'left' recorded, 'right' found"),
        (
            "a" * 500 + "b",
            "a" * 500 + "c",
            "rewards: 'aaaaaaaab' from character 492 of 501 recorded, 'aaaaaaaac' from character 492 of 501 found",
        ),
    ],
)
def test_a_message_says_what_differs(recorded, found, message):
    assert found_at(recorded, found, "rewards").message == message


def test_what_is_said_behind_the_values_can_be_chosen():
    message = found_at(np.array([0.25, 1]), np.array([0.5, 1]), where=("in a.h5", "in b.h5")).message
    assert message == "observations[0]: 0.25 in a.h5, 0.5 in b.h5 (largest difference 0.25)"


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**6,
        "\x1b[31m\x07" * 100,
        10**5000,
        list(range(10**5)),
        {"\x1b[31m" * 50: 1},
        np.zeros(10**5),
        [[[[["\x1b" * 100] * 9] * 9] * 9] * 9],
        np.str_("\x07" * 1000),
        np.bytes_(b"\x07" * 1000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_message_is_short_and_printable_whatever_the_value(value):
    assert len(found_at(value, None).message) < 2 * MAX_SHOWN + 100
    assert len(found_at({"a": value}, {}).message) < 2 * MAX_SHOWN + 100
    key = value if isinstance(value, str) else str(type(value))
    assert len(found_at({key: 1}, {key: 2}).message) < 200


# Numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recorded", "found", "largest"),
    [
        (1, 4, 3.0),
        (True, False, 1.0),
        (10**400, -(10**400), float("inf")),
        (complex(0, 3), complex(4, 0), 5.0),
        (np.uint8(1), np.uint8(255), 254.0),
        (np.float16(6e4), np.float16(-6e4), 120000.0),
        (np.array([-(2**63)]), np.array([2**63 - 1]), 2.0**64),
        (np.array([True]), np.array([False]), 1.0),
        (np.array([1 + 1j], np.complex64), np.array([1], np.complex64), 1.0),
        (np.array([np.inf, 1]), np.array([np.inf, 2]), 1.0),
        (np.array([np.inf, 1]), np.array([-np.inf, 2]), np.inf),
        (np.array([NAN, 1]), np.array([0, 2.0]), 1.0),
        (np.array([NAN]), np.array([0.0]), None),
        (0.0, -0.0, 0.0),
        ("a", "b", None),
        (1, 2.0, None),
        (np.zeros(2), np.zeros(3), None),
        (np.array(["a"]), np.array(["b"]), None),
    ],
    ids=repr,
)
def test_the_largest_difference_is_told_where_there_is_one(recorded, found, largest):
    assert found_at(recorded, found).largest == largest


@pytest.mark.parametrize(
    ("recorded", "found"),
    [
        (1.0, 1.01),
        (np.float32(1.0), np.float32(1.01)),
        (np.array([1, 2], np.float16), np.array([1, 2.01], np.float16)),
        ({"a": [1.0]}, {"a": [1.01]}),
        (NAN, NAN_WITH_PAYLOAD),
        (np.array([NAN, 1]), np.array([NEGATIVE_NAN, 1])),
        (0.0, -0.0),
        (np.array([np.inf, 0.0]), np.array([np.inf, -0.0])),
        (np.array([1.0, None], object), np.array([1.01, None], object)),
    ],
    ids=repr,
)
def test_floats_within_the_tolerance_do_not_differ(recorded, found):
    assert first_difference("rewards", recorded, found, atol=0.1) is None
    assert first_difference("rewards", recorded, found) is not None


@pytest.mark.parametrize(
    ("recorded", "found"),
    [
        (1, 2),
        (1.0, 1.2),
        (1.0, 1),
        (1.0, np.float64(1.0)),
        (np.float32(1), np.float64(1)),
        (True, False),
        (NAN, 1.0),
        (np.inf, -np.inf),
        (np.zeros(2, np.float32), np.zeros(2, np.float64)),
        (np.zeros(2), np.zeros((2, 1))),
        (np.array([1]), np.array([2])),
        (np.array([NAN]), np.array([1.0])),
        (1j, 1.0001j),
        ({"a": 1.0}, {}),
    ],
    ids=repr,
)
def test_everything_else_stays_exact_within_a_tolerance(recorded, found):
    found_at(recorded, found, atol=0.1)
    found_at([recorded], [found], atol=0.1)


def test_the_element_that_is_named_is_beyond_the_tolerance():
    recorded, found = np.zeros(3), np.array([0.01, 0.5, 0.4])
    difference = found_at(recorded, found, atol=0.1)
    assert (difference.leaf, difference.found, difference.largest) == ("observations[1]", 0.5, 0.5)


def test_a_difference_does_not_change():
    with pytest.raises(AttributeError):
        Difference("a", 1, 2, None, "").leaf = "b"

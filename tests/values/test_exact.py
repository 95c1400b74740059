"""``identical``: true for the same bits, false for anything less."""

import copy

import numpy as np
import pytest
from gymnasium.spaces import GraphInstance

from gym_h5record.values.exact import base_value, foreign_array, identical
from tests.zoo import (
    NAN_WITH_PAYLOAD,
    NEGATIVE_NAN,
    REWARDS,
    ForeignArray,
    check_identical,
    every_space,
    passing_infos,
    samples,
)

QUIET_NAN = float("nan")

SAME = [
    None,
    True,
    0,
    10**400,
    -0.0,
    QUIET_NAN,
    NAN_WITH_PAYLOAD,
    float("inf"),
    complex(1, -0.0),
    complex(QUIET_NAN, 0),
    "",
    "añ😀\ud800",
    b"\0\xff",
    (),
    [],
    {},
    set(),
    {1, "a"},
    frozenset({(1, 2)}),
    (1, [2.5, {"a": (None,)}]),
    {1: 0, "1": 1, (1,): [NAN_WITH_PAYLOAD]},
    np.bool_(True),
    np.int8(-1),
    np.float16("nan"),
    np.float32(-0.0),
    np.str_("a"),
    np.datetime64("NaT"),
    np.array(3),
    np.zeros((0, 2)),
    np.array([QUIET_NAN, NAN_WITH_PAYLOAD, NEGATIVE_NAN, -0.0]),
    np.array([1, 2], ">f4"),
    np.array(["a", ""]),
    np.array([None, [1, QUIET_NAN], {"a": np.arange(2)}, 0], object),
    np.array([(1, QUIET_NAN)], [("a", "i4"), ("b", "f8")]),
    GraphInstance(np.zeros((2, 3)), None, None),
    range(3),
]

DIFFERENT = {
    "int-float": (1, 1.0),
    "int-bool": (1, True),
    "int-numpy": (1, np.int64(1)),
    "float-numpy": (1.0, np.float64(1.0)),
    "widths": (np.float32(1), np.float64(1)),
    "signs-of-zero": (0.0, -0.0),
    "signs-of-numpy-zero": (np.float32(0), np.float32(-0.0)),
    "signs-of-zero-in-array": (np.array([0.0]), np.array([-0.0])),
    "nan-payloads": (QUIET_NAN, NAN_WITH_PAYLOAD),
    "nan-signs": (QUIET_NAN, NEGATIVE_NAN),
    "nan-payloads-in-array": (np.array([QUIET_NAN]), np.array([NAN_WITH_PAYLOAD])),
    "signs-of-complex-zero": (complex(0, 0.0), complex(0, -0.0)),
    "scalar-array": (np.float64(1), np.array(1.0)),
    "array-list": (np.array([1]), [1]),
    "dtypes": (np.array([1], np.int32), np.array([1], np.int64)),
    "byte-orders": (np.array([1], "<i4"), np.array([1], ">i4")),
    "shapes": (np.zeros((2, 3)), np.zeros((3, 2))),
    "empty-shapes": (np.zeros((0, 2)), np.zeros((0, 3))),
    "ranks": (np.zeros(1), np.zeros(())),
    "string-widths": (np.array(["a"]), np.array(["a"], "<U2")),
    "tuple-list": ((1,), [1]),
    "lengths": ((1,), (1, 2)),
    "prefix": ([1, 2], [1]),
    "set-frozenset": ({1}, frozenset({1})),
    "str-bytes": ("a", b"a"),
    "missing-key": ({"a": 1}, {}),
    "other-key": ({"a": 1}, {"b": 1}),
    "types-of-keys": ({1: "a"}, {True: "a"}),
    "types-of-number-keys": ({1: "a"}, {1.0: "a"}),
    "types-in-sets": ({1}, {True}),
    "types-in-frozensets": (frozenset({0}), frozenset({0.0})),
    "deep": ({"a": [(1, 2.0)]}, {"a": [(1, 2)]}),
    "object-elements": (np.array([1, None], object), np.array([1.0, None], object)),
    "graph-tuple": (GraphInstance(np.zeros(1), None, None), (np.zeros(1), None, None)),
    "graph-parts": (GraphInstance(np.zeros(1), None, None), GraphInstance(np.zeros(1), np.zeros(0), None)),
    "str-numpy": ("a", np.str_("a")),
}


@pytest.mark.parametrize("value", [*SAME, *REWARDS], ids=lambda value: type(value).__name__)  # sets have no order
def test_a_value_is_identical_to_its_copy(value):
    assert identical(value, copy.deepcopy(value))


@every_space
def test_samples_of_a_space_are_identical_to_their_copies(space):
    assert all(identical(value, copy.deepcopy(value)) for value in samples(space, 3))


@pytest.mark.parametrize("step", range(7))
def test_infos_are_identical_to_their_copies(step):
    assert identical(passing_infos(step), passing_infos(step))


@pytest.mark.parametrize(("first", "second"), DIFFERENT.values(), ids=list(DIFFERENT))
def test_what_differs_in_type_structure_or_bits_is_not_identical(first, second):
    assert identical(first, second) is False
    assert identical(second, first) is False
    assert identical([{"deep": (first,)}], [{"deep": (second,)}]) is False


def test_order_of_keys_does_not_matter():
    assert identical({"a": 1, "b": 2}, {"b": 2, "a": 1})


def test_layout_in_memory_does_not_matter():
    array = np.arange(6.0).reshape(2, 3)
    assert identical(array, np.asfortranarray(array))
    assert identical(array[:, ::-1], array[:, ::-1].copy())


def test_objects_without_structure_are_compared_as_they_compare_themselves():
    assert identical(range(0), range(5, 5))
    assert not identical(object(), object())


@pytest.mark.parametrize(
    "array", [np.arange(3, dtype=np.int8), np.array(1.5), np.zeros((0, 2), ">f4")], ids=["array", "rank0", "empty"]
)
def test_array_of_another_library_is_given_as_numpys(array):
    check_identical(foreign_array(ForeignArray(array)), array, "foreign_array")


class OlderArray:
    """An array of a library whose ``__array__`` is that of NumPy 1, such as torch 2."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None):
        return self._array if dtype is None else self._array.astype(dtype)


@pytest.mark.parametrize("array", [np.arange(3, dtype=np.int8), np.array(1.5)], ids=["array", "rank0"])
def test_an_array_of_a_library_made_for_numpy_1_is_copied_without_a_warning(array):
    """NumPy 2.4 warns where such a library is asked for a copy; warnings are errors here."""
    found = foreign_array(OlderArray(array))
    check_identical(found, array, "foreign_array")
    assert not np.shares_memory(found, array)


@pytest.mark.parametrize("kind", [np.matrix, np.memmap], ids=["matrix", "memmap"])
def test_special_arrays_of_numpy_are_given_as_plain_ones(kind):
    check_identical(foreign_array(np.array([[1, 2]]).view(kind)), np.array([[1, 2]]), "foreign_array")


def test_a_masked_array_is_more_than_its_data():
    assert foreign_array(np.ma.masked_array([1, 2])) is None


@pytest.mark.parametrize("value", [1, True, None, 1.5, "a", (), np.float64(1), np.str_("a"), np.bytes_(b"a"), object()])
def test_what_is_of_no_derived_class_has_no_base(value):
    assert base_value(value) is None


def test_array_of_another_library_is_copied():
    mapped = np.array([1, 2]).view(np.memmap)
    foreign_array(mapped)[0] = 5
    assert mapped[0] == 1


class OnAnotherDevice:
    def __array__(self, dtype=None, copy=None):
        raise TypeError("copy it to the host first")


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        1.5,
        "a",
        [1],
        (1,),
        {},
        np.float32(1),
        np.zeros(2),
        np.float32,
        np.ndarray,
        ForeignArray,
        OnAnotherDevice(),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_everything_else_is_no_array_of_another_library(value):
    assert foreign_array(value) is None


def test_answer_is_a_bool():
    assert identical(np.float64(1), np.float64(1)) is True
    assert identical(range(1), range(2)) is False

"""Encoders: every value gets into the ring exactly, or is handed on as one that does not fit."""

from __future__ import annotations

import struct
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gym_h5record.format import nodes
from gym_h5record.format.column_planning import plan_keys, plan_space
from gym_h5record.format.names import NUMPY_SCALARS, SCALAR_TYPES, TypeCode, numpy_scalar_code
from gym_h5record.format.schema import NUMBER_REWARD, Schema
from gym_h5record.values.exact import identical
from gym_h5record.values.tagged_json import TaggedText, dumps, loads
from gym_h5record.writing.encoders import make_dict_encoder, make_encoder
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_rows import CODES
from gym_h5record.writing.ring import Ring
from tests.custom_spaces import Anything
from tests.writing import small_journal
from tests.zoo import DTYPES, NAN_WITH_PAYLOAD, NEGATIVE_NAN, check_identical


@pytest.fixture(autouse=True)
def small_journals(monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, rows=8)


each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def bits(pattern: int, dtype: type) -> Any:
    """The NumPy float with these bits."""
    return np.array([pattern], f"u{np.dtype(dtype).itemsize}").view(dtype)[0]


class Slot:
    """The encoder of one node, with a ring of its own."""

    def __init__(self, node: nodes.Node, tmp_path: Path) -> None:
        self.node = node
        number = nodes.Scalar("observations", np.dtype(np.int64))
        action = nodes.Scalar("actions", np.dtype(np.int64))
        is_reward = node.name == "rewards"
        self.schema = Schema(number, action, None, None, reward=node) if is_reward else Schema(node, action, None, None)
        (tmp_path / "journal").unlink(missing_ok=True)
        self.journal = Journal.reserve(tmp_path / "journal", 64, 4096)
        assert self.journal.lay_out({}, self.schema.ring_fields, len(self.schema.coded), 0)
        self.segments: list[tuple[str, bytes]] = []
        self.misfits: dict[str, Any] = {}
        self.foreign: list[str] = []
        self.inexact: list[tuple[str, object]] = []
        ring = Ring(
            self.journal,
            self.schema,
            lambda name, *_: self.foreign.append(name),
            lambda *noted: self.inexact.append(noted),
        )
        self._encode = make_encoder(node, ring, self._on_misfit, self.segments)

    def _on_misfit(self, name: str, value: Any) -> int:
        self.misfits[name] = value
        return TypeCode.EXCEPTION

    def encode(self, value: Any, slot: int = 3) -> None:
        self.segments.clear()
        self.misfits.clear()
        self._encode(slot, value)

    def code(self, name: str = "observations", slot: int = 3) -> int:
        return int(self.journal.columns[CODES][slot, self.schema.code_index[name]])

    def stored(self, name: str = "observations", slot: int = 3) -> Any:
        return self.journal.columns[name][slot]

    def value(self) -> Any:
        """What the format says that a scalar's number and code mean."""
        code = self.code()
        return SCALAR_TYPES[code](self.stored())


def scalar_slot(dtype: Any, tmp_path: Path) -> Slot:
    return Slot(nodes.Scalar("observations", np.dtype(dtype)), tmp_path)


def check_exact(slot: Slot, value: Any) -> None:
    """Fail unless the value is in the column with its type."""
    slot.encode(value)
    assert slot.misfits == {}
    assert identical(slot.value(), value), f"expected {value!r}, found {slot.value()!r}"


def check_exception(slot: Slot, value: Any) -> None:
    """Fail unless the value is handed on unchanged, as one that does not fit."""
    slot.encode(value)
    assert slot.code() == TypeCode.EXCEPTION
    assert slot.misfits.keys() == {"observations"}
    assert slot.misfits["observations"] is value


# Scalars -----------------------------------------------------------------------------------------


@each_dtype
def test_every_scalar_type_that_fits_comes_back_with_its_type(dtype: type, tmp_path: Path) -> None:
    slot = scalar_slot(dtype, tmp_path)
    for kind in (bool, int, float, *NUMPY_SCALARS):
        for number in (0, 1):
            if np.dtype(dtype).kind == "b" and kind is not bool and kind is not np.bool_:
                slot.encode(kind(number))
                assert bool(slot.misfits) or identical(slot.value(), kind(number))
            else:
                check_exact(slot, kind(number))


@each_dtype
def test_codes_are_those_of_the_format(dtype: type, tmp_path: Path) -> None:
    slot = scalar_slot(np.float64, tmp_path)
    slot.encode(dtype(1))
    assert slot.code() == 16 + DTYPES.index(dtype) == numpy_scalar_code(dtype)
    for code, value in {3: 1, 4: 1.0, 5: True}.items():
        slot.encode(value)
        assert slot.code() == code


@pytest.mark.parametrize(
    "dtype", [each for each in DTYPES if np.dtype(each).kind in "ui"], ids=lambda each: each.__name__
)
@pytest.mark.parametrize("kind", [int, "own"])
def test_integer_limits_are_exact_and_what_is_beyond_is_an_exception(dtype: type, kind: Any, tmp_path: Path) -> None:
    slot, limits = scalar_slot(dtype, tmp_path), np.iinfo(dtype)
    make = dtype if kind == "own" else int
    for number in (limits.min, limits.min + 1, limits.max - 1, limits.max):
        check_exact(slot, make(number))
        assert int(slot.stored()) == number
    for number in (limits.min - 1, limits.max + 1, -(10**30), 10**30):
        check_exception(slot, number)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64], ids=lambda each: each.__name__)
def test_float_limits_are_exact(dtype: type, tmp_path: Path) -> None:
    slot, limits = scalar_slot(dtype, tmp_path), np.finfo(dtype)
    for number in (
        limits.max,
        limits.min,
        limits.tiny,
        limits.smallest_subnormal,
        -limits.smallest_subnormal,
        limits.eps,
    ):
        check_exact(slot, dtype(number))
        check_exact(slot, float(number))
    for number in (np.inf, -np.inf, 0.0, -0.0):
        check_exact(slot, dtype(number))
        check_exact(slot, float(number))
    if dtype is not np.float64:
        check_exception(slot, float(limits.max) * 2)
        check_exception(slot, float(limits.smallest_subnormal) / 2)
        check_exception(slot, 0.1)


@pytest.mark.parametrize(
    ("dtype", "largest"), [(np.float16, 2**11), (np.float32, 2**24), (np.float64, 2**53)], ids=["16", "32", "64"]
)
def test_integers_in_float_columns_are_exact_or_exceptions(dtype: type, largest: int, tmp_path: Path) -> None:
    slot = scalar_slot(dtype, tmp_path)
    for number in (largest, largest - 1, -largest, largest + 2):
        check_exact(slot, number)
        check_exact(slot, np.int64(number))
    for number in (largest + 1, -largest - 1):
        check_exception(slot, number)
        check_exception(slot, np.int64(number))
    check_exception(slot, np.uint64(largest + 1))
    check_exception(slot, 10**400)
    check_exception(slot, np.uint64(2**64 - 1))


def test_large_integers_that_floats_hold_are_exact(tmp_path: Path) -> None:
    slot = scalar_slot(np.float64, tmp_path)
    for number in (2**60, 2**63, 3 * 2**70, -(2**900)):
        check_exact(slot, number)
    check_exact(slot, np.uint64(2**63))
    check_exact(slot, np.int64(-(2**63)))


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        pytest.param(np.uint64, np.int64(-1), id="int64-in-uint64"),
        pytest.param(np.int64, np.uint64(2**64 - 5), id="uint64-in-int64"),
        pytest.param(np.uint8, np.int8(-1), id="int8-in-uint8"),
        pytest.param(np.int16, np.uint16(2**16 - 1), id="uint16-in-int16"),
        pytest.param(np.uint8, np.int16(-1), id="int16-in-uint8"),
        pytest.param(np.int8, np.int64(256), id="int64-in-int8"),
        pytest.param(np.bool_, np.int64(2), id="two-in-bool"),
        pytest.param(np.uint64, -1, id="int-in-uint64"),
    ],
)
def test_a_column_never_holds_a_number_that_has_wrapped_around(dtype: type, value: Any, tmp_path: Path) -> None:
    check_exception(scalar_slot(dtype, tmp_path), value)


def test_the_sign_of_zero_is_kept_or_an_exception(tmp_path: Path) -> None:
    for dtype in (np.float16, np.float32, np.float64):
        slot = scalar_slot(dtype, tmp_path)
        for zero in (-0.0, 0.0, np.float16(-0.0), np.float32(-0.0), np.float64(-0.0)):
            check_exact(slot, zero)
            assert np.signbit(slot.stored()) == np.signbit(zero)
    for dtype in (np.int64, np.uint8, np.bool_):
        check_exception(scalar_slot(dtype, tmp_path), -0.0)
        check_exception(scalar_slot(dtype, tmp_path), np.float32(-0.0))


NANS = {
    "python": float("nan"),
    "python-payload": NAN_WITH_PAYLOAD,
    "python-negative": NEGATIVE_NAN,
    "python-signalling": struct.unpack("d", struct.pack("Q", 0x7FF0000000000001))[0],
    "float64-payload": np.float64(NAN_WITH_PAYLOAD),
    "float64-signalling": bits(0x7FF0000000000001, np.float64),
    "float32": np.float32("nan"),
    "float32-payload": bits(0xFFC01234, np.float32),
    "float32-signalling": bits(0x7F800001, np.float32),
    "float16-payload": bits(0x7E55, np.float16),
    "float16-signalling": bits(0x7C01, np.float16),
}


@pytest.mark.parametrize("nan", NANS.values(), ids=NANS.keys())
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64], ids=lambda each: each.__name__)
def test_every_bit_of_a_nan_is_kept_or_it_is_an_exception(dtype: type, nan: Any, tmp_path: Path) -> None:
    slot = scalar_slot(dtype, tmp_path)
    slot.encode(nan)
    if slot.misfits:
        assert identical(slot.misfits["observations"], nan)
        assert np.asarray(nan).dtype != dtype  # no need for it there
    else:
        assert identical(slot.value(), nan)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "1",
        b"1",
        1j,
        np.longdouble(1),
        np.complex64(1),
        np.array(1.5),
        np.array([1.5]),
        np.str_("1"),
        np.datetime64("2020"),
        np.timedelta64(1, "s"),
        [1],
        {"a": 1},
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_is_no_number_is_an_exception_and_the_column_gets_zero(value: Any, tmp_path: Path) -> None:
    for dtype in (np.float64, np.int64, np.float16):
        slot = scalar_slot(dtype, tmp_path)
        slot.encode(dtype(9))
        check_exception(slot, value)
        assert slot.stored() != 9


@pytest.mark.parametrize("value", [None, "1.5", b"1", [1.5], (1.0,), np.array([1.5]), 10**400, object()], ids=type)
def test_a_reward_that_is_no_number_leaves_nan_in_its_column(value: Any, tmp_path: Path) -> None:
    """No sum over the column passes over it in silence."""
    slot = Slot(NUMBER_REWARD, tmp_path)
    slot.encode(value)
    assert slot.misfits["rewards"] is value
    assert np.isnan(slot.stored("rewards"))
    slot.encode(2**53 + 1)  # a number beside it: the nearest one
    assert slot.stored("rewards") == 2.0**53


@pytest.mark.parametrize("value", [None, "text", 1.5, [1.0, 2.0], np.zeros(3), np.array(["a", "b"])], ids=type)
def test_a_reward_of_another_form_leaves_nan_in_all_its_components(value: Any, tmp_path: Path) -> None:
    slot = Slot(nodes.Array("rewards", np.dtype(np.float32), (2,)), tmp_path)
    slot.encode(value)
    assert slot.misfits["rewards"] is value
    assert np.isnan(slot.stored("rewards")).tolist() == [True, True]


class Metres(float):
    """A number class of a user."""


@pytest.mark.parametrize("value", [TypeCode.NUMPY, Metres(2.5), Metres(-0.0)], ids=repr)
def test_a_number_of_a_derived_class_is_stored_as_pythons_and_noted(value: Any, tmp_path: Path) -> None:
    slot = scalar_slot(np.float64, tmp_path)
    slot.encode(value)
    base = int(value) if isinstance(value, int) else float.__float__(value)
    assert (slot.misfits, slot.foreign) == ({}, ["observations"])
    check_identical(slot.value(), base, "what is stored")


def test_a_number_of_a_derived_class_that_does_not_fit_is_an_exception(tmp_path: Path) -> None:
    check_exception(scalar_slot(np.int64, tmp_path), Metres(2.5))
    check_exception(scalar_slot(np.float64, tmp_path), type("Large", (int,), {})(2**53 + 1))


def test_dicts_and_tuples_of_derived_classes_are_stored_as_pythons_and_noted(tmp_path: Path) -> None:
    slot = tree_slot(tmp_path)
    slot.encode(OrderedDict(b=namedtuple("Pair", "number text")(2, "xyz"), a=1))
    assert (slot.misfits, slot.foreign) == ({}, ["observations", "observations/b"])
    assert [slot.code(f"observations/{name}") for name in ("a", "b", "b/0")] == [
        TypeCode.INT,
        TypeCode.VALUE,
        TypeCode.INT,
    ]
    assert (slot.stored("observations/a"), slot.stored("observations/b/0")) == (1, 2)


def test_a_masked_array_is_more_than_its_data(tmp_path: Path) -> None:
    slot = Slot(nodes.Array("observations", np.dtype(np.float32), (3,)), tmp_path)
    check_exception(slot, np.ma.masked_array(np.zeros(3, np.float32), [True, False, False]))


def test_a_value_takes_the_place_of_an_exception(tmp_path: Path) -> None:
    slot = scalar_slot(np.float64, tmp_path)
    check_exception(slot, "odd")
    check_exact(slot, 2.5)


@settings(max_examples=200, database=None, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_number_is_exact_or_handed_on(tmp_path: Path, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    kind = data.draw(st.sampled_from((bool, int, float, *NUMPY_SCALARS)))
    if kind is bool or kind is np.bool_:
        value = kind(data.draw(st.booleans()))
    elif kind is int:
        value = data.draw(
            st.integers() | st.sampled_from([2**k + d for k in (8, 16, 24, 53, 63, 64) for d in (-1, 0, 1)])
        )
    elif np.dtype(kind).kind in "ui":
        value = kind(data.draw(st.integers(int(np.iinfo(kind).min), int(np.iinfo(kind).max))))
    else:
        value = kind(data.draw(st.floats(width=np.dtype(kind).itemsize * 8)))
    slot = scalar_slot(dtype, tmp_path)
    slot.encode(value)
    if slot.misfits:
        assert identical(slot.misfits["observations"], value)
        assert slot.code() == TypeCode.EXCEPTION
    else:
        assert identical(slot.value(), value)


# Arrays ------------------------------------------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 2)], ids=str)
def test_arrays_are_copied_bit_by_bit(dtype: type, shape: tuple[int, ...], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    value = np.frombuffer(rng.bytes(size), dtype).reshape(shape) if dtype is not np.bool_ else rng.random(shape) > 0.5
    value = np.asarray(value, dtype)
    slot = Slot(nodes.Array("observations", np.dtype(dtype), shape), tmp_path)
    slot.encode(value)
    assert slot.misfits == {}
    assert slot.code() == TypeCode.ARRAY
    if value.size:
        assert identical(np.asarray(slot.stored(), dtype), value.copy())


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda array: array[::-1], id="reversed"),
        pytest.param(np.asfortranarray, id="fortran"),
        pytest.param(lambda array: np.repeat(array, 2, axis=1)[:, ::2], id="strided"),
        pytest.param(lambda array: np.broadcast_to(array[:1, :1], (4, 3)), id="broadcast"),
    ],
)
def test_arrays_of_any_memory_order_are_copied(view: Any, tmp_path: Path) -> None:
    value = view(np.arange(12.0).reshape(4, 3))
    slot = Slot(nodes.Array("observations", np.dtype(np.float64), (4, 3)), tmp_path)
    slot.encode(value)
    assert slot.misfits == {}
    assert identical(slot.stored().copy(), np.ascontiguousarray(value))


ODD_ARRAYS: dict[str, tuple[Any, list[float]]] = {
    "other-dtype": (np.array([1.1, 2.2, 3.3]), np.array([1.1, 2.2, 3.3]).astype(np.float32).tolist()),
    "integers": (np.array([1, 2, 3]), [1, 2, 3]),
    "truth": (np.array([True, False, True]), [1, 0, 1]),
    "beyond-range": (np.array([1e300, -1e300, 1]), [np.inf, -np.inf, 1]),
    "other-byte-order": (np.array([1, 2, 3], ">f4"), [1, 2, 3]),
    "other-shape": (np.zeros((3, 1), np.float32), [0, 0, 0]),
    "shorter": (np.ones(2, np.float32), [0, 0, 0]),
    "objects": (np.array([1, "x", None], object), [0, 0, 0]),
    "complex": (np.array([1j, 2, 3]), [0, 0, 0]),
    "text": (np.array(["1", "2", "3"]), [0, 0, 0]),
    "list": ([1.0, 2.0, 3.0], [0, 0, 0]),
    "number": (2.5, [0, 0, 0]),
    "nothing": (None, [0, 0, 0]),
}


@pytest.mark.parametrize(("value", "nearest"), ODD_ARRAYS.values(), ids=ODD_ARRAYS.keys())
def test_an_array_that_does_not_fit_is_an_exception_with_the_nearest_value_in_the_column(
    value: Any, nearest: list[float], tmp_path: Path
) -> None:
    slot = Slot(nodes.Array("observations", np.dtype(np.float32), (3,)), tmp_path)
    slot.encode(np.full(3, 9, np.float32))
    check_exception(slot, value)
    assert slot.stored().tolist() == nearest


class Foreign:
    """An array of another library."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.dtype, self.shape = array, array.dtype, array.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.array, dtype)


class Subclass(np.ndarray):
    """An array of a class derived from NumPy's."""


@pytest.mark.parametrize(
    "value",
    [Foreign(np.array([1, 2, 3], np.float32)), np.array([1, 2, 3], np.float32).view(Subclass)],
    ids=lambda value: type(value).__name__,
)
def test_an_array_of_another_library_that_fits_is_stored_as_numpys_and_noted(value: Any, tmp_path: Path) -> None:
    slot = Slot(nodes.Array("observations", np.dtype(np.float32), (3,)), tmp_path)
    slot.encode(value)
    assert (slot.misfits, slot.code(), slot.foreign) == ({}, TypeCode.ARRAY, ["observations"])
    assert slot.stored().tolist() == [1, 2, 3]
    check_exception(slot, Foreign(np.zeros(2, np.float32)))
    check_exception(slot, Foreign(np.zeros(3)))


def test_an_array_of_its_own_byte_order_fits(tmp_path: Path) -> None:
    slot = Slot(nodes.Array("observations", np.dtype(">i2"), (2,)), tmp_path)
    slot.encode(np.array([1, -2], ">i2"))
    assert slot.misfits == {}
    assert slot.stored().tolist() == [1, -2]


def test_a_value_without_columns_is_always_an_exception(tmp_path: Path) -> None:
    slot = Slot(nodes.Opaque("observations"), tmp_path)
    for value in (1, None, np.zeros(3), "x"):
        check_exception(slot, value)


# Trees -------------------------------------------------------------------------------------------


def tree_slot(tmp_path: Path) -> Slot:
    space = spaces.Dict(a=spaces.Discrete(3), b=spaces.Tuple((spaces.Discrete(3), spaces.Text(5))))
    return Slot(plan_space(space, "observations"), tmp_path)


def test_trees_fill_the_columns_of_their_leaves(tmp_path: Path) -> None:
    slot = tree_slot(tmp_path)
    slot.encode({"b": (2, "xyz"), "a": np.int64(1)})  # in any order
    assert slot.misfits == {}
    names = ["observations", "observations/a", "observations/b", "observations/b/0", "observations/b/1"]
    assert [slot.code(name) for name in names] == [2, 20, 2, 3, 2]
    assert (slot.stored("observations/a"), slot.stored("observations/b/0")) == (1, 2)
    assert slot.segments == [
        ("observations/b/1/ends", np.int64(3).tobytes()),
        ("observations/b/1/values", b"xyz"),
    ]


def test_only_the_leaf_that_does_not_fit_is_an_exception(tmp_path: Path) -> None:
    slot = tree_slot(tmp_path)
    slot.encode({"a": "odd", "b": (2, 5)})
    assert slot.misfits == {"observations/a": "odd", "observations/b/1": 5}
    assert [slot.code(name) for name in ("observations", "observations/a", "observations/b/0")] == [2, 255, 3]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"a": 1}, id="key-missing"),
        pytest.param({"a": 1, "b": (1, "x"), "c": 0}, id="key-too-many"),
        pytest.param([("a", 1)], id="list"),
        pytest.param(None, id="None"),
    ],
)
def test_a_dict_of_another_form_is_one_exception_and_nothing_is_left_of_the_row_before(
    value: Any, tmp_path: Path
) -> None:
    slot = tree_slot(tmp_path)
    slot.encode({"a": 1, "b": (2, "xyz")})
    slot.encode(value)
    assert slot.misfits.keys() == {"observations"}
    assert slot.misfits["observations"] is value
    assert slot.code() == 255
    assert [slot.code(f"observations/{name}") for name in ("a", "b", "b/0", "b/1")] == [0, 0, 0, 0]
    assert (slot.stored("observations/a"), slot.stored("observations/b/0")) == (0, 0)
    assert slot.segments == []


@pytest.mark.parametrize("value", [(1,), (1, "x", 2), [1, "x"], None, "ab"], ids=repr)
def test_a_tuple_of_another_form_is_one_exception(value: Any, tmp_path: Path) -> None:
    slot = tree_slot(tmp_path)
    slot.encode({"a": 1, "b": value})
    assert slot.misfits == {"observations/b": value}
    assert [slot.code(f"observations/{name}") for name in ("a", "b", "b/0", "b/1")] == [3, 255, 0, 0]


@pytest.mark.parametrize("value", [None, 5, b"bytes", ["x"], np.str_("x")], ids=repr)
def test_a_ragged_value_of_another_form_is_an_exception_without_segments(value: Any, tmp_path: Path) -> None:
    slot = Slot(plan_space(spaces.Text(5), "observations"), tmp_path)
    check_exception(slot, value)
    assert slot.segments == []


class Page:
    """An object without a form in JSON."""

    def __repr__(self) -> str:
        return "<Page>"


def test_json_text_takes_every_value(tmp_path: Path) -> None:
    slot = Slot(nodes.Json("observations"), tmp_path)
    for value in (None, 5, "text", {"a": [1, (2, b"")]}, np.arange(3), float("nan")):
        slot.encode(value)
        text = dumps(value).encode()
        assert slot.segments == [
            ("observations/ends", np.int64(len(text)).tobytes()),
            ("observations/values", text),
        ]
        assert slot.code() == TypeCode.VALUE
    assert (slot.misfits, slot.inexact, slot.foreign) == ({}, [], [])


def test_json_text_has_the_repr_of_an_object_without_a_form_and_tells_its_place(tmp_path: Path) -> None:
    slot = Slot(plan_space(spaces.Dict(a=spaces.Discrete(2), b=Anything()), "observations"), tmp_path)
    page = Page()
    slot.encode({"a": 1, "b": [page, 2]})
    assert slot.misfits == {}
    assert slot.inexact == [("observations/b", page)]
    text = dict(slot.segments)["observations/b/values"]
    assert loads(text) == [TaggedText("<Page>"), 2]


def test_a_value_that_is_not_as_the_first_one_of_its_custom_space_is_an_exception(tmp_path: Path) -> None:
    slot = Slot(plan_space(Anything(), "observations", {"text": "go", "count": 5}), tmp_path)
    slot.encode({"text": "go", "count": 2})
    assert slot.misfits == {}
    slot.encode({"text": None, "count": 2})
    assert slot.misfits == {"observations/text": None}
    slot.encode({"text": "go"})
    assert slot.misfits == {"observations": {"text": "go"}}


# Infos -------------------------------------------------------------------------------------------


class Infos:
    """The encoder of infos, with a ring of its own."""

    def __init__(self, first: dict[str, Any], tmp_path: Path) -> None:
        action, observation = (
            nodes.Scalar("actions", np.dtype(np.int64)),
            nodes.Scalar("observations", np.dtype(np.int64)),
        )
        self.schema = Schema(observation, action, None, plan_keys("infos", [first]))
        self.journal = Journal.reserve(tmp_path / "journal", 64, 4096)
        assert self.journal.lay_out({}, self.schema.ring_fields, len(self.schema.coded), 0)
        self.rest: Any = None
        ring = Ring(self.journal, self.schema, lambda *_: None, lambda *_: None)
        self._encode = make_dict_encoder(self.schema.infos or (), ring, self._keep_rest)

    def _keep_rest(self, rest: Any) -> None:
        self.rest = dict(rest) if type(rest) is dict else rest  # the dict is used again for the next row

    def encode(self, info: Any) -> dict[str, tuple[Any, int]]:
        """The column and code of every key, after ``info``."""
        self.rest = None
        self._encode(3, info)
        codes, columns = self.journal.columns[CODES][3], self.journal.columns
        return {
            column.key: (columns[column.node.name][3].tolist(), int(codes[self.schema.code_index[column.node.name]]))
            for column in self.schema.infos or ()
        }


FIRST = {"lives": 3, "x": 0.5, "array": np.arange(2), "name": "text"}


def test_known_keys_go_into_their_columns_and_others_into_the_rest(tmp_path: Path) -> None:
    infos = Infos(FIRST, tmp_path)
    assert infos.encode(FIRST) == {"lives": (3, 3), "x": (0.5, 4), "array": ([0, 1], 1)}
    assert infos.rest == {"name": "text"}


def test_keys_that_are_gone_leave_nothing_and_may_come_back(tmp_path: Path) -> None:
    infos = Infos(FIRST, tmp_path)
    infos.encode(FIRST)
    assert infos.encode({}) == {"lives": (0, 0), "x": (0, 0), "array": ([0, 0], 0)}
    assert infos.rest is None
    assert infos.encode({"lives": np.int64(2), "new": 1}) == {"lives": (2, 20), "x": (0, 0), "array": ([0, 0], 0)}
    assert infos.rest == {"new": 1}
    assert infos.encode({"x": 1.5})["x"] == (1.5, 4)
    assert infos.rest is None


def test_a_value_that_does_not_fit_its_column_goes_into_the_rest_in_that_row_only(tmp_path: Path) -> None:
    infos = Infos(FIRST, tmp_path)
    found = infos.encode({"lives": None, "x": "half", "array": np.arange(3)})
    assert {key: code for key, (_, code) in found.items()} == {"lives": 0, "x": 0, "array": 0}
    assert identical(infos.rest, {"lives": None, "x": "half", "array": np.arange(3)})
    assert infos.encode({"lives": 1})["lives"] == (1, 3)
    assert infos.rest is None


@pytest.mark.parametrize(
    "info", ["text", [], 5, type("Other", (dict,), {})(lives=3)], ids=lambda info: type(info).__name__
)
def test_an_info_that_is_no_dict_is_the_rest(info: Any, tmp_path: Path) -> None:
    infos = Infos(FIRST, tmp_path)
    infos.encode(FIRST)
    assert infos.encode(info) == {"lives": (0, 0), "x": (0, 0), "array": ([0, 0], 0)}
    assert infos.rest is info


def test_keys_that_are_no_strings_go_into_the_rest(tmp_path: Path) -> None:
    infos = Infos({1: 2, "a": 3}, tmp_path)
    assert infos.encode({1: 2, "a": 3, None: 4}) == {"a": (3, 3)}
    assert infos.rest == {1: 2, None: 4}

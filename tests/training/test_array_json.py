"""Arrays as JSON values: every bit back, and hostile values refused before they take memory."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
import pytest

from gym_h5record.training.array_json import ArrayReader, array_to_json

ARRAYS = {
    "number": np.float64(0.1),
    "no elements": np.empty((0, 3), np.float32),
    "booleans": np.array([[True, False], [False, False]]),
    "floats": np.array([0.1, -0.0, 5e-324, 1.7976931348623157e308]),
    "half precision": np.array([0.1, 65504], np.float16),
    "not finite": np.array([np.nan, np.inf, -np.inf], np.float32),
    "large integers": np.array([0, 2**64 - 1], np.uint64),
    "small integers": np.array([-(2**63), 2**63 - 1]),
    "long double": np.array([np.longdouble(1) / 3]),
    "many": np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32),
    "not contiguous": np.arange(400, dtype=np.int16).reshape(20, 20).T,
}


def read(content: Any, dtype: Any = None, max_bytes: int = 1 << 20) -> np.ndarray:
    return ArrayReader(max_bytes).read(json.loads(json.dumps(content)), dtype)


@pytest.mark.parametrize("array", ARRAYS.values(), ids=list(ARRAYS))
def test_every_bit_comes_back(array: np.ndarray) -> None:
    found = read(array_to_json(array), array.dtype)
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert isinstance(found, np.generic) == isinstance(array, np.generic)


def test_small_arrays_are_lists_and_large_ones_are_compressed() -> None:
    assert array_to_json(np.array([[1.5], [2.5]])) == {"dtype": "<f8", "shape": [2, 1], "values": [1.5, 2.5]}
    large = array_to_json(np.zeros(65))
    assert set(large) == {"dtype", "shape", "zlib"}
    assert len(large["zlib"]) < 65


def test_arrays_of_the_other_byte_order_are_native_afterwards() -> None:
    for size in (2, 100):
        found = read(array_to_json(np.arange(size, dtype=">i4")))
        assert (found.dtype, found.tolist()) == (np.dtype("=i4"), [*range(size)])


def packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"dtype": "O", "shape": [1], "values": [None]}, "'O' is no dtype of numbers"),
        ({"dtype": ["f8"], "shape": [1], "values": [1]}, "no dtype of numbers"),
        ({"dtype": "f8", "shape": [-1], "values": [1]}, "is no shape"),
        ({"dtype": "f8", "shape": [True], "values": [1]}, "is no shape"),
        ({"dtype": "f8", "shape": [2], "values": [1]}, "in the place of"),
        ({"dtype": "f8", "shape": [2], "values": [[1], [2]]}, "in the place of"),
        ({"dtype": "f8", "shape": [1 << 40], "values": []}, "larger than statistics can be"),
        ({"dtype": "f8", "shape": [2], "zlib": packed(bytes(8))}, "8 bytes in the place of 16"),
        ({"dtype": "f8", "shape": [2], "zlib": packed(bytes(1 << 24))}, "17 bytes in the place of 16"),
        ({"dtype": "f8", "shape": [1], "zlib": base64.b64encode(b"other").decode()}, "zlib did not write"),
        ({"dtype": "f8", "shape": [1], "zlib": "*"}, None),
        ({"dtype": "i4", "shape": [1], "values": [1]}, "int32 in the place of one of float64"),
    ],
    ids=[
        "object",
        "no dtype",
        "negative",
        "no number",
        "few",
        "nested",
        "huge",
        "short",
        "bomb",
        "zlib",
        "base64",
        "int",
    ],
)
def test_other_values_are_refused(content: dict[str, Any], message: str | None) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        read(content, np.float64)


@pytest.mark.parametrize("content", [None, [], {}, {"dtype": "f8"}, {"dtype": "f8", "shape": 1, "values": []}])
def test_values_of_another_type_raise_what_callers_catch(content: Any) -> None:
    with pytest.raises((ValueError, TypeError, LookupError, AttributeError, OverflowError)):
        read(content)


def test_all_arrays_of_a_text_together_have_a_limit() -> None:
    arrays, content = ArrayReader(20), array_to_json(np.arange(2.0))
    assert arrays.read(content).tolist() == [0, 1]
    with pytest.raises(ValueError, match="larger than statistics can be"):
        arrays.read(content)

"""Arrays of numbers as JSON values, every bit kept, and back from a text that may be hostile."""

from __future__ import annotations

import base64
import math
import zlib
from typing import Any

import numpy as np

__all__ = ["ArrayReader", "array_to_json"]

_MAX_LISTED = 64
"""Elements of an array that is written as a list of numbers, for people to read. Larger ones are compressed bytes."""

_MAX_LISTED_BYTES = 8
"""Of an element. Python has no number for a long double."""

_KINDS = "biuf"


def array_to_json(array: np.ndarray) -> dict[str, Any]:
    """An array of booleans, integers or floats as JSON values.

    Small arrays of finite numbers are lists under ``"values"``. Others are the bytes in C order, compressed by zlib and
    written in base64, under ``"zlib"``; they are in the byte order of the machine, which ``"dtype"`` names.
    """
    array = np.asarray(array)
    content: dict[str, Any] = {"dtype": array.dtype.str, "shape": [*array.shape]}
    is_listed = array.size <= _MAX_LISTED and array.dtype.itemsize <= _MAX_LISTED_BYTES
    if is_listed and np.isfinite(array).all():
        return {**content, "values": array.ravel().tolist()}
    packed = zlib.compress(np.ascontiguousarray(array).data, 1)
    return {**content, "zlib": base64.b64encode(packed).decode("ascii")}


class ArrayReader:
    """Reads arrays from JSON values. All of them together have a limit: a small text may claim large arrays.

    Args:
        max_bytes: The limit.
    """

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes

    def read(self, content: Any, dtype: np.dtype | type | None = None) -> np.ndarray:
        """The array of ``array_to_json``, which the caller may change; a NumPy number if it has no axes.

        Args:
            content: The JSON values.
            dtype: The dtype that it must have; None for any of numbers.

        Raises:
            ValueError: If this is no such array. Where JSON values are of a wrong type, also ``TypeError``,
                ``LookupError``, ``AttributeError`` or ``OverflowError``.
        """
        name, shape = content["dtype"], content["shape"]
        found = np.dtype(name) if type(name) is str else None
        if found is None or found.kind not in _KINDS:
            raise ValueError(f"{name!r:.80} is no dtype of numbers")
        if dtype is not None and found != dtype:
            raise ValueError(f"an array of {found} in the place of one of {np.dtype(dtype)}")
        if not all(type(length) is int and length >= 0 for length in shape):
            raise ValueError(f"{shape!r:.80} is no shape")
        size_bytes = math.prod(shape) * found.itemsize
        self._left -= size_bytes
        if self._left < 0:
            raise ValueError("its arrays are larger than statistics can be")
        flat = (
            np.array(content["values"], found) if "values" in content else _unpacked(content["zlib"], found, size_bytes)
        )
        if flat.shape != (math.prod(shape),):
            raise ValueError(f"{flat.shape} elements in the place of {shape!r:.80}")
        array: np.ndarray = flat.reshape(shape).astype(found.newbyteorder("="), copy=False)[()]
        return array


def _unpacked(text: str, dtype: np.dtype, size_bytes: int) -> np.ndarray:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(base64.b64decode(text, validate=True), size_bytes + 1)  # no more, whatever it claims
    except zlib.error as error:
        raise ValueError(f"bytes that zlib did not write: {error}") from error
    if len(data) != size_bytes or not stream.eof:
        raise ValueError(f"{len(data)} bytes in the place of {size_bytes}")
    return np.frombuffer(data, dtype).copy()

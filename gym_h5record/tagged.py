"""Python and NumPy values as JSON text, and back exactly as they were.

Plain JSON values stand for themselves. Everything JSON would change is an
object with one key, its tag::

    {"$tuple": [...]}                {"$array": [dtype, shape, base64]}
    {"$dict": [[key, value], ...]}   {"$numpy": [dtype, base64]}
    {"$float": "7ff0000000000000"}   {"$bytes": base64}
    {"$complex": [re, im]}           {"$set": [...]}, {"$frozenset": [...]}
    {"$object": [shape, [...]]}      an array of Python objects
    {"$graph": [nodes, edges, links]}  Gymnasium's GraphInstance
    {"$surrogates": base64}          a string with two halves of a surrogate pair side by side
    {"$repr": [class, text]}         anything else: its text only, see ``Tagger``

The text is ASCII, so any Unicode survives, lone surrogates included. Reading
never imports or calls anything that the text names.
"""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import GraphInstance

from gym_h5record.tree import foreign_array

__all__ = ["TaggedText", "dumps", "loads", "tag", "untag"]

_MAX_DEPTH = 100
_HALVES = re.compile("[\ud800-\udbff][\udc00-\udfff]")  # would come back from JSON as one character


class TaggedText(str):
    """What is left of an object that has no exact JSON form: its ``repr``."""

    __slots__ = ()


def dumps(value: Any, *, on_repr: Callable[[object], None] | None = None) -> str:
    """Write ``value`` as tagged JSON text.

    Args:
        value: Any nesting of Python and NumPy values.
        on_repr: Called with every object that does not come back as it was: of arrays
            of other libraries the NumPy array is kept, of anything else the ``repr``.

    Raises:
        ValueError: If ``value`` is nested more than 100 deep or contains itself.

    Example:
        >>> loads(dumps((1, float("inf"), {"a": np.float32(0.5)})))
        (1, inf, {'a': np.float32(0.5)})
    """
    return json.dumps(tag(value, on_repr=on_repr), allow_nan=False, separators=(",", ":"))


_HOSTILE = (KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError, MemoryError, struct.error)


def loads(text: str | bytes) -> Any:
    """Read tagged JSON text.

    Raises:
        ValueError: If the text is not tagged JSON.
    """
    try:
        return untag(json.loads(text))
    except _HOSTILE as error:
        raise ValueError(f"not tagged JSON text: {error!r}") from error


def tag(value: Any, *, on_repr: Callable[[object], None] | None = None) -> Any:
    """``dumps`` without the last step: objects that ``json`` writes as they are."""
    return _tag(value, on_repr, 0)


def untag(value: Any) -> Any:
    """The inverse of ``tag``."""
    if type(value) is list:
        return [untag(each) for each in value]
    if type(value) is not dict:
        return value
    if len(value) == 1:
        name, content = next(iter(value.items()))
        if name.startswith("$"):
            return _READERS[name](content)
    return {key: untag(each) for key, each in value.items()}


def _tag(value: Any, on_repr: Callable[[object], None] | None, depth: int) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is int or (kind is str and not _has_halves(value)):
        return value
    if kind is str:
        return {"$surrogates": _base64(value.encode("utf-8", "surrogatepass"))}
    if kind is float:
        return value if math.isfinite(value) else {"$float": struct.pack(">d", value).hex()}
    if depth > _MAX_DEPTH:
        raise ValueError(f"a value nested more than {_MAX_DEPTH} deep cannot be written as JSON")

    def tag_all(values: Any) -> list[Any]:
        return [_tag(each, on_repr, depth + 1) for each in values]

    if kind is list:
        return tag_all(value)
    if kind is tuple:
        return {"$tuple": tag_all(value)}
    if kind is dict:
        if all(type(key) is str and not key.startswith("$") and not _has_halves(key) for key in value):
            return {key: _tag(each, on_repr, depth + 1) for key, each in value.items()}
        return {"$dict": [tag_all(pair) for pair in value.items()]}
    if kind is np.ndarray and value.dtype.kind == "O":
        return {"$object": [list(value.shape), tag_all(value.ravel().tolist())]}
    if kind is np.ndarray and value.dtype.kind in "?biufcSUmM":
        return {"$array": [value.dtype.str, list(value.shape), _base64(value.tobytes())]}
    if kind is TaggedText:
        return {"$repr": ["", str(value)]}
    if kind is np.str_:
        return {"$numpy": ["U", _tag(str.__str__(value), on_repr, depth)]}  # str() would cut off a final NUL
    if kind is np.bytes_:
        return {"$numpy": ["S", _base64(value)]}
    if isinstance(value, np.generic) and value.dtype.kind in "?biufcSUmM":
        return {"$numpy": [value.dtype.str, _base64(value.tobytes())]}
    if kind is GraphInstance:
        return {"$graph": tag_all(value)}
    if kind is bytes:
        return {"$bytes": _base64(value)}
    if kind is complex:
        return {"$complex": tag_all((value.real, value.imag))}
    if kind in (set, frozenset):
        return {f"${kind.__name__}": tag_all(value)}
    if on_repr is not None:
        on_repr(value)
    array = foreign_array(value)
    if array is not None:
        return _tag(array, on_repr, depth + 1)
    return {"$repr": [f"{kind.__module__}.{kind.__qualname__}", repr(value)]}


def _has_halves(text: str) -> bool:
    return not text.isascii() and _HALVES.search(text) is not None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _read_array(content: Any) -> np.ndarray:
    dtype, shape, data = content
    return np.frombuffer(base64.b64decode(data), _safe_dtype(dtype)).reshape(shape).copy()


def _read_object(content: Any) -> np.ndarray:
    shape, items = content
    array = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        array[index] = untag(item)
    return array.reshape(shape)


def _read_numpy(content: Any) -> np.generic:
    dtype, data = content
    if dtype in ("U", "S"):
        return np.str_(untag(data)) if dtype == "U" else np.bytes_(base64.b64decode(data))
    return np.frombuffer(base64.b64decode(data), _safe_dtype(dtype))[0]  # type: ignore[no-any-return]  # NumPy: Any


def _safe_dtype(text: str) -> np.dtype:
    dtype = np.dtype(text)
    if dtype.hasobject or dtype.itemsize == 0:
        raise ValueError(f"dtype {text!r} does not belong in tagged JSON")
    return dtype


_READERS: dict[str, Callable[[Any], Any]] = {
    "$tuple": lambda content: tuple(untag(each) for each in content),
    "$dict": lambda content: {untag(key): untag(each) for key, each in content},
    "$float": lambda content: struct.unpack(">d", bytes.fromhex(content))[0],
    "$complex": lambda content: complex(untag(content[0]), untag(content[1])),
    "$bytes": base64.b64decode,
    "$surrogates": lambda content: base64.b64decode(content).decode("utf-8", "surrogatepass"),
    "$set": lambda content: {untag(each) for each in content},
    "$frozenset": lambda content: frozenset(untag(each) for each in content),
    "$graph": lambda content: GraphInstance(*(untag(each) for each in content)),
    "$array": _read_array,
    "$object": _read_object,
    "$numpy": _read_numpy,
    "$repr": lambda content: TaggedText(content[1]),
}

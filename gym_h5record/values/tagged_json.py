"""Python and NumPy values as JSON text, and back exactly as they were.

Plain JSON values stand for themselves. A value that JSON would change is an
object with one key, its tag::

    {"$tuple": [...]}                {"$array": [dtype, shape, base64]}
    {"$dict": [[key, value], ...]}   {"$numpy": [dtype, base64]}
    {"$float": "7ff0000000000000"}   {"$bytes": base64}
    {"$complex": [re, im]}           {"$set": [...]}, {"$frozenset": [...]}
    {"$object": [shape, [...]]}      an array of Python objects
    {"$graph": [nodes, edges, links]}  Gymnasium's GraphInstance
    {"$surrogates": base64}          a string with both halves of a surrogate pair side by side
    {"$int": "-0x1f"}                an integer of more than 600 digits, which Python may refuse to print
    {"$as": [class, value]}          a value of a derived class, as one of Python's own class
    {"$repr": [class, text]}         anything else: only its ``repr``, see ``TaggedText``

The text is ASCII, so any Unicode survives, lone surrogates included. Reading
never imports or calls what the text names.
"""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gym_h5record.display import full_repr
from gym_h5record.limits import MAX_DEPTH, MAX_VALUES, num_elements
from gym_h5record.values.exact import base_value, foreign_array

__all__ = [
    "IN_ITS_PLACE",
    "TaggedText",
    "dumps",
    "loads",
    "no_exact_form",
    "num_values",
    "parse_json",
    "places_of_text",
    "tag",
    "tag_anything",
    "untag",
]

_JSON_LEVELS = 4 * MAX_DEPTH  # a space or a node takes four levels of JSON at most
_ARRAY_KINDS = "?biufcSUmM"
_MAX_HOLLOW = 1 << 20  # rows of an array without elements: they take no text, but as a list they take memory
# Matches unterminated strings too; otherwise each quote in one scans the rest again, which is quadratic.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_LONG = 10**600  # Python can be told to print and read integers of up to 640 digits only
_HALVES = re.compile("[\ud800-\udbff][\udc00-\udfff]")  # JSON would read them as one character


IN_ITS_PLACE = (
    "its NumPy array, or the value of Python's own class that it stands for, else its repr, is recorded in its place"
)
"""What a warning says of an object without an exact form."""


class TaggedText(str):
    """The ``repr`` of an object that has no exact JSON form, read in its place."""

    __slots__ = ()


def dumps(value: Any, *, on_repr: Callable[[object], None] | None = None) -> str:
    """Write any nesting of Python and NumPy values as tagged JSON text.

    ``on_repr`` is called with every object that does not come back as it was. An array
    of another library is kept as its NumPy array, a value of a derived class as
    one of Python's own class, a masked array as data and mask, anything else as its ``repr``.

    Raises:
        ValueError: If ``value`` is nested more than 100 deep or contains itself.

    Example:
        >>> loads(dumps((1, float("inf"), {"a": np.float32(0.5)})))
        (1, inf, {'a': np.float32(0.5)})
    """
    return json.dumps(tag(value, on_repr=on_repr), allow_nan=False, separators=(",", ":"))


_HOSTILE = (KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError, struct.error)


def loads(text: str | bytes) -> Any:
    """Read tagged JSON text.

    Raises:
        ValueError: If the text is not tagged JSON, has more than 4 million values or is nested too deep.
    """
    try:
        return untag(_parse(text))
    except _HOSTILE as error:
        raise ValueError(f"not tagged JSON text: {error!r:.200}") from error


def parse_json(text: str | bytes, max_levels: int = _JSON_LEVELS) -> Any:
    """Read plain JSON text that may come from a hostile file.

    Raises:
        ValueError: If it is not JSON, has more than 4 million values or is nested more than ``max_levels`` deep.
    """
    try:
        value = _parse(text)
        _check_depth(value, max_levels)
    except RecursionError as error:
        raise ValueError("JSON is nested too deep") from error
    return value


def _parse(text: str | bytes) -> Any:
    if len(text) > MAX_VALUES and num_values(text) > MAX_VALUES:  # a shorter text has fewer
        raise ValueError(f"JSON has more than {MAX_VALUES} values")
    return json.loads(text)


def num_values(text: str | bytes) -> int:
    """How many values a JSON text has at most, the outermost not counted. The text is not parsed."""
    plain = _STRING.sub('""', text if isinstance(text, str) else text.decode("utf-8"))
    return sum(map(plain.count, ",[{"))


def _check_depth(value: Any, levels: int) -> None:
    if isinstance(value, (list, dict)):
        if not levels:
            raise ValueError("JSON is nested too deep")
        for each in value.values() if isinstance(value, dict) else value:
            if isinstance(each, (list, dict)):  # no call for every number: it would take longer than reading
                _check_depth(each, levels - 1)


def tag(value: Any, on_repr: Callable[[object], None] | None = None, depth: int = 0) -> Any:
    """Like ``dumps``, but returns objects that ``json`` can write instead of text; ``depth`` is that of ``value``."""
    kind = type(value)
    if value is None or kind is bool or (kind is str and not _has_halves(value)):
        return value
    if kind is int:
        return value if -_LONG < value < _LONG else {"$int": hex(value)}
    if kind is str:
        return {"$surrogates": _base64(value.encode("utf-8", "surrogatepass"))}
    if kind is float:
        return value if math.isfinite(value) else {"$float": struct.pack(">d", value).hex()}
    if depth > MAX_DEPTH:
        raise ValueError(f"a value nested more than {MAX_DEPTH} deep cannot be written as JSON")

    def tag_all(values: Any) -> list[Any]:
        return [tag(each, on_repr, depth + 1) for each in values]

    if kind is list:
        return tag_all(value)
    if kind is tuple:
        return {"$tuple": tag_all(value)}
    if kind is dict:
        if all(type(key) is str and not key.startswith("$") and not _has_halves(key) for key in value):
            return {key: tag(each, on_repr, depth + 1) for key, each in value.items()}
        return {"$dict": [tag_all(pair) for pair in value.items()]}
    if kind is np.ndarray and value.dtype.kind == "O":
        return {"$object": [list(value.shape), tag_all(value.ravel().tolist())]}
    if kind is np.ndarray and value.dtype.kind in _ARRAY_KINDS:
        return {"$array": [value.dtype.str, list(value.shape), _base64(value.tobytes())]}
    if kind is TaggedText:
        return {"$repr": ["", str(value)]}
    if kind is np.str_:
        return {"$numpy": ["U", tag(str.__str__(value), on_repr, depth)]}  # str() cuts off a final NUL
    if kind is np.bytes_:
        return {"$numpy": ["S", _base64(value)]}
    if isinstance(value, np.generic) and value.dtype.kind in _ARRAY_KINDS:
        return {"$numpy": [value.dtype.str, _base64(value.tobytes())]}
    if kind.__name__ == "GraphInstance" and kind is _graph_class():
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
        return tag(array, on_repr, depth + 1)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(value, np.ma.MaskedArray):
        parts = {"data": np.asarray(value.data), "mask": np.ma.getmaskarray(value)}
        return {"$as": [name, tag(parts, on_repr, depth + 1)]}
    base = base_value(value)
    return {"$repr": [name, full_repr(value)]} if base is None else {"$as": [name, tag(base, on_repr, depth + 1)]}


def tag_anything(value: Any, on_repr: Callable[[object], None] | None = None, depth: int = 0) -> Any:
    """Like ``tag``, but of a value that is nested too deep or contains itself, also in a dict, the ``repr`` is kept."""
    try:
        return tag(value, on_repr, depth)
    except ValueError:
        if not depth and type(value) is dict and all(type(key) is str for key in value):
            return {"$dict": [[tag(key), tag_anything(each, on_repr, 1)] for key, each in value.items()]}
        if on_repr is not None:
            on_repr(value)
        return {"$repr": [type(value).__qualname__, full_repr(value)]}


def untag(value: Any, depth: int = 0) -> Any:
    """The inverse of ``tag``. A value that is nested more than 100 deep raises ``ValueError``."""
    kind = type(value)
    if kind is not list and kind is not dict:
        return value
    if depth > MAX_DEPTH:
        raise ValueError(f"a value is nested more than {MAX_DEPTH} deep")
    if kind is list:
        return [untag(each, depth + 1) for each in value]
    if len(value) == 1:
        name, content = next(iter(value.items()))
        if name.startswith("$"):
            return _READERS[name](content, depth + 1)
    return {key: untag(each, depth + 1) for key, each in value.items()}


def no_exact_form(part: object) -> str:
    """The message of a warning about an object that ``on_repr`` was called with."""
    kind = type(part)
    return (
        f"an object of type {kind.__module__}.{kind.__qualname__} in an info or in reset options has no exact "
        f"form in the file; {IN_ITS_PLACE}."
    )


def places_of_text(value: Any) -> Iterator[str]:
    """The places of ``TaggedText`` in a value that was read.

    Yields:
        Places such as ``"/player/team[1]"``; ``""`` for the value itself, or one of its keys.
    """
    kind = type(value)
    if kind is TaggedText:
        yield ""
    elif kind is dict:
        for key, each in value.items():
            if next(places_of_text(key), None) is not None:
                yield ""
            yield from (f"/{key}{place}" for place in places_of_text(each))
    elif kind is np.ndarray and value.dtype.hasobject:
        yield from places_of_text(value.ravel().tolist())
    elif isinstance(value, (list, tuple, set, frozenset)):
        for number, each in enumerate(value):
            yield from (f"[{number}]{place}" for place in places_of_text(each))


def _graph_class() -> type[Any]:
    from gymnasium.spaces import GraphInstance  # 0.09 s, which values without graphs do not need

    return GraphInstance


def _has_halves(text: str) -> bool:
    return not text.isascii() and _HALVES.search(text) is not None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _read_array(content: Any, depth: int) -> np.ndarray:
    dtype, shape, data = content
    return np.frombuffer(base64.b64decode(data), _safe_dtype(dtype)).reshape(_safe_shape(shape)).copy()


def _read_object(content: Any, depth: int) -> np.ndarray:
    shape, items = content
    array = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        array[index] = untag(item, depth)
    return array.reshape(_safe_shape(shape))


def _read_complex(content: Any, depth: int) -> complex:
    real, imag = _untag_all(content, depth)
    return complex(real, imag)


def _read_numpy(content: Any, depth: int) -> np.generic:
    dtype, data = content
    if dtype in ("U", "S"):
        return np.str_(untag(data, depth)) if dtype == "U" else np.bytes_(base64.b64decode(data))
    return np.frombuffer(base64.b64decode(data), _safe_dtype(dtype))[0]  # type: ignore[no-any-return]  # NumPy: Any


def _safe_dtype(text: str) -> np.dtype:
    dtype = np.dtype(text)
    if dtype.kind not in _ARRAY_KINDS or dtype.itemsize == 0:
        raise ValueError(f"tagged JSON has no dtype {text!r:.80}")
    return dtype


def _safe_shape(shape: Any) -> tuple[int, ...]:
    """Check a shape: an array of shape (10**9, 0) has no bytes, but takes gigabytes as a list."""
    if not num_elements(shape) and num_elements(shape[: shape.index(0)]) > _MAX_HOLLOW:
        raise ValueError(f"an array without elements has the shape {shape!r:.80}")
    return tuple(shape)


def _untag_all(content: Any, depth: int) -> list[Any]:
    return [untag(each, depth) for each in content]


_READERS: dict[str, Callable[[Any, int], Any]] = {
    "$tuple": lambda content, depth: tuple(_untag_all(content, depth)),
    "$dict": lambda content, depth: {untag(key, depth): untag(each, depth) for key, each in content},
    "$float": lambda content, depth: struct.unpack(">d", bytes.fromhex(content))[0],
    "$int": lambda content, depth: int(content, 16),
    "$complex": _read_complex,
    "$bytes": lambda content, depth: base64.b64decode(content),
    "$surrogates": lambda content, depth: base64.b64decode(content).decode("utf-8", "surrogatepass"),
    "$set": lambda content, depth: set(_untag_all(content, depth)),
    "$frozenset": lambda content, depth: frozenset(_untag_all(content, depth)),
    "$graph": lambda content, depth: _graph_class()(*_untag_all(content, depth)),
    "$array": _read_array,
    "$object": _read_object,
    "$numpy": _read_numpy,
    "$as": lambda content, depth: untag(content[1], depth),
    "$repr": lambda content, depth: TaggedText(content[1]),
}

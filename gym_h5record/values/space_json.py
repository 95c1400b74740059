"""Gymnasium spaces as JSON, and back to an equal space.

All spaces of Gymnasium, nested in any way, with their dtypes, bounds, and keys in
their order. Random state is not kept. Spaces of other packages, which may be among
them, are described by ``gym_h5record.values.custom_spaces``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from json import dumps
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from gym_h5record.errors import CorruptRecordingError, UnsupportedSpaceError
from gym_h5record.limits import MAX_DEPTH, MAX_ITEM_BYTES, MAX_NODES, MAX_TEXT_BYTES, num_elements
from gym_h5record.values.custom_spaces import (
    CUSTOM,
    custom_from_json,
    custom_to_json,
    is_registered,
    is_registered_name,
)
from gym_h5record.values.tagged_json import tag, untag

__all__ = ["opaque_form", "same_space", "space_from_json", "space_to_json", "unregistered_classes"]

Json = dict[str, Any]
Build = Callable[[Json], Space[Any]]

_MAX_LISTED_BOUNDS = 256
_BATCHING_COPIES = 3  # spaces that Gymnasium makes of an inner one to batch its values
_CHARACTER_BYTES = 100  # in Gymnasium's index of a charset, which may have all 1.1 million characters of Unicode
_BOUNDED = ("bounded_below", "bounded_above")


def space_to_json(space: Space[Any]) -> Json:
    """Describe ``space`` as JSON. One that is too large, or has odd keys, raises ``UnsupportedSpaceError``."""
    json = _to_json(space)
    try:
        _check_size(json)
        num_bytes = len(dumps(json))
        if num_bytes > MAX_TEXT_BYTES:
            raise ValueError(f"its description has {num_bytes} bytes, at most {MAX_TEXT_BYTES} can be stored")
    except ValueError as error:
        raise UnsupportedSpaceError(f"cannot store the space {space!r:.200}: {error}") from error
    return json


def _to_json(space: Space[Any]) -> Json:
    if is_registered(space):  # also if its class is derived from one of Gymnasium's
        return custom_to_json(space)
    if isinstance(space, spaces.Box):
        return _box_to_json(space)
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start), "dtype": space.dtype.str}
    if isinstance(space, spaces.MultiDiscrete):
        numbers = {"nvec": space.nvec.tolist(), "start": space.start.tolist()}
        return {"type": "MultiDiscrete", "dtype": space.dtype.str, **numbers}
    if isinstance(space, spaces.MultiBinary):
        return {"type": "MultiBinary", "n": list(space.n) if isinstance(space.n, tuple) else int(space.n)}
    if isinstance(space, spaces.Text):
        lengths = {"min_length": int(space.min_length), "max_length": int(space.max_length)}
        return {"type": "Text", **lengths, "charset": tag("".join(space.character_list))}
    if isinstance(space, spaces.Dict):  # keys may be anything hashable, and their order counts: a list of pairs
        pairs = [[tag(key, on_repr=_refuse_key), _to_json(each)] for key, each in space.spaces.items()]
        return {"type": "Dict", "spaces": pairs}
    if isinstance(space, spaces.Tuple):
        return {"type": "Tuple", "spaces": list(map(_to_json, space.spaces))}
    if isinstance(space, spaces.OneOf):
        return {"type": "OneOf", "spaces": list(map(_to_json, space.spaces))}
    if isinstance(space, spaces.Sequence):
        return {"type": "Sequence", "space": _to_json(space.feature_space), "stack": bool(space.stack)}
    if isinstance(space, spaces.Graph):
        edges = None if space.edge_space is None else _to_json(space.edge_space)
        return {"type": "Graph", "nodes": _to_json(space.node_space), "edges": edges}
    return custom_to_json(space)


def _box_to_json(space: spaces.Box) -> Json:
    json = {"type": "Box", "dtype": space.dtype.str, "shape": list(space.shape)}
    json |= {"low": _bound_to_json(space.low), "high": _bound_to_json(space.high)}
    if space.dtype.kind != "f":  # an integer bound cannot be infinite: Box says apart whether there is one
        flags = {name: getattr(space, name) for name in _BOUNDED}
        json |= {name: _bound_to_json(flag) for name, flag in flags.items() if not flag.all()}
    return json


def _refuse_key(key: object) -> None:
    raise UnsupportedSpaceError(
        f"cannot store a Dict space with the key {key!r} of type {type(key).__qualname__}: keys may be strings, "
        "numbers, None, bytes, and tuples and frozensets of them."
    )


def space_from_json(json: Json, *, is_opaque: bool = False) -> Space[Any]:
    """Build the space that ``space_to_json`` described. Other JSON raises ``CorruptRecordingError``.

    Args:
        json: The description.
        is_opaque: Whether an ``OpaqueSpace`` stands for each custom space, as if no class were registered.
    """
    try:
        _check_size(json)
        return _build(json, is_opaque=is_opaque)
    except CorruptRecordingError:
        raise
    except Exception as error:  # constructors raise anything for hostile arguments
        problem = f"{type(error).__name__}: {error}"
        raise CorruptRecordingError(f"not the description of a space: {problem:.200}") from error


def opaque_form(space: Space[Any]) -> Space[Any]:
    """A space as a program reads it that has registered no class: an ``OpaqueSpace`` stands for each custom space."""
    return space_from_json(space_to_json(space), is_opaque=True)


def same_space(first: Space[Any], second: Space[Any]) -> bool:
    """Whether two spaces are equal, or a file would say the same of both; one may be live, the other from a file."""
    if first == second:
        return True
    if not (_has_custom(first) or _has_custom(second)):  # their descriptions may be as large as a file says
        return False
    try:
        return bool(opaque_form(first) == opaque_form(second))
    except UnsupportedSpaceError:  # one of them can be in no file
        return False


def _has_custom(space: Space[Any]) -> bool:
    """Whether the class of a space, or of one inside it, is none of Gymnasium's."""
    if isinstance(space, spaces.Dict):
        inner = [*space.spaces.values()]
    elif isinstance(space, (spaces.Tuple, spaces.OneOf)):
        inner = [*space.spaces]
    else:  # Sequence, Graph
        parts = (getattr(space, name, None) for name in ("feature_space", "node_space", "edge_space"))
        inner = [part for part in parts if isinstance(part, Space)]
    is_own = getattr(spaces, type(space).__name__, None) is type(space)
    return not is_own or any(map(_has_custom, inner))


def unregistered_classes(space: Space[Any]) -> list[str]:
    """The classes of custom spaces, inside a space or itself, of which a file does not give the space back here."""
    custom = [each for each in _walk(space_to_json(space)) if each["type"] == CUSTOM]
    return [each["class"] for each in custom if "json" not in each or not is_registered_name(each["class"])]


def _walk(json: Json) -> Iterator[Json]:
    yield json
    for part in _parts(json):
        yield from _walk(part)


def _build(json: Json, *, is_opaque: bool) -> Space[Any]:
    kind = json["type"]
    if kind == CUSTOM:
        return custom_from_json(json, is_opaque=is_opaque)
    return _LEAVES[kind](json) if kind in _LEAVES else _TREES[kind](json, partial(_build, is_opaque=is_opaque))


def _check_size(json: Json) -> None:
    """Refuse a space that would take too much memory, time or stack, before it is built."""
    num_bytes, num_spaces = 0, 1
    level = [(json, 1)]
    for _ in range(MAX_DEPTH):
        num_bytes += sum(copies * _array_bytes(each) for each, copies in level)
        if num_bytes > MAX_ITEM_BYTES:
            raise ValueError(f"values of {num_bytes} bytes, at most {MAX_ITEM_BYTES} can be stored")
        inside = [(_parts(each), copies * _copies(each)) for each, copies in level]
        num_spaces += sum(len(parts) * copies for parts, copies in inside)
        if num_spaces > MAX_NODES:  # before the next level is read
            raise ValueError(f"{num_spaces} spaces, at most {MAX_NODES} can be stored")
        level = [(part, copies) for parts, copies in inside for part in parts]
        if not level:
            return
    raise ValueError(f"its spaces are nested more than {MAX_DEPTH} deep")


def _parts(json: Json) -> list[Json]:
    """The descriptions of the spaces directly inside a space."""
    if json["type"] == "Dict":
        return [each for _, each in json["spaces"]]
    if json["type"] == "Graph":
        return [each for each in (json["nodes"], json["edges"]) if each is not None]
    if json["type"] == "Sequence":
        return [json["space"]]
    return list(json["spaces"]) if json["type"] in ("Tuple", "OneOf") else []


def _copies(json: Json) -> int:
    """How many copies of each space directly inside it a space makes. Graphs and stacked sequences batch theirs."""
    return _BATCHING_COPIES if json["type"] == "Graph" or json.get("stack") else 1


def _array_bytes(json: Json) -> int:
    """Bytes that the space itself keeps: bounds, or an index of characters."""
    if json["type"] == "Box":
        return num_elements(json["shape"]) * _number_dtype(json["dtype"]).itemsize
    if json["type"] == "MultiBinary":
        return num_elements(json["n"] if isinstance(json["n"], list) else [json["n"]])
    if json["type"] == "Text":
        return len(json["charset"]) * _CHARACTER_BYTES if isinstance(json["charset"], str) else 0
    return 0


def _number_dtype(text: str) -> np.dtype:
    dtype = np.dtype(text)
    if dtype.kind not in "biuf":
        raise ValueError(f"the dtype {text!r:.80} of a space")
    return dtype


def _bound_to_json(bound: np.ndarray) -> Any:
    """One value if all are equal (those of an image are 100,000), a list if they are few, else an array."""
    if not bound.size:
        return {"all": 0}  # the list of 2^40 rows of nothing would take all memory
    if (bound == bound.flat[0]).all():
        return {"all": tag(bound.flat[0].item())}
    return tag(bound.tolist() if bound.size <= _MAX_LISTED_BOUNDS else bound)


def _bound_from_json(json: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    if isinstance(json, dict) and "all" in json:
        return np.full(shape, untag(json["all"]), dtype)
    return np.asarray(untag(json), dtype).reshape(shape)


def _box(json: Json) -> Space[Any]:
    dtype, shape = _number_dtype(json["dtype"]), tuple(json["shape"])
    low, high = (_bound_from_json(json[name], shape, dtype) for name in ("low", "high"))
    space = spaces.Box(low, high, shape, dtype)  # not dtype.type: that has no byte order
    for name in _BOUNDED:
        if name in json:
            setattr(space, name, _bound_from_json(json[name], shape, np.dtype(np.bool_)))
    return space


def _discrete(json: Json) -> Space[Any]:
    dtype = _number_dtype(json["dtype"])
    options: dict[str, Any] = {} if dtype == np.int64 else {"dtype": dtype.type}  # Gymnasium 1.1 and 1.2 lack it
    return spaces.Discrete(json["n"], start=json["start"], **options)


def _multi_discrete(json: Json) -> Space[Any]:
    dtype: Any = _number_dtype(json["dtype"])
    nvec, start = np.array(json["nvec"], dtype), np.array(json["start"], dtype)
    return spaces.MultiDiscrete(nvec, dtype=dtype.type, start=start)


def _text(json: Json) -> Space[Any]:
    return spaces.Text(json["max_length"], min_length=json["min_length"], charset=untag(json["charset"]))


def _graph(json: Json, build: Build) -> Space[Any]:
    edges = None if json["edges"] is None else build(json["edges"])
    return spaces.Graph(build(json["nodes"]), edges)


_LEAVES: dict[str, Build] = {
    "Box": _box,
    "Discrete": _discrete,
    "MultiDiscrete": _multi_discrete,
    "MultiBinary": lambda json: spaces.MultiBinary(json["n"]),
    "Text": _text,
}

_TREES: dict[str, Callable[[Json, Build], Space[Any]]] = {
    # Dict sorts the keys of a mapping but keeps the order of a list.
    "Dict": lambda json, build: spaces.Dict([(untag(key), build(each)) for key, each in json["spaces"]]),
    "Tuple": lambda json, build: spaces.Tuple(list(map(build, json["spaces"]))),
    "Sequence": lambda json, build: spaces.Sequence(build(json["space"]), stack=json["stack"]),
    "Graph": _graph,
    "OneOf": lambda json, build: spaces.OneOf(list(map(build, json["spaces"]))),
}

"""The spec of an environment as JSON text, and back, without importing what it names.

Gymnasium's own JSON if it loses nothing, since other tools read it. But it turns
tuples into lists, and refuses NumPy, spaces, enums, classes and functions. A spec
with any of them becomes the same JSON object with ``"gym_h5record": 1`` in it,
values as in ``gym_h5record.values.tagged_json``, and also::

    {"$named": ["module", "qualname"]}   a class, a function, a member of an enum
    {"$dtype": "<f4"}                    a NumPy dtype
    {"$space": 0}                        the first of the object's "spaces"

Reading gives ``Named`` objects for names; ``resolve`` imports them.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from enum import Enum
from numbers import Integral, Real
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from gymnasium.envs.registration import EnvSpec, WrapperSpec

from gym_h5record.errors import CorruptRecordingError, SpecError, UnsupportedSpaceError
from gym_h5record.limits import MAX_DEPTH, MAX_TEXT_BYTES
from gym_h5record.values.qualified_names import Named, name_of
from gym_h5record.values.space_json import space_from_json, space_to_json, unregistered_classes
from gym_h5record.values.tagged_json import parse_json, tag, untag

__all__ = ["resolve", "spec_from_json", "spec_obstacle", "spec_to_json", "without_onlookers"]

Json = Any

_MARK = "gym_h5record"
_VERSION = 1
_DTYPE = re.compile(r"[<>|=][?biufcSUmMOV]\d{0,9}(\[\w{1,9}\])?")
_ONLOOKERS = (
    "gymnasium.wrappers.rendering:HumanRendering",
    "gymnasium.wrappers.rendering:RecordVideo",
    "gym_h5record.recorder:RecordToHDF5",
)
_FIELDS = tuple(field.name for field in dataclasses.fields(EnvSpec) if field.init)


def spec_to_json(spec: EnvSpec) -> str:
    """Write a spec as text. ``SpecError`` names an argument that would not come back as it was."""
    theirs = _gymnasium_json(spec)
    try:
        own = _own_json(spec)
    except SpecError:
        if theirs is None or not _is_same(EnvSpec.from_json(theirs), spec):
            raise
        return theirs
    # The texts, not the specs: 1 == True, and arrays have no ==.
    return own if theirs is None or _own_json(EnvSpec.from_json(theirs)) != own else theirs


def spec_from_json(text: str) -> EnvSpec:
    """Read a spec from the text of ``spec_to_json`` or ``EnvSpec.to_json``; it may be hostile.

    Nothing is imported: the spec has ``Named`` in place of classes, functions and members of enums.
    """
    try:
        content = dict(parse_json(text, MAX_DEPTH))
        if _MARK in content:
            content = _unmark(content)
        wrappers = [WrapperSpec(**each) for each in content.pop("additional_wrappers")]
        spec = EnvSpec(**content, additional_wrappers=tuple(wrappers))
        _check_types(spec)
    except Exception as error:  # constructors raise anything for hostile arguments
        problem = f"{type(error).__name__}: {error}"
        raise CorruptRecordingError(f"not the spec of an environment: {problem:.200}") from error
    return spec


def resolve(spec: EnvSpec) -> EnvSpec:
    """Replace names by the objects that they name. This imports modules, and so runs code.

    A name that finds nothing, or a space whose class is not registered, raises ``SpecError``.
    """
    wrappers = [WrapperSpec(each.name, each.entry_point, _resolved(each.kwargs)) for each in spec.additional_wrappers]
    fields = {name: _resolved(getattr(spec, name)) for name in _FIELDS if name != "additional_wrappers"}
    return EnvSpec(**fields, additional_wrappers=tuple(wrappers))


def spec_obstacle(spec: EnvSpec) -> str:
    """Why no environment can be made from a spec; empty if the spec names no reason."""
    for wrapper in spec.additional_wrappers:
        if wrapper.kwargs is None:
            return (
                f"the wrapper {wrapper.entry_point} does not record its arguments: "
                "it does not inherit from gymnasium.utils.RecordConstructorArgs"
            )
    return "" if spec.entry_point is not None else f"{spec.id} has no entry_point, it is made by make_vec only"


def without_onlookers(spec: EnvSpec) -> EnvSpec:
    """A spec without the wrappers that only show or record the environment, and so do not change it."""
    kept = tuple(each for each in spec.additional_wrappers if each.entry_point not in _ONLOOKERS)
    return dataclasses.replace(spec, additional_wrappers=kept)


# Writing ------------------------------------------------------------------------------------------


def _gymnasium_json(spec: EnvSpec) -> str | None:
    try:
        text = spec.to_json()
        if len(text) > MAX_TEXT_BYTES:
            return None
        spec_from_json(text)
    except Exception:  # noqa: BLE001  # to_json copies the arguments, which may raise anything
        return None
    return text


def _is_same(first: EnvSpec, second: EnvSpec) -> bool:
    try:
        return first == second
    except ValueError:  # arrays have no single truth value
        return False


def _own_json(spec: EnvSpec) -> str:
    found: list[Space[Any]] = []
    content: dict[str, Json] = {_MARK: _VERSION}
    for name in _FIELDS:
        if name not in ("kwargs", "additional_wrappers"):
            content[name] = _encode(getattr(spec, name), f"the {name} of {spec.id}", found)
    content["kwargs"] = _encode_kwargs(spec.kwargs, spec.id, found)
    content["additional_wrappers"] = []
    for each in spec.additional_wrappers:
        kwargs = _encode_kwargs(each.kwargs, f"the wrapper {each.entry_point}", found)
        content["additional_wrappers"].append({"name": each.name, "entry_point": each.entry_point, "kwargs": kwargs})
    try:
        if found:  # as one Tuple: reading limits their size together
            content["spaces"] = space_to_json(spaces.Tuple(found))["spaces"]
        text = json.dumps(content, allow_nan=False)
        if len(text) > MAX_TEXT_BYTES:
            raise SpecError(f"the spec of {spec.id} has {len(text)} bytes as JSON, at most {MAX_TEXT_BYTES} are stored")
        spec_from_json(text)
    except (UnsupportedSpaceError, CorruptRecordingError, TypeError) as error:
        raise SpecError(f"the spec of {spec.id} cannot be stored: {error}") from error
    return text


def _encode_kwargs(kwargs: dict[str, Any] | None, owner: str, found: list[Space[Any]]) -> Json:
    if kwargs is None:
        return None
    if type(kwargs) is not dict:
        kind = type(kwargs).__qualname__
        raise SpecError(f"the arguments of {owner} cannot be stored: expected a dict, got a {kind}")
    pairs = {name: _encode(value, f"the argument {name} of {owner}", found) for name, value in kwargs.items()}
    return pairs if all(map(_is_plain_key, kwargs)) else {"$dict": [[tag(name), pairs[name]] for name in pairs]}


def _encode(value: Any, where: str, found: list[Space[Any]], depth: int = 0) -> Json:
    """Encode an argument. ``where`` names it in messages; its spaces are appended to ``found``."""
    kind = type(value)
    if depth > MAX_DEPTH:
        raise SpecError(f"{where:.300} cannot be stored: it is nested more than {MAX_DEPTH} deep")

    def encode_all(values: Any) -> list[Json]:
        return [_encode(each, f"{where}[{index}]", found, depth + 1) for index, each in enumerate(values)]

    if kind is list:
        return encode_all(value)
    if kind in (tuple, set, frozenset):
        return {f"${kind.__name__}": encode_all(value)}
    if kind is dict:
        values = [_encode(each, f"{where}[{key!r:.40}]", found, depth + 1) for key, each in value.items()]
        if all(map(_is_plain_key, value)):
            return dict(zip(value, values, strict=True))
        return {"$dict": [list(pair) for pair in zip(encode_all(value), values, strict=True)]}
    if isinstance(value, Space):
        _check_registered(value, f"{where:.300} cannot be stored")
        found.append(value)
        return {"$space": len(found) - 1}
    if isinstance(value, np.dtype) and _DTYPE.fullmatch(value.str) and np.dtype(value.str) == value:
        return {"$dtype": value.str}
    try:
        if isinstance(value, Enum) or callable(value):
            named = name_of(value)
            return {"$named": [named.module, named.qualname]}
        return tag(value, on_repr=_refuse)
    except (ValueError, TypeError) as error:
        raise SpecError(f"{where} cannot be stored: {error}") from error


def _check_registered(space: Space[Any], problem: str) -> None:
    """Refuse a space that would come back as an ``OpaqueSpace``: an environment needs the space itself."""
    unknown = unregistered_classes(space)
    if unknown:
        raise SpecError(
            f"{problem}: it is or holds a space of the class {unknown[0]:.300}, which is not registered. "
            "Call gym_h5record.register_space with it."
        )


def _is_plain_key(key: Any) -> bool:
    return type(key) is str and not key.startswith("$") and tag(key) == key


def _refuse(part: object) -> None:
    raise TypeError(f"an object of type {type(part).__module__}.{type(part).__qualname__} has no exact form")


# Reading ------------------------------------------------------------------------------------------


def _unmark(content: dict[str, Json]) -> dict[str, Any]:
    version = content.pop(_MARK)
    if version != _VERSION:
        raise ValueError(f"its version is {version!r:.20}, expected {_VERSION}")
    listed = space_from_json({"type": "Tuple", "spaces": content.pop("spaces", [])})
    return {name: _decode(value, listed) for name, value in content.items()}


def _decode(value: Json, listed: Any) -> Any:
    if type(value) is list:
        return [_decode(each, listed) for each in value]
    if type(value) is not dict:
        return value
    if len(value) == 1:
        name, content = next(iter(value.items()))
        if name in _READERS:
            return _READERS[name](content, listed)
        if name.startswith("$"):
            return untag(value)
    return {key: _decode(each, listed) for key, each in value.items()}


def _read_dtype(text: Json) -> np.dtype:
    if not _DTYPE.fullmatch(text):
        raise ValueError(f"unknown dtype {text!r:.80}")
    return np.dtype(text)


def _read_space(index: Json, listed: Any) -> Space[Any]:
    if type(index) is not int or not 0 <= index < len(listed.spaces):
        raise ValueError(f"space {index!r:.20} of {len(listed.spaces)}")
    return listed.spaces[index]  # type: ignore[no-any-return]  # listed is a Tuple space


_READERS: dict[str, Callable[[Json, Any], Any]] = {
    "$tuple": lambda content, listed: tuple(_decode(content, listed)),
    "$set": lambda content, listed: set(_decode(content, listed)),
    "$frozenset": lambda content, listed: frozenset(_decode(content, listed)),
    "$dict": lambda content, listed: {_decode(key, listed): _decode(each, listed) for key, each in content},
    "$named": lambda content, listed: Named(*content),
    "$dtype": lambda content, listed: _read_dtype(content),
    "$space": _read_space,
}


_TYPES: dict[str, Any] = {
    "id": str,
    "entry_point": (str, Named, type(None)),
    "vector_entry_point": (str, Named, type(None)),
    "reward_threshold": (Real, type(None)),
    "max_episode_steps": (Integral, type(None)),
    "nondeterministic": bool,
    "order_enforce": bool,
    "disable_env_checker": bool,
}


def _check_types(spec: EnvSpec) -> None:
    """Check that the parts of a spec have the types that ``EnvSpec`` declares."""
    for name, kind in _TYPES.items():
        if not isinstance(getattr(spec, name), kind):
            raise TypeError(f"its {name} is {getattr(spec, name)!r:.80}")
    for wrapper in spec.additional_wrappers:
        if type(wrapper.name) is not str or type(wrapper.entry_point) is not str:
            raise TypeError(f"a wrapper is {wrapper.name!r:.80} from {wrapper.entry_point!r:.80}")
    for kwargs in (spec.kwargs, *(each.kwargs for each in spec.additional_wrappers if each.kwargs is not None)):
        if type(kwargs) is not dict or not all(type(name) is str for name in kwargs):
            raise TypeError(f"arguments are {kwargs!r:.80}")


# Resolving ----------------------------------------------------------------------------------------


def _resolved(value: Any) -> Any:
    kind = type(value)
    if kind is Named:
        return value.find()
    if isinstance(value, Space):
        _check_registered(value, "an argument cannot be made from the file")
    if kind is dict:
        return {_resolved(key): _resolved(each) for key, each in value.items()}
    return kind(map(_resolved, value)) if kind in (list, tuple, set, frozenset) else value

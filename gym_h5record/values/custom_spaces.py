"""Spaces of other packages: how a file describes them, and which classes of them come back equal.

A description has the class and the ``repr`` of the space, and what ``to_json`` gave if the class is registered.
The class is only text: reading looks it up among the registered ones, and never imports it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from gymnasium import Space, spaces

from gym_h5record.errors import CorruptRecordingError, UnsupportedSpaceError
from gym_h5record.values.exact import identical
from gym_h5record.values.tagged_json import dumps, parse_json, tag, untag

__all__ = [
    "CUSTOM",
    "OpaqueSpace",
    "custom_from_json",
    "custom_to_json",
    "is_registered",
    "is_registered_name",
    "register_space",
]

Json = dict[str, Any]
AnySpace = TypeVar("AnySpace", bound=Space[Any])

CUSTOM = "$custom"
"""The type of a custom space in JSON."""

_MAX_NAME = 1000  # characters
_MAX_TEXT = 10_000  # characters of a repr: a space may hold a whole data set
_MAX_LEVELS = 60  # of JSON below a space; a hundred nested spaces have 300 more, and 400 can be read
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # in the repr of a function: another one in every process


@dataclass(frozen=True)
class _Registered:
    """A class of spaces, and how to describe one and build it again."""

    cls: type[Space[Any]]
    to_json: Callable[[Any], Any]
    from_json: Callable[[Any], Any]


_registered: dict[str, _Registered] = {}


def register_space(
    cls: type[AnySpace], to_json: Callable[[AnySpace], Any], from_json: Callable[[Any], AnySpace]
) -> None:
    """Let spaces of a class come back equal from a recording.

    Call it before you record, and again in every program that reads. Without it, a space of another package is read as
    an ``OpaqueSpace``; its values need no registration. A class that is registered again gets the new functions.

    Args:
        cls: A class derived from ``gymnasium.Space``. Classes derived from it are not registered.
        to_json: Called with a space; returns what it is made of: None, numbers, strings, NumPy arrays, and lists,
            tuples and dicts of them.
        from_json: Called with what ``to_json`` returned; returns an equal space. The file may come from a stranger.

    Raises:
        UnsupportedSpaceError: If ``cls`` is no class of spaces, or is one of Gymnasium's own.

    Example:
        >>> class Words(Space):
        ...     def __init__(self, words):
        ...         super().__init__()
        ...         self.words = words
        >>> register_space(Words, to_json=lambda space: space.words, from_json=Words)
    """
    given: object = cls
    if not isinstance(given, type) or not issubclass(given, Space):
        raise UnsupportedSpaceError(f"register_space: expected a class of gymnasium.Space, got {given!r:.200}.")
    if cls in (Space, OpaqueSpace) or getattr(spaces, cls.__name__, None) is cls:
        raise UnsupportedSpaceError(f"register_space: {cls.__name__} comes back equal without being registered.")
    _registered[_name(cls)] = _Registered(cls, to_json, from_json)


def is_registered(space: Space[Any]) -> bool:
    """Whether the class of a space is registered."""
    known = _registered.get(_name(type(space)))
    return known is not None and known.cls is type(space)


def is_registered_name(name: str) -> bool:
    """Whether a class of this name, ``"module:qualname"``, is registered."""
    return name in _registered


class OpaqueSpace(Space[Any]):
    """Stands for a space of another package whose class is not registered with ``register_space``.

    It contains every value and cannot be sampled. Two are equal if they stand for the same class and text, or for the
    same content where ``register_space`` knew the class when the spaces were recorded.

    Args:
        class_name: The class, ``"module:qualname"``.
        text: The ``repr`` of the space.

    Raises:
        UnsupportedSpaceError: If one of them is not text, or too long.

    Attributes:
        class_name: The class, ``"module:qualname"``.
        text: The ``repr`` of the space, without addresses of memory.
        description: What the file says about the space.
    """

    def __init__(self, class_name: str, text: str) -> None:
        super().__init__()
        for part, limit in ((class_name, _MAX_NAME), (text, 2 * _MAX_TEXT)):
            if type(part) is not str or len(part) > limit:
                raise UnsupportedSpaceError(f"an OpaqueSpace needs text of up to {limit} characters, got {part!r:.80}")
        self.class_name = class_name
        self.text = text
        self.description: Json = {"type": CUSTOM, "class": class_name, "repr": tag(text)}

    @property
    def is_np_flattenable(self) -> bool:
        """False: nothing is known about the values."""
        return False

    def contains(self, x: Any) -> bool:
        """True: nothing is known about the values."""
        return True

    def sample(self, mask: Any = None, probability: Any = None) -> Any:
        """Raise ``UnsupportedSpaceError``: only the space itself knows its values."""
        raise UnsupportedSpaceError(
            f"cannot sample {self!r:.300}: it stands for a space that was recorded as text only. "
            f"Call gym_h5record.register_space with the class {self.class_name}, before you record and before you read."
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OpaqueSpace) or self.class_name != other.class_name:
            return False
        if "json" in self.description and "json" in other.description:
            return identical(self.description["json"], other.description["json"])
        return self.text == other.text

    def __repr__(self) -> str:
        return f"OpaqueSpace({self.class_name!r}, {self.text!r})"


def custom_to_json(space: Space[Any]) -> Json:
    """Describe a space that is registered, or that is none of Gymnasium's.

    Raises:
        UnsupportedSpaceError: If ``to_json`` fails, or returns what has no exact form in JSON.
    """
    if isinstance(space, OpaqueSpace):
        return space.description
    name = _name(type(space))
    text = _ADDRESS.sub("", repr(space))
    if len(text) > _MAX_TEXT:
        text = f"{text[:_MAX_TEXT]} ... and {len(text) - _MAX_TEXT} more characters"
    description = {"type": CUSTOM, "class": name, "repr": tag(text)}
    return {**description, "json": _content(space, name)} if is_registered(space) else description


def _content(space: Space[Any], name: str) -> Any:
    """What ``to_json`` says about a space."""
    try:
        return parse_json(dumps(_registered[name].to_json(space), on_repr=_refuse), _MAX_LEVELS)
    except Exception as error:  # the user's function can raise anything
        problem = f"the to_json that register_space was given for {name} failed: {type(error).__name__}: {error}"
        raise UnsupportedSpaceError(f"cannot store the space {space!r:.200}: {problem}") from error


def _refuse(part: object) -> None:
    raise TypeError(f"it returned an object of type {type(part).__module__}.{type(part).__qualname__}")


def custom_from_json(json: Json, *, is_opaque: bool) -> Space[Any]:
    """Build the space that ``custom_to_json`` described; an ``OpaqueSpace`` if ``is_opaque``, or if it must be one.

    Raises:
        CorruptRecordingError: If the registered ``from_json`` fails.
        Exception: Any other, if the description has wrong parts.
    """
    space = OpaqueSpace(json["class"], untag(json["repr"]))
    if "json" not in json:
        return space
    space.description["json"] = json["json"]
    name = space.class_name
    known = _registered.get(name)
    if known is None or is_opaque:
        return space
    try:
        found = known.from_json(untag(json["json"]))
        if not isinstance(found, known.cls):
            raise TypeError(f"expected a space of the class {name}, got {found!r:.200}")
    except Exception as error:  # the user's function can raise anything
        problem = f"failed: {type(error).__name__}: {error!s:.300}"
        raise CorruptRecordingError(f"the from_json that register_space was given for {name} {problem}") from error
    return found


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"

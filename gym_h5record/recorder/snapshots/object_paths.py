"""Paths into plain objects: attributes, items of lists, tuples and dicts. They are read without running any code.

A path is a list of segments: a text is an attribute; a number is a position in a list or a tuple, or in a dict; a list
of one text or whole number is a key of a dict. This is also its form in JSON.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

from gym_h5record.values.differences import ABSENT

__all__ = ["SEQUENCES", "follow", "named_parts", "own_dict", "path_text", "put"]

SEQUENCES = (list, tuple, deque)

_KEYS = (str, int)
_DESCRIPTORS = (GetSetDescriptorType, MemberDescriptorType)  # of CPython itself: they run no code of the class


def own_dict(thing: Any) -> dict[str, Any]:
    """The ``__dict__`` of an object, empty if it has none.

    ``vars`` would call a ``__dict__`` or a ``__getattribute__`` that the class of the object defines itself.
    """
    for each in type(thing).__mro__:
        found = each.__dict__.get("__dict__")
        if found is not None:
            attributes = found.__get__(thing) if type(found) in _DESCRIPTORS else None
            return attributes if type(attributes) is dict else {}
    return {}


def named_parts(thing: Any) -> Iterator[tuple[Any, Any]]:
    """Segment and value of each attribute and each item of an object."""
    if issubclass(type(thing), SEQUENCES):  # isinstance may ask for __class__, which may be a property
        yield from enumerate(_items(thing))
    elif issubclass(type(thing), dict):
        for position, (key, value) in enumerate(list(dict.items(thing))):
            yield [key] if type(key) in _KEYS else position, value
    yield from list(own_dict(thing).items())
    for name, slot in _slots(thing).items():
        value = _read_slot(slot, thing)
        if value is not ABSENT:
            yield name, value


def follow(thing: Any, path: Sequence[Any]) -> Any:
    """The object at the end of a path, ``ABSENT`` if the path leads nowhere."""
    for segment in path:
        if thing is ABSENT:
            break
        thing = _part(thing, segment)
    return thing


def put(thing: Any, path: Sequence[Any], value: Any) -> None:
    """Set the part at the end of a path that can be followed. A tuple on the way is replaced by a new one.

    Raises:
        LookupError: If there is no such part.
    """
    *above, last = path
    holder = follow(thing, above)
    kind = type(holder)
    if type(last) is str:
        attributes = own_dict(holder)
        if last in attributes:
            attributes[last] = value
        else:
            _slots(holder)[last].__set__(holder, value)
    elif issubclass(kind, tuple):
        items = _items(holder)
        items[last] = value
        put(thing, above, tuple.__new__(kind, items))
    elif issubclass(kind, dict):
        key = last[0] if type(last) is list else list(dict.keys(holder))[last]
        dict.__setitem__(holder, key, value)
    else:
        (list if issubclass(kind, list) else deque).__setitem__(holder, last, value)


def path_text(path: Sequence[Any]) -> str:
    """A path as Python would write it, such as ``game.enemies[2].rng``."""
    texts = []
    for segment in path:
        if type(segment) is str:
            texts.append(f".{segment}")
        else:
            texts.append(f"[{segment[0]!r}]" if type(segment) is list else f"[{segment}]")
    return "".join(texts).removeprefix(".")


def _part(thing: Any, segment: Any) -> Any:
    if type(segment) is str:
        found = own_dict(thing).get(segment, ABSENT)
        slot = _slots(thing).get(segment) if found is ABSENT else None
        return found if slot is None else _read_slot(slot, thing)
    if issubclass(type(thing), dict):
        if type(segment) is list:
            return dict.get(thing, segment[0], ABSENT)
        return next(islice(dict.values(thing), segment, None), ABSENT)
    if type(segment) is not int or not issubclass(type(thing), SEQUENCES):
        return ABSENT
    return next(islice(_items(thing), segment, None), ABSENT)


def _items(sequence: Any) -> list[Any]:
    """The items of a sequence; its class may define another ``__iter__``."""
    kind: Any = next(each for each in SEQUENCES if issubclass(type(sequence), each))
    return list(kind.__iter__(sequence))


def _slots(thing: Any) -> dict[str, MemberDescriptorType]:
    """The descriptors of the ``__slots__`` of an object, those of derived classes first."""
    found: dict[str, MemberDescriptorType] = {}
    for each in type(thing).__mro__:
        for name, value in each.__dict__.items():
            if type(value) is MemberDescriptorType and name != "__dict__":
                found.setdefault(name, value)
    return found


def _read_slot(slot: MemberDescriptorType, thing: Any) -> Any:
    try:
        return slot.__get__(thing)
    except AttributeError:  # it is not set
        return ABSENT

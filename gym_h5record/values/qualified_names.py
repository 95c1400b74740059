"""Classes, functions and enum members by their names in their modules.

A name is only text, also one from a hostile file. ``Named.find`` imports the module, which runs its code: only
functions that build an environment on the user's request call it.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from enum import Enum
from types import MethodType
from typing import Any

from gym_h5record.errors import SpecError

__all__ = ["Named", "name_of"]

_MAX_NAME = 1000  # characters


@dataclass(frozen=True)
class Named:
    """The name of an object: ``module:qualname``, like an entry point of Gymnasium.

    Args:
        module: Such as ``"gymnasium.wrappers"``.
        qualname: Such as ``"TimeLimit"``, or ``"Color.RED"`` for a member of a class.

    Raises:
        ValueError: If a part is not an identifier of Python.
    """

    module: str
    qualname: str

    def __post_init__(self) -> None:
        for part in (self.module, self.qualname):
            if type(part) is not str or len(part) > _MAX_NAME or not all(map(str.isidentifier, part.split("."))):
                raise ValueError(f"{part!r:.80} is no name of a module or of an object in one")

    def __str__(self) -> str:
        return f"{self.module}:{self.qualname}"

    def find(self) -> Any:
        """Import the module and get the object from it. If that fails, it raises ``SpecError``."""
        try:
            return _member(importlib.import_module(self.module), self.qualname)
        except Exception as error:  # a module can raise anything
            hint = ", which was defined in the script that recorded it" if self.module == "__main__" else ""
            raise SpecError(f"cannot find {self}{hint}: {type(error).__name__}: {error!s:.300}") from error


def name_of(thing: Any) -> Named:
    """The name that finds a class, a function or a member of an enum again; nothing is imported.

    Raises:
        ValueError: If no name finds it; the message says why.

    Example:
        >>> str(name_of(Named))
        'gym_h5record.values.qualified_names:Named'
    """
    module, qualname = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if isinstance(thing, Enum):
        qualname = f"{type(thing).__qualname__}.{thing.name}"
    if type(module) is not str or type(qualname) is not str:
        raise ValueError(f"an object of type {type(thing).__module__}.{type(thing).__qualname__} has no name")
    if "<lambda>" in qualname:
        raise ValueError("a lambda has no name; define a function at the top of a module instead")
    if "<locals>" in qualname:
        raise ValueError(f"{qualname} is defined inside a function; define it at the top of a module")
    try:
        found = _member(sys.modules[module], qualname)
    except (KeyError, AttributeError):
        found = None
    if found is not thing and not (isinstance(thing, MethodType) and found == thing):
        raise ValueError(f"{module}:{qualname} is not where its name says")
    return Named(module, qualname)


def _member(parent: Any, qualname: str) -> Any:
    for name in qualname.split("."):
        parent = getattr(parent, name)
    return parent

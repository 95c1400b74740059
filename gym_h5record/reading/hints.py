"""Hints for attributes that do not exist: the names of other libraries for what recordings and episodes offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

__all__ = ["Hinting"]


class Hinting:
    """A class whose ``AttributeError`` says what to write instead, if the name is one of ``_hints``.

    Attributes:
        _hints: What to write instead, by the name that does not exist.
    """

    _hints: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:  # a checker knows that there is no such attribute

        def __getattr__(self, name: str) -> Any:
            try:
                # Python calls this method for an AttributeError within a property too: that error must be seen.
                return object.__getattribute__(self, name)
            except AttributeError as error:
                hint = self._hints.get(name)
                if hint is None:
                    raise
                raise AttributeError(f"{error}; {hint}", name=name, obj=self) from None

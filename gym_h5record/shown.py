"""Any value in a few printable characters, for one message. Not for reading back.

Numbers are shown with all their digits: two that differ look different.
"""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

from gym_h5record.printable import printable

__all__ = ["MAX_SHOWN", "shown"]

MAX_SHOWN = 60
"""Characters of one value."""

_MAX_BITS = 256
_MAX_ELEMENTS = 4


class _Short(reprlib.Repr):
    """``repr`` that never becomes long, not even on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = _MAX_ELEMENTS
        self.maxstring = self.maxother = MAX_SHOWN

    def repr1(self, x: Any, level: int) -> str:
        """One value."""
        if isinstance(x, np.ndarray):
            return f"an array of {x.dtype} {x.shape}"
        if isinstance(x, np.generic) and not isinstance(x, (str, bytes)):
            return str(x)
        return super().repr1(x, level)

    def repr_int(self, x: Any, level: int) -> str:
        """An integer; Python refuses to print very long ones."""
        return f"an integer of {x.bit_length()} bits" if x.bit_length() > _MAX_BITS else super().repr_int(x, level)


_SHORT = _Short()


def shown(value: Any) -> str:
    """A value in at most 60 printable characters.

    Example:
        >>> shown(0.1 + 0.2), shown(np.zeros((210, 160, 3), np.uint8)), shown([1, 2, 3, 4, 5])
        ('0.30000000000000004', 'an array of uint8 (210, 160, 3)', '[1, 2, 3, 4, ...]')
    """
    text = printable(_SHORT.repr(value))
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 4]} ..."

"""Text for people: values shortened for messages, unprintable characters escaped, numbers with their nouns.

Numbers are shown with all their digits, so that two different ones look different.
"""

from __future__ import annotations

import reprlib
from typing import Any

__all__ = ["MAX_SHOWN", "counted", "full_repr", "printable", "printable_lines", "reward_text", "short_repr"]

MAX_SHOWN = 60
"""Characters of one shortened value."""

_MAX_BITS = 256
_MAX_ELEMENTS = 4
_MAX_REWARDS = 8


class _Short(reprlib.Repr):
    """A ``repr`` that is made short, not cut afterwards: a large value costs no more than a small one."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = _MAX_ELEMENTS
        self.maxstring = self.maxother = MAX_SHOWN

    def repr1(self, x: Any, level: int) -> str:
        """One value."""
        import numpy as np  # 0.1 s: text that is escaped needs none, neither does the command line's help

        if isinstance(x, np.ndarray):
            return f"an array of {x.dtype} {x.shape}"
        if isinstance(x, np.generic) and not isinstance(x, (str, bytes)):
            return str(x)
        return super().repr1(x, level)

    def repr_int(self, x: Any, level: int) -> str:
        """An integer. Python refuses to print one of more than 4,300 digits."""
        return f"an integer of {x.bit_length()} bits" if x.bit_length() > _MAX_BITS else super().repr_int(x, level)


_SHORT = _Short()


def short_repr(value: Any) -> str:
    """A value in at most 60 printable characters.

    Example:
        >>> import numpy as np
        >>> short_repr(0.1 + 0.2), short_repr(np.zeros((210, 160, 3), np.uint8)), short_repr([1, 2, 3, 4, 5])
        ('0.30000000000000004', 'an array of uint8 (210, 160, 3)', '[1, 2, 3, 4, ...]')
    """
    text = printable(_SHORT.repr(value))
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 4]} ..."


def full_repr(value: object) -> str:
    """The ``repr`` of a value, of any length.

    It is shortened like ``short_repr`` where Python has none: of values nested too deep, of integers of more than 4,300
    digits, and of objects whose own ``__repr__`` raises.

    Example:
        >>> full_repr([1, 2, 3, 4, 5]), full_repr([10**5000])
        ('[1, 2, 3, 4, 5]', '[an integer of 16610 bits]')
    """
    try:
        return repr(value)
    except Exception:  # noqa: BLE001  # the value's own code may raise anything
        return _SHORT.repr(value)


def printable(value: object) -> str:
    r"""The text of a value with unprintable characters escaped.

    Example:
        >>> printable("red: \x1b[31m")
        'red: \\x1b[31m'
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in str(value))


def printable_lines(value: object) -> str:
    """Like ``printable``, but keeps line breaks."""
    return "\n".join(map(printable, str(value).splitlines()))


def counted(number: int, noun: str) -> str:
    """A number and its noun, in the plural unless the number is 1.

    Example:
        >>> counted(1, "step"), counted(2_000, "step")
        ('1 step', '2,000 steps')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def reward_text(reward: Any) -> str:
    """A reward or a return: a number, or an array of several.

    Example:
        >>> import numpy as np
        >>> reward_text(1.0), reward_text(np.array([0.5, -2.0]))
        ('1', '[0.5, -2]')
    """
    if not getattr(reward, "ndim", 0):
        return f"{reward:g}"
    shown = [f"{float(each):g}" for each in reward.ravel()[:_MAX_REWARDS]]
    return f"[{', '.join([*shown, '...'] if reward.size > _MAX_REWARDS else shown)}]"

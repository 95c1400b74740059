"""Text from a file, shown: a name or a message may hold anything, a terminal obeys it."""

from __future__ import annotations

__all__ = ["printable", "printable_lines"]


def printable(value: object) -> str:
    r"""Text in which everything that does not print is escaped.

    Example:
        >>> printable("red: \x1b[31m")
        'red: \\x1b[31m'
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in str(value))


def printable_lines(value: object) -> str:
    """``printable`` for text whose line breaks are meant."""
    return "\n".join(map(printable, str(value).splitlines()))

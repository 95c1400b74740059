"""Searches everything that reading a file returned for data and errors that no file may cause.

These are: the contents of other files, memory that was never written, text that drives a terminal, errors that are
not the package's own, and memory that was requested because a file said so.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from gym_h5record.errors import RecordingError

__all__ = ["Harvest", "Violation", "chain", "check_memory"]

SECRET_BYTES = 8
POISON = 0xA5
"""``MALLOC_PERTURB_``: the C library fills freed memory with this byte, and new memory with its complement."""

NEVER_IMPORTED = ("this", "antigravity")
"""Modules that hostile files name; importing one prints text or opens a browser."""

_POISON_RUN = 24
_SEARCHED_AT_ONCE_BYTES = 4 << 20
_MAX_TAKEN_BYTES = 256 << 20  # searching more takes longer than reading it
_MAX_MESSAGE = 5000
_MAX_DETAIL = 300


class Violation(Exception):  # noqa: N818  # a rule was broken; this program made no error
    """Something happened that no file may cause.

    Attributes:
        kind: A word or two, for the tally.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail[:_MAX_DETAIL]}")
        self.kind = kind


class Harvest:
    """Takes the values that an entry returns.

    Args:
        secret: Eight bytes. The files outside repeat them, so they must not be in any value.

    Attributes:
        refused: The errors, by the name of the value that could not be read.
        taken: How many values could be read.
    """

    def __init__(self, secret: bytes) -> None:
        turned = secret + secret
        self._secrets = [turned[at : at + SECRET_BYTES] for at in range(SECRET_BYTES)] if secret else []
        self._poisons = [bytes([byte]) * _POISON_RUN for byte in (POISON, POISON ^ 0xFF)]
        self._digest = hashlib.sha256()
        self._unsearched: list[bytes] = []
        self._unsearched_bytes = self._taken_bytes = 0
        self.refused: dict[str, str] = {}
        self.taken = 0

    @property
    def digest(self) -> str:
        """A hash of all values that belong to rows: equal for equal rows."""
        return self._digest.hexdigest()[:16]

    def take(self, name: str, read: Callable[[], Any], *, is_data: bool = True) -> Any:
        """Take the value that ``read`` returns.

        Args:
            name: The name of the value.
            read: Reads the value.
            is_data: Whether the value belongs to the rows.

        Returns:
            The value; None after an error of the package, or if enough bytes have been taken already.
        """
        if self._taken_bytes > _MAX_TAKEN_BYTES:
            return None
        try:
            value = read()
        except RecordingError as error:
            self.refuse(name, error)
            return None
        self.taken += 1
        self._absorb(value, is_data=is_data)
        return value

    def refuse(self, name: str, error: RecordingError) -> None:
        """Note an error of the package, and search its message."""
        check_memory(error)
        self.show(str(error))
        if len(str(error)) > _MAX_MESSAGE:
            raise Violation("endless message", f"{len(str(error))} characters: {error}")
        self.refused.setdefault(name, f"{type(error).__name__}: {error}"[:_MAX_DETAIL])

    def show(self, text: str) -> None:
        """Search text that is shown to people; all of it must be printable."""
        for line in text.split("\n"):
            if not line.isprintable():
                odd = next(at for at, each in enumerate(line) if not each.isprintable())
                raise Violation("raw text", f"{line[max(0, odd - 60) : odd + 60]!r}")
        self._search_later(text.encode("utf-8", "surrogatepass"))

    def _absorb(self, value: Any, *, is_data: bool) -> None:
        """Take every byte of a value."""
        if isinstance(value, np.ndarray) and value.dtype.hasobject:
            value = value.tolist()
        if isinstance(value, (np.ndarray, np.generic)):
            self._add(f"{value.dtype.str}{value.shape}".encode(), is_data=is_data)
            self._add(value.tobytes(), is_data=is_data)
        elif isinstance(value, str):
            self._add(value.encode("utf-8", "surrogatepass"), is_data=is_data)
        elif isinstance(value, (bytes, bytearray)):
            self._add(bytes(value), is_data=is_data)
        elif isinstance(value, Mapping):
            for key, each in value.items():
                self._absorb(key, is_data=is_data)
                self._absorb(each, is_data=is_data)
        elif isinstance(value, (list, tuple, set, frozenset)):
            for each in value:
                self._absorb(each, is_data=is_data)
        elif value is None or isinstance(value, (bool, int, float, complex)):
            self._add(repr(value).encode(), is_data=is_data)
        elif isinstance(value, gym.Space):  # Gymnasium may print control characters of a space's keys
            self._search_later(repr(value).encode("utf-8", "surrogatepass"))
        else:  # an object of the package: its repr must be printable
            self.show(repr(value))

    def _add(self, data: bytes, *, is_data: bool) -> None:
        self._search_later(data)
        if is_data:
            self._digest.update(len(data).to_bytes(8, "little") + data)

    def _search_later(self, data: bytes) -> None:
        self._unsearched.append(data)
        self._unsearched_bytes += len(data)
        self._taken_bytes += len(data)
        if self._unsearched_bytes > _SEARCHED_AT_ONCE_BYTES:
            self.search()

    def search(self) -> None:
        """Search the bytes of all values taken since the last search.

        Raises:
            Violation: If they contain the secret, or memory that was never written.
        """
        data = b"\n".join(self._unsearched)
        self._unsearched, self._unsearched_bytes = [], 0
        if any(secret in data for secret in self._secrets):
            raise Violation("leak", "the contents of a file outside")
        if any(poison in data for poison in self._poisons):
            raise Violation("uninitialised memory", "bytes that were never written")


def check_memory(error: BaseException) -> None:
    """Fail if an error says that memory could not be allocated: a file must not make the package ask for so much.

    Raises:
        Violation: If it does.
    """
    for each in chain(error):
        text = str(each).lower()
        if isinstance(each, MemoryError) or "memory allocation failed" in text or "unable to allocate" in text:
            raise Violation("memory", f"{type(each).__name__}: {each}")


def chain(error: BaseException | None) -> list[BaseException]:
    """An error and its chain of causes."""
    errors: list[BaseException] = []
    while error is not None and error not in errors:
        errors.append(error)
        error = error.__cause__ or error.__context__
    return errors


def check_imports() -> None:
    """Fail if one of ``NEVER_IMPORTED`` has been imported.

    Raises:
        Violation: If one has.
    """
    for name in NEVER_IMPORTED:
        if name in sys.modules:
            raise Violation("import", name)

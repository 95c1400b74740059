"""Everything that reading a file gave, looked through for what must not be in it.

That is: the contents of other files, memory that was never written, text that
drives a terminal, errors that are not of the package, and memory that was asked
for because a file said so.
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
"""``MALLOC_PERTURB_``: what is freed is filled with it, what is allocated with its complement."""

NEVER_IMPORTED = ("this", "antigravity")
"""Modules that files name."""

_POISON_RUN = 24
_SEARCHED_AT_ONCE_BYTES = 4 << 20
_MAX_TAKEN_BYTES = 256 << 20  # looking through more takes longer than reading it
_MAX_MESSAGE = 5000
_MAX_DETAIL = 300


class Violation(Exception):  # noqa: N818  # it is one, whoever commits it
    """Something happened that no file may make happen.

    Attributes:
        kind: A word or two, for the tally.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail[:_MAX_DETAIL]}")
        self.kind = kind


class Harvest:
    """Takes what the entries give.

    Args:
        secret: Eight bytes, of which the files outside consist.

    Attributes:
        refused: What could not be read, by name, and the error.
        taken: How many values could be.
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
        """The same for the same rows."""
        return self._digest.hexdigest()[:16]

    def take(self, name: str, read: Callable[[], Any], *, is_data: bool = True) -> Any:
        """What ``read`` gives, None if it gives an error of the package, or if there is enough already.

        Args:
            name: What is read.
            read: Reads it.
            is_data: Whether it belongs to the rows.
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
        """Note an error of the package, and look through its message."""
        check_memory(error)
        self.show(str(error))
        if len(str(error)) > _MAX_MESSAGE:
            raise Violation("endless message", f"{len(str(error))} characters: {error}")
        self.refused.setdefault(name, f"{type(error).__name__}: {error}"[:_MAX_DETAIL])

    def show(self, text: str) -> None:
        """Look through text that is shown to people."""
        for line in text.split("\n"):
            if not line.isprintable():
                odd = next(at for at, each in enumerate(line) if not each.isprintable())
                raise Violation("raw text", f"{line[max(0, odd - 60) : odd + 60]!r}")
        self._search_later(text.encode("utf-8", "surrogatepass"))

    def _absorb(self, value: Any, *, is_data: bool) -> None:
        """Every byte of a value."""
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
        elif isinstance(value, gym.Space):  # how it looks is Gymnasium's business
            self._search_later(repr(value).encode("utf-8", "surrogatepass"))
        else:  # an object with a face of its own
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
        """Look through the bytes of all values so far.

        Raises:
            Violation: If they have what must not be there.
        """
        data = b"\n".join(self._unsearched)
        self._unsearched, self._unsearched_bytes = [], 0
        if any(secret in data for secret in self._secrets):
            raise Violation("leak", "the contents of a file outside")
        if any(poison in data for poison in self._poisons):
            raise Violation("uninitialised memory", "bytes that nobody has written")


def check_memory(error: BaseException) -> None:
    """Fail if an error says that memory could not be had: with more of it, it would have been taken.

    Raises:
        Violation: If so.
    """
    for each in chain(error):
        text = str(each).lower()
        if isinstance(each, MemoryError) or "memory allocation failed" in text or "unable to allocate" in text:
            raise Violation("memory", f"{type(each).__name__}: {each}")


def chain(error: BaseException | None) -> list[BaseException]:
    """An error and all that led to it."""
    errors: list[BaseException] = []
    while error is not None and error not in errors:
        errors.append(error)
        error = error.__cause__ or error.__context__
    return errors


def check_imports() -> None:
    """Fail if a module has been imported that a file named.

    Raises:
        Violation: If so.
    """
    for name in NEVER_IMPORTED:
        if name in sys.modules:
            raise Violation("import", name)
